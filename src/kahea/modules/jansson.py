"""JSON documents in variables: read, built and changed by path (Kamailio's module jansson).

A path has names between dots and indexes in brackets: `a.b[0].c`. A document is at most 4 MiB and 256 levels deep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kahea.routing.json_text import JsonError, Real, read, write
from kahea.routing.lists import Xavps, lists_of
from kahea.routing.module import Module, Value, function, native

if TYPE_CHECKING:
    from kahea.routing.pv.table import Pv
    from kahea.routing.run import Run

Step = str | int


class NoSuchPath(LookupError):
    """A path that leads nowhere in a document, or is none."""


def steps(path: str) -> list[Step]:
    """The names and indexes of a path. Raises NoSuchPath for what is none."""
    found: list[Step] = []
    at, end = 0, len(path)
    while at < end:
        if path[at] == "[":
            close = path.find("]", at)
            if close < 0:
                if at + 1 == end:
                    break  # Kamailio overlooks it
                raise NoSuchPath(path)
            digits = path[at + 1 : close].strip()
            if not digits.isdecimal():
                raise NoSuchPath(path)
            found.append(int(digits))
            at = close + 1
            if at < end and path[at] not in ".[":
                raise NoSuchPath(path)
        else:
            stop = min((i for i in (path.find(".", at), path.find("[", at)) if i >= 0), default=end)
            found.append(path[at:stop])
            at = stop
        if at < end and path[at] == ".":
            at += 1
    return found


def _fits(document: Any, step: Step) -> bool:
    """Whether a step can be taken into a document to set what is there: of an array, only to what it has."""
    if isinstance(step, str):
        return isinstance(document, dict)
    return isinstance(document, list) and step < len(document)


def look_up(document: Any, path: list[Step]) -> Any:
    """The value at a path. Raises NoSuchPath."""
    for step in path:
        if not _fits(document, step) or (isinstance(step, str) and step not in document):
            raise NoSuchPath(str(step))
        document = document[step]
    return document


def put(document: Any, path: list[Step], value: Any) -> None:
    """Set the value at a path; objects on the way to it are made. Raises NoSuchPath."""
    if not path:
        raise NoSuchPath("")
    for step in path[:-1]:
        if isinstance(step, str) and isinstance(document, dict):
            document = document.setdefault(step, {})
        else:
            document = look_up(document, [step])
    if not _fits(document, path[-1]):
        raise NoSuchPath(str(path[-1]))
    document[path[-1]] = value


def append(document: Any, path: list[Step], value: Any) -> None:
    """Append to the array at a path, or put an object's fields into the object there. Raises NoSuchPath."""
    if path and isinstance(path[-1], int):
        put(document, path, value)  # as Kamailio does it
        return
    target = look_up(document, path)
    if isinstance(target, list):
        target.append(value)
    elif isinstance(target, dict) and isinstance(value, dict):
        target.update(value)
    else:
        raise NoSuchPath("neither an array nor two objects")


def plain(value: Any) -> Value:
    """A value of a document as a variable has it: a number of more than 32 bits is a text there."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int) and not -(1 << 31) <= value < 1 << 31:
        return str(value)
    if value is None or isinstance(value, int | str):
        return value
    if isinstance(value, Real):
        return format(value, ".15g")
    return write(value)


def typed(kind: str, text: str) -> Any:
    """A value of a type by its name. Raises ValueError."""
    match kind:
        case "string" | "str":
            return text
        case "integer" | "int":
            number = int(text or "0")
            if not -(1 << 63) <= number < 1 << 63:
                raise ValueError(f"{text} does not fit into 64 bits")
            return number
        case "real":
            return Real(text or "0")
        case "true" | "false":
            return kind == "true"
        case "null":
            return None
        case "object" | "obj" | "array":
            value = read(text)
            if isinstance(value, list) != (kind == "array"):
                raise ValueError(f"{text:.100r} is no {kind}")
            return value
    raise ValueError(f"{kind!r} is no type of JSON")


class Jansson(Module):
    """JSON documents in variables: read, built and changed by path."""

    name = "jansson"

    def _find(self, path: str, document: str) -> Any:
        """The value at a path. Raises JsonError, NoSuchPath."""
        try:
            return look_up(read(document), steps(path))
        except JsonError as error:
            self.node.log.error("jansson: not JSON: %s: %.100r", error, document)
            raise

    # ---- reading

    @native("str", "str", "pv", name="jansson_get")
    def native_get(self, run: Run, path: str, document: str, destination: Pv) -> int:
        """Store the value at a path; -1 if there is none, or the text is no JSON."""
        try:
            return 1 if destination.set(run, plain(self._find(path, document))) else -1
        except (JsonError, NoSuchPath):
            return -1

    @native("str", "str", "pv", name="jansson_get_field")
    def native_get_field(self, run: Run, document: str, name: str, destination: Pv) -> int:
        """As jansson_get(), with the document first."""
        return self.native_get(run, name, document, destination)

    @native("str", "pv", "pv", name="jansson_pv_get")
    def native_pv_get(self, run: Run, path: str, source: Pv, destination: Pv) -> int:
        """As jansson_get(), from a variable."""
        value = source.get(run)
        return self.native_get(run, path, "" if value is None else str(value), destination)

    @native("str", "str", "pv", name="jansson_array_size")
    def native_array_size(self, run: Run, path: str, document: str, destination: Pv) -> int:
        """Store the length of the array at a path; -1 if there is none."""
        try:
            value = self._find(path, document)
        except (JsonError, NoSuchPath):
            return -1
        return 1 if isinstance(value, list) and destination.set(run, len(value)) else -1

    @function
    def get(self, run: Run, path: str, document: str, destination: str) -> int:
        """Store the value at a path in the variable named `destination`; -1 if there is none."""
        return self.native_get(run, path, document, self.node.variables.compile(destination))

    @function
    def get_field(self, run: Run, document: str, name: str, destination: str) -> int:
        """As `get`, with the document first."""
        return self.get(run, name, document, destination)

    @function
    def pv_get(self, run: Run, path: str, source: str, destination: str) -> int:
        """As `get`, from the variable named `source`."""
        compile_ = self.node.variables.compile
        return self.native_pv_get(run, path, compile_(source), compile_(destination))

    @function
    def array_size(self, run: Run, path: str, document: str, destination: str) -> int:
        """Store the length of the array at a path in the variable named `destination`; -1 if there is none."""
        return self.native_array_size(run, path, document, self.node.variables.compile(destination))

    # ---- changing

    @native("str", "str", "str", "pv", name="jansson_set")
    def native_set(self, run: Run, kind: str, path: str, value: str, result: Pv) -> int:
        """Set the value at a path of the document in `result`, which becomes one if it holds no text.

        `kind`: string, integer, real, object, array, true, false or null. -1 and no change if there is no such place.
        """
        return self._change(put, run, kind, path, value, result)

    @native("str", "str", "str", "pv", name="jansson_append")
    def native_append(self, run: Run, kind: str, path: str, value: str, result: Pv) -> int:
        """As jansson_set(), at the end of an array, or the fields of an object into another."""
        return self._change(append, run, kind, path, value, result)

    @function(name="set")
    def set_value(self, run: Run, kind: str, path: str, value: str, result: str) -> int:
        """Set the value at a path of the document in the variable named `result`; see jansson_set()."""
        return self.native_set(run, kind, path, value, self.node.variables.compile(result))

    @function(name="append")
    def append_value(self, run: Run, kind: str, path: str, value: str, result: str) -> int:
        """As `set`, at the end of an array, or the fields of an object into another."""
        return self.native_append(run, kind, path, value, self.node.variables.compile(result))

    def _change(self, how: Any, run: Run, kind: str, path: str, value: str, result: Pv) -> int:
        held = result.get(run)
        try:
            document = read(held) if isinstance(held, str) else {}
            how(document, steps(path), typed(kind, value))
            return 1 if result.set(run, write(document)) else -1
        except (ValueError, NoSuchPath) as error:
            self.node.log.error("jansson: %s can't be set in %.100r: %s", path or "the document", held, error)
            return -1

    # ---- XAVPs

    @native("str", "str", name="jansson_xdecode")
    @function
    def xdecode(self, run: Run, document: str, xavp: str) -> int:
        """Make an XAVP of an object, or one of each element of an array; what is nested is kept as JSON."""
        try:
            value = read(document)
        except JsonError as error:
            self.node.log.error("jansson: not JSON: %s: %.100r", error, document)
            return -1
        for each in value if isinstance(value, list) else [value]:
            fields = Xavps()
            if isinstance(each, dict):
                for name, item in each.items():
                    fields.push(name, plain(item))
            lists_of(run.msg).xavps.push(xavp, fields)
        return 1

    @native("str", "pv", name="jansson_xencode")
    def native_xencode(self, run: Run, xavp: str, result: Pv) -> int:
        """Store the fields of an XAVP as an object; -1 if there is none."""
        fields = lists_of(run.msg).xavps.get(xavp)
        if not isinstance(fields, Xavps):
            return -1
        made: dict[str, Any] = {}
        for item in reversed(fields.items):
            made[item.name] = f"<<xavp:{id(item.value):#x}>>" if isinstance(item.value, Xavps) else item.value
        return 1 if result.set(run, write(made, spaced=True)) else -1

    @function
    def xencode(self, run: Run, xavp: str, result: str) -> int:
        """Store the fields of an XAVP as an object in the variable named `result`; -1 if there is none."""
        return self.native_xencode(run, xavp, self.node.variables.compile(result))


MODULE = Jansson
