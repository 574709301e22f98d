"""Message bodies: content types, and multipart bodies split and joined (RFC 2046 §5.1, RFC 5621)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from kahea.sip.errors import ParseError
from kahea.sip.params import split_value

#: More parts than this in one body are refused.
MAX_PARTS: Final = 64
#: A multipart inside of a multipart counts as a level; deeper ones are left whole.
MAX_DEPTH: Final = 4


@dataclass(frozen=True, slots=True)
class ContentType:
    """A media type, in lower case, and its parameters."""

    main: bytes
    sub: bytes
    params: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def is_multipart(self) -> bool:
        """Whether the body is a list of parts."""
        return self.main == b"multipart"

    def matches(self, pattern: bytes) -> bool:
        """Whether `pattern` (`type/subtype`, `type/*` or `*/*`, any case) covers this type."""
        main, _, sub = pattern.strip().lower().partition(b"/")
        return main in (b"*", self.main) and sub in (b"*", self.sub)


def parse_content_type(data: bytes) -> ContentType:
    """Read the body of a Content-Type header. Raises ParseError."""
    value, params = split_value(data)
    main, slash, sub = value.partition(b"/")
    main, sub = main.strip().lower(), sub.strip().lower()
    if not slash or not main or not sub or b" " in main + sub:
        raise ParseError("Bad Content-Type")
    return ContentType(main, sub, params)


@dataclass(slots=True)
class Part:
    """One part: its header lines as they stand (each with its line end) and its content, both untouched.

    `start` is where the content begins in the body that it was split from.
    """

    head: bytes
    content: bytes
    start: int = field(default=0, compare=False)

    def header(self, name: bytes) -> bytes | None:
        """The trimmed body of the first header of that name, any case; folding kept."""
        wanted = name.lower()
        lines = self.head.split(b"\n")
        for index, line in enumerate(lines):
            key, colon, value = line.partition(b":")
            if colon and line[:1] not in b" \t" and key.strip().lower() == wanted:
                rest = [value]
                for more in lines[index + 1 :]:
                    if more[:1] not in (b" ", b"\t"):
                        break
                    rest.append(more)
                return b"\n".join(rest).strip()
        return None

    @property
    def content_type(self) -> ContentType:
        """Its type; text/plain where it does not say (RFC 2046 §5.2). Raises ParseError."""
        found = self.header(b"Content-Type")
        return parse_content_type(found) if found else ContentType(b"text", b"plain")


def split_multipart(body: bytes, boundary: bytes) -> list[Part]:
    """The parts of a multipart body, byte for byte; preamble and epilogue are left out.

    Raises ParseError where the boundary is missing or the last one does not close. Linear in the body's size.
    """
    if not 1 <= len(boundary) <= 70:
        raise ParseError("Bad Multipart Boundary")
    mark = b"--" + boundary
    return [_split_part(body[start:end], start) for start, end in _between_delimiters(body, mark)]


def _between_delimiters(body: bytes, mark: bytes) -> list[tuple[int, int]]:
    pieces: list[tuple[int, int]] = []
    start = -1  # of the content of the part in progress
    pos = 0 if body.startswith(mark) else _next_delimiter(body, mark, 0)
    while pos >= 0:
        if start >= 0:
            end = pos - 2 if body[pos - 2 : pos] == b"\r\n" else pos - 1
            pieces.append((start, max(start, end)))
            if len(pieces) > MAX_PARTS:
                raise ParseError("Too Many Body Parts", 413)
        after = pos + len(mark)
        line_end = body.find(b"\n", after)
        rest = body[after : line_end if line_end >= 0 else len(body)].strip()
        if rest == b"--":
            return pieces
        if rest or line_end < 0:
            raise ParseError("Bad Multipart Delimiter", 400, pos)
        start = line_end + 1
        pos = start if body.startswith(mark, start) else _next_delimiter(body, mark, start)
    raise ParseError("Unterminated Multipart Body")


def _next_delimiter(body: bytes, mark: bytes, start: int) -> int:
    """Where the next line begins that is a delimiter: the boundary, closed or not, and white space."""
    pos = start
    while True:
        found = body.find(b"\n" + mark, max(pos - 1, 0))
        if found < 0:
            return -1
        after = found + 1 + len(mark)
        if body[after : after + 1] in (b"", b"\r", b"\n", b" ", b"\t") or body[after : after + 2] == b"--":
            return found + 1
        pos = after


def _split_part(piece: bytes, start: int) -> Part:
    if piece.startswith(b"\r\n"):
        return Part(b"", piece[2:], start + 2)
    if piece.startswith(b"\n"):
        return Part(b"", piece[1:], start + 1)
    ends = [(i, len(e)) for e in (b"\r\n\r\n", b"\n\n") if (i := piece.find(e)) >= 0]
    if not ends:
        return Part(piece + b"\r\n", b"", start + len(piece)) if piece else Part(b"", b"", start)
    at, size = min(ends)
    return Part(piece[: at + size // 2], piece[at + size :], start + at + size)


def find_part(body: bytes, content_type: bytes, wanted: bytes) -> bytes | None:
    """The first content of a type (`application/sdp`) in a body, looking into multiparts; None without one.

    Never raises: a body that can't be read has no such part.
    """
    found = locate_part(body, content_type, wanted)
    return None if found is None else body[found[0] : found[1]]


def locate_part(body: bytes, content_type: bytes, wanted: bytes, depth: int = 0) -> tuple[int, int] | None:
    """As `find_part`: where in the body that content begins and ends."""
    try:
        kind = parse_content_type(content_type)
        if kind.matches(wanted):
            return 0, len(body)
        if not kind.is_multipart or depth >= MAX_DEPTH:
            return None
        parts = split_multipart(body, kind.params.get(b"boundary", b""))
    except ParseError:
        return None
    for part in parts:
        found = locate_part(part.content, part.header(b"Content-Type") or b"text/plain", wanted, depth + 1)
        if found is not None:
            return part.start + found[0], part.start + found[1]
    return None


def new_boundary(parts: Iterable[Part] = ()) -> bytes:
    """A boundary that stands in none of the parts."""
    content = [part.head + part.content for part in parts]
    while True:
        boundary = b"kahea-" + secrets.token_hex(12).encode()
        if not any(boundary in text for text in content):
            return boundary


def join_multipart(parts: Iterable[Part], boundary: bytes) -> bytes:
    """A multipart body of the parts, with CRLF line ends between them."""
    out = []
    for part in parts:
        out.append(b"--" + boundary + b"\r\n" + part.head + b"\r\n" + part.content + b"\r\n")
    return b"".join(out) + b"--" + boundary + b"--\r\n"
