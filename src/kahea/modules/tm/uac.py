"""Requests of our own: `t_uac_send`, and `send_request` for other modules and for management."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence

from kahea.modules.tm.success_ack import LocalInvite, own_message
from kahea.net.address import Listener
from kahea.routing.module import Module, function, native
from kahea.routing.run import LOCAL_ROUTE, Run
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.message import (
    H_CALLID,
    H_CONTENTLENGTH,
    H_CONTENTTYPE,
    H_CSEQ,
    H_FROM,
    H_MAXFORWARDS,
    H_TO,
    H_USERAGENT,
    M_ACK,
    Message,
)
from kahea.sip.message import header_kind as kind_of
from kahea.sip.uri import parse_uri
from kahea.tm.forward import save, via_line
from kahea.tm.hooks import Destination
from kahea.tm.transaction import Branch, Transaction

log = logging.getLogger("kahea.tm")

OnReply = Callable[[Transaction, Branch, int, Message | None], object]

#: Why a request was not sent, as Kamailio numbers it: the script dropped it, there is no room for it, no way to it.
DROPPED, NO_ROOM, NO_WAY = 0, 2, 7


class NotSent(Exception):
    """A request of ours was not sent: `number` says why."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(why)
        self.number = number


class Uac(Module):
    """The client side on its own."""

    event_callback: str
    evcb_local_ack_sent: str
    local_ack_mode: int

    @native("str", "str", "str", "str", "str", "str")
    @function
    def t_uac_send(
        self, run: Run, method: str, ruri: str, nexthop: str, send_socket: str, headers: str, body: str
    ) -> int:
        """Send a request of our own; From and To must stand in `headers`, and Content-Type if it has a body."""
        del run
        try:
            listener = self.listener_named(send_socket)
            self.send_request(method, ruri, headers=headers, body=wire(body), next_hop=nexthop, listener=listener)
        except (NotSent, ValueError) as error:
            log.error("t_uac_send: %s", error)
            return -1
        return 1

    def listener_named(self, name: str) -> Listener | None:
        """The listener that a request is to leave by, None for any. Raises ValueError if there is none of the name."""
        listener = self.node.find_listener(name) if name else None
        if name and listener is None:
            raise ValueError(f'No local socket for "{name}"')
        return listener

    def send_request(
        self,
        method: str,
        ruri: str,
        *,
        headers: str = "",
        body: bytes = b"",
        next_hop: str = "",
        listener: Listener | None = None,
        on_reply: OnReply | None = None,
        acknowledge: bool = True,
        timers: tuple[float, float] | None = None,
        facets: Mapping[str, object] | None = None,
    ) -> Transaction:
        """Send a request outside of a dialog, or within one if `headers` say so. May wait, where that is possible.

        `headers` are whole lines with From and To; Call-ID, CSeq and Max-Forwards are added where they are missing, and
        a tag to the From. It goes to `next_hop`, else to its Request-URI. `on_reply(transaction, branch, status,
        message)` is called for each response, with None for a timeout. A 2xx to an INVITE is acknowledged, unless not
        `acknowledge`. `timers` are the seconds to wait for any response, and for an INVITE's final one. `facets` are
        attached to the request for scripts that see it. An ACK is sent once, without waiting for anything.

        Raises ValueError for what makes no SIP request, with Kamailio's words, NotSent if it can't be sent.
        """
        lines = _read(method, ruri, headers, body)
        if next_hop and not _is_uri(next_hop):
            raise ValueError(f'Invalid next-hop uri "{next_hop}"')
        hop = wire(next_hop or ruri)
        destination, spare = self._way(hop, listener)
        start, rest = self._composed(method, ruri, lines, body, destination.listener)
        t = self.node.layer.new_local(_parsed(start + rest, destination.listener), None)
        if t is None:
            raise NotSent(NO_ROOM, "there are too many transactions")
        t.generation = self.node.routes
        if timers is not None:
            t.fr, t.fr_inv = timers
        branch = t.add_branch()
        branch.answered = True
        via = via_line(destination.listener, branch.id, None, self.node.layer.settings.local_rport)
        # What the script sees has the Via that it will be sent with.
        t.request = request = _parsed(start + via + rest, destination.listener)
        request.dst_uri = hop
        if facets is not None:
            request.facets.update(facets)
        try:
            self._let_script_see(t)
            if request.dst_uri != hop or request.send_sock is not None:
                sock = request.send_sock if isinstance(request.send_sock, Listener) else listener
                destination, spare = self._way(request.dst_uri or request.uri, sock)
            branch.uri = request.uri
            branch.listener, branch.address, branch.connection_id = destination
            branch.spare = spare if self.node.settings.use_dns_failover else None
            via = via_line(branch.listener, branch.id, None, self.node.layer.settings.local_rport)
            branch.request = _as_sent(request, via)
            t.saved = save(request)
            if t.method_id == M_ACK:
                branch.listener.send(branch.request, branch.address, branch.connection_id)
                self.node.layer.free(t)
                return t
            if t.is_invite:
                on_reply = LocalInvite(self, on_reply, acknowledge)
            t.on_complete = on_reply
            branch.answered = False
            if not self.node.layer.send_somewhere(branch):
                raise NotSent(NO_WAY, f"can't send to {text(hop)}")
        except BaseException:
            self.node.layer.free(t)
            raise
        return t

    def _way(self, hop: bytes, listener: Listener | None) -> tuple[Destination, list[Destination] | None]:
        """The first destination of a URI, and those to try after it. Raises NotSent if there is none."""
        found: Sequence[Destination] = self.node.destinations(hop, listener, 0, None)
        if not found:
            raise NotSent(NO_WAY, f"{text(hop)} leads nowhere")
        return found[0], list(found[1:]) or None

    def _let_script_see(self, t: Transaction) -> None:
        """`event_route[tm:local-request]`. Raises NotSent if it drops the request."""
        if self.event_callback:
            run = self.node.call_route(
                self.event_callback, "tm:local-request", t.request, transaction=t, kind=LOCAL_ROUTE
            )
        else:
            run = self.node.run_event("tm:local-request", t.request, transaction=t, kind=LOCAL_ROUTE)
        if run is not None and run.drop:
            raise NotSent(DROPPED, "the script dropped the request")

    def ack_sent(self, data: bytes, listener: Listener) -> None:
        """`tm:local-ack-sent`, for scripts that want it."""
        msg = own_message(data, listener)
        if self.evcb_local_ack_sent:
            self.node.call_route(self.evcb_local_ack_sent, "tm:local-ack-sent", msg)
        else:
            self.node.run_event("tm:local-ack-sent", msg)

    def _composed(
        self, method: str, ruri: str, lines: Sequence[tuple[int, str]], body: bytes, listener: Listener
    ) -> tuple[bytes, bytes]:
        """The request's first line, and what follows the Via: what every request has, in Kamailio's order, then the
        other `lines`."""
        given = dict(lines)
        out = [
            given[H_TO],
            given[H_FROM],
            given.get(H_CSEQ) or f"CSeq: 10 {method}",
            given.get(H_CALLID) or f"Call-ID: {os.urandom(8).hex()}@{listener.address.ip}",
        ]
        if H_MAXFORWARDS not in given:
            out.append("Max-Forwards: 70")
        out.append(f"Content-Length: {len(body)}")
        settings = self.node.settings
        if settings.server_signature and settings.user_agent_header and H_USERAGENT not in given:
            out.append(settings.user_agent_header)
        out += [line for kind, line in lines if kind not in _FIRST]
        return wire(f"{method} {ruri} SIP/2.0\r\n"), wire("\r\n".join(out)) + b"\r\n\r\n" + body


_FIRST = frozenset({H_TO, H_FROM, H_CSEQ, H_CALLID})


def _is_uri(value: str) -> bool:
    try:
        parse_uri(wire(value))
    except ParseError:
        return False
    return not any(c in value for c in "\r\n \t")


def _read(method: str, ruri: str, headers: str, body: bytes) -> list[tuple[int, str]]:
    """The header lines with their kinds, if they make a request. Raises ValueError, with Kamailio's words."""
    if not method:
        raise ValueError("Empty method")
    if any(c in method for c in "\r\n \t"):
        raise ValueError(f'Invalid method "{method}"')
    if not _is_uri(ruri):
        raise ValueError(f'Invalid request uri "{ruri}"')
    lines: list[tuple[int, str]] = []
    for line in headers.replace("\r\n", "\n").split("\n"):
        if line[:1] in (" ", "\t") and lines:
            kind, begun = lines[-1]
            lines[-1] = (kind, f"{begun}\r\n{line}")
        elif line:
            name, colon, _ = line.partition(":")
            if not colon or not name.strip() or any(c in name.strip() for c in " \t"):
                raise ValueError("Invalid headers")
            lines.append((kind_of(wire(name.strip())), line))
    if not lines:
        raise ValueError("Invalid headers")
    kinds = [kind for kind, _ in lines]
    for kind, name in ((H_FROM, "From"), (H_TO, "To")):
        if kind not in kinds:
            raise ValueError(f"{name} missing")
    if H_CONTENTLENGTH in kinds:
        raise ValueError("Content-Length disallowed")
    if body and H_CONTENTTYPE not in kinds:
        raise ValueError("Content-Type missing")
    cseq = dict(lines).get(H_CSEQ)
    if cseq is not None and cseq.split()[-1] != method:
        raise ValueError("CSeq method mismatch")
    at = kinds.index(H_FROM)
    lines[at] = (H_FROM, _tagged(lines[at][1]))
    return lines


def _parsed(data: bytes, listener: Listener) -> Message:
    """A request of ours, as scripts see it. Raises ValueError."""
    try:
        msg = own_message(data, listener)
        _ = (msg.from_, msg.to, msg.callid, msg.cseq)
    except ParseError as error:
        raise ValueError("Invalid headers") from error
    return msg


def _as_sent(request: Message, via: bytes) -> bytes:
    """The request as the script left it, with this Via in the place of the one that the script saw."""
    own = request.via1
    edits = request.edits_snapshot()
    request.replace(own.start, own.end - own.start, via[len(b"Via: ") :].rstrip())
    try:
        return request.rebuild()
    finally:
        request.edits_restore(edits)


def _tagged(line: str) -> str:
    """A From line with a tag, if it has none."""
    if ";tag=" in line.rpartition(">")[2].lower().replace(" ", ""):
        return line
    return f"{line};tag={os.urandom(8).hex()}"


__all__ = ["NotSent", "OnReply", "Uac"]
