"""Where the registrar goes beyond Kamailio 5.6, or knowingly away from it; and its parameters."""

from __future__ import annotations

import contextlib
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from locating import register
from twin import Ours, request

from kahea.modules.registrar.bindings import METHOD_BITS, OTHER_METHOD, method_mask, parse_q
from kahea.modules.registrar.refusal import Refused
from kahea.routing.module import ConfigError

MODULES = ("usrloc", "registrar")
SAVE = 'out.append(KSR.registrar.save("location", 0))'


def make(**registrar: Any) -> Ours:
    return Ours({"registrar": registrar}, MODULES)


def save(server: Ours, contact: str | list[str] | None, *headers: str, **more: Any) -> tuple[int, str]:
    """What save() returned, and the answer."""
    aor, cseq = more.pop("aor", "bob@x"), more.pop("cseq", 1)
    outcome = server.run(more.pop("code", SAVE), register(aor, cseq, contact, *headers, **more))
    return outcome.out[0], outcome.caller[0] if outcome.caller else ""


def contacts(server: Ours, aor: str = "bob@x") -> list[str]:
    """The URIs that an AOR has."""
    fetch = f'KSR.registrar.reg_fetch_contacts("location", "sip:{aor}", "p")\n'
    read = 'n = KSR.registrar.ulc_rget("p", "count") or 0\n'
    read += 'out += [KSR.registrar.ulc_cget("p", "addr", i) for i in range(n)]'
    return list(server.run(fetch + read, request()).out)


# ---- away from Kamailio


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("<sip:2@h>;q=7", "Invalid q param"),
        ("<sip:2@h>;+sip.instance=x;reg-id=0", "Invalid Reg-Id"),
        ("<sip:2@h>;expires=5", "Interval too brief"),
        ('<sip:2@h>;methods="A B"', "Message parse error"),
    ],
)
def test_a_refused_register_leaves_no_trace(bad: str, why: str) -> None:
    """RFC 3261 §10.3 item 7 wants all or nothing; Kamailio keeps what came before the fault."""
    server = make(min_expires_mode=1)
    assert save(server, "<sip:old@h>")[0] == 1
    code, answer = save(server, ["<sip:1@h>", "<sip:old@h>;expires=0", bad], cseq=2)
    assert code == -1
    assert why in answer
    assert contacts(server) == ["sip:old@h"]


def test_an_old_contact_refuses_the_new_ones_beside_it() -> None:
    server = make()
    save(server, "<sip:old@h>", cseq=10)
    assert save(server, ["<sip:new@h>", "<sip:old@h>"], cseq=9)[0] == -1
    assert contacts(server) == ["sip:old@h"]


def test_what_is_not_registered_is_not_answered_200() -> None:
    """Kamailio answers 200 to a broken To and to a broken reg-id, though it keeps nothing."""
    server = make()
    assert "400 Bad Request" in save(server, "<sip:1@h>", to="<nonsense>")[1]
    assert "400 Bad Request" in save(server, '<sip:1@h>;+sip.instance="<x>";reg-id=x')[1]


@pytest.mark.parametrize("seconds", [2**31, 3_000_000_000, 2**32 - 1])
def test_a_far_end_is_no_past(seconds: int) -> None:
    server = make()
    assert f";expires={2**31 - 1}" in save(server, f"<sip:1@h>;expires={seconds}")[1]
    assert contacts(server) == ["sip:1@h"]


@pytest.mark.parametrize(
    ("contact", "header", "to"),
    [
        ("<sip:a\r\n b@h>", "X: y", ""),
        ("<sip:u@h;x=\r\n Evil: yes>", "X: y", ""),
        ("<sip:1@h>", "Path: <sip:p;lr;received=sip:1.1.1.1%0D%0AEvil:%20yes>", ""),
        ("<sip:1@h>", "X: y", "<sip:b%0d%0aEvil: yes@x>"),
        ("<sip:1@h>", "X: y", "<sip:b%0aEvil@x>"),
    ],
)
def test_nothing_breaks_the_lines_of_later_messages(contact: str, header: str, to: str) -> None:
    server = make(use_path=1, path_mode=0, path_use_received=1)
    code, answer = save(server, contact, header, to=to)
    assert code == -1
    assert "400 Bad Request" in answer
    assert "Evil" not in answer.replace("Evil: yes@x", "").replace("Evil@x", "")


# ---- beyond Kamailio 5.6


@pytest.mark.parametrize(
    ("contact", "mode", "found"),
    [
        ("<sip:1@@CALLER>", 0, 1),
        ("<sip:1@127.0.0.1:99>", 0, -1),
        ("<sip:1@127.0.0.1:99>", 1, 1),
        ("<sip:1@@CALLER;transport=tcp>", 0, -1),
        ("<sip:1@@CALLER;transport=tcp>", 2, 1),
        ("<sip:1@10.9.9.9>", 3, -1),
        ("<sip:1@example.com>", 3, -1),
    ],
)
def test_from_a_user(contact: str, mode: int, found: int) -> None:
    server = make()
    save(server, contact)
    call = f'out.append(KSR.registrar.reg_from_user("location", "sip:bob@x", {mode}))'
    assert server.run(call, request()).out == [found]
    assert server.run(call.replace("bob", "nobody"), request()).out == [-1]
    assert server.run(call.replace("sip:bob@x", "nonsense"), request()).out == [-1]


def test_the_received_address_is_the_users() -> None:
    server = make(received_avp="$avp(r)")
    save(server, "<sip:1@10.9.9.9>", code='KSR.pv.sets("$avp(r)", "sip:@CALLER")\n' + SAVE)
    assert server.run('out.append(KSR.registrar.reg_from_user("location", "sip:bob@x", 0))', request()).out == [1]


def test_lookup_into_xavps() -> None:
    server = make()
    save(server, ["<sip:1@h>;q=0.5", "<sip:2@h>"])
    code = """
out.append(KSR.registrar.lookup_xavp("location", "sip:bob@x", "rx", "cx"))
out += [KSR.pv.get("$xavp(rx=>%s)" % name) for name in ("aor", "domain", "count")]
out += [KSR.pv.get("$xavp(cx[%d]=>addr)" % i) for i in range(3)]
out += [KSR.pv.get("$xavp(cx[0]=>%s)" % name) for name in ("q", "path", "instance", "nothing")]
out += [KSR.registrar.lookup_xavp("location", uri, "rx", "cx") for uri in ("sip:nobody@x", "nonsense")]
"""
    outcome = server.run(code, request())
    assert outcome.out == [1, "bob", "location", 2, "sip:1@h", "sip:2@h", None, 500, "", None, None, -1, -3]


def test_reading_fetched_contacts() -> None:
    server = make()
    save(server, ["<sip:1@h>;q=0.5", "<sip:2@h>"])
    code = """
KSR.registrar.reg_fetch_contacts("location", "sip:bob@x", "p")
r, c = KSR.registrar.ulc_rget, KSR.registrar.ulc_cget
out += [r("p", "aor"), r("p", "count"), r("p", "addr"), r("none", "aor"), c("p", "addr", 1), c("p", "q", 0)]
out += [c("p", "addr", 2), c("p", "aor", 0), c("none", "addr", 0)]
"""
    assert server.run(code, request()).out == ["bob", 2, None, None, "sip:2@h", 500, None, None, None]


def test_fetched_contacts_stay_as_they_were() -> None:
    server = make()
    save(server, "<sip:1@h>;q=0.5")
    code = """
KSR.registrar.reg_fetch_contacts("location", "sip:bob@x", "p")
KSR.registrar.unregister("location", "sip:bob@x")
out += [KSR.pv.get("$ulc(p=>addr)"), KSR.registrar.registered_uri("location", "sip:bob@x")]
"""
    assert server.run(code, request()).out == ["sip:1@h", -1]


def test_a_contact_variable_of_no_attribute() -> None:
    server = make()
    for name in ("p=>nothing", "p", "=>addr"):
        assert server.run(f'out.append(KSR.pv.get("$ulc({name})"))', request()).out == [None]


def test_tables_and_profiles_are_bounded() -> None:
    server = make()
    message = register("bob@x", 1)
    many = 'codes = [KSR.registrar.save(f"t{i}", 2) for i in range(70)]\nout += [codes.count(1), codes.count(-1)]'
    assert server.run(many, message).out == [64, 6]
    many = """
codes = [KSR.registrar.reg_fetch_contacts("t0", "sip:bob@x", f"p{i}") for i in range(70)]
out += [codes.count(1), codes.count(-1)]
"""
    assert server.run(many, request()).out == [64, 6]


def test_more_contacts_than_branches() -> None:
    server = make()
    save(server, [f"<sip:{i}@h>" for i in range(80)])
    code = 'out += [KSR.registrar.lookup("location"), KSR.pv.get("$branch(count)")]'
    code_, count = server.run(code, request(uri="sip:bob@x")).out
    assert code_ == 1
    assert count <= 64


# ---- parameters


def test_random_expires() -> None:
    server = make(default_expires=1000, default_expires_range=50, expires_range=20)
    seen = {"Expires: 1000": [], "X: y": []}  # type: ignore[var-annotated]
    for cseq in range(1, 60):
        for header, found in seen.items():
            _, answer = save(server, "<sip:1@h>", header, cseq=cseq, aor=f"{len(header)}@x")
            found.append(int(answer.split(";expires=")[1].split("\r")[0]))
    asked, default = seen.values()
    assert all(800 <= n <= 1000 for n in asked)
    assert min(asked) < 900
    assert all(500 <= n <= 1000 for n in default)
    assert min(default) < 700
    exact = 'out.append(KSR.registrar.save("location", 8))'
    assert ";expires=1000" in save(server, "<sip:1@h>", cseq=100, code=exact)[1]


def test_longest_contact() -> None:
    server = make(contact_max_size=20)
    assert save(server, f"<sip:{'1' * 16}>")[0] == 1
    assert "Contact/received too long" in save(server, f"<sip:{'1' * 17}>", cseq=2)[1]


@pytest.mark.parametrize(
    "given",
    [
        {"flow_timer": 5},
        {"received_avp": "nonsense("},
        {"path_mode": 3},
        {"default_q": 2000},
        {"outbound_mode": 3},
        {"expires_range": 101},
        {"lookup_filter_mode": 4},
        {"contact_max_size": 0},
    ],
    ids=str,
)
def test_parameters_that_can_not_be(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        make(**given)


def test_statistics() -> None:
    server = make(max_contacts=1)
    save(server, "<sip:1@h>")
    save(server, "<sip:2@h>", cseq=2)
    value = server.node.statistics.value
    assert value("registrar", "accepted_regs") == 1
    assert value("registrar", "rejected_regs") == 1
    assert value("registrar", "max_contacts") == 1
    assert value("usrloc", "location_contacts") == 1
    assert value("usrloc", "registered_users") == 1


# ---- whatever comes


@given(st.binary(max_size=12))
def test_q_never_leaves_its_range(value: bytes) -> None:
    with contextlib.suppress(Refused):
        assert 0 <= parse_q(value) <= 1000


@given(st.text("0123459.x", max_size=6))
def test_q_is_what_the_grammar_says(value: str) -> None:
    """RFC 3261 §25.1's qvalue, any number of digits; Kamailio takes a bare fraction and more zeros, too."""
    fits = re.fullmatch(r"0+(\.\d+)?|\.\d+|0*1(\.0+)?", value)
    if fits is None:
        with pytest.raises(Refused):
            parse_q(value.encode())
    else:
        assert parse_q(value.encode()) == int(Decimal(value) * 1000)


@given(st.lists(st.sampled_from([*METHOD_BITS, b"FOO", b"invite"]), min_size=1))
def test_method_masks(names: list[bytes]) -> None:
    mask = method_mask(b", ".join(names))
    assert mask == sum({METHOD_BITS.get(name.upper(), OTHER_METHOD) for name in names})


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(TEXT | st.sampled_from(["<sip:1@h>", "<sip:1@h>;q=0.5;expires=9", "*"]), max_size=3),
    st.lists(TEXT, max_size=2),
    TEXT | st.sampled_from(["sip:bob@x", "<sip:b%61b@x>", "<tel:1>"]),
)
def test_nothing_raises_whatever_a_register_says(given: list[str], headers: list[str], to: str) -> None:
    server = _SERVER
    names = ["Expires", "Path", "Allow", "Supported", "Require", "User-Agent"]
    lines = [f"{names[i % 6]}: {value}" for i, value in enumerate(headers)]
    message = register("bob@x", 1, given, *lines, to=to)
    out = server.run(SAVE + '\nout.append(KSR.registrar.lookup("location"))', message).out
    assert out is None or all(isinstance(code, int) for code in out), out


_SERVER = make(use_path=1, path_mode=1, outbound_mode=1)
