"""`t_load_contacts`, `t_next_contacts` and `t_next_contact_flow` as Kamailio has them, with attributes of contacts."""

from __future__ import annotations

import re
import select
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import KAMAILIO, PATIENCE, Server, compared, request

from conftest import Bench
from kahea.routing.module import ConfigError
from kahea.testing import Simulation

CFG = """
modparam("usrloc", "preload", "location")
modparam("tm|usrloc", "xavp_contact", "ulattrs")
modparam("tm", "contacts_avp", "tm_contacts")
modparam("tm", "contact_flows_avp", "tm_flows")
request_route {
    if ($rU == "ping") { sl_send_reply("200", "OK"); exit; }
    if ($rU == "seen") { append_to_reply("X-Out: $shv(out)\\r\\n"); sl_send_reply("200", "OK"); exit; }
    if (is_method("REGISTER")) {
        $xavp(ulattrs=>m) = "m";
        $xavp(ulattrs[0]=>n) = $hdr(X-N);
        save("location");
        exit;
    }
    $shv(out) = "";
    $var(do) = $hdr(X-Do);
    route(PREPARE);
    route(SHOW);
    if ($var(do) == "each") t_load_contacts("1"); else t_load_contacts();
    $shv(out) = $shv(out) + " load=" + $rc;
    route(SHOW);
    if ($var(do) == "again") { append_branch("sip:late@@SINK", "0.9"); $xavp(ulattrs=>n) = "late"; t_load_contacts(); }
    if ($var(do) == "extra") append_branch("sip:extra@@SINK", "0.1");
    if ($var(do) == "script") {
        $xavp(tm_contacts[0]=>uri) = "sip:changed@@SINK";
        $xavp(tm_contacts[1]=>dst_uri) = "sip:added@@SINK";
        $xavp(tm_contacts[2]=>sock) = "udp:203.0.113.9:1";
    }
    if ($var(do) == "call") {
        t_next_contacts();
        t_on_failure("FAILED");
        t_on_branch_failure("broken");
        t_on_branch("BRANCH");
        if (!t_relay()) sl_reply_error();
        exit;
    }
    $var(i) = 0;
    while ($var(i) < 6) {
        t_next_contacts();
        $var(rc) = $rc;
        $shv(out) = $shv(out) + " next=" + $var(rc);
        route(SHOW);
        $var(i) = $var(i) + 1;
    }
    t_next_contact_flow();
    $shv(out) = $shv(out) + " flow=" + $rc;
    sl_send_reply("480", "done");
}
branch_route[BRANCH] { $shv(out) = $shv(out) + " branch " + $T_branch_idx; route(WAITING); }
failure_route[FAILED] {
    $shv(out) = $shv(out) + " failed";
    t_next_contacts();
    $var(rc) = $rc;
    $shv(out) = $shv(out) + " next=" + $var(rc);
    route(WAITING);
    if ($var(rc) > 0) { t_on_branch("BRANCH"); t_on_failure("FAILED"); t_relay(); }
}
event_route[tm:branch-failure:broken] {
    $shv(out) = $shv(out) + " broken";
    t_next_contact_flow();
    $var(rc) = $rc;
    $shv(out) = $shv(out) + " flow=" + $var(rc);
    route(WAITING);
    if ($var(rc) > 0) { t_on_branch_failure("broken"); t_relay(); }
}
route[PREPARE] {
    if ($rU != "own") { lookup("location"); return; }
    $ru = "sip:r@@SINK";
    if ($var(do) == "one") { $xavp(ulattrs=>n) = "r"; return; }
    if ($var(do) == "many") { append_branch("sip:b@@SINK"); $var(attrs) = "z"; }
    if ($var(do) == "few" || $var(do) == "script") {
        append_branch("sip:b1@@SINK", "0.5"); append_branch("sip:b2@@SINK", "0.5");
        append_branch("sip:b3@@SINK", "0.4");
        $xavp(ulattrs=>n) = "few1"; $xavp(ulattrs=>n) = "few0";
        return;
    }
    if ($var(do) == "full") {
        $du = "sip:@SINK2"; setbflag(3); $fs = "udp:@UDP";
        append_branch("sip:b1@@SINK", "0.5");
        $(branch(dst_uri)[0]) = "sip:@SINK2"; $(branch(path)[0]) = "<sip:p;lr>"; $(branch(flags)[0]) = 6;
    }
    if ($var(do) == "text") { append_branch("sip:b1@@SINK"); $xavp(ulattrs) = "plain"; return; }
    if ($var(do) == "groups" || $var(do) == "extra" || $var(do) == "again") {
        append_branch("sip:b1@@SINK", "0.5"); append_branch("sip:b2@@SINK", "0.5");
        append_branch("sip:b3@@SINK", "0.4");
        append_branch("sip:b4@@SINK", "0.4"); append_branch("sip:b5@@SINK", "0.4"); append_branch("sip:b6@@SINK", "1");
    }
    $xavp(ulattrs=>n) = "n6"; $xavp(ulattrs=>n) = "n5"; $xavp(ulattrs=>n) = "n4"; $xavp(ulattrs=>n) = "n3";
    $xavp(ulattrs=>n) = "n2"; $xavp(ulattrs=>n) = "n1"; $xavp(ulattrs=>n) = "n0";
}
route[SHOW] {
    $shv(out) = $shv(out) + " [" + $ru + " du=" + $du + " bf=" + $bf + " fs=" + $fs + " n=" + $branch(count);
    $shv(out) = $shv(out) + " " + $(branch(uri)[0]) + " " + $(branch(uri)[1]) + " " + $(branch(uri)[2]) + " "
        + $(branch(dst_uri)[0]) + " " + $(branch(path)[0]) + " " + $(branch(flags)[0]);
    route(WAITING);
}
route[WAITING] {
    $shv(out) = $shv(out) + " attrs " + $xavp(ulattrs=>n) + " " + $xavp(ulattrs[1]=>n) + " " + $xavp(ulattrs[2]=>n)
        + " " + $xavp(ulattrs[3]=>n) + " " + $xavp(ulattrs[4]=>n) + " " + $xavp(ulattrs[5]=>n) + $xavp(ulattrs[0]);
    $var(k) = 0;
    while ($var(k) < 5) {
        $shv(out) = $shv(out) + " / " + $xavp(tm_contacts[$var(k)]=>uri) + " " + $xavp(tm_contacts[$var(k)]=>q_flag)
            + " " + $xavp(tm_contacts[$var(k)]=>flags) + " " + $xavp(tm_contacts[$var(k)]=>dst_uri)
            + " " + $xavp(tm_contacts[$var(k)]=>path) + " " + $xavp(tm_contacts[$var(k)]=>instance)
            + " " + $xavp(tm_contacts[$var(k)]=>ua);
        $var(k) = $var(k) + 1;
    }
    $shv(out) = $shv(out) + " flows " + $xavp(tm_flows=>uri) + " " + $xavp(tm_flows=>q_flag) + " "
        + $xavp(tm_flows=>flags) + " " + $xavp(tm_flows=>ua) + " "
        + $xavp(tm_flows[1]=>uri) + " " + $xavp(tm_flows[2]=>uri) + "]";
}
"""
MODULES = ("rr", "textops", "textopsx", "siputils", "corex", "usrloc", "registrar", "tmx", "xlog")

#: AORs with their contacts: user, q and the instance.
CONTACTS = [
    ("plain", [("c1", "0.3", ""), ("c2", "0.7", ""), ("c3", "0.7", ""), ("c4", "0.1", "")]),
    ("one", [("d1", "0.5", "")]),
    ("flows", [("e1", "0.5", "A"), ("e2", "0.5", "A"), ("e3", "0.5", "B"), ("e4", "0.2", "A"), ("e5", "0.2", "A")]),
    ("same", [("f1", "0.5", "A"), ("f2", "0.5", "A"), ("f3", "0.5", "A"), ("f4", "", "A"), ("f5", "", "B")]),
]
CASES = [
    *(("own", do) for do in ("one", "many", "few", "full", "text", "groups", "extra", "again", "script")),
    *((user, "all") for user, _contacts in CONTACTS),
]
CALLS = [
    *((user, "486 Busy") for user, _contacts in CONTACTS),
    ("flows", "430 Flow Failed"),
    ("same", "430 Flow Failed"),
]


def next_of(server: Server) -> str:
    """What the server sends next, to either peer."""
    peers = {server.caller.socket: server.caller, server.sink.socket: server.sink}
    ready, _, _ = select.select(list(peers), [], [], PATIENCE)
    if not ready:
        raise TimeoutError("neither peer was sent anything")
    return peers[ready[0]].receive()


@pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")
def test_contacts_are_tried_as_kamailio_tries_them(tmp_path: Path) -> None:
    def register(server: Server) -> None:
        for aor, contacts in CONTACTS:
            for place, (user, q, instance) in enumerate(contacts):
                of_q = f";q={q}" if q else ""
                of_instance = f';+sip.instance="<urn:uuid:{instance}>";reg-id={place + 1}' if instance else ""
                text = request("REGISTER", "sip:example.com", f"X-N: {user}\r\nUser-Agent: UA {user}\r\n", callid=user)
                text = text.replace("To: <sip:bob@", f"To: <sip:{aor}@")
                server.caller.send(
                    text.replace("Contact: <sip:alice@@CALLER>", f"Contact: <sip:{user}@@SINK>{of_q}{of_instance}")
                )
                server.caller.expect("SIP/2.0 200")

    def seen(server: Server, name: str) -> list[str]:
        server.caller.send(request("OPTIONS", "sip:seen@example.com", callid=f"seen{name}"))
        found = server.caller.expect("SIP/2.0 200").partition("X-Out: ")[2].partition("\r\n")[0]
        found = re.sub(r"<<xavp:0x\w+>>", "<fields>", found)
        return [part.strip() for part in found.replace("[", "\n[").replace("]", "]\n").split("\n")]

    def scenario(server: Server) -> list[list[str]]:
        register(server)
        out = []
        for number, (user, do) in enumerate(CASES):
            name = f"case{number}"
            server.caller.send(request("OPTIONS", f"sip:{user}@example.com", f"X-Do: {do}\r\n", callid=name))
            server.caller.expect("SIP/2.0 480")
            out.append(seen(server, name))
        for number, (user, answer) in enumerate(CALLS):
            name = f"call{number}"
            server.caller.send(request("MESSAGE", f"sip:{user}@example.com", "X-Do: call\r\n", callid=name))
            tried = []
            while not (got := next_of(server)).startswith("SIP/2.0"):
                tried.append(got.partition("\r\n")[0])
                server.sink.reply(got, answer)
            out.append([got.partition("\r\n")[0], *sorted(tried), *seen(server, name)])
        return out

    theirs, ours = compared(tmp_path, CFG, MODULES, scenario)
    for case, of_theirs, of_ours in zip([*CASES, *CALLS], theirs, ours, strict=True):
        assert "\n".join(of_ours) == "\n".join(of_theirs), case
    assert "broken flow=1" in " ".join(ours[-1])


def test_without_flows_there_are_no_contacts() -> None:
    """Kamailio does not start so."""
    script = "def ksr_request_route():\n    pass\n"
    with Simulation() as simulation, pytest.raises(ConfigError, match=r"needs the parameter tm\.contact_flows_avp"):
        simulation.node(script, "udp:10.0.0.9:5060", modules={"tm": {"contacts_avp": "tm_contacts"}})


def test_chance_goes_by_q(bench: Callable[..., Bench]) -> None:
    """Of two contacts with 0.9 and 0.1 the first is the first in nine of ten; those without a q are last."""
    node = bench("tm", "pv", "corex", tm={"contacts_avp": "c", "contact_flows_avp": "f"})
    first: Counter[str] = Counter()
    data = b"OPTIONS sip:none@10.0.0.2 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n"
    data += b"From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    for _ in range(400):
        node.take(data)
        for uri, q in (("sip:often@x", "0.9"), ("sip:seldom@x", "0.1")):
            assert node.call("corex.append_branch_uri_q", uri, q) == 1
        assert node.call("tm.ki_t_load_contacts_mode", 1) == 1
        order = []
        while node.call("tm.t_next_contacts") == 1:
            order.append(node.call("pv.get", "$rU"))
        assert order[-1] == "none"
        assert sorted(order[:-1]) == ["often", "seldom"]
        first[order[0]] += 1
    assert 320 < first["often"] < 395
