"""What later versions of Kamailio have and 5.6.3 lacks or gets wrong: by documentation and known vectors."""

from __future__ import annotations

import hashlib

import pytest

from kahea.routing.lists import lists_of
from kahea.routing.module import Value
from kahea.routing.transformations.keccak import keccak

from .conftest import Bench
from .corpus import INVITE, REGISTER


@pytest.mark.parametrize(
    ("value", "chain", "expected"),
    [
        ("abcdefcgh", "s.rafter,c", "gh"),
        ("abcdefcgh", "s.rafter,q", ""),
        ("abcdefcgh", "s.rbefore,c", "abcdef"),
        ("abcdefcgh", "s.rbefore,q", "abcdefcgh"),
        ("abcdefgh", "s.fmtlines,4,2", "abcd\r\n  efgh"),
        ("abcdefgh", "s.fmtlinet,3,1", "abc\r\n\tdef\r\n\tgh"),
        ("abc", "s.fmtlines,99,1", "abc"),
        ("a b\tc", r"s.select,1,\s", "b"),
        ("a\tb", r"s.select,1,\t", "b"),
        (" a   b c ", "s.selectsw,1", "b"),
        ("a\r\n  b", "s.rmhdws", "a b"),
        ("a\r\n  b", "s.rmhlws", "ab"),
        ("a\r\nb", "s.escape.crlf", "a\\r\\nb"),
        ("a\\r\\nb", "s.unescape.crlf", "a\r\nb"),
        ("12", "s.intv", 12),
        ("x", "s.intv", "x"),
        ("é", "s.byteat,0", 0xC3),
        ("abc", "s.charat,-1", "c"),
        ("abc", "s.charat,3", None),
        ("abc", "s.sha1", hashlib.sha1(b"abc", usedforsecurity=False).hexdigest()),
        ("abc", "s.crc32", "891568578"),
        ("abc", "s.sha3", hashlib.sha3_256(b"abc").hexdigest()),
        ("abc", "s.sha3,512", hashlib.sha3_512(b"abc").hexdigest()),
        ("abc", "s.keccak", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
        ("48656C6c6f", "s.decode.hexa", "Hello"),
        ("c8329bfd06", "s.decode.7bit", "Hello"),
        ("72k1xXWG59fYdzSNoA", "s.decode.base58", "Hello, World!"),
        ('"n" <sip:n@a>', "val.json", '\\"n\\" <sip:n@a>'),
        ('"n"', "val.jsonqe", '"\\"n\\""'),
        (5, "val.jsonqe", 5),
        (None, "val.jsonqe", '""'),
        (None, "val.n0", 0),
        (None, "val.ne", ""),
        ("x", "val.n0", "x"),
        (1234, "num.fdigit", 1),
        (-1234, "num.ldigit", 4),
        ("1234", "num.fdigit", 0),
        (
            "sip:alice@server.com:5060;nat=yes;transport=tcp;line=xyz",
            "uri.duri",
            "sip:server.com:5060;transport=tcp",
        ),
        ("sip:alice@server.com:5060;nat=yes;transport=tcp;line=xyz", "uri.saor", "sip:alice@server.com"),
        ("sip:alice@server.com:5060;transport=tcp;x", "uri.suri", "sip:alice@server.com:5060;transport=tcp"),
        ("sip:a@b;x=1;y;z=2", "uri.rmparam,y", "sip:a@b;x=1;z=2"),
        ("sip:a@b;X=1", "uri.rmparam,x", "sip:a@b"),
        ("5000000000", "s.int", 5000000000),
        ("9223372036854775808", "s.int", None),
    ],
)
def test_transformations(bench: Bench, value: Value, chain: str, expected: Value) -> None:
    run = bench.run()
    if value is not None:
        lists_of(run.msg).avps.push("v", value)
    assert bench.node.variables.compile(f"$(avp(v){{{chain}}})").get(run) == expected


@pytest.mark.parametrize("bits", [224, 256, 384, 512])
@pytest.mark.parametrize("size", [0, 1, 135, 136, 137, 300])
def test_keccak_with_sha3_padding_is_sha3(bits: int, size: int) -> None:
    data = bytes(range(256)) * 2
    assert keccak(data[:size], bits, 0x06) == hashlib.new(f"sha3_{bits}", data[:size]).digest()


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("$Eb", "\\"),
        ("$Ec", ","),
        ("$En", "\n"),
        ("$Eq", '"'),
        ("$Es", " "),
        ("$Et", "\t"),
        ("$ctu", "sip:alice@127.0.0.1:5066;ob"),
        ("$cts", 0),
        ("$tts", 0),
        ("$ful", 48),
        ("$rul", 62),
        ("$defv(NUMBER)", "42"),
        ("$defs(NUMBER)", '"42"'),
        ("$defs(NOPE)", None),
        ("$msg(body_len)", 10),
        ("$via0(params)", "branch=z9hG4bK1;rport"),
        ("$via0(oc)", 0),
        ("$lsock(n/main/listen)", "udp:127.0.0.1:5060"),
        ("$lsock(l/udp:127.0.0.1:5062/advertise)", "udp:192.0.2.9:5099"),
        ("$lsock(n/none/listen)", None),
        ("$lsock(n/main/index)", 0),
        ("$K(IP6)", 10),
        ("$(hfl(Via)[-1])", "SIP/2.0/TLS [2001:db8::1]:5061;branch=z9hG4bK3"),
        ("$hfl(Via)", "SIP/2.0/UDP 127.0.0.1:5066;branch=z9hG4bK1;rport"),
        ("$(hfl(Contact)[1])", "<sip:alice2@127.0.0.1>;expires=30"),
        ("$(hfl(P-Asserted-Identity)[1])", "<tel:+123>"),
        ("$(ai[-1])", "tel:+123"),
        ("$sid", 7),
        ("$iuid", None),
        ("$sel(msg.subject)", "one"),
        ("$sel(authorization.realm)", "realm1"),
        ("$sel(authorization[realm1].username.user)", "auth"),
        ("$sel(proxy_authorization)", None),
        ("$sel(msg.x_multi[2])", "b,c"),
        ("$sel(msg.refer_to.nameaddr.uri.host)", "r.example.com"),
        ("$sel(via[-1].transport)", "TLS"),
        ("$sel(contact.q)", "0.5"),
    ],
)
def test_variables(bench: Bench, expression: str, expected: Value) -> None:
    assert bench.get(expression, INVITE) == expected


def test_contact_star(bench: Bench) -> None:
    assert bench.get("$cts", REGISTER) == 1


def test_shvinc(bench: Bench) -> None:
    run = bench.run()
    get = bench.node.variables.compile("$shvinc(counted)").get
    assert [get(run), get(run)] == [1, 2]
    assert bench.call(run, ["pvx.shvinc_get", "counted"]) == 3
    assert bench.call(run, ["pvx.shvinc_get", "never"]) is None


def test_negative_index_of_avp_counts_from_the_oldest(bench: Bench) -> None:
    run = bench.run()
    for value in ("a", "b", "c"):
        lists_of(run.msg).avps.push("x", value)
    got = [bench.node.variables.compile(f"$(avp(x)[{i}])").get(run) for i in (-1, -3, -4)]
    assert got == ["a", "c", None]


def test_xavp_functions(bench: Bench) -> None:
    run = bench.run()
    for value in "012":
        bench.call(run, ["pv.sets", "$xavp(d=>x)", value])

    def stack() -> list[Value]:
        return [bench.node.variables.compile(f"$xavp(d[{i}]=>x)").get(run) for i in range(3)]

    assert bench.call(run, ["pvx.xavp_lshift", "d", 1]) == 1
    assert stack() == ["1", "0", "2"]
    assert bench.call(run, ["pvx.xavp_lshift", "d", -1]) == 1
    assert stack() == ["2", "1", "0"]
    assert bench.call(run, ["pvx.xavp_copy_dst", "d", 2, "d", 0]) == 1
    assert stack() == ["0", "1", "0"]
    assert bench.call(run, ["pvx.xavp_copy_dst", "d", 0, "d", 9]) == -1
    assert bench.call(run, ["pvx.xavp_get_keys", "d", 0]) == ["x"]
    assert bench.call(run, ["pvx.xavp_getd", "d"]) == [{"x": ["0"]}, {"x": ["1"]}, {"x": ["0"]}]
    assert bench.call(run, ["pvx.xavp_getd_p1", "d", 1]) == {"x": ["1"]}
    assert bench.call(run, ["pvx.xavp_rm_all", "d"]) == 1
    assert bench.call(run, ["pvx.xavp_getd", "d"]) is None
    assert bench.call(run, ["pvx.xavp_xparams_explode", "a=1|b=2", "|", "p"]) == 1
    assert bench.call(run, ["pvx.xavp_params_implode_qval", "p", "$var(o)"]) == 1
    assert run.vars["o"] == 'a="1";b="2";'
    assert bench.call(run, ["pvx.xavu_params_explode", "a=1;b=2", "u"]) == 1
    assert bench.call(run, ["pvx.xavu_params_implode", "u", "$var(o)"]) == 1
    assert run.vars["o"] == "a=1;b=2;"
    assert bench.call(run, ["pvx.xavp_push_dst", "none"]) == -1


def test_whole_numbers_have_64_bits(bench: Bench) -> None:
    run = bench.run()
    assert bench.call(run, ["pv.setl", "$var(x)", 1 << 40])
    assert bench.call(run, ["pv.getl", "$var(x)"]) == 1 << 40


def test_time_is_the_nodes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    run = bench.run()
    monkeypatch.setattr(bench.node, "wall", lambda: 86400.25)
    get = bench.node.variables.compile
    assert get("$TS").get(run) == 86400
    assert get("$TV(Sn)").get(run) == "86400.250000"
    assert get("$utime(mday)").get(run) == 2
    assert get("$utimef(%Y-%m-%d)").get(run) == "1970-01-02"
    assert get("$Ts").get(run) == int(run.msg.received_at)


def test_statistics_read_the_counters(bench: Bench) -> None:
    bench.node.count("mine", "tests", 3)
    assert bench.get("$stat(tests)") == 3
    assert bench.get("$stat(mine.tests)") == 3
    assert bench.get("$stat(none)") is None


def test_writing_into_the_received_message_is_refused(bench: Bench) -> None:
    assert not bench.node.variables.compile("$msgbuf(3)").set(bench.run(), "x")
    assert not bench.node.variables.compile("$rcv(buf)").set(bench.run(), "x")


def test_rpc(bench: Bench) -> None:
    commands = {each.name: each.call for each in bench.node.module("pv").rpcs()}
    assert commands["pv.shvSet"]("by_rpc", "int", "3") == "Ok"
    assert commands["pv.shvGet"]("by_rpc") == [{"name": "by_rpc", "type": "int", "value": 3}]
    assert bench.get("$shv(by_rpc)") == 3
    with pytest.raises(Exception, match="int or str"):
        commands["pv.shvSet"]("by_rpc", "float", "3")
