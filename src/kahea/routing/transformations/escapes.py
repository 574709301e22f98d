"""`{s.escape....}` and their inverses, and `{val....}` and `{num....}`."""

from __future__ import annotations

import re
from collections.abc import Callable

from kahea.routing.module import Value
from kahea.routing.pv.chain import Transformation

_ALPHANUMERIC = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_MARK = "-_.!~*'()"
_USER = frozenset(_ALPHANUMERIC + _MARK + "&=+$,;?")  # RFC 3261 §25.1: user, but for "/", escaped here
_PARAM = frozenset(_ALPHANUMERIC + _MARK + "[]/:&+$")  # RFC 3261 §25.1: paramchar
_QUERY = frozenset(_ALPHANUMERIC + "-_.~")  # RFC 3986 §2.3
_HEX_PAIR = re.compile(r"%([0-9a-fA-F]{2})")
_COMMON = {"'": "\\'", '"': '\\"', "\\": "\\\\", "\0": "\\0"}
_COMMON_BACK = {"'": "'", '"': '"', "\\": "\\", "0": "\0"}
_JSON = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _percent(allowed: frozenset[str]) -> Callable[[str], Value]:
    """Escape what is not allowed; control characters and bytes beyond ASCII have no place there."""

    def apply(text: str) -> Value:
        out = []
        for char in text:
            if char in allowed:
                out.append(char)
            elif " " <= char <= "~":
                out.append(f"%{ord(char):02x}")
            else:
                return None
        return "".join(out)

    return apply


def _unpercent(text: str) -> Value:
    """Undo the escapes; any that is not two digits, or stands for a control character, is an error."""
    out = []
    at = 0
    while at < len(text):
        char = text[at]
        if char == "%":
            pair = text[at + 1 : at + 3]
            if _HEX_PAIR.fullmatch("%" + pair) is None or not 32 <= int(pair, 16) <= 126:
                return None
            char = chr(int(pair, 16))
            at += 2
        out.append(char)
        at += 1
    return "".join(out)


def _url_encode(text: str) -> Value:
    return "".join(c if c in _QUERY else f"%{ord(c):02x}" for c in text)


def _url_decode(text: str) -> Value:
    return _HEX_PAIR.sub(lambda m: chr(int(m[1], 16)), text.replace("+", " "))


def _escape_common(text: str) -> Value:
    return "".join(_COMMON.get(c, c) for c in text)


def _unescape_common(text: str) -> Value:
    return re.sub(r"\\(['\"\\0])", lambda m: _COMMON_BACK[m[1]], text)


def _escape_crlf(text: str) -> Value:
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _unescape_crlf(text: str) -> Value:
    return text.replace("\\r", "\r").replace("\\n", "\n")


def _escape_csv(text: str) -> Value:
    return '"' + text.replace('"', '""') + '"'


def _json_text(text: str) -> str:
    return "".join(_JSON.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in text)


def _json(value: Value) -> Value:
    """A JSON string's inside; empty for null."""
    return "" if value is None else _json_text(value) if isinstance(value, str) else value


def _json_quoted(value: Value) -> Value:
    """A JSON value: a number as it is, a text with its quotes, null as an empty text."""
    if value is None:
        return '""'
    return f'"{_json_text(value)}"' if isinstance(value, str) else value


def _digit(index: int) -> Callable[[Value], Value]:
    """A digit of a number; 0 for what is none."""
    return lambda value: int(str(abs(value))[index]) if isinstance(value, int) else 0


ESCAPES: tuple[Transformation, ...] = (
    Transformation("s.escape.common", _escape_common),
    Transformation("s.unescape.common", _unescape_common),
    Transformation("s.escape.crlf", _escape_crlf),
    Transformation("s.unescape.crlf", _unescape_crlf),
    Transformation("s.escape.csv", _escape_csv),
    Transformation("s.escape.user", _percent(_USER)),
    Transformation("s.unescape.user", _unpercent),
    Transformation("s.escape.param", _percent(_PARAM)),
    Transformation("s.unescape.param", _unpercent),
    Transformation("s.urlencode.param", _url_encode),
    Transformation("s.urldecode.param", _url_decode),
    Transformation("val.json", _json, null=True),
    Transformation("val.jsonqe", _json_quoted, null=True),
    Transformation("val.n0", lambda value: 0 if value is None else value, null=True),
    Transformation("val.ne", lambda value: "" if value is None else value, null=True),
    Transformation("num.fdigit", _digit(0), null=True),
    Transformation("num.ldigit", _digit(-1), null=True),
)
