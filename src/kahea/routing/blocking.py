"""When a destination goes on the blocklist, and when it is looked for there (`use_dst_blocklist`).

What the transaction layer tells: a request that nobody answered, one that could not be sent, a 503. A script says by
`blst_set_ignore()` which of these are not to count for its message; the settings `dst_blocklist_*_imask` say so for a
protocol.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from kahea.net.address import P_SCTP, P_TCP, P_TLS, P_UDP, P_WS, P_WSS
from kahea.net.blocklist import CONNECT, SEND, TIMEOUT, UNAVAILABLE, Blocklist
from kahea.sip.message import H_RETRYAFTER, M_INVITE

if TYPE_CHECKING:
    from kahea.net.address import Address, Listener
    from kahea.routing.global_parameters import Settings
    from kahea.routing.node import Node
    from kahea.sip.message import Message
    from kahea.tm.transaction import Branch

log = logging.getLogger("kahea.node")

#: The facets of a request with the events that are not to count where it goes, and where its replies go.
IGNORED: Final = "blocklist_ignored"
REPLIES_IGNORED: Final = "blocklist_replies_ignored"

#: The events of each protocol that are not to count.
_MASKS: Final[dict[int, Callable[[Settings], int]]] = {
    P_UDP: lambda settings: settings.dst_blocklist_udp_imask,
    P_TCP: lambda settings: settings.dst_blocklist_tcp_imask,
    P_TLS: lambda settings: settings.dst_blocklist_tls_imask,
    P_SCTP: lambda settings: settings.dst_blocklist_sctp_imask,
    P_WS: lambda settings: settings.dst_blocklist_tcp_imask,
    P_WSS: lambda settings: settings.dst_blocklist_tls_imask,
}
_SECONDS: Final = re.compile(rb"([0-9]{1,9})(?![0-9])")


def retry_after(msg: Message) -> int | None:
    """The seconds that a message's Retry-After says; None without one, or for one that is malformed."""
    header = msg.header(H_RETRYAFTER)
    found = None if header is None else _SECONDS.match(header.body)
    return None if found is None else int(found[1])


class Blocking:
    """The blocklist of a node, and the rules for it. The `tm` module sets those that are about its transactions."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._settings = node.settings
        self.list = Blocklist(node.now, node.settings.dst_blocklist_mem << 10)
        self._told_full = False
        #: Methods, as bits, whose silence counts; and which are not sent to what is on the list.
        self.methods_add = M_INVITE
        self.methods_lookup = 0xFFFFFFF7
        #: Whether a 503 counts, and for how many seconds: without Retry-After (0: not at all), at least, at most.
        self.count_503 = False
        self.seconds_of_503 = (0, 0, 3600)

    @property
    def is_on(self) -> bool:
        """Whether there is a list to look at."""
        return self._settings.use_dst_blocklist and self._settings.dst_blocklist_init

    def changed(self) -> None:
        """Settings changed: let the transactions know whether to ask."""
        self.list.most_bytes = self._settings.dst_blocklist_mem << 10
        self._node.layer.blocking = self if self.is_on else None

    def add(self, proto: int, address: Address, flags: int, seconds: float | None = None) -> bool:
        """Put a destination on the list, for `dst_blocklist_expire` seconds unless said otherwise; False if it is
        full."""
        if self.list.add(proto, address, flags, self._settings.dst_blocklist_expire if seconds is None else seconds):
            self._told_full = False
            return True
        if not self._told_full:
            self._told_full = True
            log.warning("the blocklist of destinations is full: see dst_blocklist_mem")
        return False

    def _happened(
        self, listener: Listener, address: Address, flags: int, left_out: int, seconds: float | None = None
    ) -> None:
        flags &= ~(left_out | _MASKS[listener.proto](self._settings))
        if flags and self.add(listener.proto, address, flags, seconds):
            log.info("%s:%d over %s is on the blocklist", address.ip, address.port, listener.proto_name)

    # ---- what the transaction layer asks and tells

    def holds(self, listener: Listener, address: Address, method_id: int) -> bool:
        """Whether a request is not to be sent there."""
        return bool(method_id & self.methods_lookup) and self.list.find(listener.proto, address) is not None

    def timed_out(self, branch: Branch) -> None:
        """Nobody answered a branch."""
        t = branch.transaction
        if t.method_id & self.methods_add:
            self._happened(branch.listener, branch.address, TIMEOUT, ignored(t.request, IGNORED))

    def unavailable(self, branch: Branch, reply: Message) -> None:
        """A branch was answered by 503."""
        if not self.count_503:
            return
        default, least, most = self.seconds_of_503
        asked = retry_after(reply)
        seconds = default if asked is None else min(max(asked, least), most)
        if seconds > 0:
            left_out = ignored(branch.transaction.request, IGNORED)
            self._happened(branch.listener, branch.address, UNAVAILABLE, left_out, seconds)

    def not_sent(self, listener: Listener, address: Address, about: Message | None, *, reply: bool) -> None:
        """A transaction's request, or reply, could not be sent; `about` is the request."""
        flags = SEND if listener.proto == P_UDP else SEND | CONNECT
        self._happened(listener, address, flags, ignored(about, REPLIES_IGNORED if reply else IGNORED))


def ignored(request: Message | None, facet: str) -> int:
    """The events that are not to count for a request, by IGNORED or REPLIES_IGNORED."""
    found = 0 if request is None else request.facets.get(facet, 0)
    assert isinstance(found, int)
    return found
