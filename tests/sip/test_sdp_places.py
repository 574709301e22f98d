"""Where things stand in a session description: what is refused, and that nothing else is raised for any bytes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kahea.sip.errors import ParseError
from kahea.sip.message import Message, parse
from kahea.sip.sdp import MAX_LINES, MAX_MEDIA, lines_between
from kahea.sip.sdp_places import find_sdp, has_description, read_description

SDP = (
    b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 0 8\r\na=rtcp:4001 IN IP4 10.0.0.3\r\na=candidate:1\r\na=candidate:2\r\n"
    b"m=video 5000 RTP/AVP 96\r\nc=IN IP6 ::\r\n"
)


def message(body: bytes, kind: bytes = b"application/sdp") -> Message:
    return parse(
        b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=x\r\nTo: <sip:a@b>\r\n"
        b"Call-ID: x\r\nCSeq: 1 INVITE\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (kind, len(body), body)
    )


def test_places() -> None:
    msg = message(SDP)
    at = find_sdp(msg)
    assert at is not None
    description = read_description(msg, at)
    (section,) = description.sections
    audio, video = section.streams
    assert section.origin is not None
    assert section.connection is not None
    assert audio.rtcp_at is not None
    spans = (section.origin.text_at, section.connection.text_at, audio.port_at, audio.rtcp_at, video.port_at)
    assert [msg.raw[start:end] for start, end in spans] == [
        b"10.0.0.1", b"10.0.0.2", b"4000", b"4001 IN IP4 10.0.0.3", b"5000",
    ]  # fmt: skip
    assert audio.last_candidate == msg.raw.index(b"a=candidate:2")
    assert section.address_of(audio).text == b"10.0.0.2"
    assert section.address_of(video).is_null
    assert msg.raw[description.end :] == b"\r\n"
    assert (audio.payloads, video.payloads) == (b"0,8", b"96")


def test_a_description_among_parts() -> None:
    parts = (
        b"--b\r\nContent-Type: text/plain\r\n\r\nv=0\r\n--b\r\nContent-Type: application/sdp\r\n\r\n"
        + SDP
        + b"\r\n--b--"
    )
    msg = message(parts, b"multipart/mixed;boundary=b")
    at = find_sdp(msg)
    assert at is not None
    assert msg.raw[at.start : at.end] == SDP
    assert has_description(msg)
    assert find_sdp(message(SDP, b"text/plain")) is None
    assert find_sdp(message(b"")) is None


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (SDP.replace(b"v=0\r\n", b""), "No Session"),
        (SDP.replace(b"o=", b"x="), "No Origin"),
        (SDP[: SDP.index(b"m=")], "No Media In"),
        (SDP.replace(b"c=IN IP4 10.0.0.2\r\n", b""), "No Media Address"),
        (SDP.replace(b"IP4 10.0.0.2", b"IP5 10.0.0.2"), "Bad SDP Address"),
        (SDP + b"m=audio\r\n", "Bad SDP Media Line"),
        (SDP + b"m=audio 1 RTP/AVP 0\r\n" * MAX_MEDIA, "Too Many SDP Media"),
        (SDP + b"a=x\r\n" * MAX_LINES, "Too Many SDP Lines"),
    ],
)
def test_what_is_refused(body: bytes, error: str) -> None:
    msg = message(body)
    at = find_sdp(msg)
    assert at is not None
    with pytest.raises(ParseError, match=error):
        read_description(msg, at)
    assert not has_description(msg)


@given(
    st.lists(st.sampled_from([*SDP.splitlines(keepends=True), b"m=", b"c=", b"\r", b"\n", b"o=IP4 \xff"]), max_size=20)
)
def test_only_parse_errors(lines: list[bytes]) -> None:
    msg = message(b"".join(lines))
    at = find_sdp(msg)
    if at is not None:
        with contextlib.suppress(ParseError):
            for section in read_description(msg, at).sections:
                assert all(section.address_of(stream) for stream in section.streams)


def test_lines() -> None:
    assert [(line.text, line.start, line.end) for line in lines_between(b"xa\r\nb\n\nc", 1, 8)] == [
        (b"a", 1, 4), (b"b", 4, 6), (b"", 6, 7), (b"c", 7, 8),
    ]  # fmt: skip
