"""The PROXY protocol: headers whole and in pieces, those that are none, and what a connection becomes by one."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from net_bench import Notes, turns
from test_tcp import client, message, opened

from kahea.net.address import Address
from kahea.net.proxy_protocol import SIGNATURE, Header, ProxyError, read_header

V4 = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.9") + struct.pack("!HH", 40000, 5060)
V6 = (
    socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + socket.inet_pton(socket.AF_INET6, "2001:db8::9")
    + struct.pack("!HH", 40000, 5060)
)
CLIENT = Address.of("192.0.2.1", 40000)
CLIENT6 = Address.of("2001:db8::1", 40000)


def version_2(command: int, kind: int, rest: bytes, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, kind, len(rest) if length is None else length) + rest


GOOD = [
    (b"PROXY TCP4 192.0.2.1 192.0.2.9 40000 5060\r\n", CLIENT),
    (b"PROXY TCP6 2001:db8::1 2001:db8::9 40000 5060\r\n", CLIENT6),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff:f::1 ffff:f::2 65535 65535\r\n", None),
    (version_2(0x21, 0x11, V4), CLIENT),
    (version_2(0x21, 0x21, V6), CLIENT6),
    (version_2(0x21, 0x11, V4 + b"\x04\x00\x01\x00"), CLIENT),  # with a TLV
    (version_2(0x20, 0x00, b""), None),
    (version_2(0x20, 0x11, V4), None),  # LOCAL: the address counts for nothing
]
BAD = [
    b"PROXY TCP4 192.0.2.1 192.0.2.9 40000\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.9 40000 5060 1\r\n",
    b"PROXY TCP4 192.0.2.256 192.0.2.9 40000 5060\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.9 65536 5060\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.9 -1 5060\r\n",
    b"PROXY TCP4 2001:db8::1 2001:db8::9 40000 5060\r\n",
    b"PROXY TCP6 192.0.2.1 192.0.2.9 40000 5060\r\n",
    b"PROXY UDP4 192.0.2.1 192.0.2.9 40000 5060\r\n",
    b"PROXY TCP4 \xff 192.0.2.9 40000 5060\r\n",
    b"PROXY " + b"x" * 120,
    version_2(0x11, 0x11, V4),
    version_2(0x25, 0x11, V4),
    version_2(0x21, 0x12, V4),  # datagrams
    version_2(0x21, 0x00, b""),
    version_2(0x21, 0x31, bytes(216)),
    version_2(0x21, 0x11, V4[:8]),
    version_2(0x21, 0x11, V4, length=5000),
]


@pytest.mark.parametrize(("header", "whose"), GOOD)
def test_a_header_in_pieces(header: bytes, whose: Address | None) -> None:
    for cut in range(1, len(header)):
        assert read_header(header[:cut]) is None
    assert read_header(header) == read_header(header + message()) == Header(len(header), whose)


@pytest.mark.parametrize("header", BAD)
def test_a_bad_header(header: bytes) -> None:
    with pytest.raises(ProxyError):
        read_header(header)


@pytest.mark.parametrize("data", [message(), b"\r\n\r\nOPTIONS", b"PROXIMITY sip:a SIP/2.0\r\n", b"\r\nOPTIONS"])
def test_what_begins_otherwise_has_no_header(data: bytes) -> None:
    assert read_header(data) == Header(0, None)


@given(st.sampled_from([b"", SIGNATURE, b"PROXY ", b"PROXY TCP4 "]), st.binary(max_size=300))
def test_no_bytes_raise_anything_else(head: bytes, data: bytes) -> None:
    try:
        found = read_header(head + data)
    except ProxyError:
        return
    assert found is None or 0 <= found.size <= len(head + data)


Run = Callable[[Any], Any]


def test_a_connection_belongs_to_whom_the_header_names(run: Run) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes, tcp_accept_haproxy=True)
        reader, writer = await client(a)
        header = GOOD[0][0]
        writer.write(header[:20])
        await notes.until(lambda: notes.opened)
        writer.write(header[20:] + message(b"1"))
        await notes.until(lambda: notes.messages)
        assert notes.messages[0][1:3] == (message(b"1"), CLIENT)
        # What goes to the client goes by this connection.
        assert a.send(message(b"back"), CLIENT)
        assert await reader.readexactly(len(message(b"back"))) == message(b"back")
        writer.write(message(b"2"))
        await notes.until(lambda: len(notes.messages) == 2)
        writer.close()
        await notes.until(lambda: notes.closed)
        assert notes.closed[0][1] == CLIENT
        assert len(a.table) == 0
        a.close()

    run(main())


def test_without_a_header_it_is_the_balancers_own(run: Run) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes, tcp_accept_haproxy=True)
        _, writer = await client(a)
        writer.write(b"\r\n\r\n" + message())
        await notes.until(lambda: notes.messages)
        assert notes.messages[0][2].ip == "127.0.0.1"
        writer.close()
        a.close()

    run(main())


def test_a_bad_header_closes_the_connection(run: Run) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes, tcp_accept_haproxy=True)
        reader, writer = await client(a)
        writer.write(BAD[0] + message())
        assert await reader.read() == b""
        assert notes.messages == []
        writer.close()
        await notes.until(lambda: notes.closed)
        a.close()

    run(main())


def test_the_limits_are_the_clients(run: Run) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes, tcp_accept_haproxy=True, tcp_accept_iplimit=1)
        first = await client(a)
        first[1].write(GOOD[0][0] + message(b"1"))
        await notes.until(lambda: notes.messages)
        # The balancer's second connection is another client's.
        second = await client(a)
        second[1].write(GOOD[1][0] + message(b"2"))
        await notes.until(lambda: len(notes.messages) == 2)
        third = await client(a)
        third[1].write(GOOD[0][0] + message(b"3"))
        await notes.until(lambda: notes.closed)
        assert notes.data == [message(b"1"), message(b"2")]
        first[1].close()
        await notes.until(lambda: len(notes.closed) == 2)
        fourth = await client(a)
        fourth[1].write(GOOD[0][0] + message(b"4"))
        await notes.until(lambda: len(notes.messages) == 3)
        for _, writer in (second, third, fourth):
            writer.close()
        a.close()

    run(main())


def test_half_a_header_stalls(run: Run) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes, tcp_accept_haproxy=True, tcp_msg_read_timeout=5)
        now = [asyncio.get_running_loop().time()]
        a.table.clock = lambda: now[0]
        _, writer = await client(a)
        await notes.until(lambda: notes.opened)
        writer.write(b"PROXY ")
        await turns(lambda: any(c._prelude for c in a.table))
        now[0] += 6
        a.table.sweep()
        await notes.until(lambda: notes.closed)
        assert notes.closed[0][2] == "a message stalled"
        writer.close()
        a.close()

    run(main())
