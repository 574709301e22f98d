"""Cuts a TCP byte stream into SIP messages (RFC 3261 §18.3) and keepalives (RFC 5626 §4.4.1). No I/O.

Rules of this room:

1. The same bytes give the same events, however they were cut into reads.
2. A byte is looked at a constant number of times: where a search stopped, the next one goes on.
3. After a `FramingError` the stream is lost, since nobody can tell where the next message begins:
   nothing more comes out, and the connection has to be closed.
4. What is buffered never exceeds `max_message` plus the read being fed.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

MAX_MESSAGE = 65535
MAX_HEADERS = 32768

_HEADERS_END = re.compile(rb"\n\r?\n")
# A value goes on over folded lines (RFC 3261 §7.3.1), those that begin with white space.
_CONTENT_LENGTH = re.compile(rb"\n(?:content-length|l)[ \t]*:((?:[^\n]|\n[ \t])*)", re.IGNORECASE)
_DIGITS = re.compile(rb"[0-9]{1,10}\Z")
#: HEP3 begins with its name and the length of the whole packet.
_HEP3 = b"HEP3"
_HEP3_LENGTH = struct.Struct("!H")
_HEP3_HEAD = len(_HEP3) + _HEP3_LENGTH.size
_CR = 13
_LF = 10


class Keepalive(Enum):
    """RFC 5626 keepalives: a PING (double CRLF) wants a CRLF back; a PONG (CRLF) answers a ping of ours."""

    PING = "ping"
    PONG = "pong"


@dataclass(frozen=True, slots=True)
class FramingError:
    """The stream can't be cut any further; `reason` is for the log.

    `head` has the headers of the message whose body has no end, if it came to that: it can be answered.
    """

    reason: str
    head: bytes = field(default=b"", compare=False)


Event: TypeAlias = bytes | Keepalive | FramingError


class Framer:
    """One direction of one connection: `feed` it what was read, and handle the events in order.

    `accept_no_cl`: a message without Content-Length ends at its empty line instead of being an error
    (Kamailio's `tcp_accept_no_cl`, which HTTP requests on the port of SIP need). `accept_hep3`: a packet of HEP3 is
    known for one, and an error when it is complete, since no module takes any (`tcp_accept_hep3`, as Kamailio without
    `sipcapture`). `max_message` and `max_headers` are in bytes.
    """

    __slots__ = (
        "_buffer",
        "_end",
        "_failed",
        "_pings",
        "_scanned",
        "accept_hep3",
        "accept_no_cl",
        "max_headers",
        "max_message",
    )

    def __init__(
        self,
        *,
        max_message: int = MAX_MESSAGE,
        max_headers: int = MAX_HEADERS,
        accept_no_cl: bool = False,
        accept_hep3: bool = False,
    ) -> None:
        self.max_message = max_message
        self.max_headers = min(max_headers, max_message)
        self.accept_no_cl = accept_no_cl
        self.accept_hep3 = accept_hep3
        self._buffer = bytearray()
        self._scanned = 0  # no end of headers begins before this offset
        self._end = 0  # where the current message ends, 0 while unknown
        self._pings = 0  # pings of ours that wait for a pong
        self._failed = False

    @property
    def in_message(self) -> bool:
        """Whether a message has begun and is not complete: it may stall."""
        buffer = self._buffer
        return bool(buffer) and buffer[0] not in (_CR, _LF)

    @property
    def buffered(self) -> int:
        """Bytes that wait for the rest of their message."""
        return len(self._buffer)

    def ping_sent(self) -> None:
        """Tell that we sent a double CRLF: a single CRLF that comes is then its pong."""
        self._pings += 1

    def feed(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """Take what was read; the events that are complete with it, in order."""
        events: list[Event] = []
        if self._failed:
            return events
        buffer = self._buffer
        buffer += data
        start = 0
        while start < len(buffer):
            if buffer[start] in (_CR, _LF) and not self._end:
                skipped = self._between(start, events)
                if skipped == 0:
                    break
                start += skipped
                self._scanned = start
                continue
            end = self._message_end(start, events)
            if self._failed:
                buffer.clear()
                return events
            if end == 0 or end > len(buffer):
                break
            events.append(bytes(memoryview(buffer)[start:end]))
            start = self._scanned = end
            self._end = 0
        if start:
            del buffer[:start]
            self._scanned -= start
            if self._end:
                self._end -= start
        return events

    def _between(self, start: int, events: list[Event]) -> int:
        """Line ends between messages: the number of bytes they take, 0 if more must be read to tell."""
        head = bytes(self._buffer[start : start + 4])
        if head[0] == _LF:
            return 1
        if head == b"\r":
            return 0
        if head[1] != _LF:
            return 1
        if self._pings:
            self._pings -= 1
            events.append(Keepalive.PONG)
            return 2
        if head == b"\r\n\r\n":
            events.append(Keepalive.PING)
            return 4
        # Half of a ping perhaps; before anything else it is an empty line, to be ignored (RFC 3261 §7.5).
        return 0 if head in (b"\r\n", b"\r\n\r") else 2

    def _message_end(self, start: int, events: list[Event]) -> int:
        """Where the message at `start` ends; 0 while its headers are incomplete, or on an error."""
        if self._end:
            return self._end
        buffer = self._buffer
        if self.accept_hep3 and buffer.startswith(_HEP3, start):
            length = _HEP3_LENGTH.unpack_from(buffer, start + len(_HEP3))[0] if len(buffer) - start >= _HEP3_HEAD else 0
            if 0 < length <= len(buffer) - start:
                return self._fail(events, "a packet of HEP3, which no module takes")
            return 0
        found = _HEADERS_END.search(buffer, max(start, self._scanned))
        length = (found.end() if found else len(buffer)) - start
        if length > self.max_headers:
            return self._fail(events, f"headers of more than {self.max_headers} bytes")
        if found is None:
            # The end may have begun in the last two bytes.
            self._scanned = max(start, len(buffer) - 2)
            return 0
        body = self._content_length(start, found.end(), events)
        if body < 0:
            return 0
        if length + body > self.max_message:
            return self._fail(events, f"a message of {length + body} bytes, more than {self.max_message}")
        self._end = found.end() + body
        return self._end

    def _content_length(self, start: int, end: int, events: list[Event]) -> int:
        """The body's length by the headers in [start, end); -1 after failing."""
        length = -1
        for found in _CONTENT_LENGTH.finditer(self._buffer, start, end):
            value = found[1].strip()
            if _DIGITS.match(value) is None:
                self._fail(events, f"Content-Length is no number: {bytes(value[:32])!r}", start, end)
                return -1
            if length not in (-1, int(value)):
                self._fail(events, f"conflicting Content-Lengths: {length} and {int(value)}", start, end)
                return -1
            length = int(value)
        if length >= 0:
            return length
        if self.accept_no_cl:
            return 0
        self._fail(events, "no Content-Length", start, end)
        return -1

    def _fail(self, events: list[Event], reason: str, start: int = 0, end: int = 0) -> int:
        self._failed = True
        events.append(FramingError(reason, bytes(self._buffer[start:end])))
        return 0
