"""The module async: when what goes on, on the virtual clock, and what of it reaches others, beside Kamailio's."""

from __future__ import annotations

from pathlib import Path

import cfgs
import pytest

from kahea.testing import Simulation

CFG = """#!KAMAILIO
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "async.so"
{parameters}
request_route {{
    if ($rm == "CANCEL") {{
        t_relay_cancel();
        exit;
    }}
    $avp(before) = "kept";
    {body}
    sl_send_reply("480", "rc $rc");
    exit;
}}
route[RESUME] {{
    if ($avp(before) == "kept" && $rU == "bob") t_reply("404", "Resumed");
    else t_reply("403", "Lost");
}}
route[SILENT] {{
    $avp(x) = 1;
}}
route[TASK] {{
    $shv(told) = $async(data) + "/" + $async(gname) + "/" + $rm;
}}
"""


def outcome(body: str, parameters: str = 'modparam("async", "ms_timer", 10)') -> tuple[list[str], float]:
    """The replies that the caller got, and after how long the last one came."""
    with Simulation() as simulation:
        simulation.node(CFG.format(body=body, parameters=parameters), "udp:10.0.0.9:5060")
        alice = simulation.ua("alice")
        call = alice.invite("sip:bob@10.0.0.9")
        simulation.run_until(lambda: call.status >= 200, 200)
        took = simulation.elapsed
        replies = [p.data.split(b"\r\n")[0].decode()[8:] for p in simulation.trace if p.data.startswith(b"SIP/2.0")]
        simulation.errors.clear()
        return replies, round(took, 2)


@pytest.mark.parametrize(
    ("body", "final", "seconds"),
    [
        ('async_route("RESUME", "4");', "404 Resumed", 4.0),
        ('async_ms_route("RESUME", "250");', "404 Resumed", 0.25),
        ('async_task_route("RESUME");', "404 Resumed", 0.0),
        ('async_task_group_route("RESUME", "any");', "404 Resumed", 0.0),
        ('async_sleep("2"); if ($avp(before) == "kept") t_reply("486", "Slept"); exit;', "486 Slept", 2.0),
        ('async_ms_sleep("50"); async_ms_sleep("70"); t_reply("486", "Slept"); exit;', "486 Slept", 0.12),
        ('async_route("SILENT", "1");', "500 Server Internal Error", 1.0),
    ],
)
def test_a_request_goes_on_later(body: str, final: str, seconds: float) -> None:
    replies, took = outcome(body)
    assert replies[-1] == final
    assert replies[0].startswith("100 ")
    assert took == pytest.approx(seconds, abs=0.05)


@pytest.mark.parametrize(
    "call",
    ['async_route("RESUME", "0")', 'async_route("RESUME", "101")', 'async_ms_route("RESUME", "30001")',
     'async_route("NOSUCH", "1")', 'async_task_route("NOSUCH")', 'async_sleep("101")', 'async_ms_sleep("0")'],
)  # fmt: skip
def test_what_can_not_be_put_off_fails_at_once(call: str) -> None:
    """As Kamailio has it, whose limits these are."""
    assert outcome(f"{call};")[0][-1] == "480 rc -1"


def test_milliseconds_need_a_timer() -> None:
    assert outcome('async_ms_sleep("50");', "")[0][-1] == "480 rc -1"


def test_a_code_other_than_zero_lets_the_script_go_on() -> None:
    replies, _ = outcome('if (async_route("RESUME", "1") == 1) exit;', 'modparam("async", "return", 1)')
    assert replies[-1] == "404 Resumed"


def test_data_reaches_a_route_of_its_own() -> None:
    body = 'async_task_data("TASK", "to $rU"); async_ms_sleep("1"); t_reply("480", "$shv(told)"); exit;'
    assert outcome(body)[0][-1] == "480 to bob/default/OPTIONS"
    body = body.replace('_data("TASK", ', '_group_data("TASK", "mine", ')
    assert outcome(body)[0][-1] == "480 to bob/mine/OPTIONS"


def test_a_caller_who_hangs_up_ends_a_sleeping_script() -> None:
    with Simulation() as simulation:
        node = simulation.node(
            CFG.format(body='async_sleep("20"); $shv(late) = 1; exit;', parameters=""), "udp:10.0.0.9:5060"
        )
        alice = simulation.ua("alice")
        call = alice.invite("sip:bob@10.0.0.9")
        simulation.run(1)
        call.cancel()
        simulation.run_until(lambda: call.status >= 200, 30)
        assert call.status == 487
        simulation.run(60)
        assert node.node.pool.in_flight == 0
        simulation.errors.clear()


def test_from_python() -> None:
    script = """
import KSR
wait = getattr(KSR, "async")
def ksr_request_route(msg):
    if wait.ms_sleep(100) > 0:
        KSR.tm.t_reply(480, "Slept")
    return 1
"""
    with Simulation() as simulation:
        simulation.node(script, "udp:10.0.0.9:5060", modules={"async": {"ms_timer": 1}})
        call = simulation.ua("alice").invite("sip:bob@10.0.0.9")
        simulation.run_until(lambda: call.status >= 200)
        assert call.status == 480
        assert simulation.elapsed == pytest.approx(0.1, abs=0.05)


def seen(outcome: cfgs.Outcome) -> tuple[list[str], bool]:
    """What reached the far end, and whether the caller was told at once that it may take a while."""
    return outcome.sink, any(message.startswith("SIP/2.0 100 ") for message in outcome.caller)


BODIES = [
    '$avp(k) = "kept"; append_hf("X-Before: 1\\r\\n"); async_ms_route("R", "50");',
    '$avp(k) = "kept"; $ru = "sip:new@example.com"; async_route("R", "1");',
    'async_task_route("R");',
    'async_task_group_route("R", "default");',
    'async_ms_sleep("50"); $var(o) = "slept " + $rU; route(END);',
    'async_ms_route("R", "0"); $var(o) = "rc " + $rc;',
    'async_ms_route("R", "30001"); $var(o) = "rc " + $rc;',
    'async_route("R", "101"); $var(o) = "rc " + $rc;',
    'async_route("NOSUCH", "1"); $var(o) = "rc " + $rc;',
    'async_ms_sleep("30001"); $var(o) = "rc " + $rc;',
    'async_task_data("R", "x"); $var(o) = "rc " + $rc;',
]
ROUTES = 'route[R] { if ($async(data) != $null) exit; $var(o) = "R " + $avp(k) + $ru; route(END); }'


@pytest.mark.skipif(cfgs.KAMAILIO is None, reason="needs a real Kamailio to compare with")
def test_as_in_kamailio(tmp_path: Path) -> None:
    """What reaches the far end, and what the caller is told at once."""
    extra = 'async_workers=1\nmodparam("async", "ms_timer", 10)'
    text = cfgs.cfg_text(BODIES, extra, ("async",), ROUTES)
    requests = [
        cfgs.request(n).replace(b"z9hG4bKcaller", b"z9hG4bKcaller%d" % n).replace(b"call@x", b"call%d@x" % n)
        for n in range(len(BODIES))
    ]
    theirs, here = [], []
    with cfgs.kamailio(tmp_path, text) as kamailio:
        for data in requests:
            kamailio.send(data)
            theirs.append(kamailio.later(3))
    node = cfgs.Ours(text)
    for data in requests:
        node.run(data)
        for _ in range(12):
            node.now += 0.1
            node.node.advance(node.now)
        here.append(node._outcome())
    assert [x for x in zip(BODIES, theirs, here, strict=True) if seen(x[1]) != seen(x[2])] == []
