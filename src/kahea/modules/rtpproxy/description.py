"""Session descriptions as rtpproxy's functions read and change them: what stands where, and edits of just that.

The description of a message is read once, with the place of each thing that a relay's answer replaces: addresses, ports
and the lines about RTCP and ICE. All else of it stays byte for byte.
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

# Preferences of relay candidates (RFC 8445 §5.1.2), the RTP component's; the RTCP component's is 1 less.
HIGH_PRIORITY: Final = 2197815295
LOW_PRIORITY: Final = 16777215

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
    """One `m=` line and what follows it. `connection` is its own, or the section's."""

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


class Edits:
    """The edits of one message's description, stream after stream, as a relay's answers come."""

    def __init__(self, msg: Message, description: Description, *, every_connection: bool) -> None:
        self._msg = msg
        self._description = description
        self._every_connection = every_connection
        self._origin_done = False
        self._connections_done: set[int] = set()

    def take(self, number: int, stream: Stream, kind: bytes, address: bytes, port: int, priority: int) -> None:
        """Lead a stream of the section with that number to a relay's address (of kind IP4 or IP6) and port.

        A stream on hold stays so. `priority` adds relay candidates of that preference where there are candidates; 0
        adds none.
        """
        section = self._description.sections[number]
        if section.address_of(stream).is_null:
            address = b"::" if kind == b"IP6" else b"0.0.0.0"
        if stream.port != b"0":
            self._put(stream.port_at, b"%d" % port)
        if stream.rtcp_at is not None:
            self._put(stream.rtcp_at, b"%d" % (port + 1))
        if stream.own is not None:
            self._put_address(stream.own, kind, address)
        if not self._origin_done and section.origin is not None:
            self._origin_done = True
            self._put_address(section.origin, kind, address)
        shared = section.connection
        if (
            shared is not None
            and number not in self._connections_done
            and (stream.own is None or self._every_connection)
        ):
            self._connections_done.add(number)
            self._put_address(shared, kind, address)
        if priority and stream.last_candidate is not None:
            self._add_candidates(stream.last_candidate, address, port, priority)

    def _put(self, at: Span, data: bytes) -> None:
        self._msg.replace(at.start, at.end - at.start, data)

    def _put_address(self, old: Address, kind: bytes, address: bytes) -> None:
        if kind != old.kind:
            self._put(old.kind_at, kind)
        self._put(old.text_at, address)

    def _add_candidates(self, before: int, address: bytes, port: int, priority: int) -> None:
        foundation = re.sub(rb"[^0-9]", b"", address)
        for component in (2, 1):
            line = b"%b%b %d UDP %d %b %d typ relay\r\n" % (
                _CANDIDATE, foundation, component, priority + 1 - component, address, port - 1 + component,
            )  # fmt: skip
            self._msg.insert(before, line)

    def mark(self, line: bytes) -> None:
        """Add a line behind the description's last one, unless it has it."""
        if line and not self._description.has_line(line):
            self._msg.insert(self._description.end, b"\r\n" + line)
