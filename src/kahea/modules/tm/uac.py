"""Requests of our own: `t_uac_send`, and `send_request` for other modules."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from kahea.net.address import P_UDP, Listener
from kahea.routing.module import Module, function
from kahea.routing.run import Run
from kahea.routing.text import wire
from kahea.sip.errors import ParseError
from kahea.sip.message import Message, parse
from kahea.tm.forward import save, via_line
from kahea.tm.transaction import Branch, Transaction

log = logging.getLogger("kahea.tm")

OnReply = Callable[[Transaction, Branch, int, Message | None], object]


class Uac(Module):
    """The client side on its own."""

    event_callback: str

    @function
    def t_uac_send(
        self, run: Run, method: str, ruri: str, nexthop: str, send_socket: str, headers: str, body: str
    ) -> int:
        """Send a request of our own: its From and To stand in `headers` (else both are the Request-URI)."""
        del run
        try:
            sent = self.send_request(method, ruri, headers=headers, body=body, next_hop=nexthop, sock=send_socket)
        except ValueError as error:
            log.error("t_uac_send: %s", error)
            return -1
        return 1 if sent is not None else -1

    def send_request(
        self,
        method: str,
        ruri: str,
        *,
        headers: str = "",
        body: str = "",
        next_hop: str = "",
        sock: str = "",
        on_reply: OnReply | None = None,
    ) -> Transaction | None:
        """Send a request outside of a dialog, or within one if `headers` say so.

        `headers` are whole lines; From, To, Call-ID, CSeq and Max-Forwards are added where they are missing.
        `on_reply(transaction, branch, status, message)` is called for each response, with None for a timeout.
        None if it can't be sent. Raises ValueError for what makes no SIP request.
        """
        forced = self.node.find_listener(sock) if sock else None
        if sock and forced is None:
            raise ValueError(f"no listener {sock!r}")
        hop = wire(next_hop or ruri)
        found = self.node.destinations(hop, forced, 0, None)
        if not found:
            return None
        destination = found[0]
        request = self._compose(method, ruri, headers, body, destination.listener)
        t = self.node.layer.new_local(request, on_reply)
        if t is None:
            return None
        t.generation = self.node.routes
        if self.event_callback:
            self.node.call_route(self.event_callback, "tm:local-request", request, transaction=t)
        else:
            self.node.run_event("tm:local-request", request, transaction=t)
        branch = t.add_branch()
        branch.uri = request.uri
        branch.listener, branch.address, branch.connection_id = destination
        branch.request = request.build_request(
            request.uri,
            via_line(branch.listener, branch.id, None, self.node.layer.settings.local_rport),
            b"",
            branch.listener.proto != P_UDP,
        )
        t.saved = save(request)
        if not self.node.layer.send_branch(branch):
            self.node.layer.free(t)
            return None
        return t

    def _compose(self, method: str, ruri: str, headers: str, body: str, listener: Listener) -> Message:
        """The request without our Via. Raises ValueError."""
        for part in (method, ruri):
            if not part or any(c in part for c in "\r\n \t"):
                raise ValueError(f"not a method or Request-URI: {part!r}")
        lines = [line for line in headers.replace("\r\n", "\n").split("\n") if line.strip()]
        names = {line.partition(":")[0].strip().lower() for line in lines}
        token = os.urandom(8).hex()
        out = [f"{method} {ruri} SIP/2.0"]
        if not names & {"from", "f"}:
            out.append(f"From: <{ruri}>;tag={token}")
        if not names & {"to", "t"}:
            out.append(f"To: <{ruri}>")
        if not names & {"call-id", "i"}:
            out.append(f"Call-ID: {os.urandom(8).hex()}@{listener.address.ip}")
        if "cseq" not in names:
            out.append(f"CSeq: 10 {method}")
        if "max-forwards" not in names:
            out.append("Max-Forwards: 70")
        agent = self.node.settings.user_agent_header
        if self.node.settings.server_signature and agent and "user-agent" not in names:
            out.append(agent)
        out += [_tagged(line, token) for line in lines if line.partition(":")[0].strip().lower() not in _LENGTH]
        content = wire(body)
        out += [f"Content-Length: {len(content)}", "", ""]
        data = wire("\r\n".join(out)) + content
        # A message is only indexed with a Via; the real one is put in front when it is sent.
        msg = parse(data)
        msg.faked = True
        msg.src_ip = msg.dst_ip = listener.address.ip_bytes
        msg.src_port = msg.dst_port = listener.address.port
        msg.proto = listener.proto
        try:
            _ = (msg.from_, msg.to, msg.callid, msg.cseq)
        except ParseError as error:
            raise ValueError(f"the headers make no request: {error}") from error
        return msg


_LENGTH = frozenset({"content-length", "l"})


def _tagged(line: str, token: str) -> str:
    """A From line with a tag, if it has none."""
    name = line.partition(":")[0].strip().lower()
    if name in ("from", "f") and ";tag=" not in line.rpartition(">")[2].lower():
        return f"{line};tag={token}"
    return line
