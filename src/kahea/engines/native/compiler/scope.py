"""What all routes of one program share while they are compiled: the objects that generated code refers to, the names of
routes and flags, and what was found wrong."""

from __future__ import annotations

import ast
import keyword
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from kahea.engines.native.compiler import runtime, unknown
from kahea.engines.native.diagnostics import ERROR, Diagnostic
from kahea.engines.native.tree import Flags, ModParam, Place, Program, Return, Route, String

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.pv import Pv, PvError

#: A return code: the identity of a call, and whether it is the 0 that `$rc` is before it.
Code = tuple[int, bool]

_RETURN_CODE = re.compile(r"\$\(?\s*(rc|retcode|\?|_s\()")


class Scope:
    """See the module's docstring."""

    def __init__(self, program: Program, node: Node, pause: Callable[[], object] = lambda: None) -> None:
        self.program = program
        self.node = node
        self.pause = pause
        self.diagnostics: list[Diagnostic] = []
        #: What generated code finds in its globals.
        self.names: dict[str, Any] = {f: getattr(runtime, f) for f in runtime.EXPORTED}
        self._kept: dict[tuple[int, str], str] = {}
        self._alive: list[object] = []  # what identities in `_kept` and `stores` belong to
        self._numbers: Counter[str] = Counter()
        #: The functions of named routes, by kind and name; filled while compiling, read by generated code.
        self.route_names: dict[tuple[str, str], str] = {}
        #: Which routes each function calls, by titles; None for one that is named while it runs.
        self.calls: dict[str, set[str | None]] = {}
        #: The named routes that do nothing but return, if that.
        self.idle_routes = {r.name for r in program.routes() if r.kind == "request" and r.name and _is_idle(r)}
        self.flags: dict[str, int] = {}
        self.avp_flags: dict[str, int] = {}
        for route in program.routes():
            self.route_names.setdefault((route.kind, route.name), "")
        for declaration in program.declarations:
            if isinstance(declaration, Flags):
                self._declare_flags(declaration, self.avp_flags if declaration.avp else self.flags)
        #: Whether anything can ask for `$rc`; if not, nothing need keep it.
        self.wants_return_code = any(asks_for_code(line) for lines in program.sources.values() for line in lines)
        #: Told of each step, if the node had one when the script was loaded; then nothing is left out.
        self.tracer = node.tracer
        if self.tracer is not None:
            self.names["trace_step"], self.names["trace_end"] = self.tracer.step, self.tracer.end
            self.wants_return_code = True
        #: The variables that the program uses, by their texts.
        self.used: dict[str, Pv] = {}
        #: The codes that must be kept, once that is known (`liveness`).
        self.live: set[Code] | None = None
        #: The statements that keep a code, by identity.
        self.stores: dict[int, Code] = {}
        #: The names in generated code that read `$rc` when they are called.
        self.readers: set[str] = set()

    def error(self, code: str, message: str, place: Place, hint: str = "", module: str = "") -> None:
        """Note an error; compiling goes on, to find the others."""
        self.diagnostics.append(Diagnostic(ERROR, code, message, place, hint, module))

    def bad_variable(self, text: str, error: PvError, place: Place) -> None:
        """Note what is wrong with a variable in a text, at its own place if that can be told."""
        code, message, hint, module = unknown.variable(error, self.node.registry)
        lines = self.program.sources.get(place.file, [])
        exact = unknown.inside(place, lines, text, error.offset) if error.text == text else None
        if exact is None and error.text and not text.startswith("$"):
            message = f"in {text!r}: {message}"
        self.error(code, message, exact or place, hint, module)

    def unknown_word(self, text: str, place: Place) -> None:
        """Note a word that is nothing where a value is needed."""
        self.error("unknown-word", f"{text} has no value here", place, unknown.word(text, self.node))

    def keep(self, value: Any, wanted: str, of: object = None) -> str:
        """A name under which generated code finds an object; the same one for the same object. Of a bound method, which
        is another object each time, give the object that it is `of`."""
        key = (id(value if of is None else of), wanted)
        known = self._kept.get(key)
        if known is not None:
            return known
        stem = re.sub(r"\W+", "_", wanted).strip("_") or "it"
        if keyword.iskeyword(stem) or stem[0].isdigit() or stem == "run":
            stem = f"_{stem}"
        chosen = stem
        while chosen in self.names:
            self._numbers[stem] += 1
            chosen = f"{stem}_{self._numbers[stem]}"
        self.names[chosen] = value
        self._kept[key] = chosen
        self._alive.append(of)
        return chosen

    def routes_of(self, kind: str) -> Iterable[str]:
        """The names of the routes of a kind."""
        return [name for k, name in self.route_names if k == kind]

    def recursive_routes(self) -> list[str]:
        """The routes that can come to call themselves."""
        titles = {self.route_names["request", name]: name for name in self.routes_of("request")}
        reached = {title: self._reached(title, titles) for title in titles}
        return [name for title, name in titles.items() if title in reached[title]]

    def _reached(self, title: str, titles: Iterable[str]) -> set[str]:
        found: set[str] = set()
        waiting = [title]
        while waiting:
            for callee in self.calls.get(waiting.pop(), ()):
                for each in titles if callee is None else (callee,):
                    if each not in found:
                        found.add(each)
                        waiting.append(each)
        return found

    def _declare_flags(self, declaration: Flags, declared: dict[str, int]) -> None:
        """Flags with their numbers; of one that can't be, loading has told."""
        for flag, number in declaration.names:
            taken = set(declared.values())
            declared[flag] = next((n for n in range(32) if n not in taken), 0) if number is None else number

    def stored(self, statement: ast.stmt, call: object, *, before: bool = False) -> None:
        """Note that a statement keeps the code of a call, or the 0 before it."""
        self.stores[id(statement)] = id(call), before
        self._alive.append(statement)  # one that is left out must not give its identity to another

    def keeps_code(self, call: object, *, before: bool = False) -> bool:
        """Whether the code of a call (a node of the tree), or the 0 `before` it, may be asked for."""
        return self.wants_return_code and (self.live is None or (id(call), before) in self.live)

    def parameters_ask_for_code(self) -> bool:
        """Whether a module's parameter asks for `$rc`: then any function may."""
        values = [d.value for d in self.program.declarations if isinstance(d, ModParam)]
        return any(asks_for_code(value.text) for value in values if isinstance(value, String))


def _is_idle(route: Route) -> bool:
    return all(isinstance(statement, Return) and statement.value is None for statement in route.body)


def asks_for_code(text: str) -> bool:
    """Whether a text has `$rc` in it, or what may evaluate it."""
    return _RETURN_CODE.search(text) is not None
