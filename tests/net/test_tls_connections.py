"""TLS over the loopback interface: handshakes and their bounds, messages, and connections that end badly."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from net_bench import IPS, Notes, turns
from tests.tls_files import Authority

from kahea.net.address import P_TLS, Address
from kahea.net.connections import ConnectionTable
from kahea.net.tcp_limits import TcpLimits
from kahea.net.tls import TlsConnection, TlsListener, TlsNode
from kahea.net.tls_profiles import Profile, Profiles

Run = Callable[[Any], Any]


def message(text: bytes = b"") -> bytes:
    return b"MESSAGE sip:a@example.com SIP/2.0\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("certificates"))
    made.sign("own")
    made.sign("client")
    return made


def shared(authority: Authority, server: dict[str, Any] | None = None, client: dict[str, Any] | None = None) -> TlsNode:
    files = {"certificate": str(authority.folder / "own.pem"), "private_key": str(authority.folder / "own.key")}
    common: dict[str, Any] = {"default": True, "method": "TLSv1.2+", "ca_list": str(authority.files.certificate)}
    made = TlsNode()
    made.profiles = Profiles(
        [Profile(server=True, **common | files | (server or {})), Profile(server=False, **common | (client or {}))]
    )
    return made


def opened(notes: Notes, tls: TlsNode, ip: str = "127.0.0.1", clock: Any = None, **limits: Any) -> TlsListener:
    listener = TlsListener(Address.of(ip, 0), ConnectionTable(TcpLimits(**limits), clock), tls)
    listener.open(asyncio.get_running_loop(), notes)
    return listener


async def client(
    listener: TlsListener, context: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    at = listener.address
    return await asyncio.open_connection(at.ip, at.port, ssl=context or trusting(), server_hostname="")


def trusting(**fields: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name, value in fields.items():
        setattr(context, name, value)
    return context


@pytest.mark.parametrize("ip", IPS)
def test_a_connection_is_made_and_serves_both_ways(run: Run, authority: Authority, ip: str) -> None:
    async def main() -> None:
        one, other = Notes(), Notes()
        tls = shared(authority, client={"verify": True})
        a, b = opened(one, tls, ip), opened(other, tls, ip)
        assert a.proto == P_TLS
        other.answer = lambda listener, data, source, conn: listener.send(message(b"re" + data[-5:]), source, conn)
        assert a.send(message(b"first"), b.address)
        assert a.send(message(b"other"), b.address)
        await one.until(lambda: len(one.messages) == 2)
        assert other.data == [message(b"first"), message(b"other")]
        assert one.data == [message(b"refirst"), message(b"reother")]
        # One connection: both sides know it by an id of their own, and the other way is open on it, too.
        assert len(a.table) == len(b.table) == a.table.secure == b.table.secure == 1
        assert b.send(message(b"x" * 60_000), other.messages[0][2])
        await one.until(lambda: len(one.messages) == 3)
        assert one.data[2] == message(b"x" * 60_000)
        a.close()
        await other.until(lambda: other.closed)
        assert len(a.table) == len(b.table) == a.table.secure == b.table.secure == 0
        assert a.table.queued == b.table.queued == 0
        b.close()

    run(main())


def test_a_handshake_in_single_bytes(run: Run, authority: Authority) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes, shared(authority))
        session, sent, received = _outside(trusting())
        reader, writer = await asyncio.open_connection(a.address.ip, a.address.port)
        while True:
            try:
                session.do_handshake()
            except ssl.SSLWantReadError:
                for byte in sent.read():
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0)
                received.write(await reader.read(65536))
            else:
                break
        session.write(message(b"hello") + b"\r\n\r\n")
        for byte in sent.read():
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        await notes.until(lambda: notes.messages)
        assert notes.data == [message(b"hello")]
        writer.close()
        a.close()

    run(main())


def _outside(context: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.MemoryBIO]:
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    return context.wrap_bio(received, sent), sent, received


async def shaken(
    session: ssl.SSLObject,
    sent: ssl.MemoryBIO,
    received: ssl.MemoryBIO,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> bool:
    """Carry out a client's handshake; False if it was refused."""
    while True:
        try:
            session.do_handshake()
        except ssl.SSLWantReadError:
            writer.write(sent.read())
            data = await reader.read(65536)
            if not data:
                return False
            received.write(data)
        except ssl.SSLError:
            return False
        else:
            writer.write(sent.read())
            return True


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (message(), "wrong version number"),
        (b"\x16\x03\x01\x00\x05hello", "unexpected message"),
        (b"GET / HTTP/1.1\r\n\r\n", "http request"),
    ],
)
def test_garbage_in_place_of_a_handshake(
    run: Run, authority: Authority, data: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes, shared(authority))
        reader, writer = await asyncio.open_connection(a.address.ip, a.address.port)
        writer.write(data)
        await reader.read()  # the alert, and the end
        writer.close()
        # Nobody was told of it, for it was never open.
        assert (notes.opened, notes.closed, notes.messages, len(a.table)) == ([], [], [], 0)
        a.close()

    with caplog.at_level(logging.WARNING):
        run(main())
    (record,) = caplog.records
    assert "no TLS with 127.0.0.1" in record.message
    assert record.message.endswith(reason)


def test_garbage_in_place_of_a_record(run: Run, authority: Authority) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes, shared(authority))
        _, writer = await client(a, trusting(maximum_version=ssl.TLSVersion.TLSv1_2))
        writer.write(message(b"fine"))
        await notes.until(lambda: notes.messages)
        plain = writer.get_extra_info("socket").dup()
        plain.setblocking(True)
        plain.send(b"garbage that is no record")
        await notes.until(lambda: notes.closed)
        assert notes.closed[0][2] == "wrong version number"
        plain.close()
        writer.transport.abort()
        a.close()

    run(main())


def test_what_waits_for_a_refused_handshake_is_reported(run: Run, authority: Authority, tmp_path: Path) -> None:
    async def main() -> None:
        notes, other = Notes(), Notes()
        stranger = Authority(tmp_path, "stranger").sign("server")
        files = {"certificate": str(stranger.certificate), "private_key": str(stranger.key)}
        a = opened(notes, shared(authority, client={"verify": True}))
        b = opened(other, shared(authority, server=files))
        assert a.send(message(b"one"), b.address)
        assert a.send(message(b"two"), b.address)
        await notes.until(lambda: len(notes.errors) == 2)
        assert [data for _, _, data, _ in notes.errors] == [message(b"one"), message(b"two")]
        assert "certificate is refused" in notes.errors[0][3]
        assert (notes.opened, other.messages, len(a.table), a.table.queued) == ([], [], 0, 0)
        a.close()
        b.close()

    run(main())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_clients_certificates(run: Run, authority: Authority, tmp_path: Path, version: ssl.TLSVersion) -> None:
    """Of each demand, who gets in: nobody's, a good, a stranger's, a revoked, an expired one."""
    stranger = Authority(tmp_path, "stranger").sign("x")
    revoked, expired = authority.sign("revoked"), authority.sign("expired", days=-1)
    good = authority.sign("client")
    crl = {"crl": str(authority.revoke(revoked))}

    async def tried(listener: TlsListener, notes: Notes, files: Any) -> bool:
        context = trusting(minimum_version=version, maximum_version=version)
        if files is not None:
            context.load_cert_chain(files.certificate, files.key)
        before = len(notes.messages)
        reader, writer = await asyncio.open_connection(listener.address.ip, listener.address.port)
        session, sent, received = _outside(context)
        if await shaken(session, sent, received, reader, writer):
            session.write(message())
            writer.write(sent.read())
        await turns(lambda: len(notes.messages) > before or len(listener.table) == 0)
        writer.transport.abort()
        await turns(lambda: len(listener.table) == 0)
        return len(notes.messages) > before

    async def main() -> None:
        found = {}
        for name, demands in (
            ("off", {}), ("optional", {"verify": True} | crl), ("on", {"require": True} | crl),
        ):  # fmt: skip
            notes = Notes()
            a = opened(notes, shared(authority, server=demands))
            tries = [await tried(a, notes, files) for files in (None, good, stranger, revoked, expired)]
            found[name] = "".join(str(int(one)) for one in tries)
            a.close()
        assert found == {"off": "11111", "optional": "11000", "on": "01000"}

    run(main())


def test_a_slow_handshake_has_an_end(run: Run, authority: Authority) -> None:
    async def main() -> None:
        now = [1000.0]
        notes = Notes()
        a = opened(notes, shared(authority), clock=lambda: now[0], tls_handshake_timeout=5, tcp_msg_data_timeout=0)
        reader, writer = await asyncio.open_connection(a.address.ip, a.address.port)
        await turns(lambda: len(a.table) == 1)
        session, sent, _ = _outside(trusting())
        with pytest.raises(ssl.SSLWantReadError):
            session.do_handshake()
        hello = sent.read()
        for byte in hello[:4]:  # slowly enough to look alive
            now[0] += 1
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
            a.table.sweep()
        assert len(a.table) == 1
        now[0] += 1
        a.table.sweep()
        assert len(a.table) == 0
        assert await reader.read() == b""
        writer.close()
        a.close()

    run(main())


def test_our_own_handshake_has_an_end(run: Run, authority: Authority) -> None:
    async def main() -> None:
        now = [1000.0]
        notes = Notes()
        a = opened(notes, shared(authority), clock=lambda: now[0], tls_handshake_timeout=5)
        silent = socket.create_server(("127.0.0.1", 0))
        assert a.send(message(), Address.of(*silent.getsockname()))
        await turns(lambda: next(iter(a.table)).transport is not None)
        now[0] += 4.9
        a.table.sweep()
        assert len(a.table) == 1
        now[0] += 0.1
        a.table.sweep()
        await notes.until(lambda: notes.errors)
        assert notes.errors[0][3] == "the TLS handshake timed out"
        assert a.table.counts.connect_failed == 1
        silent.close()
        a.close()

    run(main())


def test_limits_hold_before_the_handshake(run: Run, authority: Authority) -> None:
    async def main() -> None:
        for limits in ({"tcp_accept_iplimit": 2}, {"tls_max_connections": 2}, {"tcp_max_connections": 2}):
            a = opened(Notes(), shared(authority), **limits)
            made = [await asyncio.open_connection(a.address.ip, a.address.port) for _ in range(3)]
            assert await made[2][0].read() == b""
            assert (len(a.table), a.table.refused, a.table.secure) == (2, 1, 2)
            for _, writer in made:
                writer.transport.abort()
            await turns(lambda listener=a: len(listener.table) == 0)
            a.close()

    run(main())


def test_a_flood_of_handshakes_lets_others_have_their_turn(run: Run, authority: Authority) -> None:
    """Between two steps of handshakes the loop looks at everything else once."""

    async def main() -> None:
        a = opened(Notes(), shared(authority))
        session, sent, _ = _outside(trusting())
        with pytest.raises(ssl.SSLWantReadError):
            session.do_handshake()
        hello = sent.read()
        floods = [await asyncio.open_connection(a.address.ip, a.address.port) for _ in range(40)]
        await turns(lambda: len(a.table) == 40)
        connections = [one for one in a.table if isinstance(one, TlsConnection)]
        for one in connections:
            one.data_received(hello)
        rounds = 0
        while not all(one.stream is not None for one in connections):
            started = sum(one.stream is not None for one in connections)
            await asyncio.sleep(0)
            rounds += 1
            assert sum(one.stream is not None for one in connections) - started <= 1
        assert rounds >= 39
        for _, writer in floods:
            writer.transport.abort()
        a.close()

    run(main())


def test_a_proxy_header_comes_before_the_handshake(run: Run, authority: Authority) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes, shared(authority), tcp_accept_haproxy=True)
        session, sent, received = _outside(trusting())
        reader, writer = await asyncio.open_connection(a.address.ip, a.address.port)
        writer.write(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 5061\r\n")
        assert await shaken(session, sent, received, reader, writer)
        session.write(message(b"hello"))
        writer.write(sent.read())
        await notes.until(lambda: notes.messages)
        assert notes.messages[0][1:3] == (message(b"hello"), Address.of("192.0.2.7", 4711))
        writer.transport.abort()
        a.close()

    run(main())


def test_profiles_may_change_while_connections_live(run: Run, authority: Authority) -> None:
    async def main() -> None:
        notes = Notes()
        tls = shared(authority)
        a = opened(notes, tls)
        _, old = await client(a)
        tls.profiles = shared(authority, server={"require": True}).profiles
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await client(a, trusting(maximum_version=ssl.TLSVersion.TLSv1_2))
        old.write(message(b"still here"))
        await notes.until(lambda: notes.messages)
        assert notes.data == [message(b"still here")]
        old.transport.abort()
        a.close()

    run(main())


def test_unused_connections_have_a_timeout_of_their_own(run: Run, authority: Authority) -> None:
    async def main() -> None:
        now = [1000.0]
        notes = Notes()
        tls = shared(authority)
        tls.connection_timeout = 50
        limits = {"tcp_connection_lifetime": 10, "tcp_msg_data_timeout": 0}
        a = opened(notes, tls, clock=lambda: now[0], **limits)
        _, unused = await client(a)
        _, used = await client(a)
        await notes.until(lambda: len(notes.opened) == 2)
        used.write(message())
        await notes.until(lambda: notes.messages)
        now[0] += 11
        a.table.sweep()
        assert len(a.table) == 1
        now[0] += 38
        a.table.sweep()
        assert len(a.table) == 1
        now[0] += 1
        a.table.sweep()
        assert len(a.table) == 0
        unused.transport.abort()
        used.transport.abort()
        a.close()

    run(main())


@pytest.mark.parametrize("told", [True, False])
def test_close_notify_is_sent_if_so_set(run: Run, authority: Authority, told: bool) -> None:
    async def main() -> None:
        notes = Notes()
        tls = shared(authority)
        tls.send_close_notify = told
        a = opened(notes, tls)
        session, sent, received = _outside(trusting())
        reader, writer = await asyncio.open_connection(a.address.ip, a.address.port)
        assert await shaken(session, sent, received, reader, writer)
        await notes.until(lambda: notes.opened)
        a.table.close(notes.opened[0][0])
        received.write(await reader.read())
        received.write_eof()
        if told:
            assert session.read(10) == b""
        else:
            with pytest.raises(ssl.SSLEOFError):
                session.read(10)
        writer.close()
        a.close()

    run(main())


def test_half_closed_and_reset_connections_are_gone(run: Run, authority: Authority) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes, shared(authority))
        _, half = await client(a)
        _, reset = await client(a)
        begun = socket.create_connection((a.address.ip, a.address.port))
        await turns(lambda: len(a.table) == 3)
        await notes.until(lambda: len(notes.opened) == 2)
        plain = half.get_extra_info("socket").dup()
        plain.shutdown(socket.SHUT_WR)
        plain.close()
        reset.transport.abort()
        begun.close()
        await notes.until(lambda: len(notes.closed) == 2)
        await turns(lambda: len(a.table) == 0)
        half.transport.abort()
        a.close()

    run(main())


def test_a_queue_behind_a_peer_that_reads_nothing_has_bounds(run: Run, authority: Authority) -> None:
    async def main() -> None:
        notes = Notes()
        a = opened(notes, shared(authority), tcp_conn_wq_max=100_000)
        _, writer = await client(a)
        await notes.until(lambda: notes.opened)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        connection_id, peer = notes.opened[0]
        sent = 0
        while a.send(message(b"x" * 50_000), peer, connection_id):
            sent += 1
            assert sent < 10_000
        assert 50_000 < a.table.queued <= 102_000
        connection = a.table.get(connection_id)
        assert connection is not None
        connection.abort("enough")
        await notes.until(lambda: len(notes.errors) >= 1)
        assert a.table.queued == 0
        writer.transport.abort()
        a.close()

    run(main())
