"""What a node sends through in the simulation: listeners whose network is the virtual one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.net.address import PROTO_IDS, Address, Listener
from kahea.testing.network import Connection, Network, Packet

if TYPE_CHECKING:
    from kahea.net.receiver import Receiver


class VirtualListener(Listener):
    """A bound address of a node; its endpoint on the network. `receiver` is the node."""

    def __init__(
        self, network: Network, proto: str, address: Address, receiver: Receiver, owner: str, **more: object
    ) -> None:
        super().__init__(PROTO_IDS[proto], address, **more)  # type: ignore[arg-type]
        self.network = network
        self.proto_text = proto
        self.receiver = receiver
        self.owner = owner
        self.is_open = False
        self._connections: dict[int, Connection] = {}
        #: What nodes ask of a stream listener's connections.
        self.table = _Table(self._connections)

    def open(self) -> None:
        """Bind."""
        self.network.bind(self.proto_text, self.address, _End(self))
        self.is_open = True

    def close(self) -> None:
        """Unbind, and close the connections."""
        self.network.unbind(self.proto_text, self.address)
        self.is_open = False
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def send(self, data: bytes, to: Address, connection_id: int = 0, *, no_connect: bool = False) -> bool:
        """Put a message on the network; a stream takes the connection, or one with `to`, or makes one."""
        if not self.is_open or to.port == 0 or to.family != self.address.family:
            return False
        if self.outgoing is not None:
            data = self.outgoing(data)
        if self.proto_text == "udp":
            self.network.send("udp", self.address, to, data)
            return True
        connection = self._connection(to, connection_id)
        if connection is None:
            if no_connect:
                return False
            connection = self.network.connect(self.proto_text, self.address, to, _End(self))
            if connection is None:
                self.network.refuse(self.proto_text, self.address, to, data, _End(self))
                return True
            self._connections[connection.id] = connection
        return self.network.send_on(self.proto_text, connection, self._end_of(connection), data)

    def restricted(self, rules: int) -> Listener:
        """This listener for one message, which may open no connection (2), or is the last on its own (1)."""
        return _Restricted(self, rules)

    def close_connection(self, to: Address, connection_id: int) -> None:
        """Close the connection that `send` would use."""
        connection = self._connection(to, connection_id)
        if connection is not None:
            # What was sent on it still arrives.
            connection.closing = True

    def _connection(self, peer: Address, connection_id: int) -> Connection | None:
        asked = self._connections.get(connection_id)
        if asked is not None and asked.usable:
            return asked
        for connection in self._connections.values():
            if not connection.usable:
                continue
            far = connection.other(self._end_of(connection))
            if far == peer or (far.ip == peer.ip and peer.port in self.table.aliases.get(connection.id, ())):
                return connection
        return None

    def _end_of(self, connection: Connection) -> Address:
        return self.address if connection.opened == self.address else connection.opener

    def flush(self) -> None:
        """Nothing is held back here."""

    def arrived(self, packet: Packet) -> None:
        """A packet for the node."""
        connection = packet.connection
        number = 0
        if connection is not None:
            number = connection.id
            self._connections[number] = connection
        self.receiver.on_datagram(self, packet.data, packet.source, number)
        self.receiver.on_batch_end()

    def refused(self, packet: Packet, reason: str) -> None:
        """A stream could not deliver: the node may try elsewhere."""
        self.receiver.on_send_error(self, packet.destination, packet.data, reason)


class _Restricted(Listener):
    """A listener with a rule for the connections of one message."""

    def __init__(self, listener: VirtualListener, rules: int) -> None:
        super().__init__(
            listener.proto,
            listener.address,
            listener.name,
            listener.advertised_host,
            listener.advertised_port,
            listener.agname,
        )
        self._listener = listener
        self._rules = rules

    def send(self, data: bytes, to: Address, connection_id: int = 0) -> bool:
        """Send as the rules say."""
        sent = self._listener.send(data, to, connection_id, no_connect=bool(self._rules & 2))
        if sent and self._rules & 1:
            self._listener.close_connection(to, connection_id)
        return sent

    def flush(self) -> None:
        """Nothing is held back here."""


class _Table:
    """Further ports by which a connection's far end is reached (RFC 5923)."""

    def __init__(self, connections: dict[int, Connection]) -> None:
        self._connections = connections
        self.aliases: dict[int, set[int]] = {}

    def add_alias(self, connection_id: int, port: int, lifetime: float = 0) -> bool:
        """Send what goes to the far end's host and `port` on this connection, which lives for ever."""
        del lifetime
        if connection_id not in self._connections or not 0 < port <= 65535:
            return False
        self.aliases.setdefault(connection_id, set()).add(port)
        return True


class _End:
    """The listener as the network's endpoint: `name` is its owner's; the listener's own is for scripts."""

    __slots__ = ("_listener", "name")

    def __init__(self, listener: VirtualListener) -> None:
        self._listener = listener
        self.name = listener.owner

    def arrived(self, packet: Packet) -> None:
        self._listener.arrived(packet)

    def refused(self, packet: Packet, reason: str) -> None:
        self._listener.refused(packet, reason)
