"""Valid messages that look wrong and wrong ones that look valid, in the spirit of RFC 4475 and RFC 5118."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from kahea.sip.errors import ParseError
from kahea.sip.message import H_CONTACT, H_VIA, Message, parse
from kahea.sip.uri import parse_uri

HERE = Path(__file__).parent / "torture"
INDEX = tomllib.loads((HERE / "index.toml").read_text())
CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
#: Outcomes that only the node can bring about, after the message was found valid.
LATER = {"reply:483", "reply:420", "drop"}


def verdict(data: bytes) -> str | int:
    """What parser and checks say."""
    try:
        message = parse(data)
    except ParseError:
        return "unparsable"
    try:
        message.check()
    except ParseError as error:
        return error.status if error.reason.isascii() and error.reason.isprintable() else error.reason
    return "ok"


def load(name: str) -> Message:
    return parse((HERE / f"{name}.sip").read_bytes())


@pytest.mark.parametrize("name", INDEX)
def test_verdict(name: str) -> None:
    assert verdict((HERE / f"{name}.sip").read_bytes()) == INDEX[name]["expect"], INDEX[name]["note"]


def test_every_file_is_listed() -> None:
    assert {p.stem for p in HERE.glob("*.sip")} == set(INDEX)


REFUSED = [n for n, e in INDEX.items() if isinstance(e["expect"], int)]


@pytest.mark.parametrize("name", [n for n in REFUSED if load(n).is_request])
def test_what_is_refused_can_be_answered(name: str) -> None:
    """A reply can be built whatever is wrong, and it is a message; with the CSeq and Via of the request."""
    message = load(name)
    message.src_ip, message.src_port = b"198.51.100.7", 4444
    reply = parse(message.build_reply(400, b"Bad Request", b"tag"))
    assert (reply.status, reply.content_length) == (400, 0)
    assert [h.name for h in reply.headers_of(H_VIA)] == [h.name for h in message.headers_of(H_VIA)]


@pytest.mark.parametrize("name", [n for n, e in INDEX.items() if e["expect"] == "ok"])
def test_what_is_valid_is_passed_on_unchanged(name: str) -> None:
    message = load(name)
    end = message.body_end
    if not message.is_request:
        return
    via = b"Via: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKproxy\r\n"
    at = message.headers_of(H_VIA)[0].start
    expected = message.raw[:at] + via + message.raw[at:end]
    assert message.build_request(message.uri, via) == expected
    assert message.rebuild() == message.raw[:end]


def test_folded_values_are_read() -> None:
    message = load("folded-and-spaced")
    assert (message.cseq, message.cseq_method, message.max_forwards) == (9, b"INVITE", 68)
    assert message.callid == b"77-surf.example"
    assert message.to.uri == b"sip:kai@hilo.example"
    assert message.to.tag == b"8u"
    assert message.from_.display == b'"Leilani \\"L\\" Kona"'
    assert [v.branch for v in message.vias()] == [b"z9hG4bKfold", b"z9hG4bKfold2", None]
    assert message.via1.host == b"192.0.2.10"
    assert message.via1.param(b"Note") == b"a ; b , c"
    assert message.via2 is not None
    assert message.via2.transport == b"TCP"
    assert message.content_type == b"application/sdp"
    assert len(message.body) == 138


def test_characters_survive() -> None:
    message = load("all-token-characters")
    uri = parse_uri(message.uri)
    assert uri.host == b"hilo.example"
    assert uri.user == b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert uri.password == b"&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    header = message.header_named(b"!ODD-Header_0`+.%*'~")
    assert header is not None
    assert header.body == b"*\x01\x7f\xff"


def test_escapes_are_kept() -> None:
    assert parse_uri(load("escapes-in-user").uri).user == b"sips%3Akai%40hilo.example"
    assert load("escaped-nul").to.uri == b"sip:nul%00byte@hilo.example"
    assert [c.uri for c in load("escaped-nul").name_addrs(H_CONTACT)][1] == b"sip:%00%00@host.kona.example"


def test_body_ends_with_its_length() -> None:
    message = load("trailing-message")
    assert message.body == b""
    assert message.body_end < len(message.raw)
    assert bytes(range(256)) in load("binary-multipart").body


def corpus_entries() -> list[dict[str, object]]:
    index = CORPUS / "index.json"
    return json.loads(index.read_text())["messages"] if index.exists() else []


@pytest.mark.skipif(not (CORPUS / "index.json").exists(), reason="the RFC's own messages are not here")
@pytest.mark.parametrize("entry", corpus_entries(), ids=lambda e: str(e["file"]))
def test_corpus(entry: dict[str, object]) -> None:
    """The RFCs' own messages: refused only where a refusal is what is called for, and with that status."""
    said = verdict((CORPUS / str(entry["file"])).read_bytes())
    expect = entry["expect"]
    assert isinstance(expect, list)
    if entry["kind"] == "response":
        assert (said == "ok") == entry["valid"]
    elif said == "ok":
        assert LATER & set(expect) or any(e == "forward" or str(e) >= "reply:200" for e in expect)
        assert expect != ["reply:400"]
        assert expect != ["reply:505"]
    elif said == "unparsable":
        assert "drop" in expect
    else:
        assert f"reply:{said}" in expect
