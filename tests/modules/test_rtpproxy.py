"""rtpproxy beside Kamailio's: the same commands at the relay, the same messages at both ends."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cfgs
import media_relays
from media_relays import Answer, Relay, rtpproxy_answer
from rtpproxy_cases import ANSWERED, ANSWERS, ICE_CASES, MESSAGES, OFFERS, OTHERS, SDP, TWO, Case, call, message, offer
from twin import needs_kamailio

pytestmark = needs_kamailio

PARAMETERS = f'modparam("rtpproxy", "rtpproxy_sock", "udp:127.0.0.1:{media_relays.PORT}")\n'
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


def cfg(cases: Sequence[Case], extra: str, routes: str = REPLIES) -> str:
    return cfgs.cfg_text([case.body for case in cases], extra, ("rtpproxy",), routes)


def theirs(folder: Path, cases: Sequence[Case], text: str, relays: Sequence[Relay]) -> list[Outcome]:
    found = []
    with cfgs.kamailio(folder, text) as kamailio:
        taken(relays)
        for number, case in enumerate(cases):
            outcome = kamailio.run(cfgs.request(number, case.message))
            found.append((taken(relays), outcome))
    return found


async def ours(cases: Sequence[Case], text: str, relays: Sequence[Relay]) -> list[Outcome]:
    found = []
    node = cfgs.Ours(text)
    await node.node.open()
    await node.node.module("rtpproxy").proxies.test_all()
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


def compare(folder: Path, cases: Sequence[Case], extra: str = PARAMETERS, *relays: Relay) -> list[Outcome]:
    """Assert that both servers do the same, and return that."""
    text = cfg(cases, extra)
    wanted = theirs(folder, cases, text, relays)
    found = asyncio.run(ours(cases, text, relays))
    wrong = [
        f"{case}\n  kamailio: {want}\n  kahea:    {have}"
        for case, want, have in zip(cases, wanted, found, strict=True)
        if want != have
    ]
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong)
    return found


def test_offers(tmp_path: Path) -> None:
    with Relay() as relay:
        found = compare(tmp_path, OFFERS, PARAMETERS, relay)
    assert sum(bool(commands) for commands, _ in found) > 90


def test_which_message_is_offer_answer_or_end(tmp_path: Path) -> None:
    with Relay() as relay:
        found = compare(tmp_path, MESSAGES, PARAMETERS, relay)
    words = {commands[0].split()[1][:1] for commands, _ in found if commands}
    assert words == {b"U", b"L", b"D"}


def test_other_commands(tmp_path: Path) -> None:
    with Relay() as relay:
        found = compare(tmp_path, OTHERS, PARAMETERS, relay)
    words = {commands[0].split()[1][:1] for commands, _ in found if commands}
    assert words == {b"U", b"L", b"D", b"R", b"P", b"S", b"Q"}


def test_what_relays_answer(tmp_path: Path) -> None:
    """Ports, addresses, refusals and garbage, at each stream."""

    def answer(command: bytes) -> bytes | None:
        if command[:1] != b"U":
            return rtpproxy_answer(command)
        words = command.split()
        answers = ANSWERS[int(words[1][1:].partition(b"@")[0])]
        return answers[(int(words[4].partition(b";")[2]) - 1) % len(answers)].encode()

    with Relay(answer=answer) as relay:
        compare(tmp_path, ANSWERED, PARAMETERS, relay)


def parameter(name: str, value: str | int) -> str:
    return f'modparam("rtpproxy", "{name}", {value if isinstance(value, int) else chr(34) + value + chr(34)})\n'


def test_parameters(tmp_path: Path) -> None:
    extra = (
        PARAMETERS
        + parameter("timeout_socket", "unix:/tmp/x.sock")
        + parameter("extra_id_pv", "$avp(x)")
        + parameter("rtp_inst_pvar", "$avp(i)")
        + parameter("nortpproxy_str", "a=foo\\r\\n")
    )
    instance = "$var(o) = $var(o) + ' ' + $avp(i);"
    cases = [
        Case(offer() + instance, message()),
        Case(offer(), message(to_tag="tt")),
        Case(offer(), message(TWO, to_tag="tt")),
        Case(call('rtpproxy_offer("l")'), message(to_tag="tt")),
        Case(call("rtpproxy_answer()") + instance, message(to_tag="tt", status=200)),
        Case(call("rtpproxy_destroy()") + instance, message()),
        *(
            Case(f"$avp(x) = {value};" + call(f'{function}("{flags}")'), message())
            for value, function, flags in (
                ("'abc'", "rtpproxy_offer", "b"), ("$null", "rtpproxy_offer", "b"), ("''", "rtpproxy_offer", "b"),
                ("15", "rtpproxy_manage", "b"), ("'abc'", "rtpproxy_offer", "1b"), ("'abc'", "rtpproxy_offer", "b1"),
                ("'abc'", "rtpproxy_destroy", "b"), ("'abc'", "rtpproxy_offer", ""),
            )
        ),
        Case(offer(), message(SDP + "a=foo\r\n")),
        Case(offer("f"), message(SDP + "a=foo\r\n")),
        Case(offer(), message(SDP + "a=nortpproxy:yes\r\n")),
    ]  # fmt: skip
    with Relay() as relay:
        compare(tmp_path, cases, extra, relay)


def test_candidates(tmp_path: Path) -> None:
    with Relay() as relay:
        extra = PARAMETERS + parameter("ice_candidate_priority_avp", "$avp(p)") + parameter("nortpproxy_str", "")
        compare(tmp_path, ICE_CASES, extra, relay)


def test_what_relays_can_do(tmp_path: Path) -> None:
    """Four relays, each lacking another part of the protocol; and some with another protocol."""

    def without(word: bytes, said: bytes) -> Answer:
        return lambda command: said if command == word else rtpproxy_answer(command)

    lacking = [
        (b"VF 20050322", b"0"), (b"VF 20071116", b"0"), (b"VF 20081102", b"0"), (b"VF 20071116", b"E1"),
        (b"V", b"20030101"), (b"V", b"20250101"), (b"V", b"x"), (b"V", b"20040107 x"), (b"V", b""),
    ]  # fmt: skip
    relays = [Relay(n, without(*each)) for n, each in enumerate(lacking)]
    extra = "".join(parameter("rtpproxy_sock", f"{n} == {relay.url}") for n, relay in enumerate(relays))
    functions = (
        'rtpproxy_offer("z20")', 'rtpproxy_stream2uac("p", "1")', "rtpproxy_stop_stream2uas()", "start_recording()",
        "rtpproxy_destroy()",
    )  # fmt: skip
    cases = [
        Case(f'set_rtp_proxy_set("{n}");' + call(function), message(to_tag="tt"))
        for n in range(len(relays))
        for function in functions
    ]
    with contextlib.ExitStack() as stack:
        for relay in relays:
            stack.enter_context(relay)
        compare(tmp_path, cases, extra, *relays)


def test_sets_and_weights(tmp_path: Path) -> None:
    relays = [Relay(n) for n in range(4)]
    urls = [relay.url for relay in relays]
    extra = (
        parameter("rtpproxy_sock", f"{urls[0]} {urls[1]}=3 {urls[2]}=0")
        + parameter("rtpproxy_sock", f"1 == {urls[2]}=0")
        + parameter("rtpproxy_sock", f"2=={urls[3]}")
        + parameter("rtpproxy_sock", f"2 == {urls[1]}=2 ")
        + parameter("rtp_inst_pvar", "$avp(i)")
        + parameter("extra_id_pv", "$avp(x)")
    )
    instance = "$var(o) = $var(o) + ' ' + $avp(i);"
    ids = ("a", "b", "c", "d", "e", "ab", "zz", "zzz", "z" * 40, "\x7f", "z@x", "abcd")
    cases = [
        *(Case(offer() + instance, message(call_id=call_id)) for call_id in ids),
        *(Case('set_rtp_proxy_set("2");' + offer("1") + instance, message(call_id=call_id)) for call_id in ids),
        *(Case(f'$var(s) = {value}; set_rtp_proxy_set("$var(s)"); $var(o) = $rc;' + offer() + instance, message())
          for value in ("1", "2", "9", "'2'", "'x'", "-1")),
        Case('set_rtp_proxy_set("1"); set_rtp_proxy_set("2");' + offer(), message()),
        Case('set_rtp_proxy_set("1"); $var(s) = 9; set_rtp_proxy_set("$var(s)");' + offer(), message()),
        Case("$avp(x) = 'q';" + offer("b") + instance, message(call_id="b")),
    ]  # fmt: skip
    with contextlib.ExitStack() as stack:
        for relay in relays:
            stack.enter_context(relay)
        found = compare(tmp_path, cases, extra, *relays)
    assert {commands[0][:5] for commands, _ in found} == {b"%d" % relay.address[1] for relay in relays}


def test_no_relays_at_all(tmp_path: Path) -> None:
    functions = (
        "rtpproxy_offer()", "rtpproxy_manage()", "rtpproxy_destroy()", "start_recording()",
        'rtpproxy_stream2uac("p", "1")', "rtpproxy_stop_stream2uac()", "$var(o) = $(rtpstat{s.encode.hexa})",
    )  # fmt: skip
    compare(tmp_path, [Case(call(function), message()) for function in functions], "")


CALLS = """
request_route {
    if ($hdr(X-Case) == "NONE") { sl_send_reply("200", "Up"); exit; }
    $du = "sip:127.0.0.1:@SINK";
    t_on_reply("R");
    t_on_failure("F");
    t_on_branch("B");
    t_on_branch_failure("X");
    if ($hdr(X-Case) == "manage" || $hdr(X-Case) == "core") rtpproxy_manage("co");
    if ($hdr(X-Case) == "offer") rtpproxy_offer();
    t_relay();
}
branch_route[B] { if ($hdr(X-Case) == "branch") rtpproxy_manage("1"); }
onreply_route[R] { if ($hdr(X-Case) != "core") rtpproxy_manage(); }
reply_route { if ($hdr(X-Case) == "core") rtpproxy_manage(); }
failure_route[F] { rtpproxy_manage(); }
event_route[tm:branch-failure:X] { rtpproxy_manage(); }
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


def test_transactions(tmp_path: Path) -> None:
    """In every kind of route of a transaction."""
    text = cfg([], PARAMETERS).partition("request_route {")[0] + CALLS
    with Relay() as relay, cfgs.kamailio(tmp_path, text) as kamailio:
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
                commands = [command for command in relay.take() if not command.startswith(b"V")]
                assert (scene, commands, seen) == (scene, *wanted[number])
            await node.node.stop()

        asyncio.run(run())
