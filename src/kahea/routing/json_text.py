"""JSON for scripts: read with bounds on size and depth, and written as the C libraries that Kamailio uses write it.

Text goes in and comes out as scripts hold it. What can't be read raises JsonError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

#: The most that is read, in characters, and how deep it may nest.
MAX_TEXT: Final = 4 << 20
MAX_DEPTH: Final = 256

_OPENED: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{\]}]')
_SPECIAL: Final = re.compile(r'["\\\x00-\x1f]')
_SPECIAL_SLASH: Final = re.compile(r'["\\/\x00-\x1f]')
_SHORT: Final = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class JsonError(ValueError):
    """A text that is no JSON, or too much of it."""


class Real(float):
    """A number with a fraction or an exponent, and how it was written."""

    text: str

    def __new__(cls, text: str) -> Real:
        made = super().__new__(cls, text)
        made.text = text
        return made


def check_bounds(text: str) -> None:
    """Raise JsonError for a text that is too long or nests too deep."""
    if len(text) > MAX_TEXT:
        raise JsonError(f"more than {MAX_TEXT} characters")
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for found in _OPENED.finditer(text):
        if found[0] in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise JsonError(f"nested deeper than {MAX_DEPTH}")
        elif found[0] in "]}":
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise JsonError("a name is there twice")
    return made


def _integer(text: str) -> int:
    if len(text) > 20 or not -(1 << 63) <= (number := int(text)) < 1 << 63:
        raise JsonError(f"{text:.30} does not fit into 64 bits")
    return number


def _real(text: str) -> Real:
    number = Real(text)
    if number in (float("inf"), float("-inf")):
        raise JsonError(f"{text:.30} is too large")
    return number


def _constant(name: str) -> Any:
    raise JsonError(f"{name} is no JSON")


_STRICT: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_real, parse_constant=_constant
)
_LENIENT: Final = json.JSONDecoder(parse_int=int, parse_float=Real, parse_constant=_constant)


def read(text: str) -> Any:
    """A document, as libjansson takes it: an object or an array, nothing behind it, no name twice. Raises JsonError."""
    check_bounds(text)
    try:
        if not text.isascii():
            text.encode()  # raises for bytes that are no UTF-8
        value = _STRICT.decode(text)
        if not isinstance(value, dict | list):
            raise JsonError("neither an object nor an array")
        if "\\u" in text:
            _check_escapes(value)
    except JsonError:
        raise
    except (ValueError, RecursionError) as error:
        raise JsonError(str(error)) from None
    return value


def _check_escapes(value: Any) -> None:
    """Refuse what escapes can make that no text of a message may hold: NUL, and halves of characters."""
    if isinstance(value, str):
        if "\0" in value:
            raise JsonError("\\u0000 is not allowed")
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise JsonError("half of a surrogate pair")
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_escapes(name)
            _check_escapes(item)
    elif isinstance(value, list):
        for item in value:
            _check_escapes(item)


_QUOTED: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'((?:[^'\\]|\\.)*)'", re.DOTALL)


def read_lenient(text: str) -> Any:
    """A document as json-c takes it: strings may stand in single quotes, anything may follow, of names that are there
    twice the last counts. Raises JsonError."""
    check_bounds(text)
    text = text.lstrip(" \t\r\n")
    try:
        if "'" in text:
            text = _QUOTED.sub(_double, text)
        return _LENIENT.raw_decode(text)[0]
    except (ValueError, RecursionError) as error:
        raise JsonError(str(error)) from None


def _double(found: re.Match[str]) -> str:
    inner = found[1]
    if inner is None:
        return found[0]
    return '"' + inner.replace("\\'", "'").replace('"', '\\"') + '"'


def quoted(text: str, *, slash: bool = False, upper: bool = True) -> str:
    """A string of JSON; `slash`: with `/` escaped."""
    pattern = _SPECIAL_SLASH if slash else _SPECIAL
    if pattern.search(text) is None:
        return f'"{text}"'
    code = "\\u{:04X}" if upper else "\\u{:04x}"
    return '"' + pattern.sub(lambda found: _SHORT.get(found[0]) or code.format(ord(found[0])), text) + '"'


def write(value: Any, *, spaced: bool = False) -> str:
    """A document as libjansson writes it: `{"a":1,"b":[true,null]}`, or with a space behind commas and colons."""
    space = " " if spaced else ""
    return _written(value, quoted, _seventeen, "{%s}", "[%s]", f",{space}", f":{space}")


def write_spaced(value: Any) -> str:
    """A document as json-c writes it: `{ "a": 1, "b": [ true, null ] }`."""
    return _written(value, _quoted_slash, _as_it_was, "{ %s }", "[ %s ]", ", ", ": ")


def write_plain(value: Any) -> str:
    """A document as cJSON writes it without spaces: `{"a":1,"b":[true,null]}`."""
    return _written(value, _quoted_lower, _seventeen, "{%s}", "[%s]", ",", ":")


def write_indented(value: Any, depth: int = 0) -> str:
    """A document as cJSON writes it for people: an entry a line, behind tabs, and lists in a line."""
    if isinstance(value, list):
        return "[" + ", ".join(write_indented(item, depth + 1) for item in value) + "]"
    if not isinstance(value, dict):
        return write_plain(value)
    tabs = "\t" * depth
    entries = [f"{tabs}\t{_quoted_lower(name)}:\t{write_indented(item, depth + 1)}" for name, item in value.items()]
    return "{\n" + ",\n".join(entries) + ("\n" if entries else "") + tabs + "}"


def _written(
    value: Any,
    string: Callable[[str], str],
    real: Callable[[float], str],
    object_: str,
    array: str,
    comma: str,
    colon: str,
) -> str:
    if isinstance(value, str):
        return string(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return real(value)
    rest = string, real, object_, array, comma, colon
    if isinstance(value, dict):
        parts = comma.join(f"{string(name)}{colon}{_written(item, *rest)}" for name, item in value.items())
        return object_ % parts if parts else object_.replace("%s ", "").replace("%s", "")
    parts = comma.join(_written(item, *rest) for item in value)
    return array % parts if parts else array.replace("%s ", "").replace("%s", "")


def _quoted_lower(text: str) -> str:
    return quoted(text, upper=False)


def _quoted_slash(text: str) -> str:
    return quoted(text, slash=True, upper=False)


def _as_it_was(value: float) -> str:
    return value.text if isinstance(value, Real) else repr(value)


def _seventeen(value: float) -> str:
    """A real as libjansson has it: 17 digits, and always something that shows that it is one."""
    text = format(value, ".17g")
    if "e" not in text:
        return text if "." in text else text + ".0"
    digits, _, exponent = text.partition("e")
    return f"{digits}e{int(exponent)}"


__all__ = [
    "MAX_DEPTH",
    "MAX_TEXT",
    "JsonError",
    "Real",
    "quoted",
    "read",
    "read_lenient",
    "write",
    "write_indented",
    "write_plain",
    "write_spaced",
]
