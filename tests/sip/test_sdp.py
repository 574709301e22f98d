"""SDP: lines, media, addresses, hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kahea.sip.errors import ParseError
from kahea.sip.sdp import MAX_LINES, MAX_MEDIA, parse_sdp

TEXT = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1/127\r\nt=0 0\r\n"
    b"a=group:BUNDLE 0 1\r\na=ice-lite\r\n"
    b"m=audio 4000/2 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=sendonly\r\n"
    b"m=Video 0 UDP/TLS/RTP/SAVPF 96\r\nc=in ip6 2001:db8::1\r\nb=AS:64\r\n"
)


def test_parts() -> None:
    session = parse_sdp(TEXT)
    audio, video = session.media
    assert (audio.kind, audio.port, audio.port_count, audio.protocol) == (b"audio", 4000, 2, b"RTP/AVP")
    assert audio.formats == [b"0", b"8"]
    assert (video.kind, video.port, video.protocol) == (b"video", 0, b"UDP/TLS/RTP/SAVPF")
    assert session.connection is not None
    assert (session.connection.addr_type, session.connection.address) == (b"IP4", b"192.0.2.1")
    assert session.connection_of(audio) == session.connection
    found = session.connection_of(video)
    assert found is not None
    assert (found.addr_type, found.address) == (b"IP6", b"2001:db8::1")
    assert session.addresses() == [b"192.0.2.1", b"2001:db8::1"]
    assert list(session.attributes()) == [(b"group", b"BUNDLE 0 1"), (b"ice-lite", None)]
    assert (audio.attribute(b"rtpmap"), session.attribute(b"ice-lite"), audio.attribute(b"x")) == (
        b"0 PCMU/8000", b"", None,
    )  # fmt: skip
    assert (session.direction_of(audio), session.direction_of(video)) == (b"sendonly", b"sendrecv")
    assert (session.first(b"o"), video.values(b"b")) == (b"- 1 1 IN IP4 192.0.2.1", [b"AS:64"])


def test_unchanged_text_is_written_back() -> None:
    text = TEXT.replace(b"m=Video", b"m=video")
    assert parse_sdp(text).format() == text
    assert parse_sdp(text.replace(b"\r\n", b"\n")).format() == text


# Stream lines and session lines, by RFC 3264; and what Kamailio 5.6.3 answered.
HOLD = {
    "plain": (b"192.0.2.1", b"", 4000, b"", False, False),
    "sendonly": (b"192.0.2.1", b"", 4000, b"a=sendonly\r\n", True, True),
    "inactive": (b"192.0.2.1", b"", 4000, b"a=inactive\r\n", True, True),
    "recvonly": (b"192.0.2.1", b"", 4000, b"a=recvonly\r\n", False, False),
    "session sendonly": (b"192.0.2.1", b"a=sendonly\r\n", 4000, b"", True, True),
    "session overruled": (b"192.0.2.1", b"a=inactive\r\n", 4000, b"a=sendrecv\r\n", False, True),
    "null address": (b"0.0.0.0", b"", 4000, b"", True, True),
    "stream's null address": (b"192.0.2.1", b"", 4000, b"c=IN IP4 0.0.0.0\r\n", True, True),
    "stream's own address": (b"0.0.0.0", b"", 4000, b"c=IN IP4 192.0.2.1\r\n", False, False),
    "refused": (b"192.0.2.1", b"", 0, b"a=sendonly\r\n", False, True),
}


@pytest.mark.parametrize("name", HOLD)
def test_hold(name: str) -> None:
    address, session_lines, port, lines, held, kamailio = HOLD[name]
    text = b"v=0\r\no=-\r\ns=-\r\nc=IN IP4 %b\r\nt=0 0\r\n%bm=audio %d RTP/AVP 0\r\n%b" % (
        address, session_lines, port, lines,
    )  # fmt: skip
    session = parse_sdp(text)
    assert session.is_on_hold(session.media[0]) == held
    assert session.is_audio_on_hold() == kamailio


def test_hold_is_asked_of_audio_alone() -> None:
    head = b"v=0\r\no=-\r\ns=-\r\nt=0 0\r\nm=audio 1 RTP/AVP 0\r\n"
    assert not parse_sdp(head + b"m=video 1 RTP/AVP 0\r\na=sendonly\r\n").is_audio_on_hold()
    assert parse_sdp(head + b"m=audio 1 RTP/AVP 0\r\na=sendonly\r\n").is_audio_on_hold()
    assert not parse_sdp(head).is_audio_on_hold()  # no address at all


@pytest.mark.parametrize(
    "text",
    [b"", b"v=1\r\n", b"o=x\r\nv=0\r\n", b"v=0\r\nnonsense\r\n", b"v=0\r\n=x\r\n", b"v=0\r\nm=audio\r\n",
     b"v=0\r\nm=audio x RTP/AVP 0\r\n", b"v=0\r\nm=audio 70000 RTP/AVP 0\r\n",
     b"v=0\r\nm=audio -1 RTP/AVP 0\r\n",
     b"v=0\r\nm=audio 1/ RTP/AVP 0\r\n", b"v=0\r\nm=audio " + b"9" * 5000 + b" RTP/AVP 0\r\n",
     b"v=0\r\n" + b"a=x\r\n" * (MAX_LINES + 1), b"v=0\r\n" + b"m=a 1 R 0\r\n" * (MAX_MEDIA + 1)],
)  # fmt: skip
def test_refused(text: bytes) -> None:
    with pytest.raises(ParseError):
        parse_sdp(text)


def test_bad_connection_is_none() -> None:
    assert parse_sdp(b"v=0\r\nc=IN IP4\r\n").connection is None


@given(st.binary(max_size=120))
def test_any_bytes(data: bytes) -> None:
    """Anything parses or is refused, and what parses is stable."""
    try:
        session = parse_sdp(b"v=0\r\n" + data)
    except ParseError:
        return
    assert parse_sdp(session.format()) == session
    assert session.is_audio_on_hold() in (True, False)
