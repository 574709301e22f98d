"""The ACK to a 2xx that answers an INVITE of our own: end to end, no part of its transaction (RFC 3261 §13.2.2.4)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from kahea.net.address import Address, Listener
from kahea.routing.text import text
from kahea.sip.errors import ParseError
from kahea.sip.message import Message, parse
from kahea.tm.forward import via_line
from kahea.tm.hooks import Destination
from kahea.tm.route_set import RouteSet, route_set, success_ack
from kahea.tm.transaction import Branch, Transaction

if TYPE_CHECKING:
    from kahea.modules.tm.uac import Uac

log = logging.getLogger("kahea.tm")

#: Where the ACK is sent (`local_ack_mode`): as its route set says, as the INVITE was, or to where the 2xx came from.
BY_ROUTE_SET, BY_INVITE, BY_SOURCE = 0, 1, 2

#: Answers of forks further on that are acknowledged each for itself.
MAX_FORKS: Final = 32


class LocalInvite:
    """Takes the responses to one INVITE of ours, and acknowledges each 2xx, unless that is left to others."""

    def __init__(self, uac: Uac, on_reply: Callable[..., object] | None, acknowledges: bool) -> None:
        self._uac = uac
        self._on_reply = on_reply
        self._acknowledges = acknowledges
        self._sent: dict[bytes, tuple[bytes, Destination]] = {}

    def __call__(self, t: Transaction, branch: Branch, status: int, reply: Message | None) -> None:
        if self._acknowledges and reply is not None and 200 <= status < 300:
            self.acknowledge(t, branch, reply)
        if self._on_reply is not None:
            self._on_reply(t, branch, status, reply)

    def acknowledge(
        self, t: Transaction, branch: Branch, reply: Message, headers: bytes = b"", body: bytes = b""
    ) -> bool:
        """Acknowledge a 2xx, a repeated one by the same ACK; `headers` are whole lines. False if that can't be done."""
        try:
            tag = reply.to.tag or b""
            if tag not in self._sent:
                if len(self._sent) >= MAX_FORKS:
                    log.warning("too many answers to an INVITE of ours: %s", text(t.request.callid))
                    return False
                self._sent[tag] = self._made(t, branch, reply, headers, body)
            data, to = self._sent[tag]
        except (ParseError, LookupError) as error:
            log.warning("can't acknowledge the answer of %s: %s", text(branch.uri), error)
            return False
        if not to.listener.send(data, to.address, to.connection_id):
            return False
        self._uac.ack_sent(data, to.listener)
        return True

    def _made(
        self, t: Transaction, branch: Branch, reply: Message, headers: bytes, body: bytes
    ) -> tuple[bytes, Destination]:
        """The ACK and where it goes. Raises ParseError or LookupError."""
        way = route_set(reply)
        to = self._destination(branch, reply, way)
        # A transaction of its own, with a branch of its own.
        rport = self._uac.node.layer.settings.local_rport
        via = via_line(to.listener, b"%b.ack%d" % (t.stem, len(self._sent)), None, rport)
        if branch.request is None:
            raise LookupError("the INVITE was not sent")
        settings = self._uac.node.settings
        if settings.server_signature and settings.user_agent_header:
            headers += settings.user_agent_header.encode() + b"\r\n"
        return success_ack(branch.request, reply, way, via, headers, body), to

    def _destination(self, branch: Branch, reply: Message, way: RouteSet) -> Destination:
        mode = self._uac.local_ack_mode
        if mode == BY_INVITE:
            return Destination(branch.listener, branch.address, branch.connection_id)
        if mode == BY_SOURCE and isinstance(reply.listener, Listener) and isinstance(reply.source, Address):
            return Destination(reply.listener, reply.source, reply.connection_id)
        found = self._uac.node.destinations(way.next_hop, None, 0, branch.listener)
        if not found:
            raise LookupError(f"{text(way.next_hop)} leads nowhere")
        return found[0]


def own_message(data: bytes, listener: Listener) -> Message:
    """A message that we send, as a route sees it: from us, to us. Raises ParseError for what is none."""
    msg = parse(data)
    msg.faked = True
    msg.src_ip = msg.dst_ip = listener.address.ip_bytes
    msg.src_port = msg.dst_port = listener.address.port
    msg.proto = listener.proto
    msg.source = listener.address
    msg.listener = listener
    return msg
