"""KEMI scripts in JavaScript, as Kamailio's `app_jsdt` runs them, in QuickJS.

A script is a file whose global functions are the routes (`ksr_request_route()`), with `KSR` as an object of objects of
functions. Each run in flight has a context of its own, kept for reuse, so that one that waits holds up no other. The
script's global variables belong to its context, as they belong to the process in Kamailio: what all runs share is kept
in `$shv` and the like.
"""

from __future__ import annotations

import logging
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kahea.engines.javascript.quickjs import UNDEFINED, Context, JsError
from kahea.modules.app_jsdt import AppJsdt
from kahea.routing.foreign import Foreign, TooFewArguments
from kahea.routing.generation import Generation, Route, event_message
from kahea.routing.libraries import MOST_FILES, generation_of, read_all
from kahea.routing.module import ConfigError
from kahea.routing.run import EVENT_ROUTE, REQUEST_ROUTE, EndRoute, Run, ScriptError, begin, current
from kahea.routing.text import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kahea.routing.node import Node

log = logging.getLogger("kahea.script")

#: Contexts kept for reuse; more are made while more runs are in flight.
KEEP: Final = 64


def to_int(value: object, where: str) -> int:
    """What JavaScript makes of a value for an integer parameter (`ToInteger`): 0 for what is no number."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value) if -9e18 < value < 9e18 else 0
    if isinstance(value, str):
        try:
            text = value.strip()
            return int(text, 0) if text[:2].lower() in ("0x", "0o", "0b") else int(float(text or "0"))
        except (ValueError, OverflowError):
            pass  # told of below
    log.warning("%s takes an integer, not %s", where, _shown(value))
    return int(value is True)


def to_str(value: object, where: str) -> str:
    """What JavaScript makes of a value for a string parameter (`String(value)`)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    log.warning("%s takes a string, not %s", where, _shown(value))
    return _shown(value)


def _shown(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


class JavaScriptEngine:
    """Loads one script for one node; `load` may be called again to read it anew."""

    def __init__(self, node: Node, script: Path) -> None:
        self.node = node
        self.script = script

    def load(self) -> Generation:
        """Compile the script and run it in a first context. Raises ConfigError; what ran before is untouched."""
        others = self.node.module("app_jsdt")
        scripts = dict.fromkeys([*(others.scripts() if others else ()), self.script])
        return generation_of(self.node, self.script, Contexts(self.node, list(scripts)), "jsdt")


class Contexts:
    """Some scripts in as many contexts as runs are in flight."""

    def __init__(self, node: Node, scripts: Sequence[Path]) -> None:
        """Raises ConfigError."""
        self.node = node
        self.files = list(scripts)
        options = node.module("app_jsdt") or AppJsdt(node)
        self._time_limit = options.time_limit / 1000
        self._memory_limit = options.memory_limit * 1024 * 1024
        self._exports: list[Foreign | Modf | Sources] = [
            Sources(scripts[-1].parent if scripts else Path(), self.files),
            Modf(node),
        ]
        self._groups: dict[bytes, list[tuple[int, bytes, int]]] = {b"__hidden": [(0, b"resolve", 2)]}
        self._groups[b"x"] = [(1, b"modf", 1)]
        for (group, name), function in sorted(node.registry.functions.items()):
            place = (len(self._exports), wire(name), len(function.params))
            self._groups.setdefault(wire(group), []).append(place)
            self._exports.append(Foreign(function, False, to_int, to_str, False))
        prelude = (files("kahea.engines.javascript") / "prelude.js").read_bytes()
        self._compiler = Context(self._exports, self._groups, 0, 0)
        self.source = b""
        try:
            self._programs = [self._compiler.compile(prelude, "[kahea]")]
            for script in scripts:
                source = script.read_bytes()
                self.source += source
                self._programs.append(self._compiler.compile(source, str(script)))
            first = self._make()
        except OSError as error:
            raise ConfigError(f"{error.filename}: {error.strerror}") from error
        except (JsError, ScriptError) as error:
            raise ConfigError(str(error)) from error.__cause__
        self.source += read_all(self.files[len(scripts) :])
        self._idle = [first]
        self._functions: dict[str, bool] = {}

    def _make(self) -> Context:
        """A fresh context in which the script's own level was run. Raises JsError."""
        made = Context(self._exports, self._groups, self._time_limit, self._memory_limit)
        run = Run(self.node, event_message(), EVENT_ROUTE, "mod_init")
        saved, current.run = current.run, run
        begin()
        try:
            for program in self._programs:
                made.execute(program)
        except EndRoute:
            pass  # a script may end itself while it is read
        finally:
            current.run = saved
        return made

    def route(self, name: str) -> Route | None:
        """The route that a global function is, or None."""
        found = self._functions.get(name)
        if found is None:
            context = self._idle[-1] if self._idle else self._make()
            found = self._functions[name] = context.has(wire(name))
        return JavaScriptRoute(self, name) if found else None

    def event(self, callback: str, name: str) -> Route | None:
        """An event route: a function named for the event, as `ksr_event_tm_local_request`, or the callback that the
        settings name, which gets the event's name."""
        own = self.route("ksr_event_" + name.replace(":", "_").replace("-", "_"))
        if own is not None or not callback:
            return own
        return self.route(callback)

    def call(self, run: Run, name: str, *args: str) -> Any:  # noqa: ARG002 - the run is the one in progress
        """Call a global function; what it returned. Raises ScriptExit, EndRoute, ScriptError."""
        return self.use(Context.call, wire(name), *args)

    def evaluate(self, run: Run, source: str, name: str) -> None:  # noqa: ARG002
        """Run a program. Raises as `call`."""
        try:
            program = self._compiler.compile(wire(source), name)
        except JsError as error:
            raise ScriptError(str(error)) from error.__cause__
        self.use(Context.execute, program)

    def use(self, work: Callable[..., Any], *args: Any) -> Any:
        """Do `work(context, *args)` in a context that no other run has. Raises as `call`."""
        try:
            context = self._idle.pop() if self._idle else self._make()
            try:
                value = work(context, *args)
            except EndRoute:
                self._keep(context)
                raise
            except JsError as error:
                if not error.fatal:
                    self._keep(context)
                raise
        except JsError as error:
            raise ScriptError(str(error)) from error.__cause__
        self._keep(context)
        return value

    def _keep(self, context: Context) -> None:
        if len(self._idle) < KEEP:
            self._idle.append(context)


class Sources:
    """The files that `require` reads: each once for all contexts of a generation."""

    def __init__(self, directory: Path, files: list[Path]) -> None:
        """`files` is the list that they are added to."""
        self._directory = directory
        self._files = files
        self._read: dict[Path, str] = {}

    def call(self, values: tuple[Any, ...]) -> str:
        """`resolve(id, from)`: the path, NUL, and the source. Raises LookupError."""
        identifier, asker = values
        base = Path(asker).parent if asker else self._directory
        for name in (identifier, f"{identifier}.js", f"{identifier}/index.js"):
            path = (base / name).resolve()
            if path in self._read or path.is_file():
                if path not in self._read:
                    self._read[path] = path.read_text(encoding="utf-8", errors="surrogateescape")
                    if len(self._files) < MOST_FILES:
                        self._files.append(path)
                return f"{path}\0{self._read[path]}"
        raise LookupError(f"require: there is no {identifier} in {base}")


class Modf:
    """`KSR.x.modf`: call a function by its native name; -1, with the reason in the log, for what can't be called."""

    def __init__(self, node: Node) -> None:
        self._modf = node.registry.modf

    def call(self, values: tuple[Any, ...]) -> int:
        if not values:
            raise TooFewArguments("KSR.x.modf takes the name of a function")
        name, *given = values
        arguments = [value if type(value) is int else _text(value) for value in given]
        try:
            return self._modf(_text(name), *arguments)
        except (AttributeError, TypeError) as error:
            log.error("KSR.x.modf: %s", error)
            return -1


def _text(value: object) -> str:
    return value if isinstance(value, str) else to_str(value, "KSR.x.modf")


class JavaScriptRoute:
    """A route: a global function of the script, looked up anew at each call, as Kamailio does."""

    __slots__ = ("_contexts", "_name")

    def __init__(self, contexts: Contexts, name: str) -> None:
        self._contexts = contexts
        self._name = wire(name)

    def __call__(self, run: Run) -> object:
        """Run it; what it returned. Raises EndRoute, ScriptError."""
        if run.kind == EVENT_ROUTE or (run.kind == REQUEST_ROUTE and run.name):
            value = self._contexts.use(Context.call, self._name, run.name)
        else:
            value = self._contexts.use(Context.call, self._name)
        return None if value is UNDEFINED else value


__all__ = ["JavaScriptEngine"]
