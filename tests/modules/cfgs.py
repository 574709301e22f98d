"""The same cfg in Kamailio and here: many small bodies in one, each run for one request and then forwarded.

A body may collect text in `$var(o)`; it ends up in the header X-Out of the request that is sent on to the sink, with
all edits that the body made. What the caller is sent is an outcome, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.ending import end
from tests.ports import free_port

from kahea.engines.native.compiler import compile_program
from kahea.engines.native.load import load
from kahea.engines.native.parser import parse_text
from kahea.net.address import P_UDP, Address, Listener
from kahea.routing.node import Node

KAMAILIO = shutil.which("kamailio")
PORT = free_port(20)
SINK, CALLER = PORT + 1, PORT + 2
MODULES = ("kex", "corex", "tm", "tmx", "sl", "rr", "pv", "maxfwd", "textops", "textopsx", "siputils", "xlog", "sanity")

HEAD = """
debug=-1
log_stderror=yes
children=1
disable_tcp=yes
auto_aliases=no
alias="example.com"
server_header="Server: x"
listen=udp:127.0.0.1:{port}
{modules}
{extra}
request_route {{
    $var(o) = "";
    $var(case) = "C" + $hdr(X-Case);
    route($var(case));
    route(END);
}}
route[END] {{
    append_hf("X-Out: $var(o)\\r\\n");
    $du = "sip:127.0.0.1:{sink}";
    forward();
    exit;
}}
route[CNONE] {{ sl_send_reply("200", "Up"); exit; }}
"""

BODY = "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\n"
MESSAGE = (
    "INVITE sip:bob@example.com;x=1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:@CALLER;branch=z9hG4bKcaller\r\n"
    "From: <sip:alice@example.com>;tag=ft\r\nTo: <sip:bob@example.com>\r\nCall-ID: call@x\r\nCSeq: 1 INVITE\r\n"
    "Contact: <sip:alice@127.0.0.1:5999>\r\nSupported: path, timer\r\nSubject: hello world\r\nX-Case: @CASE\r\n"
    f"Max-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}"
)


@dataclass
class Outcome:
    """What the sink and the caller got, in order; branches are blanked."""

    sink: list[str] = field(default_factory=list)
    caller: list[str] = field(default_factory=list)

    @property
    def out(self) -> str | None:
        """What the body collected; None if nothing was sent on."""
        found = re.search(r"X-Out: (.*?)\r\n(?=[A-Z][-A-Za-z]*: |\r\n)", self.sink[0], re.DOTALL) if self.sink else None
        return None if found is None else found[1]


def blank(data: bytes) -> str:
    """A message without what differs from server to server."""
    text = data.decode("utf-8", "surrogateescape")
    text = re.sub(r"(;branch=)z9hG4bK(?!caller)[^;\r]*", r"\1B", text)
    return re.sub(r"(\nTo: [^\r]*;tag=)[^;\r]*", r"\1T", text)


def cfg_text(bodies: Sequence[str], extra: str = "", modules: Sequence[str] = (), routes: str = "") -> str:
    """A cfg with all of them."""
    load = "\n".join(f'loadmodule "{module}.so"' for module in (*MODULES, *modules))
    head = HEAD.format(port=PORT, sink=SINK, modules=load, extra=extra)
    blocks = [f"route[C{number}] {{\n{body}\nreturn 1;\n}}\n" for number, body in enumerate(bodies)]
    return head + "".join(blocks) + routes


def request(number: int | str, message: str = MESSAGE) -> bytes:
    """The request that runs a body."""
    text = message.replace("@CASE", str(number)).replace("@CALLER", str(CALLER)).replace("@SINK", str(SINK))
    return text.encode("utf-8", "surrogateescape")


def _udp(port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    found.bind(("127.0.0.1", port))
    return found


class Kamailio:
    """A running Kamailio."""

    def __init__(self, folder: Path, text: str) -> None:
        (folder / "kamailio.cfg").write_text(text)
        self._log_file = folder / "log"
        self._log = self._log_file.open("wb")
        self._caller, self._sink = _udp(CALLER), _udp(SINK)
        assert KAMAILIO is not None
        command = [KAMAILIO, "-f", str(folder / "kamailio.cfg"), "-DD", "-E", "-x", "fm", "-m", "64", "-M", "64"]
        self._process = subprocess.Popen(
            [*command, "-Y", str(folder), "-w", str(folder)], stdout=self._log, stderr=self._log, start_new_session=True
        )
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline and self._process.poll() is None:
            self.send(request("NONE"))
            if select.select([self._caller], [], [], 0.1)[0]:
                with contextlib.suppress(ConnectionRefusedError):
                    self._caller.recv(65535)
                    return
        self.stop()
        raise RuntimeError(self.log()[-3000:])

    def log(self) -> str:
        """What it wrote so far."""
        return self._log_file.read_text(errors="replace")

    def send(self, data: bytes, port: int = CALLER) -> None:
        """Send it a datagram, from the caller or the sink."""
        (self._sink if port == SINK else self._caller).sendto(data, ("127.0.0.1", PORT))

    def next_at(self, port: int, within: float = 5.0) -> bytes:
        """The next message at the caller or the sink. Raises TimeoutError."""
        at = self._sink if port == SINK else self._caller
        if not select.select([at], [], [], within)[0]:
            raise TimeoutError(self.log()[-2000:])
        return at.recv(65535)

    def has_more(self) -> bool:
        """Whether the caller or the sink had another message, which is forgotten."""
        ready = select.select([self._caller, self._sink], [], [], 0)[0]
        for at in ready:
            at.recv(65535)
        return bool(ready)

    def run(self, data: bytes) -> Outcome:
        """What comes of a request; over when it answers the next one."""
        self.send(data)
        self.send(request("NONE").replace(b"call@x", b"end@x"))
        outcome = Outcome()
        while self._process.poll() is None:
            for ready in select.select([self._caller, self._sink], [], [], 5)[0]:
                got = ready.recv(65535)
                if ready is self._caller and b"end@x" in got:
                    while select.select([self._sink], [], [], 0)[0]:
                        outcome.sink.append(blank(self._sink.recv(65535)))
                    return outcome
                (outcome.sink if ready is self._sink else outcome.caller).append(blank(got))
        raise RuntimeError("Kamailio ended: " + self.log()[-2000:])

    def later(self, within: float) -> Outcome:
        """What came to the caller until a message reaches the sink, and that."""
        outcome = Outcome()
        if select.select([self._sink], [], [], within)[0]:
            outcome.sink.append(blank(self._sink.recv(65535)))
        while select.select([self._caller], [], [], 0)[0]:
            outcome.caller.append(blank(self._caller.recv(65535)))
        return outcome

    def stop(self) -> None:
        """End the process that was started."""
        end(self._process)
        self._caller.close()
        self._sink.close()
        self._log.close()


class Wire(Listener):
    """A listener that keeps what is sent."""

    sent: list[tuple[int, bytes]]
    #: Told when something was sent to a port, if somebody waits for it.
    arrived: asyncio.Event | None = None
    awaited: int = SINK

    def send(self, data: bytes, to: Address, connection_id: int = 0) -> bool:
        self.sent.append((to.port, bytes(data)))
        if to.port == self.awaited and self.arrived is not None:
            self.arrived.set()
        return True


class Ours:
    """A node of this process with a cfg."""

    def __init__(self, text: str, now: float = 1000.0) -> None:
        program = parse_text(text, "kamailio.cfg")
        self.now = now
        self.node = Node(load(program, Path("kamailio.cfg")), clock=lambda: self.now, wall=time.time)
        self.wire = Wire(P_UDP, Address.of("127.0.0.1", PORT))
        self.wire.sent = []
        self.node.add_listener(self.wire)
        self.node.start()
        self.node.use(compile_program(program, self.node))

    def run(self, data: bytes) -> Outcome:
        """What comes of a request."""
        self.wire.sent.clear()
        self.node.on_datagram(self.wire, data, Address.of("127.0.0.1", CALLER))
        return self._outcome()

    async def wait(self, data: bytes, within: float = 10.0, to: int = SINK) -> Outcome:
        """As `run`, for a body that waits for something: until a message reaches a port."""
        self.wire.sent.clear()
        self.wire.arrived, self.wire.awaited = asyncio.Event(), to
        self.node.on_datagram(self.wire, data, Address.of("127.0.0.1", CALLER))
        await asyncio.wait_for(self.wire.arrived.wait(), within)
        return self._outcome()

    def send(self, data: bytes, port: int = CALLER) -> None:
        """Give it a datagram, from the caller or the sink."""
        self.node.on_datagram(self.wire, data, Address.of("127.0.0.1", port))

    async def next_at(self, port: int, within: float = 5.0) -> bytes:
        """The next message at the caller or the sink. Raises TimeoutError."""
        async with asyncio.timeout(within):
            while True:
                for index, (to, sent) in enumerate(self.wire.sent):
                    if to == port:
                        del self.wire.sent[index]
                        return sent
                self.wire.arrived, self.wire.awaited = asyncio.Event(), port
                await self.wire.arrived.wait()

    def _outcome(self) -> Outcome:
        outcome = Outcome()
        for port, sent in self.wire.sent:
            (outcome.sink if port == SINK else outcome.caller).append(blank(sent))
        return outcome


@contextlib.contextmanager
def kamailio(folder: Path, text: str) -> Iterator[Kamailio]:
    """A Kamailio for as long as it is wanted."""
    made = Kamailio(folder, text)
    try:
        yield made
    finally:
        made.stop()


def differences(
    folder: Path,
    bodies: Sequence[str],
    message: str = MESSAGE,
    *,
    extra: str = "",
    modules: Sequence[str] = (),
    routes: str = "",
) -> list[str]:
    """For each body whose outcomes differ, what they are."""
    text = cfg_text(bodies, extra, modules, routes)
    ours = Ours(text)
    found = []
    with kamailio(folder, text) as theirs:
        for number, body in enumerate(bodies):
            data = request(number, message)
            want, have = theirs.run(data), ours.run(data)
            if want != have:
                found.append(f"{body}\n  kamailio: {want}\n  kahea:    {have}")
    return found
