"""lookup() and its kin, registered(), unregister() and `$ulc` against Kamailio."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from locating import MODULES, USRLOC, Registrars
from twin import FORWARD, needs_kamailio, pair, request

pytestmark = needs_kamailio

INSTANCE = '+sip.instance="<urn:uuid:%d>"'
PARAMS = {
    "usrloc": {**USRLOC, "nat_bflag": 6, "xavp_contact": "ulattrs"},
    "registrar": {
        "use_path": 1,
        "path_mode": 0,
        "path_use_received": 1,
        "path_check_local": 1,
        "received_avp": "$avp(rcv)",
        "xavp_cfg": "reg",
        "xavp_rcd": "ulrcd",
        "method_filtering": 1,
        "lookup_filter_mode": 1,
    },
}
ATTRIBUTES = 'KSR.pv.sets("$xavp(ulattrs=>a)", "%s");KSR.pv.seti("$xavp(ulattrs[0]=>n)", %d)'


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registrars]:
    with pair(tmp_path_factory, PARAMS, modules=MODULES) as made:  # type: ignore[arg-type]
        servers = Registrars(made)
        _fill(servers)
        yield servers


def _fill(both: Registrars) -> None:
    agent = "User-Agent: phone/1"
    both.save("<sip:1@h1>;q=0.9", agent, aor="many@x", before="KSR.setbflag(3)")
    both.save("<sip:2@h2>;q=0.8", aor="many@x", before=ATTRIBUTES % ("two", 2))
    both.save("<sip:3@h3>;q=0.7", "Path: <sip:p1;lr>, <sip:p2;lr>", aor="many@x", before=ATTRIBUTES % ("three", 3))
    both.save("<sip:4@h4>", aor="many@x", before='KSR.pv.sets("$avp(rcv)", "sip:9.9.9.9:99;transport=tcp")')
    both.save("<sip:5@h5>", "Path: <sip:p;lr;received=sip:7.7.7.7>", aor="many@x")
    both.save("<sip:1@h>", "Allow: BYE, FOO", aor="methods@x")
    both.save("<sip:2@h>", "Allow: INVITE, ACK", aor="methods@x")
    both.save('<sip:1@h>;methods="BYE"', aor="bye@x")
    both.save(f"<sip:1@h>;{INSTANCE % 1};reg-id=1", "Supported: gruu", aor="gruu@x")
    both.save(f"<sip:2@h>;{INSTANCE % 1};reg-id=2", "Supported: gruu", aor="gruu@x")
    both.save(f"<sip:3@h>;{INSTANCE % 2}", "Supported: gruu", aor="gruu@x")
    local = "<sip:@UDP;lr>"
    both.save("<sip:1@h>;q=0.9", f"Path: {local}", aor="local@x")
    both.save("<sip:2@h>;q=0.8", f"Path: {local}, <sip:p2;lr>", aor="local@x")
    both.save("<sip:3@h>;q=0.7", f"Path: <sip:p2;lr>,{local}", aor="local@x")
    received = 'KSR.pv.sets("$avp(rcv)", "sip:9.9.9.9:1")'
    both.save("<sip:4@h>;q=0.6", "Path: <sip:127.0.0.1:9999;lr>", aor="local@x", before=received)
    both.save("<sip:5@h>;q=0.5", f"Path: {local},{local}, <sip:p3;lr>", aor="local@x")
    both.save("<sip:6@h>", "Path: <sip:example.com;lr>", "Path: <sip:z;lr>", aor="local@x")


def test_the_first_contact_and_branches(both: Registrars) -> None:
    assert both.lookup("sip:many@x").out[0] == 1
    both.lookup("sip:MANY@y;x=y")
    both.lookup("sip:m%61ny@x", before='KSR.setdsturi("sip:old")\nKSR.setbflag(7)')
    both.lookup("sip:many@x", before='KSR.corex.append_branch_uri("sip:mine@z")')
    both.lookup("sip:local@x")


def test_nobody(both: Registrars) -> None:
    assert both.lookup("sip:nobody@x").out[0] == -1
    both.lookup("tel:+123")
    both.lookup("sip:x")
    for uri in ("nonsense", "", "sip:", "sip:%6@x", "sip:many@x"):
        both.lookup("sip:q@x", f'KSR.registrar.lookup_uri("location", "{uri}")')


def test_methods(both: Registrars) -> None:
    for method in ("INVITE", "MESSAGE", "FOO", "BAR", "BYE"):
        both.lookup("sip:methods@x", method=method)
        both.lookup("sip:bye@x", method=method)
    both.lookup("sip:bye@x", method="MESSAGE", to_tag="x")


def test_branch_flags(both: Registrars) -> None:
    for flags in (8, 64, 1, 0):
        both.lookup("sip:many@x", before=f'KSR.pv.seti("$xavp(reg=>rlf_bflags)", {flags})')


def test_gruus(both: Registrars) -> None:
    listed = both.save(None, "Supported: gruu", aor="gruu@x").caller[0]
    assert "pub-gruu" in listed
    for instance in ("urn:uuid:1", "urn:uuid:2", "urn:uuid:3", ""):
        both.lookup(f"sip:gruu@x;gr={instance}")
    both.lookup("sip:many@x;gr=urn:uuid:1")
    for user in ("xx", "gruu", "a-zz", "uloc-1-2-3-4", "uloc-1-2"):
        both.lookup(f"sip:{user}@x;gr")
    hashed = listed.split('temp-gruu="sip:RUID')[1].split("-", 1)[1].split("@")[0]
    first = listed.split('temp-gruu="sip:')[1].split("-")[0]
    both.lookup(f"sip:{first}-{hashed}@x;gr")
    both.lookup(f"sip:{first}-{hashed}0@x;gr")


def test_destination_set(both: Registrars) -> None:
    both.lookup("sip:q@x", 'KSR.registrar.lookup_to_dset("location", "sip:many@x")')
    both.lookup("sip:q@x", 'KSR.registrar.lookup_to_dset("location", "sip:nobody@x")')
    both.lookup("sip:q@x", 'KSR.registrar.lookup_to_dset("location", "nonsense")')


def test_branches(both: Registrars) -> None:
    call = 'KSR.registrar.lookup_branches("location")'
    append = 'KSR.corex.append_branch_uri("sip:%s@x")\n'
    both.lookup("sip:many@x", call)
    both.lookup("sip:nobody@x", call)
    both.lookup("sip:gruu@x", call, before=append % "many")
    both.lookup("sip:nobody@x", call, before=append % "many" + append % "nobody")
    both.lookup("sip:nobody@x", call, before=append % "bye" + append % "nobody")
    both.lookup("sip:bye@x", call, before=append % "nobody")
    both.lookup("sip:nobody@x", call, before=append % "nobody" + append % "bye")
    both.lookup("sip:many@x", call, before=append % "bye" + 'KSR.corex.append_branch_uri_q("sip:gruu@x", "0.3")')


def test_what_the_script_is_told(both: Registrars) -> None:
    after = """
for name in ("ruid", "contact", "received", "path"):
    out.append([KSR.pv.get("$xavp(ulrcd[0]=>%s[%d])" % (name, i)) for i in range(6)])
for name in "an":
    out.append([KSR.pv.get("$xavp(ulattrs[%d]=>%s)" % (i, name)) for i in range(6)])
"""
    both.run('out.append(KSR.registrar.lookup("location"))' + after, request(uri="sip:many@x"))
    both.run('out.append(KSR.registrar.lookup_to_dset("location", "sip:many@x"))' + after, request())
    both.run('out.append(KSR.registrar.registered_uri("location", "sip:many@x"))' + after, request())
    before = 'KSR.corex.append_branch_uri("sip:mine@z")\nKSR.pv.sets("$xavp(ulattrs=>a)", "mine")\n'
    both.run(before + 'out.append(KSR.registrar.lookup("location"))' + after, request(uri="sip:many@x"))
    for action in range(4):
        call = f'out.append(KSR.registrar.registered_action("location", "sip:many@x", 0, {action}))'
        both.run(call + after, request())


def test_registered(both: Registrars) -> None:
    for uri in ("sip:many@x", "sip:nobody@x", "nonsense", ""):
        both.run(f'out.append(KSR.registrar.registered_uri("location", "{uri}"))', request(uri="sip:many@x"))
    both.run('out.append(KSR.registrar.registered("location"))', request(uri="sip:many@x"))
    both.run('out.append(KSR.registrar.registered("location"))', request(uri="sip:nobody@x"))
    values = {"callid": ("call", "no"), "received": ("sip:7.7.7.7", "no"), "contact": ("sip:3@h3", "no")}
    for name, given in values.items():
        for value in given:
            setting = f'KSR.pv.sets("$xavp(reg=>match_{name})", "{value}")\n'
            for option in range(8):
                call = f'out.append(KSR.registrar.registered_flags("location", "sip:many@x", {option}))'
                both.run(setting + call, request())


def test_fetched_contacts(both: Registrars) -> None:
    names = ["aor", "domain", "aorhash", "count", "addr", "path", "received", "callid", "q", "cseq", "flags"]
    names += ["cflags", "user_agent", "socket", "methods", "ruid", "regid", "instance", "conid", "server_id"]
    read = f"""
for name in {names}:
    out.append([name] + [KSR.pv.get("$(ulc(p=>%s)[%d])" % (name, i)) for i in (0, 1, 2, 3, 4, 9, -1)])
out.append(abs(KSR.pv.get("$ulc(p=>expires)") - KSR.pv.get("$ulc(p=>modified)")))
"""
    fetch = 'out.append(KSR.registrar.reg_fetch_contacts("location", "%s", "p"))'
    both.run(fetch % "sip:many@x" + read, request())
    both.run(fetch % "sip:gruu@x" + read, request())
    both.run(fetch % "sip:nobody@x" + '\nout.append(KSR.pv.get("$ulc(p=>count)"))', request())
    both.run(fetch % "nonsense", request())
    free = '\nout.append([KSR.registrar.reg_free_contacts("p"), KSR.registrar.reg_free_contacts("none")])'
    both.run(fetch % "sip:many@x" + free + '\nout.append(KSR.pv.get("$ulc(p=>count)"))', request())


def test_unregister(both: Registrars) -> None:
    for uri in ("<sip:1@h>", "<sip:2@h>", "<sip:3@h>"):
        both.save(uri, aor="leaving@x")
    fetch = 'KSR.registrar.reg_fetch_contacts("location", "sip:leaving@x", "p")\n'
    fetch += 'ruid = KSR.pv.get("$ulc(p=>ruid)")\n'
    by_ruid = 'out.append(KSR.registrar.unregister_ruid("location", "%s", ruid))\n'
    uris = ("sip:leaving@x", "sip:leaving@x", "sip:many@x", "nonsense")
    both.run(fetch + "".join(by_ruid % uri for uri in uris), request())
    both.save(None, aor="leaving@x")
    for uri in ("sip:leaving@x", "sip:leaving@x", "nonsense", ""):
        both.run(f'out.append(KSR.registrar.unregister("location", "{uri}"))', request())
    both.save(None, aor="leaving@x")


def test_headers(both: Registrars) -> None:
    both.run('out.append(KSR.registrar.add_sock_hdr("X-Sock"))' + FORWARD, request())
    both.run('out.append(KSR.registrar.add_sock_hdr(""))' + FORWARD, request())
    both.run('out.append(KSR.registrar.add_sock_hdr("X-Sock"))' + FORWARD, request(), "@TCP")


def test_one_branch_only(tmp_path_factory: pytest.TempPathFactory) -> None:
    params = {
        "usrloc": USRLOC,
        "registrar": {
            "append_branches": 0,
            "sock_flag": 3,
            "sock_hdr_name": "Sock",
            "received_param": "",
            "sock_mode": 1,
            "use_path": 1,
            "path_mode": 0,
        },
    }
    with pair(tmp_path_factory, params, modules=MODULES) as made:  # type: ignore[arg-type]
        both = Registrars(made)
        both.save("<sip:1@h>;q=0.9")
        both.save("<sip:2@h>;q=0.8", "Sock: udp:@SECOND", before="KSR.setflag(3)")
        both.save("<sip:3@h>", "Sock: tcp:127.0.0.9:5060", before="KSR.setflag(3)", aor="other@x")
        both.save("<sip:4@h>", "Sock: nonsense", before="KSR.setflag(3)", aor="other@x")
        both.save("<sip:5@h>", "Sock: udp:@SECOND", aor="third@x")
        both.lookup("sip:bob@x")
        both.lookup("sip:bob@x", 'KSR.registrar.lookup_to_dset("location", "sip:bob@x")')
        both.save("<sip:2@h>;q=1", "Sock: udp:@SECOND", before="KSR.setflag(3)")
        both.lookup("sip:bob@x")
        both.lookup("sip:other@x")
        both.lookup("sip:third@x")
        # A path becomes Routes.
        both.save("<sip:1@h1>", "Path: <sip:first@@SINK;lr>, <sip:second@h;lr>", aor="routed@x")
        forward = 'out += [KSR.registrar.lookup("location"), KSR.forward()]'
        for headers in ("", "Route: <sip:there@already;lr>\r\n"):
            assert both.run(forward, request(uri="sip:routed@x", headers=headers)).sink


def test_in_a_reply_route(both: Registrars) -> None:
    def reply(contact: str, user: str) -> str:
        return (
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP @UDP;branch=z9hG4bKx\r\n"
            "Via: SIP/2.0/UDP @CALLER;branch=z9hG4bKy\r\nCall-ID: reply\r\nCSeq: 1 REGISTER\r\n"
            f"From: <sip:{user}@x>;tag=f\r\nTo: <sip:{user}@x>;tag=t\r\n"
            f"Contact: {contact}\r\nContent-Length: 0\r\n\r\n"
        )

    code = 'out.append(KSR.registrar.registered("location"))\n'
    save = 'out.append(KSR.registrar.save("location", 0))'
    both.run(code, reply("<sip:1@h>", "many"))
    both.run(code, reply("<sip:1@h>", "nobody"))
    both.run(code + save, reply("<sip:1@h>;expires=500", "behind"))
    both.run(code, reply("<sip:1@h>", "behind"))
    both.save(None, aor="behind@x")
