"""The messages of RFC 4475 and RFC 5118, and our own of the same kinds, sent to a running server by UDP and by TCP.

Each comes to one of the outcomes that the RFC allows: forwarded, answered by a final reply, or dropped. The RFCs' own
messages are read where they are to be had beside the checkout; ours (`tests/sip/torture`) always.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ending import kill
from tests.ports import free_port

import kahea as kahea_package

HERE = Path(__file__).parent
CORPUS = HERE.parents[2] / "shared" / "corpus"
OWN = HERE.parent / "sip" / "torture"
HOST = "127.0.0.1"
#: How long to wait for what should come, and for what should not.
PATIENCE = 5.0

#: Where our reading differs from the index's, and why.
DIFFERS = {
    # A stream's message is not complete before its Content-Length is: there is nothing to answer yet, and the
    # connection is closed when nothing more comes (RFC 4475 §3.1.2.2 speaks of a datagram).
    ("rfc4475/clerr.dat", "tcp"): ["drop"],
    # The RFC's file lacks the empty line after its headers: the same.
    ("rfc4475/baddn.dat", "tcp"): ["drop"],
    # Without Content-Length, a stream has no message (RFC 3261 §18.3); RFC 2543 had it so too.
    ("rfc4475/inv2543.dat", "tcp"): ["reply:400"],
}

#: Parsers take these, and the script's checks do not: a registrar answers 400 (RFC 4475 §3.3.4).
REFUSED_BY_SCRIPT = {"unknown-schemes-in-headers"}


class Server:
    """`kahea run` with the router, and the sink that it forwards to."""

    def __init__(self, directory: Path) -> None:
        self.sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sink.bind((HOST, 0))
        self.port = free_port()
        settings = directory / "kahea.toml"
        settings.write_text(
            "[global]\nstrict_messages = true\ntcp_msg_read_timeout = 1\nexit_timeout = 1\n"
            "[modules.tm]\nfr_timer = 600000\nmax_noninv_lifetime = 600000\n"  # no 408 into a later test
        )
        sink = f"SINK={HOST}:{self.sink.getsockname()[1]}"
        command = [sys.executable, "-m", "kahea", "run", str(HERE / "router.py"), "--settings", str(settings)]
        command += ["-A", sink, "-l", f"udp:{HOST}:{self.port}", "-l", f"tcp:{HOST}:{self.port}"]
        self.log = directory / "log"
        source = str(Path(kahea_package.__file__).parents[1])
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"PYTHONPATH": source},
                start_new_session=True,
            )
        end = time.monotonic() + 20
        while f"tcp:{HOST}:{self.port}" not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > end:
                kill(self.process)
                raise AssertionError(self.log.read_text())
            time.sleep(0.02)

    def stop(self) -> None:
        """End it; it must have lived, and nothing may have been raised."""
        assert self.process.poll() is None, self.log.read_text()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0
        self.sink.close()
        assert "Traceback" not in self.log.read_text()

    def forwarded(self, mark: bytes) -> bool:
        """Whether something with `mark` is waiting at the sink."""
        self.sink.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                if mark in self.sink.recv(65536):
                    return True
        return False


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    """One for each transport: a message that came by both would be one transaction."""
    made = {transport: Server(tmp_path_factory.mktemp("torture")) for transport in ("udp", "tcp")}
    yield made
    for server in made.values():
        server.stop()


def marked(data: bytes, mark: bytes) -> bytes:
    """The message with a header of ours behind the start line, to know it again."""
    start = len(data) - len(data.lstrip(b"\r\n"))
    end = data.find(b"\n", start) + 1
    return data[:end] + b"X-Torture: " + mark + b"\r\n" + data[end:]


def outcome(server: Server, data: bytes, transport: str, mark: bytes) -> str:
    """Send a message; `forward`, `reply:NNN` or `drop`. A probe behind it tells that the server is done with it."""
    if transport == "udp":
        return _by_udp(server, data, mark)
    return _by_tcp(server, data, mark)


def _probe(mark: bytes, via: str) -> bytes:
    return (
        f"OPTIONS sip:probe@{HOST} SIP/2.0\r\nVia: SIP/2.0/{via} {HOST}:9;rport;branch=z9hG4bK".encode()
        + mark
        + b"p\r\n"
        b"From: <sip:probe@example.com>;tag=p\r\nTo: <sip:probe@example.com>\r\nCall-ID: probe-" + mark + b"\r\n"
        b"CSeq: 1 OPTIONS\r\nMax-Forwards: 0\r\nContent-Length: 0\r\n\r\n"
    )


def _by_udp(server: Server, data: bytes, mark: bytes) -> str:
    # Replies go to the source address with the Via's port: listen there, if the Via names one.
    found = re.search(rb"\n(?:via|v)\s*:\s*SIP\s*/\s*2\.0\s*/\s*\S+\s+([^\s;,]+)", data, re.IGNORECASE)
    port = 5060
    if found and (named := re.search(rb":(\d+)$", found[1])) and not found[1].endswith(b"]"):
        port = min(int(named[1]), 65535)
    rport = re.search(rb"\n(?:via|v)\s*:[^\n]*;\s*rport", data, re.IGNORECASE)
    with contextlib.ExitStack() as stack:
        sender = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        sender.bind((HOST, 0))
        receivers = [sender]
        if not rport:
            other = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            other.bind((HOST, port))
            receivers.append(other)
        sender.sendto(data, (HOST, server.port))
        sender.sendto(_probe(mark, "UDP"), (HOST, server.port))
        return _read(server, receivers, mark)


def _read(server: Server, receivers: list[socket.socket], mark: bytes) -> str:
    """The outcome, once the probe's answer is there: the server takes datagrams in order."""
    end = time.monotonic() + PATIENCE
    reply = ""
    probed = False
    while time.monotonic() < end and not probed:
        for receiver in receivers:
            receiver.settimeout(0.02)
            with contextlib.suppress(TimeoutError):
                got = receiver.recv(65536)
                status = int(got[8:11])
                if b"Call-ID: probe-" + mark in got:
                    probed = True
                elif status >= 200 and not reply:
                    reply = f"reply:{status}"
    assert probed, f"no answer to the probe:\n{server.log.read_text()[-2000:]}"
    if server.forwarded(mark):
        return "forward"
    for receiver in receivers:
        receiver.settimeout(0.05)
        with contextlib.suppress(TimeoutError):
            while not reply:
                got = receiver.recv(65536)
                if int(got[8:11]) >= 200:
                    reply = f"reply:{int(got[8:11])}"
    return reply or "drop"


def _by_tcp(server: Server, data: bytes, mark: bytes) -> str:
    """The message and then a probe on one connection; what breaks the framing may close it instead."""
    with socket.create_connection((HOST, server.port), timeout=PATIENCE) as stream:
        stream.sendall(data + _probe(mark, "TCP"))
        buffer = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            while b"Call-ID: probe-" + mark not in buffer:
                got = stream.recv(65536)
                if not got:
                    break
                buffer += got
    replies = []
    for part in buffer.split(b"\r\n\r\n"):
        if part.startswith(b"SIP/2.0 ") and b"Call-ID: probe-" not in part and int(part[8:11]) >= 200:
            replies.append(int(part[8:11]))
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        if server.forwarded(mark):
            return "forward"
        if replies:
            return f"reply:{replies[0]}"
        time.sleep(0.01)
    return "drop"


def corpus() -> list[dict[str, object]]:
    index = CORPUS / "index.json"
    found: list[dict[str, object]] = json.loads(index.read_text())["messages"] if index.exists() else []
    return found


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("entry", corpus() or [None], ids=lambda e: str(e["file"]) if e else "absent")
def test_rfc_messages(servers: dict[str, Server], entry: dict[str, object] | None, transport: str) -> None:
    if entry is None:
        pytest.skip("the RFCs' own messages are not here")
    name = str(entry["file"])
    data = (CORPUS / name).read_bytes()
    allowed = list(entry["expect"]) + DIFFERS.get((name, transport), [])  # type: ignore[call-overload]
    mark = f"{transport}-{Path(name).stem}-end".encode()
    got = outcome(servers[transport], marked(data, mark), transport, mark)
    assert got in allowed, f"{name} by {transport}: {got}, allowed are {allowed}; {entry['note']}"


def own() -> dict[str, str]:
    """Our own messages: name and expectation, as tests/sip has them."""
    return {name: str(entry["expect"]) for name, entry in tomllib.loads((OWN / "index.toml").read_text()).items()}


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("name", own())
def test_own_messages(servers: dict[str, Server], name: str, transport: str) -> None:
    # Several of them share a branch: each is to be a transaction of its own.
    data = (OWN / f"{name}.sip").read_bytes().replace(b"z9hG4bK", b"z9hG4bK" + name.encode(), 1)
    expect = own()[name]
    mark = f"own-{transport}-{name}-end".encode()
    # A header of ours would mend what makes a message unparsable.
    got = outcome(servers[transport], data if expect == "unparsable" else marked(data, mark), transport, mark)
    if data.lstrip().startswith(b"SIP/") or expect == "unparsable":
        assert got == "drop"
    elif expect != "ok":
        # On a stream, what has no end is never complete.
        assert got in [f"reply:{expect}", *(["drop"] if transport == "tcp" else [])]
    else:
        assert got != "reply:400" or transport == "tcp" or name in REFUSED_BY_SCRIPT
        assert got != "drop" or transport == "tcp"
