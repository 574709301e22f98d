"""Module `sanity` against Kamailio: which requests fail a check, and the reply that they get."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twin import Ours, Pair, needs_kamailio, pair, request

DIGEST = 'Digest username="alice", realm="r", nonce="n", uri="sip:x", response="0"'
ALL = 65535


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory) as made:
        yield made


def check(checks: int = ALL, uris: int = 15) -> str:
    return f"out.append(KSR.sanity.sanity_check({checks}, {uris}))\nout.append('next')"


def swap(old: str, new: str) -> str:
    message = request()
    assert old in message
    return message.replace(old, new, 1)


@needs_kamailio
@pytest.mark.parametrize("checks", [0, *(1 << n for n in range(15)), ALL, -1])
def test_a_good_request_passes_each_check(plain: Pair, checks: int) -> None:
    headers = f"Authorization: {DIGEST}\r\nExpires: 60\r\nContact: <sip:a@b>, <sip:c@d>\r\n"
    assert plain.same(check(checks), request(headers=headers)).out == [1, "next"]


BAD = {
    "scheme": request(uri="foo:bar"),
    "http": request(uri="http://bar"),
    "urn": request(uri="urn:service:sos"),
    "tel": request(uri="tel:+1"),
    "cseq method": swap("CSeq: 1 INVITE", "CSeq: 1 BYE"),
    **{f"cseq {v}": swap("CSeq: 1 INVITE", f"CSeq: {v} INVITE") for v in ("01", "2147483647")},
    **{f"expires {v}": request(headers=f"Expires: {v}\r\n") for v in ("abc", "-1", "4294967295", "99999999999", "")},
    **{f"require {v}": request(headers=f"Proxy-Require: {v}\r\n") for v in ("foo", "foo, bar", "bar,foo", "")},
    "requires": request(headers="Proxy-Require: foo\r\nProxy-Require: baz\r\n"),
    **{f"ruri {u}": request(uri=u) for u in ("sip:", "sip:a@", "sip:a@b:99999", "sip:a@b:x")},
    "from": swap("<sip:alice@example.com>", "<garbage>"),
    "from scheme": swap("<sip:alice@example.com>", "<foo:alice@example.com>"),
    "to": swap("<sip:bob@example.com>", "<garbage>"),
    "contact": request(headers="Contact: <garbage>\r\n"),
    "star": request(headers="Contact: *\r\n"),
    "contacts": request(headers="Contact: <sip:a@b>,<x>\r\n"),
    "from tags": swap(";tag=ft", ";tag=ft;tag=ft2"),
    "to tags": request(to_tag="a;tag=b"),
    "no tag": swap(";tag=ft", ""),
    "ack": request("ACK").replace("CSeq: 1 ACK", "CSeq: 1 BYE"),
}


@needs_kamailio
@pytest.mark.parametrize("name", BAD)
def test_bad_requests_get_kamailios_reply(plain: Pair, name: str) -> None:
    plain.same(check(), BAD[name])


CREDENTIALS = [
    DIGEST,
    DIGEST.replace('username="alice", ', ""),
    DIGEST.replace('realm="r", ', ""),
    DIGEST.replace('nonce="n", ', ""),
    DIGEST.replace('uri="sip:x", ', ""),
    DIGEST.replace(', response="0"', ""),
    DIGEST.replace('"alice"', '""'),
    DIGEST.replace('"r"', '""'),
    DIGEST.replace('"n"', '""'),
    DIGEST.replace('"sip:x"', '""'),
    DIGEST.replace('"0"', '""'),
    DIGEST + ", qop=auth",
    DIGEST + ', qop=auth, nc=00000001, cnonce="x"',
    DIGEST + ", qop=auth, nc=00000001",
    "Basic abc",
    "Digest",
]


@needs_kamailio
@pytest.mark.parametrize("checks", [2048, 8192])
@pytest.mark.parametrize("header", ["Authorization", "Proxy-Authorization"])
@pytest.mark.parametrize("body", CREDENTIALS)
def test_credentials(plain: Pair, body: str, header: str, checks: int) -> None:
    plain.same(check(checks, 0), request("REGISTER", headers=f"{header}: {body}\r\n"))


@needs_kamailio
def test_defaults_and_reply(plain: Pair) -> None:
    code = "out.append(KSR.sanity.sanity_check_defaults())\nout.append(KSR.sanity.sanity_reply())"
    for message in (BAD["cseq method"], BAD["contact"], request()):
        plain.same(code, message)


@needs_kamailio
def test_parameters(tmp_path_factory: pytest.TempPathFactory) -> None:
    params: dict[str, int | str] = {
        "noreply": 1,
        "proxy_require": "foo , Bar",
        "default_checks": 512,
        "uri_checks": 0,
        "autodrop": 0,
    }
    code = "out.append(KSR.sanity.sanity_check_defaults())\nout.append(KSR.sanity.sanity_reply())"
    with pair(tmp_path_factory, {"sanity": params}) as both:
        for name in ("require foo", "require foo, bar", "require bar,foo", "cseq method", "scheme"):
            both.same(code, BAD[name])
            both.same(check(), BAD[name])
        both.same(code, request(headers="Proxy-Require: foo, Bar, nope\r\n"))


def test_every_proxy_require_counts() -> None:
    """Kamailio looks at the first header alone; to RFC 3261 §7.3.1 they are one list."""
    ours = Ours({"sanity": {"proxy_require": "foo"}})
    outcome = ours.run(check(512), BAD["requires"])
    assert outcome.out == [-1, "next"]
    assert "Unsupported: baz\r\n" in outcome.caller[0]


SIZES = {
    "size_message": (request(body="x" * 100), 513),
    "size_headers": (request(headers=f"X: {'x' * 100}\r\n"), 513),
    "size_header": (request(headers=f"X: {'x' * 100}\r\n"), 513),
    "size_body": (request(body="x" * 100), 513),
    "size_method": (request("A" * 100), 400),
    "size_ruri": (request(uri=f"sip:{'x' * 100}@b"), 414),
    "size_from_uri": (swap("sip:alice@", f"sip:{'x' * 100}@"), 400),
    "size_to_uri": (swap("sip:bob@example.com>", f"sip:{'x' * 100}@b>"), 400),
    "size_contact_uri": (request(headers=f"Contact: <sip:a@b>, <sip:{'x' * 100}@b>\r\n"), 400),
    "size_route_uri": (request(headers=f"Route: <sip:{'x' * 100}@b>\r\n"), 400),
    "size_path_uri": (request(headers=f"Path: <sip:{'x' * 100}@b>\r\n"), 400),
    "size_pai_uri": (request(headers=f"P-Asserted-Identity: <sip:{'x' * 100}@b>\r\n"), 400),
}


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_checked_when_asked_for(name: str) -> None:
    message, status = SIZES[name]
    limit = len(message) - 50 if name in ("size_message", "size_headers") else 99
    if name == "size_headers":
        limit -= 10
    assert Ours({"sanity": {name: limit}}).run(check(), message).out == [1, "next"]
    small = Ours({"sanity": {"size_checks": 1, name: limit}}).run(check(), message)
    assert small.out == [-1, "next"]
    assert small.caller[0].startswith(f"SIP/2.0 {status} ")
    large = Ours({"sanity": {"size_checks": 1, name: 10_000}}).run(check(), message)
    assert large.out == [1, "next"]
