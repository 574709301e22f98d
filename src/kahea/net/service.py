"""Sockets of services beside SIP (management): streams and datagrams, on the network or in the file system.

Rules of this room:

1. What is served is a `Session` or a function, given bytes and a way to answer; neither sees a socket.
2. Everything is bounded: connections in all, what waits to be written, how long a peer may stay idle.
3. A path in the file system is made with its final permissions, is never taken from a process that still serves it,
   and goes when the service stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import grp
import logging
import os
import pwd
import re
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from kahea.net.sockets import BindError

log = logging.getLogger("kahea.net")

MAX_CONNECTIONS = 128
#: Bytes that may wait to be written to one peer before it counts as stuck.
MAX_UNWRITTEN = 4 << 20
IDLE_TIMEOUT = 3600.0  # seconds
DATAGRAMS_PER_WAKE_UP = 32
_MAX_DATAGRAM = 65536


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """Where a service listens: a path, or a host ("" for every address) and a port."""

    datagram: bool
    path: str = ""
    host: str = ""
    port: int = 0

    @property
    def kind(self) -> str:
        """`unix_stream`, `unix_dgram`, `tcp` or `udp`, as Kamailio's `ctl.listen` names them."""
        if self.path:
            return "unix_dgram" if self.datagram else "unix_stream"
        return "udp" if self.datagram else "tcp"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host or "*"
        return f"{self.kind}:{self.path or f'{host}:{self.port}'}"


_INET = re.compile(r"(?:(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]*):)?(\d{1,5})")


def parse_service(text: str) -> ServiceAddress:
    """Read `[unix|unixs|unixd:]path` or `[udp|tcp:][host:]port`, in the forms of Kamailio's `binrpc` parameter.

    Without a protocol, what looks like a path is a Unix stream socket, all else UDP. Raises ValueError.
    """
    proto, colon, rest = text.strip().partition(":")
    if not colon or proto not in ("unix", "unixs", "unixd", "tcp", "udp"):
        proto, rest = "unix" if "/" in text else "udp", text.strip()
    if proto.startswith("unix"):
        if not rest:
            raise ValueError(f"{text!r} has no path")
        return ServiceAddress(proto == "unixd", path=rest)
    found = _INET.fullmatch(rest)
    if found is None or not 0 < int(found[2]) < 65536:
        raise ValueError(f"{text!r} is neither a path nor [udp:|tcp:][host:]port")
    host = (found[1] or "").strip("[]")
    return ServiceAddress(proto == "udp", host="" if host == "*" else host, port=int(found[2]))


@dataclass(frozen=True, slots=True)
class Access:
    """Permissions and owner of a path; -1 leaves the process's own."""

    mode: int = 0o600
    user: int = -1
    group: int = -1


def user_id(name: str) -> int:
    """A user's number, by name or number; "" is -1. Raises ValueError."""
    if name.isdigit() or name in ("", "-1"):
        return int(name or -1)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise ValueError(f"there is no user {name!r}") from None


def group_id(name: str) -> int:
    """A group's number, by name or number; "" is -1. Raises ValueError."""
    if name.isdigit() or name in ("", "-1"):
        return int(name or -1)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise ValueError(f"there is no group {name!r}") from None


def known_user(name: str) -> str:
    """The name itself, if `user_id` knows it: checks a parameter. Raises ValueError."""
    user_id(name)
    return name


def known_group(name: str) -> str:
    """The name itself, if `group_id` knows it: checks a parameter. Raises ValueError."""
    group_id(name)
    return name


def grant(path: str, access: Access) -> None:
    """Give a path its owner and permissions. Raises BindError."""
    try:
        if access.user >= 0 or access.group >= 0:
            os.chown(path, access.user, access.group)
        os.chmod(path, access.mode)
    except OSError as error:
        raise BindError(f"{path}: {error.strerror}") from error


def bind_service(address: ServiceAddress, access: Access) -> socket.socket:
    """A bound, non-blocking socket; a path that nobody serves any more is replaced. Raises BindError."""
    kind = socket.SOCK_DGRAM if address.datagram else socket.SOCK_STREAM
    sock = None
    try:
        if address.path:
            return _bind_path(address.path, kind, access)
        flags = socket.AI_PASSIVE
        family, _, _, _, name = socket.getaddrinfo(address.host or "0.0.0.0", address.port, type=kind, flags=flags)[0]
        sock = socket.socket(family, kind)
        sock.setblocking(False)
        if not address.datagram:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(name)
    except OSError as error:
        if sock is not None:
            sock.close()
        raise BindError(f"cannot listen on {address}: {error.strerror or error}") from error
    return sock


def _bind_path(path: str, kind: socket.SocketKind, access: Access) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, kind)
    try:
        sock.setblocking(False)
        _clear(path, kind)
        before = os.umask(0o777 & ~access.mode)
        try:
            sock.bind(path)
        finally:
            os.umask(before)
        grant(path, access)
    except BaseException:
        sock.close()
        raise
    return sock


def _clear(path: str, kind: socket.SocketKind) -> None:
    """Take away a socket that a dead process left. Raises OSError."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise OSError(errno.EEXIST, "there is something else of that name")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, kind) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            return
    raise OSError(errno.EADDRINUSE, "another process serves it")


class Session(Protocol):
    """One peer's conversation on a stream."""

    def received(self, data: bytes) -> None:
        """Bytes came."""

    def lost(self) -> None:
        """The connection is gone."""


class Stream(asyncio.Protocol):
    """One connection of a stream service; what a session answers through."""

    def __init__(self, server: StreamServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._session: Session | None = None
        self._idle: asyncio.TimerHandle | None = None

    @property
    def address(self) -> ServiceAddress:
        """Where it came in."""
        return self._server.address

    @property
    def peer(self) -> tuple[str, str]:
        """The peer's address and port as text; ("<anonymous unix socket>", "") on Unix sockets."""
        name = self._transport.get_extra_info("peername") if self._transport is not None else None
        if isinstance(name, tuple):
            return str(name[0]), str(name[1])
        return (str(name) if name else "<anonymous unix socket>"), ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop's call."""
        self._transport = cast(asyncio.Transport, transport)
        if len(self._server.streams) >= self._server.limit:
            log.warning("%s: more than %d connections", self.address, self._server.limit)
            self._transport.abort()
            return
        self._server.streams.add(self)
        self._session = self._server.make(self)
        self.stay(self._server.idle)

    def data_received(self, data: bytes) -> None:
        """The loop's call."""
        if self._session is None:
            return
        self.stay(self._server.idle)
        try:
            self._session.received(data)
        except Exception:
            log.exception("%s: a request failed", self.address)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The loop's call."""
        self._server.streams.discard(self)
        if self._idle is not None:
            self._idle.cancel()
        session, self._session = self._session, None
        self._transport = None
        if session is not None:
            session.lost()

    def write(self, data: bytes) -> None:
        """Send bytes; a peer that lets too much wait is cut off."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() + len(data) > max(MAX_UNWRITTEN, len(data)):
            log.warning("%s: a peer takes no answers", self.address)
            self._transport.abort()
            return
        self._transport.write(data)

    def close(self) -> None:
        """Close it when what was written is sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    def hold(self, held: bool) -> None:
        """Read no more for now, or again."""
        if self._transport is None or self._transport.is_closing():
            return
        if held:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def stay(self, seconds: float) -> None:
        """Close it if nothing comes for so long; 0 is for ever."""
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(seconds, self.close) if seconds else None


class StreamServer:
    """Listens for streams; `make` gives each its session.

    There are at most `limit` at once, and each is closed that sends nothing for `idle` seconds; 0 is for ever.
    """

    def __init__(
        self,
        address: ServiceAddress,
        access: Access,
        make: Callable[[Stream], Session],
        *,
        limit: int = MAX_CONNECTIONS,
        idle: float = IDLE_TIMEOUT,
    ) -> None:
        self.address = address
        self.limit = limit
        self.idle = idle
        self.make = make
        self.streams: set[Stream] = set()
        self._access = access
        self._server: asyncio.Server | None = None
        self._inode = 0

    async def open(self) -> None:
        """Bind and listen. Raises BindError."""
        sock = bind_service(self.address, self._access)
        self._inode = _inode(self.address)
        loop = asyncio.get_running_loop()
        try:
            if self.address.path:
                self._server = await loop.create_unix_server(lambda: Stream(self), sock=sock)
            else:
                self._server = await loop.create_server(lambda: Stream(self), sock=sock)
        except OSError as error:
            sock.close()
            raise BindError(f"cannot listen on {self.address}: {error}") from error

    def close(self) -> None:
        """Stop, and remove the path."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for stream in list(self.streams):
            stream.close()
        _remove(self.address, self._inode)


#: Sends an answer to where a datagram came from.
Answer = Callable[[bytes], None]


class DatagramServer:
    """Serves datagrams; `receive(data, answer)` is called for each."""

    def __init__(self, address: ServiceAddress, access: Access, receive: Callable[[bytes, Answer], None]) -> None:
        self.address = address
        self.timeout = 2.0  # seconds for which an answer waits for room at the peer
        self._access = access
        self._receive = receive
        self._sock: socket.socket | None = None
        self._inode = 0
        self._sending: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Bind and listen. Raises BindError."""
        self._sock = bind_service(self.address, self._access)
        self._inode = _inode(self.address)
        # The loop's own datagram endpoints know no Unix sockets.
        asyncio.get_running_loop().add_reader(self._sock.fileno(), self._readable)

    def _readable(self) -> None:
        for _ in range(DATAGRAMS_PER_WAKE_UP):
            if self._sock is None:
                return
            try:
                data, source = self._sock.recvfrom(_MAX_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                log.info("%s: %s", self.address, error)
                return
            try:
                self._receive(data, lambda answer, to=source: self._send(answer, to))  # type: ignore[misc]
            except Exception:
                log.exception("%s: a request failed", self.address)

    def _send(self, data: bytes, to: object) -> None:
        if self._sock is None or not to:
            return  # a Unix peer without a name can't be answered
        try:
            self._sock.sendto(data, to)  # type: ignore[call-overload]
        except (BlockingIOError, InterruptedError):
            if len(self._sending) < MAX_CONNECTIONS:
                task = asyncio.ensure_future(self._send_later(data, to))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)
        except OSError as error:
            log.info("%s: can't answer: %s", self.address, error)

    async def _send_later(self, data: bytes, to: object) -> None:
        """A Unix peer's queue is full: try again for a while. Nothing tells when it has room."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self.timeout
        while self._sock is not None:
            await asyncio.sleep(0.02)
            try:
                self._sock.sendto(data, to)  # type: ignore[call-overload]
            except (BlockingIOError, InterruptedError):
                if loop.time() < end:
                    continue
                log.info("%s: a peer takes no answers", self.address)
            except OSError as error:
                log.info("%s: can't answer: %s", self.address, error)
            return

    def close(self) -> None:
        """Stop, and remove the path."""
        if self._sock is None:
            return
        asyncio.get_running_loop().remove_reader(self._sock.fileno())
        self._sock.close()
        self._sock = None
        _remove(self.address, self._inode)


def _inode(address: ServiceAddress) -> int:
    return os.stat(address.path).st_ino if address.path else 0


def _remove(address: ServiceAddress, inode: int) -> None:
    """Remove a path, unless another process has put its own there."""
    with contextlib.suppress(OSError):
        if address.path and os.stat(address.path).st_ino == inode:
            Path(address.path).unlink()


__all__ = [
    "Access",
    "Answer",
    "DatagramServer",
    "ServiceAddress",
    "Session",
    "Stream",
    "StreamServer",
    "bind_service",
    "grant",
    "group_id",
    "known_group",
    "known_user",
    "parse_service",
    "user_id",
]
