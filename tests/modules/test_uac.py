"""uac: From and To rewritten and given back, and requests of scripts, as in Kamailio."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from processes import KAMAILIO, Server, compared, request
from textops_cases import PLAIN

from conftest import Bench
from kahea.modules.uac import cookie
from kahea.routing.module import ConfigError
from kahea.testing import Simulation

Make = Callable[..., Bench]
needs_kamailio = pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")

ALICE = 'From: "Alice" <sip:alice@example.com>;tag=ft'


class Case(NamedTuple):
    """Code for an initial INVITE, its From line, and whether Record-Route is written."""

    code: str
    from_: str = ALICE
    record: bool = True


URI = 'uac_replace_from("sip:new@x.org");'
CASES = [
    Case('uac_replace_from("sip:newuser@new.example.org");'),
    Case('uac_replace_from("\\"Bat\\"", "sip:new@x.org");'),
    Case('uac_replace_from("batman", "");'),
    Case('uac_replace_from("", "sip:robin@gotham.org");'),
    Case('uac_replace_from("", "");'),
    Case('uac_replace_from("");'),
    Case('uac_replace_to("sip:newuser@new.example.org");'),
    Case('uac_replace_to("disp", "sip:n@x.org");'),
    Case('uac_replace_to("disp", "");'),
    Case('uac_replace_from("sip:a");'),
    Case('uac_replace_from("tel:+491234");'),
    Case('uac_replace_from("sip:alice@example.com");'),
    Case('uac_replace_from("sip:aSice@example.com");'),
    Case('uac_replace_from("sip:aRice@example.com");'),
    Case(URI + ' uac_replace_to("sip:to2@z.org");'),
    Case(URI + ' uac_replace_from("sip:second@z.org");'),
    Case('$var(u) = "sip:dyn@x.y"; $var(d) = "dd"; uac_replace_from("$var(d)", "$var(u)");'),
    Case("uac_restore_from();"),
    Case(URI, record=False),
    Case(URI, "From: sip:alice@example.com;tag=ft"),
    Case('uac_replace_from("disp", "");', "From: sip:alice@example.com;tag=ft"),
    Case('uac_replace_from("disp", "sip:n@x.org");', "From: sip:alice@example.com;tag=ft"),
    Case(URI, "From: Alice<sip:alice@example.com;x=1>;tag=ft;y=z"),
    Case('uac_replace_from("disp", "");', "From: Alice<sip:alice@example.com>;tag=ft"),
    Case('uac_replace_from("", "");', "From: <sip:alice@example.com>;tag=ft"),
    Case('uac_replace_from("", "");', "From: Alice <sip:alice@example.com>;tag=ft"),
    Case('uac_replace_from("x y", "");', "From:Alice B <sip:alice@example.com>;tag=ft"),
    Case('uac_replace_from("x y", "sip:q@r");', "From:   Alice B <sip:alice@example.com>;tag=ft"),
]

CFG = """
loadmodule "rr.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "corex.so"
loadmodule "tmx.so"
loadmodule "uac.so"
PARAMS
request_route {
    if ($rU == "ping") { sl_send_reply("200", "OK"); exit; }
    if (has_totag()) {
        loose_route();
        $du = "sip:@SINK";
        if ($rU == "alice") $du = "sip:@CALLER";
        SEQUENTIAL
        t_relay();
        exit;
    }
    if ($hdr(X-Norr) == $null) record_route();
    if ($rU == "fork") {
        t_on_branch("REWRITE");
        $ru = "sip:one@@SINK";
        append_branch("sip:two@@SINK2");
        t_relay();
        exit;
    }
    CODE
    $du = "sip:@SINK";
    t_relay();
}
branch_route[REWRITE] {
    uac_replace_from("sip:b$T_branch_idx@x.org");
    uac_replace_to("T", "sip:t$T_branch_idx@x.org");
}
"""


def cfg(cases: list[Case], params: str = "", sequential: str = "") -> str:
    code = "".join(
        f'if ($rU == "c{n}") {{ {case.code} append_hf("X-Rc: $rc\\r\\n"); }}\n    ' for n, case in enumerate(cases)
    )
    return CFG.replace("PARAMS", params).replace("SEQUENTIAL", sequential).replace("CODE", code)


def seen(message: str) -> list[str]:
    """What is compared of a message. Tags of a server's own are not."""
    lines = [line for line in message.split("\r\n") if re.match("(From|To|Record-Route|X-Rc): ?", line)]
    return [re.sub("tag=[0-9a-f]{12,}[^;>]*", "tag=T", line) for line in lines]


def value(message: str, name: str) -> str:
    return message.partition(f"\r\n{name}:")[2].partition("\r\n")[0].strip()


def dialog(server: Server, number: int, case: Case) -> list[list[str]]:
    """An INVITE and its 200, a BYE of either side and its 200: what each was when it arrived."""
    callid = f"c{number}"
    headers = "" if case.record else "X-Norr: 1\r\n"
    invite = request("INVITE", f"sip:c{number}@example.com", headers, callid=callid).replace(ALICE, case.from_)
    server.caller.send(invite)
    out = [server.sink.expect("INVITE")]
    server.sink.reply(out[0], "200 OK", "Contact: <sip:bob@@SINK>\r\n")
    out.append(server.caller.expect("SIP/2.0 200"))
    route = value(out[1], "Record-Route")
    way = f"Route: {route}\r\n" if route else ""
    bye = request("BYE", "sip:bob@@SINK", way, callid=callid, to_tag="sink")
    server.caller.send(bye.replace(ALICE, f"From: {value(out[1], 'From')}"))
    out.append(server.sink.expect("BYE"))
    server.sink.reply(out[2], "200 OK")
    out.append(server.caller.expect("SIP/2.0 200"))
    server.sink.send(
        f"BYE sip:alice@@CALLER SIP/2.0\r\nVia: SIP/2.0/UDP @SINK;branch=z9hG4bKcallerup{number}\r\n{way}"
        f"From: {value(out[0], 'To')};tag=sink\r\nTo: {value(out[0], 'From')}\r\nCall-ID: {callid}\r\n"
        "CSeq: 9 BYE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
    out.append(server.caller.expect("BYE"))
    server.caller.reply(out[4], "200 OK")
    out.append(server.sink.expect("SIP/2.0 200"))
    return [seen(message) for message in out]


def fork(server: Server) -> list[list[str]]:
    """Two branches, each rewritten its own way: one is busy, the other answers; then a call that is given up."""
    server.caller.send(request("INVITE", "sip:fork@example.com", callid="fork"))
    one, two = server.sink.expect("INVITE"), server.sink2.expect("INVITE")
    out = [one, two]
    server.sink2.reply(two, "180 Ringing")
    out.append(server.caller.expect("SIP/2.0 180"))
    server.sink.reply(one, "486 Busy")
    out.append(server.sink.expect("ACK"))
    server.sink2.reply(two, "200 OK", "Contact: <sip:bob@@SINK2>\r\n")
    out.append(server.caller.expect("SIP/2.0 200"))
    server.caller.send(request("INVITE", "sip:fork@example.com", callid="fork2"))
    one, two = server.sink.expect("INVITE"), server.sink2.expect("INVITE")
    server.sink.reply(one, "180 Ringing")
    server.sink2.reply(two, "180 Ringing")
    server.caller.expect("SIP/2.0 180")
    cancel = request("INVITE", "sip:fork@example.com", callid="fork2")
    server.caller.send(cancel.replace("INVITE sip:fork", "CANCEL sip:fork").replace("1 INVITE", "1 CANCEL"))
    out += [server.sink.expect("CANCEL"), server.sink2.expect("CANCEL")]
    server.sink.reply(one, "487 Gone")
    server.sink2.reply(two, "487 Gone")
    out.append(server.caller.expect("SIP/2.0 487"))
    return [seen(message) for message in out]


@needs_kamailio
def test_dialogs_are_rewritten_as_by_kamailio(tmp_path: Path) -> None:
    def scenario(server: Server) -> list[list[list[str]]]:
        return [*(dialog(server, number, case) for number, case in enumerate(CASES)), fork(server)]

    theirs, ours = compared(tmp_path, cfg(CASES), [], scenario)
    for case, want, have in zip([*CASES, "fork"], theirs, ours, strict=True):
        assert have == want, case


RESTORE = """
if ($rU == "alice") { uac_restore_to(); append_hf("X-Rc: $rc\\r\\n"); }
else { uac_restore_from(); append_hf("X-Rc: $rc\\r\\n"); }
"""
AGAIN = 'uac_replace_from("sip:other@z"); append_hf("X-Rc: $rc\\r\\n");'


@needs_kamailio
@pytest.mark.parametrize(
    ("params", "sequential"),
    [
        ('modparam("uac", "restore_mode", "none")', ""),
        ('modparam("uac", "restore_mode", "manual")', RESTORE),
        ('modparam("uac", "restore_mode", "manual")', AGAIN),
        (
            'modparam("uac", "restore_passwd", "secret")\nmodparam("uac", "rr_from_store_param", "abc")\n'
            'modparam("uac", "restore_from_avp", "$avp(of)")',
            AGAIN,
        ),
    ],
)
def test_modes_are_kamailios(tmp_path: Path, params: str, sequential: str) -> None:
    theirs, ours = compared(
        tmp_path, cfg([Case(URI)], params, sequential), [], lambda server: dialog(server, 0, Case(URI))
    )
    assert ours == theirs


# ---- requests of scripts


SENDING = """
loadmodule "textops.so"
loadmodule "rr.so"
loadmodule "corex.so"
loadmodule "uac.so"
modparam("tm", "fr_timer", 1000)
modparam("tm", "enable_uac_fr", 1)
request_route {
    if ($rU == "ping") { sl_send_reply("200", "OK"); exit; }
    $uac_req(all) = $null;
    $uac_req(ruri) = "sip:x@@SINK";
    $uac_req(callid) = $ci + "-sent";
    switch ($rU) {
        case "plain":
            $uac_req(method) = "OPTIONS"; $uac_req(furi) = "sip:me@here.org"; $uac_req(turi) = "sip:you@there.org";
            break;
        case "full":
            $uac_req(method) = "MESSAGE"; $uac_req(ruri) = "sip:x@nowhere.invalid"; $uac_req(ouri) = "sip:@SINK";
            $uac_req(furi) = "\\"Me\\" <sip:me@here.org>"; $uac_req(turi) = "<sip:you@there.org>";
            $uac_req(hdrs) = "X-A: 1\\r\\nX-B: 2\\r\\nContent-Type: text/plain\\r\\n"; $uac_req(body) = "hello";
            $uac_req(sock) = "udp:@UDP"; $uac_req(evroute) = 1; $uac_req(evparam) = "par";
            break;
        case "defaults": $uac_req(method) = "OPTIONS"; $uac_req(evroute) = 1; break;
        case "failing": $uac_req(method) = "OPTIONS"; $uac_req(evroute) = 2; break;
        case "invite": $uac_req(method) = "INVITE"; $uac_req(evroute) = 2; break;
        case "auth": case "refused":
            $uac_req(method) = "OPTIONS"; $uac_req(furi) = "\\"Me\\" <sip:me@here.org>"; $uac_req(evroute) = 1;
            $uac_req(auser) = "u"; $uac_req(apasswd) = "p";
            break;
        case "nomethod": break;
        case "nouri": $uac_req(method) = "OPTIONS"; $uac_req(ruri) = $null; break;
        case "badsock": $uac_req(method) = "OPTIONS"; $uac_req(sock) = "udp:192.0.2.1:5060"; break;
    }
    uac_req_send();
    $var(rc) = $rc;
    send_data("sip:@CALLER", "rc $var(rc) $uac_req(method) $uac_req(body) $uac_req(evroute)");
}
event_route[uac:reply] {
    send_data("sip:@CALLER", "event $uac_req(evcode) $uac_req(evtype) $uac_req(evparam) $rm $rs m=$uac_req(method)"
        " r=$uac_req(ruri) c=$uac_req(callid)");
}
"""
SENT = (
    "plain", "full", "defaults", "failing", "failing 200", "invite", "auth 401", "auth 407", "refused 401", "nomethod",
    "nouri",
)  # fmt: skip


def sending(server: Server, what: str) -> list[str]:
    """One request of the script's, answered with 200 or the status given, and what the script saw of it."""
    name, _, status = what.partition(" ")
    server.caller.send(request("OPTIONS", f"sip:{name}@example.com", callid=what.replace(" ", "")))
    out = [server.caller.expect("rc")]
    if name.startswith("no") or name == "badsock":
        return out
    while what.replace(" ", "") not in (got := server.sink.receive()):
        pass
    out.append(got)
    headers = "Contact: <sip:bob@@SINK>\r\n"
    if name in ("auth", "refused"):
        header = "WWW-Authenticate" if status == "401" else "Proxy-Authenticate"
        qop = ', qop="auth", opaque="oo"' if status == "407" else ""
        headers += f'{header}: Digest realm="r", nonce="n"{qop}\r\n'
        server.sink.reply(got, f"{status} Who", headers)
        out += [server.caller.expect("event"), got := server.sink.expect("OPTIONS")]
        status = "200" if name == "auth" else status
    if name == "failing" and not status:
        out.append(server.caller.expect("event"))
        status = "404"
    else:
        server.sink.reply(got, f"{status or 200} Done", headers)
    if name in ("full", "defaults", "auth", "refused"):
        out.append(server.caller.expect("event"))
    elif name == "invite":
        # Ours has a Max-Forwards, and a branch of its own (RFC 3261 §13.2.2.4).
        out.append(server.sink.expect("ACK").partition("\r\n")[0])
    return out


def made_up(text: str) -> str:
    """A text without what each server makes up for itself."""
    text = re.sub(r"(?<=;tag=)[0-9a-f]{12,}[-\w]*", "T", re.sub(r"<B\d+>", "B", text))
    return re.sub(r'(?<=cnonce=")[0-9a-f]+|(?<=response=")[0-9a-f]{32}(?=")', "N", text)


@needs_kamailio
def test_requests_of_scripts_are_kamailios(tmp_path: Path) -> None:
    def scenario(server: Server) -> list[list[str]]:
        return [[made_up(text) for text in sending(server, what)] for what in SENT]

    theirs, ours = compared(tmp_path, SENDING, [], scenario)
    for what, want, have in zip(SENT, theirs, ours, strict=True):
        assert have == want, what


SEND = b"OPTIONS sip:x@10.0.0.2 SIP/2.0\r\n"


@pytest.mark.parametrize("field", ["method", "ruri", "turi", "furi", "callid", "hdrs"])
def test_line_ends_in_fields_of_a_request_add_no_header(kahea: Simulation, field: str) -> None:
    """Headers are the script's own lines; nothing else may end one."""
    cfg = (
        '#!KAMAILIO\nloadmodule "rr.so"\nloadmodule "sl.so"\nloadmodule "tm.so"\nloadmodule "pv.so"\n'
        'loadmodule "uac.so"\nrequest_route {\n$uac_req(method) = "OPTIONS"; $uac_req(ruri) = "sip:x@10.0.0.2";\n'
        f"$uac_req({field}) = $rb;\n"
        'if (uac_req_send()) { sl_send_reply("200", "Sent"); } else { sl_send_reply("403", "No"); }\n}\n'
    )
    kahea.node(cfg, "udp:10.0.0.9:5060")
    alice, far = kahea.ua("alice"), kahea.ua("far", "udp:10.0.0.2:5060")
    body = "sip:a@b>\r\nX-Evil: 1" if field != "hdrs" else "X-Good: 1\r\n\r\nEVIL sip:x SIP/2.0"
    sent = alice.request("MESSAGE", "sip:x@10.0.0.9", body=body, headers=[("Content-Type", "text/plain")])
    kahea.run(0.1)
    assert sent.status in (200, 403)
    for packet in kahea.trace:
        data = packet.data
        if data.startswith(SEND[:8]):
            assert b"\r\nX-Evil" not in data
            assert b"\r\n\r\nEVIL" not in data
    assert far.host
    kahea.errors.clear()


# ---- the parameter of Record-Route


@pytest.mark.parametrize("password", [b"", b"secret"])
def test_either_uri_gives_the_other(password: bytes) -> None:
    for one, other in [(b"sip:a@b", b"sip:longer@example.org;x=y"), (b"sip:a@b", b"sip:a@b"), (b"tel:1", b"sip:x@y")]:
        value = cookie.encode(one, other, password)
        assert cookie.decode(value, one, password) == other
        assert cookie.decode(value, other, password) == one
    assert cookie.encode(b"sip:bob@example.com", b"sip:n@x.org", b"") == b"AAAAAAwvGm4KCgZtcGxlLmNvbQ--"


@pytest.mark.parametrize("value", [b"****", b"A", b"AAAA", b"=", b"A" * 5000, "\u00e9".encode()])
def test_parameters_that_lead_nowhere(value: bytes) -> None:
    assert cookie.decode(value, b"sip:alice@example.com", b"") is None


def test_a_route_puts_no_header_into_the_request(bench: Make) -> None:
    """The Route is the sender's: what its parameter leads to must stay inside of the address."""
    own, evil = b"sip:alice@example.com", b"sip:x>\r\nX-Evil: yes\r\nFrom: <sip:y"
    value = cookie.encode(own, evil, b"")
    assert cookie.decode(value, own, b"") is None
    made = bench("uac")
    data = PLAIN.replace(b"\r\n\r\n", b"\r\nRoute: <sip:127.0.0.1;lr;ftag=x;vsf=" + value + b">\r\n\r\n", 1)
    made.take(data)
    made.call("rr.loose_route")
    assert b"X-Evil" not in made.msg.rebuild()


@pytest.mark.parametrize("given", [("x\r\nX-Evil: 1", "sip:a@b"), ("x", "sip:a@b>\r\nX-Evil: 1"), ("x", "sip:a b")])
def test_values_of_scripts_stay_inside_of_the_address(bench: Make, given: tuple[str, str]) -> None:
    made = bench("uac")
    made.take(PLAIN)
    assert made.call("uac.uac_replace_from", *given) == -1
    assert made.call("uac.uac_replace_to", *given) == -1
    assert made.msg.rebuild() == made.msg.raw


@pytest.mark.parametrize(
    ("name", "value"),
    [("restore_mode", "xx"), ("restore_dlg", 1), ("restore_from_avp", "$var(x)"), ("reg_db_url", "x")],
)
def test_parameters_that_can_not_be(bench: Make, name: str, value: str | int) -> None:
    with pytest.raises(ConfigError, match=name):
        bench("uac", uac={name: value})


def test_mode_auto_needs_tags_in_record_route(bench: Make) -> None:
    with pytest.raises(ConfigError, match="append_fromtag"):
        bench("uac", rr={"append_fromtag": 0})
    bench("uac", rr={"append_fromtag": 0}, uac={"restore_mode": "manual"})
