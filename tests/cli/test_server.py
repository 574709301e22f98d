"""The server as a process: it answers, keeps what it must, and ends in good order."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import environment
from tests.ports import free_port

HOST = "127.0.0.1"

PROXY = """
import KSR

def ksr_request_route():
    if KSR.is_method_in("O"):
        KSR.sl.sl_send_reply(200, KSR.pv.gete("$def(GREETING)") or "OK")
    else:
        KSR.tm.t_relay()
"""


class Peer:
    """A UDP socket that speaks SIP by hand."""

    def __init__(self, server: int) -> None:
        self.server = server
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.bind((HOST, 0))
        self.socket.settimeout(5)
        self.port: int = self.socket.getsockname()[1]

    def request(self, method: str, uri: str = "", headers: str = "", to: str = "") -> None:
        """Send a request with a transaction and call of its own."""
        tag = os.urandom(5).hex()
        uri = uri or f"sip:{HOST}:{self.server}"
        text = (
            f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {HOST}:{self.port};branch=z9hG4bK{tag};rport\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:a@{HOST}>;tag={tag}\r\nTo: <{to or uri}>\r\nCall-ID: {tag}\r\n"
            f"CSeq: 1 {method}\r\n{headers}Content-Length: 0\r\n\r\n"
        )
        self.socket.sendto(text.encode(), (HOST, self.server))

    def reply(self, request: bytes, status: str) -> None:
        """Answer a request that came from the server."""
        lines = request.decode().split("\r\n")
        kept = [x for x in lines if x.split(":")[0] in ("Via", "From", "To", "Call-ID", "CSeq")]
        kept = [f"{x};tag=callee" if x.startswith("To:") else x for x in kept]
        text = "\r\n".join([f"SIP/2.0 {status}", *kept, "Content-Length: 0", "", ""])
        self.socket.sendto(text.encode(), (HOST, self.server))

    def receive(self, start: str = "") -> bytes:
        """The next message that begins with `start`."""
        while True:
            data = self.socket.recv(65535)
            if data.startswith(start.encode()):
                return data

    def close(self) -> None:
        self.socket.close()


class Running:
    """`kahea run` in a process of its own."""

    def __init__(self, directory: Path, *words: str) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "kahea", "run", *words, "-l", f"udp:{HOST}:{self.port}"]
        self.log = directory / f"{self.port}.log"
        with self.log.open("wb") as log:
            env = environment(KAHEA_STATE=str(directory))
            self.process = subprocess.Popen(command, stderr=log, stdout=log, stdin=subprocess.DEVNULL, env=env)
        end = time.monotonic() + 20
        while f"on udp:{HOST}:{self.port}" not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > end:
                self.process.kill()
                self.process.wait()
                raise AssertionError(self.log.read_text())
            time.sleep(0.02)

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def end(self, timeout: float = 10) -> int:
        """Wait for its end: the exit code."""
        return self.process.wait(timeout)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Running]]:
    """Servers to be ended after the test, whatever became of it."""
    servers: list[Running] = []
    yield servers
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


@pytest.fixture
def proxy(tmp_path: Path, started: list[Running]) -> Running:
    """A server that relays every call."""
    script = tmp_path / "proxy.py"
    script.write_text(PROXY)
    started.append(Running(tmp_path, str(script), "-A", "GREETING=Aloha", "--set", "children=8"))
    return started[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_and_ends(proxy: Running, number: int) -> None:
    peer = Peer(proxy.port)
    peer.request("OPTIONS")
    assert peer.receive().startswith(b"SIP/2.0 200 Aloha\r\n")
    proxy.signal(number)
    assert proxy.end() == 0
    text = proxy.log.read_text()
    assert "children has no effect here: " in text
    assert "Traceback" not in text
    peer.close()


def test_calls_under_way_are_finished(proxy: Running) -> None:
    caller, callee = Peer(proxy.port), Peer(proxy.port)
    caller.request("INVITE", f"sip:b@{HOST}:{callee.port}")
    invite = callee.receive("INVITE")
    callee.reply(invite, "180 Ringing")
    caller.receive("SIP/2.0 180")

    proxy.signal()
    late = Peer(proxy.port)
    late.request("OPTIONS")
    while late.receive("SIP/2.0").startswith(b"SIP/2.0 200 "):  # the signal is on its way
        late.request("OPTIONS")
    late.request("INVITE", f"sip:b@{HOST}:{callee.port}")
    assert late.receive("SIP/2.0").startswith(b"SIP/2.0 503 ")

    assert proxy.process.poll() is None
    callee.reply(invite, "200 OK")
    caller.receive("SIP/2.0 200")
    assert proxy.end() == 0
    for peer in (caller, callee, late):
        peer.close()


def test_a_second_signal_ends_the_wait(proxy: Running) -> None:
    caller, callee = Peer(proxy.port), Peer(proxy.port)
    caller.request("INVITE", f"sip:b@{HOST}:{callee.port}")
    callee.reply(callee.receive("INVITE"), "180 Ringing")
    caller.receive("SIP/2.0 180")
    proxy.signal()
    with pytest.raises(subprocess.TimeoutExpired):
        proxy.end(0.5)
    proxy.signal()
    assert proxy.end() == 0
    assert "stopped with 1 transactions under way" in proxy.log.read_text()


def test_the_wait_has_a_limit(tmp_path: Path, started: list[Running]) -> None:
    script = tmp_path / "proxy.py"
    script.write_text(PROXY)
    started.append(Running(tmp_path, str(script), "--set", "exit_timeout=1"))
    caller, callee = Peer(started[0].port), Peer(started[0].port)
    caller.request("INVITE", f"sip:b@{HOST}:{callee.port}")
    callee.receive("INVITE")
    begin = time.monotonic()
    started[0].signal()
    assert started[0].end() == 0
    assert 0.9 < time.monotonic() - begin < 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_locations_outlive_the_default_server(tmp_path: Path, started: list[Running], number: int) -> None:
    contact = "Contact: <sip:phone@192.0.2.5:5060>\r\n"
    first = Running(tmp_path)
    started.append(first)
    peer = Peer(first.port)
    peer.request("REGISTER", headers=f"Expires: 600\r\n{contact}", to=f"sip:phone@{HOST}:{first.port}")
    assert b"<sip:phone@192.0.2.5:5060>" in peer.receive("SIP/2.0 200")
    peer.close()
    first.signal(number)
    first.end()

    # The next one has another port, and so another domain: users are known by name alone (use_domain is off).
    second = Running(tmp_path)
    started.append(second)
    peer = Peer(second.port)
    peer.request("REGISTER", to=f"sip:phone@{HOST}:{second.port}")
    assert b"<sip:phone@192.0.2.5:5060>" in peer.receive("SIP/2.0 200")
    peer.close()
