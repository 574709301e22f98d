"""rtpengine beside Kamailio's: the same commands at the relay, byte for byte, the same messages at both ends."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import media_relays
import pytest
from media_relays import Answer, Relay, rtpengine_answer
from relay_twin import SDP, Case, call, compare, compare_scenes, message
from rtpengine_cases import MESSAGES, OFFERS, OTHERS, offer
from twin import needs_kamailio

from kahea.connectors.bencode import dump, load
from kahea.modules.rtpengine.quality import parameter_docs

pytestmark = needs_kamailio

PARAMETERS = f'modparam("rtpengine", "rtpengine_sock", "udp:127.0.0.1:{media_relays.PORT}")\n'


def engine(number: int = 0, answer: Answer = rtpengine_answer) -> Relay:
    return Relay(number, answer)


def test_offers(tmp_path: Path) -> None:
    with engine() as relay:
        found = compare(tmp_path, "rtpengine", OFFERS, PARAMETERS, relay)
    assert sum(bool(commands) for commands, _ in found) > 100


def test_which_message_is_offer_answer_or_end(tmp_path: Path) -> None:
    with engine() as relay:
        compare(tmp_path, "rtpengine", MESSAGES, PARAMETERS, relay)


def test_other_commands(tmp_path: Path) -> None:
    with engine() as relay:
        found = compare(tmp_path, "rtpengine", OTHERS, PARAMETERS, relay)
    names = {load(commands[0].partition(b" ")[2])[b"command"] for commands, _ in found if commands}
    assert len(names) == 17


def test_transactions(tmp_path: Path) -> None:
    with engine() as relay:
        compare_scenes(tmp_path, "rtpengine", PARAMETERS, relay, "replace-origin", "via-branch=1", b"d7:command4:ping")


def parameter(name: str, value: str | int) -> str:
    return f'modparam("rtpengine", "{name}", {value if isinstance(value, int) else chr(34) + value + chr(34)})\n'


def by_call(answers: dict[str, bytes]) -> Answer:
    """Answers by the Call-ID that a command is about, to all but pings."""

    def answer(command: bytes) -> bytes | None:
        asked = load(command)
        name = asked.get(b"call-id", b"").decode()
        return answers[name] if name in answers else rtpengine_answer(command)

    return answer


RESULTS = {
    "ok": dump({b"result": b"ok", b"sdp": b"v=0 new\r\n"}), "nosdp": dump({b"result": b"ok"}),
    "error": dump({b"result": b"error", b"error-reason": b"bad"}), "none": dump({b"sdp": b"x"}), "garbage": b"garbage",
    "empty": b"", "dict": dump({}), "list": dump([b"x"]),
    "warning": dump({b"result": b"ok", b"sdp": b"x", b"warning": b"w"}),
    "number": dump({b"result": b"ok", b"sdp": 5}), "emptysdp": dump({b"result": b"ok", b"sdp": b""}),
    "result": dump({b"result": 1, b"sdp": b"x"}), "pong": dump({b"result": b"pong", b"sdp": b"x"}),
    "trailing": b"d6:result2:ok3:sdp1:xeextra", "cut": b"d6:result2:ok3:sdp9:x", "deep": b"l" * 200,
    "huge": b"i" + b"9" * 99 + b"e",
}  # fmt: skip


def test_what_relays_answer(tmp_path: Path) -> None:
    functions = ("rtpengine_offer()", "rtpengine_delete()", "rtpengine_query()", 'play_media("x=y")', "block_dtmf()")
    cases = [Case(call(function), message(call_id=name)) for name in RESULTS for function in functions]
    with engine(0, by_call(RESULTS)) as relay:
        compare(tmp_path, "rtpengine", cases, PARAMETERS, relay)


TOTALS = {
    b"RTP": {b"packets": 1447, b"bytes": 54846, b"errors": 0},
    b"RTCP": {b"packets": 3, b"bytes": 336, b"errors": 1},
}
KNOWN = {
    "totals": {b"totals": TOTALS}, "nothing": {}, "none": {b"totals": {}},
    "half": {b"totals": {b"RTP": {b"packets": 1}}},
    "odd": {b"totals": {b"RTP": {b"packets": b"5", b"bytes": 2}, b"RTCP": {}}}, "play": {b"duration": 1234},
    "length": {b"duration": b"77"},
    "json": {b"n": -3, b"l": [1, b"a", [], {}], b"d": {b"x": b"y", b'q"': b"a\nb\x01\t/\\", b"u": "é".encode()}},
}  # fmt: skip


def test_variables(tmp_path: Path) -> None:
    """$rtpestat, media_duration, query_v, descriptions in variables, the relay's URL."""
    answers = {name: dump({b"result": b"ok", **known}) for name, known in KNOWN.items()}
    answers["error"] = dump({b"result": b"error"})
    variables = "$var(o) = $var(o) + ' ' + $avp(d) + $avp(i) + $avp(w);"
    shown = "$var(o) = $(avp(w){s.encode.hexa});"
    cases = [
        *(Case("$var(o) = 'x' + $rtpestat + $rtpstat;", message(call_id=name)) for name in answers),
        *(Case(call('play_media("file=x")') + variables, message(call_id=name))
          for name in ("play", "length", "error")),
        *(Case(call(f'rtpengine_query_v("{form}", "$avp(w)")') + shown, message(call_id="json"))
          for form in ("j", "jp", "jx", "")),
        *(Case(f"$avp(r) = {value};" + call(function) + variables, message(sdp))
          for value in ("'abc'", "$null", "''", "5") for function in ("rtpengine_offer()", "rtpengine_manage()")
          for sdp in (SDP, "")),
        Case("$avp(r) = 'abc';" + call("rtpengine_info()") + variables, message()),
        *(Case(f"$avp(x) = {value};" + call(f'rtpengine_offer("via-branch={which}")'), message())
          for value in ("'abc'", "''", "$null", "5") for which in ("extra", "auto-extra")),
    ]  # fmt: skip
    extra = PARAMETERS + "".join(
        parameter(name, value)
        for name, value in (
            ("media_duration", "$avp(d)"), ("rtp_inst_pvar", "$avp(i)"), ("read_sdp_pv", "$avp(r)"),
            ("write_sdp_pv", "$avp(w)"), ("extra_id_pv", "$avp(x)"),
        )
    )  # fmt: skip
    with engine(0, by_call(answers)) as relay:
        compare(tmp_path, "rtpengine", cases, extra, relay)


def score(mos: object, **more: int) -> dict[bytes, object]:
    names = {"loss": b"packet loss", "jitter": b"jitter", "rtt": b"round-trip time", "leg": b"round-trip time leg",
             "at": b"reported at", "samples": b"samples"}  # fmt: skip
    return {b"MOS": mos, **{names[name]: value for name, value in more.items()}}


def statistics() -> dict[bytes, Any]:
    return {
        b"result": b"ok",
        b"created": 1_700_000_000,
        b"SSRC": {
            b"111": {
                b"average MOS": score(43, rtt=120, jitter=3, loss=2, samples=5, leg=77),
                b"lowest MOS": score(31, rtt=200, jitter=9, loss=7, at=1_700_000_030, leg=88),
                b"highest MOS": score(44, rtt=10, jitter=1, loss=0, at=1_700_000_065, leg=99),
            },
            b"222": {
                b"average MOS": score(40, rtt=100, jitter=5, loss=4, samples=3),
                b"lowest MOS": score(20, rtt=300, jitter=19, loss=17, at=1_700_003_700),
                b"highest MOS": score(41, rtt=20, jitter=2, loss=1, at=1_700_000_001),
            },
        },
        b"tags": {
            b"ft": {b"label": b"LA", b"medias": [{b"streams": [{b"SSRC": 111}]}]},
            b"tt": {b"label": b"LB", b"medias": [{b"streams": [{b"SSRC": 222}]}]},
        },
    }


def varied(name: str) -> bytes:
    """Statistics with something different."""
    made = statistics()
    first, second = made[b"SSRC"][b"111"], made[b"SSRC"][b"222"]
    one, two, unknown = ({b"SSRC": number} for number in (111, 222, 999))
    medias = {
        "both": [{b"streams": [one]}, {b"streams": [two]}], "unknown": [{b"streams": [unknown, one]}],
        "second": [{b"streams": [unknown]}, {b"streams": [one]}], "empty": [{b"streams": []}, {}, {b"streams": [one]}],
        "odd": [{b"streams": [{b"x": 1}, one]}], "text": [{b"streams": [{b"SSRC": b"111"}]}], "list": [1, b"x", []],
    }  # fmt: skip
    if name in medias:
        made[b"tags"][b"ft"][b"medias"] = medias[name]
    elif name == "tags":
        del made[b"tags"]
    elif name == "one":
        del made[b"SSRC"][b"222"]
    elif name == "rtt":
        del first[b"average MOS"][b"round-trip time"]
    elif name == "average":
        del first[b"average MOS"]
    elif name == "words":
        first[b"average MOS"] = score(b"43")
    elif name == "low":
        first[b"lowest MOS"] = score(5, rtt=1999999, at=1_700_010_000)
    elif name == "leg":
        second[b"average MOS"][b"round-trip time leg"] = 33
    elif name == "nothing":
        made[b"SSRC"] = {}
    elif name == "odd":
        made[b"SSRC"] = [1]
    return dump(made)


def test_quality(tmp_path: Path) -> None:
    """What all 60 parameters about MOS get."""
    names = sorted(parameter_docs())
    extra = PARAMETERS + "".join(parameter(name, f"$avp({name})") for name in names)
    labels = "$avp(mos_A_label_pv) = 'LA'; $avp(mos_B_label_pv) = 'LB';"
    shown = "".join(f"$var(o) = $var(o) + ' {name}=' + $avp({name});" for name in names)
    variations = (
        "all", "both", "unknown", "second", "empty", "odd", "text", "list", "tags", "one", "rtt", "average", "words",
        "low", "leg", "nothing",
    )  # fmt: skip
    cases = [
        *(Case(labels + call("rtpengine_delete()") + shown, message(call_id=name)) for name in variations),
        Case("$avp(mos_A_label_pv) = 'LX';" + call("rtpengine_query()") + shown, message(call_id="all")),
        Case(call("rtpengine_query()") + shown, message(call_id="all")),
        Case(labels + call("rtpengine_manage()") + shown, message("", "BYE", to_tag="tt", call_id="all")),
        Case(labels + call("block_media()") + shown, message(call_id="all")),
    ]
    with engine(0, by_call({name: varied(name) for name in variations})) as relay:
        found = compare(tmp_path, "rtpengine", cases, extra, relay)
    first = found[0][1].out or ""
    assert "mos_min_pv=2.0 " in first
    assert "mos_min_at_B_pv=61:40 " in first


IDS = ("a", "b", "c", "d", "e", "ab", "zz", "zzz", "z" * 40, "\x7f", "z@x", "abcd", "1", "12", "123")


def test_sets_and_weights(tmp_path: Path) -> None:
    engines = [engine(n) for n in range(4)]
    urls = [relay.url for relay in engines]
    extra = (
        parameter("setid_default", 5)
        + parameter("rtpengine_sock", f"{urls[0]}=3 {urls[1]}=4")
        + parameter("rtpengine_sock", f"1 == {urls[2]}")
        + parameter("rtpengine_sock", f"2=={urls[3]}=4 {urls[1]} ")
        + parameter("rtp_inst_pvar", "$avp(i)")
        + parameter("setid_avp", "$avp(s)")
    )
    offered = offer() + "$var(o) = $var(o) + ' ' + $avp(i);"
    sets = (
        'set_rtpengine_set("1")', 'set_rtpengine_set("2")', '$var(s) = 9; set_rtpengine_set("$var(s)")',
        '$var(s) = "2"; set_rtpengine_set("$var(s)")', '$var(s) = 2; set_rtpengine_set("$var(s)")',
        'set_rtpengine_set("2"); $var(s) = 9; set_rtpengine_set("$var(s)")',
        'set_rtpengine_set("1", "1")', '$var(s) = 9; set_rtpengine_set("1", "$var(s)")', "$avp(s) = 1", "$avp(s) = '2'",
        "$avp(s) = 7", '$avp(s) = 1; set_rtpengine_set("2")',
    )  # fmt: skip
    others = ("rtpengine_delete()", "rtpengine_offer()", "block_dtmf()", "rtpengine_query()", "start_recording()")
    cases = [
        *(Case(offered, message(call_id=call_id)) for call_id in IDS),
        *(Case(offered, message(call_id=call_id)) for call_id in IDS[:5]),
        *(Case(call(chosen) + offered, message(call_id=f"s{n}")) for n, chosen in enumerate(sets)),
        *(Case(call(f'rtpengine_offer("call-id={name}")'), message()) for name in ("a", "b", "c", "zz")),
        *(Case(call(f'rtpengine_{name}("via-branch=1")'), message()) for name in ("offer", "delete")),
        # Last, since Kamailio keeps a second set for later messages.
        *(Case('set_rtpengine_set("1", "2");' + call(other), message(call_id=f"o{n}"))
          for n, other in enumerate(others)),
    ]  # fmt: skip
    with contextlib.ExitStack() as stack:
        for relay in engines:
            stack.enter_context(relay)
        found = compare(tmp_path, "rtpengine", cases, extra, *engines)
    assert len({commands[0][:5] for commands, _ in found if commands}) == 4


@pytest.mark.parametrize("algorithm", [1, 2])
def test_hashes(tmp_path: Path, algorithm: int) -> None:
    engines = [engine(n) for n in range(3)]
    extra = parameter("rtpengine_sock", " ".join(f"{relay.url}={n + 2}" for n, relay in enumerate(engines)))
    cases = [Case(offer(), message(call_id=call_id)) for call_id in IDS]
    with contextlib.ExitStack() as stack:
        for relay in engines:
            stack.enter_context(relay)
        modules = ("crypto",) if algorithm == 1 else ()
        compare(tmp_path, "rtpengine", cases, extra + parameter("hash_algo", algorithm), *engines, theirs_too=modules)


def test_no_relays_at_all(tmp_path: Path) -> None:
    functions = (
        "rtpengine_offer()",
        "rtpengine_manage()",
        "rtpengine_delete()",
        "block_media()",
        "$var(o) = $rtpestat + 'x'",
    )
    compare(tmp_path, "rtpengine", [Case(call(function), message()) for function in functions], "")
