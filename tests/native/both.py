"""Programs of the native language in Kamailio and here, many in one cfg.

Each program is the body of a `route[...]`, run for one request. It speaks by `OUT(text)`, which becomes a header of the
reply, variables in it evaluated; the harness adds the route's return code if it comes back. So an outcome is a list of
texts, such as `["T 5", "RC 1"]`, or None if the script ended without a reply.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.ending import end
from tests.ports import free_port

from kahea.engines.native.compiler import compile_program
from kahea.engines.native.load import load
from kahea.engines.native.parser import parse_text
from kahea.net.address import P_UDP, Address, Listener
from kahea.routing.node import Node
from kahea.sip.message import parse

KAMAILIO = shutil.which("kamailio")
MODULES = ("tm", "tmx", "sl", "rr", "pv", "textops", "textopsx", "siputils", "xlog", "maxfwd", "kex", "corex")


#: The server's, the caller's and the callee's.
PORT = free_port(3)
CALLER = PORT + 1
CALLEE = PORT + 2
#: The number of the first program's request.
FIRST = 10

HEAD = """
debug=-1
log_stderror=yes
children=1
auto_aliases=no
disable_tcp=yes
listen=udp:127.0.0.1:{port}
alias="example.com"
{modules}
{extra}
request_route {{
    $var(_called) = $rU;
    route($var(_called));
    append_to_reply("X-Out: RC $rc\\r\\n");
    sl_send_reply("200", "OK");
    exit;
}}
route[PLUS5] {{ return 5; }}
route[MINUS5] {{ return -5; }}
route[ZERO] {{ return 0; }}
route[ONE] {{ return 1; }}
route[NORET] {{ $var(nr) = 1; }}
route[EXIT] {{ exit; }}
route[SHOW] {{ append_to_reply("X-Out: rc $rc\\r\\n"); }}
"""


@dataclass
class Program:
    """One program; `routes` are further whole route blocks that it needs."""

    body: str
    method: str = "INVITE"
    headers: str = ""
    routes: str = ""
    name: str = ""
    #: What stands around the name in the Request-URI.
    uri: str = "sip:{name}@example.com"
    content: str = ""

    def text(self) -> str:
        """As part of a cfg."""
        return f"route[{self.name}] {{\n{expanded(self.body)}\n}}\n{expanded(self.routes)}\n"


def expanded(text: str) -> str:
    """`OUT(text)` as what adds a header; parentheses in it must pair."""
    out = []
    at = 0
    while (found := text.find("OUT(", at)) >= 0:
        depth, end = 1, found + 4
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        out += [text[at:found], f'append_to_reply("X-Out: {text[found + 4 : end - 1]}\\r\\n")']
        at = end
    return "".join([*out, text[at:]])


def cfg(programs: Sequence[Program], extra: str = "") -> str:
    """A cfg with all of them; gives those names that have none."""
    for i, program in enumerate(programs):
        program.name = program.name or f"T{i}"
    load = "\n".join(f'loadmodule "{module}.so"' for module in MODULES)
    head = HEAD.format(port=PORT, modules=load, extra=extra)
    return head + "".join(program.text() for program in programs)


def request(program: Program, number: int) -> bytes:
    """The request that runs a program."""
    return (
        f"{program.method} {program.uri.format(name=program.name)} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 127.0.0.1:{CALLER};branch=z9hG4bK{number}\r\n"
        f'From: "Alice" <sip:alice@example.com>;tag=ft\r\nTo: <sip:bob@example.com>\r\n'
        f"Call-ID: call{number}@127.0.0.1\r\nCSeq: {number} {program.method}\r\nMax-Forwards: 70\r\n"
        f"User-Agent: tester\r\n{program.headers}Content-Length: {len(program.content)}\r\n\r\n{program.content}"
    ).encode()


def outcome(reply: bytes) -> list[str]:
    """What a reply says."""
    return [line[7:] for line in reply.decode("utf-8", "surrogateescape").split("\r\n") if line.startswith("X-Out: ")]


Outcome = list[str] | None


class Refused(Exception):
    """Kamailio does not take the cfg; the message is its log."""


class Kamailio:
    """A running Kamailio; a context manager."""

    def __init__(self, folder: Path, text: str) -> None:
        self.folder = folder
        self.caller = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.caller.bind(("127.0.0.1", CALLER))
        (folder / "kamailio.cfg").write_text(text)
        self.log = (folder / "log").open("wb")
        assert KAMAILIO is not None
        command = [KAMAILIO, "-f", str(folder / "kamailio.cfg"), "-DD", "-E", "-x", "fm", "-m", "64", "-M", "512"]
        self.process = subprocess.Popen(
            [*command, "-Y", str(folder), "-w", str(folder)], stdout=self.log, stderr=self.log, start_new_session=True
        )

    def __enter__(self) -> Kamailio:
        self.caller.settimeout(0.1)
        deadline = time.monotonic() + 15
        ping = Program("", method="OPTIONS", name="ONE")
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            self.caller.sendto(request(ping, 1), ("127.0.0.1", PORT))
            try:
                self.caller.recv(65535)
            except OSError:
                continue
            time.sleep(0.05)
            self._drain()
            return self
        self.__exit__()
        raise Refused((self.folder / "log").read_text(errors="replace"))

    def _drain(self) -> None:
        self.caller.setblocking(False)
        try:
            while True:
                self.caller.recv(65535)
        except OSError:
            self.caller.setblocking(True)

    def run(self, programs: Sequence[Program]) -> list[list[str] | None]:
        """The outcome of each. A program that has no reply is known by the reply of the request after it."""
        out: list[list[str] | None] = []
        self.caller.settimeout(5)
        for number, program in enumerate(programs, FIRST):
            self.caller.sendto(request(program, 2 * number), ("127.0.0.1", PORT))
            self.caller.sendto(request(Program("", name="ONE"), 2 * number + 1), ("127.0.0.1", PORT))
            found: list[str] | None = None
            while True:
                reply = self.caller.recv(65535)
                if f"CSeq: {2 * number + 1} ".encode() in reply:
                    break
                if f"CSeq: {2 * number} ".encode() in reply:
                    found = outcome(reply)
            out.append(found)
        return out

    def __exit__(self, *_: object) -> None:
        end(self.process)
        self.caller.close()
        self.log.close()


class Wire(Listener):
    """A listener that keeps what is sent."""

    sent: list[bytes]
    ports: list[int]

    def send(self, data: bytes, to: Address, connection_id: int = 0) -> bool:
        del connection_id
        self.sent.append(bytes(data))
        self.ports.append(to.port)
        return True


@dataclass
class Ours:
    """A node of this process with a cfg."""

    text: str
    node: Node = field(init=False)
    wire: Wire = field(init=False)

    def __post_init__(self) -> None:
        program = parse_text(self.text, "kamailio.cfg")
        configuration = load(program, Path("kamailio.cfg"))
        self.node = Node(configuration, clock=lambda: 1000.0, wall=time.time)
        self.wire = Wire(P_UDP, Address.of("127.0.0.1", PORT))
        self.wire.sent, self.wire.ports = [], []
        self.node.add_listener(self.wire)
        self.node.start()
        self.node.use(compile_program(program, self.node))

    def send(self, data: bytes) -> list[bytes]:
        """Receive a message; what is sent then."""
        self.wire.sent.clear()
        source = Address.of("127.0.0.1", CALLER)
        msg = parse(data)
        at = self.wire.address
        msg.set_origin(source.ip_bytes, source.port, at.ip_bytes, at.port, P_UDP, source, self.wire, 0, 0.0, 1)
        self.node.pool.run(self.node.run_route, msg)
        return list(self.wire.sent)

    def run(self, programs: Sequence[Program]) -> list[list[str] | None]:
        """The outcome of each program."""
        return [self.run_one(program, number) for number, program in enumerate(programs)]

    def run_one(self, program: Program, number: int) -> Outcome:
        """The outcome of a program, as the one of this number from 0."""
        sent = self.send(request(program, 2 * (number + FIRST)))
        replies = [each for each in sent if each.startswith(b"SIP/2.0 200")]
        return outcome(replies[-1]) if replies else None


def differences(folder: Path, programs: Sequence[Program], extra: str = "") -> list[tuple[Program, object, object]]:
    """The programs whose outcomes differ: Kamailio's and ours."""
    text = cfg(programs, extra)
    ours = Ours(text).run(programs)
    with Kamailio(folder, text) as kamailio:
        theirs = kamailio.run(programs)
    return [(p, t, o) for p, t, o in zip(programs, theirs, ours, strict=True) if t != o]


def lines(text: str) -> list[Program]:
    """A program for each line that is neither empty nor a comment."""
    return [Program(line) for line in text.splitlines() if line.strip() and not re.match(r"\s*#", line)]


def stored(topic: str) -> list[Program]:
    """The programs of a file in `programs/`."""
    text = (Path(__file__).parent / "programs" / f"{topic}.txt").read_text()
    return lines(text.replace("@PORT", str(PORT)).replace("@CALLER", str(CALLER)))
