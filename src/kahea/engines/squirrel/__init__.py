"""KEMI scripts in Squirrel, as Kamailio's `app_sqlang` runs them, compiled to Python.

A script is a file whose functions in the root table are the routes (`ksr_request_route()`), with `KSR` as a table of
tables of functions. Each generation has a machine of its own (`runtime.machine`), which all its runs share; what a run
does on its own is in its functions' local variables.

`KSR` belongs to the node: a script can't change it, and so calls of its functions are bound when it is compiled.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kahea.engines.squirrel.runtime.comparison import text_of
from kahea.engines.squirrel.runtime.errors import EXIT, Stopped, Thrown, caught, latin
from kahea.engines.squirrel.runtime.limits import Limits, Running
from kahea.engines.squirrel.runtime.machine import Machine, frames_of
from kahea.engines.squirrel.runtime.numbers import number_in, to_integer
from kahea.engines.squirrel.runtime.values import Fixed, type_name
from kahea.modules.app_sqlang import AppSqlang
from kahea.routing.foreign import Foreign
from kahea.routing.generation import Generation, Route, event_message
from kahea.routing.libraries import ScriptExit, generation_of, read_all
from kahea.routing.module import ConfigError
from kahea.routing.run import EVENT_ROUTE, REQUEST_ROUTE, EndRoute, Run, ScriptError, Ticks, begin, current
from kahea.routing.text import text

if TYPE_CHECKING:
    from kahea.routing.node import Node

log = logging.getLogger("kahea.script")

#: What functions give, by what the registry says of them.
_KINDS: Final = {"int": "integer", "bool": "bool", "none": "bool"}
#: Frames of a trace that an error shows.
_SHOWN: Final = 20


def to_int(value: object, where: str) -> int:
    """What an integer parameter gets of a value: 0 for what is no number."""
    if isinstance(value, (int, float)):
        return to_integer(value)
    found = number_in(value) if isinstance(value, str) else None
    if found is None:
        log.warning("%s takes an integer, not %s: 0 is used", where, _shown(value))
        return 0
    return to_integer(found)


def to_str(value: object, where: str) -> str:
    """What a string parameter gets of a value."""
    if value is None or not isinstance(value, (int, float)):
        log.warning("%s takes a string, not %s", where, _shown(value))
    return _text(value)


def _text(value: object) -> str:
    return text(text_of(value).encode("latin-1"))


def _shown(value: object) -> str:
    return repr(_text(value)) if isinstance(value, str) else _text(value)


class SquirrelEngine:
    """Loads one script for one node; `load` may be called again to read it anew."""

    def __init__(self, node: Node, script: Path) -> None:
        self.node = node
        self.script = script

    def load(self) -> Generation:
        """Compile the script and run it in a fresh machine. Raises ConfigError; what ran before is untouched."""
        others = self.node.module("app_sqlang")
        scripts = dict.fromkeys([*(others.scripts() if others else ()), self.script])
        return generation_of(self.node, self.script, Squirrel(self.node, list(scripts)), "sqlang")


class Squirrel:
    """Some scripts in one machine."""

    def __init__(self, node: Node, scripts: Sequence[Path]) -> None:
        """Raises ConfigError."""
        self.node = node
        options = node.module("app_sqlang") or AppSqlang(node)
        limits = Limits(options.time_limit / 1000, options.memory_limit << 20)
        functions, kinds = ksr_of(node)
        directories = list(dict.fromkeys(script.parent for script in scripts))
        self._tick = Ticks(limits.look)
        self._machine = Machine(self._tick, node.wall, functions, kinds, directories)
        self._root = self._machine.root
        self._root["KSR"] = _tables(functions)
        self.source = b""
        self._scripts = list(scripts)
        for script in scripts:
            try:
                source = script.read_bytes()
            except OSError as error:
                raise ConfigError(f"{script}: {error.strerror}") from error
            self.source += source
            self._execute(self._machine.load(source, str(script)))
        self.source += read_all(self._machine.files)

    @property
    def files(self) -> list[Path]:
        """The scripts, and what they have loaded so far."""
        return [*self._scripts, *self._machine.files]

    def _execute(self, program: Callable[[], Any]) -> None:
        """Run a script's own level. Raises ConfigError."""
        run = Run(self.node, event_message(), EVENT_ROUTE, "mod_init")
        saved, current.run = current.run, run
        begin()
        try:
            self.guarded(program)
        except EndRoute:
            pass  # a script may end itself while it is read
        except ScriptError as error:
            raise ConfigError(str(error)) from error.__cause__
        finally:
            current.run = saved

    def route(self, name: str) -> Route | None:
        """The route that a function of the root table is, or None. The function is looked up anew at each call, as
        Kamailio does."""
        root = self._root
        if type_name(root.get(name)) != "function":
            return None

        tick = self._tick

        def route(run: Run) -> object:
            Running.tick = tick
            try:
                if run.kind == EVENT_ROUTE or (run.kind == REQUEST_ROUTE and run.name):
                    return root[name](root, latin(run.name))
                return root[name](root)
            except (Exception, Stopped) as error:  # noqa: BLE001 - told with the script's own trace
                failed, cause = _failure(error)
                raise failed from cause

        return route

    def event(self, callback: str, name: str) -> Route | None:
        """An event route: a function named for the event, as `ksr_event_tm_local_request`, or the callback that the
        settings name, which gets the event's name."""
        own = self.route("ksr_event_" + name.replace(":", "_").replace("-", "_"))
        if own is not None or not callback:
            return own
        return self.route(callback)

    def call(self, run: Run, name: str, *args: str) -> Any:  # noqa: ARG002 - the run is the one in progress
        """Call a function; what it returned. Raises ScriptExit, EndRoute, ScriptError."""
        function = self._root.get(latin(name))
        if function is None or type_name(function) != "function":
            raise ScriptError(f"there is no function {name} in the script")
        return self.guarded(function, self._root, *map(latin, args))

    def evaluate(self, run: Run, source: str, name: str) -> None:  # noqa: ARG002
        """Run a text. Raises as `call`."""
        try:
            program = self._machine.load(latin(source).encode("latin-1"), name)
        except ConfigError as error:
            raise ScriptError(str(error)) from error
        self.guarded(program)

    def guarded(self, work: Callable[..., Any], *args: Any) -> Any:
        """Call something of the script. Raises ScriptExit for `KSR.x.exit()`, EndRoute where a function of KSR did,
        ScriptError for an error."""
        Running.tick = self._tick
        try:
            return work(*args)
        except (Exception, Stopped) as error:  # noqa: BLE001 - told with the script's own trace
            failed, cause = _failure(error)
            raise failed from cause


# ---- KSR


def ksr_of(node: Node) -> tuple[dict[str, Callable[..., Any]], dict[str, str]]:
    """The functions of KSR by their path, and the kinds of what they give, where it is always one."""
    functions: dict[str, Callable[..., Any]] = {}
    kinds: dict[str, str] = {}
    for (group, name), function in node.registry.functions.items():
        path = f"{group}.{name}" if group else name
        functions[path] = Foreign(function, False, to_int, to_str, False, True)
        kinds[path] = _KINDS.get(function.ret, "any")
    drop = functions["set_drop"]

    def leave(*_args: Any) -> Any:
        raise ScriptExit

    def dropped(*_args: Any) -> Any:
        drop()
        raise ScriptExit

    functions |= {"x.exit": leave, "x.drop": dropped, "x.modf": _modf(node)}
    kinds |= {"x.exit": "any", "x.drop": "any", "x.modf": "integer"}
    return functions, kinds


def _modf(node: Node) -> Callable[..., int]:
    def modf(*values: Any) -> int:
        """Call a function by its native name; -1, with the reason in the log, for what can't be called."""
        if not values:
            log.error("KSR.x.modf takes the name of a function")
            return -1
        name, *given = values
        arguments = [value if type(value) is int else _text(value) for value in given]
        try:
            return node.registry.modf(_text(name), *arguments)
        except (AttributeError, TypeError) as error:
            log.error("KSR.x.modf: %s", error)
            return -1

    return modf


def _tables(functions: dict[str, Callable[..., Any]]) -> Fixed:
    """KSR as a value: what scripts see that do more with it than call its functions."""
    root = Fixed()
    for path, function in functions.items():
        group, _, name = path.rpartition(".")
        root_or_group = root.setdefault(group, Fixed()) if group else root
        root_or_group[name] = _method(function)
    return root


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(_this: Any, *args: Any) -> Any:
        return function(*args)

    return method


# ---- errors


def _failure(error: BaseException) -> tuple[BaseException, BaseException | None]:
    """What is raised for what a script raised, and its cause."""
    if isinstance(error, Thrown):
        return (ScriptExit() if error.value == EXIT else ScriptError(_trace(error))), None
    cause = error if not isinstance(error, Stopped | TypeError | RecursionError) else None
    return ScriptError(_trace(error)), cause


def _trace(error: BaseException) -> str:
    """`file:line: message`, and the script's frames, the innermost first."""
    message = str(error) if isinstance(error, Stopped) else _text(caught(error))
    frames = frames_of(error)[::-1]
    if not frames:
        return message
    file, line, _ = frames[0]
    lines = [f"{file}:{line}: {message}"]
    if len(frames) > 1:
        lines += [f"  {file}:{line}: in {name}" for file, line, name in frames[:_SHOWN]]
        if len(frames) > _SHOWN:
            lines.append(f"  ... {len(frames) - _SHOWN} more")
    return "\n".join(lines)


__all__ = ["SquirrelEngine"]
