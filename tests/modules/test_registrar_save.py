"""save() against Kamailio: what REGISTERs change, and how they are answered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from locating import MODULES, USRLOC, Registrars
from twin import needs_kamailio, pair

pytestmark = needs_kamailio

INSTANCE = '+sip.instance="<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf%d>"'


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registrars]:
    with pair(tmp_path_factory, {"usrloc": USRLOC}, modules=MODULES) as made:
        yield Registrars(made)


def test_a_contact_is_added_refreshed_listed_and_removed(plain: Registrars) -> None:
    aor = "basic@example.com"
    assert plain.save("<sip:u@10.1.1.1>", aor=aor).out == [1]
    assert plain.save("<sip:u@10.1.1.1>", aor=aor).out == [2]
    plain.save('"X" <sip:v@10.1.1.2;transport=tcp?H=v>;expires=100;q=0.5;foo=bar', aor=aor)
    plain.save("sip:w@10.1.1.3;q=0.123;expires=200", aor=aor)
    assert plain.save(None, aor=aor).out == [4]
    assert plain.save("<sip:v@10.1.1.2;transport=tcp?H=v>;expires=0", aor=aor).out == [3]
    plain.save("<sip:w@10.1.1.3>", "Expires: 0", aor=aor)
    assert plain.save("*", "Expires: 0", aor=aor).out == [3]
    plain.save(None, aor=aor)
    plain.save("<sip:w@10.1.1.3>;expires=0", aor=aor)


def test_several_contacts_in_one_register(plain: Registrars) -> None:
    aor = "several@example.com"
    plain.save("<sip:1@h>,<sip:2@h>", aor=aor)
    plain.save("<sip:2@h>,<sip:3@h>", aor=aor)
    plain.save("<sip:4@h>,<sip:3@h>", aor=aor)
    plain.save("<sip:4@h>;expires=0,<sip:3@h>", aor=aor)
    plain.save("<sip:3@h>,<sip:2@h>;expires=0", aor=aor)
    plain.save("<sip:2@h>;expires=0", aor=aor)
    plain.save(["<sip:5@h>", "<sip:6@h>, <sip:7@h>"], aor=aor)
    plain.save("<sip:9@h>,<sip:9@h>;q=0.5", aor="twice@example.com")
    plain.save("<sip:9@h>,<sip:9@h>;q=0.6", aor="twice@example.com")
    plain.save("<sip:8@h>,<sip:8@h>;q=0.6", aor="twice@example.com")


def test_order_follows_q_as_in_kamailio(plain: Registrars) -> None:
    aor = "order@example.com"
    for contact in (
        "1@h>",
        "2@h>",
        "3@h>;q=0.5",
        "2@h>;q=0.6",
        "3@h>;q=0.9",
        "1@h>;q=0.9",
        "3@h>;q=0.1",
        "4@h>;q=1",
    ):
        plain.save("<sip:" + contact, aor=aor)
    plain.save(None, aor=aor)


@pytest.mark.parametrize(
    "q",
    [
        "0",
        "1",
        "1.0",
        "1.000",
        "0.5555",
        ".5",
        "1.",
        "0.",
        "",
        "1.5",
        '"0.5"',
        "00.1",
        "0.9999",
        "+1",
        "a",
        "1.01",
    ],
)
def test_q_values(plain: Registrars, q: str) -> None:
    plain.save(f"<sip:u@h>;q={q}", aor="q@example.com")


@pytest.mark.parametrize(
    ("contact", "headers"),
    [
        ("<sip:u@h>;expires=20", ()),
        ("<sip:u@h>;expires=-1", ()),
        ("<sip:u@h>;expires=abc", ()),
        ("<sip:u@h>;expires=99999999999", ()),
        ('<sip:u@h>;expires="100"', ()),
        ("<sip:u@h>;expires", ()),
        ("<sip:u@h>;expires=", ()),
        ("<sip:u@h>;expires=abc", ("Expires: 100",)),
        ("<sip:u@h>;expires=300", ("Expires: 100",)),
        ("<sip:u@h>", ("Expires: 100",)),
        ("<sip:u@h>", ("Expires: abc",)),
        ("<sip:u@h>", ("Expires: 100, 200",)),
        ("<sip:u@h>", ("Expires: 99999999999",)),
        ("<sip:u@h>", ("Expires: Thu, 01 Dec 2030 16:00:00 GMT",)),
        ("<sip:u@h>", ("Expires: ",)),
    ],
)
def test_expires(plain: Registrars, contact: str, headers: tuple[str, ...]) -> None:
    plain.save(contact, *headers, aor="expires@example.com")


def test_star(plain: Registrars) -> None:
    aor = "star@example.com"
    plain.save("<sip:u@h>,<sip:v@h>", aor=aor)
    plain.save("*", aor=aor)
    plain.save("*", "Expires: 1", aor=aor)
    plain.save("*, <sip:x@y>", "Expires: 0", aor=aor)
    plain.save(None, aor=aor)


def test_order_of_requests(plain: Registrars) -> None:
    aor = "cseq@example.com"
    plain.save("<sip:u@h>", aor=aor, cseq=10)
    assert plain.save("<sip:u@h>", aor=aor, cseq=9).out == [-1]
    assert plain.save("<sip:u@h>", aor=aor, cseq=10).out == [1]
    plain.save("<sip:u@h>;expires=0", aor=aor, cseq=10)
    plain.save("<sip:v@h>", aor=aor, cseq=10)
    plain.save("<sip:u@h>", aor=aor, cseq=1, callid="other")
    plain.save("*", "Expires: 0", aor=aor, cseq=1)
    plain.save("<sip:u@h>", aor=aor, cseq=1000)


def test_instances(plain: Registrars) -> None:
    aor = "instances@example.com"
    plain.save(f"<sip:1@h>;{INSTANCE % 1}", "Supported: gruu", aor=aor)
    plain.save(f"<sip:2@h>;{INSTANCE % 1}", "Supported: path, GRUU", aor=aor)
    plain.save(f"<sip:2@h>;{INSTANCE % 1};reg-id=1", aor=aor)
    plain.save(f"<sip:3@h>;{INSTANCE % 1};reg-id=2", aor=aor)
    plain.save("<sip:2@h>", aor=aor)
    plain.save(f"<sip:2@h>;{INSTANCE % 2}", aor=aor)
    plain.save("<sip:4@h>;reg-id=3", aor=aor)
    plain.save("<sip:4@h>;reg-id=x", aor=aor)
    plain.save("<sip:5@h>;+sip.instance=foo", "Supported: gruu", aor=aor)
    plain.save('<sip:6@h>;+sip.instance="<foo>"', "Supported: gruu", aor=aor)
    plain.save('<sip:7@h>;+sip.instance="<a;b>"', "Supported: x", "Supported: gruu", aor=aor)
    plain.save('<sip:8@h>;+sip.instance=""', "Require: gruu", aor=aor)
    plain.save(f"<sip:z@h>;expires=0;{INSTANCE % 2}", aor=aor, cseq=1)
    plain.save(f"<sip:1@h>;{INSTANCE % 1}", "Supported: gruu", aor="Mixed@Example.COM", cseq=2000)


def test_what_is_refused(plain: Registrars) -> None:
    aor = "refused@example.com"
    plain.save("<sip:u@h>", aor=aor)
    for contact in ("<sip:", "foo", "", "<sip:u@h>, foo", f"<sip:u@{'h' * 507}>", '<sip:u@h>;methods="A B"'):
        plain.save(contact, aor=aor)
    plain.save("<sip:u@h>", aor=aor, callid="c" * 256)
    plain.save("<sip:u@h>", aor=aor, callid="c" * 255)
    plain.save("<sip:u@h>", aor="%6@example.com")
    plain.save("<sip:u@h>", aor="a" * 256 + "@example.com")
    plain.save("<sip:u@h>", "Require: outbound", aor=aor)
    plain.save("<sip:u@h>", aor="z" * 244 + "@example.com")
    plain.save("<sip:u@h>", aor="z" * 245 + "@example.com")


def test_aors(plain: Registrars) -> None:
    plain.save("<sip:1@h>", aor="Case@example.com")
    plain.save("<sip:2@h>", aor="case@other.com")
    plain.save("<sip:3@h>", aor="c%61s%65@other.com:5090;x=y")
    plain.save("<sip:4@h>", aor="example.com")
    plain.save("<sip:5@h>", aor="other.com")
    plain.save("<tel:+123>, <sip:>, <mailto:a@b>", aor="schemes@x")
    plain.save("<sip:6@h>", to="<tel:+4912345>")
    plain.save("<sip:7@h>", aor="+4912345@x")
    plain.save("<sip:M@H>", aor="schemes@x")


def test_flags(plain: Registrars) -> None:
    aor = "flags@example.com"
    plain.save("<sip:1@h>", aor=aor, flags=4)
    plain.save("<sip:2@h>, <sip:3@h>", aor=aor, flags=4)
    plain.save("<sip:4@h>", aor=aor, flags=4)
    plain.save("<sip:4@h>", aor=aor, flags=4)
    plain.save("<sip:5@h>", aor=aor, flags=2)
    plain.save("<sip:5@h>", aor=aor, flags=2, after="out.append(KSR.registrar.reg_send_reply())")
    after = 'KSR.hdr.append_to_reply("X-A: b\\r\\n")\nout.append(KSR.registrar.reg_send_reply())'
    plain.save("<sip:5@h>", aor=aor, flags=2, after=after)
    plain.save("<sip:5@h>", aor=aor, flags=18, after=after)
    plain.save("<sip:5@h>;q=7", aor=aor, flags=2, after=after)


def test_other_uses(plain: Registrars) -> None:
    plain.run('out.append(KSR.registrar.save_uri("location", 0, "sip:given@x"))', _register("<sip:1@h>"))
    plain.run('out.append(KSR.registrar.save_uri("location", 2, "nonsense"))', _register("<sip:1@h>"))
    plain.run('out.append(KSR.registrar.save_uri("location", 2, ""))', _register("<sip:1@h>"))
    plain.save("<sip:2@h>;q=0.1", aor="given@y", before='out.append(KSR.registrar.set_q_override("0.7"))')
    plain.save("<sip:3@h>;q=0.1", aor="given@y")
    for q in ("", "5", "1", "0.55", "x"):
        plain.run(f'out.append(KSR.registrar.set_q_override("{q}"))', _register("<sip:1@h>"))


def _register(contact: str) -> str:
    from locating import register

    return register(contact=contact)


SETTINGS = {
    "usrloc": {**USRLOC, "nat_bflag": 6, "xavp_contact": "ulattrs"},
    "registrar": {
        "use_path": 1,
        "path_mode": 1,
        "path_use_received": 1,
        "received_avp": "$avp(rcv)",
        "xavp_cfg": "reg",
        "xavp_rcd": "ulrcd",
        "retry_after": 30,
        "max_expires": 500,
        "min_expires_mode": 1,
        "default_q": 300,
    },
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registrars]:
    with pair(tmp_path_factory, SETTINGS, modules=MODULES) as made:  # type: ignore[arg-type]
        yield Registrars(made)


def test_path(settings: Registrars) -> None:
    aor = "path@example.com"
    two = "Path: <sip:p1@10.0.0.1;lr>, <sip:10.0.0.2;lr>"
    settings.save("<sip:1@h>", two, aor=aor)
    settings.save("<sip:2@h>", "Supported: gruu, path", two, "Path: <sip:3.3.3.3;lr>", aor=aor)
    received = "Path: <sip:3.3.3.3;lr;received=sip:1.1.1.1:55%3Btransport%3Dtcp>"
    settings.save("<sip:3@h>", "Supported: path", received, aor=aor)
    settings.save("<sip:4@h>", "Path: <sip:p;lr>, <sip:q;lr;received=sip:4.4.4.4>", aor=aor)
    settings.save("<sip:5@h>", "Path: <sip:p;lr;received=1.1.1.1~5~1>", aor=aor)
    for bad in ("<sip:p>", "foo", "<sip:p;lr", "<sip:p;lr>, foo", f"<sip:{'p' * 300};lr>"):
        settings.save("<sip:6@h>", f"Path: {bad}", aor=aor)


def test_received(settings: Registrars) -> None:
    aor = "received@example.com"
    for value in ("sip:2.2.2.2:5070;transport=tcp", "foo", "sip:" + "1" * 300):
        settings.save("<sip:1@h>", aor=aor, before=f'KSR.pv.sets("$avp(rcv)", "{value}")')
    settings.save("<sip:2@h>", aor=aor, before='KSR.pv.seti("$avp(rcv)", 5)')
    path = "Path: <sip:p;lr;received=sip:1.1.1.1>"
    settings.save("<sip:3@h>", path, aor=aor, before='KSR.pv.sets("$avp(rcv)", "sip:2.2.2.2")')


def test_what_the_script_overrides(settings: Registrars) -> None:
    aor = "override@example.com"
    seconds = 'KSR.pv.seti("$xavp(reg=>expires)", %d)'
    settings.save("<sip:1@h>;expires=100", aor=aor)
    settings.save("<sip:1@h>;expires=20", aor=aor)
    settings.save("<sip:1@h>;expires=9999", aor=aor)
    for value in (300, 5, 1000, 0):
        settings.save("<sip:1@h>;expires=100", aor=aor, before=seconds % value)
    limit = 'KSR.pv.seti("$xavp(reg=>max_contacts)", %d)'
    settings.save("<sip:1@h>,<sip:2@h>,<sip:3@h>", aor=aor, before=limit % 2)
    settings.save("<sip:1@h>", aor=aor, before=limit % 2)
    settings.save("<sip:2@h>", aor=aor, before=limit % 2)
    settings.save("<sip:3@h>", aor=aor, before=limit % 2)
    settings.save("<sip:3@h>,<sip:1@h>;expires=0", aor=aor, before=limit % 2)
    settings.save("<sip:3@h>", aor=aor, before=limit % 1)
    settings.save("<sip:3@h>;expires=0", aor=aor, before=limit % 1)
    settings.save("<sip:4@h>", aor=aor, before=limit % 1, flags=4)
    for q in ('seti("$xavp(reg=>q)", 700', 'seti("$xavp(reg=>q)", 2000', 'sets("$xavp(reg=>q)", "0.5"'):
        settings.save("<sip:5@h>;q=0.1", aor="override2@example.com", before=f"KSR.pv.{q})")


def test_what_the_script_is_told(settings: Registrars) -> None:
    after = """
for name in ("ruid", "contact", "received", "path"):
    out.append([KSR.pv.get("$xavp(ulrcd[0]=>%s[%d])" % (name, i)) for i in range(3)])
"""
    settings.save("<sip:1@h>,<sip:2@h>", "Path: <sip:p;lr>", aor="told@example.com", after=after)
    settings.save("<sip:2@h>", aor="told@example.com", after=after)


OUTBOUND = {
    "usrloc": USRLOC,
    "registrar": {"outbound_mode": 1, "flow_timer": 25, "use_path": 1, "path_mode": 1},
}
DEMANDED = {"usrloc": USRLOC, "registrar": {"outbound_mode": 2, "use_path": 1, "gruu_enabled": 0}}


@pytest.mark.parametrize("params", [OUTBOUND, DEMANDED], ids=["supported", "demanded"])
def test_outbound(tmp_path_factory: pytest.TempPathFactory, params: dict[str, dict[str, int | str]]) -> None:
    with pair(tmp_path_factory, params, modules=MODULES) as made:
        both = Registrars(made)
        contact = f"<sip:1@h>;{INSTANCE % 1};reg-id=1"
        supported = "Supported: outbound, path, gruu"
        via = "Via: SIP/2.0/UDP 9.9.9.9;branch=z9hG4bKxx"
        ob, no_ob = "Path: <sip:p@1.2.3.4;lr;ob>", "Path: <sip:q@1.2.3.4;lr>"
        both.save(contact, supported)
        both.save(contact, supported, ob)
        both.save(contact, supported, no_ob, ob, via=via)
        both.save(contact, supported, ob, no_ob, via=via)
        both.save(contact, supported, via=via)
        both.save(f"<sip:2@h>;{INSTANCE % 1}", supported, via=via)
        both.save("<sip:3@h>", supported, via=via)
        both.save("<sip:4@h>", "Supported: path")
        both.save("<sip:4@h>", "Require: outbound")
        both.save(None, supported, via=via)
        both.save("*", supported, "Expires: 0")


KEYS = {
    "usrloc": {**USRLOC, "use_domain": 1, "desc_time_order": 1},
    "registrar": {"case_sensitive": 1, "realm_prefix": "sip.", "default_expires": 30, "use_path": 1},
}


def test_domains_and_case(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pair(tmp_path_factory, KEYS, modules=MODULES) as made:  # type: ignore[arg-type]
        both = Registrars(made)
        both.save(f"<sip:1@h>;{INSTANCE % 1}", "Supported: gruu", aor="a@sip.Example.com")
        both.save("<sip:2@h>;q=0.5", "Supported: gruu", aor="a@example.com")
        both.save("<sip:3@h>", aor="A@example.com")
        both.save("<sip:4@h>;q=0.1", aor="a@example.com")
        both.save("<sip:2@h>;q=0.9", aor="a@example.com")
        both.save("<sip:5@h>", aor="example.com")
        both.save("<sip:6@h>", aor="sip.")
        both.save("<sip:7@h>", aor="%61%40@example.com")
        both.save("<sip:8@h>", "Path: <sip:p;lr>", aor="strict@example.com")
        both.save("<sip:8@h>", "Path: <sip:p;lr>", "Supported: path", aor="strict@example.com")


@pytest.mark.parametrize(("mode", "delay"), [(1, 20), (2, 20), (3, 20), (0, 0)])
def test_matching_modes(tmp_path_factory: pytest.TempPathFactory, mode: int, delay: int) -> None:
    params = {
        "usrloc": {**USRLOC, "matching_mode": mode, "cseq_delay": delay},
        "registrar": {"use_path": 1, "path_mode": 0},
    }
    with pair(tmp_path_factory, params, modules=MODULES) as made:  # type: ignore[arg-type]
        both = Registrars(made)
        both.save("<sip:1@h>", "Path: <sip:p1;lr>")
        both.save("<sip:1@h>", "Path: <sip:p2;lr>")
        both.save("<sip:1@h>")
        both.save("<sip:1@h>", cseq=3)
        both.save("<sip:1@h>", cseq=2)
        both.save("<sip:2@h>", cseq=10)
        both.save("<sip:2@h>", "Path: <sip:p2;lr>", callid="c2")
        both.save("<sip:2@h>", callid="c3", cseq=1)
        both.save("<sip:5@h>,<sip:6@h>", cseq=20)
        both.save(None)
