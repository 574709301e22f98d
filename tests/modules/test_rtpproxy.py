"""rtpproxy beside Kamailio's: the same commands at the relay, the same messages at both ends."""

from __future__ import annotations

import contextlib
from pathlib import Path

import media_relays
from media_relays import Answer, Relay, rtpproxy_answer
from relay_twin import SDP, Case, call, compare, compare_scenes, message
from rtpproxy_cases import ANSWERED, ANSWERS, ICE_CASES, MESSAGES, OFFERS, OTHERS, TWO, offer
from twin import needs_kamailio

pytestmark = needs_kamailio

PARAMETERS = f'modparam("rtpproxy", "rtpproxy_sock", "udp:127.0.0.1:{media_relays.PORT}")\n'


def test_offers(tmp_path: Path) -> None:
    with Relay() as relay:
        found = compare(tmp_path, "rtpproxy", OFFERS, PARAMETERS, relay)
    assert sum(bool(commands) for commands, _ in found) > 90


def test_which_message_is_offer_answer_or_end(tmp_path: Path) -> None:
    with Relay() as relay:
        found = compare(tmp_path, "rtpproxy", MESSAGES, PARAMETERS, relay)
    words = {commands[0].split()[1][:1] for commands, _ in found if commands}
    assert words == {b"U", b"L", b"D"}


def test_other_commands(tmp_path: Path) -> None:
    with Relay() as relay:
        found = compare(tmp_path, "rtpproxy", OTHERS, PARAMETERS, relay)
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
        compare(tmp_path, "rtpproxy", ANSWERED, PARAMETERS, relay)


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
        compare(tmp_path, "rtpproxy", cases, extra, relay)


def test_candidates(tmp_path: Path) -> None:
    with Relay() as relay:
        extra = PARAMETERS + parameter("ice_candidate_priority_avp", "$avp(p)") + parameter("nortpproxy_str", "")
        compare(tmp_path, "rtpproxy", ICE_CASES, extra, relay)


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
        compare(tmp_path, "rtpproxy", cases, extra, *relays)


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
        found = compare(tmp_path, "rtpproxy", cases, extra, *relays)
    assert {commands[0][:5] for commands, _ in found} == {b"%d" % relay.address[1] for relay in relays}


def test_no_relays_at_all(tmp_path: Path) -> None:
    functions = (
        "rtpproxy_offer()", "rtpproxy_manage()", "rtpproxy_destroy()", "start_recording()",
        'rtpproxy_stream2uac("p", "1")', "rtpproxy_stop_stream2uac()", "$var(o) = $(rtpstat{s.encode.hexa})",
    )  # fmt: skip
    compare(tmp_path, "rtpproxy", [Case(call(function), message()) for function in functions], "")


def test_transactions(tmp_path: Path) -> None:
    with Relay() as relay:
        compare_scenes(tmp_path, "rtpproxy", PARAMETERS, relay, "co", "1", b"V")
