"""Redis for modules: replies with their types, a bounded pool of connections, Sentinel.

Scripts are told of each reply whether it is a status or a string, which redis-py and hiredis don't say: so the protocol
(RESP2) is read here. Everything here is awaited; nothing waits longer than the pool's time-outs. What goes wrong is
`Unavailable`; what Redis answers, errors included, is a reply.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Union

from kahea.connectors.errors import Unavailable
from kahea.connectors.pools import POOLS

log = logging.getLogger("kahea.redis")

#: What a reply may have at most: bytes of one string, items of one array, arrays in arrays.
MAX_STRING: Final = 64 << 20
MAX_ITEMS: Final = 1 << 20
MAX_DEPTH: Final = 16

Command = Sequence[bytes]


class Status(bytes):
    """A status reply, such as OK."""


class ErrorReply(bytes):
    """An error reply."""


Reply = Union[bytes, int, None, "list[Reply]"]


class ProtocolError(Exception):
    """What came is no reply."""


def encode(command: Command) -> bytes:
    """A command as it is sent."""
    parts = [b"*%d\r\n" % len(command)]
    parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in command]
    return b"".join(parts)


async def read_reply(reader: asyncio.StreamReader, depth: int = 0) -> Reply:
    """The next reply. Raises ProtocolError, and EOFError where the connection ends."""
    line = await reader.readuntil(b"\r\n")
    kind, rest = line[:1], line[1:-2]
    if kind == b"+":
        return Status(rest)
    if kind == b"-":
        return ErrorReply(rest)
    try:
        number = int(rest)
    except ValueError:
        raise ProtocolError(f"not a reply of Redis: {line[:40]!r}") from None
    if kind == b":":
        return number
    if kind == b"$" and number <= MAX_STRING:
        return None if number < 0 else (await reader.readexactly(number + 2))[:-2]
    if kind == b"*" and number <= MAX_ITEMS and depth < MAX_DEPTH:
        return None if number < 0 else [await read_reply(reader, depth + 1) for _ in range(number)]
    raise ProtocolError(f"not a reply of Redis: {line[:40]!r}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is: a Unix socket, or host and port, or what the Sentinels of a group say it is."""

    host: str = "127.0.0.1"
    port: int = 6379
    unix: str = ""
    database: int = 0
    user: str = ""
    password: str = ""
    sentinels: tuple[tuple[str, int], ...] = ()
    group: str = ""
    master: bool = True

    def __str__(self) -> str:
        where = self.unix or f"{self.host}:{self.port}"
        if self.sentinels:
            where = f"{self.group}@" + ",".join(f"{host}:{port}" for host, port in self.sentinels)
        return f"redis://{where}/{self.database}"


class Connection:
    """One connection. `used` says whether it has served before."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.used = False

    async def exchange(self, commands: Sequence[Command]) -> list[Reply]:
        """Send the commands together, and read as many replies."""
        self._writer.write(b"".join(map(encode, commands)))
        replies = [await read_reply(self._reader) for _ in commands]
        self.used = True
        return replies

    def close(self) -> None:
        """Close it, whatever state it is in."""
        self._writer.close()


_FAILURES: Final = (OSError, EOFError, ProtocolError, asyncio.LimitOverrunError)


class RedisPool:
    """A server with at most `size` connections; `waiting` calls may be under way. Times are in seconds."""

    def __init__(
        self, place: Place, *, size: int = 8, connect_timeout: float = 1.0, timeout: float = 1.0, waiting: int = 1000
    ) -> None:
        self.place = place
        self.size = size
        self.flush_on_reconnect = False
        self._connect_timeout = connect_timeout
        self._timeout = timeout
        self._most = waiting
        self._free = asyncio.Semaphore(size)
        self._idle: list[Connection] = []
        self._busy = 0
        self._under_way = 0
        self._calls = self._failures = 0
        self._up: bool | None = None
        self._error = ""
        POOLS.add(self)

    def describe(self) -> dict[str, Any]:
        """See `pools.Pool`."""
        return {
            "url": str(self.place),
            "state": "unused" if self._up is None else "up" if self._up else "down",
            "size": self.size,
            "open": self._busy + len(self._idle),
            "busy": self._busy,
            "waiting": max(0, self._under_way - self._busy),
            "calls": self._calls,
            "failures": self._failures,
            "error": self._error,
        }

    async def call(self, commands: Sequence[Command]) -> list[Reply]:
        """The replies to commands that are sent together. Raises Unavailable.

        A connection that was lost while nobody used it is made anew; so was, maybe, one that was lost as it carried
        the command, which is then done twice.
        """
        connection = await self.acquire()
        if connection.used:
            try:
                replies = await self._exchange(connection, commands)
            except (OSError, EOFError):
                # Lost while it was idle, and others with it.
                self.release(connection, broken=True)
                self._drop_idle()
                connection = await self.acquire()
            except BaseException:
                self.release(connection, broken=True)
                raise
            else:
                self.release(connection)
                return replies
        try:
            replies = await self._exchange(connection, commands)
        except (OSError, EOFError) as error:
            self.release(connection, broken=True)
            raise self._down(error) from error
        except BaseException:
            self.release(connection, broken=True)
            raise
        self.release(connection)
        return replies

    async def call_on(self, connection: Connection, commands: Sequence[Command]) -> list[Reply]:
        """The same on a connection that was acquired, which is of no use after Unavailable."""
        try:
            return await self._exchange(connection, commands)
        except (OSError, EOFError) as error:
            raise self._down(error) from error

    async def _exchange(self, connection: Connection, commands: Sequence[Command]) -> list[Reply]:
        """Raises OSError and EOFError where the connection is lost, Unavailable for what else goes wrong."""
        self._calls += 1
        try:
            async with asyncio.timeout(self._timeout):
                replies = await connection.exchange(commands)
        except TimeoutError as error:
            self._failures += 1
            self._error = f"{self.place}: no answer in {self._timeout:g} s"
            raise Unavailable(self._error) from error
        except (ProtocolError, asyncio.LimitOverrunError) as error:
            raise self._down(error) from error
        self._up = True
        return replies

    async def acquire(self) -> Connection:
        """A connection for one's own use until `release`. Raises Unavailable."""
        if self._under_way >= self._most:
            self._failures += 1
            raise Unavailable(f"{self.place}: {self._most} calls are under way already")
        self._under_way += 1
        try:
            async with asyncio.timeout(self._timeout):
                await self._free.acquire()
        except TimeoutError:
            self._under_way -= 1
            self._failures += 1
            raise Unavailable(f"{self.place}: no connection was free for {self._timeout:g} s") from None
        except BaseException:
            self._under_way -= 1
            raise
        self._busy += 1
        if self._idle:
            return self._idle.pop()
        try:
            async with asyncio.timeout(self._connect_timeout):
                return await self._connect()
        except _FAILURES as error:
            self._let_go()
            raise self._down(error) from error
        except BaseException:
            self._let_go()
            raise

    def release(self, connection: Connection, *, broken: bool = False) -> None:
        """Give a connection back; one in an unknown state is closed."""
        self._let_go()
        if broken:
            connection.close()
        else:
            self._idle.append(connection)

    def _let_go(self) -> None:
        self._busy -= 1
        self._under_way -= 1
        self._free.release()

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _down(self, error: BaseException) -> Unavailable:
        self._failures += 1
        text = "timed out" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        self._error = f"{self.place}: {text}"
        self._drop_idle()
        if self._up is not False:
            self._up = False
            log.error("redis down: %s", self._error)
        return Unavailable(self._error)

    async def _connect(self) -> Connection:
        flush: list[Command] = [[b"FLUSHALL"]] if self._up is False and self.flush_on_reconnect else []
        connection = await connect_to(self.place, flush)
        if self._up is False:
            log.warning("%s is back", self.place)
        self._up = True
        return connection

    async def close(self) -> None:
        """Release the connections."""
        POOLS.discard(self)
        self._drop_idle()


async def connect_to(place: Place, first: Sequence[Command] = ()) -> Connection:
    """A new connection, on which `first` was done. Raises OSError, EOFError and ProtocolError."""
    if place.unix:
        streams = await asyncio.open_unix_connection(place.unix)
    else:
        host, port = await _find(place) if place.sentinels else (place.host, place.port)
        streams = await asyncio.open_connection(host, port)
    connection = Connection(*streams)
    commands: list[Command] = []
    if place.password:
        user = [place.user.encode()] if place.user else []
        commands.append([b"AUTH", *user, place.password.encode()])
    if place.database:
        commands.append([b"SELECT", b"%d" % place.database])
    try:
        for reply in await connection.exchange([*commands, *first]):
            if isinstance(reply, ErrorReply):
                raise ProtocolError(reply.decode("utf-8", "replace"))
    except BaseException:
        connection.close()
        raise
    connection.used = False
    return connection


async def _find(place: Place) -> tuple[str, int]:
    """Ask the Sentinels in turn where the master, or a replica, is."""
    group = place.group.encode()
    for host, port in place.sentinels:
        connection = None
        try:
            connection = Connection(*await asyncio.open_connection(host, port))
            if place.master:
                (found,) = await connection.exchange([[b"SENTINEL", b"get-master-addr-by-name", group]])
                if isinstance(found, list) and len(found) == 2:
                    return _address(found[0], found[1])
            else:
                (replicas,) = await connection.exchange([[b"SENTINEL", b"replicas", group]])
                for fields in replicas if isinstance(replicas, list) else []:
                    if isinstance(fields, list):
                        named = dict(zip(fields[::2], fields[1::2], strict=False))
                        return _address(named.get(b"ip"), named.get(b"port"))
        except _FAILURES as error:
            log.warning("sentinel %s:%d: %s", host, port, error)
        finally:
            if connection is not None:
                connection.close()
    raise ProtocolError(f"no sentinel knows a server of {place.group}")


def _address(host: Reply, port: Reply) -> tuple[str, int]:
    if not isinstance(host, bytes) or not isinstance(port, bytes) or not port.isdigit():
        raise ProtocolError("a sentinel gave no address")
    return host.decode(), int(port)


__all__ = [
    "Command",
    "Connection",
    "ErrorReply",
    "Place",
    "ProtocolError",
    "RedisPool",
    "Reply",
    "Status",
    "connect_to",
]
