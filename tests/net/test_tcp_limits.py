"""The bounds of TCP: connections, queues, and every timeout, on a clock that the test moves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest
from net_bench import Notes, turns

from kahea.net.address import Address
from kahea.net.connection import Connection
from kahea.net.connections import ConnectionTable
from kahea.net.tcp import TcpListener
from kahea.net.tcp_limits import TcpLimits

Run = Callable[[Any], Any]
MESSAGE = b"MESSAGE sip:a@example.com SIP/2.0\r\nContent-Length: 0\r\n\r\n"
BIG = b"MESSAGE sip:a@example.com SIP/2.0\r\nContent-Length: 50000\r\n\r\n" + b"x" * 50_000


class Bench:
    """A listener whose clock stands still unless told."""

    def __init__(self, **limits: Any) -> None:
        self.now = 1000.0
        self.notes = Notes()
        self.table = ConnectionTable(TcpLimits(**limits), lambda: self.now)
        self.listener = TcpListener(Address.of("127.0.0.1", 0), self.table)
        self.listener.open(asyncio.get_running_loop(), self.notes)

    async def client(self, ip: str = "127.0.0.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        at = self.listener.address
        return await asyncio.open_connection(at.ip, at.port, local_addr=(ip, 0))

    async def accepted(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Connection]:
        reader, writer = await self.client()
        await self.notes.until(lambda: self.notes.opened)
        connection = self.table.get(self.notes.opened.pop()[0])
        assert connection is not None
        return reader, writer, connection

    async def connected(self, server: socket.socket) -> tuple[Address, Connection]:
        """A connection of ours to a server, established."""
        to = Address.of(*server.getsockname())
        assert self.listener.send(MESSAGE, to)
        await self.notes.until(lambda: self.notes.opened)
        connection = self.table.get(self.notes.opened.pop()[0])
        assert connection is not None
        return to, connection

    async def fill(self, to: Address) -> int:
        """Send until a bound says no; the bytes that were accepted."""
        sent = 0
        while self.listener.send(BIG, to):
            sent += len(BIG)
            assert sent < 1 << 30
            await asyncio.sleep(0)
        return sent

    def after(self, seconds: float) -> None:
        """Move the clock, and do what is due."""
        self.now += seconds
        self.table.sweep()

    @property
    def reasons(self) -> list[str]:
        return [reason for _, _, reason in self.notes.closed]


async def refused(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether the other side closes without a word."""
    try:
        gone = await reader.read() == b""
    except ConnectionError:
        gone = True
    writer.close()
    return gone


def silent_server() -> socket.socket:
    """A peer that accepts and reads nothing, with little room in the kernel."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    server.bind(("127.0.0.1", 0))
    server.listen(8)
    return server


def test_connections_in_all(run: Run) -> None:
    async def main() -> None:
        bench = Bench(tcp_max_connections=2)
        first, second = await bench.client(), await bench.client()
        await bench.notes.until(lambda: len(bench.notes.opened) == 2)
        assert await refused(*await bench.client())
        assert (len(bench.table), bench.table.refused) == (2, 1)
        # The limit counts both ways.
        assert not bench.listener.send(MESSAGE, Address.of("127.0.0.1", 5060))
        first[1].close()
        await bench.notes.until(lambda: bench.notes.closed)
        third = await bench.client()
        await bench.notes.until(lambda: len(bench.notes.opened) == 3)
        second[1].close()
        third[1].close()
        bench.listener.close()

    run(main())


def test_connections_per_source(run: Run) -> None:
    async def main() -> None:
        bench = Bench(tcp_accept_iplimit=1)
        one = await bench.client("127.0.0.1")
        await bench.notes.until(lambda: bench.notes.opened)
        assert await refused(*await bench.client("127.0.0.1"))
        other = await bench.client("127.0.0.9")
        await bench.notes.until(lambda: len(bench.notes.opened) == 2)
        one[1].close()
        await bench.notes.until(lambda: bench.notes.closed)
        again = await bench.client("127.0.0.1")
        await bench.notes.until(lambda: len(bench.notes.opened) == 3)
        assert bench.table.refused == 1
        other[1].close()
        again[1].close()
        await turns(lambda: len(bench.table) == 0)
        assert bench.table._accepted == {}
        bench.listener.close()

    run(main())


def test_connections_per_source_count_accepted_ones_only(run: Run) -> None:
    async def main() -> None:
        bench = Bench(tcp_accept_iplimit=1)
        peer = Bench()
        assert bench.listener.send(MESSAGE, peer.listener.address)
        await bench.notes.until(lambda: bench.notes.opened)
        _, writer = await bench.client()
        await bench.notes.until(lambda: len(bench.notes.opened) == 2)
        writer.close()
        bench.listener.close()
        peer.listener.close()

    run(main())


def test_unique_source(run: Run) -> None:
    async def main() -> None:
        bench = Bench(tcp_accept_unique=1)
        second = TcpListener(Address.of("127.0.0.1", 0), bench.table)
        second.open(asyncio.get_running_loop(), bench.notes)
        one, other = socket.socket(), socket.socket()
        for sock in (one, other):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.setblocking(False)
        one.bind(("127.0.0.1", 0))
        other.bind(one.getsockname())
        loop = asyncio.get_running_loop()
        await loop.sock_connect(one, (bench.listener.address.ip, bench.listener.address.port))
        await bench.notes.until(lambda: bench.notes.opened)
        await loop.sock_connect(other, (second.address.ip, second.address.port))
        await turns(lambda: bench.table.refused)
        assert len(bench.table) == 1
        one.close()
        other.close()
        second.close()
        bench.listener.close()

    run(main())


def test_idle(run: Run) -> None:
    async def main() -> None:
        bench = Bench(tcp_connection_lifetime=100)
        reader, writer, connection = await bench.accepted()
        bench.after(15)
        writer.write(MESSAGE)
        await bench.notes.until(lambda: bench.notes.messages)
        bench.after(99)
        assert bench.reasons == []
        writer.write(b"\r\n\r\n")  # a keepalive counts
        await reader.readexactly(2)
        bench.after(99)
        assert connection.is_open
        bench.listener.send(MESSAGE, connection.peer, connection.id)  # and so does what we send
        assert await reader.readexactly(len(MESSAGE)) == MESSAGE
        bench.after(99)
        assert connection.is_open
        bench.after(1)
        assert not connection.is_open
        assert await reader.read() == b""
        await bench.notes.until(lambda: bench.notes.closed)
        assert bench.reasons == ["idle"]
        writer.close()
        bench.listener.close()

    run(main())


def test_a_connection_may_have_a_lifetime_of_its_own(run: Run) -> None:
    async def main() -> None:
        bench = Bench(tcp_connection_lifetime=100, tcp_msg_data_timeout=0)
        _, one, kept = await bench.accepted()
        _, two, short = await bench.accepted()
        _, three, forever = await bench.accepted()
        assert bench.table.add_alias(kept.id, 5060, lifetime=1000)
        assert bench.table.set_lifetime(short.id, 10)
        assert bench.table.set_lifetime(forever.id, -1)
        assert not bench.table.set_lifetime(12345, 10)
        bench.after(10)
        assert [c.is_open for c in (kept, short, forever)] == [True, False, True]
        bench.after(989)
        assert kept.is_open
        bench.after(1)
        assert not kept.is_open
        bench.after(1e9)
        assert forever.is_open
        for writer in (one, two, three):
            writer.close()
        bench.listener.close()

    run(main())


def test_our_ping_and_its_pong(run: Run) -> None:
    async def main() -> None:
        bench, peer = Bench(), Bench()
        bench.listener.send(MESSAGE, peer.listener.address)
        await peer.notes.until(lambda: peer.notes.messages)
        connection = next(iter(bench.table))
        bench.now += 50
        assert connection.ping()
        await turns(lambda: connection.last_used == bench.now)
        assert bench.notes.messages == []
        bench.listener.close()
        assert not connection.ping()
        peer.listener.close()

    run(main())


def test_a_stalled_message(run: Run) -> None:
    async def main() -> None:
        bench = Bench(tcp_msg_read_timeout=20)
        reader, writer, connection = await bench.accepted()
        writer.write(MESSAGE + MESSAGE[:10])
        await bench.notes.until(lambda: bench.notes.messages)
        bench.after(19)
        # A trickle gains no time.
        before = connection._framer.buffered
        writer.write(MESSAGE[10:12])
        await turns(lambda: connection._framer.buffered > before)
        bench.after(0.9)
        assert connection.is_open
        bench.after(0.2)
        assert not connection.is_open
        assert await refused(reader, writer)
        await bench.notes.until(lambda: bench.notes.closed)
        assert bench.reasons == ["a message stalled"]
        bench.listener.close()

    run(main())


def test_a_completed_message_does_not_stall(run: Run) -> None:
    async def main() -> None:
        bench = Bench(tcp_msg_read_timeout=20, tcp_connection_lifetime=1000)
        _, writer, connection = await bench.accepted()
        for i in range(4):
            writer.write(MESSAGE[:10])
            await turns(lambda: connection._framer.in_message)
            bench.after(15)
            writer.write(MESSAGE[10:])
            await bench.notes.until(lambda i=i: len(bench.notes.messages) == i + 1)  # type: ignore[misc]
        bench.after(25)
        assert connection.is_open
        writer.close()
        bench.listener.close()

    run(main())


def test_a_connection_that_says_nothing(run: Run) -> None:
    async def main() -> None:
        bench = Bench(tcp_msg_data_timeout=5)
        reader, writer, connection = await bench.accepted()
        bench.after(4.9)
        assert connection.is_open
        bench.after(0.2)
        assert await refused(reader, writer)
        await bench.notes.until(lambda: bench.notes.closed)
        assert bench.reasons == ["sent nothing"]
        # One that we made need not speak first.
        peer = Bench()
        bench.listener.send(MESSAGE, peer.listener.address)
        await peer.notes.until(lambda: peer.notes.messages)
        bench.after(10)
        assert len(bench.table) == 1
        bench.listener.close()
        peer.listener.close()

    run(main())


def test_connecting_times_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(self: TcpListener, connection: Connection) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        monkeypatch.setattr(TcpListener, "connect", never)
        bench = Bench(tcp_connect_timeout=10)
        to = Address.of("127.0.0.1", 5060)
        assert bench.listener.send(MESSAGE, to)
        assert bench.table.queued == len(MESSAGE)
        bench.after(9.9)
        assert bench.notes.errors == []
        bench.after(0.2)
        await bench.notes.until(lambda: bench.notes.errors)
        assert bench.notes.errors == [(bench.listener, to, MESSAGE, "connecting timed out")]
        assert (len(bench.table), bench.table.queued) == (0, 0)
        bench.listener.close()

    run(main())


def test_the_queue_of_one_connection(run: Run) -> None:
    async def main() -> None:
        bench = Bench(tcp_conn_wq_max=60_000)
        with silent_server() as server:
            to, connection = await bench.connected(server)
            await bench.fill(to)
            assert 0 < connection.queued <= 60_000  # one message alone may be longer
            assert bench.table.queued == connection.queued
            assert bench.table.counts.sendq_full == 1
            assert connection.is_open
            bench.listener.close()
            connection.abort("end of the test")

    run(main())


def test_the_queue_before_a_connection_is_made(run: Run) -> None:
    async def main() -> None:
        bench = Bench(tcp_conn_wq_max=2 * len(MESSAGE))
        peer = Bench()
        to = peer.listener.address
        assert bench.listener.send(MESSAGE, to)
        assert bench.listener.send(MESSAGE, to)
        assert not bench.listener.send(MESSAGE, to)
        await peer.notes.until(lambda: len(peer.notes.messages) == 2)
        assert bench.table.queued == 0
        assert bench.listener.send(MESSAGE, to)
        await peer.notes.until(lambda: len(peer.notes.messages) == 3)
        bench.listener.close()
        peer.listener.close()

    run(main())


def test_the_queues_of_all_connections(run: Run) -> None:
    async def main() -> None:
        bench = Bench(tcp_conn_wq_max=1 << 30, tcp_wq_max=200_000)
        with silent_server() as one, silent_server() as two:
            for server in (one, two):
                to, _ = await bench.connected(server)
                await bench.fill(to)
                assert bench.table.queued <= 200_000 + len(BIG)
            connections = list(bench.table)
            assert sum(c.queued for c in connections) == bench.table.queued
            for connection in connections:
                connection.abort("end of the test")
            assert bench.table.queued == 0
            bench.listener.close()

    run(main())


def test_a_peer_that_takes_nothing(run: Run) -> None:
    async def main() -> None:
        bench = Bench(tcp_send_timeout=10)
        with silent_server() as server:
            to, connection = await bench.connected(server)
            await bench.fill(to)
            bench.after(9)
            assert connection.is_open
            bench.after(2)
            await bench.notes.until(lambda: bench.notes.errors)
            assert not connection.is_open
            listener, address, data, reason = bench.notes.errors[-1]
            assert (listener, address, data) == (bench.listener, to, BIG)
            assert reason == "the peer takes nothing"
            assert bench.table.queued == 0
        bench.listener.close()

    run(main())


def test_a_slow_peer_is_not_stuck(run: Run) -> None:
    async def main() -> None:
        bench = Bench(tcp_send_timeout=10, tcp_conn_wq_max=100_000)
        with silent_server() as server:
            to, connection = await bench.connected(server)
            sent = await bench.fill(to) + len(MESSAGE)
            peer, _ = server.accept()
            peer.setblocking(False)
            left = connection.queued
            read = 0
            while read < sent:
                bench.after(6)
                assert connection.is_open
                # Take some, until it shows in what waits here.
                async with asyncio.timeout(10):
                    while read < sent and connection._waiting() >= left:
                        try:
                            read += len(peer.recv(1 << 16))
                        except BlockingIOError:
                            await asyncio.sleep(0)
                left = connection._waiting()
                if left == 0:
                    break
            assert bench.notes.errors == []
            peer.close()
        bench.listener.close()

    run(main())


def test_what_a_lost_connection_had_not_sent_is_told(run: Run) -> None:
    async def main() -> None:
        bench = Bench()
        with silent_server() as server:
            to, _ = await bench.connected(server)
            await bench.fill(to)
            peer, _ = server.accept()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            peer.close()
            await bench.notes.until(lambda: bench.notes.errors)
            assert bench.notes.errors[-1][1:3] == (to, BIG)
        bench.listener.close()

    run(main())


def test_deadlines_of_gone_connections_are_cleared_away(run: Run) -> None:
    async def main() -> None:
        bench = Bench(tcp_connection_lifetime=1e6, tcp_msg_data_timeout=0)

        class Gone:
            id, armed = 0, float("inf")

        for i in range(5000):
            gone = Gone()
            gone.id = -i
            bench.table.arm(gone, 1e6 + i)  # type: ignore[arg-type]
        assert len(bench.table._deadlines) <= 1100
        bench.listener.close()

    run(main())


def test_sweeping_goes_on_by_itself(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kahea.net.connections.SWEEP_INTERVAL", 0.001)

    async def main() -> None:
        bench = Bench(tcp_msg_data_timeout=5)
        _, writer, _ = await bench.accepted()
        bench.now += 6
        await bench.notes.until(lambda: bench.notes.closed)
        writer.close()
        bench.listener.close()
        assert bench.table._timer is None

    run(main())
