"""TCP over the loopback interface: connections made, reused, named, refused and lost."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest
from net_bench import IPS, Notes

from kahea.net.address import P_TCP, Address, Listener
from kahea.net.connections import MAX_ALIASES, ConnectionTable
from kahea.net.sockets import BindError
from kahea.net.tcp import TcpListener
from kahea.net.tcp_limits import TcpLimits

Run = Callable[[Any], Any]


def message(text: bytes = b"") -> bytes:
    return b"MESSAGE sip:a@example.com SIP/2.0\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)


def opened(notes: Notes, ip: str = "127.0.0.1", table: ConnectionTable | None = None, **limits: Any) -> TcpListener:
    table = ConnectionTable(TcpLimits(**limits)) if table is None else table
    listener = TcpListener(Address.of(ip, 0), table)
    listener.open(asyncio.get_running_loop(), notes)
    return listener


async def client(listener: TcpListener) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(listener.address.ip, listener.address.port)


@pytest.mark.parametrize("ip", IPS)
def test_a_connection_is_made_and_serves_both_ways(run: Run, ip: str) -> None:
    async def main() -> None:
        one, other = Notes(), Notes()
        a, b = opened(one, ip), opened(other, ip)
        other.answer = lambda listener, data, source, conn: listener.send(message(b"re"), source, conn)
        assert a.send(message(b"first"), b.address)
        assert a.send(message(b"second"), b.address)
        await one.until(lambda: len(one.messages) == 2)
        assert other.data == [message(b"first"), message(b"second")]
        assert {m[0] for m in other.messages} == {b}
        assert {m[2].ip for m in other.messages} == {ip}
        # One connection: both sides know it by an id of their own.
        assert len(a.table) == len(b.table) == 1
        assert {m[3] for m in one.messages} == {one.opened[0][0]}
        assert {m[3] for m in other.messages} == {other.opened[0][0]}
        assert one.messages[0][2] == b.address
        a.close()
        await other.until(lambda: other.closed)
        assert other.closed[0][2] == "closed by the peer"
        assert len(a.table) == len(b.table) == 0
        b.close()

    run(main())


def test_reads_are_cut_into_messages_and_batches(run: Run) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes)
        _, writer = await client(a)
        writer.write(message(b"1") + message(b"2") + message(b"3")[:10])
        await notes.until(lambda: len(notes.messages) == 2)
        writer.write(message(b"3")[10:])
        await notes.until(lambda: len(notes.messages) == 3)
        assert notes.data == [message(b"1"), message(b"2"), message(b"3")]
        writer.close()
        await notes.until(lambda: notes.closed)
        a.close()

    run(main())


def test_a_ping_is_answered(run: Run) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes)
        reader, writer = await client(a)
        writer.write(b"\r\n\r\n")
        assert await reader.readexactly(2) == b"\r\n"
        a.table.limits.tcp_crlf_ping = False
        writer.write(b"\r\n\r\n" + message())
        await notes.until(lambda: notes.messages)
        a.close()
        assert await reader.read() == b""
        writer.close()

    run(main())


def test_what_cannot_be_framed_closes_the_connection(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes)
        reader, writer = await client(a)
        writer.write(message(b"fine") + b"GET / HTTP/1.1\r\n\r\n" + message(b"lost"))
        assert await reader.read() == b""
        assert notes.data == [message(b"fine")]
        writer.close()
        await notes.until(lambda: notes.closed)
        assert notes.closed[0][2] == "no Content-Length"
        a.close()

    with caplog.at_level(logging.WARNING):
        run(main())
    assert "no Content-Length" in caplog.text


def test_http_is_let_through_if_so_set(run: Run) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes, tcp_accept_no_cl=True)
        _, writer = await client(a)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await notes.until(lambda: notes.messages)
        assert notes.data == [b"GET / HTTP/1.1\r\n\r\n"]
        writer.close()
        a.close()

    run(main())


def test_a_refused_connection_is_told_with_all_that_waited(run: Run) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes)
        with socket.create_server(("127.0.0.1", 0)) as gone:
            to = Address.of(*gone.getsockname())
        assert a.send(message(b"1"), to)
        assert a.send(message(b"2"), to)
        assert notes.errors == []  # never from within send
        await notes.until(lambda: len(notes.errors) == 2)
        assert notes.errors == [(a, to, message(t), "Connection refused") for t in (b"1", b"2")]
        assert len(a.table) == 0
        assert a.table.queued == 0
        assert notes.opened == notes.closed == []
        a.close()

    run(main())


def test_a_network_that_cannot_be_reached_is_told(run: Run) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes)
        a.send(message(), Address.of("198.51.100.7", 5060))
        await notes.until(lambda: notes.errors)
        assert notes.errors[0][3]
        a.close()

    run(main())


def test_what_cannot_even_be_tried(run: Run) -> None:
    async def main() -> None:
        a = opened(Notes())
        to = Address.of("127.0.0.1", 5060)
        assert not a.send(message(), Address.of("127.0.0.1", 0))
        assert not a.send(message(), Address.of("::1", 5060))
        assert not a.send(message(), to, no_connect=True)
        a.table.limits.tcp_no_connect = True
        assert not a.send(message(), to)
        assert len(a.table) == 0
        a.close()
        assert not a.send(message(), to)

    run(main())


def test_no_connect_uses_what_exists(run: Run) -> None:
    async def main() -> None:
        notes, other = Notes(), Notes()
        a, b = opened(notes, tcp_no_connect=True), opened(other)
        b.send(message(b"hello"), a.address)
        await notes.until(lambda: notes.messages)
        assert a.send(message(b"back"), notes.messages[0][2], no_connect=True)
        await other.until(lambda: other.messages)
        a.close()
        b.close()

    run(main())


def test_by_id_and_when_it_is_gone_by_destination(run: Run) -> None:
    async def main() -> None:
        notes, other = Notes(), Notes()
        a, b = opened(notes), opened(other)
        reader, writer = await client(a)
        writer.write(message())
        await notes.until(lambda: notes.messages)
        source, conn = notes.messages[0][2:]
        # By id: the destination plays no part.
        assert a.send(message(b"by id"), b.address, conn)
        assert await reader.readexactly(len(message(b"by id"))) == message(b"by id")
        writer.close()
        await notes.until(lambda: notes.closed)
        assert notes.closed == [(conn, source, "closed by the peer")]
        assert a.send(message(b"elsewhere"), b.address, conn)
        await other.until(lambda: other.messages)
        assert other.data == [message(b"elsewhere")]
        a.close()
        b.close()

    run(main())


def test_alias(run: Run) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes)
        reader, writer = await client(a)
        writer.write(message())
        await notes.until(lambda: notes.messages)
        source, conn = notes.messages[0][2:]
        alias = Address.of(source.ip, 5060)
        assert not a.send(message(), alias, no_connect=True)
        assert a.table.add_alias(conn, 5060)
        assert a.table.add_alias(conn, 5060)  # the same again is no error
        assert a.table.add_alias(conn, source.port)
        assert a.send(message(b"to the alias"), alias, no_connect=True)
        data = message(b"to the alias")
        assert await reader.readexactly(len(data)) == data
        for port in range(1, MAX_ALIASES):
            assert a.table.add_alias(conn, port)
        assert not a.table.add_alias(conn, 100)
        assert not a.table.add_alias(conn, 0)
        writer.close()
        await notes.until(lambda: notes.closed)
        assert a.table.find(P_TCP, alias) is None
        assert not a.table.add_alias(conn, 5061)
        a.close()

    run(main())


def test_listeners_share_a_table(run: Run) -> None:
    async def main() -> None:
        one, two, peer = Notes(), Notes(), Notes()
        table = ConnectionTable()
        a, b, c = opened(one, table=table), opened(two, table=table), opened(peer)
        a.send(message(b"1"), c.address)
        b.send(message(b"2"), c.address)  # the connection of a will do
        await peer.until(lambda: len(peer.messages) == 2)
        assert len(table) == 1
        table.limits.tcp_connection_match = 1
        b.send(message(b"3"), c.address)
        await peer.until(lambda: len(peer.messages) == 3)
        assert len(table) == 2
        assert table.find(P_TCP, c.address, a) is not table.find(P_TCP, c.address, b)
        a.close()
        assert len(table) == 1
        b.close()
        c.close()

    run(main())


def test_close_by_id_writes_what_was_queued(run: Run) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes)
        reader, writer = await client(a)
        writer.write(message())
        await notes.until(lambda: notes.messages)
        source, conn = notes.messages[0][2:]
        assert a.send(message(b"last"), source, conn)
        assert a.table.close(conn, "enough")
        assert not a.table.close(conn)
        assert await reader.read() == message(b"last")
        await notes.until(lambda: notes.closed)
        assert notes.closed == [(conn, source, "enough")]
        writer.close()
        a.close()

    run(main())


def test_the_receiver_may_close_the_connection_it_is_told_of(run: Run) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes)
        notes.answer = lambda listener, data, source, conn: a.table.close(conn)
        reader, writer = await client(a)
        writer.write(message(b"1") + message(b"2"))
        assert await reader.read() == b""
        assert notes.data == [message(b"1")]
        writer.close()
        a.close()

    run(main())


def test_what_the_receiver_raises_stops_nothing(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Notes):
        def on_datagram(self, listener: Listener, data: bytes, source: Address, connection_id: int) -> None:
            super().on_datagram(listener, data, source, connection_id)
            raise RuntimeError("a bug in a script")

        def on_batch_end(self) -> None:
            raise RuntimeError("another bug")

    async def main() -> None:
        notes = Broken()
        a = opened(notes)
        _, writer = await client(a)
        writer.write(message(b"1") + message(b"2"))
        await notes.until(lambda: len(notes.messages) == 2)
        writer.close()
        a.close()

    with caplog.at_level(logging.ERROR):
        run(main())
    assert "a bug in a script" in caplog.text
    assert "another bug" in caplog.text


def test_connections_come_from_the_listeners_address(run: Run) -> None:
    async def main() -> None:
        other = Notes()
        b = opened(other)
        a = opened(Notes(), "127.0.0.2")
        a.send(message(), b.address)
        await other.until(lambda: other.messages)
        assert other.messages[0][2].ip == "127.0.0.2"
        a.close()
        shared = opened(Notes(), "127.0.0.3", tcp_reuse_port=True)
        shared.send(message(), b.address)
        await other.until(lambda: len(other.messages) == 2)
        assert other.messages[1][2] == shared.address
        shared.close()
        forced = opened(Notes(), "127.0.0.4", tcp_source_ipv4="127.0.0.5")
        forced.send(message(), b.address)
        await other.until(lambda: len(other.messages) == 3)
        assert other.messages[2][2].ip == "127.0.0.5"
        forced.close()
        b.close()

    run(main())


def test_kernel_options(run: Run) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes, tcp_keepidle=77, tcp_keepcnt=3)
        _, writer = await client(a)
        await notes.until(lambda: notes.opened)
        connection = next(iter(a.table))
        assert connection.transport is not None
        sock = connection.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 77
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0x10
        writer.close()
        a.close()

    run(main())


def test_close_by_reset(run: Run) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes, tcp_close_rst=True)
        reader, writer = await client(a)
        await notes.until(lambda: notes.opened)
        a.close()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()

    run(main())


def test_bind_errors_are_for_the_operator(run: Run) -> None:
    async def main() -> None:
        a = opened(Notes())
        with pytest.raises(BindError, match=rf"tcp:127.0.0.1:{a.address.port}: the port is in use"):
            TcpListener(a.address, a.table).open(asyncio.get_running_loop(), Notes())
        with pytest.raises(RuntimeError, match="open already"):
            a.open(asyncio.get_running_loop(), Notes())
        a.close()
        a.close()
        assert not a.is_open
        again = TcpListener(a.address, a.table)
        again.open(asyncio.get_running_loop(), Notes())
        again.close()

    run(main())
