"""Where things stand in the session description of a message: addresses, ports, the lines about RTCP and ICE.

For who replaces just these, and leaves all else byte for byte; `sdp` reads what a description says. What is accepted is
what Kamailio takes for a description: every session with an origin, every stream with a port and an address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from kahea.sip.body import locate_part
from kahea.sip.errors import ParseError
from kahea.sip.sdp import MAX_LINES, MAX_MEDIA, Line, lines_between

if TYPE_CHECKING:
    from kahea.sip.message import Message

SDP: Final = b"application/sdp"

_ADDRESS: Final = re.compile(rb"\b(IP[46]) +(\S+)")
_MEDIA: Final = re.compile(rb"m=(\S+) +(\S+) +(\S+) *(.*)")
_RTCP: Final = b"a=rtcp:"
_CANDIDATE: Final = b"a=candidate:"
_NULL: Final = (b"0.0.0.0", b"::")


class Span(NamedTuple):
    """A piece of the message."""

    start: int
    end: int


@dataclass(slots=True)
class Address:
    """The address of a `c=` or `o=` line; `kind` is IP4 or IP6."""

    kind: bytes
    text: bytes
    kind_at: Span
    text_at: Span

    @property
    def is_null(self) -> bool:
        """Whether it is the address of a stream on hold (RFC 2543)."""
        return self.text in _NULL


@dataclass(slots=True)
class Stream:
    """One `m=` line and what follows it. `own` is its own address, without which the section's counts."""

    kind: bytes
    port: bytes
    port_at: Span
    protocol: bytes
    formats: bytes
    own: Address | None = None
    rtcp_at: Span | None = None
    last_candidate: int | None = None

    @property
    def payloads(self) -> bytes | None:
        """The payload types as a relay is told them, by commas; None for what is no RTP."""
        protocol = self.protocol.upper()
        if not self.formats or len(protocol) < 3 or (protocol.startswith(b"UDP") and b"RTP/" not in protocol):
            return None
        numbers = re.sub(rb"[^0-9 ]", b"", self.formats)
        return re.sub(rb" +", b",", numbers).rstrip(b",")


@dataclass(slots=True)
class Section:
    """A session: what stands before its first `m=` line, and its streams."""

    origin: Address | None = None
    connection: Address | None = None
    streams: list[Stream] = field(default_factory=list)

    def address_of(self, stream: Stream) -> Address:
        """Where a stream is to be sent. Every stream of a description that was read has such an address."""
        found = stream.own or self.connection
        assert found is not None
        return found


@dataclass(slots=True)
class Description:
    """A message's session description; `end` is behind its last line's text."""

    sections: list[Section]
    lines: list[Line]
    end: int

    def has_line(self, beginning: bytes) -> bool:
        """Whether a line begins so."""
        return any(line.text.startswith(beginning) for line in self.lines)


def find_sdp(msg: Message) -> Span | None:
    """Where a message has its session description: as its body, or as a part of that."""
    try:
        found = locate_part(msg.body, msg.content_type, SDP)
    except ParseError:
        return None
    if found is None or found[0] == found[1]:
        return None
    return Span(msg.body_start + found[0], msg.body_start + found[1])


def has_description(msg: Message) -> bool:
    """Whether a message has a session description that can be read."""
    at = find_sdp(msg)
    if at is None:
        return False
    try:
        read_description(msg, at)
    except ParseError:
        return False
    return True


def read_description(msg: Message, at: Span) -> Description:
    """Read a description. Raises ParseError where a session lacks its origin, or a stream its port or address."""
    raw = msg.raw
    lines = list(lines_between(raw, at.start, at.end))
    if len(lines) == MAX_LINES:
        raise ParseError("Too Many SDP Lines")
    sections: list[Section] = []
    for line in lines:
        if line.text.startswith(b"v="):
            sections.append(Section())
        elif sections:
            _read_line(sections[-1], line)
    if not sections:
        raise ParseError("No Session In SDP")
    for section in sections:
        if section.origin is None or not section.streams:
            raise ParseError("No Origin In SDP" if section.origin is None else "No Media In SDP")
        if section.connection is None and any(stream.own is None for stream in section.streams):
            raise ParseError("No Media Address In SDP")
    if sum(len(section.streams) for section in sections) > MAX_MEDIA:
        raise ParseError("Too Many SDP Media")
    end = at.start + len(raw[at.start : at.end].rstrip(b"\r\n"))
    return Description(sections, lines, end)


def _read_line(section: Section, line: Line) -> None:
    stream = section.streams[-1] if section.streams else None
    key = line.text[:2]
    if key == b"m=":
        section.streams.append(_read_media(line))
    elif key == b"c=" and stream is None:
        section.connection = section.connection or _read_address(line)
    elif key == b"c=" and stream is not None:
        stream.own = stream.own or _read_address(line)
    elif key == b"o=" and stream is None:
        section.origin = section.origin or _read_address(line)
    elif stream is not None and line.text.startswith(_RTCP):
        stream.rtcp_at = Span(line.start + len(_RTCP), line.start + len(line.text))
    elif stream is not None and line.text.startswith(_CANDIDATE):
        stream.last_candidate = line.start


def _read_address(line: Line) -> Address:
    found = _ADDRESS.search(line.text)
    if found is None:
        raise ParseError("Bad SDP Address")
    kind_at = Span(line.start + found.start(1), line.start + found.end(1))
    text_at = Span(line.start + found.start(2), line.start + found.end(2))
    return Address(found[1], found[2], kind_at, text_at)


def _read_media(line: Line) -> Stream:
    found = _MEDIA.fullmatch(line.text)
    if found is None:
        raise ParseError("Bad SDP Media Line")
    port_at = Span(line.start + found.start(2), line.start + found.end(2))
    return Stream(found[1], found[2], port_at, found[3], found[4])
