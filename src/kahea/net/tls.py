"""SIP over TLS (RFC 3261 §26.2.1): TCP with a session on each connection.

A connection is in the table, counted and within its limits, from the moment that TCP accepts it; the handshake has
`tls_handshake_timeout` seconds from then. Its arithmetic takes a millisecond or more, so handshakes take turns: one
step each time that the loop goes round, and whatever else is ready in between.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from kahea.net.address import P_TLS, Address
from kahea.net.connection import Connection
from kahea.net.connections import ConnectionTable
from kahea.net.tcp import TcpListener
from kahea.net.tls_profiles import Profile, Profiles
from kahea.net.tls_stream import CLOSED, HelloReader, TlsError, TlsStream

log = logging.getLogger("kahea.net")


class TlsNode:
    """What the TLS listeners of a node share; the module `tls` fills it in."""

    def __init__(self) -> None:
        self.profiles = Profiles()
        #: Seconds until a connection is closed on which no message ever came or went; negative for never.
        self.connection_timeout: float = 600
        #: Tell the peer that a connection ends (close_notify).
        self.send_close_notify = False
        #: For a connection that is about to be made: the server name and the id of a client profile, "" for none.
        self.choose: Callable[[Address], tuple[str, str]] = lambda _peer: ("", "")
        #: Asked of a connection that was made, with the first message for it: False if nothing may be sent on it.
        self.approve: Callable[[TlsConnection, bytes], bool] = lambda _connection, _data: True
        self._turns: deque[Callable[[], None]] = deque()

    def take_turn(self, step: Callable[[], None]) -> None:
        """Call `step` when it is its turn; it must not raise."""
        self._turns.append(step)
        if len(self._turns) == 1:
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        step = self._turns.popleft()
        if self._turns:
            asyncio.get_running_loop().call_soon(self._next)
        step()


class TlsListener(TcpListener):
    """A listening socket for TLS, and the connections made from its address."""

    PROTO: ClassVar[int] = P_TLS

    def __init__(self, address: Address, table: ConnectionTable, shared: TlsNode, **options: Any) -> None:
        """`shared` by the TLS listeners of a node; `options` are those of a `TcpListener`."""
        super().__init__(address, table, **options)
        self.shared = shared

    def make_connection(self, peer: Address | None = None) -> TlsConnection:
        """A connection with a session."""
        return TlsConnection(self, peer)


class TlsConnection(Connection):
    """A connection whose messages go through a TLS session; open once the handshake is done."""

    __slots__ = ("_context", "_hello", "_received", "_used", "profile", "server_id", "server_name", "shared", "stream")

    def __init__(self, listener: TlsListener, peer: Address | None = None) -> None:
        super().__init__(listener, peer)
        self.shared = listener.shared
        #: The name that the client asked for, or that we ask for.
        self.server_name = ""
        self.server_id = ""
        self.profile: Profile | None = None
        self.stream: TlsStream | None = None
        self._context: ssl.SSLContext | None = None
        self._received = bytearray()  # waits for the rest of a ClientHello, or for its turn
        self._hello = HelloReader()
        self._used = False  # by a message or keepalive, in either direction
        if peer is not None:
            self.server_name, self.server_id = self.shared.choose(peer)

    # The handshake.

    def _begin(self) -> None:
        if self.accepted:
            return  # the client speaks first
        self.profile = self.shared.profiles.client(self.peer, self.server_name, self.server_id)
        if self.profile is not None:
            self._context = self.profile.contexts[self.profile.method]
        self._ask_turn()

    def _take(self, data: bytes) -> None:
        if self.is_open:
            self._decrypt(data)
            return
        self._received += data
        if not self._received:
            super()._take(b"")
        elif self.stream is not None:
            self._ask_turn()
        elif (name := self._hello.feed(data)) is not None:
            self.server_name = name
            found = self.shared.profiles.server(self.listener.address, name)
            if found is not None:
                self.profile, self._context = found
            self._ask_turn()

    def _ask_turn(self) -> None:
        assert self._transport is not None
        self._transport.pause_reading()
        self.shared.take_turn(self._shake)

    def _shake(self) -> None:
        """One step of the handshake."""
        transport = self._transport
        if self._closed or transport is None:
            return
        transport.resume_reading()
        data, self._received = bytes(self._received), bytearray()
        try:
            if self.stream is None:
                self.stream = self._session()
            done = self.stream.shake(data)
        except TlsError as error:
            self._refuse(str(error))
            return
        except Exception:
            log.exception("%s: the handshake with %s failed", self.listener.uri, self.peer)
            self._refuse("the handshake failed")
            return
        self._flush()
        if done and not self.accepted and not self.shared.approve(self, b"".join(self._pending[:1])):
            self.close("the script wants nothing sent on it")
        elif done:
            super()._begin()
            if not self._closed:
                self._decrypt(b"")  # what came in one piece with the end of the handshake

    def _session(self) -> TlsStream:
        """Raises TlsError."""
        if self.profile is None or self._context is None:
            raise TlsError("there is no TLS profile for it")
        depth = self.profile.verify_depth if self.profile.verifies else None
        try:
            return TlsStream(
                self._context,
                server=self.accepted,
                server_name="" if self.accepted else self.server_name,
                max_depth=depth,
            )
        except ValueError as error:
            raise TlsError(f"no server can be asked for by the name {self.server_name!r}") from error

    def _refuse(self, reason: str) -> None:
        """The session is lost: the peer is told by an alert, and the connection closed."""
        log.warning("%s: no TLS with %s: %s", self.listener.uri, self.peer, reason)
        if not self.accepted:
            self.table.counts.connect_failed += 1
        self._flush()
        self.close(reason)

    # What is known of it.

    @property
    def session(self) -> TlsStream:
        """The session of an open connection."""
        assert self.stream is not None
        return self.stream

    @property
    def peer_certificate(self) -> bytes:
        """The peer's certificate (DER), verified or not; b"" for none."""
        return self.stream.peer_certificate if self.stream is not None else b""

    @property
    def description(self) -> str:
        """The cipher in OpenSSL's words; "" before the handshake."""
        if self._context is None or self.stream is None:
            return ""
        name, _ = self.stream.cipher
        ciphers = self._context.get_ciphers()
        return next((str(c["description"]).strip() for c in ciphers if c["name"] == name), "")

    # Messages.

    def _decrypt(self, data: bytes) -> None:
        assert self.stream is not None
        plain = self.stream.receive(data)
        self._flush()
        if plain:
            if not self._used:
                self._note_use()
            super()._take(plain)
        reason = self.stream.ended
        if reason and not self._closed:
            if reason != CLOSED:
                log.warning("%s: closing the connection with %s: %s", self.listener.uri, self.peer, reason)
            self.close(reason)

    def _write(self, data: bytes) -> None:
        assert self.stream is not None
        if not self._used:
            self._note_use()
        try:
            self.stream.encrypt(data)
        except TlsError as error:
            log.warning("%s: closing the connection with %s: %s", self.listener.uri, self.peer, error)
            self._pending.append(data)
            self.abort(str(error))
            return
        self._put(self.stream.outgoing(), data)

    def _flush(self) -> None:
        """Write what the session itself has to say."""
        if self.stream is not None and not self._closed and (data := self.stream.outgoing()):
            self._put(data)

    def _farewell(self) -> None:
        if self.shared.send_close_notify and self.stream is not None:
            self.stream.farewell()
            assert self._transport is not None
            self._transport.write(self.stream.outgoing())

    # Time.

    def _note_use(self) -> None:
        """It is used for the first time: from now on it lives as long as a TCP connection."""
        self._used = True
        self._rearm()

    @property
    def lifetime(self) -> float:
        """As a TCP connection's; until it is used for the first time, connection_timeout."""
        if self._used or self._lifetime is not None:
            return super().lifetime
        return self.shared.connection_timeout

    def _deadlines(self) -> list[tuple[float, str, bool]]:
        if self._transport is not None and not self._up:
            limit = self.table.limits.tls_handshake_timeout
            return [(self.opened_at + limit, "the TLS handshake timed out", False)]
        return super()._deadlines()
