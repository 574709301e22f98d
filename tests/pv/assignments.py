"""Sequences of calls, each on a fresh message, that both servers make in `test_oracle.py`."""

from __future__ import annotations

from .corpus import Call, get, put, words

Session = tuple[str, list[Call]]


def _avps() -> list[Session]:
    return [
        ("invite", [
            put("$avp(x)", 1), put("$avp(x)", "two"), put("$avp(x)", 3), get("$avp(x)"), get("$(avp(x)[0])"),
            get("$(avp(x)[1])"), get("$(avp(x)[2])"), get("$(avp(x)[3])"), get("$(avp(x)[*])"),
            get("$cnt($avp(x))"),
            put("$avp(x)", None), get("$avp(x)"), put("$(avp(x)[1])", "pushed"), get("$(avp(x)[*])"),
            put("$(avp(x)[9])", None), get("$(avp(x)[*])"), put("$(avp(x)[*])", "all"), get("$(avp(x)[*])"),
            put("$(avp(x)[*])", None), get("$(avp(x)[*])"), get("$cnt($avp(x))"), put("$(avp(x)[5])", "five"),
            get("$(avp(x)[*])"),
        ]),
        ("invite", [
            put("$avp(i:5)", "a"), get("$avp(i:5)"), get("$avp(s:5)"), get("$avp(5)"), put("$var(k)", 5),
            get("$avp($var(k))"), put("$var(k)", "5"), get("$avp($var(k))"), put("$avp(email)", "e"),
            get("$avp(s:email_addr)"), get("$avp(email_addr)"), put("$avp(tmp)", "t"), get("$avp(i:100)"),
            put("$var(k)", "email"), get("$avp($var(k))"), put("$avp(X)", 1), get("$avp(x)"),
            put("$avp($null)", "x"),
            get("$avp($rs)"), put("$avp($rs)", 1), put("$var(k)", "email_addr"), get("$avp($var(k))"),
            get("$cnt($avp(i:5))"), put("$avp($var(k))", "more"), get("$(avp(email)[*])"),
        ]),
        ("invite", [
            ["pvx.avp_sets", "x", "s"], ["pvx.avp_seti", "x", 4], ["pvx.avp_get", "x"],
            ["pvx.avp_get", "s:x"],
            ["pvx.avp_gete", "q"], ["pvx.avp_getw", "q"], ["pvx.avp_is_null", "q"],
            get("$(avp(x)[*])"), ["pvx.avp_rm", "x"], get("$(avp(x)[*])"), ["pvx.avp_rm", "nope"],
            ["pvx.avp_get", "email"], ["pvx.avp_get", ""], ["pvx.avp_sets", "", "x"],
        ]),
    ]  # fmt: skip


def _stacks(kind: str) -> list[Session]:
    v = "$" + kind
    f = f"pvx.{kind}_"
    return [
        ("invite", [
            put(f"{v}(a=>x)", "x0"), put(f"{v}(a[0]=>y)", "y0"), put(f"{v}(a=>x)", "x1"), get(f"{v}(a=>x)"),
            get(f"{v}(a[0]=>x)"), get(f"{v}(a[1]=>x)"), get(f"{v}(a[1]=>y)"), get(f"{v}(a[-1]=>y)"),
            get(f"{v}(a[2]=>x)"), get(f"$({kind}(a=>x)[*])"), get(f"{v}(a[*]=>x)"),
            put(f"{v}(a[0]=>x)", "xx"),
            get(f"{v}(a[0]=>x)"), get(f"{v}(a[0]=>x[1])"), put(f"{v}(a[0]=>x[0])", "rep"),
            get(f"{v}(a[0]=>x[*])"),
            put(f"{v}(a[0]=>x)", None), get(f"{v}(a[0]=>x)"), put(f"{v}(a)", None), get(f"{v}(a=>x)"),
            put(f"{v}(a)", 5), get(f"{v}(a)"), put(f"{v}(a[0])", 6), get(f"{v}(a)"), put(f"{v}(a[7])", 6),
            put(f"{v}(a[7]=>z)", 6), put(f"{v}(a[*])", None), get(f"{v}(a)"), put(f"{v}(d=>y)", "1"),
            get(f"{v}( d => y )"), put("$var(i)", 0), get(f"{v}(d[$var(i)]=>y)"), put(f"{v}(a=>b=>c)", "1"),
            get(f"{v}(a=>b=>c)"), get(f"{v}(a=>b)"), put("$var(h)", "d"), get(f"{v}($var(h)=>y)"),
        ]),
        ("invite", [
            [f + "get", "a"], [f + "gete", "a"], [f + "getw", "a"], [f + "is_null", "a"],
            [f + "seti", "a", 5],
            [f + "get", "a"], [f + "sets", "a", "str"], [f + "get", "a"], [f + "is_null", "a"],
            get(f"{v}(a[1])"),
            [f + "child_seti", "a", "k", 1], [f + "child_sets", "a", "k", "two"], [f + "child_get", "a", "k"],
            [f + "child_gete", "a", "n"], [f + "child_getw", "a", "n"], [f + "child_is_null", "a", "n"],
            [f + "child_is_null", "a", "k"], get(f"{v}(a[1])"), get(f"{v}(a[2])"), get(f"{v}(a[0]=>k)"),
            get(f"{v}(a[0]=>k[1])"), [f + "child_sets", "b", "k1", "v1"], [f + "child_sets", "b", "k2", "v2"],
            get(f"{v}(b=>k1)"), get(f"{v}(b=>k2)"), get(f"{v}(b[1]=>k1)"), [f + "child_rm", "b", "k1"],
            get(f"{v}(b=>k1)"), [f + "child_rm", "b", "nok"], [f + "child_rm", "zz", "nok"], [f + "rm", "b"],
            [f + "rm", "b"], [f + "get", "b"],
        ]),
    ]  # fmt: skip


def _xavps() -> list[Session]:
    three = [put("$xavp(d=>x)", "0"), put("$xavp(d=>x)", "1"), put("$xavp(d=>x)", "2")]
    dump = [get(f"$xavp(d[{i}]=>x)") for i in range(5)]
    return [
        ("invite", [
            *three, get("$cnt($xavp(d))"), get("$cnt($xavp(d=>x))"), get("$cnt($xavp(d[0]=>x))"),
            get("$cnt($xavp(d[*]=>x))"), get("$cnt($xavp(d[5]))"), get("$cnt($xavp(d[-1]))"),
            ["pvx.xavp_copy", "d", 1, "b"], ["pvx.xavp_copy", "d", 0, "b"], ["pvx.xavp_copy", "d", 5, "b"],
            ["pvx.xavp_copy", "zz", 0, "b"], get("$xavp(b=>x)"), get("$xavp(b[1]=>x)"), get("$cnt($xavp(b))"),
        ]),
        ("invite", [
            *three, ["pvx.xavp_child_sets", "d", "x", "Q"], *dump, ["pvx.xavp_child_seti", "d", "x", 7],
            *dump,
            put("$xavp(d[1])", None), *dump, ["pvx.xavp_rm", "d"], get("$cnt($xavp(d))"),
        ]),
        ("invite", [
            *three, put("$xavp(d[1])", "s"), *dump, get("$xavp(d[1])"), put("$xavp(d[1]=>x)", None),
            put("$xavp(d[2]=>x)", None), *dump, get("$xavp(d[1])"), put("$xavp(d=>y)", "yy"),
            get("$cnt($xavp(d))"),
            *dump, put("$xavp(d[0]=>y[5])", "none"), put("$xavp(d[*]=>x)", "none"),
            put("$xavp(d[*])", "none"), *dump,
        ]),
        ("invite", [
            ["pvx.xavp_params_explode", 'a=b;c=d;e;f="q x";g=5', "x"], get("$xavp(x=>a)"), get("$xavp(x=>e)"),
            get("$xavp(x=>f)"), get("$xavp(x=>g)"), ["pvx.xavp_params_implode", "x", "$var(o)"],
            get("$var(o)"),
            ["pvx.xavp_params_explode", "", "x2"], ["pvx.xavp_params_explode", ";;", "x2"],
            ["pvx.xavp_params_explode", "a=1;a=2", "x2"], ["pvx.xavp_params_implode", "x2", "$var(o)"],
            get("$var(o)"),
            ["pvx.xavp_params_implode", "nope", "$var(o)"], ["pvx.xavp_params_explode", "bad param;x", "x9"],
            ["pvx.xavp_params_explode", "a = b ; c", "x9"], get("$xavp(x9=>a)"), put("$xavp(m=>n)", 5),
            put("$xavp(m[0]=>s)", "it's;x"), ["pvx.xavp_params_implode", "m", "$var(o)"], get("$var(o)"),
            ["pvx.xavp_params_implode", "m", "$ci"], ["pvx.xavp_params_implode", "m", "bad"],
        ]),
        ("invite", [
            ["pvx.xavp_slist_explode", "a=b; c=d;;", "=;", "t", "x4"], get("$xavp(x4[0]=>v[0])"),
            get("$xavp(x4[0]=>v[2])"), get("$xavp(x4[0]=>v[3])"), get("$xavp(x4[0]=>v[4])"),
            ["pvx.xavp_slist_explode", "a , b", ",", "", "x5"], get("$xavp(x5=>v[0])"),
            get("$xavp(x5=>v[1])"),
            ["pvx.xavu_params_explode", "a=b;c=d", "u"], get("$xavu(u=>c)"), get("$xavu(u=>a)"),
        ]),
        ("invite", [
            put("$xavu(a)", 1), put("$xavu(a)", "2"), get("$xavu(a)"), put("$xavu(a=>b)", "x"),
            get("$xavu(a=>b)"),
            put("$xavu(a=>c)", 3), get("$xavu(a=>b)"), put("$xavu(a=>b)", None), get("$xavu(a=>b)"),
            get("$xavu(a=>c)"), put("$xavu(a)", None), get("$xavu(a=>c)"), ["pvx.xavu_seti", "q", 5],
            ["pvx.xavu_get", "q"], ["pvx.xavu_child_sets", "q", "k", "two"], ["pvx.xavu_child_get", "q", "k"],
            ["pvx.xavu_child_rm", "q", "k"], ["pvx.xavu_child_is_null", "q", "k"], ["pvx.xavu_rm", "q"],
            ["pvx.xavu_is_null", "q"],
        ]),
        ("invite", [
            put("$xavi(WhatEver=>FoO)", 1), get("$xavi(whatever=>foo)"), get("$xavi(WHATEVER[0]=>FOO)"),
            put("$xavi(whatever=>foo)", 2), get("$xavi(whatever[1]=>foo)"), get("$xavp(DYN=>b)"),
        ]),
        ("invite", [
            put("$var(t)", 3), put("$var(f)", "foo"), ["pvx.pv_var_to_xavp", "t", "ok"], get("$xavp(ok=>t)"),
            ["pvx.pv_var_to_xavp", "not there", "ok2"], get("$xavp(ok2)"), ["pvx.pv_var_to_xavp", "*", "ok"],
            get("$xavp(ok=>t)"), get("$xavp(ok=>f)"), get("$cnt($xavp(ok))"), put("$xavp(bar=>t)", 9),
            ["pvx.pv_xavp_to_var", "bar"], get("$var(t)"), ["pvx.pv_xavp_to_var", "nope"],
        ]),
    ]  # fmt: skip


def _script() -> list[Session]:
    numbers = words("$ru $rs $avp(e) $avp(s) $avp(i) $avp(n) $nosuch $var(zz) $mF bad $null $rp $cs $$")
    values = [put("$avp(e)", ""), put("$avp(s)", "12x"), put("$avp(i)", 12), put("$avp(n)", "-7")]
    return [
        *(("invite", [*values, *([f"pv.{name}", each] for each in numbers)])
          for name in ("get", "gete", "getw", "is_null")),
        ("invite", [*values, *(["pv.geti", each] for each in numbers[:-1])]),
        ("invite", [["pv.getvn", each, 9] for each in numbers]),
        ("invite", [["pv.getvs", each, "dft"] for each in numbers]),
        ("invite", [
            put("$ci", "x"), put("$nosuch", "x"), put("$mf", 5), get("$mf"), put("$mf", "7"), put("$mf", "x"),
            get("$mf"), put("$mf", None), get("$mf"), get("$mF"), put("$mF", 255), get("$mF"), get("$mf"),
            put("$sf", 4), get("$sF"), put("$bf", 5), get("$bF"), put("$mF", "5"), get("$Mf(0)"),
            get("$Mf(31)"),
            get("$Sf(2)"), get("$Mf(32)"), get("$Mf(x)"),
        ]),
        ("invite", [
            put("$var(x)", "s"), put("$var(x)", None), get("$var(x)"), ["pv.is_null", "$var(x)"],
            put("$vn(x)", "s"),
            get("$vn(x)"), get("$var(x)"), put("$vn(x)", None), get("$vn(x)"), put("$vz(x)", "q"),
            get("$var(x)"),
            get("$vz(x)"), put("$var(f)", "foo"), ["pvx.evalx", "$var(z)", "$$var(f) one"], get("$var(z)"),
            ["pvx.evalx", "$var(z)", "$var(f) one $rs"], get("$var(z)"), ["pvx.evalx", "bad", "x"],
            ["pvx.evalx", "$var(z)", "$nosuch"], ["pvx.shv_get", "shared"], ["pvx.shv_seti", "shared", 6],
            ["pvx.shv_get", "shared"], ["pvx.shv_get", "never declared"],
            ["pvx.shv_sets", "never declared", "x"],
            get("$shv(shared)"), put("$shv(shared)", "s"), put("$shv(shared)", None), get("$shv(shared)"),
            ["pvx.shv_seti", "shared", 5], ["pvx.var_seti", "v1", 1], ["pvx.var_get", "v1"],
            ["pvx.var_sets", "v1", "1"], ["pvx.var_get", "v1"], ["pvx.var_get", "preset"],
        ]),
    ]  # fmt: skip


URIS = [
    b"sip:bob:secret@example.org:5070;transport=tcp?X-a=1",
    b"sip:example.org",
    b"sip:u@h:5070",
    b"tel:+123;phone-context=x",
    b"sip:[::1]:5070;lr",
]
URI_ASSIGNMENTS: list[tuple[str, int | str | None]] = [
    ("$rU", "new"), ("$rU", ""), ("$rU", None), ("$rd", "dom.x"), ("$rp", "7"), ("$rp", 8), ("$rp", ""),
    ("$rp", None),
    ("$ruri.user", "nn"), ("$rd", None), ("$ru", "sip:z@y"), ("$ru", "garbage"), ("$ru", None), ("$rd", 5),
    ("$rU", 5),
    ("$ru", 5),
]  # fmt: skip


def _targets() -> list[Session]:
    shown = [get(each) for each in ("$du", "$br", "$bR", "$ds", "$fs", "$fsn", "$dd", "$dp", "$dP", "$nh(u)", "$nh(d)")]
    assigned: list[tuple[str, int | str | None]] = [
        ("$du", "sip:a@b"), ("$du", ""), ("$du", None), ("$du", "junk"), ("$du", 5),
        ("$duri", "sip:q;transport=tls"),
        ("$du", "sips:q"), ("$fs", "udp:1.1.1.1:1"), ("$fs", "junk"), ("$fs", None), ("$fsn", "main"),
        ("$fsn", "nope"),
        ("$br", "sip:br@x"), ("$br", ""), ("$fs", ""),
    ]  # fmt: skip
    sessions: list[Session] = [("invite", [put(name, value), *shown]) for name, value in assigned]
    sessions.append(("invite", [
        put("$br", "sip:one@x"), put("$br", "sip:two@x"), *shown, get("$branch(count)"), get("$branch(uri)"),
        get("$(branch(uri)[1])"), get("$(branch(uri)[-1])"), get("$(branch(uri)[5])"), put("$branch(q)", 50),
        get("$branch(q)"), get("$ds"), put("$branch(dst_uri)", "sip:d@x"), get("$branch(dst_uri)"),
        put("$(branch(path)[1])", "<sip:p>"), get("$(branch(path)[1])"), put("$(branch(uri)[0])", None),
        get("$bR"),
        put("$branch(flags)", 3), get("$branch(flags)"),
    ]))  # fmt: skip
    sessions.append(("invite", [
        get("$sbranch(uri)"), put("$sbranch(uri)", "sip:s@x"), get("$sbranch(uri)"),
        put("$sbranch(dst_uri)", "sip:d"),
        get("$sbranch(dst_uri)"), ["pvx.sbranch_append"], get("$bR"), get("$branch(dst_uri)"),
        ["pvx.sbranch_set_ruri"], get("$ru"), get("$du"), ["pvx.sbranch_reset"], get("$sbranch(uri)"),
        ["pvx.sbranch_append"], ["pvx.sbranch_set_ruri"],
    ]))  # fmt: skip
    return sessions


PARTIES: list[tuple[str, int | str | None]] = [
    ("$fu", "sip:x@y"), ("$fU", "newu"), ("$fd", "newd"), ("$fn", '"New Name"'), ("$fn", "Plain"),
    ("$fn", ""),
    ("$fn", None), ("$fu", None), ("$fU", None), ("$fu", ""), ("$tu", "sip:x@y"), ("$tU", "newu"),
    ("$td", "newd"),
    ("$tn", '"New Name"'), ("$tUl", "q"), ("$to", "sip:9"), ("$to.user", "u8"), ("$from.domain", "d8"),
    ("$fu", 5),
    ("$fU", ""), ("$fd", ""), ("$fd", None),
]  # fmt: skip


def _parties() -> list[Session]:
    return [
        (message, [put(name, value), get("$mbu"), get(name)])
        for name, value in PARTIES
        for message in ("invite", "minimal", "reply")
    ]


def sessions() -> list[Session]:
    """Every session: the name of its message, and its calls."""
    return [*_avps(), *_stacks("xavp"), *_stacks("xavi"), *_xavps(), *_script(), *_targets(), *_parties()]


def kemix() -> list[Call]:
    """Every function of KSR.kx that 5.6.3 has, and that gives the same twice."""
    names = words(
        """
get_au get_body get_bodylen get_callid get_duri get_fhost get_furi get_fuser get_method get_msgbuf
get_msglen get_msgtype get_nhuri get_ouri get_proto get_protoid get_rcv_sock_name get_rcvaddr_sock
get_rcvadvip get_rcvadvport get_rcvip get_rcvport get_rhost get_ruri get_ruser get_send_sock
get_send_sock_name get_send_sock_port get_srcaddr_sock get_srcip get_srcport get_srcuri get_status
get_thost get_turi get_tuser get_ua gete_au gete_body gete_duri gete_fhost gete_fuser gete_rhost
gete_ruser gete_thost gete_tuser gete_ua gets_status getw_au getw_body getw_duri getw_fhost getw_fuser
getw_rhost getw_ruser getw_thost getw_tuser getw_ua
"""
    )
    named = [["kx." + f, n] for f in ("get_def", "get_defn", "ifdef", "ifndef") for n in ("GREETING", "NUMBER", "NOPE")]
    return [["kx." + name] for name in names] + named + [["kx.get_env", "NOPE"], ["kx.get_envn", "NOPE"]]
