"""Making transactions, relaying and cancelling: `t_newtran`, `t_check_trans`, `t_relay` and their kin."""

from __future__ import annotations

from collections.abc import Sequence

from kahea.modules.tm.pending import pending
from kahea.net.address import PROTO_IDS
from kahea.routing.module import Module, function
from kahea.routing.run import BRANCH_FAILURE_ROUTE, FAILURE_ROUTE, REQUEST_ROUTE, Run
from kahea.routing.text import wire
from kahea.sip.errors import ParseError
from kahea.sip.message import M_ACK, M_CANCEL, Message
from kahea.sip.uri import parse_uri
from kahea.tm.forward import E_BAD_URI, E_NO_BRANCH, E_NO_DESTINATION, E_SEND, E_TOO_MANY_BRANCHES, forward
from kahea.tm.hooks import Destination
from kahea.tm.transaction import Transaction

#: What the caller is told when a request can't be forwarded.
_ERRORS = {
    E_NO_DESTINATION: (478, "Unresolvable destination"),
    E_SEND: (477, "Unfortunately error on sending to next hop occurred"),
    E_BAD_URI: (400, "Bad Request"),
    E_TOO_MANY_BRANCHES: (500, "Too many branches"),
    E_NO_BRANCH: (500, "I'm terribly sorry, server error occurred"),
}

#: What a Request-URI may be; for another there is no transaction.
SCHEMES = frozenset((b"sip", b"sips", b"tel", b"tels", b"urn"))

#: Flags of t_relay_to.
NO_100 = 0x01
NO_INTERNAL_REPLY = 0x02
NO_FAILOVER = 0x04


class Relay(Module):
    """Functions that make and forward transactions."""

    auto_inv_100: int
    trying: bytes
    unmatched_cancel: int
    delayed_reply: int
    e2e_cancel_reason: int

    # ---- making

    def new_transaction(self, run: Run) -> Transaction | None:
        """A transaction for the run's request, with what the script asked for; None if there can't be one."""
        try:
            if parse_uri(run.msg.uri).scheme not in SCHEMES:
                return None
        except ParseError:
            return None
        t = self.node.layer.new_transaction(run.msg)
        if t is None:
            return None
        t.generation = run.generation
        if run.tm is not None:
            run.tm.apply(t, self.node.now())
        run.transaction = t
        return t

    def left_open(self, run: Run) -> None:
        """A transaction that the script neither forwarded nor answered: told of its error, or let go."""
        t = run.transaction
        assert t is not None
        error = run.tm.error if run.tm is not None else None
        if error is not None and not run.tm.no_internal_reply and not t.local:
            self.node.layer.reply(t, error[0], wire(f"{error[1]} ({error[0]}/TM)"))
        else:
            self.node.layer.release(t)

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

    @function
    def t_check_trans(self, run: Run) -> int:
        """1 for a CANCEL or a 2xx's ACK whose INVITE is known, 0 (end the route) for what was absorbed, else -1."""
        msg, layer = run.msg, self.node.layer
        if not msg.is_request:
            return 1 if run.transaction is not None else -1
        if msg.method_id == M_CANCEL:
            existing = layer.lookup(msg)
            if existing is not None:
                layer.repeat_reply(existing)
                return 0
            return 1 if layer.lookup_invite(msg) is not None else -1
        t = layer.lookup(msg)
        if msg.method_id == M_ACK:
            if t is not None and not 200 <= t.status < 300:
                layer.take_ack(t)
                return 0
            return 1 if layer.lookup_answered(msg) is not None else -1
        if t is None:
            return -1
        if t is run.transaction:
            return 1
        layer.repeat_reply(t)
        return 0

    @function
    def t_lookup_request(self, run: Run) -> int:
        """Whether the request's transaction exists."""
        return 1 if self._existing(run) is not None else -1

    @function
    def t_exists(self, run: Run) -> int:
        """As t_lookup_request, without taking it up."""
        return 1 if self._existing(run) is not None else -1

    def _existing(self, run: Run) -> Transaction | None:
        if run.transaction is not None:
            return run.transaction
        return self.node.layer.lookup(run.msg) if run.msg.is_request else None

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

    @function
    def t_release(self, run: Run) -> int:
        """Let the transaction go."""
        if run.transaction is None:
            return -1
        self.node.layer.release(run.transaction)
        return 1

    @function
    def t_clean(self, run: Run) -> int:
        """Free transactions that outlived every deadline; none should."""
        now = self.node.now()
        for t in list(self.node.layer.by_stem.values()):
            if t.waiting and t.wait_at + 60.0 < now:
                self.node.layer.free(t)
        return 1

    # ---- relaying

    @function
    def t_relay(self, run: Run) -> int:
        """Forward statefully to the Request-URI (or destination URI) and the added branches."""
        return self.relay(run, None)

    @function
    def t_relay_to_flags(self, run: Run, flags: int) -> int:
        """As t_relay; 1: no automatic 100, 2: no reply on an error, 4: no failover by DNS."""
        return self.relay(run, None, flags)

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
        msg = run.msg
        base = (msg.dst_uri or msg.uri).partition(b"?")[0]
        head = b";".join(p for p in base.split(b";") if not p.lower().startswith(b"transport="))
        found = self.node.resolve(head + b";transport=" + proto.lower().encode())
        return self.relay(run, found) if found else self._failed(run, E_NO_DESTINATION)

    def _relay_to_host(self, run: Run, host: str, proto: str, flags: int) -> int:
        found = self.node.resolve(f"sip:{host}" + (f";transport={proto}" if proto else ""))
        return self.relay(run, found, flags) if found else self._failed(run, E_NO_DESTINATION)

    @function
    def t_replicate(self, run: Run, uri: str) -> int:
        """Send a copy of the request to `uri`; its replies go no further."""
        t = run.transaction or self.new_transaction(run)
        if t is None:
            return -1
        t.local = True
        found = self.node.resolve(uri)
        return 1 if found and forward(self.node.layer, t, run.msg, found) > 0 else -1

    def relay(self, run: Run, destination: Sequence[Destination] | None, flags: int = 0) -> int:
        """t_relay in any route; `destination` overrides where the branches go."""
        msg = run.msg
        if run.kind in (FAILURE_ROUTE, BRANCH_FAILURE_ROUTE):
            return self._forward(run, run.transaction, destination, flags)
        if run.kind != REQUEST_ROUTE and not (run.transaction is not None and msg is run.transaction.request):
            return -1
        layer = self.node.layer
        t = run.transaction
        if t is None:
            if msg.method_id == M_ACK:
                return self._relay_ack(run, destination)
            existing = layer.lookup(msg)
            if existing is not None:
                layer.repeat_reply(existing)
                return 1
            if msg.method_id == M_CANCEL:
                invite = layer.lookup_invite(msg)
                if invite is not None:
                    return self._cancel(run, invite)
                if self.unmatched_cancel == 2:
                    return 1
                if self.unmatched_cancel == 1:
                    return 1 if self.node.forward_to(msg, None) > 0 else -1
            t = self.new_transaction(run)
            if t is None:
                pending(run).error = (500, "Server Internal Error")
                return -1
        return self._forward(run, t, destination, flags)

    def _forward(self, run: Run, t: Transaction | None, destination: Sequence[Destination] | None, flags: int) -> int:
        if t is None or t.freed or t.status >= 200:
            return -1
        wants_100 = self.auto_inv_100 and not flags & NO_100 and not (run.tm is not None and run.tm.no_auto_100)
        if t.is_invite and wants_100 and t.status == 0 and not t.local:
            self.node.layer.reply(t, 100, self.trying)
        if flags & NO_FAILOVER:
            t.no_failover = True
        result = forward(self.node.layer, t, run.msg, destination)
        if result > 0:
            return 1
        if flags & NO_INTERNAL_REPLY:
            pending(run).no_internal_reply = True
        return self._failed(run, result)

    def _failed(self, run: Run, code: int) -> int:
        """Note why a request could not be forwarded, for the reply at the route's end (`delayed_reply`)."""
        options = pending(run)
        options.error = _ERRORS.get(code, (500, "Server Internal Error"))
        t = run.transaction
        if t is not None and not self.delayed_reply and not options.no_internal_reply and run.kind == REQUEST_ROUTE:
            self.node.layer.reply(t, options.error[0], wire(f"{options.error[1]} ({options.error[0]}/TM)"))
        return code

    def _relay_ack(self, run: Run, destination: Sequence[Destination] | None) -> int:
        """The ACK to our failure ends here; any other is forwarded without a transaction."""
        t = self.node.layer.lookup(run.msg)
        if t is not None and t.status >= 300:
            self.node.layer.take_ack(t)
            return 1
        if destination:
            first = destination[0]
            hop = b"sip:%b:%d;transport=%b" % (
                first.address.host, first.address.port, first.listener.proto_name.encode(),
            )  # fmt: skip
            return 1 if self.node.forward_to(run.msg, hop) > 0 else -1
        return 1 if self.node.forward_to(run.msg, None) > 0 else -1

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
