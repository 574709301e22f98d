"""UDP over the loopback interface: batches, order, refusals, a full buffer, and what the receiver raises."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest
from net_bench import IPS, Notes

from kahea.net import udp
from kahea.net.address import Address, Listener
from kahea.net.sockets import BindError, SocketOptions
from kahea.net.udp import UdpListener

MESSAGE = b"OPTIONS sip:a@example.com SIP/2.0\r\n\r\n"
Run = Callable[[Any], Any]


def opened(notes: Notes, ip: str = "127.0.0.1", **options: Any) -> UdpListener:
    listener = UdpListener(Address.of(ip, 0), **options)
    listener.open(asyncio.get_running_loop(), notes)
    return listener


@pytest.mark.parametrize("ip", IPS)
def test_both_ways(run: Run, ip: str) -> None:
    async def main() -> None:
        one, other = Notes(), Notes()
        a, b = opened(one, ip), opened(other, ip)
        assert a.address.port != 0
        other.answer = lambda listener, data, source, _: listener.send(b"re: " + data, source)
        assert a.send(MESSAGE, b.address)
        await one.until(lambda: one.messages)
        assert one.messages == [(a, b"re: " + MESSAGE, b.address, 0)]
        assert other.messages == [(b, MESSAGE, a.address, 0)]
        assert (a.sent, a.received, b.sent, b.received) == (1, 1, 1, 1)
        assert one.batches == 1
        a.close()
        b.close()

    run(main())


def test_many_arrive_in_order_and_answers_go_out_by_batch(run: Run) -> None:
    async def main() -> None:
        one, other = Notes(), Notes()
        a, b = opened(one), opened(other)
        sent = [b"MESSAGE sip:a@example.com %d" % i for i in range(1000)]
        other.answer = lambda listener, data, source, _: listener.send(data, source)
        for data in sent:
            assert a.send(data, b.address)
        assert a.queued == 1000
        await one.until(lambda: len(one.messages) == 1000)
        assert one.data == other.data == sent
        assert other.batches < 1000 / 8
        assert a.queued == 0
        a.close()
        b.close()

    run(main())


def test_flush_sends_at_once(run: Run) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(("127.0.0.1", 0))
            peer.setblocking(False)
            a = opened(Notes())
            a.send(MESSAGE, Address.of(*peer.getsockname()))
            with pytest.raises(BlockingIOError):
                peer.recv(100)
            a.flush()
            assert peer.recv(100) == MESSAGE
            a.close()

    run(main())


def test_close_sends_what_is_queued_and_then_refuses(run: Run) -> None:
    async def main() -> None:
        notes = Notes()
        b = opened(notes)
        a = opened(Notes())
        a.send(MESSAGE, b.address)
        a.close()
        a.close()
        assert not a.is_open
        assert not a.send(MESSAGE, b.address)
        await notes.until(lambda: notes.messages)
        b.close()

    run(main())


def test_what_udp_cannot_send(run: Run) -> None:
    async def main() -> None:
        a = opened(Notes())
        assert not a.send(bytes(65508), a.address)
        assert a.too_large == 1
        assert not a.send(MESSAGE, Address.of("::1", 5060))
        assert not a.send(MESSAGE, Address.of("127.0.0.1", 0))
        assert a.queued == 0
        a.close()

    run(main())


def test_the_largest_datagram_passes(run: Run) -> None:
    async def main() -> None:
        notes = Notes()
        a, b = opened(Notes()), opened(notes)
        assert a.send(b"x" * 65507, b.address)
        await notes.until(lambda: notes.messages)
        assert notes.data == [b"x" * 65507]
        a.close()
        b.close()

    run(main())


def test_a_refusal_of_the_kernel_is_told_and_stops_no_other(run: Run) -> None:
    async def main() -> None:
        notes, other = Notes(), Notes()
        a, b = opened(notes), opened(other)
        # Off the host from a socket bound to the loopback address: EINVAL or ENETUNREACH.
        far = Address.of("198.51.100.7", 5060)
        assert a.send(b"lost", far)
        assert a.send(MESSAGE, b.address)
        await notes.until(lambda: notes.errors)
        await other.until(lambda: other.messages)
        (listener, address, data, reason), *more = notes.errors
        assert (listener, address, data, more) == (a, far, b"lost", [])
        assert reason
        assert a.send_errors == 1
        a.close()
        b.close()

    run(main())


def test_probes_are_ignored(run: Run) -> None:
    async def main() -> None:
        notes = Notes()
        b = opened(notes)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            for data in (b"", b"\r\n\r\n", b"x" * 19, MESSAGE):
                peer.sendto(data, (b.address.ip, b.address.port))
            await notes.until(lambda: notes.messages)
        assert notes.data == [MESSAGE]
        assert b.probes == 3
        b.close()

    run(main())


def test_what_the_receiver_raises_stops_nothing(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Notes):
        def on_datagram(self, listener: Listener, data: bytes, source: Address, connection_id: int) -> None:
            super().on_datagram(listener, data, source, connection_id)
            raise RuntimeError("a bug in a script")

        def on_batch_end(self) -> None:
            raise RuntimeError("another")

    async def main() -> None:
        notes = Broken()
        a, b = opened(Notes()), opened(notes)
        for _ in range(3):
            a.send(MESSAGE, b.address)
        await notes.until(lambda: len(notes.messages) == 3)
        a.close()
        b.close()

    with caplog.at_level(logging.ERROR):
        run(main())
    assert "a bug in a script" in caplog.text


def test_the_receiver_may_close_the_listener(run: Run) -> None:
    async def main() -> None:
        notes = Notes()
        a, b = opened(Notes()), opened(notes)
        notes.answer = lambda *_: b.close()
        for _ in range(5):
            a.send(MESSAGE, b.address)
        await notes.until(lambda: notes.messages)
        assert len(notes.messages) == 1
        a.close()

    run(main())


def test_a_full_kernel_buffer_queues_then_drops_the_oldest(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A UDP socket of the loopback interface never blocks; a TCP socket takes the same calls, and does."""
    near, far = stream_pair()
    monkeypatch.setattr(udp, "datagram_socket", lambda *_: near)

    async def main() -> None:
        a = opened(Notes(), max_queue=10)
        filled = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                filled += near.send(bytes(1 << 16))
        for i in range(25):
            assert a.send(b"%02d" % i, a.address)
        a.flush()
        assert (a.queued, a.dropped, a.sent) == (10, 15, 0)
        # Blocked: more sends only queue, by the same rule.
        a.send(b"25", a.address)
        a.flush()
        assert (a.queued, a.dropped, a.sent) == (10, 16, 0)
        tail = b""
        async with asyncio.timeout(10):
            while a.queued or b"25" not in tail:
                with contextlib.suppress(BlockingIOError):
                    tail = tail[-100:] + far.recv(1 << 20)
                await asyncio.sleep(0)
        assert tail.lstrip(bytes(1)).endswith(b"".join(b"%02d" % i for i in range(16, 26)))
        assert a.sent == 10
        a.close()
        far.close()

    run(main())


def stream_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    near.setblocking(False)
    far.setblocking(False)
    return near, far


def test_a_queue_that_never_drains_is_bounded(run: Run) -> None:
    async def main() -> None:
        a = opened(Notes(), max_queue=100)
        to = Address.of("127.0.0.1", 9)
        for i in range(1000):
            a.send(b"%d" % i, to)
        assert a.queued == 100
        assert a.dropped == 900
        a.close()

    run(main())


def test_nothing_leaks(run: Run) -> None:
    async def main() -> None:
        a = opened(Notes(), max_queue=64)
        data = bytes(bytearray(b"data that nobody else holds"))
        to = a.address
        before = sys.getrefcount(data), sys.getrefcount(to)
        for _ in range(1000):
            a.send(data, to)
        a.close()
        del a
        gc.collect()
        assert sys.getrefcount(data) == before[0]
        assert sys.getrefcount(to) <= before[1]

    run(main())


def test_bind_errors_are_for_the_operator(run: Run) -> None:
    async def main() -> None:
        a = opened(Notes())
        with pytest.raises(BindError, match=rf"udp:127.0.0.1:{a.address.port}: the port is in use"):
            UdpListener(a.address).open(asyncio.get_running_loop(), Notes())
        with pytest.raises(BindError, match="no such address"):
            opened(Notes(), "198.51.100.7")
        with pytest.raises(RuntimeError, match="open already"):
            a.open(asyncio.get_running_loop(), Notes())
        a.close()

    run(main())


def test_socket_options(run: Run) -> None:
    async def main() -> None:
        a = opened(Notes(), options=SocketOptions(tos=0x68, receive_buffer=1 << 20, pmtu_discovery=1))
        with socket.socket(fileno=a.fileno()) as sock:
            assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0x68
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) > 212_992
            assert sock.getsockopt(socket.IPPROTO_IP, 10) == 2
            sock.detach()
        a.close()
        b = opened(Notes(), options=SocketOptions(pmtu_discovery=2, vrf="lo"))
        with socket.socket(fileno=b.fileno()) as sock:
            assert sock.getsockopt(socket.IPPROTO_IP, 10) == 1
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0") == b"lo"
            sock.detach()
        b.close()

    run(main())


def test_free_bind_takes_an_address_of_no_interface(run: Run) -> None:
    async def main() -> None:
        a = opened(Notes(), "198.51.100.7", options=SocketOptions(ip_free_bind=1))
        assert a.address.ip == "198.51.100.7"
        a.close()

    run(main())
