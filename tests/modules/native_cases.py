"""Pieces of native code whose outcome Kamailio and our node must share: see `native_twin`."""

from __future__ import annotations

from native_twin import Case, each, show, t
from twin import request

SHOW = show("$ru")


def _each(uris: list[str], *codes: str) -> list[Case]:
    return [Case(code, request(uri=uri)) for code in codes for uri in uris]


URIS = [
    "sip:bob@example.com",
    "sip:bob:pw@example.com:5070;transport=udp;a=b?x=y",
    "sips:example.com",
    "tel:+123;x=y",
    "sip:bob@[::1]:5;transport=udp",
]
REWRITING = [
    'rewritehost("h.org")',
    'sethost("[::1]")',
    'rewritehostport("h.org:99")',
    'sethostport("h.org")',
    'rewritehostporttrans("h.org:99;transport=tcp")',
    'sethostporttrans("h.org;transport=tcp")',
    'sethpt("h.org")',
    'setport("99")',
    'setp("")',
    'seturi("sip:x@y")',
    'rewriteuri("sip:x@y")',
    'rewriteuser("u")',
    'setuser("")',
    'setuserpass("u")',
    'setuserpass("")',
    'prefix("+1")',
    "strip(1)",
    "strip(3)",
    "strip(9)",
    "strip(0)",
    "strip_tail(1)",
    "strip_tail(9)",
    "userphone()",
    "revert_uri()",
]


def _is_emptied(case: Case) -> bool:
    """A tel URI without a number, which is none here: the change is not made."""
    return "tel:" in case.message and any(
        x in case.code for x in ('user("")', 'userpass("")', "strip(9)", "strip_tail(9)")
    )


CORE = [
    *(c for c in _each(URIS, *(f"{t(call)}{SHOW}" for call in REWRITING)) if not _is_emptied(c)),
    *_each(URIS[:3], f'{t("""rewriteuserpass("u:p")""")}{SHOW}'),
    Case(f'seturi("sip:x@y"); revert_uri; {SHOW}'),
    Case(t("forward()")),
    Case(t("forward(uri:host, uri:port)")),
    Case(t("forward_udp(uri:host, uri:port)")),
    Case(t('forward("127.0.0.1", 9)')),
    Case(t("forward(127.0.0.1, 9)")),
    Case("force_send_socket(udp:@SECOND); forward();"),
    Case('set_advertised_address("192.0.2.7"); set_advertised_port(99); forward();'),
    Case("set_advertised_address(h.example.org); set_advertised_port(5060); forward();"),
    Case("force_rport(); forward();"),
    Case("add_local_rport(); forward();"),
    Case(each("add_tcp_alias()", "add_tcp_alias(5060)", "force_tcp_alias(5060)")),
    Case(each("set_forward_close()", "set_forward_no_connect()", "set_reply_close()")),
    Case("set_reply_no_connect; udp_mtu_try_proto(TCP); forward();"),
    Case(
        'append_branch("sip:a@b"); append_branch("sip:c@d"); remove_branch(0);'
        '$var(out) = "" + $branch(count) + $(branch(uri)[0]);'
    ),
    Case(
        'append_branch("sip:a@b"); append_branch("sip:c@d"); remove_branch();'
        '$var(out) = "" + $branch(count) + $(branch(uri)[0]);'
    ),
    Case('append_branch("sip:a@b"); remove_branch(7); $var(out) = $branch(count);'),
    Case('append_branch("sip:a@b"); clear_branches(); $var(out) = "" + $branch(count);'),
    Case(
        'setflag(f5); $var(out) = "" + $mf; setflag("f0"); $var(out) = $var(out) + " " + $mf;'
        f"setflag(31); {t('isflagset(31)')} resetflag(f5); {t('isflagset(f5)')} $var(out) = $var(out) + $mf;"
    ),
    Case(
        "$avp(x) = 1;"
        + each('setavpflag("x", "af1")', 'isavpflagset("x", "af1")', 'isavpflagset("x", af2)')
        + 'resetavpflag("x", "af1");'
        + t('isavpflagset("x", "af1")')
    ),
    Case(each('setavpflag("nope", "af1")', 'isavpflagset("nope", "af1")')),
    Case('is_myself("sip:foo@bar"); strip(1); $var(out) = "" + $rc;'),
    Case(each('cfg_select("core", 1)', 'cfg_reset("core")', 'error("a", "b")')),
    Case(each('log("x")', 'log(3, "x")')),
]

KEX = [
    Case(each("setbflag(7)", 'setbflag("8")') + "$var(i) = 9;" + t('setbflag("$var(i)")') + show("$bf")),
    Case(
        'append_branch("sip:a@b");'
        + each(
            "setbflag(7, 1)",
            "isbflagset(7, 1)",
            "isbflagset(7, 2)",
            "resetbflag(7, 1)",
            "isbflagset(7, 1)",
            "setbflag(7, 3)",
            "setbflag(77)",
        )
    ),
    Case(each('setsflag("7")', "issflagset(7)") + show("$sf") + each("resetsflag(7)", "setsflag(77)")),
    Case(each('is_myself("example.com")', 'is_myself("$ru")', 'is_myself("sip:@UDP")')),
    Case('pv_printf("$var(z)", "a $rm b"); $var(out) = $var(z);'),
    Case('$avp(q) = "old"; avp_printf("$avp(q)", "a $rm b"); $var(out) = $avp(q) + $(avp(q)[1]);'),
    Case(each('setdsturi("sip:@SINK")', "isdsturiset()") + "forward();" + each("resetdsturi()", "isdsturiset()")),
    Case(each('setdebug("3")', "resetdebug()")),
]

MAXFWD = [
    Case(code, request(headers=f"Max-Forwards: {value}\r\n" if value else "", uri="sip:bob@@SINK"))
    for value in ("", "0", "5", "300")
    for code in (
        t('mf_process_maxfwd_header("10")') + "forward();",
        t("maxfwd_process(10)") + "forward();",
        t('process_maxfwd("$var(nope)")'),
        "".join(t(f'{name}("{n}")') for name in ("mf_lowlimit", "maxfwd_at_least", "is_maxfwd_lt") for n in (4, 5, 10)),
        t("process_maxfwd(300)"),
    )
]

ROUTE = "Route: <sip:@UDP;lr;ftag=ft;x=1>\r\n"
RR = [
    Case('record_route(";a=$rm"); forward();'),
    Case(each("record_route()", "record_route()") + 'add_rr_param(";b=$rm"); forward();'),
    Case('record_route_preset("1.2.3.4:5090;a=$rm"); forward();'),
    Case('record_route_preset("1.2.3.4:5090", "5.6.7.8;x=$rm"); forward();'),
    Case('record_route_advertised_address("1.2.3.4:5"); forward();'),
    *[
        Case(code, request(headers=ROUTE, to_tag="tt", uri="sip:bob@@SINK", method="BYE"))
        for code in (
            each(
                "loose_route()",
                'check_route_param("X=1")',
                'check_route_param("x=2$")',
                'is_direction("downstream")',
                'is_direction("UPSTREAM")',
            )
            + "forward();",
            t("loose_route_preloaded()"),
            each('loose_route_mode("1")', "rr_next_hop_route()"),
        )
    ],
    Case(each("loose_route()", 'check_route_param("x")', 'is_direction("upstream")', "rr_next_hop_route()")),
    Case(t("loose_route_preloaded()"), request(headers=ROUTE, uri="sip:bob@@SINK")),
]

PATH = [
    Case(f"{t(call)} forward();", request("REGISTER", uri="sip:@SINK"))
    for call in (
        "add_path()",
        'add_path("u$rm")',
        'add_path("u$rm", "p=$rm")',
        "add_path_received()",
        'add_path_received("u")',
        'add_path_received("u", "p=1")',
    )
]

SL = [
    Case(t('sl_send_reply("404", "a $rm")')),
    Case("$var(c) = 404;" + t('sl_send_reply("$var(c)", "$var(c)")')),
    Case(t('sl_send_reply(404, "$rm")')),
    Case(t('sl_reply("404", "a $rm")')),
    Case(t('sl_reply("404", "$rm x")')),
    Case(t('sl_send_reply("404", "$rm-$ru")')),
    Case(t('sl_send_reply("404", " $rm x")')),
    Case(t('sl_send_reply("404", "x $rm $ru")')),
    Case(t('sl_send_reply("404", "$(rm{s.len}) x")')),
    Case(t('sl_send_reply("404", "$var(none) x")')),
    Case(t('send_reply("404", "$rm $ru")')),
    Case(t('send_reply_mode("404", "$rm x", "1")')),
    Case(t('t_send_reply("404", "$rm x")')),
    Case(t('t_send_reply("404", " $(rm) x")')),
    Case(t('t_send_reply("404", "x $rm")')),
    Case(t('send_reply("404", "a $rm")')),
    Case(t('send_reply_mode("404", "a $rm", "1")')),
    Case(t("sl_reply_error()")),
    Case("t_newtran();" + t('send_reply("404", "a $rm")')),
    Case("t_newtran();" + t('send_reply_mode("404", "Stateless", "1")') + "t_release();"),
]

COREX = [
    Case(t('append_branch("sip:x$rm@y", "0.5")') + show("$(branch(uri)[0]) + $(branch(q)[0])")),
    Case(t("append_branch()") + show("$(branch(uri)[0])")),
    Case(t('append_branch("$ru")') + show("$(branch(uri)[0])")),
    Case('$var(s) = "@SECOND";' + t('set_send_socket("udp:$var(s)")') + "forward();"),
    Case('$var(s) = "ond";' + t('set_send_socket_name("sec$var(s)")') + "forward();"),
    Case(each('set_send_socket("udp:192.0.2.1:5")', 'is_socket_name("second")', 'is_socket_name("nope")')),
    Case(t('set_recv_socket("udp:@SECOND")') + '$var(out) = $var(out) + $Ri + ":" + $Rp; forward();'),
    Case(t('set_source_address("192.0.2.9:1234")') + '$var(out) = $var(out) + $si + ":" + $sp;'),
    Case(each('setxflag("33")', "isxflagset(33)", "resetxflag(33)", 'isxflagset("33")', "setxflag(64)")),
    Case(t("is_faked_msg()")),
    Case(each('file_write("/dev/null", "x$rm")', 'file_read("/dev/null", "$var(f)")', 'file_read("/nope", "$var(f)")')),
    Case(
        each(
            'msg_iflag_is_set("UAC_AUTH")',
            'msg_iflag_set("UAC_AUTH")',
            'msg_iflag_is_set("UAC_AUTH")',
            'msg_iflag_reset("UAC_AUTH")',
            'msg_iflag_is_set("UAC_AUTH")',
        )
    ),
    Case(t("send_udp()")),
    Case(t('send_udp("@SINK")')),
    Case('$var(s) = "@SINK";' + t('send_udp("$var(s)")')),
    Case('$xavp(via=>x) = "1";' + each('via_add_srvid("1")', 'via_add_xavp_params("1")') + "forward();"),
]

CONTACT = "Contact: <sip:bob@192.0.2.1:5>;q=0.5, <sip:bob@192.0.2.2>\r\nExpires: 60\r\n"


def _register(user: str, headers: str = CONTACT) -> str:
    return request("REGISTER", "sip:example.com", headers).replace("sip:bob@example.com>", f"sip:{user}@example.com>")


REGISTRAR = [
    Case(each('save("location")', 'registered("location", "$tu")'), _register("r1")),
    Case(t('save("location", "0x04")'), _register("r2")),
    Case(each('save("location", "2")', "reg_send_reply()"), _register("r3")),
    Case(
        each('save("location", "0", "sip:$rm@example.com")', 'registered("location", "sip:REGISTER@x")'),
        _register("r4"),
    ),
    Case(t('save("location", 0x06)'), _register("r5", "Contact: *\r\nExpires: 0\r\n")),
    Case(t('lookup("location")') + SHOW + show("$(branch(uri)[0])"), request(uri="sip:r1@example.com")),
    Case(t('lookup("location", "sip:r1@example.com")') + SHOW),
    Case(t('lookup_to_dset("location")') + SHOW + show("$branch(count)"), request(uri="sip:r1@x")),
    Case(t('lookup_to_dset("location", "sip:r1@example.com")') + SHOW + show("$branch(count)")),
    Case('append_branch("sip:r1@example.com");' + t('lookup_branches("location")') + show("$branch(count)")),
    Case(t('registered("location")'), request(uri="sip:r1@example.com")),
    Case(t('registered("location")')),
    Case(each('registered("location", "sip:r1@example.com", "2")', 'registered("location", "sip:r1@e.com", 2, 1)')),
    Case(
        t('reg_fetch_contacts("location", "sip:r1@example.com", "p")')
        + show("$(ulc(p=>count))")
        + t('reg_free_contacts("p")')
        + show("$(ulc(p=>count))")
    ),
    Case(t('add_sock_hdr("X-$rm")') + "forward();"),
    Case(t('unregister("location", "sip:r2@example.com", "no-such-ruid")')),
    Case(each('unregister("location", "sip:r1@example.com")', 'registered("location", "sip:r1@example.com")')),
    Case(t('unregister("location", "sip:nobody@example.com")')),
]

TM = [
    Case(t("t_relay()")),
    Case(t('t_relay("127.0.0.1", "9")')),
    Case(t('t_relay_to("@SINK")')),
    Case(t('t_relay_to("udp:@SINK")')),
    Case(t('t_relay_to("@SINK", "0x05")')),
    Case(t("t_relay_to()")),
    Case(t("t_relay_to_udp()"), request(uri="sip:bob@@SINK;transport=tcp")),
    Case(t('t_relay_to_udp("127.0.0.1", 9)')),
    Case(t('t_relay_to_avp("UDP", "@SINK")')),
    Case('$du = "sip:nonexistent.invalid";' + t("t_relay()")),
    Case('$du = "sip:nonexistent.invalid"; t_set_disable_internal_reply(1);' + t("t_relay()")),
    Case(t("t_forward_nonack_uri()") + "t_newtran();" + t("t_forward_nonack_uri()")),
    Case("t_newtran();" + t('t_forward_nonack("127.0.0.1", "9")')),
    Case("t_newtran();" + t('t_forward_nonack_udp("127.0.0.1", "9")')),
    Case("t_newtran();" + t('t_forward_nonack_to("UDP", "@SINK")')),
    Case(t('t_replicate("sip:$rd:$rp")')),
    Case(t("t_replicate()")),
    Case(t('t_replicate("127.0.0.1", "9")')),
    Case(t('t_replicate_udp("127.0.0.1", "9")')),
    Case(t('t_replicate_to("UDP", "@SINK")')),
    Case(each("t_newtran()", "t_newtran()", "t_release()")),
    Case(t('t_reply("404", "Nope")')),
    Case("t_newtran();" + each('t_reply("404", "Nope")', 't_reply("404", "Again")')),
    Case('t_newtran(); $var(r) = "Why"; $var(c) = 410;' + t('t_reply("$var(c)", "$var(r)")')),
    Case("t_newtran();" + t('t_reply(410, "a $rm costs $5")')),
    Case(t('t_send_reply("404", "Nope $rm")')),
    Case(
        each(
            't_set_fr("1000")',
            "t_set_fr(1000, 500)",
            "t_reset_fr()",
            't_set_max_lifetime("1000", 0)',
            "t_reset_max_lifetime()",
            't_set_retr("250", 0)',
            "t_reset_retr()",
        )
    ),
    Case(
        each(
            "t_set_disable_6xx(1)",
            't_set_disable_failover("1")',
            "t_set_no_e2e_cancel_reason(1)",
            "t_disable_e2e_cancel_reason(0)",
            "t_set_auto_inv_100(0)",
        )
        + "t_relay();"
    ),
    Case(each("t_check_trans()", "t_lookup_request()", "t_lookup_cancel()", "t_lookup_cancel(1)", "t_relay_cancel()")),
    Case(each("t_check_trans()", "t_lookup_cancel()", "t_relay_cancel()"), request("CANCEL")),
    Case(
        t('t_is_set("failure_route")')
        + 't_on_failure("F");'
        + t('t_is_set("failure_route")')
        + 't_on_failure("0");'
        + t('t_is_set("failure_route")')
        + 't_on_failure("F"); t_on_failure("");'
        + t('t_is_set("failure_route")'),
        routes='failure_route[F] { xlog("x"); }',
    ),
    Case('t_on_branch("B"); t_relay();', routes='branch_route[B] { append_hf("X-B: $T_branch_idx\\r\\n"); }'),
    Case(
        t('t_grep_status("404")')
        + "t_newtran();"
        + t('t_grep_status("404")')
        + 't_reply("404", "x");'
        + t('t_grep_status("404")')
    ),
    Case(
        't_newtran(); t_reply(404, "x");'
        + "".join(t(f't_check_status("{r}")') for r in ("4[0-9][0-9]", "^4", "4..$", "5"))
        + '$avp(r) = "40[0-9]";'
        + t('t_check_status("$avp(r)")')
    ),
    Case(
        t('t_check_status("4..")')
        + "t_newtran();"
        + each('t_check_status("4..")', "t_get_status_code()")
        + "t_release();"
    ),
    Case(
        each(
            "t_is_canceled()",
            "t_is_expired()",
            "t_any_timeout()",
            "t_any_replied()",
            "t_branch_timeout()",
            "t_branch_replied()",
        )
    ),
    Case(each("t_use_uac_headers()", "t_clean()", "t_retransmit_reply()", "t_save_lumps()")),
    Case(
        "t_newtran();"
        + each(
            "t_save_lumps()",
            "t_retransmit_reply()",
            "t_is_canceled()",
            "t_is_expired()",
            "t_any_timeout()",
            "t_any_replied()",
        )
        + "t_release();"
    ),
    Case(each("t_load_contacts()", "t_next_contacts()")),
    Case(
        'append_branch("sip:a@@SINK", "0.5"); append_branch("sip:b@@SINK", "0.7");'
        + each('t_load_contacts("0")', "t_next_contacts()")
        + SHOW
        + t("t_next_contacts()")
        + SHOW
        + t("t_next_contacts()")
        + SHOW
        + t("t_next_contacts()")
    ),
    Case(each("t_suspend()", "t_suspend()")),
    Case(t("t_drop()") + "t_newtran(); t_drop();" + t("1")),
    Case('t_newtran(); t_drop("410");' + t("1")),
    Case(each('t_cancel_callid("x", "1", "1")', 't_reply_callid("x", "1", "404", "x")')),
    Case("t_newtran();" + t('t_reply_callid("$ci", "$cs", "404", "a $rm")')),
    Case("t_relay();" + each('t_cancel_callid("$ci", "$cs", "7")', "t_is_canceled()")),
    Case("t_relay();" + t('t_cancel_callid("$ci", "$cs", "7", "480")')),
    Case(each('t_continue("1", "1", "CASE0")', "t_flush_flags()", "t_flush_xflags()", "t_precheck_trans()")),
    Case(each("t_is_request_route()", "t_is_failure_route()", "t_is_branch_route()", "t_is_reply_route()")),
    Case(t('t_uac_send("OPTIONS", "sip:x@@SINK", "", "", "From: <sip:a@b>;tag=1\\r\\nTo: <sip:x@y>\\r\\n", "")')),
]

DROP_ALL = "branch_route[DROP] { drop; }"
NO_CAROL = r'branch_route[NO_CAROL] { append_hf("X-I: $T_branch_idx\r\n"); if ($rU == "carol") drop; }'
TM += [
    Case('append_branch("sip:carol@@SINK"); t_on_branch("DROP");' + t("t_relay()"), routes=DROP_ALL),
    Case(
        'append_branch("sip:carol@@SINK"); append_branch("sip:dave@@SINK"); t_on_branch("NO_CAROL");' + t("t_relay()"),
        routes=NO_CAROL,
    ),
    Case('$du = "sip:nonexistent.invalid"; if (!t_relay()) sl_reply_error();'),
    Case('$du = "sip:127.0.0.1:9;transport=sctp";' + t("t_relay()")),
    Case('$du = "garbage";' + t("t_relay()")),
    Case('$ru = "garbage";' + t("t_relay()")),
    Case(each("t_relay()", "t_relay()")),
]

CASES = [*CORE, *KEX, *MAXFWD, *RR, *PATH, *SL, *COREX, *REGISTRAR, *TM]
