"""The functions directly under KSR, against Kamailio."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from twin import FORWARD, FORWARD_TCP, Ours, Pair, needs_kamailio, pair, request

from kahea.modules.core import transport
from kahea.routing.generation import Generation
from kahea.routing.run import Run

METHODS = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "MESSAGE",
    "OPTIONS",
    "REGISTER",
    "SUBSCRIBE",
    "PUBLISH",
    "NOTIFY",
    "UPDATE",
    "PRACK",
    "REFER",
    "INFO",
    "KDMQ",
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "FOO",
]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory) as made:
        yield made


KIND = """
letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz09"
out.append("".join(c for c in letters if KSR.is_method_in(c)))
out.append([m for m in {methods} if getattr(KSR, "is_" + m, bool)()])
out.append([KSR.is_method(m) for m in ("INVITE", "invite", "ACK|BYE", "OPTIONS|INFO", "")])
out.append([KSR.is_method_in(x) for x in ("IABC", "XYZ", "?I", "")])
protos = ("UDP", "TCP", "TLS", "SCTP", "WS", "WSS", "WSX")
out.append([p for p in protos if getattr(KSR, "is_" + p)()])
out.append([p for p in protos if getattr(KSR, "to_" + p)()])
out.append([KSR.is_IPv4(), KSR.is_IPv6(), KSR.to_IPv4(), KSR.to_IPv6()])
out.append([c for c in letters if KSR.is_proto(c)])
out.append([KSR.is_proto(x) for x in ("udp", "UDP", "tcp", "TU", "", "stu", "ETSWVU")])
"""


@needs_kamailio
@pytest.mark.parametrize("at", ["@UDP", "@TCP"])
@pytest.mark.parametrize("method", METHODS)
def test_what_a_request_is(plain: Pair, method: str, at: str) -> None:
    theirs, ours = plain.both(KIND.format(methods=METHODS), request(method), at)
    assert ours.out == theirs.out


REPLY = (
    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP @UDP;branch=z9hG4bKa\r\nVia: SIP/2.0/UDP @SINK;branch=z9hG4bKb\r\n"
    "From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>;tag=2\r\nCall-ID: c\r\nCSeq: 1 {}\r\nContent-Length: 0\r\n\r\n"
)


@needs_kamailio
@pytest.mark.parametrize("method", ["INVITE", "KDMQ", "INFO"])
def test_a_reply_counts_by_its_cseq(plain: Pair, method: str) -> None:
    plain.same(KIND.format(methods=METHODS), REPLY.format(method))


@needs_kamailio
@pytest.mark.parametrize("uri", [
    "sip:192.0.2.1", "sip:192.0.2.1;transport=tcp", "sips:192.0.2.1", "sip:192.0.2.1;transport=ws",
    "sip:192.0.2.1;transport=tls", "sip:[::1]:5;transport=sctp", "sip:example.org", "garbage", "",
    "sips:192.0.2.1;transport=tcp", "sip:192.0.2.1;transport=foo",
])  # fmt: skip
def test_where_it_goes(plain: Pair, uri: str) -> None:
    names = [f"to_{x}" for x in ("UDP", "TCP", "TLS", "SCTP", "WS", "WSS", "WSX", "IPv4", "IPv6")]
    plain.same(f"KSR.setdsturi({uri!r})\nout.append([getattr(KSR, x)() for x in {names}])", request())


MYSELF = [
    "sip:@UDP",
    "sip:127.0.0.1",
    "sip:127.0.0.1:1",
    "sip:example.com",
    "sip:example.com:5090",
    "sip:u@EXAMPLE.com",
    "sip:u@example.com;transport=tcp",
    "sip:twin.example.org",
    "sip:twin.example.org:5070",
    "127.0.0.1",
    "@UDP",
    "sip:twin.example.org:5070;transport=tcp",
    "tel:+1",
    "sips:@UDP",
    "garbage",
    "",
    "udp:@UDP",
    "udp:127.0.0.1",
    "sip:@TCP;transport=tcp",
    "sip:@TCP;transport=udp",
    "sip:x.example.com",
    "example.com",
]


@needs_kamailio
def test_myself(plain: Pair) -> None:
    plain.same(f"for u in {MYSELF}:\n    out.append([u, KSR.is_myself(u)])", request())
    names = [f"is_myself_{x}" for x in ("ruri", "furi", "turi", "srcip", "suri", "duri", "nhuri")]
    ask = f"out.append([getattr(KSR, x)() for x in {names}])"
    for uri in ("sip:bob@example.com", "sip:bob@192.0.2.1", "tel:+1"):
        plain.same(ask, request(uri=uri))
        plain.same(f"KSR.setdsturi('sip:@UDP')\n{ask}", request(uri=uri))
        plain.same(f"KSR.setdsturi('sip:192.0.2.1')\n{ask}", request(uri=uri))
    plain.same(ask, REPLY.format("INVITE"))


FLAGS = """
for name in ("flag", "sflag", "bflag"):
    for f in (1, 0, 31, 32, -1):
        out.append([getattr(KSR, op.format(name))(f) for op in ("is{}set", "set{}", "is{}set")])
    out.append([getattr(KSR, op.format(name))(1) for op in ("reset{}", "is{}set")])
out.append([KSR.setbiflag(1, 0), KSR.isbflagset(1), KSR.setbiflag(1, 1), KSR.isbiflagset(1, 1)])
KSR.corex.append_branch_uri("sip:x@y")
out.append([KSR.setbiflag(3, 1), KSR.isbiflagset(3, 1), KSR.isbiflagset(2, 1), KSR.isbiflagset(3, 2)])
out.append([KSR.resetbiflag(3, 1), KSR.isbiflagset(3, 1), KSR.setbiflag(1, -1), KSR.setbiflag(40, 1)])
"""


@needs_kamailio
def test_flags(plain: Pair) -> None:
    plain.same(FLAGS, request())


def test_every_flag_is_its_own_bit() -> None:
    ours = Ours()
    code = "for f in range(32):\n    KSR.setflag(f)\n    KSR.setsflag(f)\n    KSR.setbflag(f)\n"
    code += "out.append(all(KSR.isflagset(f) and KSR.issflagset(f) and KSR.isbflagset(f) for f in range(32)))"
    assert ours.run(code, request()).out == [True]


RURI = """
changes = ("setuser", "carol"), ("setuser", ""), ("sethost", "h.org"), ("sethost", "[::1]"), ("setuser", "x")
for f, a in changes:
    {again}
    out.append([f, a, getattr(KSR, f)(a), KSR.pv.get("$ru")])
"""


@needs_kamailio
@pytest.mark.parametrize("again", ["pass", "KSR.seturi('{}')"])
@pytest.mark.parametrize("uri", [
    "sip:example.com", "sip:example.com:5060;a=b", "sip:bob:pw@example.com:5070;transport=tcp?x=y",
    "sips:b@c",    "sip:b@[::1]:5;q", "sip:a;x=1@b",
])  # fmt: skip
def test_the_request_uri(plain: Pair, uri: str, again: str) -> None:
    plain.same(RURI.format(again=again.format(uri)) + FORWARD, request(uri=uri))


@needs_kamailio
@pytest.mark.parametrize("uri", ["tel:+123;x=y", "tel:+1"])
def test_numbers_in_the_request_uri(plain: Pair, uri: str) -> None:
    for call in ("setuser('carol')", "sethost('h.org')", "sethost('h.org:99')"):
        plain.same(f"out.append([KSR.{call}, KSR.pv.get('$ru')])" + FORWARD, request(uri=uri))


@needs_kamailio
def test_the_destination_uri(plain: Pair) -> None:
    code = """
def show(*what):
    out.append([*what, KSR.isdsturiset(), KSR.pv.get("$du")])
show()
show(KSR.setdsturi("sip:192.0.2.1"))
show(KSR.setdsturi("garbage"))
show(KSR.setdsturi(""))
show(KSR.setdsturi("sip:192.0.2.2"), KSR.resetdsturi(), KSR.resetdsturi())
"""
    plain.same(code, request())


@needs_kamailio
@pytest.mark.parametrize("code", [
    "out.append(KSR.force_rport())",
    "out.append(KSR.add_local_rport())",
    "out.append([KSR.set_advertised_address('192.0.2.7'), KSR.set_advertised_port('5999')])",
    "out.append(KSR.set_advertised_address('192.0.2.7'))\nout.append(KSR.set_advertised_address(''))",
    "out.append(KSR.set_advertised_port('5999'))\nKSR.rr.record_route()",
    "out.append([KSR.add_tcp_alias(5), KSR.add_tcp_alias_via()])",
    "out.append([KSR.set_forward_close(), KSR.set_forward_no_connect()])",
    "out.append([KSR.set_reply_close(), KSR.set_reply_no_connect()])",
    "out.append([KSR.set_drop()])",
    "out.append(KSR.is_src_port(1) or KSR.is_dst_port(1))",
])  # fmt: skip
@pytest.mark.parametrize("forward", [FORWARD, FORWARD_TCP], ids=["udp", "tcp"])
def test_transport(plain: Pair, code: str, forward: str) -> None:
    theirs, ours = plain.both(code.replace("out.append([KSR.set_drop()])", "KSR.set_drop()") + forward, request())
    assert ours == theirs


@needs_kamailio
def test_forwarding(plain: Pair) -> None:
    plain.same("out.append(KSR.forward_uri('sip:@SINK'))", request(uri="sip:bob@192.0.2.1"))
    plain.same("out.append(KSR.forward())", request(uri="sip:bob@@SINK;x=y"))


def test_advertised_ports_are_numbers() -> None:
    """Kamailio writes whatever it is given into the Via."""
    outcome = Ours().run("out.append([KSR.set_advertised_port(p) for p in ('x', '0', '65536', '1')])", request())
    assert outcome.out == [[-1, -1, -1, 1]]


def test_a_connection_is_marked_for_the_transport() -> None:
    ours = Ours()
    seen: list[object] = []

    def route(run: Run) -> None:
        ours.ksr.set_forward_close()
        ours.ksr.set_reply_no_connect()
        seen.append(run.msg.facets["send_flags"])

    ours.node.use(Generation(lambda _name: None, request=route))
    ours.receive(request())
    assert seen == [transport.FORWARD_CLOSE | transport.REPLY_NO_CONNECT]


def test_routes_run_in_place() -> None:
    ours = Ours()
    order: list[str] = []

    def inner(run: object) -> int:
        order.append("inner")
        return 7

    def outer(run: object) -> None:
        order.append(f"{ours.ksr.route('inner')} {ours.ksr.route('nope')}")

    ours.node.use(Generation({"inner": inner}.get, request=outer))
    ours.receive(request())
    assert order == ["inner", "7 -1"]


LEVELS = ["crit", "err", "warn", "notice", "info", "dbg"]


@pytest.mark.parametrize("debug", [-3, -1, 0, 1, 2, 3])
def test_the_log_is_filtered_by_debug(debug: int, caplog: pytest.LogCaptureFixture) -> None:
    ours = Ours(debug=debug)
    caplog.set_level(logging.DEBUG, "kahea.script")
    code = f"for n in {LEVELS}:\n    getattr(KSR, n)(n + '\\n')\n    KSR.log(n, 'log ' + n)\n"
    ours.run(code + "KSR.log('other', 'log other')\nout.append(KSR.get_debug())", request())
    shown = [r.getMessage() for r in caplog.records if r.name == "kahea.script"]
    wanted = [n for level, n in zip((-2, -1, 0, 1, 2, 3), LEVELS, strict=True) if level <= debug]
    assert [m for m in shown if not m.startswith("log ")] == wanted
    assert [m for m in shown if m.startswith("log ") and m != "log other"] == [f"log {n}" for n in wanted]
    assert ("log other" in shown) == (debug >= -1)
