"""Framing: what a stream is cut into, however it was cut before."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kahea.net.framer import Event, Framer, FramingError, Keepalive

PING, PONG = Keepalive.PING, Keepalive.PONG


def message(body: bytes = b"", length: bytes | None = None, name: bytes = b"Content-Length:") -> bytes:
    value = b" %d" % len(body) if length is None else length
    return b"MESSAGE sip:a@example.com SIP/2.0\r\nTo: a\r\n" + name + value + b"\r\n\r\n" + body


def cut(data: bytes, **options: int) -> list[Event]:
    return Framer(**options).feed(data)  # type: ignore[arg-type]


def reasons(events: list[Event]) -> list[str]:
    return [event.reason for event in events if isinstance(event, FramingError)]


def test_one_message() -> None:
    assert cut(message(b"hello")) == [message(b"hello")]


def test_pipelined_messages_and_a_rest() -> None:
    framer = Framer()
    rest = message(b"third")
    assert framer.feed(message(b"one") + message() + rest[:-1]) == [message(b"one"), message()]
    assert framer.in_message
    assert framer.buffered == len(rest) - 1
    assert framer.feed(rest[-1:]) == [rest]
    assert not framer.in_message
    assert framer.buffered == 0


@pytest.mark.parametrize(
    "name",
    [
        b"Content-Length:",
        b"content-length:",
        b"CONTENT-LENGTH  :",
        b"l:",
        b"L\t:",
        b"Content-Length:\r\n",
        b"l:\n",
    ],
)
def test_how_a_length_may_be_written(name: bytes) -> None:
    data = message(b"body", name=name)
    assert cut(data + data) == [data, data]


@pytest.mark.parametrize("length", [b"4", b" 4 ", b"\t4\t", b"  \r\n\t 4\r\n ", b"0004"])
def test_white_space_around_a_length(length: bytes) -> None:
    data = message(b"body", length)
    assert cut(data) == [data]


def test_what_only_looks_like_a_length() -> None:
    data = (
        b"MESSAGE sip:l:5@example.com SIP/2.0\r\nX-Content-Length: 9\r\nSubject: a\r\n l: 7\r\n"
        b"Content-Length-X: 8\r\nl : 2\r\n\r\nl:"
    )
    assert cut(data) == [data]


def test_lines_may_end_in_lf_alone() -> None:
    data = message(b"x").replace(b"\r\n", b"\n")
    assert cut(data + message()) == [data, message()]


@pytest.mark.parametrize("length", [b"", b"x", b"-1", b"+1", b"1 2", b"1\r\n 2", b"0x10", b"12345678901", b"1,1"])
def test_a_length_that_is_no_number(length: bytes) -> None:
    assert "no number" in reasons(cut(message(length=length)))[0]


def test_conflicting_lengths() -> None:
    data = message(b"body", b" 4\r\nl: 3")
    assert reasons(cut(data)) == ["conflicting Content-Lengths: 4 and 3"]
    same = message(b"body", b" 4\r\nl: 04")
    assert cut(same) == [same]


def test_no_length() -> None:
    data = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
    assert reasons(cut(data)) == ["no Content-Length"]
    assert cut(data + message(), accept_no_cl=True) == [data, message()]


def test_packets_of_hep3() -> None:
    packet = b"HEP3\0\x14" + bytes(14)
    taken = FramingError("a packet of HEP3, which no module takes")
    assert cut(message() + packet + message(), accept_hep3=True) == [message(), taken]
    # One that is not complete is waited for, byte by byte.
    framer = Framer(accept_hep3=True)
    for at in range(len(packet) - 1):
        assert framer.feed(packet[at : at + 1]) == []
        assert framer.in_message
    assert framer.feed(packet[-1:]) == [taken]
    # Shorter than its own head, it is complete at once.
    assert cut(b"HEP3\0\3" + message(), accept_hep3=True) == [taken]
    # Any other message is one, as is this where it is not looked for.
    assert cut(message(), accept_hep3=True) == [message()]
    assert cut(packet) == []


def test_after_an_error_nothing_more_comes() -> None:
    framer = Framer()
    assert framer.feed(message() + message(length=b"x") + message())[0] == message()
    assert framer.feed(message()) == []
    assert framer.buffered == 0


def test_a_message_may_be_as_long_as_allowed() -> None:
    data = message(b"x" * 1000)
    assert cut(data, max_message=len(data)) == [data]
    assert "more than" in reasons(cut(data, max_message=len(data) - 1))[0]
    # Refused by what it announces, before any of it is there.
    assert reasons(cut(message(length=b"9999999999"))) != []


def test_headers_may_be_as_long_as_allowed() -> None:
    data = b"MESSAGE sip:a SIP/2.0\r\nl: 0\r\nX: " + b"y" * 100 + b"\r\n\r\n"
    assert cut(data, max_headers=len(data)) == [data]
    assert reasons(cut(data, max_headers=len(data) - 1)) != []
    assert reasons(cut(b"x" * 40_000)) == ["headers of more than 32768 bytes"]


@pytest.mark.parametrize(
    ("data", "events"),
    [
        (b"\r\n\r\n", [PING]),
        (b"\r\n\r\n" * 3, [PING] * 3),
        (b"\r\n", []),
        (b"\r\n\r\n\r\n", [PING]),
        (b"\r\n" + message(), [message()]),
        (b"\r\n\r\n" + message(), [PING, message()]),
        (b"\n\n\r" + message(), [message()]),
        (message(b"x") + b"\r\n\r\n" + message(), [message(b"x"), PING, message()]),
    ],
)
def test_keepalives(data: bytes, events: list[Event]) -> None:
    assert cut(data) == events
    framer = Framer()
    assert [event for byte in data for event in framer.feed(bytes([byte]))] == events


def test_half_a_ping_is_no_stalled_message() -> None:
    framer = Framer()
    framer.feed(b"\r\n\r")
    assert not framer.in_message


def test_the_pong_of_our_ping_is_no_half_ping_of_the_peer() -> None:
    framer = Framer()
    framer.ping_sent()
    framer.ping_sent()
    assert framer.feed(b"\r\n") == [PONG]
    assert framer.feed(b"\r\n\r\n\r\n") == [PONG, PING]


def test_a_body_may_hold_what_looks_like_headers_and_pings() -> None:
    data = message(b"\r\n\r\nl: 3\r\n\r\n")
    assert cut(data + b"\r\n\r\n") == [data, PING]
    framer = Framer()
    assert [e for byte in data + b"\r\n\r\n" for e in framer.feed(bytes([byte]))] == [data, PING]


# Any stream, any cuts.

line_ends = st.sampled_from([b"\r\n", b"\n"])
lengths = st.sampled_from([b"Content-Length: %d", b"l:%d", b"L :\r\n %d", b"CONTENT-length\t:\t%d "])


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    end = draw(line_ends)
    body = draw(st.binary(max_size=40))
    others = draw(st.lists(st.sampled_from([b"To: a", b"X: y\r\n folded", b"Via: SIP/2.0/TCP h"]), max_size=3))
    lines = [b"INVITE sip:a SIP/2.0", *others, draw(lengths) % len(body), *others]
    return end.join(lines) + end + end + body


parts = st.one_of(
    messages(),
    st.sampled_from([b"\r\n", b"\r\n\r\n", b"\n", b"\r", message(length=b"x"), b"GET / HTTP/1.1\r\n\r\n"]),
    st.binary(max_size=20),
)


def fed(data: bytes, cuts: list[int], pings: int) -> list[Event]:
    framer = Framer(max_message=300, max_headers=200)
    for _ in range(pings):
        framer.ping_sent()
    events: list[Event] = []
    for start, end in pairwise([0, *sorted(c % (len(data) + 1) for c in cuts), len(data)]):
        events += framer.feed(data[start:end])
        assert framer.buffered <= 300 + end - start
    return events


@given(st.lists(parts, max_size=8), st.lists(st.integers(0, 10_000), max_size=30), st.integers(0, 2))
def test_cuts_change_nothing(stream: list[bytes], cuts: list[int], pings: int) -> None:
    data = b"".join(stream)
    whole = fed(data, [], pings)
    assert fed(data, cuts, pings) == whole
    assert fed(data, list(range(len(data))), pings) == whole


@given(st.lists(messages(), max_size=6), st.lists(st.integers(0, 10_000), max_size=30))
def test_messages_come_out_as_they_went_in(stream: list[bytes], cuts: list[int]) -> None:
    assert fed(b"".join(stream), cuts, 0) == stream


@pytest.mark.parametrize(
    "data",
    [
        b"INVITE sip:a SIP/2.0\r\nX: " + b"y" * 32_000,
        b"INVITE sip:a SIP/2.0\r\n" + b"l: 0\r\n" * 5000 + b"\r\n",
        b"\nl" * 16_000,
        message(b"x" * 65_000),
        b"\r\n" * 32_000,
    ],
)
def test_time_is_linear_even_byte_by_byte(data: bytes) -> None:
    framer = Framer()
    began = time.process_time()
    for i in range(len(data)):
        framer.feed(data[i : i + 1])
    # 65,000 feeds take some 50 ms; looking at everything again each time would take many seconds.
    assert time.process_time() - began < 3
