"""Modules that lead media through relays, beside Kamailio's: the same commands at the relays, the same messages.

A case is a body of a route and the message that it is run for; a scene is a transaction with its replies.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cfgs
from media_relays import Relay

SDP = (
    "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
)

FORMS = (
    {}, {"to_tag": "tt"}, {"status": 200, "to_tag": "tt"}, {"status": 183, "to_tag": "tt"}, {"status": 200},
    {"status": 404, "to_tag": "tt"}, {"sdp": ""}, {"sdp": "", "status": 200, "to_tag": "tt"}, {"from_tag": ""},
    {"sdp": "", "status": 488, "to_tag": "tt"}, {"sdp": "", "status": 302, "to_tag": "tt"}, {"sdp": SDP + "a=x\r\n"},
    {"method": "ACK", "to_tag": "tt"}, {"method": "ACK"}, {"method": "ACK", "sdp": "", "to_tag": "tt"},
    {"method": "BYE", "to_tag": "tt"}, {"method": "BYE", "sdp": "", "to_tag": "tt"},
    {"method": "BYE", "status": 200, "to_tag": "tt"}, {"method": "CANCEL", "sdp": ""},
    {"method": "UPDATE", "to_tag": "tt"}, {"method": "UPDATE", "to_tag": "tt", "status": 200},
    {"method": "PRACK", "to_tag": "tt"}, {"method": "PRACK", "to_tag": "tt", "status": 200},
    {"method": "UPDATE", "to_tag": "tt", "status": 488}, {"method": "INFO", "to_tag": "tt"}, {"method": "MESSAGE"},
    {"method": "REGISTER"}, {"method": "INFO", "to_tag": "tt", "status": 404},
)  # fmt: skip


class Case(NamedTuple):
    """A body, and the message that it is run for."""

    body: str
    message: str


def message(
    sdp: str = SDP,
    method: str = "INVITE",
    *,
    to_tag: str = "",
    status: int = 0,
    from_tag: str = ";tag=ft",
    content_type: str = "application/sdp",
    call_id: str = "call@x",
) -> str:
    """A request from the caller, or with `status` a reply to it on its way back."""
    via = f"Via: SIP/2.0/UDP 127.0.0.1:{cfgs.PORT};branch=z9hG4bKours.0\r\n"
    first = f"SIP/2.0 {status} OK\r\n{via}" if status else f"{method} sip:bob@example.com;x=1 SIP/2.0\r\n"
    content = f"Content-Type: {content_type}\r\n" if sdp and content_type else ""
    return (
        f"{first}Via: SIP/2.0/UDP 127.0.0.1:@CALLER;branch=z9hG4bKcaller\r\nFrom: <sip:alice@example.com>{from_tag}\r\n"
        f"To: <sip:bob@example.com>{to_tag and ';tag=' + to_tag}\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n"
        f"Contact: <sip:alice@127.0.0.1:5999>\r\nX-Case: @CASE\r\nMax-Forwards: 70\r\n{content}"
        f"Content-Length: {len(sdp)}\r\n\r\n{sdp}"
    )


def call(function: str) -> str:
    """A body that notes a function's code."""
    return f"{function}; $var(o) = $var(o) + ' rc=' + $rc;"


#: A reply is for the bodies, too.
REPLIES = """
reply_route {
    $var(o) = "";
    $var(case) = "C" + $hdr(X-Case);
    route($var(case));
    append_hf("X-Out: $var(o)\\r\\n");
}
"""

Outcome = tuple[list[bytes], cfgs.Outcome]


def cfg(module: str, cases: Sequence[Case], extra: str, routes: str = REPLIES) -> str:
    return cfgs.cfg_text([case.body for case in cases], extra, (module,), routes)


def theirs(folder: Path, cases: Sequence[Case], text: str, relays: Sequence[Relay]) -> list[Outcome]:
    found = []
    with cfgs.kamailio(folder, text) as kamailio:
        taken(relays)
        for number, case in enumerate(cases):
            outcome = kamailio.run(cfgs.request(number, case.message))
            found.append((taken(relays), outcome))
    return found


async def await_relays(node: cfgs.Ours) -> None:
    """Wait until a node has tested its relays."""
    for module, sets in (("rtpproxy", "proxies"), ("rtpengine", "engines")):
        found = node.node.module(module)
        if found is not None:
            await getattr(found, sets).test_all()


async def ours(cases: Sequence[Case], text: str, relays: Sequence[Relay]) -> list[Outcome]:
    found = []
    node = cfgs.Ours(text)
    await node.node.open()
    await await_relays(node)
    taken(relays)
    try:
        for number, case in enumerate(cases):
            to = cfgs.CALLER if case.message.startswith("SIP/2.0") else cfgs.SINK
            outcome = await node.wait(cfgs.request(number, case.message), to=to)
            found.append((taken(relays), outcome))
    finally:
        await node.node.stop()
    return found


def taken(relays: Sequence[Relay]) -> list[bytes]:
    """What all relays were told, each command behind its relay's port."""
    return [b"%d %b" % (relay.address[1], command) for relay in relays for command in relay.take()]


def compare(
    folder: Path, module: str, cases: Sequence[Case], extra: str, *relays: Relay, theirs_too: Sequence[str] = ()
) -> list[Outcome]:
    """Assert that both servers do the same, and return that. `theirs_too` has modules that Kamailio needs beside."""
    text = cfg(module, cases, extra)
    loads = "".join(f'loadmodule "{name}.so"\n' for name in theirs_too)
    wanted = theirs(folder, cases, text.replace('loadmodule "kex.so"', loads + 'loadmodule "kex.so"'), relays)
    found = asyncio.run(ours(cases, text, relays))
    wrong = [
        f"{case}\n  kamailio: {want}\n  kahea:    {have}"
        for case, want, have in zip(cases, wanted, found, strict=True)
        if want != have
    ]
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong)
    return found


CALLS = """
request_route {
    if ($hdr(X-Case) == "NONE") { sl_send_reply("200", "Up"); exit; }
    $du = "sip:127.0.0.1:@SINK";
    t_on_reply("R");
    t_on_failure("F");
    t_on_branch("B");
    t_on_branch_failure("X");
    if ($hdr(X-Case) == "manage" || $hdr(X-Case) == "core") @_manage("@FLAGS");
    if ($hdr(X-Case) == "offer") @_offer();
    t_relay();
}
branch_route[B] { if ($hdr(X-Case) == "branch") @_manage("@BRANCH"); }
onreply_route[R] { if ($hdr(X-Case) != "core") @_manage(); }
reply_route { if ($hdr(X-Case) == "core") @_manage(); }
failure_route[F] { @_manage(); }
event_route[tm:branch-failure:X] { @_manage(); }
""".replace("@SINK", str(cfgs.SINK))


class Scene(NamedTuple):
    """A transaction: where the script calls the function, the request, and the statuses it is answered with; with a
    description or not."""

    where: str
    method: str
    offers: bool
    replies: tuple[tuple[int, bool], ...]


SCENES = (
    Scene("manage", "INVITE", True, ((183, True), (180, False), (200, True))),
    Scene("manage", "INVITE", False, ((183, True), (200, True))),
    Scene("manage", "INVITE", True, ((183, True), (486, False))),
    Scene("manage", "INVITE", False, ((486, True),)),
    Scene("core", "INVITE", True, ((183, True), (200, True))),
    Scene("core", "INVITE", False, ((183, True), (200, True))),
    Scene("offer", "INVITE", True, ((200, True),)),
    Scene("branch", "INVITE", True, ((200, True),)),
    Scene("branch", "INVITE", False, ((200, True),)),
    Scene("none", "INVITE", True, ((200, True),)),
    *(
        Scene("manage", method, offers, (reply,))
        for method in ("UPDATE", "PRACK", "BYE", "INFO")
        for offers in (True, False)
        for reply in ((200, True), (200, False), (488, False))
    ),
)


def opening(scene: Scene, number: int) -> bytes:
    text = message(SDP if scene.offers else "", scene.method, to_tag="tt", call_id=f"scene{number}@x")
    return cfgs.request(scene.where, text.replace("z9hG4bKcaller", f"z9hG4bKcaller{number}"))


def reply_to(request: bytes, status: int, offers: bool) -> bytes:
    """A reply of the sink."""
    kept = [line for line in request.decode().split("\r\n") if re.match("Via|From|To|Call-ID|CSeq|X-Case", line)]
    body, kind = (SDP, "Content-Type: application/sdp\r\n") if offers else ("", "")
    head = "\r\n".join([f"SIP/2.0 {status} X", *kept])
    return f"{head}\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def final(data: bytes) -> bool:
    return not data.startswith(b"SIP/2.0 100")


def compare_scenes(folder: Path, module: str, extra: str, relay: Relay, flags: str, branch: str, tests: bytes) -> None:
    """Assert that both do the same in every kind of route of a transaction; commands that begin with `tests` are none
    of a transaction's."""
    calls = CALLS.replace("@FLAGS", flags).replace("@BRANCH", branch).replace("@_", f"{module}_")
    text = cfg(module, [], extra).partition("request_route {")[0] + calls
    with cfgs.kamailio(folder, text) as kamailio:
        wanted = []
        for number, scene in enumerate(SCENES):
            relay.take()
            kamailio.send(opening(scene, number))
            request = kamailio.next_at(cfgs.SINK)
            seen = [cfgs.blank(request)]
            for status, offers in scene.replies:
                kamailio.send(reply_to(request, status, offers), cfgs.SINK)
                while not final(got := kamailio.next_at(cfgs.CALLER)):
                    pass
                seen.append(cfgs.blank(got))
            wanted.append((relay.take(), seen))
            while kamailio.has_more():
                pass

        async def run() -> None:
            node = cfgs.Ours(text)
            for number, scene in enumerate(SCENES):
                node.wire.sent.clear()
                relay.take()
                node.send(opening(scene, number))
                request = await node.next_at(cfgs.SINK)
                seen = [cfgs.blank(request)]
                for status, offers in scene.replies:
                    node.send(reply_to(request, status, offers), cfgs.SINK)
                    while not final(got := await node.next_at(cfgs.CALLER)):
                        pass
                    seen.append(cfgs.blank(got))
                commands = [command for command in relay.take() if not command.startswith(tests)]
                assert (commands, seen) == wanted[number], scene
            await node.node.stop()

        asyncio.run(run())
