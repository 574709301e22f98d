"""The Record-Route lines of one request (RFC 3261 §16.6 item 4).

What they say depends on the listener that the request leaves by, known only when it is sent, and once per
branch. So record_route() only notes what to write, as an immutable `RecordRoute` in the message's facets, and
`complete()`, which forwarding calls through the facet "before_send", writes it. What a branch route notes
holds for its branch alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from kahea.net.address import Listener
from kahea.routing.run import BRANCH_ROUTE

if TYPE_CHECKING:
    from kahea.routing.run import Run
    from kahea.sip.message import Message
    from kahea.tm.transaction import Branch

FACET: Final = "record_route"
FACET_BRANCH: Final = "record_route_branch"  # a branch route's `_Own`

NONE: Final = 0  # parameters were added, but no record_route() yet
OWN: Final = 1  # the listeners' own addresses
PRESET: Final = 2  # what the script wrote
ADVERTISED: Final = 3  # the script's address, with the listeners' transports

SINGLE: Final = 0  # always one line
DIFFERENT: Final = 1  # two where the request leaves by another listener than it came
ALWAYS: Final = 2  # always two


class RecordRoute(NamedTuple):
    """What record_route() decided. `head` reaches to the host, `tail` follows the host's own parameters."""

    style: int = NONE
    double: int = DIFFERENT
    head: bytes = b""
    tail: bytes = b""
    lr: bytes = b""  # of presets, where it follows `tail`
    address: bytes = b""  # preset or advertised
    inbound: bytes = b""  # the second preset
    params: bytes = b""  # of add_rr_param()
    names: bool = False  # name listeners in `sn`

    def lines(self, msg: Message, received: Listener, sending: Listener) -> bytes:
        """The header lines, with CRLF, for a request that came by `received` and leaves by `sending`."""
        if self.style == OWN:
            return self._own(msg, received, sending)
        if self.style == PRESET:
            tail = self.tail + self.lr + self.params + b">\r\n"
            first = self.head + self.address + tail
            return first + self.head + self.inbound + tail if self.inbound else first
        if self.style == ADVERTISED:
            return self._advertised(received, sending)
        return b""

    def _own(self, msg: Message, received: Listener, sending: Listener) -> bytes:
        tail = self.tail + self.params + b">\r\n"
        if self.double == SINGLE or (sending is received and self.double == DIFFERENT):
            return self.head + self._place(received, _received_host(received)) + tail
        tail = b";r2=on" + tail
        out = None
        if msg.advertised_host is not None or msg.advertised_port:
            # What set_advertised_address() says concerns the side that the request leaves by.
            host = msg.advertised_host or sending.advertised_host or sending.address.host
            out = b"%b:%d" % (host, msg.advertised_port or sending.advertised_port or sending.address.port)
        first = self.head + self._place(sending, out) + tail
        return first + self.head + self._place(received, _received_host(received)) + tail

    def _place(self, listener: Listener, host: bytes | None = None) -> bytes:
        place = host or listener.via_host
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


def _received_host(listener: Listener) -> bytes:
    """The side that a request came in by shows no port 5060, not even an advertised one."""
    return listener.via_host.removesuffix(b":5060")


class _Own(NamedTuple):
    """What a branch route decided for its branch."""

    branch: Branch
    state: RecordRoute


_EMPTY = RecordRoute()


def of(run: Run) -> RecordRoute:
    """What was decided so far for the message, or for the branch whose route is running."""
    facets = run.msg.facets
    if run.kind == BRANCH_ROUTE:
        own = facets.get(FACET_BRANCH)
        if isinstance(own, _Own) and own.branch is run.branch:
            return own.state
    found = facets.get(FACET)
    return found if isinstance(found, RecordRoute) else _EMPTY


def note(run: Run, state: RecordRoute) -> None:
    """Decide anew, and have it written when the request is sent."""
    facets = run.msg.facets
    if run.kind == BRANCH_ROUTE and run.branch is not None:
        facets[FACET_BRANCH] = _Own(run.branch, state)
    else:
        facets[FACET] = state
    waiting: list[object] | None = facets.get("before_send")  # type: ignore[assignment]
    if waiting is None:
        facets["before_send"] = [complete]
    elif complete not in waiting:
        waiting.append(complete)


def add_params(run: Run, params: bytes) -> None:
    """Append URI parameters (`;name=value`) to the Record-Route that is, or is yet to be, there."""
    state = of(run)
    note(run, state._replace(params=state.params + params))


def complete(msg: Message, sending: Listener) -> None:
    """Write the lines into a request that is about to leave by `sending`."""
    facets = msg.facets
    state = facets.get(FACET)
    own = facets.pop(FACET_BRANCH, None)
    # A branch that its route dropped has no listener: what was noted for it must not show on the next one.
    if isinstance(own, _Own) and own.branch.listener is not None:
        state = own.state
    if isinstance(state, RecordRoute) and state.style != NONE:
        received = msg.listener if isinstance(msg.listener, Listener) else sending
        msg.prepend_header(state.lines(msg, received, sending))
