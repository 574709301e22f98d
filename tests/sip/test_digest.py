"""Digest credentials; the response values are those of RFC 2617 §3.5, RFC 7616 §3.9 and RFC 8760."""

from __future__ import annotations

import pytest

from kahea.sip.digest import Credentials, digest, ha1, parse_challenge, parse_credentials, response_of
from kahea.sip.errors import ParseError

RFC2617 = (
    b'Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",'
    b' uri="/dir/index.html", qop=auth, nc=00000001, cnonce="0a4f113b",'
    b' response="6629fae49393a05397450978507c4ef1", opaque="5ccc069c403ebaf9f0171e9517f40e41"'
)
RFC7616 = (
    b'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm=%b,'
    b' nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001,'
    b' cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, response="%b",'
    b' opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)
ANSWERS = {
    b"MD5": b"8ca523f5e9506fed4657c9700eebdbec",
    b"SHA-256": b"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
}


def expected(data: bytes, password: bytes) -> tuple[bytes, bytes]:
    """The response carried and the one that is due."""
    credentials = parse_credentials(data)
    secret = ha1(credentials.algorithm, credentials.username, credentials.realm, password)
    return credentials.response, response_of(credentials, b"GET", secret)


def test_rfc2617_example() -> None:
    carried, due = expected(RFC2617, b"Circle Of Life")
    assert carried == due


@pytest.mark.parametrize("algorithm", ANSWERS)
def test_rfc7616_example(algorithm: bytes) -> None:
    carried, due = expected(RFC7616 % (algorithm, ANSWERS[algorithm]), b"Circle of Life")
    assert carried == due


def test_without_qop() -> None:
    """RFC 2069's form; computed by hand from its definition."""
    credentials = Credentials(b"Digest", {b"nonce": b"n", b"uri": b"sip:x"})
    end = digest(b"MD5", b"REGISTER:sip:x")
    assert response_of(credentials, b"REGISTER", b"secret") == digest(b"MD5", b"secret:n:" + end)


def test_auth_int_covers_the_body() -> None:
    credentials = parse_credentials(RFC2617.replace(b"qop=auth", b"qop=auth-int"))
    one, two = (response_of(credentials, b"GET", b"s", body) for body in (b"one", b"two"))
    assert one != two


def test_session_algorithms() -> None:
    plain = parse_credentials(RFC2617)
    session = parse_credentials(RFC2617 + b", algorithm=MD5-sess")
    assert session.algorithm == b"MD5-sess"
    secret = digest(b"MD5", b"s:" + plain.nonce + b":" + plain.cnonce)
    assert response_of(session, b"GET", b"s") == response_of(plain, b"GET", secret)


def test_sha512_256() -> None:
    assert digest(b"sha-512-256", b"").startswith(b"c672b8d1ef56ed28")  # FIPS 180-4's empty message
    assert len(digest(b"SHA-512-256", b"x")) == 64


def test_unknown_algorithm_and_qop() -> None:
    with pytest.raises(ValueError):
        digest(b"SHA-1", b"x")
    with pytest.raises(ValueError):
        response_of(parse_credentials(b"Digest qop=none"), b"GET", b"s")


def test_fields() -> None:
    credentials = parse_credentials(b'digest Username="a\\"b", REALM="x, y" ,\r\n uri="sip:z",nc=1')
    assert credentials.is_digest
    assert (credentials.username, credentials.realm, credentials.uri, credentials.nc) == (
        b'a"b', b"x, y", b"sip:z", b"1",
    )  # fmt: skip
    assert (credentials.nonce, credentials.response, credentials.algorithm) == (b"", b"", b"MD5")
    assert parse_credentials(credentials.format()) == credentials


def test_other_schemes() -> None:
    credentials = parse_credentials(b"Bearer abc.def==")
    assert not credentials.is_digest
    assert credentials.fields == {}


@pytest.mark.parametrize(
    "text",
    [b"", b"  ", b"Digest a",
     b'Digest a="1', b"Digest a=1;b=2", b'Digest a="1" b="2"', b"Digest a=1,", b"Digest a=1,A=2",
     b"Digest a=1,,b=2", b'Digest x="' + b"y" * 9000 + b'"'],
)  # fmt: skip
def test_refused(text: bytes) -> None:
    with pytest.raises(ParseError):
        parse_credentials(text)


def test_challenge() -> None:
    text = b'Digest realm="a.example", nonce="n", qop="auth,auth-int", stale=TRUE, algorithm=SHA-256'
    challenge = parse_challenge(text)
    assert (challenge.realm, challenge.nonce, challenge.algorithm) == (b"a.example", b"n", b"SHA-256")
    assert challenge.qops == [b"auth", b"auth-int"]
    assert challenge.stale
    assert challenge.format() == text
    assert not parse_challenge(b'Digest realm="x"').stale
