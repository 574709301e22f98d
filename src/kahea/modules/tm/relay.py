"""Making transactions, relaying and cancelling: `t_newtran`, `t_check_trans`, `t_relay` and their kin."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kahea.modules.tm.relaying import Relaying
from kahea.modules.tm.steering import Steering
from kahea.net.address import PROTO_IDS
from kahea.routing.module import Module, function, native
from kahea.routing.run import BRANCH_ROUTE, CORE_ONREPLY_ROUTE, FAILURE_ROUTE, ONREPLY_ROUTE, REQUEST_ROUTE, Run
from kahea.routing.text import wire
from kahea.sip.errors import ParseError
from kahea.sip.message import M_ACK, M_CANCEL, Message
from kahea.tm.forward import E_NO_DESTINATION, forward
from kahea.tm.hooks import Destination
from kahea.tm.transaction import Transaction

if TYPE_CHECKING:
    from kahea.routing.node import Node


class Relay(Module):
    """Functions that make and forward transactions."""

    steering: Steering
    unmatched_cancel: int
    e2e_cancel_reason: int

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.relaying = Relaying(node, self._cancel, self._stray_cancel)

    def compiled(self) -> Mapping[str, Callable[..., Any]]:
        """Nearly every request is looked up and relayed."""
        return {**super().compiled(), "t_relay": self.relaying.t_relay, "t_check_trans": self.steering.t_check_trans}

    # ---- making

    def new_transaction(self, run: Run) -> Transaction | None:
        """A transaction for the run's request, with what the script asked for; None if there can't be one."""
        return self.relaying.new_transaction(run)

    def left_open(self, run: Run) -> None:
        """A transaction that the script neither forwarded nor answered: told of its error, or let go."""
        t = run.transaction
        assert t is not None
        error = run.tm.error if run.tm is not None else None
        if error is not None and not run.tm.no_internal_reply and not t.local:
            self.node.layer.reply(t, error[0], wire(f"{error[1]} ({error[2]}/TM)"))
        else:
            self.node.layer.release(t)

    @native(routes=REQUEST_ROUTE)
    @function
    def t_newtran(self, run: Run) -> int:
        """Make a transaction; 0 ends the route for a retransmission, which is answered from here."""
        msg = run.msg
        if run.transaction is not None:
            return -10  # Kamailio's code for a script's mistake
        if run.kind != REQUEST_ROUTE:
            return -1
        if msg.method_id == M_ACK:
            t = self.node.layer.lookup(msg)
            if t is not None:
                self.node.layer.take_ack(t)
                return 0
            return -1
        existing = self.node.layer.lookup(msg)
        if existing is not None:
            self.node.layer.repeat_reply(existing)
            return 0
        return 1 if self.new_transaction(run) is not None else -1

    @native(routes=REQUEST_ROUTE | ONREPLY_ROUTE | CORE_ONREPLY_ROUTE | BRANCH_ROUTE)
    @function
    def t_check_trans(self, run: Run) -> int:
        """1 for a CANCEL or a 2xx's ACK whose INVITE is known, 0 (end the route) for what was absorbed, else -1."""
        return self.steering.t_check_trans(run)

    @native(routes=REQUEST_ROUTE)
    @function
    def t_lookup_request(self, run: Run) -> int:
        """Whether the request's transaction exists."""
        return 1 if self._existing(run) is not None else -1

    @native()
    @function
    def t_exists(self, run: Run) -> int:
        """As t_lookup_request, without taking it up."""
        return 1 if self._existing(run) is not None else -1

    def _existing(self, run: Run) -> Transaction | None:
        if run.transaction is not None:
            return run.transaction
        return self.node.layer.lookup(run.msg) if run.msg.is_request else None

    @native("int", name="t_lookup_cancel", least=0, routes=REQUEST_ROUTE)
    def t_lookup_cancel_native(self, run: Run, flags: int = 0) -> int:
        """As t_lookup_cancel_flags(), the flags optional."""
        return self.t_lookup_cancel_flags(run, flags)

    @function
    def t_lookup_cancel(self, run: Run) -> int:
        """For a CANCEL: whether its INVITE's transaction exists."""
        return self.t_lookup_cancel_flags(run, 0)

    @function
    def t_lookup_cancel_flags(self, run: Run, flags: int) -> int:
        """As t_lookup_cancel; flag 1 takes over the INVITE's message flags."""
        if run.msg.method_id != M_CANCEL or not run.msg.is_request:
            return -1
        t = self.node.layer.lookup_invite(run.msg)
        if t is None:
            return -1
        if flags & 1:
            run.msg.flags = t.request.flags
        return 1

    @native(routes=REQUEST_ROUTE)
    @function
    def t_release(self, run: Run) -> int:
        """Let the transaction go, if there is one."""
        if run.transaction is not None:
            self.node.layer.release(run.transaction)
        return 1

    @native()
    @function
    def t_clean(self, run: Run) -> int:
        """Free transactions that outlived every deadline; none should."""
        now = self.node.now()
        for t in list(self.node.layer.by_label.values()):
            if t.waiting and t.wait_at + 60.0 < now:
                self.node.layer.free(t)
        return 1

    def apply_changes(self, run: Run) -> bool:
        """Replace the run's request by one that was received with its edits (`msg_apply_changes_mode`)."""
        try:
            msg = run.msg.clone(run.msg.rebuild())
            msg.check()
        except ParseError as error:
            self.node.log.error("msg_apply_changes_mode: the edits make no request: %s", error)
            return False
        run.msg = msg
        return True

    # ---- relaying

    @native(routes=REQUEST_ROUTE | FAILURE_ROUTE)
    @function
    def t_relay(self, run: Run) -> int:
        """Forward statefully to the Request-URI (or destination URI) and the added branches."""
        return self.relaying.t_relay(run)

    @function
    def t_relay_to_flags(self, run: Run, flags: int) -> int:
        """As t_relay; 1: no automatic 100, 2: no reply on an error, 4: no failover by DNS."""
        return self.relaying.relay_to(run, None, flags)

    @function
    def t_relay_to_proxy(self, run: Run, proxy: str) -> int:
        """Relay to `[proto:]host[:port]`."""
        return self.t_relay_to_proxy_flags(run, proxy, 0)

    @function
    def t_relay_to_proxy_flags(self, run: Run, proxy: str, flags: int) -> int:
        """As t_relay_to_proxy, with t_relay_to_flags' flags."""
        proto, _, rest = proxy.partition(":")
        if proto.lower() in PROTO_IDS:
            return self._relay_to_host(run, rest, proto.lower(), flags)
        return self._relay_to_host(run, proxy, "", flags)

    @function
    def t_relay_to_proto(self, run: Run, proto: str) -> int:
        """Relay to the Request-URI or destination URI over `proto`."""
        return self.t_relay_to_proto_addr(run, proto, "", 0)

    @function
    def t_relay_to_proto_addr(self, run: Run, proto: str, host: str, port: int) -> int:
        """Relay over `proto` to `host:port`, or, without a host, to where the message would go anyway."""
        if proto.lower() not in PROTO_IDS:
            return -1
        if host:
            return self._relay_to_host(run, f"{host}:{port}" if port else host, proto.lower(), 0)
        return self._relay_by(run, proto.lower())

    def _relay_by(self, run: Run, proto: str) -> int:
        """To where the message would go anyway, but by `proto`."""
        msg = run.msg
        base = (msg.dst_uri or msg.uri).partition(b"?")[0]
        head = b";".join(p for p in base.split(b";") if not p.lower().startswith(b"transport="))
        return self._relay_to(run, self._leads_to(run, head + b";transport=" + proto.encode()), 0)

    def _relay_to_host(self, run: Run, host: str, proto: str, flags: int) -> int:
        return self._relay_to(run, self._resolve(run, host, proto), flags)

    def _resolve(self, run: Run, hostport: str, proto: str) -> Sequence[Destination]:
        return self._leads_to(run, wire(f"sip:{hostport}" + (f";transport={proto}" if proto else "")))

    def _leads_to(self, run: Run, uri: bytes) -> Sequence[Destination]:
        """Where a URI leads this request, from the listener that the script chose or that it came on."""
        return self.node.destinations(uri, run.msg.send_sock, 0, run.msg.listener)

    def _relay_to(self, run: Run, found: Sequence[Destination], flags: int) -> int:
        if not found:
            self.relaying.failed(run, E_NO_DESTINATION)
            return -1
        return self.relaying.relay_to(run, found, flags)

    @native("str", routes=REQUEST_ROUTE)
    @function
    def t_replicate(self, run: Run, uri: str) -> int:
        """Send a copy of the request to `uri`; its replies go no further."""
        found = self._leads_to(run, wire(uri))
        return self._replicate(run, found) if found else -1

    def _replicate(self, run: Run, found: Sequence[Destination] | None) -> int:
        """A copy to the first of the destinations, or to where the request would go."""
        t = run.transaction or self.new_transaction(run)
        if t is None:
            return -1
        if t.is_invite and t.status == 0 and self.relaying.auto_100:
            self.node.layer.reply(t, 100, self.relaying.trying)
        t.local = True
        return 1 if forward(self.node.layer, t, run.msg, found) > 0 else -1

    def _stray_cancel(self, run: Run) -> int | None:
        """A CANCEL without INVITE (`unmatched_cancel`): the function's code, None to forward it as any request."""
        if self.unmatched_cancel == 2:
            return 1
        if self.unmatched_cancel == 1:
            return 1 if self.node.forward_to(run.msg, None) > 0 else -1
        return None

    def _cancel(self, run: Run, invite: Transaction) -> int:
        """A CANCEL: answered here, and each pending branch of its INVITE cancelled (RFC 3261 §16.10)."""
        layer = self.node.layer
        t = self.new_transaction(run)
        if t is None:
            return -1
        t.to_tag = layer.to_tag(invite)
        if invite.suspended and not invite.freed and invite.status < 200 and all(b.blind for b in invite.branches):
            invite.cancelled = True
            layer.reply(invite, 487, b"Request canceled")
        if invite.status >= 200 or invite.freed:
            layer.reply(t, 200, b"ok -- no more pending branches")
            return 1
        layer.reply(t, 200, b"canceling")
        invite.cancelled = True
        layer.cancel_branches(invite, None, self._cancel_reason(run.msg, invite))
        if not invite.is_pending and not invite.busy:
            if invite.branches:
                layer.conclude(invite)
            if invite.status < 200:
                layer.reply(invite, 487, b"Request Terminated")
        return 1

    def _cancel_reason(self, msg: Message, invite: Transaction) -> bytes:
        """The Reason headers of a received CANCEL go into ours (RFC 3326)."""
        if not self.e2e_cancel_reason or invite.no_cancel_reason:
            return b""
        return b"".join(msg.raw[h.start : h.end] for h in msg.headers_named(b"Reason"))
