"""Module `corex` against Kamailio."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twin import FORWARD, Ours, Pair, needs_kamailio, pair, request

from kahea.modules.corex.branches import parse_q
from kahea.modules.corex.dns import Entry, parse_entry, pin
from kahea.modules.corex.files import MAX_FILE
from kahea.net.dns_records import Answer, Srv
from kahea.net.resolver import Resolver
from kahea.routing.module import ConfigError, RpcError


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory) as made:
        yield made


SHOW = """
fields = ("uri", "dst_uri", "path", "q", "send_socket", "flags")
for i in range(3):
    out.append([KSR.pv.get(f"$(branch({f})[{i}])") for f in fields])
out.append([KSR.pv.get(x) for x in ("$ru", "$du", "$bf", "$fs")])
"""
BRANCHES = [
    "append_branch()",
    "append_branch_uri('sip:a@b')",
    "append_branch_uri('')",
    "append_branch_uri('garbage')",
    *(f"append_branch_uri_q('sip:a@b', {q!r})" for q in ("0.5", "1", "0", "1.1", "x", "", ".5", "0.1234", "0.")),
    "append_branch_uri_q('', '0.3')",
]
BEFORE = "KSR.setdsturi('sip:192.0.2.1')\nKSR.setbflag(3)\nKSR.corex.set_send_socket_name('second')\n"


@needs_kamailio
@pytest.mark.parametrize("before", ["", "KSR.seturi('sip:new@192.0.2.3')\n", BEFORE])
@pytest.mark.parametrize("call", BRANCHES)
def test_branches(plain: Pair, call: str, before: str) -> None:
    plain.same(f"{before}out.append(KSR.corex.{call}){SHOW}", request())


@needs_kamailio
def test_there_is_a_limit_of_branches(plain: Pair) -> None:
    plain.same("out.append([KSR.corex.append_branch_uri(f'sip:a{i}@b') for i in range(15)])", request())


@pytest.mark.parametrize(
    ("text", "q"),
    [
        ("1", 1000),
        ("0.5", 500),
        (" 0.05 ", 50),
        ("00.5", 500),
        ("1.000", 1000),
        ("-1", None),
        ("2", None),
        (".", None),
    ],
)
def test_q_values(text: str, q: int | None) -> None:
    assert parse_q(text) == q


@needs_kamailio
def test_extended_flags(plain: Pair) -> None:
    code = "for f in (0, 1, 31, 32, 63, 64, -1):\n    out.append([getattr(KSR.corex, n)(f) for n in names])"
    names = ("isxflagset", "setxflag", "isxflagset", "resetxflag", "isxflagset", "setxflag")
    plain.same(f"names = {names}\n{code}\nout.append([KSR.corex.isxflagset(n) for n in range(64)])", request())


@needs_kamailio
@pytest.mark.parametrize("uri", ["sip:a@b", "sip:b", "tel:+1"])
@pytest.mark.parametrize("headers", ["", "User-Agent: x\r\n", "User-Agent: \r\n"])
def test_small_questions(plain: Pair, uri: str, headers: str) -> None:
    code = "out.append([KSR.corex.has_ruri_user(), KSR.corex.has_user_agent(), KSR.corex.is_faked_msg()])"
    plain.same(code, request(uri=uri, headers=headers))


SOCKETS = [
    "udp:@SECOND",
    "@SECOND",
    "second",
    "tcp:@TCP",
    "udp:192.0.2.9:5060",
    "garbage",
    "",
    "udp:127.0.0.1:1",
]


@needs_kamailio
@pytest.mark.parametrize("which", SOCKETS)
def test_sockets(plain: Pair, which: str) -> None:
    after = "out.append([KSR.pv.get(x) for x in ('$fs', '$fsn', '$Ru', '$Rn', '$pr', '$Ri')])"
    for name in ("set_send_socket", "set_recv_socket", "set_send_socket_name", "set_recv_socket_name"):
        plain.same(f"out.append(KSR.corex.{name}({which!r}))\n{after}", request())
    plain.same(f"out.append(KSR.corex.is_socket_name({which!r}))", request())
    plain.same("out.append(KSR.corex.is_socket_name('SECOND'))", request())


@needs_kamailio
def test_sending_by_another_socket(plain: Pair) -> None:
    call = "out.append(KSR.corex.set_send_socket_name('second'))"
    plain.same(f"{call}\nKSR.rr.record_route(){FORWARD}", request())


@needs_kamailio
@pytest.mark.parametrize(
    "source",
    [
        "udp:192.0.2.1:5080",
        "192.0.2.1:5080",
        "192.0.2.1",
        "tcp:192.0.2.1:99",
        "",
        "192.0.2.1:0",
        "a.invalid:5060",
    ],
)
def test_source_address(plain: Pair, source: str) -> None:
    after = "out.append('{}:{}'.format(*[KSR.pv.get(x) for x in ('$si', '$sp')]))"
    plain.same(f"out.append(KSR.corex.set_source_address({source!r}))\n{after}", request())


@needs_kamailio
def test_data_is_sent_as_it_is(plain: Pair) -> None:
    assert plain.same("out.append(KSR.corex.send_data('sip:@SINK', 'hello'))", request()).sink == ["hello"]
    plain.same("out.append(KSR.corex.send_data('bad', 'hello'))", request())
    plain.same("out.append(KSR.corex.sendx('sip:@SINK', 'udp:@SECOND', 'two'))", request())
    plain.same("out.append(KSR.corex.sendx('sip:@SINK', 'udp:192.0.2.9:1', 'three'))", request())
    plain.same("out.append(KSR.corex.sendx('sip:@SINK', '', 'four'))", request())


def test_sendx_uses_its_socket() -> None:
    ours = Ours()
    ours.run("out.append(KSR.corex.sendx('sip:@SINK', 'udp:@SECOND', 'two'))", request())
    assert [data for _, data in ours.wires["@SECOND"].sent] == [b"two"]


@needs_kamailio
def test_files(plain: Pair, tmp_path: Path) -> None:
    written, there = tmp_path / "written", tmp_path / "there"
    there.write_text("hello\nwörld")
    code = f"out.append([KSR.corex.file_write({str(written)!r}, x) for x in ('abc', 'dé', '')])\n"
    for path in (str(there), str(written), "/nonexistent", ""):
        code += f"out.append(KSR.corex.file_read({path!r}))\n"
    code += "out.append(KSR.corex.file_write('/nonexistent/x', 'a'))"
    plain.same(code, request())


def test_large_files_are_refused(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(MAX_FILE + 1))
    assert Ours().run(f"out.append(KSR.corex.file_read({str(large)!r}))", request()).out == [""]


@needs_kamailio
def test_server_id_in_via(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pair(tmp_path_factory, extra="server_id=77") as both:
        both.ours.node.settings.server_id = 77
        both.same("out.append(KSR.corex.via_add_srvid(1))\nKSR.add_local_rport()" + FORWARD, request())
        both.same("out.append([KSR.corex.via_add_srvid(n) for n in (1, 0)])" + FORWARD, request())


def _via(code: str, **settings: Any) -> str:
    return Ours(**settings).run(code + FORWARD, request()).sink[0].split("\r\n")[1]


def test_via_parameters_of_an_xavp() -> None:
    """As documented; Kamailio 5.6.3 itself adds nothing."""
    code = """
KSR.corex.via_add_xavp_params(1)
KSR.pv.sets("$xavp(v=>a)", "1")
KSR.pv.sets("$xavp(v[0]=>b)", "xyz")
"""
    assert _via(code, xavp_via_params="v") == "Via: SIP/2.0/UDP @UDP;branch=B;a=1;b=xyz"
    assert _via(code, xavp_via_params="other") == "Via: SIP/2.0/UDP @UDP;branch=B"
    assert _via(code + "KSR.corex.via_add_xavp_params(0)", xavp_via_params="v") == "Via: SIP/2.0/UDP @UDP;branch=B"


def test_via_address_of_an_xavp() -> None:
    code = """
KSR.pv.sets("$xavp(v=>address)", "192.0.2.1")
KSR.pv.sets("$xavp(v[0]=>port)", "5999")
KSR.corex.via_use_xavp_fields(1)
"""
    assert _via(code, xavp_via_fields="v") == "Via: SIP/2.0/UDP 192.0.2.1:5999;branch=B"


@pytest.mark.parametrize(
    ("call", "branch"),
    [
        ("forward_uac()", ""),
        ("forward_uac_branch(7)", ".7"),
        ("forward_uac_uri('sip:@SINK')", ""),
        ("forward_uac_uri_branch('sip:@SINK', 7)", ".7"),
    ],
)
def test_forwarding_as_a_user_agent(call: str, branch: str) -> None:
    ours = Ours()
    code = "KSR.setdsturi('sip:@SINK')\nKSR.rr.record_route()\nKSR.hdr.append('X-A: 1\\r\\n')\n"
    code += f"out.append(KSR.corex.{call})"
    outcome = ours.run(code, request(headers="Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n"))
    assert outcome.out == [1]
    lines = outcome.sink[0].split("\r\n")
    assert [x for x in lines if x.startswith("Via")] == ["Via: SIP/2.0/UDP @UDP;branch=B"]
    assert "X-A: 1" in lines
    assert any(x.startswith("Record-Route: ") for x in lines)
    wire = ours.wires["@UDP"].sent[0][1].decode()
    assert re.search(r"Via: [^\r]*;branch=z9hG4bK[^\r.]*\.s([.]7)?\r", wire)[1] == (branch or None)  # type: ignore[index]
    # The message is as it was: it can go on to where it was meant for.
    again = ours.run(code + "\nKSR.forward()", request())
    assert again.sink[1].count("\r\nVia: ") == 2


def test_parameters_of_the_top_via_in_replies() -> None:
    ours = Ours(xavp_via_reply_params="rpl")
    code = "KSR.corex.via_reply_add_xavp_params(1)\nKSR.pvx.xavp_sets('rpl', 'x')\n"
    code += "KSR.pvx.xavp_child_sets('rpl', 'a', '1')\n"
    reply = ours.run(code + "KSR.sl.sl_send_reply(404, 'No')", request()).caller[0]
    assert "\r\nVia: SIP/2.0/UDP @CALLER;branch=B;a=1\r\n" in reply
    code += "KSR.corex.via_reply_add_xavp_params(0)\n"
    assert ";a=1" not in ours.run(code + "KSR.sl.sl_send_reply(404, 'No')", request()).caller[0]
    relayed = ours.run(
        "KSR.pvx.xavp_child_sets('rpl', 'a', '1')\nKSR.corex.via_reply_add_xavp_params(1)",
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP @UDP;branch=z9hG4bKa\r\nVia: SIP/2.0/UDP @SINK;branch=z9hG4bKb\r\n"
        "From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
    )
    assert "\r\nVia: SIP/2.0/UDP @SINK;branch=B;a=1\r\n" in relayed.sink[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [("dns_file", "x"), ("evcb_reply_out", "f")],
)
def test_parameters_without_effect_are_refused(name: str, value: int | str) -> None:
    with pytest.raises(ConfigError, match="not supported yet"):
        Ours({"corex": {name: value}})


@needs_kamailio
def test_subdomains_are_myself(tmp_path_factory: pytest.TempPathFactory) -> None:
    uris = [
        "sip:sub.test",
        "sip:a.sub.test:77",
        "sip:a.b.sub.test;transport=tcp",
        "sip:xsub.test",
        "sip:a.udp.test",
    ]
    uris += [
        "sip:a.udp.test:5060",
        "sip:a.udp.test:5061",
        "sip:a.udp.test:5060;transport=tcp",
        "sip:udp.test:5060",
    ]
    extra = 'modparam("corex", "alias_subdomains", "udp:udp.test:5060")'
    with pair(tmp_path_factory, {"corex": {"alias_subdomains": "sub.test"}}, extra) as both:
        both.ours.node.myself.add_subdomains("udp:udp.test:5060")
        for uri in uris:
            both.same(f"out.append([{uri!r}, KSR.is_myself({uri!r})])", request())


RECORDS = {
    "type=A;name=a.test;addr=192.0.2.1": Entry("a.test", "A", "192.0.2.1", 0),
    "type=AAAA;name=A.test;addr=2001:db8::1;ttl=60": Entry("a.test", "AAAA", "2001:db8::1", 60),
    "type=A;name=a.test;addr=192.0.2.2;ttl=60;flags=2": Entry("a.test", "A", "192.0.2.2", 0),
    "type=A;name=no.test;flags=1": Entry("no.test", "A", None, 0),
    "type=SRV;name=_sip._udp.test;addr=a.test;port=5070;priority=1;weight=2;": Entry(
        "_sip._udp.test", "SRV", Srv(1, 2, 5070, "a.test"), 0
    ),
}


@pytest.mark.parametrize("text", RECORDS)
def test_dns_records(text: str) -> None:
    assert parse_entry(text) == RECORDS[text]


@pytest.mark.parametrize("text", [
    "", "x", "type=A;name=a.test;addr=nope", "type=A;name=a.test;addr=::1", "type=TXT;name=a.test;addr=x",
    "type=A;name=a b;addr=192.0.2.1", "type=A;name=a.test;addr=192.0.2.1;ttl=x", "type=A;who=1",
])  # fmt: skip
def test_bad_dns_records_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"corex\.dns_cache"):
        Ours({"corex": {"dns_cache": text}})


def test_dns_records_answer_until_their_time() -> None:
    resolver = Resolver(Ours().node.settings)
    left = pin(resolver, RECORDS.values())
    assert left == [(60, "a.test", "AAAA")]
    assert resolver.cache.pinned(("a.test", "A")) == Answer(("192.0.2.1", "192.0.2.2"))
    assert resolver.cache.pinned(("no.test", "A")) == Answer(())
    with pytest.raises(ConfigError, match="no resolver"):
        Ours({"corex": {"dns_cache": "type=A;name=a.test;addr=192.0.2.1"}})


def test_rpc() -> None:
    ours = Ours()
    rpcs = ours.node.registry.rpcs
    assert rpcs["corex.debug"].call() == {"debug": 0}
    assert rpcs["corex.debug"].call(2) == {"old": 0, "new": 2}
    assert ours.node.settings.debug == 2
    with pytest.raises(RpcError):
        rpcs["corex.debug"].call(77)
    sockets = rpcs["corex.list_sockets"].call()
    assert [(s["PROTO"], s["PORT"], s["SOCKNAME"]) for s in sockets] == [
        ("udp", "15060", "-"),
        ("tcp", "15062", "-"),
        ("udp", "15061", "second"),
    ]
    aliases = rpcs["corex.list_aliases"].call()
    assert {"PROTO": "*", "ADDR": "example.com", "PORT": 0} in aliases
    assert {"PROTO": "udp", "ADDR": "twin.example.org", "PORT": 5070} in aliases
