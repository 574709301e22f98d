"""Python's names for what a cfg names: routes as KEMI scripts call them, and constants."""

from __future__ import annotations

import keyword
import re
from typing import Final

from kahea.engines.native.tree import Flags, Node, Program, Route

#: The route kinds that KEMI looks up under a fixed name when they have none of their own.
MAIN: Final = {"request": "ksr_request_route", "reply": "ksr_reply_route", "onsend": "ksr_onsend_route"}
PREFIX: Final = {"request": "route", "reply": "onreply", "failure": "failure", "branch": "branch"}
_KIND_WORDS: Final = {"reply": ("reply", "onreply"), "failure": ("failure",), "branch": ("branch",)}


class Names:
    """The names of one program."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._routes: dict[tuple[str, str], str] = {}
        taken: set[str] = set()
        for route in program.routes():
            name = self._of(route)
            while name in taken:
                name += "_"
            taken.add(name)
            self._routes[route.kind, route.name] = name
        # Those without a number of their own take the free ones in order.
        self._flags: dict[str, int] = {}
        declared = [pair for d in program.declarations if isinstance(d, Flags) and not d.avp for pair in d.names]
        free = (n for n in range(32) if n not in {number for _, number in declared})
        for flag, number in declared:
            self._flags[flag] = next(free) if number is None else number
        #: Constants used so far, with their values as Python literals.
        self.constants: dict[str, str] = {}

    def route(self, kind: str, name: str) -> str | None:
        """The function of a route, None if the program has no such route."""
        return self._routes.get((kind, name))

    def flag(self, name: str) -> str | None:
        """A declared flag, as the constant of its name; None if none is declared so."""
        number = self._flags.get(name)
        if number is None or not name.isidentifier() or keyword.iskeyword(name):
            return None if number is None else str(number)
        self.constants.setdefault(name, str(number))
        return name

    def macro(self, node: Node) -> str | None:
        """The name that stands in the cfg where the preprocessor put this node, if one does."""
        place = node.place
        lines = self._program.sources.get(place.file, [])
        if place.line != place.end_line or not 1 <= place.line <= len(lines):
            return None
        word = lines[place.line - 1][place.column - 1 : place.end_column - 1]
        known = word in self._program.defines and word.isidentifier() and not keyword.iskeyword(word)
        return word if known else None

    @staticmethod
    def _of(route: Route) -> str:
        if route.kind == "event":
            return "ksr_event_" + re.sub(r"\W", "_", route.name)
        if not route.name:
            return MAIN.get(route.kind, f"ksr_{route.kind}_route")
        words = re.sub(r"\W+", "_", route.name.lower()).strip("_")
        for word in _KIND_WORDS.get(route.kind, ()):
            words = words.removesuffix(f"_{word}")
        return f"ksr_{PREFIX.get(route.kind, route.kind)}_{words}"
