"""Fields of JSON documents (Kamailio's module json, which exports nothing to other languages)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from kahea.routing.json_text import JsonError, read_lenient, write_spaced
from kahea.routing.module import Module, Param, Value, function, native
from kahea.routing.pv.chain import Transformation, narrow, widen

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.pv.table import Pv
    from kahea.routing.run import Run


def _plain(value: Any) -> str:
    """A value as text: a string as it is, up to a NUL, all else as JSON."""
    return value.partition("\0")[0] if isinstance(value, str) else write_spaced(value)


#: The name of a step, then its indexes.
_STEP: Final = re.compile(r"\[\d{1,9}\]|(?:(?!\[\d{1,9}\]).)+")


def parse(document: str, path: str) -> Value:
    """The value at a path of names between dots, each with indexes or none (`a.b[0][1]`); None if
    there is none. (Kamailio 5.6 overlooks all indexes of a step but the first.)"""
    try:
        value = read_lenient(widen(document))
    except JsonError:
        return None
    for step in widen(path).split("."):
        name, *indexes = _STEP.findall(step) or [""]
        if not isinstance(value, dict):
            return None
        value = value.get(name)
        for index in indexes:
            number = int(index[1:-1])
            value = value[number] if isinstance(value, list) and number < len(value) else None
    return None if value is None else narrow(_plain(value))


TRANSFORMATIONS: Final = (
    Transformation("json.parse", parse, ("str",), doc="The value at a path (`a.b`) of a JSON document, $null if none."),
)


class Json(Module):
    """Fields of JSON documents."""

    name = "json"

    json_escape_char = Param("%", "A character of {json.parsex}.", inert="there is no {json.parsex}")

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        for transformation in TRANSFORMATIONS:
            node.variables.register_transformation(transformation)

    @native("str", "str", "pv", name="json_get_field")
    def native_field(self, run: Run, document: str, name: str, destination: Pv) -> int:
        """Store a field of an object, as JSON; -1 if there is none, or the text is no object."""
        value = self._field(document, name)
        return 1 if value is not None and destination.set(run, write_spaced(value)) else -1

    @native("str", "str", "pv", name="json_get_string")
    def native_string(self, run: Run, document: str, name: str, destination: Pv) -> int:
        """As json_get_field(), a string without its quotes."""
        value = self._field(document, name)
        return 1 if value is not None and destination.set(run, _plain(value)) else -1

    @function
    def get_field(self, run: Run, document: str, name: str, destination: str) -> int:
        """Store a field of an object, as JSON, in the variable named `destination`; -1 if there is no such field."""
        return self.native_field(run, document, name, self.node.variables.compile(destination))

    @function
    def get_string(self, run: Run, document: str, name: str, destination: str) -> int:
        """As `get_field`, a string without its quotes."""
        return self.native_string(run, document, name, self.node.variables.compile(destination))

    def _field(self, document: str, name: str) -> Any:
        try:
            value = read_lenient(document)
        except JsonError as error:
            self.node.log.error("json: not JSON: %s: %.100r", error, document)
            return None
        return value.get(name) if isinstance(value, dict) else None


MODULE = Json
