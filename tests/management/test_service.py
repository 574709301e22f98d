"""The sockets of services: their places, permissions and bounds."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.ports import free_port

from kahea.net import service
from kahea.net.service import Access, DatagramServer, ServiceAddress, Stream, StreamServer, parse_service
from kahea.net.sockets import BindError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("unix:/run/k/ctl", "unix_stream:/run/k/ctl"),
        ("unixs:/run/k/ctl", "unix_stream:/run/k/ctl"),
        ("unixd:/run/k/ctl", "unix_dgram:/run/k/ctl"),
        ("/tmp/unix_test", "unix_stream:/tmp/unix_test"),
        ("udp:localhost:2046", "udp:localhost:2046"),
        ("localhost:3000", "udp:localhost:3000"),
        ("tcp:3012", "tcp:*:3012"),
        ("udp:*:3012", "udp:*:3012"),
        ("tcp:[::1]:3012", "tcp:[::1]:3012"),
    ],
)
def test_addresses_in_the_forms_of_kamailio(text: str, shown: str) -> None:
    assert str(parse_service(text)) == shown


@pytest.mark.parametrize(
    "text", ["", "unix:", "tcp:", "tcp:host", "tcp:host:0", "tcp:host:65536", "udp:a b:1", "x:y:1"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError):
        parse_service(text)


def test_users_and_groups() -> None:
    assert (service.user_id("root"), service.user_id("0"), service.user_id("")) == (0, 0, -1)
    assert service.group_id("root") == 0
    with pytest.raises(ValueError, match="no user"):
        service.user_id("nobody-of-that-name")
    with pytest.raises(ValueError, match="no group"):
        service.known_group("nobody-of-that-name")


class Echo:
    """A session that sends back what it gets."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def received(self, data: bytes) -> None:
        if data == b"break":
            raise ValueError("a mistake")
        self.stream.write(data)

    def lost(self) -> None:
        pass


def serving(
    address: ServiceAddress, work: Callable[[StreamServer], Awaitable[object]], mode: int = 0o600, **bounds: Any
) -> None:
    """Run `work` while an echo server listens, within bounds."""

    async def main() -> None:
        server = StreamServer(address, Access(mode), Echo, **bounds)
        await server.open()
        try:
            await asyncio.wait_for(work(server), 10)
        finally:
            server.close()

    asyncio.run(main())


async def said(path: Path, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    answer = await reader.read(100)
    writer.close()
    return answer


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_a_path_has_its_permissions_and_goes_at_the_end(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "s"

    async def work(_server: StreamServer) -> None:
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert await said(path, b"hello") == b"hello"

    serving(ServiceAddress(datagram=False, path=str(path)), work, mode)
    assert not path.exists()


def test_a_path_that_nobody_serves_is_replaced_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "s"
    address = ServiceAddress(datagram=False, path=str(path))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def work(_server: StreamServer) -> None:
        with pytest.raises(BindError, match="another process serves it"):
            await StreamServer(address, Access(), Echo).open()
        assert await said(path, b"still here") == b"still here"

    serving(address, work)
    path.write_text("a file")
    with pytest.raises(BindError, match="something else of that name"):
        serving(address, work)
    assert path.read_text() == "a file"


def test_a_path_that_another_made_since_is_left(tmp_path: Path) -> None:
    path = tmp_path / "s"

    async def work(_server: StreamServer) -> None:
        path.unlink()
        path.write_text("of another")

    serving(ServiceAddress(datagram=False, path=str(path)), work)
    assert path.read_text() == "of another"


def test_connections_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "s"

    async def work(server: StreamServer) -> None:
        open_ = [await asyncio.open_unix_connection(path) for _ in range(3)]
        for reader, writer in open_:
            writer.write(b"x")
            assert await reader.read(1) == b"x"
        reader, writer = await asyncio.open_unix_connection(path)
        assert await reader.read() == b""
        writer.close()
        open_[0][1].close()
        while len(server.streams) > 2:
            await asyncio.sleep(0)
        assert await said(path, b"room") == b"room"
        for _, writer in open_[1:]:
            writer.close()

    serving(ServiceAddress(datagram=False, path=str(path)), work, limit=3)


def test_a_mistake_ends_one_connection(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "s"

    async def work(_server: StreamServer) -> None:
        assert await said(path, b"break") == b""
        assert await said(path, b"next") == b"next"

    serving(ServiceAddress(datagram=False, path=str(path)), work)
    assert "a mistake" in caplog.text


def test_a_peer_that_reads_nothing_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_UNWRITTEN", 100_000)
    path = tmp_path / "s"

    async def work(server: StreamServer) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        (stream,) = server.streams
        for _ in range(1000):
            stream.write(b"y" * 10_000)
        await asyncio.sleep(0)
        assert not server.streams
        writer.close()

    serving(ServiceAddress(datagram=False, path=str(path)), work)


def test_an_idle_connection_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "s"

    async def work(_server: StreamServer) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        assert await reader.read() == b""
        writer.close()

    serving(ServiceAddress(datagram=False, path=str(path)), work, idle=0.05)


def test_answers_wait_for_room_at_a_unix_peer_for_a_while(tmp_path: Path) -> None:
    path, own = tmp_path / "s", tmp_path / "own"

    async def main() -> None:
        answers = 100

        def receive(data: bytes, answer: Callable[[bytes], None]) -> None:
            for i in range(answers):
                answer(b"%04d" % i)

        server = DatagramServer(ServiceAddress(datagram=True, path=str(path)), Access(), receive)
        await server.open()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
            peer.bind(str(own))
            peer.setblocking(False)
            peer.sendto(b"go", str(path))
            while not server._sending:
                await asyncio.sleep(0)
            got = set()
            while len(got) < answers:
                try:
                    got.add(peer.recv(10))
                except BlockingIOError:
                    await asyncio.sleep(0.005)
            # One who does not read: given up in time.
            server.timeout = 0.05
            peer.sendto(b"go", str(path))
            while not server._sending:
                await asyncio.sleep(0)
            while server._sending:
                await asyncio.sleep(0.01)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nameless:
            nameless.sendto(b"go", str(path))
            await asyncio.sleep(0)
        server.close()
        assert not path.exists()

    asyncio.run(asyncio.wait_for(main(), 20))


def test_a_port_in_use() -> None:
    port = free_port()
    address = parse_service(f"tcp:127.0.0.1:{port}")

    async def work(_server: StreamServer) -> None:
        with pytest.raises(BindError, match="cannot listen on tcp:127"):
            await StreamServer(address, Access(), Echo).open()

    serving(address, work)
