"""Scripted SIP endpoints on loopback, which play a flow against whatever server stands between them.

They know nothing of Kahea: messages are built and read here with a few lines of text handling, so that a
mistake in the engine's own parser can't hide itself. Everything is awaited; nothing sleeps.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

#: Seconds that a peer waits for a message: well above the servers' (shortened) timers.
PATIENCE = 8.0

COMPACT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
    "k": "supported",
}


class FlowError(AssertionError):
    """A peer did not get what the flow expects."""


@dataclass(slots=True)
class Sip:
    """A message as a peer sees it: text, with headers in their order."""

    start: str
    headers: list[tuple[str, str]]
    body: str = ""
    raw: bytes = b""
    link: Link | None = None

    @classmethod
    def parse(cls, data: bytes) -> Sip:
        """Split a message; tolerant, as it only serves tests."""
        head, _, body = data.decode("utf-8", "surrogateescape").partition("\r\n\r\n")
        start, *lines = re.sub(r"\r\n[ \t]+", " ", head).split("\r\n")
        headers = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        return cls(start, headers, body, data)

    def all(self, name: str) -> list[str]:
        """Values of every header of that name; Via, Route, Record-Route and Contact lists are split."""
        wanted = name.lower()
        found = [v for n, v in self.headers if COMPACT.get(n.lower(), n.lower()) == wanted]
        if wanted in ("via", "route", "record-route", "contact"):
            return [part.strip() for value in found for part in split_list(value)]
        return found

    def get(self, name: str) -> str:
        """The first value of a header; raises FlowError if it has none."""
        values = self.all(name)
        if not values:
            raise FlowError(f"no {name} header in:\n{self}")
        return values[0]

    @property
    def is_request(self) -> bool:
        return not self.start.startswith("SIP/2.0 ")

    @property
    def method(self) -> str:
        """The request's method, or of a reply that of its CSeq."""
        if self.is_request:
            return self.start.split(" ")[0]
        return "".join(self.all("cseq")[:1]).rpartition(" ")[2] or "?"

    @property
    def uri(self) -> str:
        return self.start.split(" ")[1]

    @property
    def status(self) -> int:
        return 0 if self.is_request else int(self.start.split(" ")[1])

    @property
    def summary(self) -> str:
        """`INVITE`, or `180 INVITE`."""
        return self.method if self.is_request else f"{self.status} {self.method}"

    def encode(self) -> bytes:
        body = self.body.encode("utf-8", "surrogateescape")
        lines = [self.start, *(f"{n}: {v}" for n, v in self.headers)]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body

    def __str__(self) -> str:
        return self.encode().decode("utf-8", "replace").replace("\r\n", "\n")


def split_list(value: str) -> list[str]:
    """Split at commas that stand outside of quotes and angle brackets."""
    parts, depth, quoted, last = [], 0, False, 0
    for i, c in enumerate(value):
        if c == '"':
            quoted = not quoted
        elif not quoted and c in "<>":
            depth += 1 if c == "<" else -1
        elif c == "," and not quoted and not depth:
            parts.append(value[last:i])
            last = i + 1
    return [*parts, value[last:]]


def uri_of(value: str) -> str:
    """The URI inside a name-addr or addr-spec."""
    inside = re.search(r"<([^>]*)>", value)
    return inside.group(1) if inside else value.split(";")[0].strip()


class Link:
    """How one peer reaches the server: a datagram socket and address, or one TCP connection."""

    def __init__(self, write: Callable[[bytes], None], local_port: int) -> None:
        self.write = write
        self.local_port = local_port


@dataclass(slots=True)
class Entry:
    """One message that a peer got, and how many identical copies followed it."""

    message: Sip
    repeats: int = 0


class Peer:
    """One endpoint: sends, records all it gets, and lets a flow await parts of it.

    Identical copies of a message (retransmissions) are counted with the first one and are not seen by
    `expect`; `repeated` awaits them.
    """

    def __init__(self, name: str, host: str, proto: str, flow: str) -> None:
        self.name = name
        self.host = host
        self.proto = proto
        self.flow = flow
        self.port = 0
        #: host:port that it believes to have, behind a NAT.
        self.inside = ""
        self.tag = f"{name}-tag"
        self.entries: list[Entry] = []
        self.ports: dict[int, str] = {}
        self.compare_repeats = False
        self._taken: set[int] = set()
        self._seen: dict[bytes, Entry] = {}
        self._changed = asyncio.Event()
        self._count = 0
        self._closers: list[Callable[[], None]] = []
        self.streams: list[_Stream] = []
        self._default: Link | None = None
        self._barriers: set[str] = set()

    # -- life

    async def open(self, server: tuple[str, int], connect: bool = True) -> None:
        """Bind; a TCP peer listens, and connects to the server unless told not to."""
        loop = asyncio.get_running_loop()
        if self.proto == "udp":
            endpoint = _Datagrams(self)
            transport, _ = await loop.create_datagram_endpoint(lambda: endpoint, local_addr=(self.host, 0))
            self.port = transport.get_extra_info("sockname")[1]
            self._default = Link(lambda data: transport.sendto(data, server), self.port)
            self._closers.append(transport.close)
        else:
            listening = await loop.create_server(lambda: _Stream(self), self.host, 0)
            self.port = listening.sockets[0].getsockname()[1]
            self._closers.append(listening.close)
            if connect:
                self._default = await self.connect(server)
        self.ports[self.port] = self.name

    async def connect(self, server: tuple[str, int]) -> Link:
        """One more TCP connection to the server."""
        stream = _Stream(self)
        await asyncio.get_running_loop().create_connection(lambda: stream, *server)
        assert stream.link is not None
        self.ports[stream.link.local_port] = f"{self.name}-out"
        return stream.link

    def close(self) -> None:
        for stream in self.streams:
            stream.transport.close()
        self.streams.clear()
        for close in self._closers:
            close()
        self._closers.clear()

    async def drop_connections(self) -> None:
        """End the open connections, wait for the server to close them too, and go on listening."""
        for stream in self.streams:
            stream.transport.write_eof()
        await self._until(lambda: all(s.transport.is_closing() for s in self.streams), "the server's FIN")
        self.streams.clear()
        self._default = None

    def hang_up(self) -> None:
        """Close what is bound and connected, as a peer that goes away."""
        self.close()
        self._default = None

    # -- what arrives

    def got(self, data: bytes, link: Link) -> None:
        if not data.strip(b"\r\n\0"):
            return
        message = Sip.parse(data)
        message.link = link
        if any(v.startswith("barrier-") for v in message.all("call-id")):
            self._barriers.discard(message.get("call-id"))
        elif data in self._seen:
            self._seen[data].repeats += 1
        else:
            entry = Entry(message)
            self._seen[data] = entry
            self.entries.append(entry)
        self._changed.set()

    def wake(self) -> None:
        """Let whoever waits look again."""
        self._changed.set()

    async def _until(self, condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + patience
        while not condition():
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), end - loop.time())
            except TimeoutError:
                got = [e.message.summary for e in self.entries]
                raise FlowError(f"{self.flow}: {self.name} waits for {what}; it got {got}") from None

    async def expect(self, what: str, patience: float = PATIENCE) -> Sip:
        """The first message not taken yet whose summary matches, as `INVITE`, `180 INVITE`, `2.. BYE`."""
        found: list[int] = []

        def look() -> bool:
            for i, entry in enumerate(self.entries):
                if i not in self._taken and re.fullmatch(what, entry.message.summary):
                    found.append(i)
                    return True
            return False

        await self._until(look, what, patience)
        self._taken.add(found[0])
        return self.entries[found[0]].message

    async def repeated(self, message: Sip, times: int = 1) -> None:
        """Wait until that many identical copies of a message have followed it."""
        entry = self._seen[message.raw]
        await self._until(lambda: entry.repeats >= times, f"{times} repeats of {message.summary}")

    def repeats(self, message: Sip) -> int:
        return self._seen[message.raw].repeats

    def untaken(self) -> list[str]:
        """Summaries of what arrived and no `expect` has taken, but for 100s."""
        return [
            e.message.summary for i, e in enumerate(self.entries) if i not in self._taken and e.message.status != 100
        ]

    # -- what is sent

    @property
    def hostport(self) -> str:
        return f"{bracket(self.host)}:{self.port}"

    @property
    def own_hostport(self) -> str:
        """What it writes of itself."""
        return self.inside or self.hostport

    @property
    def contact(self) -> str:
        transport = ";transport=tcp" if self.proto == "tcp" else ""
        return f"sip:{self.name}@{self.own_hostport}{transport}"

    def via(self, branch: str | None = None) -> str:
        self._count += 1
        branch = branch or f"z9hG4bK-{self.flow}-{self.name}-{self._count}"
        return f"SIP/2.0/{self.proto.upper()} {self.own_hostport};branch={branch}"

    def request(
        self,
        method: str,
        uri: str,
        *,
        to: str | None = None,
        callid: str | None = None,
        cseq: int = 1,
        via: str | None = None,
        from_: str | None = None,
        routes: Iterable[str] = (),
        headers: Iterable[tuple[str, str]] = (),
        do: Iterable[str] = (),
        contact: str | None = "",
        max_forwards: int | None = 70,
        body: str = "",
        content_type: str = "text/plain",
    ) -> Sip:
        """A request, each part of which can be given; `do` becomes X-Do headers (see script_tricks)."""
        lines = [("Via", via or self.via()), *(("Route", r) for r in routes)]
        if max_forwards is not None:
            lines.append(("Max-Forwards", str(max_forwards)))
        lines += [
            ("From", from_ or f"<sip:{self.name}@test.example>;tag={self.tag}"),
            ("To", to or f"<{uri_of(uri)}>"),
            ("Call-ID", callid or f"{self.flow}@{self.name}"),
            ("CSeq", f"{cseq} {method}"),
        ]
        if contact is not None and method != "CANCEL":
            lines.append(("Contact", contact or f"<{self.contact}>"))
        lines += headers
        lines += [("X-Do", verb) for verb in do]
        if body:
            lines.append(("Content-Type", content_type))
        lines.append(("Content-Length", str(len(body.encode()))))
        return Sip(f"{method} {uri} SIP/2.0", lines, body)

    def cancel(self, invite: Sip) -> Sip:
        """CANCEL of an INVITE that this peer sent (RFC 3261 §9.1)."""
        return self._hop_by_hop(invite, "CANCEL", invite.get("to"))

    def ack_failure(self, invite: Sip, reply: Sip) -> Sip:
        """ACK of a non-2xx reply (RFC 3261 §17.1.1.3)."""
        return self._hop_by_hop(invite, "ACK", reply.get("to"))

    def _hop_by_hop(self, invite: Sip, method: str, to: str) -> Sip:
        lines = [("Via", invite.get("via")), *(("Route", r) for r in invite.all("route"))]
        lines += [
            ("Max-Forwards", "70"),
            ("From", invite.get("from")),
            ("To", to),
            ("Call-ID", invite.get("call-id")),
            ("CSeq", f"{invite.get('cseq').split()[0]} {method}"),
            ("Content-Length", "0"),
        ]
        return Sip(f"{method} {invite.uri} SIP/2.0", lines)

    def in_dialog(self, method: str, request: Sip, reply: Sip, *, cseq: int | None = None, **more: object) -> Sip:
        """A request in the dialog that `request` (sent by this peer) and `reply` made; ACK and PRACK too."""
        number = int(request.get("cseq").split()[0])
        if cseq is None:
            cseq = number if method == "ACK" else number + 1
        return self.request(
            method,
            uri_of(reply.get("contact")),
            to=reply.get("to"),
            from_=request.get("from"),
            callid=request.get("call-id"),
            cseq=cseq,
            routes=list(reversed(reply.all("record-route"))),
            **more,  # type: ignore[arg-type]
        )

    def back_in_dialog(self, method: str, request: Sip, *, cseq: int = 101, **more: object) -> Sip:
        """A request of the called peer: `request` is the one that it received and answered with its tag."""
        return self.request(
            method,
            uri_of(request.get("contact")),
            to=request.get("from"),
            from_=f"{request.get('to').split(';')[0]};tag={self.tag}",
            callid=request.get("call-id"),
            cseq=cseq,
            routes=request.all("record-route"),
            **more,  # type: ignore[arg-type]
        )

    def answer(
        self,
        request: Sip,
        status: int,
        reason: str,
        *,
        tag: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        contact: bool | None = None,
        body: str = "",
    ) -> Sip:
        """A reply to a received request (RFC 3261 §8.2.6)."""
        to = request.get("to")
        if status > 100 and "tag=" not in to:
            to += f";tag={tag or self.tag}"
        lines = [("Via", v) for v in request.all("via")]
        if 100 < status < 300:
            lines += [("Record-Route", r) for r in request.all("record-route")]
        lines += [(name, request.get(name)) for name in ("From",)] + [("To", to)]
        lines += [("Call-ID", request.get("call-id")), ("CSeq", request.get("cseq"))]
        if contact or (contact is None and 100 < status < 300 and request.method in ("INVITE", "SUBSCRIBE", "UPDATE")):
            lines.append(("Contact", f"<{self.contact}>"))
        lines += headers
        if body:
            lines.append(("Content-Type", "application/sdp"))
        lines.append(("Content-Length", str(len(body.encode()))))
        return Sip(f"SIP/2.0 {status} {reason}", lines, body, link=request.link)

    def send(self, message: Sip | bytes, link: Link | None = None) -> Sip:
        """Send to the server; a reply goes over the link that its request came by."""
        data = message if isinstance(message, bytes) else message.encode()
        way = link or (None if isinstance(message, bytes) else message.link) or self._default
        if way is None:
            raise FlowError(f"{self.name} has no way to the server")
        way.write(data)
        return message if isinstance(message, Sip) else Sip.parse(data)

    def reply(self, request: Sip, status: int, reason: str, **more: object) -> Sip:
        """Build a reply and send it."""
        return self.send(self.answer(request, status, reason, **more))  # type: ignore[arg-type]

    async def barrier(self) -> None:
        """Wait until the server has dealt with all that this peer sent before."""
        if self._default is None:
            return
        self._count += 1
        callid = f"barrier-{self._count}-{self.name}"
        self._barriers.add(callid)
        self.send(self.request("OPTIONS", "sip:barrier@test.example", callid=callid, contact=None))
        await self._until(lambda: callid not in self._barriers, "the barrier", 2.0)


def bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        transport = self.transport
        assert transport is not None
        self.peer.got(data, Link(lambda out: transport.sendto(out, addr), self.peer.port))


class _Stream(asyncio.Protocol):
    """One TCP connection, framed by Content-Length (RFC 3261 §18.3)."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.transport: asyncio.Transport
        self.link: Link | None = None
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        port = transport.get_extra_info("sockname")[1]
        self.link = Link(transport.write, port)
        self.peer.streams.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.peer.wake()
        del exc

    def data_received(self, data: bytes) -> None:
        self.buffer = (self.buffer + data).lstrip(b"\r\n")
        while b"\r\n\r\n" in self.buffer:
            head, _, rest = self.buffer.partition(b"\r\n\r\n")
            found = re.search(rb"(?im)^(?:content-length|l)[ \t]*:[ \t]*(\d+)", head)
            length = int(found.group(1)) if found else 0
            if len(rest) < length:
                return
            assert self.link is not None
            self.peer.got(head + b"\r\n\r\n" + rest[:length], self.link)
            self.buffer = rest[length:].lstrip(b"\r\n")


@dataclass
class Stage:
    """Where one flow plays: the server's addresses and the peers that the flow has made."""

    flow: str
    server: dict[str, tuple[str, int]]
    peers: dict[str, Peer] = field(default_factory=dict)
    #: What the flow itself wants compared, beside the messages (one line each).
    notes: list[str] = field(default_factory=list)

    async def peer(
        self, name: str, proto: str = "udp", host: str = "127.0.0.1", *, connect: bool = True, inside: str = ""
    ) -> Peer:
        """Make a peer; `proto` and `host` choose the server's listener that it talks to. One behind a NAT writes
        `inside`, a host and port that nobody reaches, of itself."""
        peer = Peer(name, host, proto, self.flow)
        peer.inside = inside
        key = f"{proto}6" if ":" in host else proto
        await peer.open(self.server[key], connect)
        self.peers[name] = peer
        return peer

    async def pair(self) -> tuple[Peer, Peer]:
        return await self.peer("alice"), await self.peer("bob")

    @staticmethod
    def clock() -> float:
        """Seconds, for intervals."""
        return asyncio.get_running_loop().time()

    def uri(self, key: str = "udp") -> str:
        """host:port of a listener of the server."""
        host, port = self.server[key]
        return f"{bracket(host)}:{port}"

    async def settle(self) -> None:
        """Wait until everything that the peers sent has been dealt with and its results have arrived."""
        for peer in self.peers.values():
            with contextlib.suppress(FlowError):
                await peer.barrier()

    def close(self) -> None:
        for peer in self.peers.values():
            peer.close()
