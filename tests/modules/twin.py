"""Kamailio and our node side by side: the same script and message, and what each makes of them.

A case is some Python that calls `KSR.*` and appends to `out`, and a message; a function `branch` that it
defines is a branch route. Both servers have two UDP
listeners ("second" is the other's name), a TCP one, and the same neighbours: a caller and a sink, over UDP
and TCP. In texts `@UDP`, `@SECOND`, `@TCP`, `@CALLER`, `@SINK` and `@TSINK` stand for their addresses; what
comes back has them put in again, and branches of Via blanked, so that outcomes can be compared as they are.
"""

from __future__ import annotations

import contextlib
import json
import re
import select
import shutil
import socket
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.ending import end
from tests.ports import free_port

from kahea.net.address import P_TCP, P_UDP, Address, Listener
from kahea.routing.generation import Generation
from kahea.routing.node import Node
from kahea.routing.settings import Configuration
from kahea.sip.message import parse

KAMAILIO = shutil.which("kamailio")
MODULES = ["tm", "sl", "rr", "maxfwd", "pv", "siputils", "sanity", "corex"]
FORWARD = "\nKSR.setdsturi('sip:@SINK')\nKSR.forward()\n"
FORWARD_TCP = "\nKSR.setdsturi('sip:@TSINK;transport=tcp')\nKSR.forward()\n"

CONFIG = """
debug=-1
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
server_header="Server: twin"
alias="example.com"
alias=udp:twin.example.org:5070
# Of loopback addresses the last is Kamailio's default to send from.
listen=udp:@SECOND name "second"
listen=tcp:@TCP
listen=udp:@UDP
mpath="{library}"
{modules}
{extra}
modparam("app_python3", "load", "{script}")
cfgengine "python"
"""

SCRIPT = """
import json, socket, traceback
import KSR

answers = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def mod_init():
    return Script()


class Script:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        return self.run()

    def ksr_onsend_route(self, msg):
        return 1

    def run(self):
        global scope
        out = []
        scope = {{"KSR": KSR, "out": out}}
        try:
            exec(open("{program}").read(), scope)
        except Exception:
            out.append(traceback.format_exc())
        answers.sendto(json.dumps(out).encode(), ("127.0.0.1", {answers}))
        return 1

    def ksr_reply_route(self, msg):
        return self.run()

    def branch(self, msg):
        scope["branch"]()
        return 1
"""


@dataclass
class Outcome:
    """What the script appended to `out`, and the messages that the sink and the caller got, in order."""

    out: Any
    sink: list[str] = field(default_factory=list)
    caller: list[str] = field(default_factory=list)


@dataclass
class Places:
    """The addresses behind the @-words."""

    ports: dict[str, int]

    def fill(self, text: str) -> str:
        for word, port in self.ports.items():
            text = re.sub(rf"{word}\b", f"127.0.0.1:{port}", text)
        return text

    def blank(self, text: str) -> str:
        for word, port in self.ports.items():
            text = text.replace(f"127.0.0.1:{port}", word).replace(f"rport={port}", f"rport={word}")
        text = re.sub(r"(;branch=)z9hG4bK[^;\r]*", r"\1B", text)
        text = re.sub(r"(Via: [^\r]*;i=)[0-9a-f]+", r"\1N", text)
        return re.sub(r"(\nTo: [^\r]*;tag=)[^;\r]*", r"\1T", text)


def _udp() -> socket.socket:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    s.settimeout(2)
    return s


def request(
    method: str = "INVITE",
    uri: str = "sip:bob@example.com",
    headers: str = "",
    body: str = "",
    to_tag: str = "",
    via: str = "@CALLER",
) -> str:
    """A request from the caller; `headers` are whole lines."""
    to = f"<sip:bob@example.com>;tag={to_tag}" if to_tag else "<sip:bob@example.com>"
    return (
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bKcaller\r\n"
        f"From: <sip:alice@example.com>;tag=ft\r\nTo: {to}\r\nCall-ID: call\r\nCSeq: 1 {method}\r\n"
        f"{headers}Content-Length: {len(body)}\r\n\r\n{body}"
    )


class Kamailio:
    """A running Kamailio."""

    def __init__(self, folder: Path, extra: str = "", modules: Sequence[str] = ()) -> None:
        self._modules = [*MODULES, *modules]
        self._answers, self._caller, self._sink = _udp(), _udp(), _udp()
        self._stream = socket.create_server(("127.0.0.1", 0))
        self._stream.settimeout(2)
        self._streams: list[socket.socket] = []
        self._accepted: socket.socket | None = None
        self._folder = folder
        self.places = Places(
            {
                "@UDP": free_port(),
                "@SECOND": free_port(),
                "@TCP": free_port(),
                "@CALLER": self._caller.getsockname()[1],
                "@SINK": self._sink.getsockname()[1],
                "@TSINK": self._stream.getsockname()[1],
            }
        )
        self._program = folder / "program"
        self._start(extra)

    def _start(self, extra: str) -> None:
        script = self._folder / "script.py"
        script.write_text(SCRIPT.format(program=self._program, answers=self._answers.getsockname()[1]))
        library = next(Path("/usr/lib").glob("**/kamailio/modules"))
        load = "\n".join(f'loadmodule "{m}.so"' for m in [*self._modules, "app_python3"])
        config = self._folder / "kamailio.cfg"
        text = CONFIG.format(library=library, modules=load, extra=extra, script=script)
        config.write_text(self.places.fill(text))
        self._log = (self._folder / "log").open("wb")
        assert KAMAILIO is not None
        command = [KAMAILIO, "-f", str(config), "-DD", "-E", "-x", "fm", "-m", "64", "-M", "16"]
        self._process = subprocess.Popen(
            [*command, "-Y", str(self._folder), "-w", str(self._folder)],
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        self._program.write_text("out.append('up')")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._process.poll() is None:
            ping = self.places.fill(request("OPTIONS")).encode()
            self._caller.sendto(ping, ("127.0.0.1", self.places.ports["@UDP"]))
            if select.select([self._answers], [], [], 0.1)[0]:
                self._drain(self._answers)
                return
        self.stop()
        raise RuntimeError((self._folder / "log").read_text()[-3000:])

    def run(self, code: str, message: str, at: str = "@UDP") -> Outcome:
        """Run one case; `at` is the listener that gets the message."""
        self._program.write_text(self.places.fill(code))
        data = self.places.fill(message).encode("utf-8", "surrogateescape")
        if at == "@TCP":
            stream = socket.create_connection(("127.0.0.1", self.places.ports["@TCP"]))
            self._streams.append(stream)
            stream.sendall(data)
        else:
            self._caller.sendto(data, ("127.0.0.1", self.places.ports[at]))
        try:
            out = json.loads(self.places.blank(self._answers.recv(65535).decode()))
        except TimeoutError:
            out = None
        # A reply goes on when the script is over.
        sink = self._drain(self._sink, 1.0 if message.startswith("SIP/2.0") else 0.0)
        if "@TSINK" in code:
            sink += self._from_stream()
        return Outcome(out, sink, self._drain(self._caller))

    def _drain(self, s: socket.socket, wait: float = 0.0) -> list[str]:
        found: list[str] = []
        while select.select([s], [], [], 0 if found else wait)[0]:
            found.append(self.places.blank(s.recv(65535).decode("utf-8", "surrogateescape")))
        return found

    def _from_stream(self) -> list[str]:
        with contextlib.suppress(TimeoutError):
            for _ in range(2):
                if self._accepted is None:
                    self._accepted = self._stream.accept()[0]
                    self._accepted.settimeout(2)
                    self._streams.append(self._accepted)
                data = self._accepted.recv(65535)
                if data:
                    return [self.places.blank(data.decode())]
                self._accepted = None  # closed, as the script had asked
        return []

    def stop(self) -> None:
        """End the process that was started, and close the sockets."""
        end(self._process)
        for s in (self._answers, self._caller, self._sink, self._stream, *self._streams):
            s.close()
        self._log.close()


class Wire(Listener):
    """A listener of our node that keeps what is sent."""

    sent: list[tuple[Address, bytes]]

    def send(self, data: bytes, to: Address, connection_id: int = 0) -> bool:
        self.sent.append((to, bytes(data)))
        return True


class Ours:
    """Our node with the same listeners and neighbours, in this process."""

    def __init__(
        self,
        params: Mapping[str, Mapping[str, int | str]] | None = None,
        modules: Sequence[str] = (),
        **settings: object,
    ) -> None:
        configuration = Configuration(load=[m for m in [*MODULES, *modules] if _exists(m)])
        for name, value in settings.items():
            setattr(configuration.settings, name, value)
        configuration.settings.alias = ["example.com", "udp:twin.example.org:5070"]
        configuration.settings.server_header = "Server: twin"
        for module, given in (params or {}).items():
            for key, one in given.items():
                configuration.set_module(module, key, one)
        self.now = 1000.0
        self.node = Node(configuration, clock=lambda: self.now, wall=time.time)
        self.places = Places(
            {
                "@UDP": 15060,
                "@SECOND": 15061,
                "@TCP": 15062,
                "@CALLER": 16000,
                "@SINK": 16001,
                "@TSINK": 16002,
            }
        )
        self.wires = {}
        for word, proto, name in (("@UDP", P_UDP, ""), ("@TCP", P_TCP, ""), ("@SECOND", P_UDP, "second")):
            wire = Wire(proto, Address.of("127.0.0.1", self.places.ports[word]), name)
            wire.sent = []
            self.wires[word] = wire
            self.node.add_listener(wire)
        self.node.start()
        self.ksr = self.node.registry.ksr()

    def receive(self, message: str, at: str = "@UDP") -> None:
        """As the node does it, but for its own refusal of malformed requests: the script is to see them."""
        source, wire = Address.of("127.0.0.1", self.places.ports["@CALLER"]), self.wires[at]
        data = self.places.fill(message).encode("utf-8", "surrogateescape")
        local, stream = wire.address, wire.proto == P_TCP
        msg = parse(data)
        msg.set_origin(
            source.ip_bytes, source.port, local.ip_bytes, local.port, wire.proto,
            source, wire, 7 if stream else 0, 0.0, 1,
        )  # fmt: skip
        self.node.pool.run(self.node.run_route, msg)

    def run(self, code: str, message: str, at: str = "@UDP") -> Outcome:
        """Run one case; `at` is the listener that gets the message."""
        out: list[Any] = []
        scope: dict[str, Any] = {"KSR": self.ksr, "out": out}
        ran = []
        program = compile(self.places.fill(code), "<case>", "exec")

        def route(run: object) -> int:
            ran.append(run)
            try:
                exec(program, scope)
            except Exception:  # noqa: BLE001 - shown as the outcome
                out.append(traceback.format_exc())
            return 1

        def find(name: str) -> Callable[[object], object] | None:
            return (lambda _run: scope[name]()) if name in scope else None

        self.node.use(Generation(find, request=route, reply=route))
        for wire in self.wires.values():
            wire.sent.clear()
        self.receive(message, at)
        outcome = Outcome(json.loads(self.places.blank(json.dumps(out))) if ran else None)
        for wire in self.wires.values():
            for to, sent in wire.sent:
                got = self.places.blank(sent.decode("utf-8", "surrogateescape"))
                if to.port == self.places.ports["@CALLER"]:
                    outcome.caller.append(got)
                else:
                    outcome.sink.append(got)
        return outcome


def _exists(module: str) -> bool:
    from kahea.routing.registry import available

    return module in available()


class Pair:
    """Both."""

    def __init__(
        self,
        folder: Path,
        params: Mapping[str, Mapping[str, int | str]] | None = None,
        extra: str = "",
        modules: Sequence[str] = (),
    ) -> None:
        given = [
            f'modparam("{module}", "{name}", {json.dumps(value)})'
            for module, values in (params or {}).items()
            for name, value in values.items()
        ]
        self.ours = Ours(params, modules)
        self.kamailio = Kamailio(folder, "\n".join([extra, *given]), modules)

    def both(self, code: str, message: str, at: str = "@UDP") -> tuple[Outcome, Outcome]:
        """The outcomes of one case: Kamailio's and ours."""
        return self.kamailio.run(code, message, at), self.ours.run(code, message, at)

    def same(self, code: str, message: str, at: str = "@UDP") -> Outcome:
        """Assert that both outcomes are equal, and return it."""
        theirs, ours = self.both(code, message, at)
        assert ours == theirs
        return ours


needs_kamailio = pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")


@contextlib.contextmanager
def pair(
    factory: pytest.TempPathFactory,
    params: Mapping[str, Mapping[str, int | str]] | None = None,
    extra: str = "",
    modules: Sequence[str] = (),
) -> Iterator[Pair]:
    """Both servers, for a fixture, with `modules` beside the usual ones; Kamailio ends with it."""
    made = Pair(factory.mktemp("twin"), params, extra, modules)
    try:
        yield made
    finally:
        made.kamailio.stop()
