"""Squirrel's string library: `format`, `split`, `strip` and their kin, and the class `regexp`."""

from __future__ import annotations

import re
from typing import Any, Final

from kahea.engines.squirrel.runtime import numbers
from kahea.engines.squirrel.runtime.errors import Thrown
from kahea.engines.squirrel.runtime.limits import checked_length
from kahea.engines.squirrel.runtime.parameters import checked
from kahea.engines.squirrel.runtime.regexp import Expression
from kahea.engines.squirrel.runtime.values import Array, Class, Instance, Table, type_name

_SPACES: Final = " \t\n\v\f\r"
_FIELD: Final = re.compile(r"%%|%([-+ #0]*)(\d*)(?:(\.)(\d*))?(.?)", re.DOTALL)
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "'": "\\'", "\0": "\\0"}


def _format(_this: Any, pattern: str, *args: Any) -> str:
    left = list(args)

    def field(match: re.Match[str]) -> str:
        if match.group() == "%%":
            return "%"
        if not left:
            raise Thrown("not enough parameters for the given format string")
        flags, width, point, precision, kind = match.groups("")
        if len(width) > 2:
            raise Thrown("width format too long")
        if len(precision) > 2:
            raise Thrown("precision format too long")
        if len(flags) > 14:
            raise Thrown("format too long")
        return _formatted(flags, width, point, precision, kind, left.pop(0))

    return checked_length(_FIELD.sub(field, pattern))


def _formatted(flags: str, width: str, point: str, precision: str, kind: str, value: Any) -> str:
    exact = point + precision
    if kind == "s":
        if type(value) is not str:
            raise Thrown("string expected for the specified format")
        text = value.partition("\0")[0]
        flags = flags.replace("0", "")
        return f"%{flags}{width}{exact}s" % text
    if kind and kind in "diouxXc":
        if type(value) not in (int, float):
            raise Thrown("integer expected for the specified format")
        number = numbers.to_integer(value)
        if kind == "c":
            return f"%{flags.replace('0', '')}{width}s" % chr(number & 255)
        if kind in "ouxX":
            number &= 0xFFFFFFFFFFFFFFFF
            if kind == "o" and "#" in flags:
                flags, octal = flags.replace("#", ""), f"0{number:o}" if number else "0"
                return f"%{flags.replace('0', '')}{width}s" % octal
            if not number:
                flags = flags.replace("#", "")
            kind = "d" if kind == "u" else kind
        if point:
            flags = flags.replace("0", "")
        return f"%{flags}{width}{exact}{kind}" % number
    if kind and kind in "fgGeE":
        if type(value) not in (int, float):
            raise Thrown("float expected for the specified format")
        return f"%{flags}{width}{exact}{kind}" % numbers.single(float(value))
    raise Thrown("invalid format")


def _strip(_this: Any, text: str) -> str:
    return _lstrip(None, _rstrip(None, text))


def _lstrip(_this: Any, text: str) -> str:
    return text.lstrip(_SPACES)


def _rstrip(_this: Any, text: str) -> str:
    return text.rstrip(_SPACES)


def _split(_this: Any, text: str, separators: str) -> Array:
    if not separators:
        raise Thrown("empty separators string")
    parts = Array(re.split(f"[{re.escape(separators)}]", text.partition("\0")[0]))
    if not parts[-1]:
        parts.pop()
    return parts


def _escape(_this: Any, text: str) -> str:
    def one(match: re.Match[str]) -> str:
        found = match.group()
        return _ESCAPES.get(found) or f"\\x{ord(found):02x}"

    return re.sub(r"[^ -~]|[\\\"']", one, text)


def _startswith(_this: Any, text: str, start: str) -> bool:
    return text.startswith(start)


def _endswith(_this: Any, text: str, end: str) -> bool:
    return text.endswith(end)


# ---- regexp


def _constructor(this: Instance, pattern: str) -> None:
    this.payload = Expression(pattern)


def _expression(this: Any) -> Expression:
    if type(this) is not Instance or not isinstance(getattr(this, "payload", None), Expression):
        raise Thrown(f"parameter 0 has an invalid type '{type_name(this)}' ; expected: 'instance'")
    found: Expression = this.payload
    return found


def _span(begin: int, end: int) -> Table:
    return Table({"begin": begin, "end": end})


def _search(this: Any, text: str, start: Any = 0) -> Table | None:
    found = _expression(this).search(text, numbers.to_integer(start))
    return None if found is None else _span(*found[0])


def _capture(this: Any, text: str, start: Any = 0) -> Array | None:
    found = _expression(this).search(text, numbers.to_integer(start))
    return None if found is None else Array(_span(*span) for span in found)


def _match(this: Any, text: str) -> bool:
    return _expression(this).matches(text)


def _subexpcount(this: Any) -> int:
    return _expression(this).groups


def _typeof(_this: Any) -> str:
    return "regexp"


def _regexp() -> Class:
    made = Class()
    made.add("constructor", checked("s", _constructor))
    made.add("search", checked("sn", _search))
    made.add("capture", checked("sn", _capture))
    made.add("match", checked("s", _match))
    made.add("subexpcount", _subexpcount)
    made.add("_typeof", _typeof)
    return made


def string_library() -> dict[str, Any]:
    """What a root table has of it."""
    return {
        "format": checked("s", _format),
        "strip": checked("s", _strip),
        "lstrip": checked("s", _lstrip),
        "rstrip": checked("s", _rstrip),
        "split": checked("ss", _split),
        "escape": checked("s", _escape),
        "startswith": checked("ss", _startswith),
        "endswith": checked("ss", _endswith),
        "regexp": _regexp(),
    }
