"""Kamailio and our node side by side under one `kamailio.cfg`: a request for each piece of native code in it.

A case is the body of a route that is run for one request and appends to `$var(out)`; `t("f()")` there says whether a
call is true, and its `$rc`. What comes back is that text, and what the caller and the sink were sent. In texts `@UDP`,
`@SECOND`, `@TCP`, `@CALLER`, `@SINK` and `@TSINK` stand for addresses, as in `twin`.
"""

from __future__ import annotations

import re
import select
import socket
import subprocess
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.ending import end
from tests.ports import free_port
from twin import KAMAILIO, Outcome, Places, Wire, request

from kahea.engines.native.compiler import compile_program
from kahea.engines.native.load import load
from kahea.engines.native.parser import parse_text
from kahea.net.address import P_TCP, P_UDP, Address
from kahea.routing.node import Node
from kahea.sip.message import parse

MODULES = (
    "kex", "corex", "tm", "tmx", "sl", "rr", "pv", "maxfwd", "usrloc", "registrar", "path", "textops", "textopsx",
    "siputils", "xlog", "sanity",
)  # fmt: skip

CFG = """
debug=-1
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
dns=no
rev_dns=no
server_header="Server: twin"
alias="example.com"
listen=udp:@SECOND name "second"
listen=tcp:@TCP
listen=udp:@UDP
mpath="{library}"
{modules}
modparam("usrloc", "preload", "location")
modparam("usrloc", "db_mode", 0)
modparam("tm", "contacts_avp", "tm_contacts")
modparam("tm", "contact_flows_avp", "tm_contact_flows")
{extra}
request_route {{
    $var(out) = "";
{calls}
    send_data("sip:@ANSWERS", "$var(out)");
}}
{routes}
"""


@dataclass(frozen=True)
class Case:
    """A piece of native code, and the request that it is run for, which must not have the same name twice."""

    code: str
    message: str = ""
    at: str = "@UDP"
    routes: str = ""

    @property
    def name(self) -> str:
        """For the test's name."""
        of_message = f" {zlib.crc32(self.message.encode() + self.at.encode()) % 997}" if self.message else ""
        return re.sub(r"[\s\"\\]+", " ", self.code)[:60] + of_message


def t(call: str) -> str:
    """Code that notes whether a call is true, and its return code."""
    return f"if ({call}) {{ {show('t', '$rc')} }} else {{ {show('f', '$rc')} }}\n"


def show(*values: str) -> str:
    """Code that notes values, variables and words."""
    shown = " + ".join(value if value.startswith("$") else f'"{value}"' for value in values)
    return f'$var(out) = $var(out) + {shown} + " ";\n'


def each(*calls: str) -> str:
    """`t` for each call."""
    return "".join(t(call) for call in calls)


def numbered(cases: Sequence[Case]) -> dict[str, int]:
    """The number of each piece of code."""
    return {code: i for i, code in enumerate(dict.fromkeys(case.code for case in cases))}


def cfg(cases: Sequence[Case], extra: str = "") -> str:
    """The cfg with a route for each piece of code, chosen by the header X-Case."""
    numbers = numbered(cases)
    further = dict.fromkeys(case.routes for case in cases)
    library = next(Path("/usr/lib").glob("**/kamailio/modules"), Path("/usr/lib"))
    return CFG.format(
        library=library,
        modules="\n".join(f'loadmodule "{m}.so"' for m in MODULES),
        extra=extra,
        calls="\n".join(f'    if ($hdr(X-Case) == "{i}") route(CASE{i});' for i in numbers.values()),
        routes="\n".join([*(f"route[CASE{i}] {{\n{code}\n}}" for code, i in numbers.items()), *further]),
    )


def message(case: Case, number: int, serial: int) -> str:
    """The case's request, with identifiers of its own."""
    text = case.message or request(uri="sip:bob@@SINK")
    text = text.replace("z9hG4bKcaller", f"z9hG4bKc{serial}").replace("Call-ID: call", f"Call-ID: call{serial}")
    return text.replace("Content-Length", f"X-Case: {number}\r\nContent-Length", 1)


class Kamailio:
    """A Kamailio with the cfg."""

    def __init__(self, folder: Path, text: str) -> None:
        self.sockets = {word: _udp() for word in ("@ANSWERS", "@CALLER", "@SINK")}
        self.places = Places({word: s.getsockname()[1] for word, s in self.sockets.items()})
        self.places.ports["@TSINK"] = 9
        for word in ("@UDP", "@SECOND", "@TCP"):
            self.places.ports[word] = free_port()
        path = folder / "kamailio.cfg"
        path.write_text(self.places.fill(text))
        self.log = (folder / "log").open("wb")
        self.serial = count(1)
        assert KAMAILIO is not None
        command = [KAMAILIO, "-f", str(path), "-DD", "-E", "-x", "fm", "-m", "64", "-M", "64"]
        self.process = subprocess.Popen(
            [*command, "-Y", str(folder), "-w", str(folder)], stdout=self.log, stderr=self.log, start_new_session=True
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            self._send(message(Case(""), -1, next(self.serial)))
            if self._got("@ANSWERS", 0.1):
                return
        self.stop()
        raise RuntimeError((folder / "log").read_text()[-3000:])

    def _send(self, text: str, at: str = "@UDP") -> None:
        data = self.places.fill(text).encode("utf-8", "surrogateescape")
        if at == "@TCP":
            with socket.create_connection(("127.0.0.1", self.places.ports["@TCP"])) as stream:
                stream.sendall(data)
                self._got("@ANSWERS", 0)
                select.select([self.sockets["@ANSWERS"]], [], [], 2)
        else:
            self.sockets["@CALLER"].sendto(data, ("127.0.0.1", self.places.ports[at]))

    def run(self, case: Case, number: int) -> Outcome:
        """The outcome of one case."""
        serial = next(self.serial)
        self._send(message(case, number, serial), case.at)
        out = self._got("@ANSWERS", 2)
        # When the one worker takes the next message, it has done all that this one called for.
        self._send(message(Case(""), -1, next(self.serial)))
        self._got("@ANSWERS", 2)
        sent = [self._got(word, 0) for word in ("@SINK", "@CALLER")]
        # What an earlier case left under way repeats itself.
        sink, caller = ([x for x in found if f"Call-ID: call{serial}\r" in x] for found in sent)
        return Outcome(out[0] if out else None, *(_plain(x, serial) for x in (sink, caller)))

    def _got(self, word: str, wait: float) -> list[str]:
        found: list[str] = []
        s = self.sockets[word]
        while select.select([s], [], [], 0 if found else wait)[0]:
            found.append(self.places.blank(s.recv(65535).decode("utf-8", "surrogateescape")))
        return found

    def stop(self) -> None:
        """End the process that was started."""
        end(self.process)
        for s in self.sockets.values():
            s.close()
        self.log.close()


class Ours:
    """Our node with the cfg, in this process."""

    def __init__(self, folder: Path, text: str) -> None:
        words = ("@UDP", "@SECOND", "@TCP", "@CALLER", "@SINK", "@TSINK", "@ANSWERS")
        self.places = Places({word: 15060 + i for i, word in enumerate(words)})
        program = parse_text(self.places.fill(text), "kamailio.cfg")
        self.now = 1000.0
        self.node = Node(load(program, folder / "kamailio.cfg"), clock=lambda: self.now, wall=time.time)
        self.wires = {}
        for word, proto, name in (("@SECOND", P_UDP, "second"), ("@TCP", P_TCP, ""), ("@UDP", P_UDP, "")):
            wire = Wire(proto, Address.of("127.0.0.1", self.places.ports[word]), name)
            wire.sent = []
            self.wires[word] = wire
            self.node.add_listener(wire)
        self.node.start()
        self.node.use(compile_program(program, self.node))
        self.serial = count(1)

    def run(self, case: Case, number: int) -> Outcome:
        """The outcome of one case."""
        serial = next(self.serial)
        source, wire = Address.of("127.0.0.1", self.places.ports["@CALLER"]), self.wires[case.at]
        data = self.places.fill(message(case, number, serial)).encode("utf-8", "surrogateescape")
        msg = parse(data)
        local, connection = wire.address, 7 if wire.proto == P_TCP else 0
        msg.set_origin(
            source.ip_bytes, source.port, local.ip_bytes, local.port, wire.proto, source, wire, connection, 0.0, serial
        )
        for each in self.wires.values():
            each.sent.clear()
        self.node.pool.run(self.node.run_route, msg)
        outcome = Outcome(None)
        for each in self.wires.values():
            for to, sent in each.sent:
                text = self.places.blank(sent.decode("utf-8", "surrogateescape"))
                if to.port == self.places.ports["@ANSWERS"]:
                    outcome.out = text
                elif f"Call-ID: call{serial}\r" in text and to.port == self.places.ports["@CALLER"]:
                    outcome.caller += _plain([text], serial)
                elif f"Call-ID: call{serial}\r" in text and to.port == self.places.ports["@SINK"]:
                    outcome.sink += _plain([text], serial)
        return outcome


def _plain(texts: list[str], serial: int) -> list[str]:
    return [x.replace(f"call{serial}\r", "call\r") for x in texts]


def _udp() -> socket.socket:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    return s
