"""Keepalives for user agents behind a NAT: four bytes of nothing, or a SIP request that they answer.

They go to contacts registered over UDP, spread over the interval, without transactions. An answer is known by its
Call-ID, and its contact by the From tag.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from kahea.net.address import P_UDP
from kahea.routing.module import ConfigError
from kahea.routing.text import wire
from kahea.sip.errors import ParseError
from kahea.sip.message import Message, parse_name_addrs
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.modules.nathelper import Nathelper
    from kahea.tm.hooks import Destination

log = logging.getLogger("kahea.nathelper")

NOTHING: Final = b"\0\0\0\0"
#: How often a part of the contacts is pinged, in seconds.
STEP: Final = 1.0


class Pinger:
    """Pings the contacts of a node. `usrloc` is the module of that name."""

    def __init__(self, module: Nathelper, usrloc: Any) -> None:
        self._module = module
        self._node = module.node
        self._usrloc = usrloc
        self._call_id = b"nathelper-%b-" % os.urandom(8).hex().encode()
        self._number = 0
        self._queue: Iterator[tuple[Any, Any]] = iter(())
        #: The contacts asked in this round and the one before, by ruid.
        self._asked: dict[bytes, Any] = {}
        self._asked_before: dict[bytes, Any] = {}
        self._nated = 0
        self.enabled = True
        self._stopped = False

    def start(self) -> None:
        """Begin with the first round after one interval. Raises ConfigError."""
        m = self._module
        if m.ping_nated_only and self._usrloc.nat_bflag < 0:
            raise ConfigError("parameter nathelper.ping_nated_only needs usrloc's nat_bflag")
        if m.sipping_from:
            try:
                parse_uri(wire(m.sipping_from))
            except ParseError as error:
                raise ConfigError(f"parameter nathelper.sipping_from: {error}") from error
        elif m.sipping_bflag >= 0:
            raise ConfigError("parameter nathelper.sipping_bflag needs sipping_from")
        self._nated = 1 << self._usrloc.nat_bflag if m.ping_nated_only else 0
        self._by_sip = 1 << m.sipping_bflag if m.sipping_bflag >= 0 else 0
        self._not = 1 << m.natping_disable_bflag if m.natping_disable_bflag >= 0 else 0
        self._node.stray_replies.append(self.take_reply)
        self._node.call_later(m.natping_interval, self._round)

    def stop(self) -> None:
        """Send no more."""
        self._stopped = True

    def _round(self) -> None:
        if self._stopped:
            return
        interval = self._module.natping_interval
        self._node.call_later(interval, self._round)
        if not self.enabled:
            return
        self._asked_before, self._asked = self._asked, {}
        chosen = [(d, c) for d in self._usrloc.domains.values() for c in d if self.wants(c)]
        self._queue = iter(chosen)
        self._step(-(-len(chosen) // max(1, interval - 1)), self._queue)

    def _step(self, size: int, queue: Iterator[tuple[Any, Any]]) -> None:
        """Ping the next `size` contacts of this round, and the following in a second."""
        if self._stopped or queue is not self._queue or not (part := list(islice(queue, size))):
            return
        self._node.pool.run(self._ping_all, part)
        self._node.call_later(STEP, self._step, size, queue)

    def wants(self, contact: Any) -> bool:
        """Whether a contact is pinged."""
        m = self._module
        if contact.sock is not None and contact.sock.proto != P_UDP:
            return False
        if self._nated and not contact.cflags & self._nated:
            return False
        if contact.cflags & self._not:
            return False
        return not m.filter_server_id or contact.server_id == self._usrloc.server_id

    def _ping_all(self, part: list[tuple[Any, Any]]) -> None:
        now = int(self._node.wall())
        timeout = self._module.keepalive_timeout
        for domain, contact in part:
            if not contact.is_valid(now) or not any(c is contact for c in domain.get(contact.aor) or ()):
                continue
            if timeout and self._asks(contact) and contact.last_keepalive + timeout < now:
                log.info("no answer from %r for %d seconds: removed", contact, now - contact.last_keepalive)
                self._usrloc.end(domain, contact)
                continue
            try:
                self._ping(contact)
            except ParseError as error:
                log.info("no ping to %r: %s", contact, error)

    def _asks(self, contact: Any) -> bool:
        """Whether a contact is pinged by requests."""
        m = self._module
        return bool(m.sipping_from) and (m.sipping_bflag < 0 or bool(contact.cflags & self._by_sip))

    def _ping(self, contact: Any) -> None:
        """Raises ParseError for a contact that has nowhere to go."""
        hop = parse_name_addrs(contact.path)[0].uri if contact.path else contact.received or contact.uri
        parse_uri(hop)
        m = self._module
        sock = self._node.targets.find_listener(m.force_socket) if m.force_socket else contact.sock
        destinations = self._node.resolve(hop, sock)
        if not destinations or destinations[0].listener.proto != P_UDP:
            return
        to = destinations[0]
        data = self._request(contact, to) if self._asks(contact) else NOTHING
        self._node.send(to.listener, data, to.address, 0)

    def _request(self, contact: Any, to: Destination) -> bytes:
        self._number += 1
        self._asked[contact.ruid] = contact
        method = wire(self._module.sipping_method)
        return b"".join((
            method, b" ", contact.uri, b" SIP/2.0\r\n",
            b"Via: SIP/2.0/UDP ", to.listener.via_host, b";branch=z9hG4bKping%d\r\n" % self._number,
            b"Route: " + contact.path + b"\r\n" if contact.path else b"",
            b"From: <", wire(self._module.sipping_from), b">;tag=", contact.ruid, b"\r\n",
            b"To: <", contact.uri, b">\r\n",
            b"Call-ID: ", self._call_id, b"%d\r\n" % self._number,
            b"CSeq: 1 ", method, b"\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
        ))  # fmt: skip

    def take_reply(self, msg: Message) -> bool:
        """Take a response to a ping; False if it is none of ours."""
        if not msg.callid.startswith(self._call_id):
            return False
        ruid = msg.from_.tag or b""
        contact = self._asked.get(ruid) or self._asked_before.get(ruid)
        if contact is not None:
            contact.last_keepalive = int(self._node.wall())
        return True
