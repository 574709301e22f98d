"""Calls through both servers whose routes of every kind speak: what leaves, with what `OUT` put into it.

A flow has bodies for the routes of one call, and what the callee answers. The caller's INVITE is relayed with its
branch, reply and failure routes armed; the node's own reply_route and onsend_route know the flow by a header that the
callee repeats. An outcome is what the caller and the callee got: the first line's essence, and the texts of `OUT`.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kahea.net.address import Address

from .both import CALLEE, CALLER, MODULES, PORT, Kamailio, Ours, Wire

QUIET = 0.2  # seconds without a message after which a flow without final reply is over
Got = list[list[str]]

HEAD = """
debug=-1
log_stderror=yes
children=1
auto_aliases=no
disable_tcp=yes
listen=udp:127.0.0.1:{port}
{modules}
modparam("tm", "auto_inv_100", 0)
request_route {{
    if ($rm == "OPTIONS") {{ sl_send_reply("200", "OK"); exit; }}
    if ($rm == "ACK") {{ t_check_trans(); exit; }}
    $du = "sip:127.0.0.1:{callee}";
    $var(_called) = $rU;
    route($var(_called));
}}
reply_route {{
    $var(_core) = "C" + $hdr(X-Flow);
    if ($hdr(X-Flow) != $null) route($var(_core));
}}
route[NOTHING] {{ return; }}
route[ZERO] {{ return 0; }}
route[EXIT] {{ exit; }}
route[DROP] {{ drop; }}
route[MINUS] {{ return -1; }}
"""


@dataclass
class Flow:
    """One call; `answers` are the callee's statuses in order, for each INVITE that it gets."""

    branch: str = ""
    onreply: str = ""
    failure: str = ""
    core: str = ""
    onsend: str = ""
    request: str = ""
    answers: tuple[int, ...] = (486,)
    routes: str = ""
    name: str = ""

    def text(self) -> str:
        """As part of a cfg."""
        n = self.name
        bodies = [
            (f"branch_route[B{n}]", self.branch, "append_hf"),
            (f"onreply_route[R{n}]", self.onreply, "append_hf"),
            (f"failure_route[F{n}]", self.failure, "append_to_reply"),
            (f"route[C{n}]", self.core, "append_hf"),
        ]
        relay = self.request or "t_relay();"
        out = [f'route[{n}] {{ t_on_branch("B{n}"); t_on_reply("R{n}"); t_on_failure("F{n}"); {relay} exit; }}']
        out += [f"{head} {{ {spoken(body or 'return;', by)} }}" for head, body, by in bodies]
        return "\n".join([*out, self.routes]) + "\n"


def spoken(body: str, function: str) -> str:
    """`OUT(text);` by a function that adds a header."""
    return body.replace("OUT(", f'{function}("X-Out: ').replace(");;", '\\r\\n");')


def cfg(flows: Sequence[Flow]) -> str:
    """A cfg with all of them."""
    for i, flow in enumerate(flows):
        flow.name = f"T{i}"
    load = "\n".join(f'loadmodule "{module}.so"' for module in MODULES)
    head = HEAD.format(port=PORT, callee=CALLEE, modules=load)
    # Few statements stand in an onsend_route of Kamailio: it calls no route by a variable.
    sending = "\n".join(
        f'if ($rm == "INVITE" && $hdr(X-Flow) == "{flow.name}") {{ {flow.onsend} }}' for flow in flows if flow.onsend
    )
    return head + "".join(flow.text() for flow in flows) + (f"onsend_route {{ {sending} }}\n" if sending else "")


def invite(flow: Flow, number: int) -> bytes:
    """The INVITE of a flow."""
    return (
        f"INVITE sip:{flow.name}@127.0.0.1:{PORT} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 127.0.0.1:{CALLER};branch=z9hG4bK{number}\r\nFrom: <sip:alice@example.com>;tag=ft\r\n"
        f"To: <sip:bob@example.com>\r\nCall-ID: call{number}@127.0.0.1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n"
        f"X-Flow: {flow.name}\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def answer(request: bytes, status: int) -> bytes:
    """The callee's answer."""
    kept = [f"SIP/2.0 {status} Answer"]
    for line in request.decode().split("\r\n"):
        if line.startswith(("Via:", "From:", "Call-ID:", "CSeq:", "X-Flow:")):
            kept.append(line)
        elif line.startswith("To:"):
            kept.append(line if "tag=" in line else f"{line};tag=callee")
    return "\r\n".join([*kept, "Content-Length: 0", "", ""]).encode()


def essence(data: bytes) -> list[str]:
    """The status or method, and the texts of `OUT`."""
    lines = data.decode().split("\r\n")
    words = lines[0].split(" ", 2)
    first = f"{words[1]} {words[2]}" if words[0] == "SIP/2.0" else words[0]
    return [first, *(line[7:] for line in lines if line.startswith("X-Out: "))]


@dataclass
class Result:
    """What caller and callee got."""

    caller: Got
    callee: Got


class Callee:
    """Answers each INVITE by the flow's statuses, in turn."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._branches: list[bytes] = []
        self.got: Got = []

    def take(self, data: bytes) -> list[bytes]:
        """What is answered to a message."""
        if not data.startswith(b"INVITE"):
            return []
        branch = next(line for line in data.split(b"\r\n") if line.startswith(b"Via:"))
        if branch in self._branches:
            return []
        self._branches.append(branch)
        self.got.append(essence(data))
        if len(self._branches) > 1:
            return [answer(data, 404)]
        return [answer(data, status) for status in self._flow.answers]


def with_kamailio(folder: Path, flows: Sequence[Flow]) -> list[Result]:
    """The outcomes of all flows in Kamailio."""
    with Kamailio(folder, cfg(flows)) as kamailio, socket.socket(type=socket.SOCK_DGRAM) as callee:
        callee.bind(("127.0.0.1", CALLEE))
        return [_one(kamailio.caller, callee, flow, number) for number, flow in enumerate(flows, 100)]


def _one(caller: socket.socket, callee: socket.socket, flow: Flow, number: int) -> Result:
    answers = Callee(flow)
    got: Got = []
    caller.sendto(invite(flow, number), ("127.0.0.1", PORT))
    end = time.monotonic() + 5
    while time.monotonic() < end:
        ready, _, _ = select.select([caller, callee], [], [], QUIET)
        if not ready:
            break
        for one in ready:
            data = one.recv(65535)
            if f"call{number}@".encode() not in data:
                continue
            if one is callee:
                for each in answers.take(data):
                    callee.sendto(each, ("127.0.0.1", PORT))
            elif essence(data) not in got:
                got.append(essence(data))
        if got and int(got[-1][0][:3]) >= 200:
            break
    return Result(got, answers.got)


def with_ours(flows: Sequence[Flow]) -> list[Result]:
    """The outcomes of all flows here."""
    ours = Ours(cfg(flows))
    return [_ours(ours, flow, number) for number, flow in enumerate(flows, 100)]


def _ours(ours: Ours, flow: Flow, number: int) -> Result:
    answers = Callee(flow)
    got: Got = []
    waiting = [(invite(flow, number), CALLER)]
    while waiting:
        data, port = waiting.pop(0)
        for to, sent in _sent(ours, data, port):
            if to == CALLEE:
                waiting += [(each, CALLEE) for each in answers.take(sent)]
            elif essence(sent) not in got:
                got.append(essence(sent))
    return Result(got, answers.got)


def _sent(ours: Ours, data: bytes, port: int) -> list[tuple[int, bytes]]:
    wire: Wire = ours.wire
    wire.sent.clear()
    wire.ports.clear()
    ours.node.on_datagram(wire, data, Address.of("127.0.0.1", port))
    return list(zip(wire.ports, wire.sent, strict=True))
