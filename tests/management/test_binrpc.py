"""BINRPC: what is written can be read, and nothing that comes in does harm."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kahea.routing.node import Node
from kahea.routing.rpc import binrpc
from kahea.routing.rpc.serving import MAX_REQUEST
from kahea.routing.rpc.sessions import STALL_TIMEOUT, BinrpcSession, JsonSession
from kahea.routing.settings import Configuration

from .clients import records

INTEGERS = st.integers(-(2**31), 2**31 - 1)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=400)
REALS = st.integers(-(10**14), 10**14).map(lambda n: n / 1000)


def body(packet: bytes) -> bytes:
    head = binrpc.header(packet)
    assert head is not None
    assert len(packet) == head.size + head.length
    return packet[head.size :]


@given(st.lists(INTEGERS | TEXTS | REALS, max_size=8), st.binary(min_size=1, max_size=4))
def test_a_request_reads_as_it_was_written(values: list[int | str | float], cookie: bytes) -> None:
    packet = binrpc.request(cookie, "core.echo", *values)
    head = binrpc.header(packet)
    assert head is not None
    assert (head.kind, head.cookie) == (binrpc.REQUEST, cookie)
    read = binrpc.decode(body(packet))
    assert read[0] == "core.echo"
    assert len(read) == 1 + len(values)
    for wrote, got in zip(values, read[1:], strict=True):
        assert math.isclose(got, wrote) if isinstance(wrote, float) else got == wrote  # type: ignore[arg-type]


def test_packets_that_kamcmd_was_seen_to_send() -> None:
    seen = (
        "a1 03 29 7f 18 30 8f 91 0a 63 6f 72 65 2e 65 63 68 6f 00 21 61 00 10 05 40 ff ff ff fb 22 0c b2 31 37 37 00 "
    )
    packet = bytes.fromhex(seen + "20 01 2c 30 01 11 70 40 ff fe ee 90")
    assert binrpc.decode(body(packet)) == ["core.echo", "a", 5, -5, 3.25, "77", 300, 70000, -70000]
    cookie = bytes.fromhex("7f18308f")
    assert binrpc.request(cookie, "core.echo", "a", 5, -5, 3.25, "77", 300, 70000, -70000) == packet
    # A negative real number: eight bytes, whose size does not fit its three bits.
    assert binrpc.decode(bytes.fromhex("82 ff ff ff ff ff ff fa 24 10 05")) == [-1.5, 5]


def test_replies_that_kamailio_was_seen_to_send() -> None:
    cookie = bytes.fromhex("52 61 e3 ac")
    sockets = [{"socket": {"proto": "udp", "port": "23500"}}, {"socket": {"proto": "tcp", "port": "23500"}}]
    one = "75 73 6f 63 6b 65 74 00 03 65 70 72 6f 74 6f 00 41 %s 00 55 70 6f 72 74 00 61 32 33 35 30 30 00 83 "
    expected = "a1 13 48 52 61 e3 ac 03 " + one % "75 64 70" + one % "74 63 70" + "83"
    assert binrpc.reply(cookie, sockets).hex() == expected.replace(" ", "")
    fault = (
        "a1 33 1d 48 22 15 d7 20 01 f4 91 18 63 6f 6d 6d 61 6e 64 20 6e 6f 6e 65 78 20 6e 6f 74 20 66 6f 75 6e 64 00"
    )
    assert binrpc.fault(bytes.fromhex("482215d7"), 500, "command nonex not found") == bytes.fromhex(fault)


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (None, []),
        ({}, []),
        ([], []),
        (7, [7]),
        ((1, "x"), [1, "x"]),
        ([1, "x"], [1, "x"]),
        ({"a": [{"X": 1}, {"X": 2}]}, [[("a", [("X", 1), ("X", 2)])]]),
        ({"a": [{"x": 1, "y": 2}]}, [[("a", [(None, [("x", 1), ("y", 2)])])]]),
        ({"a": [1, "b"], "q": 0.5}, [[("a", [(None, 1), (None, "b")]), ("q", 0.5)]]),
        ([{"x": 1, "y": 1}, {"x": 2, "y": 2}], [[("x", 1), ("y", 1)], [("x", 2), ("y", 2)]]),
        (2**31, ["2147483648"]),  # four bytes would show it as negative
        (True, [1]),
        ({"v": None}, [[("v", "<null string>")]]),
    ],
)
def test_what_commands_return(result: object, shown: object) -> None:
    assert records(binrpc.body_of(result)) == shown


def test_what_no_command_may_return() -> None:
    with pytest.raises(TypeError):
        binrpc.body_of({"a": object()})


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        values = binrpc.decode(data)
    except binrpc.PacketError:
        return
    assert sum(len(v) if isinstance(v, str) else 1 for v in values) <= len(data)


class Wire:
    """A stream that keeps what is done to it."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False
        self.held = False
        self.stays: list[float] = []

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def hold(self, held: bool) -> None:
        self.held = held

    def stay(self, seconds: float) -> None:
        self.stays.append(seconds)


@pytest.fixture(scope="module")
def node() -> Node:
    made = Node(Configuration(load=["corex"]), clock=lambda: 1000.0, wall=lambda: 1_700_000_000.0)
    made.start()
    return made


REQUESTS = st.lists(
    st.sampled_from(["core.echo", "core.printi", "core.uptime", "nothing.here"]).flatmap(
        lambda name: st.lists(INTEGERS | TEXTS, max_size=3).map(lambda given: (name, *given))
    ),
    max_size=6,
)


@given(REQUESTS, st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_however_requests_are_cut_their_answers_are_the_same(
    node: Node, requests: list[tuple[str]], cuts: list[int]
) -> None:
    stream = b"".join(binrpc.request(bytes((1 + i,)), *request) for i, request in enumerate(requests))
    whole, cut = Wire(), Wire()
    BinrpcSession(node, whole, exact=True).received(stream)
    session, at = BinrpcSession(node, cut, exact=True), 0
    while at < len(stream):
        size = cuts[at % len(cuts)]
        session.received(stream[at : at + size])
        at += size
    assert cut.written == whole.written
    assert not whole.closed
    assert not whole.held


@given(st.lists(st.binary(max_size=200), max_size=10))
@pytest.mark.parametrize("kind", ["binrpc", "json"])
def test_no_bytes_break_a_session(node: Node, kind: str, reads: list[bytes]) -> None:
    wire = Wire()
    session = BinrpcSession(node, wire, exact=False) if kind == "binrpc" else JsonSession(node, wire)
    for data in reads:
        session.received(data)
        assert len(session._buffer) <= MAX_REQUEST + 200
    assert not wire.held


def test_ten_thousand_requests_at_once_are_answered_in_order(node: Node) -> None:
    wire = Wire()
    count = 10_000
    stream = b"".join(binrpc.request(b"%04d" % i, "core.printi", i) for i in range(count))
    BinrpcSession(node, wire, exact=True).received(stream)
    cookies, at = [], 0
    while (head := binrpc.header(wire.written[at : at + binrpc.MAX_HEADER])) is not None:
        cookies.append(int(head.cookie))
        at += head.size + head.length
    assert cookies == list(range(count))


def test_a_request_too_long_is_refused_before_it_is_taken(node: Node) -> None:
    wire = Wire()
    session = BinrpcSession(node, wire, exact=True)
    session.received(b"\xa1\x0f\x7f\xff\xff\xff" + b"abcd")
    assert b"corrupted packet" in wire.written
    assert wire.closed
    session.received(b"x" * 1000)
    assert not session._buffer


def test_a_request_that_stalls_is_given_so_long(node: Node) -> None:
    wire = Wire()
    BinrpcSession(node, wire, exact=True).received(b"\xa1\x03")
    assert wire.stays == [STALL_TIMEOUT]
    wire = Wire()
    JsonSession(node, wire).received(b'{"jsonrpc"')
    assert wire.stays == [STALL_TIMEOUT]


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (b"\xa1\x03\x00abcd", b"bad request method: end of packet encountered"),
        (b"\xa1\x03\x02abcd\x10\x05", b"bad request method: record doesn't match type"),
        (b"\xa1\x13\x02abcd\x10\x05", b"bad request: corrupted packet"),
        (b"\xa1\x03\x05abcd\x91\x7fabc", b"bad request: corrupted packet"),
        (b"GET / HTTP/1.0\r\n", b"bad request: corrupted packet"),
    ],
)
def test_what_is_no_request_is_told_so_in_kamailios_words(node: Node, packet: bytes, words: bytes) -> None:
    wire = Wire()
    BinrpcSession(node, wire, exact=True).received(packet)
    assert words in wire.written
