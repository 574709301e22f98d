"""A converted cfg computes what the cfg does: programs that answer with what they worked out, in both languages."""

from __future__ import annotations

import pytest

from kahea.engines.native.convert import convert
from kahea.engines.native.parser import parse_text
from kahea.routing.node import Node
from kahea.testing import Simulation

HEAD = "#!KAMAILIO\n" + "\n".join(
    f'loadmodule "{name}.so"' for name in ("tm", "sl", "pv", "xlog", "textops", "siputils", "htable")
)
USERS = ("x", "brk", "ret", "out", "nobody", "Bob")
PROGRAMS = {
    "loops": """
request_route {
    $var(o) = "";
    $var(i) = 0;
    while ($var(i) < 6) {
        $var(i) = $var(i) + 1;
        switch ($var(i)) {
            case 1: $var(o) = $var(o) + "a"; break;
            case 2: if ($rU == "brk") break; $var(o) = $var(o) + "b";
            case 3: $var(o) = $var(o) + "c"; break;
            case 4: if ($rU == "ret") return sl_send_reply("200", "R ret $var(o)");
            default: $var(o) = $var(o) + "d";
        }
        if ($rU == "out" && $var(i) == 3) break;
    }
    sl_send_reply("200", "R o=$var(o) i=$var(i)");
}
""",
    # Within an expression a call is 1 or 0, whatever its code; assigned by itself it is the code.
    "calls": """
request_route {
    $var(o) = "";
    if (route(A) && $rU != "x") $var(o) = $var(o) + "1";
    if (!route(B)) $var(o) = $var(o) + "2";
    route(C);
    $var(c) = $rc;
    if ($rc < 0 || $rU == "out") $var(o) = $var(o) + "3";
    else if (route(D) > 3) $var(o) = $var(o) + "4";
    else $var(o) = $var(o) + "5";
    switch (route(D)) { case 5: $var(o) = $var(o) + "6"; break; case 1: $var(o) = $var(o) + "7"; }
    if (route(D) == 1) $var(o) = $var(o) + "8";
    if (route(D) == 0) $var(o) = $var(o) + "9";
    if (route(D) < 0) $var(o) = $var(o) + "n";
    $var(d) = route(D);
    $var(e) = route(D) + 1;
    $var(f) = route(E);
    $var(g) = is_method("INVITE");
    if (route("R_" + $rU)) $var(o) = $var(o) + "r";
    route("R_$rU");
    if ($rU =~ "^.o|^x") route(F);
    sl_send_reply("200", "R $var(o) $var(c) $var(d) $var(e) $var(f) $var(g)");
}
route[A] { if ($rU == "x") return -1; }
route[B] { if ($rU == "brk") return 1; return -1; }
route[C] { if ($rU == "ret") return -4; return 4; }
route[D] { if ($rU == "ret") { return 5; } return -7; }
route[E] { return route(D) + 1; }
route[F] { if ($rU == "Bob") return route(A); return route(D); }
route[R_x] { $var(o) = $var(o) + "x"; }
route[R_brk] { $var(o) = $var(o) + "k"; if ($var(c) > 0) { sl_send_reply("201", "R gone $var(o)"); exit; } }
route[R_ret] { return -1; }
route[R_out] { ; }
""",
    "values": """
request_route {
    $var(a) = 7; $var(b) = "3"; $var(s) = "x" + $rU + 5 + ($var(a) << 2);
    $avp(n) = $null; $avp(l) = 1; $avp(l) = "two"; $(avp(l)[0]) = "three";
    $xavp(q=>z) = 5; $xavp(q[0]=>w) = "s";
    $var(m) = -7 mod 3; $var(d) = -7 / 2; $var(x) = (5 & 3) | (8 ^ 2); $var(t) = ~ 5;
    $var(k) = strlen($rU) * 2 - 1;
    $var(n) = (int)"12" + 1; $var(p) = (str)5 + "q"; $var(z) = $avp(none) + 1; $var(y) = $avp(none) + "s";
    $var(u) = $(rU{s.substr,0,1}{s.toupper}); $var(v) = @ruri.user + "!"; $var(w) = @ruri.user;
    $var(i) = $(ru{uri.host}) + ":" + $rp;
    sl_send_reply("200", "R $var(s)|$var(m)|$var(d)|$var(x)|$var(t)|$var(k)|$var(n)|$var(p)|$var(z)|$var(y)|$var(u)"
        "|$var(v)|$var(w)|$var(i)|$avp(l)|$xavp(q=>z)$xavp(q=>w)|$avp(n)");
}
""",
    "conditions": """
#!define NUM 5
#!define TXT "x"
request_route {
    $var(e) = ""; $var(a) = 7; $var(b) = "3";
    if ($rU =~ "^(B|o)" and not ($var(a) == 8)) $var(e) = "a";
    if ($var(b) == 3) $var(e) = $var(e) + "b";
    if ($var(a) == "7") $var(e) = $var(e) + "c";
    if (defined $avp(none)) $var(e) = $var(e) + "d";
    if (strempty($avp(none))) $var(e) = $var(e) + "e";
    if ($avp(none) == "") $var(e) = $var(e) + "f";
    if ($avp(none) == $null) $var(e) = $var(e) + "g";
    if (!$avp(none)) $var(e) = $var(e) + "h";
    if ($var(a) > 6 && ($var(a) < 3 || $rU == TXT)) {
        if ($rs == $null) { if ($var(a) != NUM) { $var(e) = $var(e) + "i"; } }
    }
    if (uri == myself) $var(e) = $var(e) + "j";
    if (from_uri == myself) $var(e) = $var(e) + "k";
    if (src_ip == 10.0.0.0/8) $var(e) = $var(e) + "l";
    if (src_ip == 10.0.0.1 || dst_port == 5060) $var(e) = $var(e) + "m";
    if (proto == UDP && af == INET) $var(e) = $var(e) + "n";
    if (is_method("OPTIONS|INFO")) {
        if (!search("nothing")) { if (has_body("a/b")) drop; else $var(e) = $var(e) + "o"; }
    }
    sl_send_reply("200", "R $var(e)");
}
""",
}


def answers(script: str, language: str) -> list[str]:
    """What each user's OPTIONS is answered."""
    with Simulation(seed=1) as simulation:
        simulation.node(script, "udp:10.0.0.9:5060", language=language)
        caller = simulation.ua("alice", "udp:10.0.0.1:5060")
        asked = [caller.request("OPTIONS", f"sip:{user}@10.0.0.9") for user in USERS]
        simulation.run(1)
        found = [exchange.replies[-1].start if exchange.replies else "" for exchange in asked]
        simulation.errors.clear()
    return found


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_conversion_answers_as_the_cfg(name: str) -> None:
    cfg = HEAD + PROGRAMS[name]
    python = convert(parse_text(cfg, "test.cfg", {}), Node(), "test.cfg").script
    wanted = answers(cfg, "cfg")
    assert len(set(wanted)) > 1
    assert answers(python, "py") == wanted
