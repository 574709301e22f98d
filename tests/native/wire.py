"""One cfg in Kamailio and in `kahea run`, with the same neighbours: what each puts on the wire.

In cfgs and messages `@SERVER`, `@CALLER`, `@CALLEE` stand for addresses of the loopback; what comes back has them put
in again, and what differs by nature (branches, our own tags, the Server header) blanked, so that it can be compared.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.ending import end
from tests.ports import free_port

import kahea as kahea_package

KAMAILIO = shutil.which("kamailio")
SOURCE = Path(kahea_package.__file__).parents[1]
PATIENCE = 5.0

HEAD = """#!KAMAILIO
debug=DEBUG
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
mpath="{library}"
"""
PING = """
    if ($rU == "ping") { sl_send_reply("200", "Up"); exit; }
"""


def udp() -> socket.socket:
    """A neighbour's socket."""
    s = socket.socket(type=socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    return s


class Stage:
    """A server of one kind that runs a cfg, and its neighbours. A context."""

    def __init__(self, kind: str, cfg: str, folder: Path, debug: int = -1) -> None:
        self.kind = kind
        self.folder = folder / kind
        self.folder.mkdir()
        self.caller, self.callee = udp(), udp()
        self.port = free_port()
        self.words = {
            "@SERVER": f"127.0.0.1:{self.port}",
            "@SECOND": f"127.0.0.2:{self.port}",
            "@THIRD": f"127.0.0.3:{self.port}",
            "@SIX": f"[::1]:{self.port}",
            "@CALLER": f"127.0.0.1:{self.caller.getsockname()[1]}",
            "@CALLEE": f"127.0.0.1:{self.callee.getsockname()[1]}",
            "@FOLDER": str(self.folder),
        }
        self._calls = 0
        library = next(Path("/usr/lib").glob("**/kamailio/modules"), "/")
        path = self.folder / "server.cfg"
        path.write_text(HEAD.format(library=library).replace("DEBUG", str(debug)) + self.fill(cfg))
        self._log = self.folder / "log"
        if kind == "kahea":
            command = [sys.executable, "-m", "kahea", "run", str(path), "-Y", str(self.folder)]
        else:
            assert KAMAILIO is not None
            own = str(self.folder)
            command = [KAMAILIO, "-f", str(path), "-DD", "-E", "-x", "fm", "-m", "64", "-M", "16", "-Y", own, "-w", own]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=os.environ | {"PYTHONPATH": str(SOURCE)},
                cwd=self.folder,
            )

    def __enter__(self) -> Stage:
        end = time.monotonic() + 20
        while time.monotonic() < end and self._process.poll() is None:
            self.send(self.request("OPTIONS", "sip:ping@@SERVER"))
            if self.receive(wait=0.1):
                self._calls = 1000
                self.quiet()
                return self
        self.__exit__()
        raise RuntimeError(f"{self.kind} does not answer:\n{self.log[-3000:]}")

    def __exit__(self, *_: object) -> None:
        end(self._process)
        self.caller.close()
        self.callee.close()

    @property
    def log(self) -> str:
        """What it has logged, with the @-words."""
        return self.blank(self._log.read_text(errors="replace"))

    def logged(self, pattern: str) -> list[str]:
        """What a pattern finds in the log, once it finds anything."""
        end = time.monotonic() + PATIENCE
        while not (found := re.findall(pattern, self.log)) and time.monotonic() < end:
            time.sleep(0.02)
        return found

    def fill(self, text: str) -> str:
        """With addresses for the @-words."""
        for word, value in self.words.items():
            text = text.replace(word, value)
        return text

    def blank(self, text: str) -> str:
        """With @-words for addresses, and without what differs by nature."""
        for word, value in self.words.items():
            text = text.replace(value, word).replace(f"port={value.rpartition(':')[2]} ", f"port={word} ")
        text = re.sub(r"(;branch=)z9hG4bK(?!test)[^;\r\n]*", r"\1B", text)
        text = re.sub(r"(\nTo: [^\r\n]*;tag=)(?!there)[^;\r\n]*", r"\1OURS", text)
        text = re.sub(r"(Server|User-Agent): (kamailio|kahea)[^\r\n]*", r"\1: X", text)
        return re.sub(r"pid=\d+", "pid=P", text)

    def request(self, method: str = "OPTIONS", uri: str = "sip:bob@@SERVER", headers: str = "", **more: str) -> str:
        """A request of the caller's, of a new call; `more`: `via`, `proto`, `to`, `body`."""
        self._calls += 1
        body = more.get("body", "")
        return (
            f"{method} {uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/{more.get('proto', 'UDP')} {more.get('via', '@CALLER')};branch=z9hG4bKtest{self._calls}\r\n"
            f"From: <sip:alice@example.com>;tag=here\r\nTo: {more.get('to', '<sip:bob@example.com>')}\r\n"
            f"Call-ID: call{self._calls}\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\n{headers}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )

    def send(self, message: str, sender: socket.socket | None = None, to: str = "@SERVER") -> None:
        """From the caller, or another."""
        host, port = self.fill(to).rsplit(":", 1)
        data = self.fill(message).encode("utf-8", "surrogateescape")
        (sender or self.caller).sendto(data, (host, int(port)))

    def receive(self, receiver: socket.socket | None = None, wait: float = PATIENCE) -> str:
        """The next message for the caller, or another; "" if there is none in time."""
        s = receiver or self.caller
        if not select.select([s], [], [], wait)[0]:
            return ""
        return self.blank(s.recv(65535).decode("utf-8", "surrogateescape"))

    def quiet(self) -> None:
        """Take off what is still under way to the caller and the callee."""
        self.send(self.request("OPTIONS", "sip:ping@@SERVER"))
        last = f"Call-ID: call{self._calls}\r\n"
        while last not in (got := self.receive()):
            if not got:
                raise RuntimeError(f"{self.kind} is silent:\n{self.log[-2000:]}")
        while self.receive(self.callee, 0):
            pass

    def answer(self, request: str, status: str, headers: str = "") -> None:
        """The callee's answer to a request that it received."""
        kept = [line for line in request.split("\r\n") if re.match(r"(?i)(via|from|to|call-id|cseq):", line)]
        kept = [line + ";tag=there" if line.startswith("To:") and "tag=" not in line else line for line in kept]
        # Branches were blanked; what it really was is asked for by `raw`.
        self.send("\r\n".join([f"SIP/2.0 {status}", *kept, f"{headers}Content-Length: 0", "", ""]), self.callee)

    def raw(self, receiver: socket.socket) -> str:
        """The next message as it came, for `answer`."""
        if not select.select([receiver], [], [], PATIENCE)[0]:
            return ""
        return receiver.recv(65535).decode("utf-8", "surrogateescape")

    @contextlib.contextmanager
    def connected(self, to: str = "@SERVER") -> Iterator[socket.socket]:
        """A TCP connection to the server."""
        host, port = self.fill(to).rsplit(":", 1)
        with socket.create_connection((host, int(port))) as s:
            s.settimeout(PATIENCE)
            yield s

    def over(self, connection: socket.socket, message: str | bytes, wait: float = PATIENCE) -> str:
        """Send on a connection; the first line that comes back, `closed`, or `nothing`."""
        data = self.fill(message).encode() if isinstance(message, str) else message
        try:
            connection.sendall(data)
        except OSError:
            return "closed"
        return self.heard(connection, wait)

    def heard(self, connection: socket.socket, wait: float = PATIENCE) -> str:
        """What comes on a connection: a first line, `closed`, or `nothing`."""
        connection.settimeout(wait)
        try:
            got = connection.recv(65535)
        except TimeoutError:
            return "nothing"
        except OSError:
            return "closed"
        return got.decode().partition("\r\n")[0] if got else "closed"


def first_line(message: str) -> str:
    """Of a message."""
    return message.partition("\r\n")[0]


def lines(message: str, *names: str) -> list[str]:
    """The first line, and the headers of these names."""
    head, *rest = message.split("\r\n")
    return [head, *(line for line in rest if line.partition(":")[0] in names)]


def both(cfg: str, folder: Path, play: Callable[[Stage], Sequence[object]], debug: int = -1) -> None:
    """Plays in front of either server, and expects the same from both, step by step."""
    found: dict[str, Sequence[object]] = {}
    for kind in ("kamailio", "kahea"):
        with Stage(kind, cfg, folder, debug) as stage:
            found[kind] = play(stage)
    theirs, ours = found["kamailio"], found["kahea"]
    steps = enumerate(zip(theirs, ours, strict=True))
    different = [f"step {i}: Kamailio {a!r}, we {b!r}" for i, (a, b) in steps if a != b]
    if different:
        raise AssertionError("\n".join(different))
