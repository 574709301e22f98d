"""Kamailio and our server as processes with one cfg, each with peers of its own: what a scenario sees of either.

In a cfg and in what is sent, `@UDP` is the server's address, `@CALLER` and `@SINK`, `@SINK2` are its peers', and
`@STREAM` is a free TCP address for a service of the server's; `@PORT` is the number of `@UDP`'s port. What is received
has them put in again.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tests.ending import end, kill
from tests.ports import free_port

from kahea import __path__ as package
from kahea.sip.message import Message, parse

T = TypeVar("T")

KAMAILIO = shutil.which("kamailio")
PATIENCE = 10.0

CONFIG = """#!KAMAILIO
debug=-1
log_stderror=yes
children=1
disable_tcp=yes
auto_aliases=no
dns=no
rev_dns=no
server_header="Server: x"
user_agent_header="User-Agent: x"
listen=udp:@UDP
mpath="{library}"
{modules}
modparam("ctl", "binrpc", "unix:{folder}/ctl")
{cfg}
"""


#: What a test does before a server starts.
Prepare = Callable[["Server"], None]


class Peer:
    """A UDP socket that the server knows by a word such as `@SINK`."""

    def __init__(self, word: str, server: Server) -> None:
        self.word = word
        self.server = server
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]

    def send(self, text: str) -> None:
        """Send to the server."""
        data = self.server.fill(text).encode("utf-8", "surrogateescape")
        self.socket.sendto(data, ("127.0.0.1", self.server.ports["@UDP"]))

    def receive(self, patience: float = PATIENCE) -> str:
        """The next datagram; raises TimeoutError."""
        self.socket.settimeout(patience)
        return self.server.blank(self.socket.recv(65535).decode("utf-8", "surrogateescape"))

    def expect(self, start: str) -> str:
        """The next message whose first line begins so; others, such as repetitions, are passed over."""
        end = time.monotonic() + PATIENCE
        while (left := end - time.monotonic()) > 0:
            got = self.receive(left)
            if got.startswith(start):
                return got
        raise TimeoutError(f"{self.word} was sent no {start}")

    def reply(self, request: str, status: str, headers: str = "", body: str = "") -> None:
        """Answer a request that was received, with a tag in To."""
        head: Message = parse(request.encode("utf-8", "surrogateescape"))
        lines = [f"SIP/2.0 {status}"]
        for header in head.headers():
            name, value = header.name.decode(), header.body.decode("utf-8", "surrogateescape")
            if name == "To" and ";tag=" not in value:
                value += f";tag={self.word[1:].lower()}"
            if name in ("Via", "From", "To", "Call-ID", "CSeq", "Record-Route"):
                lines.append(f"{name}: {value}")
        self.send("\r\n".join(lines) + f"\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}")


class Server:
    """A running server; `name` says which."""

    def __init__(
        self, name: str, folder: Path, cfg: str, modules: Sequence[str], prepare: Prepare | None = None
    ) -> None:
        """`prepare` is called before it starts, when its folder and its peers are there."""
        self.name = name
        self.folder = folder
        folder.mkdir()
        self.ports: dict[str, int] = {"@UDP": free_port(), "@STREAM": free_port()}
        self._branches: dict[str, str] = {}
        self.caller, self.sink, self.sink2 = (Peer(word, self) for word in ("@CALLER", "@SINK", "@SINK2"))
        self.ports |= {peer.word: peer.port for peer in (self.caller, self.sink, self.sink2)}
        library = next(iter(Path("/usr/lib").glob("**/kamailio/modules")), "/")
        load = "\n".join(f'loadmodule "{m}.so"' for m in ("kex", "ctl", "pv", "tm", "sl", *modules))
        # What a cfg says of TCP itself has the last word; Kamailio would listen to the first.
        common = CONFIG.replace("disable_tcp=yes\n", "") if "disable_tcp" in cfg else CONFIG
        self.cfg = folder / "kamailio.cfg"
        self.cfg.write_text(
            self.fill(
                common.format(library=library, modules=load, cfg=cfg.replace("{folder}", str(folder)), folder=folder)
            )
        )
        if prepare is not None:
            prepare(self)
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, cwd=folder, env=self._environment(), start_new_session=True
            )
        try:
            self._wait()
        except BaseException:
            self.end()
            raise

    def _command(self) -> list[str]:
        if self.name == "kahea":
            return [sys.executable, "-m", "kahea", "run", "-f", str(self.cfg)]
        assert KAMAILIO is not None
        command = [KAMAILIO, "-f", str(self.cfg), "-DD", "-E", "-x", "fm", "-m", "64", "-M", "16"]
        # Its directory has a short name: paths of sockets have 107 bytes.
        return [*command, "-Y", ".", "-w", str(self.folder)]

    def _environment(self) -> dict[str, str]:
        source = str(Path(package[0]).parent)
        run = str(self.folder / "run")
        return {**os.environ, "PYTHONPATH": source, "KAHEA_RUN": run, "TMPDIR": str(self.folder)}

    def _wait(self) -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end and self.process.poll() is None:
            self.caller.send(request("OPTIONS", "sip:ping@example.com", callid="ping"))
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                self.caller.receive(0.1)
                # Whatever answers earlier ones comes before the answer to this one.
                self.caller.send(request("OPTIONS", "sip:ping@example.com", callid="up"))
                while "\r\nCall-ID: up\r\n" not in self.caller.receive():
                    pass
                return
        raise RuntimeError(f"{self.name} does not answer:\n{self.log[-3000:]}")

    @property
    def log(self) -> str:
        """What it wrote so far."""
        return (self.folder / "log").read_text(errors="replace")

    def fill(self, text: str) -> str:
        """A text with addresses in the place of words, and branches as they came."""
        text = re.sub(r"@PORT\b", str(self.ports["@UDP"]), text)
        for word, port in self.ports.items():
            text = re.sub(rf"{word}\b", f"127.0.0.1:{port}", text)
        return re.sub(r"<B\d+>", lambda found: self._branches.get(found[0], found[0]), text)

    def blank(self, text: str) -> str:
        """A text with words in the place of addresses, and each branch of the server's by its number."""
        for word, port in self.ports.items():
            text = re.sub(rf"127\.0\.0\.1:{port}\b", word, text)
            text = re.sub(rf"rport={port}\b", f"rport={word}", text)
        text = re.sub(rf"(?<=:){self.ports['@UDP']}\b", "@PORT", text)
        return re.sub(r"(?<=branch=)z9hG4bK(?!caller)[^;\s,]+", lambda found: self._branch(found[0]), text)

    def _branch(self, branch: str) -> str:
        for word, known in self._branches.items():
            if known == branch:
                return word
        self._branches[word := f"<B{len(self._branches)}>"] = branch
        return word

    def rpc(self, *words: str) -> str:
        """What `kamcmd` prints for a command."""
        command = ["kamcmd", "-s", f"unix:{self.folder}/ctl", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        return self.blank(done.stdout + done.stderr)

    def stream(self) -> socket.socket:
        """A connection to the service at `@STREAM`."""
        return socket.create_connection(("127.0.0.1", self.ports["@STREAM"]), timeout=PATIENCE)

    def stop(self) -> None:
        """End the process in good order."""
        end(self.process, PATIENCE)
        self._close()

    def end(self) -> None:
        """End the process at once: ours would first see its transactions to their ends."""
        if self.name == "kahea":
            kill(self.process)
        else:
            end(self.process)
        self._close()

    def _close(self) -> None:
        for peer in (self.caller, self.sink, self.sink2):
            peer.socket.close()


def request(method: str, uri: str, headers: str = "", *, callid: str = "call", body: str = "", to_tag: str = "") -> str:
    """A request of the caller's; `headers` are whole lines."""
    tag = f";tag={to_tag}" if to_tag else ""
    return (
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP @CALLER;branch=z9hG4bKcaller{callid}{method}\r\n"
        f'From: "Alice" <sip:alice@example.com>;tag=ft\r\nTo: <sip:bob@example.com>{tag}\r\nCall-ID: {callid}\r\n'
        f"CSeq: 1 {method}\r\nContact: <sip:alice@@CALLER>\r\nMax-Forwards: 70\r\n"
        f"{headers}Content-Length: {len(body)}\r\n\r\n{body}"
    )


@contextlib.contextmanager
def servers(folder: Path, cfg: str, modules: Sequence[str], prepare: Prepare | None = None) -> Iterator[list[Server]]:
    """Kamailio and our server with one cfg, which must answer OPTIONS to `ping`."""
    with contextlib.ExitStack() as stack:
        made = []
        for name in ("kamailio", "kahea"):
            server = Server(name, folder / name, cfg, modules, prepare)
            stack.callback(server.end)
            made.append(server)
        yield made


def compared(
    folder: Path,
    cfg: str,
    modules: Sequence[str],
    scenario: Callable[[Server], T],
    prepare: Prepare | None = None,
) -> tuple[T, T]:
    """What a scenario gives with Kamailio and with our server, which run side by side."""

    def played(server: Server) -> T:
        try:
            return scenario(server)
        except TimeoutError as error:
            raise AssertionError(f"{server.name} fell silent: {error}\n{server.log[-3000:]}") from error

    with servers(folder, cfg, modules, prepare) as both, ThreadPoolExecutor(2) as pool:
        theirs, ours = pool.map(played, both)
        return theirs, ours
