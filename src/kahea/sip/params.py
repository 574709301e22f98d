"""Generic parameters: `;name=value;flag`, and `name="value", name=value` (RFC 3261 §25.1).

The compiled parsers read what the core needs; this is for header bodies that only modules look at. One pass,
whatever the input: nothing here looks at a byte more than a fixed number of times.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kahea.sip.errors import ParseError

#: More parameters than this in one header body are refused.
MAX_PARAMS: Final = 4096

_TOKEN: Final = re.compile(rb"[A-Za-z0-9\-.!%*_+`'~]+")
# `name`, then optionally `= value`; the value is quoted, or runs to a separator or white space.
_PARAM: Final = re.compile(
    rb"[ \t\r\n]*([^\s;,=\"<>]+)[ \t\r\n]*(?:=[ \t\r\n]*(\"(?:[^\"\\]|\\.)*\"|[^\s;,\"]*))?[ \t\r\n]*",
    re.DOTALL,
)


def is_token(text: bytes) -> bool:
    """Whether the text is a token of RFC 3261 §25.1."""
    return _TOKEN.fullmatch(text) is not None


def unquote(text: bytes) -> bytes:
    """The content of a quoted string, quoted pairs resolved; other text as it is."""
    if len(text) < 2 or text[:1] != b'"' or text[-1:] != b'"':
        return text
    inner = text[1:-1]
    return re.sub(rb"\\(.)", rb"\1", inner, flags=re.DOTALL) if b"\\" in inner else inner


def quote(text: bytes) -> bytes:
    """The text as a quoted string. Line ends can't be quoted: they become spaces."""
    clean = text.replace(b"\r", b" ").replace(b"\n", b" ")
    return b'"' + clean.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def iter_params(data: bytes, separator: bytes = b";") -> Iterator[tuple[bytes, bytes | None]]:
    """Yield (name, value) in order: the value as written, quotes kept, None for a bare name.

    Names keep their case. A leading separator is allowed, an empty parameter is not. Raises ParseError.
    """
    pos = _skip_space(data, 0)
    if data[pos : pos + 1] == separator:
        pos += 1
    count = 0
    while pos < len(data):
        found = _PARAM.match(data, pos)
        if found is None:
            raise ParseError("Bad Parameter", 400, pos)
        count += 1
        if count > MAX_PARAMS:
            raise ParseError("Too Many Parameters", 400, pos)
        yield found[1], found[2]
        pos = found.end()
        if pos < len(data):
            if data[pos : pos + 1] != separator:
                raise ParseError("Bad Parameter", 400, pos)
            pos += 1
            if _skip_space(data, pos) == len(data):
                raise ParseError("Empty Parameter", 400, pos)


def parse_params(data: bytes, separator: bytes = b";") -> dict[bytes, bytes]:
    """The parameters by lower-case name, values without quotes, b"" for a bare name.

    The first of a repeated name counts. Raises ParseError.
    """
    out: dict[bytes, bytes] = {}
    for name, value in iter_params(data, separator):
        out.setdefault(name.lower(), b"" if value is None else unquote(value))
    return out


def split_value(data: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """Split `value;params` (Content-Type, Event): the value trimmed, its parameters. Raises ParseError."""
    value, separator, rest = data.partition(b";")
    return value.strip(), parse_params(rest) if separator else {}


def format_params(params: dict[bytes, bytes | None], separator: bytes = b";") -> bytes:
    """`;name=value` for each, quoted where the value is no token (or host); a bare name for None."""
    out = []
    for name, value in params.items():
        if value is None:
            out.append(separator + name)
        elif value and re.fullmatch(rb"[A-Za-z0-9\-.!%*_+`'~\[\]:]+", value):
            out.append(separator + name + b"=" + value)
        else:
            out.append(separator + name + b"=" + quote(value))
    return b"".join(out)


def _skip_space(data: bytes, pos: int) -> int:
    while pos < len(data) and data[pos] in b" \t\r\n":
        pos += 1
    return pos
