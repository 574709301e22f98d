"""Parameters of tm that few use: headers of CANCEL and ACK, timers in AVPs, a route for replies to nobody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from processes import KAMAILIO, Server, compared, request

from conftest import Bench
from kahea.routing.module import ConfigError
from kahea.routing.redirect import PATH, add_contacts
from kahea.sip.message import parse
from kahea.testing import Simulation

needs_kamailio = pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")

CFG = """
modparam("tm", "on_sl_reply", "stray")
modparam("tm", "ac_extra_hdrs", "X-my-")
modparam("tm", "fr_timer_avp", "$avp(fr)")
modparam("tm", "fr_inv_timer_avp", "$avp(frinv)")
request_route {
    if ($rU == "ping") { sl_send_reply("200", "OK"); exit; }
    $du = "sip:@SINK";
    if (is_method("ACK")) { forward(); exit; }
    if (is_method("CANCEL")) { t_relay_cancel(); exit; }
    if ($rU == "late") t_newtran();
    $avp(fr) = 1;
    $avp(frinv) = "1";
    if ($rU == "set") t_set_fr(0, 1800);
    if ($rU == "bob") t_set_fr(20000, 20000);
    t_relay();
}
onreply_route[stray] {
    if ($rr == "drop") drop;
    if ($rr == "exit") exit;
    if ($rr == "zero") return 0;
    if ($rr == "minus") return -1;
    append_hf("X-Stray: $rs\\r\\n");
}
"""
EXTRA = (
    "X-My-A: 1\r\nX-mYother: 2\r\nx-my-b: 3\r\nRoute: <sip:@SINK;lr>\r\nX-My-C: 4\r\n 5\r\nX-Your: 6\r\n"
    "Subject: lunch\r\n"
)
MODULES = ("textops", "siputils", "xlog")


def stray(reason: str) -> str:
    """A reply to nobody."""
    return (
        f"SIP/2.0 200 {reason}\r\nVia: SIP/2.0/UDP @UDP;branch=z9hG4bKcallernone\r\n"
        "Via: SIP/2.0/UDP @CALLER;branch=z9hG4bKcallerup\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>;tag=2\r\n"
        "Call-ID: stray\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )


@needs_kamailio
def test_cancel_and_ack_carry_headers_of_the_invite(tmp_path: Path) -> None:
    def scenario(server: Server) -> list[str]:
        call, sink = server.caller, server.sink
        call.send(request("INVITE", "sip:bob@example.com", EXTRA))
        invite = sink.expect("INVITE")
        sink.reply(invite, "180 Ringing")
        call.expect("SIP/2.0 180")
        cancel = request("CANCEL", "sip:bob@example.com").replace("callercallCANCEL", "callercallINVITE")
        call.send(cancel)
        got = [sink.expect("CANCEL")]
        sink.reply(invite, "487 Gone")
        return [*got, sink.expect("ACK")]

    theirs, ours = compared(tmp_path, CFG, MODULES, scenario)
    assert ours == theirs
    for text in ours:
        assert "X-My-A: 1\r\nx-my-b: 3\r\nRoute: <sip:@SINK;lr>\r\nX-My-C: 4\r\n 5\r\n" in text
        assert "X-mYother" not in text
        assert "Subject" not in text


@needs_kamailio
def test_stray_replies_go_through_their_route(tmp_path: Path) -> None:
    def scenario(server: Server) -> list[str]:
        for reason in ("OK", "drop", "exit", "zero", "minus", "end"):
            server.sink.send(stray(reason))
        got = [server.caller.expect("SIP/2.0 200")]
        while not got[-1].startswith("SIP/2.0 200 end"):
            got.append(server.caller.receive())
        return got

    theirs, ours = compared(tmp_path, CFG, MODULES, scenario)
    assert ours == theirs
    assert [text.split()[2] for text in ours] == ["OK", "exit", "minus", "end"]
    assert "X-Stray: 200\r\n" in ours[0]


@needs_kamailio
def test_timers_in_avps_end_calls(tmp_path: Path) -> None:
    """Long before the parameters' 30 and 120 seconds, which nobody here waits for."""

    def scenario(server: Server) -> list[str]:
        server.caller.send(request("INVITE", "sip:silent@example.com", callid="silent"))
        server.caller.send(request("INVITE", "sip:ringing@example.com", callid="ringing"))
        server.sink.reply(server.sink.expect("INVITE sip:ringing"), "180 Ringing")
        found: dict[str, str] = {}
        while len(found) < 2:
            got = server.caller.expect("SIP/2.0 4")
            found[got.partition("Call-ID: ")[2].partition("\r\n")[0]] = got.partition("\r\n")[0]
        return [found["silent"], found["ringing"]]

    theirs, ours = compared(tmp_path, CFG, MODULES, scenario)
    assert ours == theirs == ["SIP/2.0 408 Request Timeout"] * 2


@pytest.mark.parametrize(
    ("avp", "first", "seconds"),
    [("3", "", 3), ('"4"', "", 4), ("3", "t_set_fr(0, 1500);", 1.5), ('"x"', "", 30), ("0", "", 30), ("-1", "", 30)],
)
def test_times_of_timers_in_avps(avp: str, first: str, seconds: float) -> None:
    cfg = f"""#!KAMAILIO
listen=udp:10.0.0.9:5060
loadmodule "pv.so"
loadmodule "tm.so"
modparam("tm", "fr_timer_avp", "$avp(fr)")
request_route {{ $avp(fr) = {avp}; {first} $du = "sip:10.0.0.2"; t_relay(); }}
"""
    with Simulation() as simulation:
        simulation.node(cfg)
        alice = simulation.ua("alice", "udp:10.0.0.1:5060")
        simulation.ua("bob", "udp:10.0.0.2:5060")
        begin = simulation.now
        assert alice.invite("sip:bob@10.0.0.9").wait().status == 408
        assert simulation.now - begin == pytest.approx(seconds, abs=0.2)


@needs_kamailio
@pytest.mark.parametrize("rich", [0, 1, 2, 3])
def test_contacts_of_redirects(tmp_path: Path, rich: int) -> None:
    path = "<sip:!#%&'()*+-./:=?@[]^_`{|}~ aZ0\\\\$$>,<sip:p2@192.0.2.4;lr>"
    cfg = f"""
modparam("sl|tm", "rich_redirect", {rich})
request_route {{
    if ($rU == "ping") {{ sl_send_reply("200", "OK"); exit; }}
    if ($rU != "same") $ru = "sip:one@192.0.2.1;a=b";
    setbflag(2);
    append_branch("sip:two@192.0.2.2", "0.5");
    $(branch(path)[0]) = "{path}";
    $(branch(flags)[0]) = 5;
    append_branch("sip:three@192.0.2.3;x=y");
    $(branch(q)[1]) = 250;
    $(branch(path)[1]) = "<sip:p3@192.0.2.5;lr>";
    if ($rU == "one" && is_method("INVITE")) {{ t_newtran(); t_reply("302", "Moved"); exit; }}
    if (is_method("MESSAGE")) {{ t_newtran(); send_reply("302", "Moved"); exit; }}
    sl_send_reply("302", "Moved");
}}
"""

    def scenario(server: Server) -> list[str]:
        got = []
        for method, user in (("INVITE", "bob"), ("MESSAGE", "bob"), ("OPTIONS", "bob"), ("OPTIONS", "same")):
            server.caller.send(request(method, f"sip:{user}@example.com", callid=method + user))
            text = server.caller.expect("SIP/2.0 302")
            got.append(next(line for line in text.split("\r\n") if line.startswith("Contact: ")))
            if method == "INVITE":
                ack = request("ACK", f"sip:{user}@example.com", callid=method + user)
                server.caller.send(ack.replace(f"{user}ACK", f"{user}INVITE"))
        return got

    theirs, ours = compared(tmp_path, cfg, ("corex", "siputils", "textops", "xlog"), scenario)
    assert ours == theirs
    assert ("flags=5" in ours[0], "Route=%3csip:" in ours[0]) == (rich & 1 > 0, rich & 2 > 0)


def test_a_path_joins_headers_that_a_uri_has() -> None:
    """Kamailio begins the headers once more, by which the URI is none."""
    msg = parse(b"OPTIONS sip:a@b?Subject=x SIP/2.0\r\nCall-ID: 1\r\n\r\n")
    msg.set_uri(b"sip:c@d?Subject=x")
    msg.path = b"<sip:p;lr>"
    add_contacts(msg, PATH)
    assert msg.reply_edits == [b"Contact: <sip:c@d?Subject=x&Route=%3csip:p%3blr%3e>\r\n"]


def test_the_route_of_stray_replies_may_be_a_function_of_python() -> None:
    script = (
        "import KSR\n"
        "def ksr_request_route():\n    pass\n"
        "def stray(event):\n"
        "    if KSR.pv.get('$rs') == 201:\n        KSR.set_drop()\n"
        "    KSR.hdr.append('X-Stray: yes\\r\\n')\n"
        "    return 1\n"
    )
    with Simulation() as simulation:
        simulation.node(script, "udp:10.0.0.9:5060", modules={"tm": {"on_sl_reply": "stray"}})
        alice = simulation.ua("alice", "udp:10.0.0.1:5060")
        bob = simulation.ua("bob", "udp:10.0.0.2:5060")
        for status in (201, 200):
            text = stray("Fine").replace("SIP/2.0 200", f"SIP/2.0 {status}")
            bob.send(text.replace("@UDP", "10.0.0.9:5060").replace("@CALLER", "10.0.0.1:5060"), "udp:10.0.0.9:5060")
        assert alice.expect(200).header("X-Stray") == "yes"
        alice.expect_nothing(201)


@pytest.mark.parametrize("name", ["fr_timer_avp", "fr_inv_timer_avp"])
def test_only_avps_hold_timers(bench: Callable[..., Bench], name: str) -> None:
    with pytest.raises(ConfigError, match=rf"tm\.{name}: '\$var\(x\)' is no AVP"):
        bench("tm", tm={name: "$var(x)"})
