"""The virtual network: datagrams that may be lost, copied, late or out of order, and reliable connections.

Every packet is recorded with its fate. All chance comes from one generator, seeded by the simulation, so that
a failing test fails again.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from kahea.net.address import PROTO_IDS, Address
from kahea.testing.clock import VirtualLoop
from kahea.testing.message import SipMessage

#: The largest datagram that goes through.
LARGEST_DATAGRAM = 65507
FIRST_EPHEMERAL = 40_000


@dataclass
class Conditions:
    """How datagrams fare. Chances are from 0 to 1, times in seconds.

    `jitter` adds up to that much to `delay`, at random, so that packets overtake one another.
    Connections only know `delay`.
    """

    loss: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.001
    jitter: float = 0.0


@dataclass(eq=False)
class Packet:
    """One message on its way. `fate` is delivered, lost, refused or too large; a copy is its own packet."""

    sent_at: float
    proto: str
    source: Address
    destination: Address
    data: bytes
    fate: str = "under way"
    arrived_at: float = 0.0
    connection: Connection | None = None
    _message: SipMessage | None = field(default=None, repr=False)

    @property
    def message(self) -> SipMessage:
        """The packet read as SIP."""
        if self._message is None:
            self._message = SipMessage.parse(self.data)
        return self._message


class Endpoint(Protocol):
    """Whoever is bound to an address."""

    name: str

    def arrived(self, packet: Packet) -> None:
        """A packet for this endpoint."""

    def refused(self, packet: Packet, reason: str) -> None:
        """A packet that it sent on a connection could not be delivered."""


class Connection:
    """A stream between two endpoints: in order, without loss, until either end closes it."""

    _ids = count(1)

    def __init__(self, opener: Address, opened: Address) -> None:
        self.id = next(Connection._ids)
        self.ends: dict[Address, Endpoint] = {}
        self.opener = opener
        self.opened = opened
        self.open = True
        #: Nothing more is sent on it, but what is under way arrives.
        self.closing = False
        self.last_arrival = 0.0

    @property
    def usable(self) -> bool:
        """Whether something may be sent on it."""
        return self.open and not self.closing

    def other(self, address: Address) -> Address:
        """The far end's address."""
        return self.opened if address == self.opener else self.opener

    def close(self) -> None:
        """Nothing passes any more."""
        self.open = False


class Network:
    """Carries packets between endpoints; `trace` holds all that was sent, in order."""

    def __init__(self, loop: VirtualLoop, seed: int) -> None:
        self.loop = loop
        self.random = random.Random(seed)
        #: For every pair of hosts that has none of its own.
        self.conditions = Conditions()
        self.trace: list[Packet] = []
        self.under_way = 0
        self._bound: dict[tuple[str, Address], Endpoint] = {}
        self._links: dict[tuple[str, str], Conditions] = {}
        self._filters: list[Callable[[Packet], bool]] = []
        self._ports = count(FIRST_EPHEMERAL)

    # -- who is where

    def bind(self, proto: str, address: Address, endpoint: Endpoint) -> None:
        """Put an endpoint at an address. Raises ValueError if it is taken."""
        if (proto, address) in self._bound:
            raise ValueError(f"{proto}:{address.ip}:{address.port} is taken by {self._bound[proto, address].name}")
        self._bound[proto, address] = endpoint

    def unbind(self, proto: str, address: Address) -> None:
        """Take whatever is there away; packets for it are lost, or refused on connections."""
        self._bound.pop((proto, address), None)

    def name_of(self, proto: str, address: Address) -> str:
        """The name of the endpoint at an address, connections' own ports included; or the address itself."""
        known = self._bound.get((proto, address))
        return known.name if known is not None else f"{address.ip}:{address.port}"

    # -- what befalls packets

    def between(self, one: str, other: str, **conditions: float) -> Conditions:
        """Conditions of their own between two hosts (IP addresses), both ways; starts as the general ones."""
        made = Conditions(**{**vars(self.conditions), **conditions})
        self._links[one, other] = self._links[other, one] = made
        return made

    def cut(self, one: str, other: str) -> Conditions:
        """Lose every datagram between two hosts."""
        return self.between(one, other, loss=1.0)

    def lose(self, what: str | int | Callable[[Packet], bool], times: int = 1) -> Callable[[], int]:
        """Lose the next `times` datagrams that are `what`: as in `SipMessage.matches`, or a test of packets.

        Returns a function that says how many are still to be lost.
        """
        matches = what if callable(what) else lambda packet: packet.message.matches(what)
        left = times

        def lost(packet: Packet) -> bool:
            nonlocal left
            if left <= 0 or not matches(packet):
                return False
            left -= 1
            return True

        self._filters.append(lost)
        return lambda: left

    # -- sending

    def send(self, proto: str, source: Address, destination: Address, data: bytes) -> None:
        """Send a datagram: it arrives never, once or twice, after a while."""
        packet = self._sent(proto, source, destination, data)
        if len(data) > LARGEST_DATAGRAM:
            packet.fate = "too large"
            return
        conditions = self._links.get((source.ip, destination.ip), self.conditions)
        if any(lost(packet) for lost in self._filters) or self._chance(conditions.loss):
            packet.fate = "lost"
            return
        self._carry(packet, conditions)
        if self._chance(conditions.duplicate):
            copy = self._sent(proto, source, destination, data)
            self._carry(copy, conditions)

    def connect(self, proto: str, source: Address, destination: Address, opener: Endpoint) -> Connection | None:
        """Open a connection from a fresh port of `source`'s host; None if nobody listens there."""
        target = self._bound.get((proto, destination))
        if target is None:
            return None
        connection = Connection(Address.of(source.ip, next(self._ports)), destination)
        connection.ends = {connection.opener: opener, destination: target}
        self._bound[proto, connection.opener] = opener
        return connection

    def send_on(self, proto: str, connection: Connection, source: Address, data: bytes) -> bool:
        """Send on a connection from the end at `source`; False if it is closed."""
        if not connection.usable:
            return False
        packet = self._sent(proto, source, connection.other(source), data)
        packet.connection = connection
        conditions = self._links.get((source.ip, packet.destination.ip), self.conditions)
        connection.last_arrival = max(connection.last_arrival, self.loop.time() + conditions.delay)
        self._plan(packet, connection.last_arrival)
        return True

    def refuse(self, proto: str, source: Address, destination: Address, data: bytes, sender: Endpoint) -> None:
        """Record a packet that found no connection, and tell the sender after a while."""
        packet = self._sent(proto, source, destination, data)
        packet.fate = "refused"
        self.loop.plan(self.loop.time() + self.conditions.delay, sender.refused, packet, "connection refused")

    def _sent(self, proto: str, source: Address, destination: Address, data: bytes) -> Packet:
        packet = Packet(self.loop.time(), proto, source, destination, data)
        self.trace.append(packet)
        return packet

    def _chance(self, probability: float) -> bool:
        return probability > 0 and self.random.random() < probability

    def _carry(self, packet: Packet, conditions: Conditions) -> None:
        extra = self.random.uniform(0, conditions.jitter) if conditions.jitter else 0.0
        self._plan(packet, self.loop.time() + conditions.delay + extra)

    def _plan(self, packet: Packet, when: float) -> None:
        self.under_way += 1
        self.loop.plan(when, self._arrive, packet)

    def _arrive(self, packet: Packet) -> None:
        self.under_way -= 1
        packet.arrived_at = self.loop.time()
        if packet.connection is not None:
            endpoint = packet.connection.ends.get(packet.destination) if packet.connection.open else None
        else:
            endpoint = self._bound.get((packet.proto, packet.destination))
        if endpoint is None:
            packet.fate = "lost" if packet.connection is None else "refused"
            return
        packet.fate = "delivered"
        endpoint.arrived(packet)


def split_address(text: str) -> tuple[str, Address]:
    """`udp:10.0.0.1:5060` (the protocol may be missing: udp; the port: 5060, of TLS 5061). Raises ValueError."""
    proto, colon, rest = text.partition(":")
    if not colon or proto.lower() not in PROTO_IDS:
        proto, rest = "udp", text
    host, port = rest, "5061" if proto.lower() == "tls" else "5060"
    if rest.count(":") == 1 or "]:" in rest:
        host, _, port = rest.rpartition(":")
    return proto.lower(), Address.of(host, int(port))
