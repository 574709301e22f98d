"""User agents of the simulation: phones that a test moves by hand; their transactions run by themselves.

What a user agent does by itself, unless told otherwise:

1. It sends its requests again until they are answered (RFC 3261 §17.1), if `retransmits`.
2. It acknowledges final replies to its INVITEs: failures hop by hop, and 2xx in the dialog (`auto_ack`).
3. It answers a repeated request as it did the first time, and repeats final replies to an INVITE until ACK.
4. With a `password`, it sends a request that was challenged (401, 407) once more, with credentials.

All else waits for the test: what arrives is kept in `received`, and `expect` takes it from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from kahea.net.address import Address
from kahea.testing import digest
from kahea.testing.message import SipMessage, param, reply_to, uri_of
from kahea.testing.network import Connection, Packet, split_address

if TYPE_CHECKING:
    from kahea.testing.calls import Call, IncomingCall
    from kahea.testing.clock import Planned
    from kahea.testing.simulation import Simulation

#: RFC 3261 §17: T1 and T2, and the end of a transaction (64 * T1), in seconds.
T1, T2, TIMEOUT = 0.5, 4.0, 32.0

#: How long `expect` lets virtual time pass: more than any transaction takes.
WITHIN = 200.0

Headers = Iterable[tuple[str, str]]


class Unexpected(AssertionError):
    """What a test expected did not happen; the text says what happened instead."""


class Exchange:
    """A request of a user agent and the replies to it: its client transaction."""

    def __init__(self, ua: UserAgent, request: SipMessage) -> None:
        self.ua = ua
        self.request = request
        self.replies: list[SipMessage] = []
        #: The reply that made the request be sent again with credentials, and that `replies` does not have.
        self.challenge: SipMessage | None = None
        #: True once it was given up without a final reply.
        self.timed_out = False
        self._again: Planned | None = None
        self._interval = T1
        self._end = ua.now + TIMEOUT

    @property
    def status(self) -> int:
        """The status of the latest reply, 0 without one. Lets no time pass."""
        return self.replies[-1].status if self.replies else 0

    @property
    def final(self) -> SipMessage | None:
        """The first final reply so far."""
        return next((r for r in self.replies if r.status >= 200), None)

    def wait(self, what: str | int = "final", within: float = WITHIN) -> SipMessage:
        """Let time pass until a reply is there that is `what`, and return it. Raises Unexpected."""

        def found() -> SipMessage | None:
            return next((r for r in self.replies if r.matches(what)), None)

        self.ua.simulation.run_until(lambda: found() is not None, within)
        reply = found()
        if reply is None:
            got = ", ".join(r.summary for r in self.replies) or "nothing"
            raise Unexpected(f"{self.ua.name} sent {self.request.summary} and waited for {what}: it got {got}")
        return reply

    # -- used by the user agent

    def start(self) -> None:
        """Send, and plan to send again."""
        self.ua.transmit(self.request)
        if self.ua.proto == "udp" and self.ua.retransmits and self.request.method != "ACK":
            self._plan()

    def _plan(self) -> None:
        self._again = self.ua.simulation.plan(self._interval, self._repeat)

    def _repeat(self) -> None:
        invite = self.request.method == "INVITE"
        if self.final is not None or (invite and self.replies) or self.ua.closed:
            return
        if self.ua.now >= self._end:
            self.timed_out = True
            return
        self.ua.transmit(self.request)
        self._interval = self._interval * 2 if invite else min(self._interval * 2, T2)
        self._plan()

    def took(self, reply: SipMessage) -> None:
        """A reply to this request."""
        self.replies.append(reply)

    def go_on(self, challenge: SipMessage, request: SipMessage) -> None:
        """Send this one in its place, with credentials."""
        self.challenge, self.request = challenge, request
        self.replies.clear()
        self._interval, self._end = T1, self.ua.now + TIMEOUT
        if self._again is not None:
            self._again.cancel()
        self.start()


class UserAgent:
    """One phone at one address. Make it by `Simulation.ua`."""

    def __init__(
        self,
        simulation: Simulation,
        name: str,
        address: str,
        *,
        proxy: str = "",
        domain: str = "",
        password: str = "",
        inside: str = "",
    ) -> None:
        self.simulation = simulation
        self.name = name
        self.proto, self.address = split_address(address)
        self.host = self.address.host.decode()
        #: Where its requests go, whatever their URI says: "" means the simulation's first node.
        self.proxy = proxy
        self.domain = domain or self.host
        #: For challenges, to which its name is the user; "" answers none.
        self.password = password
        #: The host and port that it believes to have, behind a NAT that has its address; "" without one.
        self.inside = inside
        self.retransmits = True
        self.auto_ack = True
        #: All that arrived, repeats included.
        self.received: list[SipMessage] = []
        self.calls: list[Call | IncomingCall] = []
        self.closed = False
        self._taken: set[int] = set()
        self._repeats: set[int] = set()
        self._count = 0
        self._exchanges: dict[tuple[str, str], Exchange] = {}
        self._answered: dict[tuple[str, str, str], SipMessage] = {}
        self._acked: set[tuple[str, str, str]] = set()
        self._handlers: list[tuple[str, Callable[[SipMessage], object]]] = []
        self._connections: dict[Address, Connection] = {}
        simulation.network.bind(self.proto, self.address, self)

    # -- who it is

    @property
    def now(self) -> float:
        """The virtual clock."""
        return self.simulation.now

    @property
    def hostport(self) -> str:
        """What it writes of itself, in Via and Contact: `10.0.0.1:5060`."""
        return self.inside or f"{self.host}:{self.address.port}"

    @property
    def uri(self) -> str:
        """Its address of record: `sip:alice@10.0.0.1`, or with its `domain`."""
        return f"sip:{self.name}@{self.domain}"

    @property
    def contact(self) -> str:
        """The URI at which it is reached directly, or would be if there were no NAT."""
        return f"sip:{self.name}@{self.hostport}" + ("" if self.proto == "udp" else f";transport={self.proto}")

    def close(self) -> None:
        """Go away: nothing is sent or received any more."""
        self.closed = True
        self.simulation.network.unbind(self.proto, self.address)
        for connection in self._connections.values():
            connection.close()

    # -- requests

    def build(
        self,
        method: str,
        uri: str | UserAgent,
        *,
        to: str | None = None,
        from_: str | None = None,
        call_id: str | None = None,
        cseq: int = 1,
        branch: str | None = None,
        routes: Iterable[str] = (),
        headers: Headers = (),
        contact: str | None = None,
        max_forwards: int | None = 70,
        body: str = "",
        content_type: str = "application/sdp",
    ) -> SipMessage:
        """A request outside of any dialog, unsent; each part can be given."""
        self._count += 1
        target = uri.uri if isinstance(uri, UserAgent) else uri
        unique = f"{self.name}-{self._count}"
        via = f"SIP/2.0/{self.proto.upper()} {self.hostport};branch={branch or 'z9hG4bK-' + unique};rport"
        lines = [("Via", via), *(("Route", route) for route in routes)]
        if max_forwards is not None:
            lines.append(("Max-Forwards", str(max_forwards)))
        lines += [
            ("From", from_ or f"<{self.uri}>;tag=from-{unique}"),
            ("To", to or f"<{target}>"),
            ("Call-ID", call_id or f"{unique}@{self.host}"),
            ("CSeq", f"{cseq} {method}"),
        ]
        if contact is None and method in ("INVITE", "SUBSCRIBE", "NOTIFY", "REFER", "UPDATE"):
            contact = f"<{self.contact}>"
        if contact:
            lines.append(("Contact", contact))
        lines += headers
        if body:
            lines.append(("Content-Type", content_type))
        lines.append(("Content-Length", str(len(body.encode("utf-8", "surrogateescape")))))
        return SipMessage(f"{method} {target} SIP/2.0", lines, body)

    def request(self, method: str | SipMessage, uri: str | UserAgent = "", **parts: Any) -> Exchange:
        """Send a request (of these parts, see `build`, or one already built) as a transaction."""
        message = method if isinstance(method, SipMessage) else self.build(method, uri, **parts)
        exchange = Exchange(self, message)
        self._exchanges[message.branch, message.method] = exchange
        exchange.start()
        return exchange

    def invite(self, uri: str | UserAgent, **parts: Any) -> Call:
        """Call somebody: sends the INVITE and returns at once."""
        from kahea.testing.calls import Call

        call = Call(self, self.request("INVITE", uri, **parts))
        self.calls.append(call)
        return call

    def register(
        self, registrar: str = "", *, expires: int = 3600, contact: str | None = None, **parts: Any
    ) -> SipMessage:
        """Register its contact (`expires=0`: remove it) and return the final reply."""
        headers = [*parts.pop("headers", ()), ("Expires", str(expires))]
        return self.request(
            "REGISTER",
            registrar or f"sip:{self.domain}",
            to=f"<{self.uri}>",
            contact=contact or f"<{self.contact}>",
            headers=headers,
            **parts,
        ).wait()

    def options(self, uri: str | UserAgent, **parts: Any) -> SipMessage:
        """Send OPTIONS and return the final reply."""
        return self.request("OPTIONS", uri, **parts).wait()

    def message(self, uri: str | UserAgent, text: str, **parts: Any) -> SipMessage:
        """Send MESSAGE and return the final reply."""
        return self.request("MESSAGE", uri, body=text, content_type="text/plain", **parts).wait()

    # -- answering

    def expect(self, what: str | int = "", within: float = WITHIN) -> SipMessage:
        """Let time pass until a message is there that is `what` and was not taken yet, and take it.

        `what` is as in `SipMessage.matches`; "" is any. Repeats are not seen. Raises Unexpected.
        """

        def found() -> int:
            for i, message in enumerate(self.received):
                if i not in self._taken and i not in self._repeats and (what == "" or message.matches(what)):
                    return i
            return -1

        self.simulation.run_until(lambda: found() >= 0, within)
        index = found()
        if index < 0:
            raise Unexpected(f"{self.name} waited {within:g} s for {what}: it got {self._got()}")
        self._taken.add(index)
        return self.received[index]

    def _got(self) -> str:
        return ", ".join(m.summary for m in self.received) or "nothing"

    def expect_nothing(self, what: str | int = "", within: float = 0.0) -> None:
        """Let that much time pass; raises Unexpected if a message that is `what` came and was not taken."""
        self.simulation.run(within)
        for i, message in enumerate(self.received):
            if i not in self._taken and i not in self._repeats and (what == "" or message.matches(what)):
                raise Unexpected(f"{self.name} got {message.summary} and should not have")

    def repeats(self, what: str | int) -> int:
        """How many repeats of messages that are `what` arrived."""
        return sum(self.received[i].matches(what) for i in self._repeats)

    def reply(
        self,
        request: SipMessage,
        status: int,
        reason: str | None = None,
        *,
        tag: str | None = None,
        **parts: Any,
    ) -> SipMessage:
        """Answer a request; replies that make a dialog get a Contact."""
        if "contact" not in parts and 100 < status < 300 and request.method in ("INVITE", "SUBSCRIBE", "UPDATE"):
            parts["contact"] = f"<{self.contact}>"
        reply = reply_to(request, status, reason, tag=tag or f"{self.name}-tag", **parts)
        reply.link = request.link
        key = (request.branch, request.method, request.call_id)
        self._answered[key] = reply
        self.transmit(reply)
        if request.method == "INVITE" and status >= 200 and self.retransmits and (self.proto == "udp" or status < 300):
            self._repeat_final(key, reply, T1, self.now + TIMEOUT)
        return reply

    def _repeat_final(self, key: tuple[str, str, str], reply: SipMessage, interval: float, end: float) -> None:
        def again() -> None:
            if key in self._acked or self.closed or self.now >= end:
                return
            self.transmit(reply)
            self._repeat_final(key, reply, min(interval * 2, T2), end)

        self.simulation.plan(interval, again)

    def ring(self, within: float = WITHIN, status: int = 180, **parts: Any) -> IncomingCall:
        """Wait for an INVITE and answer it provisionally; the call that comes in."""
        from kahea.testing.calls import IncomingCall

        call = IncomingCall(self, self.expect("INVITE", within))
        self.calls.append(call)
        if status:
            call.progress(status, **parts)
        return call

    def answer(self, within: float = WITHIN, **parts: Any) -> IncomingCall:
        """Wait for an INVITE, ring, and answer it by 200."""
        call = self.ring(within)
        call.answer(**parts)
        return call

    def reject(self, status: int = 486, within: float = WITHIN, **parts: Any) -> SipMessage:
        """Wait for an INVITE and refuse it; the INVITE."""
        invite = self.expect("INVITE", within)
        self.reply(invite, status, **parts)
        return invite

    def on(self, what: str, handler: Callable[[SipMessage], object]) -> None:
        """Call `handler(message)` at once for each new message that is `what`; `expect` won't see it."""
        self._handlers.append((what, handler))

    # -- the wire

    def send(self, message: SipMessage | bytes | str, to: str = "") -> None:
        """Send as it is, as no transaction; `to` is an address, else the proxy (or where a reply belongs)."""
        self.transmit(message, to)

    def transmit(self, message: SipMessage | bytes | str, to: str = "") -> None:
        """Put a message on the network."""
        if self.closed:
            return
        if isinstance(message, SipMessage):
            data, link = message.encode(), message.link
        else:
            data, link = (
                (message if isinstance(message, bytes) else message.encode("utf-8", "surrogateescape")),
                None,
            )
        if link is not None and not to:
            self._back(link, data)
            return
        proto, address = split_address(to or self.proxy or self.simulation.first_address(self.proto))
        if proto != self.proto:
            raise ValueError(f"{self.name} speaks {self.proto}, not {proto}")
        if proto == "udp":
            self.simulation.network.send("udp", self.address, address, data)
        else:
            self._stream(address, data)

    def _back(self, request: Packet, data: bytes) -> None:
        network = self.simulation.network
        if request.connection is not None and request.connection.usable:
            network.send_on(self.proto, request.connection, request.destination, data)
        elif request.connection is None:
            network.send("udp", self.address, request.source, data)

    def _stream(self, address: Address, data: bytes) -> None:
        network = self.simulation.network
        connection = self._connections.get(address)
        if connection is None or not connection.usable:
            connection = network.connect(self.proto, self.address, address, self)
            if connection is None:
                network.refuse(self.proto, self.address, address, data, self)
                return
            self._connections[address] = connection
        network.send_on(self.proto, connection, connection.opener, data)

    def refused(self, packet: Packet, reason: str) -> None:
        """Nobody listens where it wanted to connect; the trace shows it."""

    def arrived(self, packet: Packet) -> None:
        """A packet for this user agent."""
        if self.closed or not packet.data.strip():
            return
        message = SipMessage.parse(packet.data)
        message.source = f"{packet.proto}:{packet.source.ip}:{packet.source.port}"
        message.destination = f"{packet.proto}:{packet.destination.ip}:{packet.destination.port}"
        message.time = self.now
        if message.is_request:
            message.link = packet
        self.received.append(message)
        if message.is_request:
            self._took_request(message, len(self.received) - 1)
        else:
            self._took_reply(message, len(self.received) - 1)

    def _took_request(self, request: SipMessage, index: int) -> None:
        key = (request.branch, request.method, request.call_id)
        if request.method == "ACK":
            self._acked.update(k for k in self._answered if k[2] == request.call_id and k[1] == "INVITE")
        earlier = self.received[:index]
        if any(m.is_request and m.encode() == request.encode() for m in earlier):
            self._repeats.add(index)
            known = self._answered.get(key)
            if known is not None:
                self.transmit(known)
            return
        if any(call.took(request) for call in self.calls) or self._handled(request):
            self._taken.add(index)

    def _took_reply(self, reply: SipMessage, index: int) -> None:
        exchange = self._exchanges.get((reply.branch, reply.method))
        again = any(not m.is_request and m.encode() == reply.encode() for m in self.received[:index])
        if again:
            self._repeats.add(index)
        elif exchange is not None:
            exchange.took(reply)
        if exchange is not None and reply.method == "INVITE" and reply.status >= 200:
            self._acknowledge(exchange, reply)
        if exchange is not None and not again and self._authorizes(exchange, reply):
            self._taken.add(index)
        if not again and self._handled(reply):
            self._taken.add(index)

    def _authorizes(self, exchange: Exchange, challenge: SipMessage) -> bool:
        """Send a request that was challenged again, with credentials; False if that can't be, or was done."""
        if not self.password or challenge.status not in digest.HEADERS or exchange.challenge is not None:
            return False
        request = exchange.request
        header = digest.answer(challenge, request, self.name, self.password, f"{self.name}-{self._count}")
        if header is None:
            return False
        self._count += 1
        number = request.cseq + 1
        changed = {"Via": request["Via"].replace(request.branch, f"z9hG4bK-{self.name}-{self._count}")}
        changed["CSeq"] = f"{number} {request.method}"
        lines = [(name, changed.get(name, value)) for name, value in request.headers]
        lines[-1:-1] = [header]
        for call in self.calls:
            if call.call_id == request.call_id:
                call.cseq = max(call.cseq, number)
        again = SipMessage(request.start, lines, request.body)
        # Repeats of the challenge are acknowledged as it was.
        self._exchanges[request.branch, request.method] = Exchange(self, request)
        self._exchanges[again.branch, again.method] = exchange
        exchange.go_on(challenge, again)
        return True

    def _acknowledge(self, exchange: Exchange, reply: SipMessage) -> None:
        if reply.status >= 300:
            self.transmit(failure_ack(exchange.request, reply))
            return
        for call in self.calls:
            if call.exchange is exchange and self.auto_ack:
                call.acknowledge(reply)

    def _handled(self, message: SipMessage) -> bool:
        for what, handler in self._handlers:
            if message.matches(what):
                handler(message)
                return True
        return False


def failure_ack(invite: SipMessage, reply: SipMessage) -> SipMessage:
    """The ACK of a final reply that is no 2xx (RFC 3261 §17.1.1.3)."""
    return _hop_by_hop(invite, "ACK", reply["To"])


def cancel_of(invite: SipMessage) -> SipMessage:
    """The CANCEL of an INVITE (RFC 3261 §9.1)."""
    return _hop_by_hop(invite, "CANCEL", invite["To"])


def _hop_by_hop(invite: SipMessage, method: str, to: str) -> SipMessage:
    lines = [
        ("Via", invite["Via"]),
        *(("Route", route) for route in invite.all("Route")),
        ("Max-Forwards", "70"),
    ]
    lines += [("From", invite["From"]), ("To", to), ("Call-ID", invite.call_id)]
    lines += [("CSeq", f"{invite.cseq} {method}"), ("Content-Length", "0")]
    return SipMessage(f"{method} {invite.uri} SIP/2.0", lines)


__all__ = ["Exchange", "Unexpected", "UserAgent", "cancel_of", "failure_ack", "param", "uri_of"]
