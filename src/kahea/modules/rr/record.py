"""The Record-Route lines of one request (RFC 3261 §16.6 item 4).

What they say depends on the listener that the request leaves by, known only when it is sent, and once per
branch. So record_route() leaves a `RecordRoute` in `msg.facets["record_route"]`, and whoever builds the
outgoing request calls `lines()` and puts the result before its Via. The object is immutable: a change puts
another one in its place, so what a branch route did to it is undone by restoring a reference.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kahea.net.address import Listener
    from kahea.sip.message import Message

FACET: Final = "record_route"

NONE: Final = 0  # parameters were added, but no record_route() yet
OWN: Final = 1  # the listeners' own addresses
PRESET: Final = 2  # what the script wrote
ADVERTISED: Final = 3  # the script's address, with the listeners' transports

SINGLE: Final = 0  # always one line
DIFFERENT: Final = 1  # two where the request leaves by another listener than it came
ALWAYS: Final = 2  # always two


@dataclass(frozen=True, slots=True)
class RecordRoute:
    """What record_route() decided. `head` reaches to the host, `tail` follows the host's own parameters."""

    style: int = NONE
    double: int = DIFFERENT
    head: bytes = b""
    tail: bytes = b""
    lr: bytes = b""  # of presets, where it stands last
    address: bytes = b""  # preset or advertised
    inbound: bytes = b""  # the second preset
    params: bytes = b""  # of add_rr_param()
    names: bool = False  # name listeners in `sn`

    def lines(self, received: Listener, sending: Listener) -> bytes:
        """The header lines, with CRLF, for a request that came by `received` and leaves by `sending`."""
        if self.style == OWN:
            return self._own(received, sending)
        if self.style == PRESET:
            tail = self.tail + self.params + self.lr + b">\r\n"
            first = self.head + self.address + tail
            return first + self.head + self.inbound + tail if self.inbound else first
        if self.style == ADVERTISED:
            return self._advertised(received, sending)
        return b""

    def _own(self, received: Listener, sending: Listener) -> bytes:
        tail = self.tail + self.params + b">\r\n"
        if self.double == SINGLE or (sending is received and self.double == DIFFERENT):
            return self.head + self._place(received) + tail
        tail = b";r2=on" + tail
        return self.head + self._place(sending) + tail + self.head + self._place(received) + tail

    def _place(self, listener: Listener) -> bytes:
        place = listener.via_host
        if listener.proto != 1:
            place += b";transport=" + listener.proto_name.encode()
        if self.names and listener.name:
            place += b";sn=" + listener.name.encode()
        return place

    def _advertised(self, received: Listener, sending: Listener) -> bytes:
        head = self.head + self.address
        tail = self.tail + self.lr + self.params + b">\r\n"
        if received.proto == sending.proto and self.double != ALWAYS:
            return head + tail
        came = b";transport=" + received.proto_name.encode()
        if self.double == SINGLE:
            return head + came + tail
        leaves = b";transport=" + sending.proto_name.encode()
        return head + leaves + b";r2=on" + tail + head + came + b";r2=on" + tail


_EMPTY = RecordRoute()


def of(msg: Message) -> RecordRoute:
    """What was decided for this message so far."""
    found = msg.facets.get(FACET)
    return found if isinstance(found, RecordRoute) else _EMPTY


def add_params(msg: Message, params: bytes) -> None:
    """Append URI parameters (`;name=value`) to the Record-Route that is, or is yet to be, there."""
    state = of(msg)
    msg.facets[FACET] = replace(state, params=state.params + params)
