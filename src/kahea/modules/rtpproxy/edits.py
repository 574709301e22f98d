"""What a relay's answers change in a session description: addresses, ports, candidates, and the mark of that."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kahea.sip.message import Message
    from kahea.sip.sdp_places import Address, Description, Span, Stream

# Preferences of relay candidates (RFC 8445 §5.1.2), the RTP component's; the RTCP component's is 1 less.
HIGH_PRIORITY: Final = 2197815295
LOW_PRIORITY: Final = 16777215

_CANDIDATE: Final = b"a=candidate:"


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
