"""Every stream connection of the node: found by id or destination, counted, and closed when its time is up.

Rules of this room:

1. Connection ids are never used again.
2. Nothing here waits or reads a clock of its own: `clock` is given, and `sweep` does what is due by it.
3. A deadline costs a heap entry only if it is nearer than the one the connection already has there; a
deadline
   that moved away is found out when its entry comes up.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kahea.net.address import P_TLS, P_WSS, Address
from kahea.net.tcp_limits import TcpLimits

if TYPE_CHECKING:
    from kahea.net.address import Listener
    from kahea.net.connection import Connection

log = logging.getLogger("kahea.net")

MAX_ALIASES = 12  # per connection
SWEEP_INTERVAL = 0.5  # seconds
STALE_ROOM = 1024  # outdated deadlines kept before they are cleared away
SECURE = (P_TLS, P_WSS)

Key = tuple[int, Address]


@dataclass(slots=True)
class TcpCounts:
    """What happened to stream connections, under the names of Kamailio's statistics."""

    established: int = 0  # those below that were made, together
    passive_open: int = 0  # accepted, and something was read
    connect_success: int = 0
    connect_failed: int = 0
    con_reset: int = 0  # by the peer
    con_timeout: int = 0  # idle for too long
    send_timeout: int = 0  # the peer took nothing for too long
    sendq_full: int = 0  # messages that found too much waiting
    local_reject: int = 0  # accepted over a limit


class ConnectionTable:
    """The connections of all stream listeners of a node, which share its limits."""

    def __init__(self, limits: TcpLimits | None = None, clock: Callable[[], float] | None = None) -> None:
        """`clock` gives seconds and never goes back; by default that of the running loop."""
        self.limits = limits or TcpLimits()
        self.clock = clock or (lambda: asyncio.get_running_loop().time())
        self.queued = 0  # bytes that wait to be written, by what the connections last told
        self.refused = 0  # connections over a limit
        self.counts = TcpCounts()
        self._by_id: dict[int, Connection] = {}
        self._by_peer: dict[Key, list[Connection]] = {}
        self._accepted: dict[str, int] = {}  # source IP: accepted connections
        self.secure = 0  # connections with TLS
        self._deadlines: list[tuple[float, int]] = []
        self._last_id = 0
        self._listeners = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._by_id.values()))

    # Looking up.

    def get(self, connection_id: int) -> Connection | None:
        """A connection by id, connecting ones included."""
        return self._by_id.get(connection_id)

    def find(self, proto: int, peer: Address, listener: Listener | None = None) -> Connection | None:
        """The connection to send to `peer` on, by its address or an alias: the listener's own first."""
        known = self._by_peer.get((proto, peer))
        if not known:
            return None
        if listener is not None:
            for connection in reversed(known):
                if connection.listener is listener:
                    return connection
            if self.limits.tcp_connection_match:
                return None
        return known[-1]

    # Coming and going; called by the connections.

    def refusal(self, peer: Address, proto: int, accepted: bool) -> str:
        """Why one more connection with `peer` may not be: "" if it may."""
        limits = self.limits
        if len(self._by_id) >= limits.tcp_max_connections:
            return f"there are {limits.tcp_max_connections} connections already (tcp_max_connections)"
        if proto in SECURE and self.secure >= limits.tls_max_connections:
            return f"there are {limits.tls_max_connections} with TLS already (tls_max_connections)"
        return self._client_refusal(peer, proto) if accepted else ""

    def _client_refusal(self, peer: Address, proto: int) -> str:
        limits = self.limits
        if 0 < limits.tcp_accept_iplimit <= self._accepted.get(peer.ip, 0):
            return f"there are {limits.tcp_accept_iplimit} from {peer.ip} already (tcp_accept_iplimit)"
        if limits.tcp_accept_unique and (proto, peer) in self._by_peer:
            return f"there is one from {peer} already (tcp_accept_unique)"
        return ""

    def add(self, connection: Connection) -> int:
        """Take a connection in; its new id."""
        self._last_id += 1
        connection.id = self._last_id
        self._by_id[connection.id] = connection
        self._index((connection.listener.proto, connection.peer), connection)
        self.secure += connection.listener.proto in SECURE
        if connection.accepted:
            self._count_accepted(connection.peer.ip, 1)
        return connection.id

    def remove(self, connection: Connection) -> None:
        """Forget a connection and its aliases."""
        if self._by_id.pop(connection.id, None) is None:
            return
        self.account(connection, 0)
        proto = connection.listener.proto
        self.secure -= proto in SECURE
        self._unindex((proto, connection.peer), connection)
        for alias in connection.aliases:
            self._unindex((proto, alias), connection)
        if connection.accepted:
            self._count_accepted(connection.peer.ip, -1)

    def move(self, connection: Connection, peer: Address) -> str:
        """An accepted connection is another client's than it seemed: "", or why that client may have no more."""
        proto = connection.listener.proto
        self._count_accepted(connection.peer.ip, -1)
        self._unindex((proto, connection.peer), connection)
        refusal = self._client_refusal(peer, proto)
        connection.peer = peer
        self._count_accepted(peer.ip, 1)
        self._index((proto, peer), connection)
        return refusal

    def _count_accepted(self, ip: str, by: int) -> None:
        count = self._accepted.get(ip, 0) + by
        if count > 0:
            self._accepted[ip] = count
        else:
            self._accepted.pop(ip, None)

    def _index(self, key: Key, connection: Connection) -> None:
        self._by_peer.setdefault(key, []).append(connection)

    def _unindex(self, key: Key, connection: Connection) -> None:
        known = self._by_peer.get(key)
        if known is None:
            return
        if connection in known:
            known.remove(connection)
        if not known:
            del self._by_peer[key]

    # What modules do with connections.

    def add_alias(self, connection_id: int, port: int, lifetime: float = 0) -> bool:
        """Send what goes to the peer's IP and `port` on this connection, too (RFC 5923, `force_tcp_alias`).

        A `lifetime` above 0 replaces the connection's own, in seconds. False if the connection is gone, the
        port is none, or the connection has `MAX_ALIASES` already.
        """
        connection = self._by_id.get(connection_id)
        if connection is None or not 0 < port <= 65535:
            return False
        if lifetime > 0:
            connection.set_lifetime(lifetime)
        alias = Address.of(connection.peer.ip, port)
        if alias == connection.peer or alias in connection.aliases:
            return True
        if len(connection.aliases) >= MAX_ALIASES:
            return False
        connection.aliases.append(alias)
        self._index((connection.listener.proto, alias), connection)
        return True

    def set_lifetime(self, connection_id: int, lifetime: float) -> bool:
        """Close it after `lifetime` seconds without traffic, instead of tcp_connection_lifetime."""
        connection = self._by_id.get(connection_id)
        if connection is None:
            return False
        connection.set_lifetime(lifetime)
        return True

    def close(self, connection_id: int, reason: str = "closed by us") -> bool:
        """Close a connection; what was queued on it is still written. False if there is none."""
        connection = self._by_id.get(connection_id)
        if connection is None:
            return False
        connection.close(reason)
        return True

    # Queues and time.

    def account(self, connection: Connection, queued: int) -> None:
        """Note that `queued` bytes wait on a connection now."""
        self.queued += queued - connection.queued
        connection.queued = queued

    def arm(self, connection: Connection, deadline: float) -> None:
        """See to it that a sweep looks at the connection at `deadline`, or before."""
        if deadline < connection.armed:
            connection.armed = deadline
            heapq.heappush(self._deadlines, (deadline, connection.id))
            if len(self._deadlines) > 2 * len(self._by_id) + STALE_ROOM:
                self._deadlines = [(c.armed, c.id) for c in self._by_id.values()]
                heapq.heapify(self._deadlines)

    def sweep(self) -> None:
        """Close what is overdue. Called by a timer while listeners are open; tests call it themselves."""
        now = self.clock()
        while self._deadlines and self._deadlines[0][0] <= now:
            armed, connection_id = heapq.heappop(self._deadlines)
            connection = self._by_id.get(connection_id)
            if connection is None or connection.armed != armed:
                continue
            connection.armed = float("inf")
            connection.check(now)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """A listener opens: keep sweeping."""
        self._listeners += 1
        if self._timer is None:
            self._schedule(loop)

    def detach(self) -> None:
        """A listener closed: with the last one the sweeping ends."""
        self._listeners -= 1
        if self._listeners == 0 and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        def tick() -> None:
            try:
                self.sweep()
            except Exception:
                log.exception("closing overdue connections failed")
            self._timer = loop.call_later(SWEEP_INTERVAL, tick) if self._listeners else None

        self._timer = loop.call_later(SWEEP_INTERVAL, tick)
