"""rtimer and timer: which routes run when, in a cfg and in scripts; side by side with Kamailio, and on virtual time."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cfgs import KAMAILIO
from processes import Server, compared, request

from conftest import Bench
from kahea.modules.rtimer import Exec, Timer, parse_exec, parse_timer
from kahea.modules.timer import Declared, parse_declared
from kahea.routing.module import ConfigError
from kahea.testing import Simulation

Make = Callable[..., Bench]

COMPARED = """
loadmodule "textops.so"
loadmodule "corex.so"
loadmodule "mqueue.so"
loadmodule "rtimer.so"
loadmodule "timer.so"
modparam("mqueue", "mqueue", "name=work")
modparam("rtimer", "timer", "name=drain;interval=100000u;mode=1;")
modparam("rtimer", "timer", "name=twice;interval=1;mode=2")
modparam("rtimer", "exec", "timer=drain;route=DRAIN")
modparam("rtimer", "exec", "timer=twice;route=FIRST")
modparam("rtimer", "exec", "timer=twice;route=SECOND")
modparam("timer", "declare_timer", "later=LATER,200")
request_route {
    if ($rU == "ping") { sl_send_reply("200", "OK"); exit; }
    mq_add("work", "$rU", "from $fU to $tU");
    mq_add("work", "$rU", "again");
    if (@timer.timer.later.enabled == "0") timer_enable("later", 1);
    append_to_reply("X-Is: $sel(timer.executed) $rtimer_worker\\r\\n");
    sl_send_reply("200", "OK");
}
route[DRAIN] { while (mq_fetch("work")) { send_data("sip:@SINK", "$mqk(work): $mqv(work) $rm"); } }
route[FIRST] { send_data("sip:@SINK2", "1 of $rtimer_worker"); }
route[SECOND] { send_data("sip:@SINK2", "2 of $rtimer_worker"); exit; }
route[LATER] {
    timer_enable("later", 0);
    $var(text) = @timer.executed;
    send_data("sip:@CALLER", "$var(text)");
}
"""


@pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")
def test_queues_are_emptied_and_timers_run_as_in_kamailio(tmp_path: Path) -> None:
    def scenario(server: Server) -> object:
        server.caller.send(request("OPTIONS", "sip:bob@example.com", callid="second"))
        answer = re.findall("X-Is: (.*)\r", server.caller.expect("SIP/2.0 200"))
        drained = [server.sink.receive() for _ in range(2)]
        later = server.caller.receive()
        ticks = [server.sink2.receive() for _ in range(8)]
        # Each worker runs the last route first; the two of them are side by side.
        by_worker = [[tick[0] for tick in ticks if tick.endswith(worker)] for worker in "01"]
        return answer, drained, later, [order[:3] for order in by_worker]

    theirs, ours = compared(tmp_path, COMPARED, [], scenario)
    assert ours == theirs
    assert ours == (
        ["<null> 0"],
        ["bob: from alice to bob OPTIONS", "bob: again OPTIONS"],
        "later",
        [["2", "1", "2"], ["2", "1", "2"]],
    )


CFG = """#!KAMAILIO
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "cfgutils.so"
loadmodule "rtimer.so"
loadmodule "timer.so"
modparam("pv", "shvset", "long=i:0")
modparam("pv", "shvset", "quick=i:0")
modparam("pv", "shvset", "most=i:0")
modparam("pv", "shvset", "now=i:0")
modparam("pv", "shvset", "switched=i:0")
modparam("rtimer", "default_interval", 7)
modparam("rtimer", "timer", "name=long;interval=2")
modparam("rtimer", "timer", "name=quick;interval=500000u")
modparam("rtimer", "timer", "name=unset")
modparam("rtimer", "exec", "timer=long;route=LONG")
modparam("rtimer", "exec", "timer=quick;route=QUICK")
modparam("rtimer", "exec", "timer=unset;route=UNSET")
modparam("timer", "declare_timer", "once=ONCE,1500,fast,enable")
modparam("timer", "declare_timer", "off=SWITCHED,250")
request_route { sl_send_reply("200", "OK"); }
route[LONG] {
    $shv(now) = $shv(now) + 1;
    if ($shv(now) > $shv(most)) $shv(most) = $shv(now);
    sleep("5");
    $shv(now) = $shv(now) - 1;
    $shv(long) = $shv(long) + 1;
}
route[QUICK] { $shv(quick) = $shv(quick) + 1; }
route[UNSET] { $shv(quick) = 1000; }
route[ONCE] { timer_enable("once", 0); timer_enable("off", 1); }
route[SWITCHED] {
    $shv(switched) = $shv(switched) + 1;
    if ($shv(switched) == 4) timer_enable("off", 0);
}
"""


def test_intervals_on_virtual_time(kahea: Simulation) -> None:
    node = kahea.node(CFG, "udp:10.0.0.9:5060")
    shared = node.module("pv").shared.values
    kahea.run(0.45)
    assert shared["quick"] == 0
    kahea.run(0.1)
    assert shared["quick"] == 1
    kahea.run(6.3)
    assert (shared["quick"], shared["switched"]) == (13, 4)
    kahea.run(0.2)
    assert shared["quick"] >= 1000
    # 5 s of work every 2 s: from 2 to 7, from 8 to 13, from 14 to 19. Never two at once.
    kahea.run(12.5)
    assert (shared["long"], shared["most"], shared["switched"]) == (3, 1, 4)


LANGUAGES = {
    "py": "import KSR\ndef ksr_request_route():\n    pass\n"
    "def tick(msg, event):\n    KSR.pvx.shv_sets('seen', event + str(KSR.rtimer.worker_get()))\n"
    "def tock(msg, event):\n    KSR.pvx.shv_sets('other', event)\n    KSR.timer.timer_enable('t', 0)\n",
    "lua": "function ksr_request_route() end\n"
    "function tick(event) KSR.pvx.shv_sets('seen', event .. KSR.rtimer.worker_get()) end\n"
    "function tock(event) KSR.pvx.shv_sets('other', event) KSR.timer.timer_enable('t', 0) end\n",
    "nut": "function ksr_request_route() {}\n"
    'function tick(event) { KSR.pvx.shv_sets("seen", event + KSR.rtimer.worker_get()); }\n'
    'function tock(event) { KSR.pvx.shv_sets("other", event); KSR.timer.timer_enable("t", 0); }\n',
    "js": "function ksr_request_route() {}\n"
    "function tick(event) { KSR.pvx.shv_sets('seen', event + KSR.rtimer.worker_get()); }\n"
    "function tock(event) { KSR.pvx.shv_sets('other', event); KSR.timer.timer_enable('t', 0); }\n",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_functions_of_scripts(kahea: Simulation, language: str) -> None:
    modules = {
        "pv": {"shvset": "seen=s:"},
        "rtimer": {"timer": "name=a;interval=1", "exec": "timer=a;route=tick"},
        "timer": {"declare_timer": "t=tock,500,slow,enable"},
    }
    node = kahea.node(LANGUAGES[language], "udp:10.0.0.9:5060", modules=modules, language=language)
    shared = node.module("pv").shared
    shared.values["other"] = ""
    kahea.run(1.1)
    assert (shared.values["seen"], shared.values["other"]) == ("rtimer0", "timer")
    assert not node.module("timer").is_enabled("t")


def test_a_route_that_there_is_not_is_complained_of_once(kahea: Simulation) -> None:
    cfg = CFG.replace("route[QUICK]", "route[SLOW]").replace("route=UNSET", "route=LONG")
    kahea.node(cfg, "udp:10.0.0.9:5060")
    kahea.run(3)
    assert [line for line in kahea.errors if "QUICK" in line] == kahea.errors != []
    assert len(kahea.errors) == 1
    kahea.errors.clear()


# ---- definitions


def test_definitions() -> None:
    assert parse_timer("name=t;interval=10;mode=1;") == Timer("t", 10.0, 1)
    assert parse_timer("name=t;interval=100000u;mode=3") == Timer("t", 0.1, 3)
    assert parse_timer("name=t;interval=1u") == Timer("t", 0.01, 1)
    assert parse_timer("name=t") == Timer("t", 0.0, 1)
    assert parse_exec("timer=t;route=R") == Exec("t", "R")
    assert parse_declared("t=R,10,slow,enable") == Declared("t", "R", 10, True)
    assert parse_declared("t=R,100,,enable") == Declared("t", "R", 100, True)
    assert [parse_declared(f"t=R,100{end}").enabled for end in ("", ",fast", ",slow,")] == [False] * 3


@pytest.mark.parametrize(
    ("module", "param", "given"),
    [
        ("rtimer", "timer", "interval=1"),
        ("rtimer", "timer", "name=a;interval=xx"),
        ("rtimer", "timer", "name=a;interval=-1"),
        ("rtimer", "timer", "name=a;mode=300"),
        ("rtimer", "timer", "name=a;foo=1"),
        ("rtimer", "default_interval", 0),
        ("rtimer", "exec", "timer=a"),
        ("rtimer", "exec", "timer=none;route=R"),
        ("timer", "declare_timer", "t=R"),
        ("timer", "declare_timer", "t=R,100,medium"),
        ("timer", "declare_timer", "=R,100"),
        ("timer", "declare_timer", "t=R,xx"),
        ("timer", "declare_timer", "t=R,100,fast,no"),
    ],
)
def test_definitions_that_are_none(bench: Make, module: str, param: str, given: str | int) -> None:
    with pytest.raises(ConfigError, match=rf"{module}\.{param}"):
        bench(module, **{module: {param: given}})


def test_a_timer_must_be_declared_to_be_switched(kahea: Simulation) -> None:
    with pytest.raises(ConfigError, match="no timer 'offf'"):
        kahea.node(CFG.replace('timer_enable("off", 1)', 'timer_enable("offf", 1)'), "udp:10.0.0.9:5060")
    with pytest.raises(ConfigError, match=re.escape("timer.executed or timer.timer.NAME.enabled")):
        kahea.node(CFG.replace('sleep("5")', "$var(x) = @timer.timer.off"), "udp:10.0.0.9:5061")
