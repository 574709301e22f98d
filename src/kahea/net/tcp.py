"""TCP as a listener: `send` finds a connection or makes one, and returns at once.

A transport over TCP is a subclass: it says its `PROTO`, and may have connections of its own (`make_connection`) and
frame otherwise (`make_framer`).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import replace
from typing import ClassVar

from kahea.net.address import P_TCP, Address, Listener
from kahea.net.connection import Connection
from kahea.net.connections import ConnectionTable
from kahea.net.framer import Framer
from kahea.net.receiver import Receiver
from kahea.net.sockets import (
    BindError,
    SocketOptions,
    local_address,
    stream_client_socket,
    stream_server_socket,
)

log = logging.getLogger("kahea.net")


class TcpListener(Listener):
    """A listening TCP socket, and the connections made from its address."""

    PROTO: ClassVar[int] = P_TCP

    def __init__(
        self,
        address: Address,
        table: ConnectionTable,
        *,
        name: str = "",
        advertised_host: bytes = b"",
        advertised_port: int = 0,
        agname: str = "",
        options: SocketOptions | None = None,
    ) -> None:
        """`table` is shared by the stream listeners of a node, since its limits count over all of them."""
        super().__init__(self.PROTO, address, name, advertised_host, advertised_port, agname)
        self.table = table
        self.options = options or SocketOptions()
        self.send_errors = 0  # messages accepted and then lost
        self._loop: asyncio.AbstractEventLoop | None = None
        self._receiver: Receiver | None = None
        self._server: asyncio.Server | None = None
        self._sock: socket.socket | None = None
        self._starting: asyncio.Task[None] | None = None

    # Life.

    def open(self, loop: asyncio.AbstractEventLoop, receiver: Receiver) -> None:
        """Bind, listen, and give messages to `receiver`. Raises BindError."""
        if self._loop is not None:
            raise RuntimeError(f"{self.uri} is open already")
        limits = self.table.limits
        options = replace(self.options, reuse_port=self.options.reuse_port or limits.tcp_reuse_port)
        sock = stream_server_socket(self.address, options, self.proto_name)
        try:
            limits.apply(sock)
            sock.listen(limits.tcp_listen_backlog)
        except OSError as error:
            sock.close()
            raise BindError(f"cannot listen on {self.uri}: {error.strerror}") from error
        self.address = local_address(sock)
        self._sock = sock
        self._loop = loop
        self._receiver = receiver
        # The kernel queues connections until the server has been made.
        self._starting = loop.create_task(self._serve(sock))
        self.table.attach(loop)

    async def _serve(self, sock: socket.socket) -> None:
        assert self._loop is not None
        backlog = self.table.limits.tcp_listen_backlog
        self._server = await self._loop.create_server(self.make_connection, sock=sock, backlog=backlog)
        self._starting = None

    def close(self) -> None:
        """Stop listening and close this listener's connections. Safe to call twice."""
        if self._loop is None:
            return
        if self._starting is not None:
            self._starting.cancel()
        if self._server is not None:
            self._server.close()
        elif self._sock is not None:
            self._sock.close()
        for connection in self.table:
            if connection.listener is self:
                connection.close("shutting down")
        self.table.detach()
        self._loop = self._server = self._sock = self._starting = None

    @property
    def is_open(self) -> bool:
        """Whether it is bound."""
        return self._loop is not None

    def set_limit(self, name: str, value: float) -> None:
        """Change one of the table's limits while running; options of the kernel hold for connections to come."""
        limits = self.table.limits
        setattr(limits, name, type(getattr(limits, name))(value))
        if self._sock is not None:
            try:
                limits.apply(self._sock)
            except OSError as error:
                log.warning("%s: %s: %s", self.uri, name, error.strerror)

    # What subclasses change.

    def make_framer(self) -> Framer:
        """The framer of a new connection."""
        limits = self.table.limits
        return Framer(
            max_message=limits.msg_recv_max_size,
            accept_no_cl=limits.tcp_accept_no_cl,
            accept_hep3=limits.tcp_accept_hep3,
        )

    def make_connection(self, peer: Address | None = None) -> Connection:
        """A connection that is to be made to `peer`; without one, that was accepted."""
        return Connection(self, peer)

    # Sending.

    def send(self, data: bytes, to: Address, connection_id: int = 0, *, no_connect: bool = False) -> bool:
        """Send on connection `connection_id` if it is still there, else on one with `to`, made if need be.

        `no_connect` only uses what exists. False if nothing may be made, or a queue is full; whatever fails
        after True is told to the receiver's `on_send_error`.
        """
        if self._loop is None:
            return False
        if self.outgoing is not None:
            data = self.outgoing(data)
        if connection_id:
            connection = self.table.get(connection_id)
            if connection is not None and connection.listener.proto == self.proto:
                return connection.send(data)
        connection = self.table.find(self.proto, to, self)
        if connection is not None:
            return connection.send(data)
        if no_connect or self.table.limits.tcp_no_connect:
            return False
        return self._send_connecting(data, to)

    def restricted(self, rules: int) -> Listener:
        """This listener for a message that may open no connection (rule 2), or is the last on its own (rule 1)."""
        return _Restricted(self, rules)

    def close_connection(self, to: Address, connection_id: int) -> None:
        """Close the connection that `send` would use, once what it has to send is sent."""
        connection = self.table.get(connection_id) if connection_id else None
        connection = connection or self.table.find(self.proto, to, self)
        if connection is not None:
            connection.close("as the script asked")

    def _send_connecting(self, data: bytes, to: Address) -> bool:
        assert self._loop is not None
        if to.port == 0 or to.family != self.address.family:
            return False
        refusal = self.table.refusal(to, self.proto, accepted=False)
        if refusal:
            self.table.refused += 1
            self.table.counts.connect_failed += 1
            log.warning("%s: no connection to %s: %s", self.uri, to, refusal)
            return False
        connection = self.make_connection(to)
        self.table.add(connection)
        connection.send(data)
        connection.start(self._loop)
        return True

    async def connect(self, connection: Connection) -> None:
        """Make the connection that `connection` is to be. Raises OSError."""
        assert self._loop is not None
        loop = self._loop
        limits = self.table.limits
        peer = connection.peer
        sock = stream_client_socket(peer.family, self.options, self._source(peer), limits.tcp_reuse_port)
        try:
            limits.apply(sock)
            await loop.sock_connect(sock, (peer.ip, peer.port))
            await loop.create_connection(lambda: connection, sock=sock)
        except BaseException:
            sock.close()
            raise

    def _source(self, peer: Address) -> Address:
        """Where to connect from: our own address, unless the settings name another."""
        limits = self.table.limits
        ip = limits.tcp_source_ipv4 if peer.family == 4 else limits.tcp_source_ipv6
        port = self.address.port if limits.tcp_reuse_port else 0
        return Address.of(ip or self.address.ip, port)

    # What connections tell; nothing that the receiver raises goes further than here.

    def deliver(self, data: bytes, peer: Address, connection_id: int) -> None:
        """Hand a message to the receiver."""
        assert self._receiver is not None
        try:
            self._receiver.on_datagram(self, data, peer, connection_id)
        except Exception:
            log.exception("%s: a message of %s failed", self.uri, peer)

    def batch_end(self) -> None:
        """All that one read brought was delivered."""
        assert self._receiver is not None
        try:
            self._receiver.on_batch_end()
        except Exception:
            log.exception("%s: the end of a batch failed", self.uri)

    def told_lost(self, peer: Address, data: bytes, reason: str) -> None:
        """A message that `send` accepted won't arrive."""
        self.send_errors += 1
        if self._loop is None or self._receiver is None:
            return
        # From the loop: a script may have closed the connection, and the answer may be another send.
        self._loop.call_soon(self._tell, "on_send_error", self, peer, data, reason)

    def told_unframed(self, connection: Connection, head: bytes, reason: str) -> None:
        """A message without an end came; its connection closes when what the receiver answers is written."""
        self._tell("on_unframed", self, head, connection.peer, connection.id, reason)

    def told_open(self, connection: Connection) -> None:
        """A connection is established."""
        self._tell("on_connection_open", self, connection.id, connection.peer)

    def told_closed(self, connection: Connection, reason: str) -> None:
        """An established connection is gone."""
        if self._loop is not None:
            self._loop.call_soon(self._tell, "on_connection_closed", self, connection.id, connection.peer, reason)

    def _tell(self, what: str, *args: object) -> None:
        method = getattr(self._receiver, what, None)
        if method is None:
            return
        try:
            method(*args)
        except Exception:
            log.exception("%s: %s failed", self.uri, what)


class _Restricted(Listener):
    """A TcpListener as some messages may use it: see `TcpListener.restricted`."""

    def __init__(self, base: TcpListener, rules: int) -> None:
        super().__init__(base.proto, base.address, base.name, base.advertised_host, base.advertised_port, base.agname)
        self.base = base
        self._close = bool(rules & 1)
        self._no_connect = bool(rules & 2)

    def send(self, data: bytes, to: Address, connection_id: int = 0) -> bool:
        sent = self.base.send(data, to, connection_id, no_connect=self._no_connect)
        if sent and self._close:
            self.base.close_connection(to, connection_id)
        return sent

    def flush(self) -> None:
        self.base.flush()
