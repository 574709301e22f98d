"""KEMI scripts in Lua, as Kamailio's `app_lua` runs them, in LuaJIT or Lua 5.4.

A script is a Lua file whose global functions are the routes (`ksr_request_route()`), with `KSR` as a table of tables of
functions. Each generation has a Lua state of its own, and each run of a route a coroutine of it, kept for reuse.

How a run goes: the coroutine is resumed with the route's name. A function of KSR yields its number and arguments
(`prelude.lua`), the loop of `LuaState.resume` calls it and resumes the coroutine with its result, until the route has
ended. So while a function waits, its greenlet waits in Python, and Lua's own stacks are at rest.
"""

from __future__ import annotations

import importlib
import logging
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kahea.modules.app_lua import AppLua
from kahea.routing.foreign import Foreign, TooFewArguments
from kahea.routing.generation import Generation, Route, event_message
from kahea.routing.libraries import MOST_FILES, ScriptExit, generation_of, read_all
from kahea.routing.module import ConfigError
from kahea.routing.run import (
    EVENT_ROUTE,
    REQUEST_ROUTE,
    EndRoute,
    Run,
    ScriptError,
    begin,
    current,
    held,
    without_waiting,
)
from kahea.routing.text import text, wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kahea.routing.node import Node

log = logging.getLogger("kahea.script")

#: What ends a script quietly; the prelude raises it.
EXIT: Final = b"~~ksr~exit~~"

#: Steps of the hook (1,000 instructions each, about 10 µs) between two looks at the clock.
TICKS: Final = 100

NO_WAITING: Final = (
    "a function that waits can't be called inside a callback of Lua's own functions (string.gsub, table.sort)"
)

#: Lua shortens a longer name of a chunk in its messages.
LONGEST_NAME: Final = 59


def to_int(value: object, where: str) -> int:
    """What Lua makes of a value for an integer parameter (`lua_tointeger`): 0 for what is no number."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, bytes):
        try:
            return int(float(value)) if not value.strip().lower().startswith(b"0x") else int(value, 16)
        except (ValueError, OverflowError):
            pass  # told of below
    log.warning("%s takes an integer, not %s: 0 is used", where, _lua_type(value))
    return 0


def to_str(value: object, where: str) -> str:
    """What Lua makes of a value for a string parameter (`lua_tostring`): "" for what is neither string nor number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return f"{value:.14g}"
    log.warning('%s takes a string, not %s: "" is used', where, _lua_type(value))
    return ""


def _text(value: object, where: str) -> str:
    return text(value) if isinstance(value, bytes) else to_str(value, where)


def _lua_type(value: object) -> str:
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "a boolean"
    return repr(value) if isinstance(value, (int, float, bytes)) else "a table or the like"


class LuaEngine:
    """Loads one script for one node; `load` may be called again to read it anew."""

    def __init__(self, node: Node, script: Path) -> None:
        self.node = node
        self.script = script

    def load(self) -> Generation:
        """Run the script's file in a fresh Lua state. Raises ConfigError; what ran before is untouched."""
        others = self.node.module("app_lua")
        scripts = dict.fromkeys([*(others.scripts() if others else ()), self.script])
        return generation_of(self.node, self.script, LuaState(self.node, list(scripts)), "lua")


class LuaState:
    """One Lua state with `KSR`, some scripts, and the coroutines that runs live in."""

    def __init__(self, node: Node, scripts: Sequence[Path]) -> None:
        """Raises ConfigError."""
        self.node = node
        self.files = list(scripts)
        options = node.module("app_lua") or AppLua(node)
        self._time_limit = options.time_limit / 1000
        memory = options.memory_limit * 1024 * 1024
        arguments: dict[str, Any] = {"encoding": None, "register_eval": False, "register_builtins": False}
        if options.runtime != "luajit":
            # The hook stops at the limit; this stops one huge allocation between two steps of it.
            arguments["max_memory"] = 2 * memory if memory else None
        try:
            lupa = importlib.import_module(AppLua.RUNTIMES[options.runtime])
        except ImportError as error:
            raise ConfigError(f"app_lua: runtime {options.runtime} is not in this build of lupa: {error}") from error
        self._lua = lupa.LuaRuntime(unpack_returned_tuples=True, **arguments)
        self._errors = (lupa.LuaError, lupa.LuaSyntaxError)
        if options.runtime == "luajit" and (self._time_limit or memory):
            # Compiled code calls no hooks, and so can't be stopped.
            self._lua.execute(b"jit.off()")
        self._functions: list[Foreign | Modf] = [Modf(node)]
        rows = [(b"x", b"modf", 1)]
        for (group, name), function in sorted(node.registry.functions.items()):
            self._functions.append(Foreign(function, True, to_int, to_str, False))
            rows.append((wire(group), wire(name), len(self._functions)))
        # Kept here too: lupa may drop its own reference to an object that Lua collected and was given again.
        self._callbacks = (self._direct, self._held, self._loads)
        prelude = (files("kahea.engines") / "prelude.lua").read_bytes()
        self._work, self._has = self._lua.execute(
            prelude,
            self._lua.table_from([self._lua.table_from(row) for row in rows]),
            *self._callbacks,
            memory // 1024,
            TICKS if self._time_limit else 0,
            name="=[kahea]",
        )
        self._idle: list[Any] = []
        if node.asked_for("app_lua_sr"):
            self._add_sr(node.module("app_lua_sr").register)
        self._short = [pair for pair in map(self._shortened, scripts) if pair is not None]
        self.source = b""
        for script in scripts:
            try:
                source = script.read_bytes()
            except OSError as error:
                raise ConfigError(f"{script}: {error.strerror}") from error
            self.source += source
            self._add_path(script.parent)
            self._execute(source, script)
        self.source += read_all(self.files[len(scripts) :])

    def _loads(self, path: bytes) -> None:
        """The scripts load a file besides themselves."""
        file = Path(text(path))
        if file not in self.files and len(self.files) < MOST_FILES:
            self.files.append(file)

    def _add_sr(self, modules: list[str]) -> None:
        """Give the scripts the table that was there before KSR. Raises ConfigError."""
        code = (files("kahea.engines") / "lua_sr.lua").read_bytes()
        names = self._lua.table_from([wire(name) for name in modules])
        try:
            self._lua.execute(code, names, name="=[kahea]")
        except self._errors as error:
            raise ConfigError(_utf8(error.args[0]).partition("\n")[0]) from None

    def _add_path(self, directory: Path) -> None:
        """Let `require` find what lies beside the script."""
        add = self._lua.eval(b"function(d) package.path = d .. '/?.lua;' .. d .. '/?/init.lua;' .. package.path end")
        add(wire(str(directory)))

    @staticmethod
    def _shortened(script: Path) -> tuple[str, str] | None:
        """A long path as Lua shows it in messages, and in full."""
        name = str(script)
        if len(wire(name)) <= LONGEST_NAME:
            return None
        return "..." + text(wire(name)[-(LONGEST_NAME - 3) :]), name

    # ---- loading

    def _compile(self, source: bytes, name: str) -> Any:
        """A chunk as a function. Raises ScriptError."""
        if source.startswith(b"\x1b"):
            raise ScriptError(f"{name}: it is compiled; the engine takes Lua source")
        if source.startswith(b"#"):
            source = b"--" + source
        try:
            return self._lua.compile(source, name=f"@{name}".encode("ascii", "replace"))
        except self._errors as error:
            message = _utf8(error.args[0]).removeprefix("error loading code: ")
            raise ScriptError(self._full(message)) from None

    def _execute(self, source: bytes, script: Path) -> None:
        """Run a script's own level. Raises ConfigError."""
        run = Run(self.node, event_message(), EVENT_ROUTE, "mod_init")
        saved, current.run = current.run, run
        begin()
        try:
            self.resume(self._compile(source, str(script)))
        except EndRoute:
            pass  # a script may end itself while it is read
        except ScriptError as error:
            raise ConfigError(str(error)) from error.__cause__
        finally:
            current.run = saved

    def route(self, name: str) -> Route | None:
        """The route that a global function is, or None."""
        return LuaRoute(self, name) if self._has(wire(name)) else None

    def event(self, callback: str, name: str) -> Route | None:
        """An event route: a function named for the event, as `ksr_event_tm_local_request`, or the callback that the
        settings name, which gets the event's name."""
        own = self.route("ksr_event_" + name.replace(":", "_").replace("-", "_"))
        if own is not None or not callback:
            return own
        return self.route(callback)

    # ---- running

    def call(self, run: Run, name: str, *args: str) -> Any:  # noqa: ARG002 - the run is the one in progress
        """Call a global function; what it returned. Raises ScriptExit, EndRoute, ScriptError."""
        return self.resume(wire(name), *map(wire, args))

    def evaluate(self, run: Run, source: str, name: str) -> None:  # noqa: ARG002
        """Run a chunk. Raises as `call`."""
        self.resume(self._compile(wire(source), name))

    def resume(self, what: Any, *args: bytes) -> Any:
        """Call a Lua function, or the global one of a name (bytes), in a coroutine; what it returned, if that is a
        scalar. Raises ScriptExit for `KSR.x.exit()`, EndRoute where a function of KSR did, ScriptError for an error."""
        cause: BaseException | None = None
        ended: BaseException | None = None
        try:
            if self._idle:
                worker = self._idle.pop()
                asked = worker.send((what, *args))
            else:
                worker = self._work.coroutine(what, *args)
                asked = next(worker)
            functions = self._functions
            while True:
                if type(asked) is not tuple:  # a number alone: no arguments
                    number, asked = asked, ()
                elif number := asked[0]:
                    asked = asked[1:]
                else:
                    break
                try:
                    result = functions[number - 1].call(asked)
                except (EndRoute, SystemExit) as error:
                    ended = error
                    result = (None, EXIT)
                except TooFewArguments as error:
                    log.error("%s", error)
                    result = False
                except Exception as error:  # noqa: BLE001 - the script gets it
                    cause = error
                    result = (None, wire(f"{error}" or type(error).__name__))
                asked = worker.send(result)
        except self._errors as error:
            # The coroutine itself broke: out of memory where nothing catches it.
            raise ScriptError(f"Lua: {error}") from cause
        self._idle.append(worker)
        _, ok, value, trace = asked
        if ok:
            return value
        if value == EXIT:
            raise ended or ScriptExit
        message = _utf8(value) if isinstance(value, bytes) else str(value)
        if cause is not None and str(cause) not in message:
            cause = None  # the script caught that one
        raise ScriptError(self._full(message + _trace(trace))) from cause

    def _full(self, message: str) -> str:
        """Messages with the script's path in full."""
        for short, full in self._short:
            message = message.replace(short, full)
        return message

    def _direct(self, number: int, *args: Any) -> Any:
        """A function of KSR where Lua can't yield."""
        try:
            return without_waiting(
                NO_WAITING,
                self._functions[number - 1].call,
                args,
            )
        except (EndRoute, SystemExit):
            return None, EXIT
        except TooFewArguments as error:
            log.error("%s", error)
            return False
        except Exception as error:  # noqa: BLE001 - the script gets it
            return None, wire(f"{error}" or type(error).__name__)

    def _held(self) -> bytes | None:
        seconds = held()
        if seconds < self._time_limit:
            return None
        return b"the script took %.2f s of CPU time without waiting, which is over its time limit" % seconds


class Modf:
    """`KSR.x.modf`: call a function by its native name; -1, with the reason in the log, for what can't be called."""

    def __init__(self, node: Node) -> None:
        self._modf = node.registry.modf

    def call(self, values: tuple[Any, ...]) -> int:
        if not values:
            raise TooFewArguments("KSR.x.modf takes the name of a function")
        name, *given = values
        arguments = [value if type(value) is int else _text(value, "KSR.x.modf") for value in given]
        try:
            return self._modf(_text(name, "KSR.x.modf"), *arguments)
        except (AttributeError, TypeError) as error:
            log.error("KSR.x.modf: %s", error)
            return -1


class LuaRoute:
    """A route: a global function of the script, looked up anew at each call, as Kamailio does."""

    __slots__ = ("_name", "_state")

    def __init__(self, state: LuaState, name: str) -> None:
        self._state = state
        self._name = wire(name)

    def __call__(self, run: Run) -> object:
        """Run it; what it returned. Raises EndRoute, ScriptError."""
        if run.kind == EVENT_ROUTE or (run.kind == REQUEST_ROUTE and run.name):
            return self._state.resume(self._name, wire(run.name))
        return self._state.resume(self._name)


def _utf8(value: str | bytes) -> str:
    """A message of Lua; lupa decodes those of its own errors as Latin-1."""
    return text(value if isinstance(value, bytes) else value.encode("latin-1", "replace"))


def _trace(trace: bytes | None) -> str:
    """Lua's trace without the engine's own frames."""
    if not trace:
        return ""
    lines = [line for line in text(trace).strip("\n").split("\n") if "[kahea]:" not in line]
    while lines and lines[-1].strip().startswith("[C]:"):
        lines.pop()
    return "\n" + "\n".join(lines) if len(lines) > 1 else ""
