"""The servers by name, and what a run has of them: replies, a pipeline, a connection of its own."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kahea.connectors.errors import Unavailable
from kahea.connectors.redis import ErrorReply, Place, RedisPool
from kahea.routing.attributes import attribute_number, iter_attributes
from kahea.routing.checks import between, unless
from kahea.routing.module import ConfigError, Module, Param, rpc
from kahea.routing.run import can_wait, wait
from kahea.routing.text import text

if TYPE_CHECKING:
    from kahea.connectors.redis import Command, Connection, Reply
    from kahea.routing.node import Node
    from kahea.routing.run import Run

log = logging.getLogger("kahea.ndb_redis")

T = TypeVar("T")

_STATE: Final = "ndb_redis"
#: Nodes of a cluster that are added because others name them, and how often one command is sent on.
MAX_DYNAMIC: Final = 64
MAX_REDIRECTS: Final = 5
#: Replies and commands that one run keeps.
MAX_KEPT: Final = 1000

_OPENS: Final = frozenset((b"MULTI", b"WATCH"))
_ENDS: Final = frozenset((b"EXEC", b"DISCARD", b"UNWATCH"))
#: After these a connection is not what it was: it serves the run that said so to its end, and is closed.
_CHANGES: Final = frozenset((b"SELECT", b"AUTH", b"HELLO", b"CLIENT", b"READONLY", b"READWRITE", b"ASKING"))
#: These have other replies than one to a command.
_REFUSED: Final = frozenset((b"SUBSCRIBE", b"PSUBSCRIBE", b"SSUBSCRIBE", b"MONITOR", b"SYNC", b"PSYNC"))
_MOVED: Final = re.compile(rb"MOVED \d+ (\S*):(\d+)")


def parse_server(given: str) -> tuple[str, Place]:
    """Read `name=srv;addr=127.0.0.1;port=6379;db=1` and its like. Raises ValueError."""
    values: dict[str, str] = {}
    sentinels: list[tuple[str, int]] = []
    known = ("name", "unix", "addr", "port", "db", "pass", "user", "sentinel", "sentinel_group", "sentinel_master")
    for key, value in iter_attributes(given.strip()):
        if key not in known:
            raise ValueError(f"a server has no attribute {key!r}; there are: {', '.join(known)}")
        if key == "sentinel":
            host, _, port = value.rpartition(":")
            sentinels.append((host or value, attribute_number("sentinel", port) if host else 26379))
        else:
            values[key] = value
    if not values.get("name"):
        raise ValueError(f"expected name=server;..., not {given!r}")
    if sentinels and not values.get("sentinel_group"):
        raise ValueError(f"server {values['name']}: sentinel needs sentinel_group")
    return values["name"], Place(
        host=values.get("addr", "127.0.0.1"),
        port=attribute_number("port", values.get("port", "6379")),
        unix=values.get("unix", ""),
        database=attribute_number("db", values.get("db", "0")),
        user=values.get("user", ""),
        password=values.get("pass", ""),
        sentinels=tuple(sentinels),
        group=values.get("sentinel_group", ""),
        master=attribute_number("sentinel_master", values.get("sentinel_master", "1")) != 0,
    )


@dataclass(slots=True)
class Asked:
    """What a run has: replies by name, commands that wait for `redis_execute`, connections of its own."""

    replies: dict[str, Reply] = field(default_factory=dict)
    pipelines: dict[str, list[tuple[str, Command]]] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)


@dataclass(slots=True)
class Held:
    """A connection that a run keeps. `changed`: it is not to serve others."""

    connection: Connection
    changed: bool = False


def asked_by(run: Run) -> Asked:
    """What a run has."""
    found = run.state.get(_STATE)
    if found is None:
        found = run.state[_STATE] = Asked()
    assert isinstance(found, Asked)
    return found


@dataclass(slots=True)
class Server:
    """A server: its pool, how many calls have failed in a row, and until when it is left alone (the loop's time)."""

    name: str
    pool: RedisPool
    failed: int = 0
    disabled_until: float = 0.0


class Servers(Module):
    """Servers of Redis, each with a bounded pool, and calls that suspend the run that asks."""

    server: Param[list[tuple[str, Place]]] = Param(
        [], "A server: `name=srv;addr=127.0.0.1;port=6379;db=0;pass=...`.", many=True, check=parse_server
    )
    init_without_redis = Param(0, "1 starts the node even where a server can't be reached.")
    connect_timeout = Param(1000, "Milliseconds until a connection attempt is given up.", check=between(1, 600_000))
    cmd_timeout = Param(1000, "Milliseconds to wait for a connection, and for a reply.", check=between(1, 600_000))
    cluster = Param(0, "1 asks the server that a MOVED reply names.")
    allow_dynamic_nodes = Param(0, "1 adds servers that MOVED replies name.")
    allowed_timeouts = Param(-1, "How many calls may fail in a row before a server is left alone; -1 for any number.")
    disable_time = Param(0, "Seconds that it is left alone.", check=between(0, 86400))
    flush_on_reconnect = Param(0, "1 empties all databases of a server when it is back.")
    ca_path = Param("", "", check=unless("", "Kamailio 5.6 has no such parameter"))
    debug = Param(3, "No effect: `debug` of the core says how much is logged.")
    pool_size = Param(8, "The most connections to each server.", check=between(1, 1000))
    max_waiting = Param(1000, "The most calls under way at each server; further ones fail.", check=between(1, 100_000))

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._servers: dict[str, Server] = {}
        self._dynamic = 0

    def start(self) -> None:
        """Make the pools, without connecting."""
        for name, place in self.server:
            if name in self._servers:
                raise ConfigError(f"parameter ndb_redis.server: the server {name!r} is defined twice")
            self._add(name, place)

    def _add(self, name: str, place: Place) -> Server:
        pool = RedisPool(
            place,
            size=self.pool_size,
            connect_timeout=self.connect_timeout / 1000,
            timeout=self.cmd_timeout / 1000,
            waiting=self.max_waiting,
        )
        pool.flush_on_reconnect = bool(self.flush_on_reconnect)
        made = self._servers[name] = Server(name, pool)
        return made

    async def open(self) -> None:
        """See whether the servers are there. Raises ConfigError."""
        for server in self._servers.values():
            try:
                server.pool.release(await server.pool.acquire())
            except Unavailable as error:
                if not self.init_without_redis:
                    await self.stop()
                    raise ConfigError(f"ndb_redis: server {server.name}: {error}") from error

    async def stop(self) -> None:
        """Release the connections."""
        for server in self._servers.values():
            await server.pool.close()

    # ---- calls

    def find(self, name: str) -> Server | None:
        """A server; None, and a line in the log, without it."""
        found = self._servers.get(name)
        if found is None:
            self.node.log.error("ndb_redis: there is no server %r", name)
        return found

    def is_disabled(self, server: Server) -> bool:
        """Whether it is left alone for now."""
        return server.disabled_until > 0 and asyncio.get_running_loop().time() < server.disabled_until

    def _wait(self, server: Server, work: Awaitable[T]) -> T | None:
        """What `work` gives; None, and a line in the log, if it fails."""
        try:
            found = wait(work)
        except Unavailable as error:
            self.node.log.error("ndb_redis: server %s: %s", server.name, error)
            server.failed += 1
            if 0 <= self.allowed_timeouts < server.failed:
                log.error("server %s is left alone for %d s", server.name, self.disable_time)
                server.disabled_until = asyncio.get_running_loop().time() + self.disable_time
                server.failed = 0
            return None
        if server.disabled_until:
            log.warning("server %s is asked again", server.name)
            server.disabled_until = 0.0
        server.failed = 0
        return found

    def ask(self, run: Run, server: Server, commands: Sequence[Command]) -> list[Reply] | None:
        """The replies to commands; None if there are none, which is logged."""
        names = {command[0].upper() for command in commands}
        if refused := names & _REFUSED:
            self.node.log.error("ndb_redis: %s has no single reply", text(min(refused)))
            return None
        if not can_wait():
            self.node.log.error("ndb_redis: a command waits, which this route can't")
            return None
        held = asked_by(run).held.get(server.name)
        if held is None and names & (_OPENS | _CHANGES):
            held = self._hold(run, server)
            if held is None:
                return None
        if held is None:
            return self._wait(server, server.pool.call(commands))
        replies = self._wait(server, server.pool.call_on(held.connection, commands))
        held.changed = held.changed or replies is None or bool(names & _CHANGES)
        if replies is None or (names & _ENDS and not held.changed):
            self._let_go(asked_by(run), server, held)
        return replies

    def _hold(self, run: Run, server: Server) -> Held | None:
        """A connection for a run that begins something on it, until that ends or the run does."""
        connection = self._wait(server, server.pool.acquire())
        if connection is None:
            return None
        asked = asked_by(run)
        held = asked.held[server.name] = Held(connection)
        run.on_end = (*run.on_end, lambda _run: self._left(asked, server, held))
        return held

    def _left(self, asked: Asked, server: Server, held: Held) -> None:
        if asked.held.get(server.name) is held:
            held.changed = True
            self._let_go(asked, server, held)

    @staticmethod
    def _let_go(asked: Asked, server: Server, held: Held) -> None:
        del asked.held[server.name]
        server.pool.release(held.connection, broken=held.changed)

    def ask_one(self, run: Run, server: Server, command: Command) -> tuple[bool, Reply]:
        """Whether there is a reply, and which; in a cluster from where the servers say it is."""
        for _ in range(MAX_REDIRECTS):
            replies = self.ask(run, server, [command])
            if replies is None:
                return False, None
            reply = replies[0]
            moved = _MOVED.match(reply) if self.cluster and isinstance(reply, ErrorReply) else None
            if moved is None:
                return True, reply
            found = self._moved(server, text(moved[1]), int(moved[2]))
            if found is None:
                return True, reply
            server = found
        self.node.log.error("ndb_redis: a command was sent on %d times", MAX_REDIRECTS)
        return False, None

    def _moved(self, server: Server, host: str, port: int) -> Server | None:
        host = host or server.pool.place.host
        name = f"{host}:{port}"
        found = self._servers.get(name)
        if found is None and self.allow_dynamic_nodes and self._dynamic < MAX_DYNAMIC:
            self._dynamic += 1
            place = server.pool.place
            found = self._add(name, Place(host, port, user=place.user, password=place.password))
        if found is None:
            self.node.log.error("ndb_redis: %s says that the key is at %s, which is no server here", server.name, name)
        return found

    @rpc("ndb_redis.servers")
    def rpc_servers(self) -> list[dict[str, Any]]:
        """The servers: their pools, how many calls wait, and what failed last."""
        return [
            {"name": name, "disabled": int(self.is_disabled(server)), **server.pool.describe()}
            for name, server in self._servers.items()
        ]
