"""What the module exports: its parameters, functions and commands."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Final

from kahea.modules.debugger.breakpoints import Breakpoints, Waiting
from kahea.modules.debugger.dumps import EVERYTHING, message_of, variables_of
from kahea.modules.debugger.levels import Levels
from kahea.routing import facilities
from kahea.routing.checks import between, unless
from kahea.routing.module import Module, Param, RpcError, Value, function, native, rpc
from kahea.routing.place import script_place
from kahea.routing.pv import PvError
from kahea.routing.run import REPLY_ROUTES, REQUEST_ROUTE
from kahea.routing.runtime import RuntimeVariable
from kahea.routing.tracing import Step, Tracer
from kahea.routing.verbosity import L_DBG, level_of, named_level

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.run import Run

log = logging.getLogger("kahea.debugger")

#: The bits of `set` in `dbg.ls`.
_TRACES: Final = 1
_STOPS: Final = 2

_NO_POLLING: Final = "nothing polls for commands here"
_NO_POOL: Final = "there is no memory pool that could be overrun"


def level(_node: Node, text: str) -> int:
    """A level as `L_ERR`. Raises ValueError."""
    return named_level(text)


def facility(_node: Node, text: str) -> str:
    """A facility as `LOG_LOCAL0`. Raises ValueError."""
    return facilities.facility(text)


def module_level(value: str) -> tuple[str, int]:
    """`module=level`. Raises ValueError."""
    module, equals, number = value.partition("=")
    if not equals or not module or not number.strip().lstrip("-").isdigit():
        raise ValueError(f"expected module=level, not {value!r}")
    return module.strip(), int(number)


def module_facility(value: str) -> tuple[str, str]:
    """`module=facility`. Raises ValueError."""
    module, equals, name = value.partition("=")
    if not equals or not module:
        raise ValueError(f"expected module=facility, not {value!r}")
    return module.strip(), facilities.facility(name.strip())


class Debugger(Module):
    """Traces and breakpoints of the native language, dumps of variables and of the message, log levels by module."""

    name = "debugger"

    cfgtrace = Param(0, "Log each action of the script.", check=between(0, 1))
    cfgtrace_format = Param(0, "1: without the path of the cfg.", check=between(0, 1))
    breakpoint = Param(0, "Stop at each action of the script.", check=between(0, 1))
    log_level = Param(-1, "The level of the trace and of what breakpoints log.")
    log_level_name = Param("", "What stands for the level's name in lines of the trace.")
    log_facility = Param("", "The syslog facility of lines of the trace.", check=facilities.facility)
    log_prefix = Param("*** cfgtrace:", "What lines of the trace begin with.")
    log_assign = Param(0, "Log the value of each assignment, at the level of debugging.", check=between(0, 1))
    mod_hash_size = Param(0, "0 turns levels and facilities by module off.")
    mod_level_mode = Param(0, "Whether levels by module are in effect.", check=between(0, 1))
    mod_level = Param(
        "", "A module's own log level, `module=level`; `core` is all else.", many=True, check=module_level
    )
    mod_facility_mode = Param(0, "Whether facilities by module are in effect.", check=between(0, 1))
    mod_facility = Param("", "A module's own syslog facility, `module=facility`.", many=True, check=module_facility)
    reset_msgid = Param(0, "Allow dbg.reset_msgid.", check=between(0, 1))
    step_usleep = Param(100_000, f"No effect: {_NO_POLLING}.")
    step_loops = Param(200, f"No effect: {_NO_POLLING}.")
    cfgpkgcheck = Param(0, "", check=unless(0, _NO_POOL))
    cfgtest = Param(0, "", check=unless(0, "it is for module cfgt, which is not here"))

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.breakpoints = Breakpoints(node)
        self.levels = Levels(node)
        self.tracing = False
        tracer = Tracer.of(node)
        tracer.on_step.append(self._on_step)
        tracer.on_end.append(self._on_end)

    def start(self) -> None:
        """Take up the parameters."""
        self.tracing = bool(self.cfgtrace)
        self.breakpoints.everywhere = bool(self.breakpoint)
        self.levels.levels.update(self.__dict__.get("mod_level", []))
        self.levels.facilities.update(self.__dict__.get("mod_facility", []))
        for given in ("step_usleep", "step_loops"):
            if given in self.__dict__:
                log.warning("parameter debugger.%s has no effect: %s", given, _NO_POLLING)
        self._apply()
        runtime = self.node.configuration.runtime
        for name in ("mod_level_mode", "mod_facility_mode"):
            runtime.expose(self._mode(name))
        runtime.expose(RuntimeVariable("dbg", "mod_hash_size", int, "0: off.", lambda: self.mod_hash_size, None))

    def _mode(self, name: str) -> RuntimeVariable:
        def write(value: int | str) -> None:
            self.__dict__[name] = value
            self._apply()

        doc = type(self).params()[name].doc
        return RuntimeVariable("dbg", name, int, doc, lambda: int(getattr(self, name)), write, 0, 1)

    def _apply(self) -> None:
        """Bring levels and facilities by module into effect, or out of it."""
        for module in self.levels.levels:
            self.levels.show(module, on=self.mod_hash_size > 0 and self.mod_level_mode > 0)
        for module in self.levels.facilities:
            self.levels.send(module, on=self.mod_hash_size > 0 and self.mod_facility_mode > 0)

    async def stop(self) -> None:
        """Let waiting runs go on, and give the loggers their levels back."""
        self.breakpoints.everywhere = False
        while self.breakpoints.go_on(stepping=False):
            pass
        self.levels.forget()

    # ---- steps

    def _on_step(self, run: Run, step: Step) -> None:
        self._assigned(run)
        if self.tracing:
            self._write(f"{self._route(run, step)} {self._shown(step)}")
        if self.breakpoints.stops(run):
            self._stop(run, step)
        if self.log_assign and step.writes is not None:
            run.state["debugger.assigned"] = step

    def _on_end(self, run: Run, _route: str) -> None:
        self._assigned(run)

    def _assigned(self, run: Run) -> None:
        """The value that the step before assigned."""
        step = run.state.pop("debugger.assigned", None) if self.log_assign else None
        if isinstance(step, Step) and step.writes is not None and self.node.settings.debug >= L_DBG:
            log.debug("%s:%s", step.writes.text, step.writes.get(run))

    def _stop(self, run: Run, step: Step) -> None:
        place = f"{step.file}] l={step.line} a={step.code} n={step.action}"
        self._write(f"breakpoint hit: p=[{os.getpid()}] c=[{place}")
        self.breakpoints.stop(run, step)

    @staticmethod
    def _route(run: Run, step: Step) -> str:
        kind = run.where().partition("[")[0]
        name = step.route.partition("[")[2].removesuffix("]")
        return f"{kind}=[{name or 'DEFAULT_ROUTE'}]"

    def _shown(self, step: Step) -> str:
        file = "" if self.cfgtrace_format else f"c=[{step.file}] "
        return f"{file}l={step.line} a={step.code} n={step.action}"

    def _write(self, line: str) -> None:
        """A line of the trace, with the level, its name, the prefix and the facility of the parameters."""
        if self.log_level > self.node.settings.debug:
            return
        record = log.makeRecord(log.name, level_of(self.log_level), "", 0, "%s %s", (self.log_prefix, line), None)
        if self.log_level_name:
            record.levelname = self.log_level_name
        if self.log_facility:
            record.facility = self.log_facility
        log.handle(record)

    # ---- functions

    @native("int")
    def dbg_breakpoint(self, run: Run, mode: int) -> int:
        """Stop here until dbg.bp says to go on, unless `mode` is 0."""
        if mode:
            file, line = script_place()
            route = run.where()
            self._stop(run, Step(route, file, line, "dbg_breakpoint", 25))
        return 1

    def _dump(self, run: Run, mask: int, at: int) -> int:
        if at <= self.node.settings.debug:
            log.log(level_of(at), "%s", variables_of(run, mask))
        return 1

    @native()
    @function
    def dbg_pv_dump(self, run: Run) -> int:
        """Log the variables that the script uses, as JSON, at the level of debugging."""
        return self._dump(run, EVERYTHING, L_DBG)

    @function
    def dbg_pv_dump_ex(self, run: Run, mask: int, level: int) -> int:
        """The same of some kinds (1 with $null, 2 AVPs, 4 script variables, 8 XAVPs, 16 others), at a level."""
        return self._dump(run, mask, level)

    @native("int", name="dbg_pv_dump")
    def dump_some(self, run: Run, mask: int) -> int:
        """The same of some kinds: 1 with $null, 2 AVPs, 4 script variables, 8 XAVPs, 16 others."""
        return self._dump(run, mask, L_DBG)

    @native("int", level, name="dbg_pv_dump")
    def dump_some_at(self, run: Run, mask: int, at: int) -> int:
        """The same of some kinds, at a level."""
        return self._dump(run, mask, at)

    @native(routes=REQUEST_ROUTE | REPLY_ROUTES)
    def dbg_sip_msg(self, run: Run) -> int:
        """Log the message as it would be sent now, and what the edits change."""
        return self._message(run, L_DBG)

    @native(level, routes=REQUEST_ROUTE | REPLY_ROUTES, name="dbg_sip_msg")
    def message_at(self, run: Run, at: int) -> int:
        """The same, at a level."""
        return self._message(run, at)

    @native(level, facility, routes=REQUEST_ROUTE | REPLY_ROUTES, name="dbg_sip_msg")
    def message_to(self, run: Run, at: int, where: str) -> int:
        """The same, at a level and to a syslog facility."""
        return self._message(run, at, where)

    def _message(self, run: Run, at: int, where: str = "") -> int:
        if at <= self.node.settings.debug:
            extra = {"facility": where} if where else None
            log.log(level_of(at), "%s", message_of(run, str(script_place()[1])), extra=extra)
        return 1

    # ---- commands

    def _check_pid(self, pid: int, *, needed: bool = False) -> None:
        if needed and not pid:
            raise RpcError(500, "Missing pid parameter")
        if pid not in (0, os.getpid()):
            raise RpcError(500, "No such pid")

    @rpc("dbg.ls")
    def rpc_ls(self, pid: int = 0) -> list[dict[str, int]]:
        """The process: whether it traces (1) and stops (2), and whether a run waits at a breakpoint."""
        self._check_pid(pid)
        bits = _TRACES * self.tracing | _STOPS * self.breakpoints.everywhere
        state = 1 if self.breakpoints.waiting else 0
        return [{"entry": 0, "pid": os.getpid(), "set": bits, "state": state, "in.pid": 0, "in.cmd": 0}]

    @rpc("dbg.trace")
    def rpc_trace(self, command: str, pid: int = 0) -> str:
        """`on` or `off`: log each action of the script."""
        if command not in ("on", "off"):
            raise RpcError(500, "Unknown trace command")
        self._check_pid(pid)
        self.tracing = command == "on"
        return "200 ok"

    @rpc("dbg.bp")
    def rpc_bp(self, command: str, pid: int = 0, *more: str) -> str:
        """Breakpoints: on, off, keep, release; of the run that waits: next, move, show, eval VARIABLE, log VARIABLE."""
        if command in ("on", "off", "keep", "release"):
            self._check_pid(pid, needed=command == "keep")
            if command == "release":
                self.breakpoints.release()
            elif command != "keep":
                self.breakpoints.everywhere = command == "on"
            return "200 ok"
        if command not in ("next", "move", "show", "eval", "log"):
            raise RpcError(500, "Unknown inner command")
        self._check_pid(pid, needed=True)
        if command in ("eval", "log"):
            if not more:
                raise RpcError(500, "Missing pv parameter")
            return self._evaluate(more[0], to_log=command == "log")
        if command == "show":
            return f"at bkp {self._at(self._waiting())}"
        done = self.breakpoints.go_on(stepping=command == "next")
        if done is None:
            raise RpcError(500, "Not waiting at a breakpoint")
        return f"exec {self._at(done)}" if command == "next" else "200 ok"

    def _waiting(self) -> Waiting:
        if not self.breakpoints.waiting:
            raise RpcError(500, "Not waiting at a breakpoint")
        return self.breakpoints.waiting[0]

    @staticmethod
    def _at(waiting: Waiting) -> str:
        step = waiting.step
        return f"[{step.file}:{step.line}] a={step.code} n={step.action}"

    def _evaluate(self, text: str, *, to_log: bool) -> str:
        waiting = self._waiting()
        try:
            value = self.node.variables.compile(text).get(waiting.run)
        except PvError as error:
            raise RpcError(500, str(error)) from error
        shown = f"{text} : {typed(value)}"
        if not to_log:
            return shown
        self._write(shown)
        return "200 ok"

    @rpc("dbg.reset_msgid")
    def rpc_reset_msgid(self) -> str:
        """Count messages ($mi) from the beginning."""
        if not self.reset_msgid:
            raise RpcError(500, "reset_msgid is not enabled")
        self.node.reset_message_ids()
        return "200 ok"

    def _by_module(self) -> None:
        if self.mod_hash_size <= 0:
            raise RpcError(500, "mod_hash_size is 0: levels and facilities by module are off")

    @rpc("dbg.set_mod_level")
    def rpc_set_mod_level(self, module: str, level: int) -> str:
        """Give a module a log level of its own."""
        self._by_module()
        self.levels.levels[module] = level
        self._apply()
        return "200 ok"

    @rpc("dbg.mod_level")
    def rpc_mod_level(self, module: str, level: int) -> str:
        """As dbg.set_mod_level: the name that Kamailio's page has for it."""
        return self.rpc_set_mod_level(module, level)

    @rpc("dbg.get_mod_level")
    def rpc_get_mod_level(self, module: str) -> int:
        """A module's log level: its own, or the node's."""
        own = self.levels.levels.get(module) if self.mod_hash_size > 0 and self.mod_level_mode else None
        return self.node.settings.debug if own is None else own

    @rpc("dbg.set_mod_facility")
    def rpc_set_mod_facility(self, module: str, facility: str) -> str:
        """Give a module a syslog facility of its own."""
        self._by_module()
        try:
            self.levels.facilities[module] = facilities.facility(facility)
        except ValueError as error:
            raise RpcError(500, str(error)) from error
        self._apply()
        return "200 ok"

    @rpc("dbg.get_mod_facility")
    def rpc_get_mod_facility(self, module: str) -> str:
        """A module's syslog facility: its own, or the node's."""
        own = self.levels.facilities.get(module) if self.mod_hash_size > 0 and self.mod_facility_mode else None
        return own or self.node.settings.log_facility


def typed(value: Value) -> str:
    """A value with its type, as dbg.bp shows it."""
    if value is None:
        return "t=null"
    return f"t=int v={value}" if isinstance(value, int) else f"t=str v={value}"
