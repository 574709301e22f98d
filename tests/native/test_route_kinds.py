"""What leaves a route of each kind, and how: drop, exit, return values, in Kamailio and here."""

from __future__ import annotations

import pytest

from .both import KAMAILIO
from .flows import CALLEE, Flow, Result, with_kamailio, with_ours

pytestmark = [
    pytest.mark.skipif(KAMAILIO is None, reason="Kamailio is not installed"),
    pytest.mark.timeout(120),
]

#: Ringing, then an answer.
RINGS = (180, 200)

FLOWS = [
    Flow(),
    Flow(answers=RINGS),
    Flow(branch="OUT(b $T_branch_idx);;"),
    Flow(branch="drop;"),
    Flow(branch="exit;"),
    Flow(branch="return 0;"),
    Flow(branch="return -1;"),
    Flow(branch="route(ZERO); OUT(after);;"),
    Flow(branch="route(EXIT); OUT(after);;"),
    Flow(branch="route(DROP); OUT(after);;"),
    Flow(branch="drop; OUT(x);;"),
    Flow(branch="drop(); "),
    Flow(branch='OUT($rc);; is_method("BYE"); OUT($rc);;'),
    Flow(onreply="OUT(r $rs $rc);;", answers=RINGS),
    Flow(onreply="drop;", answers=RINGS),
    Flow(onreply="if ($rs==180) drop;", answers=RINGS),
    Flow(onreply="if (status==180) exit; OUT(x);;", answers=RINGS),
    Flow(onreply='if (status=="180") return 0; OUT(x);;', answers=RINGS),
    Flow(onreply='if (status =~ "1..") return -1; OUT(y);;', answers=RINGS),
    Flow(onreply='if (status =~ "^2") OUT(y);;', answers=RINGS),
    Flow(onreply="route(DROP);", answers=RINGS),
    Flow(onreply="route(EXIT); OUT(x);;", answers=RINGS),
    Flow(onreply="drop;", answers=(486,)),
    Flow(onreply="drop(5);", answers=(180, 486)),
    Flow(onreply="OUT($rm $rs $rr);;", answers=(183, 200)),
    Flow(onreply='if (method == "INVITE") OUT(T);;', answers=(200,)),
    Flow(failure='OUT(f $rs $T_reply_code $rc);; t_reply("480","Failed");'),
    Flow(failure="exit;"),
    Flow(failure="drop;"),
    Flow(failure="return 0;"),
    Flow(failure='route(EXIT); t_reply("480","x");'),
    Flow(failure='if (t_check_status("486")) t_reply("481","y");'),
    Flow(failure='if (status == 486) { t_reply("481","y"); }'),
    Flow(failure='if (status =~ "48.") { t_reply("482","y"); }'),
    Flow(failure=f'append_branch(); $ru="sip:again@127.0.0.1:{CALLEE}"; t_relay();'),
    Flow(failure=f'$du="sip:127.0.0.1:{CALLEE}"; t_relay(); exit;'),
    Flow(failure=f'$ru="sip:again@127.0.0.1:{CALLEE}"; t_on_failure("NOSUCH"); t_relay();'),
    Flow(failure=f'$ru="sip:again@127.0.0.1:{CALLEE}"; t_on_branch("NOSUCH"); t_on_reply("NOSUCH"); t_relay();'),
    Flow(failure='t_reply("480","x"); t_reply("481","y");'),
    Flow(failure="append_branch(); drop;"),
    Flow(failure=f'$ru="sip:again@127.0.0.1:{CALLEE}"; t_on_failure("FT0"); t_relay();'),
    Flow(core="OUT(c $rs $rc);;", answers=RINGS),
    Flow(core="if ($rs==180) drop;", answers=RINGS),
    Flow(core="drop;", answers=RINGS),
    Flow(core="exit;", answers=RINGS),
    Flow(core="return 0;", answers=RINGS),
    Flow(core="return -1;", answers=RINGS),
    Flow(core="return $rs-180;", answers=RINGS),
    Flow(core="route(MINUS); ", answers=RINGS),
    Flow(core="route(EXIT); ", answers=RINGS),
    Flow(core="if (route(ZERO)) OUT(x);;", answers=RINGS),
    Flow(core='is_method("BYE");', answers=RINGS),
    Flow(core="t_check_trans();", answers=RINGS),
    Flow(core="if (1==2) { drop; }", answers=RINGS),
    Flow(core="while(1) { break; }", answers=RINGS),
    Flow(core="switch(1) { case 1: break; }", answers=RINGS),
    Flow(core="$var(x)=5/0;", answers=RINGS),
    Flow(core="return 5/0;", answers=RINGS),
    Flow(core="if (status==180) { drop(); } OUT(x);;", answers=RINGS),
    Flow(core="OUT(c);;", onreply="OUT(r);;", answers=RINGS),
    Flow(onsend="drop;"),
    Flow(onsend="exit;"),
    Flow(onsend="return 0;"),
    Flow(onsend="return -1;"),
    Flow(onsend="return 1;"),
    Flow(onsend="if (1==2) drop;"),
    Flow(
        core="OUT(c $avp(a) $xavp(x=>a) $xavu(u) $xavi(w=>a) $mf $T_branch_idx);;",
        onreply="OUT(o $avp(a) $xavp(x=>a) $xavu(u) $xavi(w=>a) $mf $T_branch_idx);;",
        request="$avp(a)=1; $xavp(x=>a)=2; $xavu(u)=3; $xavi(w=>a)=4; setflag(2); t_relay();",
        answers=RINGS,
    ),
    Flow(
        core='$avp(a)="c"; $avp(b)="d"; $xavp(x=>a)="e"; setflag(3);',
        onreply='OUT(o $avp(a) $avp(b) $xavp(x=>a) $mf);; $avp(n)="set";',
        failure='OUT(f $avp(a) $avp(b) $avp(n) $mf);; t_reply("480","x");',
        request="$avp(a)=1; $xavp(x=>a)=2; t_relay();",
        answers=(180, 486),
    ),
    Flow(core='OUT(c $avp(n));; $avp(n)="core";', request="t_relay();", answers=(180, 183, 200)),
    Flow(request="t_relay(); return 0;"),
    Flow(request="drop;"),
    Flow(request="route(ZERO); t_relay();"),
    Flow(onreply="return $rs-180;", answers=RINGS),
    Flow(onreply='is_method("BYE");', answers=RINGS),
    Flow(branch='is_method("BYE");'),
    Flow(branch="return 5/0;"),
    Flow(onreply="if ($rs==180) { return 0; } drop;", answers=RINGS),
    Flow(request="if (!t_relay()) { sl_reply_error(); }"),
    Flow(request="if (t_relay()) { exit; }"),
    Flow(request="$var(x)=t_relay(); exit;"),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Result, Result]]:
    """Kamailio's outcome and ours, of each flow."""
    return list(zip(with_kamailio(tmp_path_factory.mktemp("kinds"), FLOWS), with_ours(FLOWS), strict=True))


@pytest.mark.parametrize("number", range(len(FLOWS)))
def test_the_same_outcome(results: list[tuple[Result, Result]], number: int) -> None:
    theirs, ours = results[number]
    assert ours == theirs, FLOWS[number]
