"""A small line model of SDP (RFC 8866): enough to ask about sessions and media, and to change a few lines.

Lines keep their order and bytes: what is not changed is written back as it was read. Nothing here validates
values that it does not need.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from kahea.sip.errors import ParseError

#: More lines, or media descriptions, than these are refused or, where only a few lines matter, not looked at.
MAX_LINES: Final = 2048
MAX_MEDIA: Final = 64

DIRECTIONS: Final = (b"sendrecv", b"sendonly", b"recvonly", b"inactive")


class Line(NamedTuple):
    """A line without its end, and where it stands, end and all, in the data that it was found in."""

    text: bytes
    start: int
    end: int


def lines_between(data: bytes, start: int, end: int) -> Iterator[Line]:
    """The first `MAX_LINES` lines of a part of some data."""
    at = start
    for _ in range(MAX_LINES):
        if at >= end:
            return
        newline = data.find(b"\n", at, end)
        stop = end if newline < 0 else newline + 1
        yield Line(data[at:stop].rstrip(b"\r\n"), at, stop)
        at = stop


@dataclass(slots=True)
class Connection:
    """A `c=` line's address: `IN IP4 192.0.2.1` (with TTL and count cut off)."""

    net_type: bytes
    addr_type: bytes
    address: bytes


class _Lines:
    """Lines `x=value` of one section."""

    lines: list[tuple[bytes, bytes]]

    def first(self, kind: bytes) -> bytes | None:
        """The value of the first line of a kind (`c`, `b`, ...)."""
        return next((value for key, value in self.lines if key == kind), None)

    def values(self, kind: bytes) -> list[bytes]:
        """The values of all lines of a kind."""
        return [value for key, value in self.lines if key == kind]

    def attributes(self) -> Iterator[tuple[bytes, bytes | None]]:
        """(name, value) of each `a=` line, None for a flag."""
        for key, value in self.lines:
            if key == b"a":
                name, colon, rest = value.partition(b":")
                yield name, rest if colon else None

    def attribute(self, name: bytes) -> bytes | None:
        """The value of the first attribute of that name, b"" for a flag, None if absent."""
        return next((value or b"" for key, value in self.attributes() if key == name), None)

    @property
    def connection(self) -> Connection | None:
        """The section's own `c=` line, None if it has none or it does not parse."""
        value = self.first(b"c")
        if value is None:
            return None
        words = value.split()
        if len(words) != 3:
            return None
        return Connection(words[0], words[1].upper(), words[2].partition(b"/")[0])

    def own_direction(self) -> bytes | None:
        """The section's own direction attribute."""
        return next((name for name, _ in self.attributes() if name in DIRECTIONS), None)


@dataclass(slots=True)
class Media(_Lines):
    """One `m=` section. `port` 0 means that the stream is refused or withdrawn (RFC 3264 §6)."""

    kind: bytes  # audio, video, ...
    port: int
    port_count: int
    protocol: bytes
    formats: list[bytes]
    lines: list[tuple[bytes, bytes]] = field(default_factory=list)  # those after the m= line


@dataclass(slots=True)
class Session(_Lines):
    """A session description."""

    lines: list[tuple[bytes, bytes]] = field(default_factory=list)  # those before the first m= line
    media: list[Media] = field(default_factory=list)

    def connection_of(self, media: Media) -> Connection | None:
        """The address for a stream: its own, else the session's."""
        return media.connection or self.connection

    def direction_of(self, media: Media) -> bytes:
        """The stream's direction: its own, else the session's, else sendrecv (RFC 3264 §5.1)."""
        return media.own_direction() or self.own_direction() or b"sendrecv"

    def is_on_hold(self, media: Media) -> bool:
        """Held by direction (RFC 3264 §8.4) or by the null address; a stream on port 0 is not held."""
        if media.port == 0:
            return False
        if self.direction_of(media) in (b"sendonly", b"inactive"):
            return True
        connection = self.connection_of(media)
        return connection is not None and connection.address in (b"0.0.0.0", b"::")

    def is_audio_on_hold(self) -> bool:
        """Whether any audio stream is held, as Kamailio's function of this name has it.

        Unlike `is_on_hold`, a direction of the session holds a stream whatever its own is, a stream on port 0
        counts, and only IPv4 has a null address.
        """
        held = (b"sendonly", b"inactive")
        whole = self.own_direction() in held
        for media in self.media:
            if media.kind == b"audio":
                connection = self.connection_of(media)
                null = connection is not None and connection.address == b"0.0.0.0"
                if whole or null or media.own_direction() in held:
                    return True
        return False

    def addresses(self) -> list[bytes]:
        """Each different connection address, in order."""
        found = [self.connection, *(m.connection for m in self.media)]
        return list(dict.fromkeys(c.address for c in found if c is not None))

    def format(self) -> bytes:
        """The description as text, with CRLF line ends."""
        out = [key + b"=" + value for key, value in self.lines]
        for media in self.media:
            port = b"%d/%d" % (media.port, media.port_count) if media.port_count != 1 else b"%d" % media.port
            out.append(b"m=" + b" ".join([media.kind, port, media.protocol, *media.formats]))
            out += [key + b"=" + value for key, value in media.lines]
        return b"".join(line + b"\r\n" for line in out)


def parse_sdp(data: bytes) -> Session:
    """Read a session description with CRLF or LF line ends. Raises ParseError."""
    if data.count(b"\n") > MAX_LINES:
        raise ParseError("Too Many SDP Lines")
    session = Session()
    into = session.lines
    for line in data.split(b"\n"):
        text = line.rstrip(b"\r")
        if not text.strip():
            continue
        if len(text) < 2 or text[1:2] != b"=" or not text[:1].isalpha():
            raise ParseError("Bad SDP Line")
        key, value = text[:1], text[2:]
        if key == b"m":
            media = _parse_media(value)
            session.media.append(media)
            if len(session.media) > MAX_MEDIA:
                raise ParseError("Too Many SDP Media")
            into = media.lines
        else:
            into.append((key, value))
    if not session.lines or session.lines[0] != (b"v", b"0"):
        raise ParseError("Bad SDP Version")
    return session


def _parse_media(value: bytes) -> Media:
    words = value.split()
    if len(words) < 3:
        raise ParseError("Bad SDP Media Line")
    port, slash, count = words[1].partition(b"/")
    if not _is_number(port, 65535) or (slash and not _is_number(count, 65535)):
        raise ParseError("Bad SDP Port")
    return Media(words[0].lower(), int(port), int(count) if slash else 1, words[2], words[3:])


def _is_number(text: bytes, limit: int) -> bool:
    return 0 < len(text) <= 10 and text.isdigit() and int(text) <= limit
