"""Programs that change the message in hand and send it on, made from a seed; what arrives is compared byte by byte."""

from __future__ import annotations

from random import Random

from ..both import CALLEE, PORT, Program

URIS = [
    "sip:new@127.0.0.1:@CALLEE", "sip:a%20b@h.example.com;x=y", "sip:h.example.com", "sip:u:p@h.example.com:5070",
    "sips:u@h.example.com", "tel:+123", "sip:+49123;phone-context=x@h.example.com;user=phone",
]  # fmt: skip
#: What variables are set to; URIs of them stay readable.
TEXTS = ["x", "a-b", "5", "new.example.com"]
#: What stands in headers.
VALUES = ["x", "a b", "$rU", "$fU-$rm", "a;b=c", "<sip:x@y>", "$(fu{s.len})", "$avp(none)", "one, 2"]
NAMES = ["X-A", "X-B", "X-C", "Subject", "User-Agent", "Contact", "P-New", "Via", "X-List", "From", "Call-ID", "Route"]
#: None of these is in a Via that is changed, which Kamailio would not send, or die of.
PATTERNS = ["X-A", "alice", "^X", "one", "sdp", "example", "t(w)o", "Z", "Sub.*t"]
REPLACEMENTS = ["Z", "", "q", "\\\\1-", "$rU"]
#: Headers and their values, by index.
PLACES = ["X-A", "X-List", "X-List[1]", "X-List[-1]", "X-List[0]", "X-B", "X-B[0]", "X-B[2]", "P-New"]
READ = [
    "$ru", "$rU", "$rd", "$rp", "$du", "$fu", "$tu", "$fU", "$fn", "$tn", "$hdr(X-A)", "$(hdr(X-B)[1])", "$hdr(P-New)",
    "$ct", "$rb", "$cl", "$br", "$(branch(uri)[0])", "$fs", "$ua", "$ou", "$od", "$nh(u)", "$rP", "$dd", "$dp", "$cT",
    "$hdrc(Via)", "$(hdr(X-List)[*])", "$hfl(X-List)", "$rz", "$ft", "$tt", "$mf $bf $sf",
]  # fmt: skip
SET = ["$rU", "$rd", "$fU", "$fd", "$fn", "$tU", "$td", "$tn", "$du", "$br"]
CLEARED = ["$rU", "$fn", "$tn", "$du", "$rp", "$fU", "$fs", "$br"]


HEADERS = (
    "X-A: a=1;b=2;c\r\nX-B: one\r\nX-B: two\r\nx-b: three\r\nX-List: one, two,three\r\nSubject: one\r\n"
    "Contact: <sip:alice@127.0.0.1:5066;ob>;q=0.5\r\nSupported: path\r\nContent-Type: application/sdp\r\n"
)
#: Bodies of programs that once differed.
FOUND = [
    "append_time_to_request();",
    'append_time_to_request(); append_hf("X-Z: 1\\r\\n", "Via"); insert_hf("X-Y: 1\\r\\n");',
    'remove_hf_value("X-B[0]");',
    'remove_hf_value("X-List[0]");',
    'assign_hf_value("X-List[0]", "n");',
    'assign_hf_value("X-B[0]", "n");',
    'append_hf_value("X-B[0]", "n");',
    'insert_hf_value("X-B[0]", "n");',
    'insert_hf_value("X-List[0]", "n");',
]


def statement(random: Random) -> str:
    """One thing done to the message."""
    one = random.choice
    name, value, uri, pattern, number = one(NAMES), one(VALUES), one(URIS), one(PATTERNS), one((0, 1, 2, 9))
    place, shown = one(PLACES), "|".join(random.sample(READ, 4))
    change = f'"/{one(("X-A", "alice", "(e)(x)", "one", "t"))}/{one(REPLACEMENTS)}/{one(("", "g", "i"))}"'
    return one([
        *[f'{one(SET)} = "{one(TEXTS)}";'] * 3, f"{one(CLEARED)} = $null;",
        *[f'{one(("$ru", "$du", "$fu", "$tu", "$br"))} = "{uri}";'] * 2, f'$rp = {one((5080, 65535))};',
        f'$fs = "udp:127.0.0.1:{PORT}";', f'$(branch(uri)[0]) = "{uri}";',
        f'append_hf("{one(("P-New", "X-A", "Subject"))}: {value}\\r\\n");',
        f'append_hf("P-New: {value}\\r\\n", "{name}");',
        f'insert_hf("P-New: {value}\\r\\n");', f'insert_hf("P-Ins: {value}\\r\\n", "{name}");',
        f'append_hf("X-Show: {shown}\\r\\n");', 'append_urihf("P-U: ", "\\r\\n");', "append_rpid_hf();",
        f'remove_hf("{one(("X-A", "X-B", "P-New", "Subject", "Contact", "X-C"))}");',
        f'remove_hf_re("^{one(("X-", "Sub", "User", "P-", "x-a"))}");',
        f'remove_hf_idx("X-B", "{one((0, 1, -1, -2, 5))}");',
        f'remove_hf_exp("^X-", "{one(("X-A", "X-L.*", "none"))}");', f'keep_hf("{one(("X-A", "X-", "User-Agent"))}");',
        f'remove_hf_match("X-B", "{one(("eq", "ne", "sw", "re", "in"))}", "{one(("one", "t", "three"))}");',
        f'subst_uri("/{one(("M", "example", "5"))}/{one(("n", "1"))}/{one(("", "g"))}");', f"subst_user({change});",
        f'subst_hf("{one(("X-A", "X-B", "Subject"))}", {change}, "{one("afl")}");', f"subst_body({change});",
        f'replace("{one(PATTERNS[:2])}", "Z");', f'replace_all("{one(("one", "sdp"))}", "Z");',
        'replace_hdrs("two", "Z");',
        f'replace_body("{pattern}", "Z");', 'replace_body_all("[0-9]", "N");',
        f'replace_body_str("a", "bb", "{one("afg")}");',
        f'replace_str("one", "1", "{one("af")}");', f'search_append("{one(PATTERNS[:2])}", "!");',
        f'search_append_body("{pattern}", "!");', f'set_body("{one(("x", "a b"))}", "text/plain");', "remove_body();",
        f"strip({number});", f"strip_tail({one((0, 1))});", f'prefix("{one(("00", "", "a+"))}");',
        'sethost("h2.example.com");',
        'sethostport("h3.example.com:5099");', 'setport("5098");', 'setuser("su");', "userphone();",
        'setuserpass("u2:p2");',
        f'seturi("{uri}");', "revert_uri();", 'sethostporttrans("h:5;transport=tcp");', f'setdsturi("{uri}");',
        "record_route();", f'record_route_params(";p={number}");', 'record_route_preset("1.2.3.4:5060");',
        f'add_rr_param(";q={number}");', "loose_route();", "force_rport();",
        "add_local_rport();",
        'set_advertised_address("5.6.7.8");', 'set_advertised_port("5678");', "append_branch();",
        f'append_branch("{uri}");', "clear_branches();", 'append_branch(); $ru = "sip:second@127.0.0.1:@CALLEE";',
        *["msg_apply_changes();"] * 2, f'append_hf_value("{place}", "{value}");',
        f'insert_hf_value("{place}", "{value}");',
        f'remove_hf_value("{place}");', f'assign_hf_value("{place}", "{value}");',
        f'add_uri_param("{one(("p=q", "x"))}");',
        f'include_hf_value("{one(("X-List", "Supported"))}", "{one(("one", "new"))}");',
        f'exclude_hf_value("X-List", "{one(("one", "new", "TWO"))}");', "resetdsturi();",
        'xavp_params_explode("a=1;b=2", "pp"); append_hf("X-P: $xavp(pp=>b)\\r\\n");',
    ])  # fmt: skip


def program(seed: int) -> Program:
    """The program of a seed: up to eight changes, then the message goes on."""
    random = Random(seed)
    done = [statement(random) for _ in range(random.randint(1, 6))]
    shown = "\n".join(
        f'$var(o) = {each}; append_hf("X-End: $(var(o){{s.encode.hexa}})\\r\\n");' for each in random.sample(READ, 3)
    )
    send = random.choice(["forward();", "forward();", "t_relay();", "msg_apply_changes(); forward();"])
    body = "\n".join([*done, shown, f'$du = "sip:127.0.0.1:{CALLEE}";', send, "exit;"])
    headers = HEADERS
    if random.random() < 0.3:
        headers += f"Route: <sip:127.0.0.1:{PORT};lr>, <sip:127.0.0.1:{CALLEE};lr>\r\n"
    if random.random() < 0.3:
        headers += "Record-Route: <sip:127.0.0.7;lr>\r\nX-C: folded\r\n  on\r\n"
    return Program(
        body.replace("@CALLEE", str(CALLEE)), name=f"M{seed}", headers=headers,
        method=random.choice(["INVITE", "MESSAGE", "OPTIONS"]),
        uri=random.choice(["sip:{name}@example.com", "sip:{name}:secret@example.org:5070;x=y;user=phone"]),
        content=random.choice(["", "v=0\r\no=- 1 2 IN IP4 1.2.3.4\r\ns=alice\r\n"]),
    )  # fmt: skip


def found() -> list[Program]:
    """The programs that once differed."""
    send = f'$du = "sip:127.0.0.1:{CALLEE}"; forward(); exit;'
    return [Program(f"{body} {send}", headers=HEADERS, name=f"D{i}") for i, body in enumerate(FOUND)]
