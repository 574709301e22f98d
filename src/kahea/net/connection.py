"""One stream connection: what is read is framed and handed on, what is written waits within bounds.

Its life: connecting (ours only) -> open -> gone; a transport above TCP may have to agree with the peer between the two
(`_begin`). It is in the table from its birth until it is gone, and what `send` accepted and never reached the kernel is
reported when it goes.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, cast

from kahea.net.address import Address
from kahea.net.framer import FramingError, Keepalive
from kahea.net.proxy_protocol import ProxyError, read_header

if TYPE_CHECKING:
    from kahea.net.tcp import TcpListener

log = logging.getLogger("kahea.net")

NEVER = float("inf")
_PONG = b"\r\n"
_PING = b"\r\n\r\n"


class Connection(asyncio.Protocol):
    """A connection with one peer. `accepted` tells whose it is; times are the table's clock, in seconds."""

    __slots__ = (
        "_blocked_since",
        "_closed",
        "_frame_since",
        "_framer",
        "_lifetime",
        "_mark",
        "_pending",
        "_prelude",
        "_read",
        "_task",
        "_total",
        "_transport",
        "_unsent",
        "_up",
        "accepted",
        "aliases",
        "armed",
        "id",
        "last_used",
        "listener",
        "opened_at",
        "peer",
        "queued",
        "table",
    )

    peer: Address

    def __init__(self, listener: TcpListener, peer: Address | None = None) -> None:
        """With `peer`, one that we are about to make; without, one that the loop accepted."""
        self.listener = listener
        self.table = listener.table
        self.accepted = peer is None
        if peer is not None:
            self.peer = peer
        self.id = 0
        self.aliases: list[Address] = []
        self.queued = 0  # the table's note of the bytes that wait
        self.armed = NEVER  # the table's note of when it looks at us
        self.opened_at = self.last_used = self.table.clock()
        self._lifetime: float | None = None
        self._framer = listener.make_framer()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = ""  # why, once it is
        # What was read of a PROXY header; None once it is known whether there is one.
        proxied = self.accepted and self.table.limits.tcp_accept_haproxy
        self._prelude: bytearray | None = bytearray() if proxied else None
        self._up = False  # messages may be written
        self._pending: list[bytes] = []  # accepted by `send` before that
        self._read = False  # anything, ever
        self._frame_since = NEVER
        self._blocked_since = NEVER
        self._total = 0  # bytes given to the transport
        self._mark = 0  # bytes that the peer had taken when we last looked
        self._unsent: list[tuple[int, bytes]] = []  # messages by where they end in the stream

    @property
    def is_open(self) -> bool:
        """Whether it is established and not closed."""
        return self._up and not self._closed

    @property
    def connecting(self) -> bool:
        """Whether it is not established yet."""
        return not self._up and not self._closed

    @property
    def transport(self) -> asyncio.Transport | None:
        """The loop's transport, for options of its socket; None unless open."""
        return self._transport if not self._closed else None

    def __repr__(self) -> str:
        peer = getattr(self, "peer", None)
        return f"<Connection {self.id} {'from' if self.accepted else 'to'} {peer} {self._closed or 'alive'}>"

    # Life.

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to connect; `fail` or `connection_made` follows."""
        self.table.arm(self, self.opened_at + self.table.limits.tcp_connect_timeout)
        self._task = loop.create_task(self._connect())

    async def _connect(self) -> None:
        try:
            await self.listener.connect(self)
        except OSError as error:
            self.fail(os.strerror(error.errno) if error.errno else str(error) or type(error).__name__)
        except Exception as error:
            log.exception("%s: connecting to %s failed", self.listener.uri, self.peer)
            self.fail(str(error))
        finally:
            self._task = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop's call: it is established."""
        self._transport = cast(asyncio.Transport, transport)
        if self._closed:
            self._transport.abort()
            return
        if self.accepted and not self._admit():
            self._transport.abort()
            return
        if not self.accepted:
            self.table.counts.connect_success += 1
            self.table.counts.established += 1
        self._transport.set_write_buffer_limits(high=0)
        self.opened_at = self.last_used = self.table.clock()
        self._rearm()
        self._begin()

    def _begin(self) -> None:
        """Both sides are ready for messages."""
        self._up = True
        self.listener.told_open(self)
        pending, self._pending = self._pending, []
        self.table.account(self, 0)
        for data in pending:
            self._write(data)

    def _admit(self) -> bool:
        """Whether the limits let an accepted connection in."""
        assert self._transport is not None
        name = self._transport.get_extra_info("peername")
        if not name:
            self._closed = "gone at once"
            return False
        self.peer = Address.of(name[0].partition("%")[0], name[1])
        refusal = self.table.refusal(self.peer, self.listener.proto, accepted=True)
        if refusal:
            self._closed = refusal
            self.table.refused += 1
            self.table.counts.local_reject += 1
            log.warning("%s: connection from %s refused: %s", self.listener.uri, self.peer, refusal)
            return False
        self.table.add(self)
        return True

    def fail(self, reason: str) -> None:
        """It could not be made: report what waits for it."""
        log.info("%s: no connection to %s: %s", self.listener.uri, self.peer, reason)
        self.table.counts.connect_failed += 1
        self._gone(reason)

    def connection_lost(self, exc: Exception | None) -> None:
        """The loop's call: it ended, by the peer, by us, or by an error."""
        if isinstance(exc, ConnectionResetError) and not self._closed:
            self.table.counts.con_reset += 1
        if exc is None and self._closed:
            self._unsent.clear()  # closing by us writes what was queued
        self._gone(str(exc) if exc is not None else "closed by the peer")
        self._transport = None

    def close(self, reason: str) -> None:
        """Close it after what is queued was written, in tcp_send_timeout seconds at the most."""
        if self._closed:
            return
        self._leave(reason)
        if self._task is not None:
            self._task.cancel()
        if self._up:
            self._farewell()
        else:
            self._report(reason)
        transport = self._transport
        if transport is None:
            return
        waiting = transport.get_write_buffer_size()
        transport.close()
        if waiting:
            # The table forgets us now: this timer is what bounds our life.
            loop = asyncio.get_running_loop()
            loop.call_later(max(self.table.limits.tcp_send_timeout, 0), transport.abort)

    def _farewell(self) -> None:
        """What the peer is sent before an open connection closes: nothing."""

    def abort(self, reason: str) -> None:
        """Close it now, and report what was not written."""
        if self._closed:
            return
        if self._task is not None:
            self._task.cancel()
        self._unsent = self._left()
        self._gone(reason)
        if self._transport is not None:
            self._transport.abort()

    def _leave(self, reason: str) -> bool:
        if self._closed:
            return False
        self._closed = reason
        self.table.remove(self)
        if self._up:
            self.listener.told_closed(self, reason)
        return True

    def _gone(self, reason: str) -> None:
        self._leave(reason)
        self._report(reason)

    def _report(self, reason: str) -> None:
        # A lost connection can't be asked how much it had sent: rather a message too many is told of.
        lost = self._pending + [data for _, data in self._unsent]
        self._pending = []
        self._unsent = []
        for data in lost:
            self.listener.told_lost(self.peer, data, reason)

    # Reading.

    def data_received(self, data: bytes) -> None:
        """The loop's call: frame what came, and hand it on."""
        if self._closed:
            return
        if self.accepted and not self._read:
            self.table.counts.passive_open += 1
            self.table.counts.established += 1
        self._read = True
        if self._prelude is not None:
            data = self._after_prelude(data)
            if self._closed:
                return
        self._take(data)

    def _take(self, data: bytes) -> None:
        """Frame bytes of messages, and hand on what is complete."""
        used = False
        for event in self._framer.feed(data):
            if isinstance(event, bytes):
                used = True
                self.listener.deliver(event, self.peer, self.id)
            elif isinstance(event, Keepalive):
                used = True
                if event is Keepalive.PING and self.table.limits.tcp_crlf_ping:
                    self._write_keepalive(_PONG)
            else:
                self._unframed(event)
            if self._closed:
                break
        self.listener.batch_end()
        if not self._closed:
            self._note_read(used)

    def _after_prelude(self, data: bytes) -> bytes:
        """What follows the PROXY header, if there is one: nothing while that is incomplete."""
        assert self._prelude is not None
        self._prelude += data
        try:
            header = read_header(bytes(self._prelude))
        except ProxyError as error:
            log.warning("%s: closing the connection with %s: %s", self.listener.uri, self.peer, error)
            self.abort(str(error))
            return b""
        if header is None:
            return b""
        rest = bytes(self._prelude[header.size :])
        self._prelude = None
        if header.client is not None:
            refusal = self.table.move(self, header.client)
            if refusal:
                log.warning("%s: connection from %s refused: %s", self.listener.uri, header.client, refusal)
                self.abort(refusal)
        return rest

    def _unframed(self, error: FramingError) -> None:
        log.warning("%s: closing the connection with %s: %s", self.listener.uri, self.peer, error.reason)
        if error.head:
            self.listener.told_unframed(self, error.head, error.reason)
        self.close(error.reason)

    def _note_read(self, used: bool) -> None:
        now = self.table.clock()
        if used:
            self.last_used = now
        if not self._framer.in_message and not self._prelude:
            self._frame_since = NEVER
        elif used or self._frame_since == NEVER:
            self._frame_since = now
            self._rearm()

    # Writing.

    def send(self, data: bytes) -> bool:
        """Write a message, or queue it; False if it is closed or too much waits already."""
        if self._closed:
            return False
        table = self.table
        waiting = self._waiting()
        if waiting and (
            waiting + len(data) > table.limits.tcp_conn_wq_max or table.queued + len(data) > table.limits.tcp_wq_max
        ):
            table.counts.sendq_full += 1
            return False
        if not self._up:
            self._pending.append(data)
            table.account(self, waiting + len(data))
            return True
        self._write(data)
        self.last_used = table.clock()
        return True

    def ping(self) -> bool:
        """Send a keepalive (a double CRLF), whose answer keeps the connection alive; False if not open."""
        if not self.is_open:
            return False
        self._framer.ping_sent()
        return self._write_keepalive(_PING)

    def _write_keepalive(self, data: bytes) -> bool:
        """Write a keepalive unless something waits: a peer that does not read gets no more of them."""
        if not self.is_open or self._waiting():
            return False
        self._write(data)
        return True

    def _write(self, data: bytes) -> None:
        """Write a message or keepalive."""
        self._put(data, data)

    def _put(self, wire: bytes, message: bytes = b"") -> None:
        """Write bytes of the stream, with which `message` has left."""
        transport = self._transport
        assert transport is not None
        self._total += len(wire)  # before writing, which may call pause_writing
        transport.write(wire)
        waiting = transport.get_write_buffer_size()
        if waiting and message:
            self._unsent.append((self._total, message))
        if self._up and (waiting or self.queued):
            self.table.account(self, waiting)

    def _waiting(self) -> int:
        """Bytes that wait to be written: messages before the connection is up, then what the kernel has not taken."""
        if self._up and self._transport is not None:
            return self._transport.get_write_buffer_size()
        return sum(map(len, self._pending))

    def _left(self) -> list[tuple[int, bytes]]:
        """The messages that have not left whole, while the connection lives to ask."""
        if not self._unsent or self._transport is None:
            return self._unsent
        sent = self._total - self._transport.get_write_buffer_size()
        return [item for item in self._unsent if item[0] > sent]

    def pause_writing(self) -> None:
        """The loop's call: the peer takes no more."""
        assert self._transport is not None
        self._blocked_since = self.table.clock()
        self._mark = self._total - self._transport.get_write_buffer_size()
        self._rearm()

    def resume_writing(self) -> None:
        """The loop's call: all was written."""
        self._blocked_since = NEVER
        self._unsent.clear()
        self.table.account(self, self._waiting())

    # Time.

    @property
    def lifetime(self) -> float:
        """Seconds without traffic until it is closed; negative for never."""
        return self.table.limits.tcp_connection_lifetime if self._lifetime is None else self._lifetime

    @property
    def timeout(self) -> int:
        """Whole seconds until it is closed for being idle; -1 for never."""
        lifetime = self.lifetime
        return int(self.last_used + lifetime - self.table.clock()) if lifetime >= 0 else -1

    def set_lifetime(self, seconds: float) -> None:
        """Close it after so many seconds without traffic, instead of after tcp_connection_lifetime."""
        self._lifetime = seconds
        self._rearm()

    def check(self, now: float) -> None:
        """Close it if something is overdue, else look again when the next may be."""
        self._note_progress(now)
        due, reason, gentle = min(self._deadlines())
        if due > now:
            self.table.arm(self, due)
            return
        log.info("%s: closing the connection with %s: %s", self.listener.uri, self.peer, reason)
        counts = self.table.counts
        if not self._up:
            counts.connect_failed += not self.accepted
        elif gentle:
            counts.con_timeout += 1
        elif self._blocked_since + self.table.limits.tcp_send_timeout <= now:
            counts.send_timeout += 1
        if gentle:
            self.close(reason)
        else:
            self.abort(reason)

    def _rearm(self) -> None:
        if not self._closed and self.id:
            self.table.arm(self, min(self._deadlines())[0])

    def _note_progress(self, now: float) -> None:
        """A peer that takes something, however slowly, is not stuck."""
        if self._transport is None or self._blocked_since == NEVER:
            return
        waiting = self._transport.get_write_buffer_size()
        if self._up:
            self.table.account(self, waiting)
        sent = self._total - waiting
        if sent > self._mark:
            self._mark = sent
            self._blocked_since = now
            self._unsent = self._left()

    def _deadlines(self) -> list[tuple[float, str, bool]]:
        """What will be overdue when, and whether to close gently then."""
        limits = self.table.limits
        if self._transport is None:
            return [(self.opened_at + limits.tcp_connect_timeout, "connecting timed out", False)]
        lifetime = self.lifetime
        idle = self.last_used + lifetime if lifetime >= 0 else NEVER
        due = [(idle, "idle", True)]
        if limits.tcp_msg_read_timeout > 0:
            due.append((self._frame_since + limits.tcp_msg_read_timeout, "a message stalled", False))
        if limits.tcp_msg_data_timeout > 0 and self.accepted and not self._read:
            due.append((self.opened_at + limits.tcp_msg_data_timeout, "sent nothing", False))
        due.append((self._blocked_since + limits.tcp_send_timeout, "the peer takes nothing", False))
        return due
