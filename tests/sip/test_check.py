"""`check`: one thing wrong at a time, and the status that says so."""

from __future__ import annotations

import pytest

from kahea.sip.errors import ParseError
from kahea.sip.message import parse

from .messages import request, response

GOOD = request(b"OPTIONS")


def status(data: bytes) -> int:
    """0 if the message is in order."""
    try:
        parse(data).check()
    except ParseError as error:
        return error.status
    return 0


def test_good() -> None:
    assert status(GOOD) == 0
    assert status(response(b"Via: SIP/2.0/UDP h\r\n")) == 0


@pytest.mark.parametrize("name", [b"Via", b"From", b"To", b"Call-ID", b"CSeq"])
@pytest.mark.parametrize("data", [GOOD, response(b"Via: SIP/2.0/UDP h\r\n")], ids=["request", "response"])
def test_mandatory_headers(data: bytes, name: bytes) -> None:
    assert status(data.replace(b"\r\n" + name + b":", b"\r\nX-Other:")) == 400


def test_max_forwards_and_content_length_may_lack() -> None:
    assert status(GOOD.replace(b"Max-Forwards", b"X-Other").replace(b"Content-Length", b"X-Length")) == 0


FIRST = {
    b"c": b"Content-Type: text/plain",
    b"E": b"Expires: 1",
    b"o": b"Event: presence",
    b"r": b"Refer-To: <sip:a@b>",
    b"R": b"Replaces: 1",
    b"x": b"Session-Expires: 90",
}


@pytest.mark.parametrize(
    "line",
    [b"f: <sip:a@b>", b"To : <sip:a@b>", b"i: other", b"CSEQ: 1 OPTIONS", b"Max-Forwards: 70", b"l: 0",
     b"c: text/plain", b"Expires: 1", b"o: presence", b"r: <sip:a@b>", b"Replaces: 1", b"x: 90"],
)  # fmt: skip
def test_twice(line: bytes) -> None:
    """Each also in another spelling than the first."""
    first = FIRST.get(line[:1])
    extra = first + b"\r\n" if first else b""
    assert status(request(b"OPTIONS", extra=extra)) == 0
    assert status(request(b"OPTIONS", extra=extra + line + b"\r\n")) == 400


@pytest.mark.parametrize("line", [b"Via: SIP/2.0/UDP b", b"Contact: <sip:a@b>", b"Route: <sip:a@b>", b"Accept: a/b"])
def test_lists_may_stand_twice(line: bytes) -> None:
    assert status(request(b"OPTIONS", extra=line + b"\r\n" + line + b"\r\n")) == 0


@pytest.mark.parametrize(
    ("uri", "expected"),
    [(b"sip:a@b", 0), (b"SIPS:a@b", 0), (b"tel:+1", 0), (b"urn:service:sos", 0), (b"http://x", 416),
     (b"x:y", 416),
     (b"a@b", 400), (b"", 400), (b"sip:", 400), (b"sip:a@b:0", 400), (b"sip:a@b?x=y", 400),
     (b"sip:a@\xff", 400),
     (b"sip:" + b"u" * 5000 + b"@b", 414), (b"sip:a b@c", 400)],
)  # fmt: skip
def test_request_uri(uri: bytes, expected: int) -> None:
    assert status(request(b"OPTIONS", uri)) == expected


@pytest.mark.parametrize(
    ("version", "expected"),
    [(b"SIP/2.0", 0), (b"sip/2.0", 0), (b"SIP/2.1", 505), (b"SIP/12.0", 505), (b"SIP/2", 400),
     (b"SIP/2.", 400),
     (b"SIP/x.0", 400), (b"HTTP/1.1", 400), (b"SIP/2.0 ", 400), (b"SIP/.0", 400)],
)  # fmt: skip
def test_version(version: bytes, expected: int) -> None:
    assert status(GOOD.replace(b" SIP/2.0\r", b" " + version + b"\r", 1)) == expected


def test_lower_vias_are_checked() -> None:
    assert status(request(b"OPTIONS", extra=b"Via: SIP/2.0/UDP h\r\nVia: nonsense\r\n")) == 400
    assert status(request(b"OPTIONS", via=b"SIP/2.0/UDP a, SIP/2.0/UDP b,")) == 400


def test_offset_tells_where() -> None:
    with pytest.raises(ParseError) as error:
        parse(request(b"OPTIONS", b"sip:a b")).check()
    assert error.value.offset == len("OPTIONS ")


@pytest.mark.parametrize("cut", range(1, 220, 7))
def test_a_cut_datagram_is_never_valid(cut: int) -> None:
    assert status(request(b"OPTIONS", body=b"12345")[:-cut]) == 400
