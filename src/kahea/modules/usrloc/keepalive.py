"""Keepalives: requests sent to the contacts from time to time, and what their answers say.

They are sent statelessly and spread over the interval, so that a hundred thousand contacts don't make a
burst. The answer is known by its From tag, which tells the contact, and when the request was sent.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

from kahea.modules.usrloc.contact import Contact
from kahea.modules.usrloc.notation import aor_hash
from kahea.net.address import P_UDP, PROTO_NAMES
from kahea.routing.run import CORE_ONREPLY_ROUTE, Run
from kahea.routing.text import wire
from kahea.sip.errors import ParseError
from kahea.sip.message import Message, parse_name_addrs
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.modules.usrloc.domain import Domain
    from kahea.modules.usrloc.locations import Locations
    from kahea.tm.hooks import Destination

log = logging.getLogger("kahea.usrloc")

# Bits of ka_mode.
ONLY_NATTED: Final = 2
ONLY_UDP: Final = 4

#: Bit of ka_filter: only contacts that were registered with this server.
OWN_SERVER: Final = 1

#: Kamailio's log levels as Python's.
LEVELS: Final = {
    -5: logging.CRITICAL,
    -4: logging.CRITICAL,
    -3: logging.CRITICAL,
    -2: logging.CRITICAL,
    -1: logging.ERROR,
    0: logging.WARNING,
    1: logging.INFO,
    2: logging.INFO,
    3: logging.DEBUG,
}
NO_LOG: Final = 255


class Keepalives:
    """Sends the keepalives of one node."""

    def __init__(self, module: Locations) -> None:
        self._module = module
        self._node = module.node
        self._mode = module.ka_mode
        self._from = wire(module.ka_from)
        self._domain = wire(module.ka_domain)
        self._method = wire(module.ka_method)
        self._codes = {int(code) for code in module.ka_reply_codes.split(",") if code.strip() not in ("", "0")}
        self._number = 0
        self._pid = os.getpid()
        self._random = random.Random()
        self._queue: Iterator[tuple[Domain, Contact]] = iter(())
        self._stopped = False

    def start(self) -> None:
        """Begin with the first round after one interval."""
        self._node.stray_replies.append(self.take_reply)
        self._node.call_later(self._interval(), self._round)

    def stop(self) -> None:
        """Send no more."""
        self._stopped = True

    def _interval(self) -> float:
        module = self._module
        if not module.is_given("ka_interval"):
            return float(module.timer_interval)
        return module.ka_interval + self._random.uniform(0, module.ka_randomize)

    def _round(self) -> None:
        if self._stopped:
            return
        interval = self._interval()
        self._node.call_later(interval, self._round)
        chosen = [(d, c) for d in self._module.domains.values() for c in d if self.wants(c)]
        self._queue = iter(chosen)
        steps = max(1, int(interval) - 1)
        self._step(-(-len(chosen) // steps), self._queue)

    def _step(self, size: int, queue: Iterator[tuple[Domain, Contact]]) -> None:
        """Send to the next `size` contacts of this round, and to the following in a second."""
        if self._stopped or queue is not self._queue or size == 0:
            return
        part = list(islice(queue, size))
        if not part:
            return
        self._node.pool.run(self._ping_all, part)
        self._node.call_later(1.0, self._step, size, queue)

    def _ping_all(self, part: Iterable[tuple[Domain, Contact]]) -> None:
        now = int(self._node.wall())
        for domain, contact in part:
            if domain.by_ruid.get(contact.ruid) is not contact or not contact.is_valid(now):
                continue
            timeout = self._module.ka_timeout
            if timeout and contact.last_keepalive + timeout < now:
                log.info("no answer from %r for %d seconds: removed", contact, now - contact.last_keepalive)
                self._module.end(domain, contact)
                continue
            try:
                self.ping(contact)
            except ParseError as error:
                log.info("no keepalive to %r: %s", contact, error)

    def wants(self, contact: Contact) -> bool:
        """Whether a contact is sent keepalives."""
        module = self._module
        if self._mode & ONLY_NATTED and not contact.cflags & module.nat_flag:
            return False
        if self._mode & ONLY_UDP and contact.sock is not None and contact.sock.proto != P_UDP:
            return False
        return not (module.ka_filter & OWN_SERVER and contact.server_id != module.server_id)

    def ping(self, contact: Contact) -> bool:
        """Send one keepalive; False if it has nowhere to go. Raises ParseError for a broken path."""
        hop = first_hop(contact)
        destinations = self._node.resolve(hop, contact.sock)
        if not destinations:
            return False
        destination = destinations[0]
        data = self.request(contact, destination)
        return self._node.send(destination.listener, data, destination.address, max(0, contact.connection_id))

    def request(self, contact: Contact, destination: Destination) -> bytes:
        """The request's bytes."""
        self._number += 1
        number = self._number
        now = self._node.wall()
        seconds = int(now)
        tag = b"%b-%x-%x-%x-%x.1" % (
            contact.ruid,
            aor_hash(contact.aor),
            seconds,
            int((now - seconds) * 1_000_000),
            number,
        )
        aor = contact.aor if self._module.use_domain else contact.aor + b"@" + self._domain
        listener = destination.listener
        proto = PROTO_NAMES[listener.proto].upper().encode()
        route = b"Route: " + contact.path + b"\r\n" if contact.path else b""
        return b"".join((
            self._method, b" ", contact.uri, b" SIP/2.0\r\n",
            b"Via: SIP/2.0/", proto, b" ", listener.via_host, b";branch=z9hG4bKx.%x.1.0\r\n" % number,
            route,
            b"From: <", self._from, b">;tag=", tag, b"\r\n",
            b"To: <sip:", aor, b">\r\n",
            b"Call-ID: ksrulka-%x-%x-%x.1\r\n" % (self._random.getrandbits(32), self._pid, number),
            b"CSeq: 80 ", self._method, b"\r\nContent-Length: 0\r\n\r\n",
        ))  # fmt: skip

    def take_reply(self, msg: Message) -> bool:
        """Take a response to a keepalive; False if it is none of ours."""
        if not msg.callid.startswith(b"ksrulka-"):
            return False
        parts = (msg.from_.tag or b"").rsplit(b"-", 4)
        if len(parts) != 5:
            return False
        ruid, hashed, seconds, micros, _ = parts
        try:
            sent = int(seconds, 16) + int(micros, 16) / 1_000_000
            hash_number = int(hashed, 16)
        except ValueError:
            return False
        for domain in self._module.domains.values():
            contact = domain.by_ruid.get(ruid)
            if contact is not None and aor_hash(contact.aor) == hash_number:
                self._answered(contact, msg, sent)
                return True
        return True  # of a contact that is gone

    def _answered(self, contact: Contact, msg: Message, sent: float) -> None:
        if self._codes and msg.status not in self._codes:
            return
        now = self._node.wall()
        contact.last_keepalive = int(now)
        contact.roundtrip = max(0, int((now - sent) * 1_000_000))
        level = self._module.ka_loglevel
        if level == NO_LOG:
            return
        more = ""
        if self._module.ka_logmsg:
            run = Run(self._node, msg, CORE_ONREPLY_ROUTE)
            more = self._node.variables.format(self._module.ka_logmsg).render(run)
        seconds, micros = divmod(contact.roundtrip, 1_000_000)
        ruid = contact.ruid.decode("ascii", "replace")
        log.log(
            LEVELS.get(level, logging.DEBUG),
            "keepalive roundtrip: %d.%06d sec - ruid [%s]%s", seconds, micros, ruid, more,
        )  # fmt: skip


def first_hop(contact: Contact) -> bytes:
    """The URI that a request to a contact is sent to first. Raises ParseError for a broken path."""
    if contact.path:
        return parse_name_addrs(contact.path)[0].uri
    hop = contact.received or contact.uri
    parse_uri(hop)
    return hop
