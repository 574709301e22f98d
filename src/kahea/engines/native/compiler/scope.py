"""What all routes of one program share while they are compiled: the objects that generated code refers to, the names of
routes and flags, and what was found wrong."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kahea.engines.native.compiler import runtime
from kahea.engines.native.diagnostics import ERROR, Diagnostic
from kahea.engines.native.tree import Flags, Place, Program

if TYPE_CHECKING:
    from kahea.routing.node import Node

#: The bits of each kind of route, as a function's `routes` names them, by the tree's words.
_RETURN_CODE = re.compile(r"\$\(?\s*(rc|retcode|\?|_s\()")


class Scope:
    """See the module's docstring."""

    def __init__(self, program: Program, node: Node) -> None:
        self.program = program
        self.node = node
        self.diagnostics: list[Diagnostic] = []
        #: What generated code finds in its globals.
        self.names: dict[str, Any] = {f: getattr(runtime, f) for f in runtime.EXPORTED}
        self._kept: dict[tuple[int, str], str] = {}
        self._alive: list[object] = []  # what identities in `_kept` belong to
        self._numbers: Counter[str] = Counter()
        #: The functions of named routes, by kind and name; filled while compiling, read by generated code.
        self.route_names: dict[tuple[str, str], str] = {}
        #: Which routes each function calls, by titles; None for one that is named while it runs.
        self.calls: dict[str, set[str | None]] = {}
        self.flags: dict[str, int] = {}
        self.avp_flags: dict[str, int] = {}
        for route in program.routes():
            self.route_names.setdefault((route.kind, route.name), "")
        for declaration in program.declarations:
            if isinstance(declaration, Flags):
                self._declare_flags(declaration, self.avp_flags if declaration.avp else self.flags)
        self.wants_return_code = self._reads_return_code()

    def error(self, code: str, message: str, place: Place, hint: str = "") -> None:
        """Note an error; compiling goes on, to find the others."""
        self.diagnostics.append(Diagnostic(ERROR, code, message, place, hint))

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
        for flag, number in declaration.names:
            taken = set(declared.values())
            free = next((n for n in range(32) if n not in taken), None)
            chosen = free if number is None else number
            if chosen is None or not 0 <= chosen <= 31:
                self.error("flag", f"flag {flag} is not one of 0 to 31", declaration.place)
            else:
                declared[flag] = chosen

    def _reads_return_code(self) -> bool:
        """Whether anything can ask for `$rc`; if not, nothing need keep it."""
        return any(_RETURN_CODE.search(line) for lines in self.program.sources.values() for line in lines)
