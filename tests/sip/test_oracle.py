"""What we build next to what a real Kamailio builds of the same request, byte for byte."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.ending import end
from tests.ports import free_port

from kahea.sip import message as m
from kahea.sip.message import Message

from .messages import SDP, received, request

KAMAILIO = shutil.which("kamailio")
pytestmark = pytest.mark.skipif(KAMAILIO is None, reason="Kamailio is not installed")

CONFIG = """
debug=0
log_stderror=yes
children=1
server_header="Server: k"
dns=no
rev_dns=no
listen=udp:127.0.0.1:{port}
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "textops.so"
request_route {{
  $var(do) = $hdr(X-Do);
  if ($var(do) =~ "rport") force_rport();
  if ($var(do) =~ "insert") {{ insert_hf("X-1: 1\\r\\n"); insert_hf("X-2: 2\\r\\n"); }}
  if ($var(do) =~ "append") {{ append_hf("X-3: 3\\r\\n"); append_hf("X-4: 4\\r\\n"); }}
  if ($var(do) =~ "remove") {{ remove_hf("User-Agent"); remove_hf("User-Agent"); }}
  if ($var(do) =~ "overlap") {{ replace("o/1.0", "A"); replace("Foo/1", "B"); }}
  if ($var(do) =~ "inside") {{ remove_hf("User-Agent"); replace("Foo", "barbar"); }}
  if ($var(do) =~ "body") replace_body("v=0", "v=0 ");
  if ($var(do) =~ "lines") {{ append_to_reply("X-A: 1\\r\\n"); append_to_reply("X-B: 2\\r\\n"); }}
  if ($var(do) =~ "answer404") {{ sl_send_reply("404", "Not Here"); exit; }}
  if ($var(do) =~ "answer183") {{ sl_send_reply("183", "Progress"); exit; }}
  if ($var(do) =~ "answer100") {{ sl_send_reply("100", "Trying"); exit; }}
  $du = "sip:127.0.0.1:{sink}";
  if ($var(do) =~ "uri") $ru = "sip:new@example.org;x=y";
  forward();
}}
"""


@dataclass
class Peer:
    """A running Kamailio: what it is sent by `caller` comes out at `sink`, or back."""

    port: int
    caller: socket.socket
    sink: socket.socket

    def exchange(self, data: bytes) -> bytes:
        """Send a request; what it was made into."""
        self.caller.sendto(data, ("127.0.0.1", self.port))
        source = self.caller if b"answer" in data else self.sink
        return source.recv(65535)


def _socket() -> socket.socket:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    s.settimeout(2)
    return s


def _await_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("127.0.0.1", port))
        probe.settimeout(0.05)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and process.poll() is None:
            try:
                probe.send(b"\0\0\0\0")
                probe.recv(1)
            except TimeoutError:
                return  # no ICMP error: somebody listens
            except ConnectionRefusedError:
                time.sleep(0.05)
    raise RuntimeError("Kamailio did not start")


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    folder: Path = tmp_path_factory.mktemp("kamailio")
    port = free_port()
    with _socket() as caller, _socket() as sink:
        config = folder / "kamailio.cfg"
        config.write_text(CONFIG.format(port=port, sink=sink.getsockname()[1]))
        assert KAMAILIO is not None
        arguments = [KAMAILIO, "-f", str(config), "-DD", "-E", "-x", "fm", "-m", "64"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*arguments, "-Y", str(folder), "-w", str(folder)], stdout=log, stderr=log, start_new_session=True
            )
        try:
            _await_listening(port, process)
            yield Peer(port, caller, sink)
        finally:
            end(process)


def insert(message: Message) -> None:
    message.prepend_header(b"X-1: 1\r\n")
    message.prepend_header(b"X-2: 2\r\n")


def append(message: Message) -> None:
    message.append_header(b"X-3: 3\r\n")
    message.append_header(b"X-4: 4\r\n")


def remove(message: Message) -> None:
    header = message.header(m.H_USERAGENT)
    assert header is not None
    message.remove_header(header)
    message.remove_header(header)


def overlap(message: Message) -> None:
    at = message.raw.index(b"Foo/1.0")
    message.replace(at + 2, 5, b"A")
    message.replace(at, 5, b"B")


def inside(message: Message) -> None:
    remove(message)
    message.replace(message.raw.index(b"Foo/1.0"), 3, b"barbar")


def body(message: Message) -> None:
    message.replace(message.raw.index(b"v=0"), 3, b"v=0 ")


def uri(message: Message) -> None:
    message.set_uri(b"sip:new@example.org;x=y")


def rport(message: Message) -> None:
    message.force_rport = True


def lines(message: Message) -> None:
    message.reply_edits += [b"X-A: 1\r\n", b"X-B: 2\r\n"]


STEPS: dict[str, Callable[[Message], None]] = {
    f.__name__: f for f in (insert, append, remove, overlap, inside, body, uri, rport, lines)
}
FORWARDED = [
    "", "insert", "append", "insert append", "remove", "overlap", "inside", "body", "uri", "rport",
    "insert append remove body uri rport",
]  # fmt: skip
ANSWERS = {"answer404": (404, b"Not Here"), "answer183": (183, b"Progress"), "answer100": (100, b"Trying")}
VIAS = [
    b"127.0.0.1:%d;branch=z9hG4bKa", b"127.0.0.1:%d;rport;branch=z9hG4bKa",
    b"127.0.0.1:%d;branch=z9hG4bKa;rport;x=1",
    b"127.0.0.1:%d;branch=z9hG4bKa;rport=7", b"192.0.2.7:%d;branch=z9hG4bKa;rport", b"127.0.0.1:%d",
]  # fmt: skip


def ours(data: bytes, peer: Peer, what: str, theirs: bytes) -> bytes:
    """What we make of the request. Branch and tag, which nobody can foresee, are taken from their message."""
    message = received(data, b"127.0.0.1", peer.caller.getsockname()[1])
    for step in what.split():
        if step in STEPS:
            STEPS[step](message)
    for answer, (status, reason) in ANSWERS.items():
        if answer in what:
            tag = re.search(rb"\r\nTo: [^\r]*;tag=([^\r;]+)", theirs)
            return message.build_reply(status, reason, tag[1] if tag else b"", server=b"Server: k\r\n")
    via = re.search(rb"Via: SIP/2.0/UDP 127.0.0.1:%d;branch=[^\r]*\r\n" % peer.port, theirs)
    assert via is not None
    return message.build_request(message.uri, via[0])


@pytest.mark.parametrize("via", VIAS)
@pytest.mark.parametrize("what", [*FORWARDED, *ANSWERS, "answer183 lines", "answer404 rport"])
def test_same_bytes(peer: Peer, what: str, via: bytes) -> None:
    sent_by = b"SIP/2.0/UDP " + via.replace(b"%d", b"%d" % peer.caller.getsockname()[1])
    extra = (
        b"X-Do: %b\r\nRecord-Route: <sip:p.example;lr>\r\nv: SIP/2.0/TCP lower.example\r\n"
        b"user-agent : Foo/1.0\r\nX-Z:\t1  \r\nContent-Type: application/sdp\r\n" % what.encode()
    )
    data = request(via=sent_by, extra=extra, body=SDP)
    theirs = peer.exchange(data)
    assert ours(data, peer, what, theirs) == theirs
