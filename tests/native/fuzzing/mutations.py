"""Cfgs with something wrong in them, made from good ones by a seed: a token or a line left out, doubled, exchanged with
another or changed, and characters likewise."""

from __future__ import annotations

import re
from random import Random

_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"|\'[^\']*\'|\$\([^)\n]*\)+|\$[\w.]+(?:\([^)\n]*\))?|#!\w+|[\w.]+|[=!<>]=|=~|&&|\|\||<<|>>|\s+|.',
    re.DOTALL,
)
_SIGNS = list("(){}[];,:.=!<>+-*/%&|^~@#$\"'\\\n 0aZ_\t?é")

_MODULES = """loadmodule "pv.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "textops.so"
loadmodule "xlog.so"
loadmodule "corex.so"
loadmodule "tmx.so"
"""

#: Good cfgs, each with much of the language in it.
CFGS = [
    """#!define A 5
#!define WORD "kam"
#!ifdef A
#!define C 1
#!else
#!define D 2
#!endif
#!ifndef B
#!trydef B 7
#!endif
#!redefine B 8
#!subst "/abc/xyz/g"
#!substdef "!HOST!127.0.0.1!g"
#!substdefs "!TEXT!q!g"
debug=2
log_stderror=yes
children=B
listen=udp:HOST:5060
alias="example.com" alias=udp:h.example.com:5070
server_header="Server: x"
flags one:1, two:2, three
"""
    + _MODULES
    + """modparam("tm", "fr_timer", 5000)
modparam("xlog", "prefix", "x")
""",
    _MODULES
    + """request_route {
    if (method == "INVITE" && !isflagset(1) || $rU =~ "^[0-9]+$") {
        $var(x) = 1 + 2 * (3 - $var(y)) mod 4;
        setflag(2);
    } else if ($hdr(X-A) != $null and not (uri == myself)) {
        xlog("L_INFO", "a $rm [$var(x)] \\"q\\" \\n");
        return -1;
    } else exit;
    switch ($var(x)) {
        case 1: $avp(s) = "a" + $rU; break;
        case 2:
        default: drop;
    }
    switch ($rU) { case "a": break; case /"^b.*": route(X); }
    while ($var(i) < 10) { $var(i) = $var(i) + 1; if ($var(i) == 5) break; }
    if (src_ip == 10.0.0.0/8 || dst_port == 5060 || proto == UDP || src_ip == [::1]) route("X");
    if (@ruri.user == "x" || defined $avp(s) || strlen($rU) > 3) { force_rport(); rewritehost("h.com"); }
    $(avp(s)[1]) = $null; $du = "sip:1.2.3.4:5060;transport=udp"; append_branch(); strip(1); prefix("0");
    t_on_failure("F"); t_on_branch("B"); t_on_reply("R");
    if (!t_relay()) { sl_reply_error(); }
    $var(z) = selval($var(x) > 1, "a", (str)5); $var(z) = (int)"5" | 0x1f & ~017 ^ 101b << 1 >> 2;
}
route[X] { return 5; }
route["Y-1"] { route($var(x) + "b"); return; }
""",
    _MODULES
    + """# comment
request_route { /* in /* nested */ it */ exit; } // more
reply_route { if (status =~ "^18") drop; }
onreply_route[R] { if ($rs == 183) { $var(x) = "a" "b"; } exit; }
failure_route[F] { if (t_check_status("486|408")) { append_branch(); t_relay(); } }
branch_route[B] { if ($T_branch_idx > 0) drop; append_hf("P: x\\r\\n"); }
onsend_route { if (snd_port == 5060 && to_ip == 127.0.0.1) exit; }
event_route[tm:local-request] { xlog("$rm"); }
route[A1] { $xavp(a=>b) = 5; $xavp(a[0]=>c) = $xavp(a=>b) + 1; $shv(x) = $(hdr(V)[-1]{s.len}); }
""",
]


def mutated(seed: int) -> str:
    """A cfg with one to three things changed."""
    random = Random(seed)
    text = random.choice(CFGS)
    if "request_route" not in text:
        text += 'request_route { if (A == 5) setflag(two); xlog(WORD); xlog("abc TEXT"); exit; }\n'
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        kind = random.random()
        if kind < 0.6:
            text = _tokens_changed(random, text)
        elif kind < 0.75:
            text = _lines_changed(random, text)
        else:
            at = random.randrange(len(text))
            sign = random.choice(_SIGNS)
            text = random.choice(
                (text[:at] + text[at + 1 :], text[:at] + sign + text[at:], text[:at] + sign + text[at + 1 :])
            )
    return text


def _tokens_changed(random: Random, text: str) -> str:
    tokens = _TOKEN.findall(text)
    at, other = random.randrange(len(tokens)), random.randrange(len(tokens))
    how = random.randrange(5)
    if how == 0:
        del tokens[at]
    elif how == 1:
        tokens.insert(at, tokens[at])
    elif how == 2:
        tokens[at], tokens[other] = tokens[other], tokens[at]
    elif how == 3:
        tokens[at] = tokens[other]
    else:
        tokens.insert(at, " " + tokens[other] + " ")
    return "".join(tokens)


def _lines_changed(random: Random, text: str) -> str:
    lines = text.splitlines(keepends=True)
    at, other = random.randrange(len(lines)), random.randrange(len(lines))
    how = random.randrange(3)
    if how == 0:
        del lines[at]
    elif how == 1:
        lines.insert(other, lines[at])
    else:
        lines[at], lines[other] = lines[other], lines[at]
    return "".join(lines)
