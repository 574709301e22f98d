"""URIs: parts, what is refused, equality (RFC 3261 §19.1.4), changed copies."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kahea.sip.errors import ParseError
from kahea.sip.uri import Uri, escape_user, parse_uri, same_uri, unescape


def parts(uri: Uri) -> tuple[bytes, bytes, bytes, bytes, int, bytes, bytes]:
    return uri.scheme, uri.user, uri.password, uri.host, uri.port, uri.params, uri.headers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"sip:host", (b"sip", b"", b"", b"host", 0, b"", b"")),
        (b"SIPS:a@b", (b"sips", b"a", b"", b"b", 0, b"", b"")),
        (b"sip:a:p@b:5070;x=1;lr?h=v&i", (b"sip", b"a", b"p", b"b", 5070, b"x=1;lr", b"h=v&i")),
        (b"sip:a;x=y:p@b", (b"sip", b"a;x=y", b"p", b"b", 0, b"", b"")),
        (b"sip:a?b/c@d", (b"sip", b"a?b/c", b"", b"d", 0, b"", b"")),
        (b"sip:a:@b", (b"sip", b"a", b"", b"b", 0, b"", b"")),
        (b"sip:[2001:db8::1]", (b"sip", b"", b"", b"[2001:db8::1]", 0, b"", b"")),
        (b"sip:a@[::1]:7;x", (b"sip", b"a", b"", b"[::1]", 7, b"x", b"")),
        (b"sip:a@h?x=y;z", (b"sip", b"a", b"", b"h", 0, b"", b"x=y;z")),
        (b"sip:a@under_score", (b"sip", b"a", b"", b"under_score", 0, b"", b"")),
        (b"tel:+1-201;phone-context=x.y", (b"tel", b"+1-201", b"", b"", 0, b"phone-context=x.y", b"")),
        (b"TELS:123", (b"tels", b"123", b"", b"", 0, b"", b"")),
        (b"urn:service:sos.fire", (b"urn", b"service", b"", b"sos.fire", 0, b"", b"")),
        (b"soap.beep://x:1/y;z", (b"soap.beep", b"//x:1/y", b"", b"", 0, b"z", b"")),
    ],
)
def test_parts(text: bytes, expected: tuple[object, ...]) -> None:
    uri = parse_uri(text)
    assert parts(uri) == expected
    assert uri.raw == text
    assert uri.has_user == (b"@" in text)
    assert uri.is_sip == text.lower().startswith(b"sip")


@pytest.mark.parametrize(
    "text",
    [b"", b"sip", b"sip:", b":a", b"1sip:a", b"si_p:a", b"sip:a@", b"sip:@b", b"sip::p@b", b"sip:a:b:c@d",
     b"sip:a@b@c",
     b"sip:a@b:", b"sip:a@b:0", b"sip:a@b:65536", b"sip:a@b:-1", b"sip:a@b:99999999999999999999",
     b"sip:a@b:5x",
     b"sip:a b@c", b"sip:a@b\r\nX: y", b"sip:a@b\x00", b"<sip:a@b>", b'sip:"a"@b', b"sip:a@b>", b"sip:[::1",
     b"sip:[::1]x", b"sip:[:::1]", b"sip:[1.2.3.4]", b"sip:[]", b"sip:2001:db8::1", b"sip:a@b/c", b"tel:",
     b"urn:x",
     b"sip:" + b"a" * 5000, b"sip:a@h\xc3\xb6st"],
)  # fmt: skip
def test_refused(text: bytes) -> None:
    with pytest.raises(ParseError):
        parse_uri(text)
    assert not same_uri(text, text)


def test_long_uri_has_its_own_status() -> None:
    with pytest.raises(ParseError) as error:
        parse_uri(b"sip:" + b"a" * 5000)
    assert error.value.status == 414


def test_parameters() -> None:
    uri = parse_uri(b"sip:a@b;Transport=TCP;lr;x=1;x=2;maddr=")
    assert uri.param(b"TRANSPORT") == b"TCP"
    assert uri.transport == b"tcp"
    assert (uri.param(b"lr"), uri.param(b"x"), uri.param(b"maddr"), uri.param(b"y")) == (b"", b"1", b"", None)
    assert uri.lr
    assert not parse_uri(b"sip:a@b;lrx").lr
    assert parse_uri(b"sip:a@b").transport == b""


def test_effective_port() -> None:
    ports = {b"sip:b": 5060, b"sips:b": 5061, b"sip:b;transport=TLS": 5061, b"sip:b:7;transport=tls": 7}
    assert {text: parse_uri(text).effective_port for text in ports} == ports


def test_aor() -> None:
    assert parse_uri(b"SIP:a:p@B:5070;x?y=z").aor == b"sip:a@B:5070"
    assert parse_uri(b"sip:b;x").aor == b"sip:b"
    assert parse_uri(b"tel:+1;x=y").aor == b"tel:+1"
    assert parse_uri(b"urn:service:sos;x").aor == b"urn:service:sos"


def test_replaced() -> None:
    uri = parse_uri(b"sip:a:p@b:5070;x=1?h=v")
    assert uri.replaced() == uri.raw
    assert uri.replaced(host=b"c", port=0) == b"sip:a:p@c;x=1?h=v"
    assert uri.replaced(user=b"") == b"sip:b:5070;x=1?h=v"
    assert uri.replaced(password=b"", params=b"", headers=b"") == b"sip:a@b:5070"
    assert uri.replaced(scheme=b"sips", user=b"z", params=b"lr") == b"sips:z:p@b:5070;lr?h=v"
    assert parse_uri(b"tel:+1;x").replaced(user=b"+2") == b"tel:+2;x"
    assert parse_uri(b"urn:service:sos").replaced(host=b"sos.fire") == b"urn:service:sos.fire"
    with pytest.raises(ValueError):
        uri.replaced(port=65536)


SAME = [
    (b"sip:%61lice@atlanta.com;transport=TCP", b"sip:alice@AtLanTa.CoM;Transport=tcp"),
    (b"sip:carol@chicago.com", b"sip:carol@chicago.com;newparam=5"),
    (b"sip:carol@chicago.com", b"sip:carol@chicago.com;security=on"),
    (b"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
     b"sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"),
    (b"sip:alice@atlanta.com?subject=project%20x&priority=urgent",
     b"sip:alice@atlanta.com?priority=urgent&subject=project%20x"),
    (b"tel:+1-201-555-0123", b"tel:+12015550123"),
    (b"tel:123;a=1;b=2", b"TEL:1.2(3);B=2;a=1"),
    (b"urn:service:sos", b"URN:SERVICE:SOS"),
]  # fmt: skip
DIFFERENT = [
    (b"sip:alice@atlanta.com", b"sip:ALICE@atlanta.com"),
    (b"sip:bob@biloxi.com", b"sip:bob@biloxi.com:5060"),
    (b"sip:bob@biloxi.com", b"sip:bob@biloxi.com;transport=udp"),
    (b"sip:bob@biloxi.com", b"sip:bob@biloxi.com:6000;transport=tcp"),
    (b"sip:carol@chicago.com", b"sip:carol@chicago.com?Subject=next%20meeting"),
    (b"sip:bob@phone21.boxesbybob.com", b"sip:bob@192.0.2.4"),
    (b"sip:a@b;x=1", b"sip:a@b;x=2"),
    (b"sip:a@b;maddr=c", b"sip:a@b"),
    (b"sip:a@b;ttl=1", b"sip:a@b"),
    (b"sip:a@b;user=phone", b"sip:a@b"),
    (b"sip:a@b;method=INVITE", b"sip:a@b"),
    (b"sip:a@b", b"sips:a@b"),
    (b"sip:a@b", b"sip:b"),
    (b"sip:a:p@b", b"sip:a@b"),
    (b"tel:123", b"tel:124"),
    (b"tel:123", b"tel:123;ext=1"),
    (b"urn:isbn:a", b"urn:isbn:A"),
    (b"x:a", b"x:b"),
]


@pytest.mark.parametrize(("a", "b"), SAME)
def test_same(a: bytes, b: bytes) -> None:
    assert same_uri(a, b)
    assert same_uri(b, a)


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_different(a: bytes, b: bytes) -> None:
    assert not same_uri(a, b)
    assert not same_uri(b, a)


def test_cache_shares_and_is_bounded() -> None:
    first = parse_uri(b"sip:shared@host")
    assert parse_uri(b"sip:shared@host") is first
    for n in range(6000):
        parse_uri(b"sip:%d@host" % n)
    again = parse_uri(b"sip:shared@host")
    assert again == first
    assert again is not first  # pushed out meanwhile
    assert hash(again) == hash(first)


def test_hostile_uris_take_linear_time() -> None:
    start = time.process_time()
    for text in (b"sip:a@b" + b";x=y" * 1000, b"sip:a@b?" + b"x&" * 2000, b"sip:" + b"%41" * 1300 + b"@b"):
        uri = parse_uri(text)
        assert same_uri(text, text + b"z" if text.endswith(b"y") else text) in (True, False)
        assert uri.param(b"none") is None
        assert len(unescape(uri.user)) <= len(uri.user)
    assert time.process_time() - start < 0.1


@given(st.binary(max_size=60))
def test_escaping_round_trip(text: bytes) -> None:
    escaped = escape_user(text)
    assert unescape(escaped) == text
    if text:
        assert parse_uri(b"sip:" + escaped + b"@h").user == escaped


def test_unescape_leaves_what_is_no_escape() -> None:
    assert unescape(b"%4") == b"%4"
    assert unescape(b"%zz%41%") == b"%zzA%"


@given(st.binary(max_size=80))
def test_any_bytes(text: bytes) -> None:
    """Whatever parses can be put together again from its parts."""
    try:
        uri = parse_uri(b"sip:" + text)
    except ParseError:
        return
    again = parse_uri(uri.replaced())
    assert parts(again) == parts(uri)
