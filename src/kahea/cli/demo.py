"""`kahea demo`: the server with its default script, two phones on real sockets, a call, and its picture."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final, cast

import uvloop

from kahea.cli import logs
from kahea.cli.server import Server
from kahea.net.address import Address
from kahea.routing.settings import Settings, load
from kahea.testing.ladder import ladder
from kahea.testing.message import SipMessage, reply_to, uri_of
from kahea.testing.network import Packet

HOST: Final = "127.0.0.1"
#: How long each side waits for the other, in seconds.
PATIENCE: Final = 5.0
RINGING: Final = 0.3
TALKING: Final = 0.5

SDP: Final = "v=0\r\no={user} 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"


class Phone(asyncio.DatagramProtocol):
    """The least phone that can make and take a call. It writes down what it sends and receives."""

    def __init__(self, user: str, server: Address, tape: list[Packet]) -> None:
        self.user = user
        self.server = server
        self.uri = f"sip:{user}@{HOST}:{server.port}"
        self._tape = tape
        self._came: asyncio.Queue[SipMessage] = asyncio.Queue()
        self._tag = os.urandom(4).hex()

    def itself(self) -> Phone:
        """The protocol factory of its own socket."""
        return self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        # uvloop's transports have the methods of asyncio's, without being of their class.
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.address = Address.of(HOST, transport.get_extra_info("sockname")[1])
        self.contact = f"<sip:{self.user}@{HOST}:{self.address.port}>"

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """One message from the server; what needs no person is answered at once."""
        self._note(Address.of(addr[0], addr[1]), self.address, data)
        message = SipMessage.parse(data)
        if message.matches("BYE"):
            self.send(reply_to(message, 200))
        self._came.put_nowait(message)

    def send(self, message: SipMessage) -> None:
        """Send to the server."""
        data = message.encode()
        self._note(self.address, self.server, data)
        self._transport.sendto(data)

    def _note(self, source: Address, destination: Address, data: bytes) -> None:
        self._tape.append(Packet(time.monotonic(), "udp", source, destination, data, fate="delivered"))

    def close(self) -> None:
        """Close the socket."""
        self._transport.close()

    async def until(self, what: str) -> SipMessage:
        """Wait for a message, such as `"180 INVITE"`, and pass over others. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE):
            while not (message := await self._came.get()).matches(what):
                pass
            return message

    def request(self, method: str, uri: str, cseq: int, *headers: tuple[str, str], body: str = "") -> SipMessage:
        """A request of this phone."""
        head = [
            ("Via", f"SIP/2.0/UDP {HOST}:{self.address.port};branch=z9hG4bK{os.urandom(6).hex()};rport"),
            ("Max-Forwards", "70"),
            ("From", f"<{self.uri}>;tag={self._tag}"),
            ("CSeq", f"{cseq} {method}"),
            ("Contact", self.contact),
        ]
        tail = [("Content-Type", "application/sdp")] if body else []
        return SipMessage(f"{method} {uri} SIP/2.0", [*head, *headers, *tail, ("Content-Length", str(len(body)))], body)

    async def register(self) -> None:
        """Tell the server where this phone is."""
        where = [("To", f"<{self.uri}>"), ("Call-ID", os.urandom(8).hex()), ("Expires", "60")]
        self.send(self.request("REGISTER", f"sip:{HOST}:{self.server.port}", 1, *where))
        await self.until("200 REGISTER")

    async def call(self, other: str) -> None:
        """Call, talk for a moment, hang up."""
        call_id = ("Call-ID", os.urandom(8).hex())
        sdp = SDP.format(user=self.user, host=HOST, port=40000)
        self.send(self.request("INVITE", other, 1, ("To", f"<{other}>"), call_id, body=sdp))
        answer = await self.until("200 INVITE")
        target, dialog = uri_of(answer["Contact"]), [("To", answer["To"]), call_id]
        dialog += [("Route", route) for route in reversed(answer.all("Record-Route"))]
        self.send(self.request("ACK", target, 1, *dialog))
        await asyncio.sleep(TALKING)
        self.send(self.request("BYE", target, 2, *dialog))
        await self.until("200 BYE")

    async def answer(self) -> None:
        """Ring, answer, and wait for the caller to hang up."""
        invite = await self.until("INVITE")
        self.send(reply_to(invite, 180, tag=self._tag, contact=self.contact))
        await asyncio.sleep(RINGING)
        sdp = SDP.format(user=self.user, host=HOST, port=40002)
        self.send(reply_to(invite, 200, tag=self._tag, contact=self.contact, body=sdp))
        await self.until("ACK")
        await self.until("BYE")


def free_port() -> int:
    """A port that is free for UDP and TCP."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind((HOST, 0))
            port: int = tcp.getsockname()[1]
            try:
                udp.bind((HOST, port))
            except OSError:
                continue
            return port


async def demonstrate(state: Path) -> list[Packet]:
    """Start everything, make the call, end everything; what passed, in order. Raises TimeoutError."""
    port = free_port()
    script = Path(str(files("kahea") / "default" / "kahea.py"))
    listeners = [f"udp:{HOST}:{port}", f"tcp:{HOST}:{port}"]
    server = Server(load(script, None, listeners, {"KAHEA_STATE": str(state)}))
    tape: list[Packet] = []
    phones: list[Phone] = []
    loop = asyncio.get_running_loop()
    try:
        await server.start()
        for user in ("alice", "bob"):
            phone = Phone(user, Address.of(HOST, port), tape)
            await loop.create_datagram_endpoint(phone.itself, (HOST, 0), (HOST, port))
            phones.append(phone)
            await phone.register()
        alice, bob = phones
        await asyncio.gather(alice.call(bob.uri), bob.answer())
    finally:
        for phone in phones:
            phone.close()
        await server.stop()
    return tape


def picture(tape: list[Packet]) -> str:
    """The messages as a ladder, times from the first."""
    names = dict(_names(tape))
    start = tape[0].sent_at
    for packet in tape:
        packet.sent_at -= start
    return ladder(tape, lambda packet, of_source: names[packet.source if of_source else packet.destination])


def _names(tape: list[Packet]) -> Iterator[tuple[Address, str]]:
    """Who is at which address: phones say so when they register."""
    for packet in tape:
        if packet.message.matches("REGISTER"):
            yield packet.source, uri_of(packet.message["From"]).removeprefix("sip:").partition("@")[0]
            yield packet.destination, "kahea"


def run() -> int:
    """The command: prints the picture; 0 if the call was made."""
    logs.set_up(Settings())
    with tempfile.TemporaryDirectory(prefix="kahea-demo-") as state:
        try:
            tape = uvloop.run(demonstrate(Path(state)))
        except TimeoutError:
            print("kahea demo: the call was not made: a phone heard nothing in time", file=sys.stderr)
            return 1
    print(picture(tape))
    return 0
