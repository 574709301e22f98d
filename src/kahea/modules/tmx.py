"""Module `tmx`: suspended transactions, cancelling by Call-ID, the `$T_...` variables, and where a route is running."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from kahea.modules.tm.success_ack import LocalInvite
from kahea.routing.common import Processing
from kahea.routing.headers import whole_lines
from kahea.routing.module import Module, Param, Value, Variable, function, native, variable
from kahea.routing.pv.table import Bound, named
from kahea.routing.run import (
    BRANCH_FAILURE_ROUTE,
    BRANCH_ROUTE,
    CORE_ONREPLY_ROUTE,
    EVENT_ROUTE,
    FAILURE_ROUTE,
    ONREPLY_ROUTE,
    REQUEST_ROUTE,
    Run,
)
from kahea.routing.text import text, wire
from kahea.sip.message import M_ACK, M_CANCEL, Message
from kahea.tm.forward import restore
from kahea.tm.layer import TransactionLayer
from kahea.tm.transaction import Transaction

if TYPE_CHECKING:
    from kahea.routing.node import Node

log = logging.getLogger("kahea.tmx")


#: The statistics of transactions, by what the layer keeps.
STATISTICS: dict[str, Callable[[TransactionLayer], int]] = {
    "UAS_transactions": lambda layer: layer.created - layer.created_local,
    "UAC_transactions": lambda layer: layer.created_local,
    "inuse_transactions": len,
    "active_transactions": lambda layer: len(layer) - layer.waiting,
    "2xx_transactions": lambda layer: layer.completed_2xx,
    "3xx_transactions": lambda layer: layer.completed_3xx,
    "4xx_transactions": lambda layer: layer.completed_4xx,
    "5xx_transactions": lambda layer: layer.completed_5xx,
    "6xx_transactions": lambda layer: layer.completed_6xx,
    "rpl_received": lambda layer: layer.rpl_received,
    "rpl_generated": lambda layer: layer.rpl_generated,
    "rpl_sent": lambda layer: layer.rpl_sent,
    "rpl_relayed": lambda layer: layer.rpl_sent - layer.rpl_generated,
    "rpl_absorbed": lambda layer: layer.rpl_received - (layer.rpl_sent - layer.rpl_generated),
}


class Tmx(Module):
    """Extensions of tm."""

    name = "tmx"
    needs = ("tm",)

    precheck_trans = Param(1, "t_precheck_trans() looks for the request among those being processed.")

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._processing = Processing(node)

    def compiled(self) -> dict[str, Callable[..., int]]:
        """Many scripts ask it of every request."""
        return {"t_precheck_trans": self._processing.t_precheck_trans}

    def start(self) -> None:
        """Hand the parameter on; declare the statistics."""
        self._processing.looks = bool(self.precheck_trans)
        for name, read in STATISTICS.items():
            self.node.statistics.declare("tmx", name, partial(read, self.node.layer), resets=False)

    # ---- retransmissions of what is still being processed

    @native(routes=REQUEST_ROUTE)
    @function
    def t_precheck_trans(self, run: Run) -> int:
        """1 if this request repeats one that is known, be it that its script is still waiting; else -1."""
        return self._processing.t_precheck_trans(run)

    # ---- suspending

    @function
    def t_suspend(self, run: Run) -> int:
        """Keep the transaction open when the route ends, until t_continue; `$T(id_index)`, `$T(id_label)` name it."""
        if run.kind not in (REQUEST_ROUTE, FAILURE_ROUTE) or run.msg.method_id == M_ACK:
            return -1
        t = run.transaction
        if t is None:
            if self.node.layer.lookup(run.msg) is not None:
                return -1
            t = self.node.module("tm").new_transaction(run)
            if t is None:
                return -1
        if t.status >= 200:
            return -1
        tm = self.node.module("tm")
        if t.is_invite and t.status == 0 and tm.auto_inv_100:
            # It may take long: the caller should know that we have it.
            self.node.layer.reply(t, 100, tm.trying)
        branch = t.add_branch()
        branch.blind = True
        branch.uri = run.msg.uri
        t.suspended = True
        self.node.save_message(run)
        self.node.layer.arm(branch, t.fr)
        return 1

    @function
    def t_continue(self, run: Run, index: int, label: int, route: str) -> int:
        """Run `route` on the suspended transaction's request, in a worker of its own."""
        del run
        t = self.node.layer.lookup_ident(index, label)
        return 1 if t is not None and self.resume(t, route) else -1

    def resume(self, t: Transaction, route: str, state: Mapping[str, object] | None = None) -> bool:
        """As t_continue, for other modules, with what the run is to hold in its `state`; False if it can't go on."""
        blind = next((b for b in t.branches if b.blind and not b.answered), None)
        found = (t.generation or self.node.routes).find(route)
        if found is None:
            log.error("t_continue: the script has no route %s", route)
        if blind is None or not t.suspended or found is None:
            return False
        return self.node.pool.run(self._resumed, t, route, state or {})

    def take_up(self, t: Transaction) -> bool:
        """Let a suspended transaction go on in the run that calls this; False if it ended meanwhile."""
        waiting = [b for b in t.branches if b.blind and not b.answered]
        if not waiting or not t.suspended or t.freed or t.status >= 200:
            return False
        # Others that it was suspended for may still come.
        t.suspended = len(waiting) > 1
        waiting[0].answered = True
        waiting[0].cancel()
        if t.saved is not None:
            restore(t.request, t.saved)
        # As in Kamailio: neither the flags of the first branch nor the added branches outlast a suspension.
        t.request.bflags = t.request.sflags = 0
        t.request.branches = []
        t.request.uri_fresh = True
        return True

    def _resumed(self, t: Transaction, name: str, state: Mapping[str, object]) -> None:
        if not self.take_up(t):
            return
        run = Run(self.node, t.request, REQUEST_ROUTE, name, t)
        run.state.update(state)
        run.generation = t.generation or self.node.routes
        route = run.generation.find(name)
        if route is None or t.freed:
            return
        self.node.execute(run, route)
        if t.freed or t.status >= 200 or t.is_pending or t.suspended:
            return
        error = run.tm.error if run.tm is not None else None
        code, reason = error[:2] if error is not None else (500, "Server Internal Error")
        if t.cancelled:
            code, reason = 487, "Request Terminated"
        self.node.layer.reply(t, code, wire(reason))

    # ---- other transactions

    @native("text", routes=ONREPLY_ROUTE | CORE_ONREPLY_ROUTE)
    @function
    def t_cancel_branches(self, run: Run, which: str) -> int:
        """In a reply route: cancel `all` branches, the `others`, or `this` one."""
        t = run.transaction
        if t is None or which not in ("all", "others", "this"):
            return -1
        layer = self.node.layer
        if which == "this":
            if run.branch is None:
                return -1
            layer.cancel_branch(run.branch)
        else:
            layer.cancel_branches(t, run.branch if which == "others" else None)
        return 1

    @native("str", "str", "int")
    @function
    def t_cancel_callid(self, run: Run, callid: str, cseq: str, flag: int) -> int:
        """Cancel the branches of the INVITE with this Call-ID and CSeq, and set this flag, 1 to 31, of it."""
        return self.t_cancel_callid_reason(run, callid, cseq, flag, 0)

    @native("str", "str", "int", "int", name="t_cancel_callid")
    @function
    def t_cancel_callid_reason(self, run: Run, callid: str, cseq: str, flag: int, code: int) -> int:
        """As t_cancel_callid, with a Reason header of this status (200 to 699)."""
        del run
        t = self.node.layer.lookup_callid(wire(callid), wire(cseq))
        if t is None or not t.is_invite or t.status >= 200:
            return -1
        reason = b"Reason: SIP;cause=%d\r\n" % code if 200 <= code <= 699 else b""
        if 0 < flag < 32:
            t.request.flags |= 1 << flag
            if t.saved is not None:
                t.saved.flags |= 1 << flag
        self.node.layer.cancel_branches(t, None, reason)
        return 1

    @function
    def t_reply_callid(self, run: Run, callid: str, cseq: str, code: int, reason: str) -> int:
        """Answer the request with this Call-ID and CSeq."""
        del run
        t = self.node.layer.lookup_callid(wire(callid), wire(cseq))
        if t is None or not 100 <= code <= 699:
            return -1
        return 1 if self.node.layer.reply(t, code, wire(reason)) else -1

    @native("str", "str", "str", "str", least=2)
    @function
    def t_uac_ack_local(self, run: Run, callid: str, cseq: str, headers: str = "", body: str = "") -> int:
        """Acknowledge the 2xx to an INVITE of our own that was sent for others to acknowledge; -1 if there is none.

        `headers` are whole lines. It can be done until the transaction ends, wt_timer after the 2xx.
        """
        del run
        t = self.node.layer.lookup_callid(wire(callid), wire(cseq))
        if t is None or not isinstance(t.on_complete, LocalInvite):
            return -1
        answered = [b for b in t.branches if b.reply is not None and 200 <= b.reply.status < 300]
        if not answered:
            return -1
        branch = answered[0]
        assert branch.reply is not None
        return 1 if t.on_complete.acknowledge(t, branch, branch.reply, whole_lines(headers), wire(body)) else -1

    # ---- flags

    @function
    def t_flush_flags(self, run: Run) -> int:
        """The transaction takes over the message's flags as they are now."""
        if run.transaction is None:
            return -1
        self.node.save_message(run)
        return 1

    @function
    def t_flush_xflags(self, run: Run) -> int:
        """As t_flush_flags for the extended flags, which a message shares with its transaction."""
        return self.t_flush_flags(run)

    @native("int", name="t_drop", least=0)
    def t_drop_native(self, run: Run, rcode: int = 0) -> int:
        """As t_drop_rcode(), the status optional."""
        return self.t_drop_rcode(run, rcode)

    @function
    def t_drop(self, run: Run) -> int:
        """Let the transaction go without a word upstream, and cancel its branches; 0, which ends a native script."""
        return self.t_drop_rcode(run, 0)

    @function
    def t_drop_rcode(self, run: Run, rcode: int) -> int:
        """As t_drop; the transaction keeps `rcode` as its status."""
        t = run.transaction
        if t is None:
            return -1
        self.node.layer.cancel_branches(t)
        if rcode >= 300:
            t.status = rcode
        self.node.layer.release(t)
        return 0

    @native(routes=EVENT_ROUTE)
    @function
    def t_reuse_branch(self, run: Run) -> int:
        """In a branch failure route: relay again on a branch with the same identity (RFC 5626 registrations)."""
        t, failed = run.transaction, run.branch
        if t is None or failed is None or not failed.ruid:
            return -1
        msg = run.msg
        msg.ruid, msg.instance, msg.reg_id = failed.ruid, failed.instance, failed.reg_id
        msg.uri_fresh = True
        return 1

    # ---- where we are

    @function
    def t_is_request_route(self, run: Run) -> int:
        """Whether this is the request route."""
        return 1 if run.kind == REQUEST_ROUTE else -1

    @function
    def t_is_failure_route(self, run: Run) -> int:
        """Whether this is a failure route."""
        return 1 if run.kind == FAILURE_ROUTE else -1

    @function
    def t_is_branch_route(self, run: Run) -> int:
        """Whether this is a branch route."""
        return 1 if run.kind == BRANCH_ROUTE else -1

    @function
    def t_is_reply_route(self, run: Run) -> int:
        """Whether this is a reply route, of a transaction or of the server."""
        return 1 if run.kind in (ONREPLY_ROUTE, CORE_ONREPLY_ROUTE) else -1

    # ---- variables

    def _of(self, run: Run) -> Transaction | None:
        if run.transaction is not None:
            return run.transaction
        return self.node.layer.lookup(run.msg) if run.msg.is_request else None

    @variable("T", takes_name=True)
    def transaction(self, run: Run, name: str, index: object) -> Value:
        """The transaction: `id_index`, `id_label`, `id_label_n`, `id_index_n`, `reply_code`, `reply_type`,
        `reply_reason`, `branch_index`, `ruid`, `reply_last`, `id_n`."""
        t = self._of(run)
        if t is None:
            return None
        getter = _TRANSACTION.get(name)
        if getter is None:
            near = difflib.get_close_matches(name, list(_TRANSACTION), 1)
            log.error("$T(%s) is unknown%s", name, f"; did you mean $T({near[0]})?" if near else "")
            return None
        return getter(run, t)

    @variable("T_branch_idx")
    def branch_index(self, run: Run, name: str, index: object) -> Value:
        """The index of the branch in hand; the number of branches in a failure route, -1 in the node's reply route."""
        return -1 if run.kind == CORE_ONREPLY_ROUTE else _branch_index(run, run.transaction)

    @variable("T_reply_code")
    def reply_code(self, run: Run, name: str, index: object) -> Value:
        """The status of the reply in hand, of the failure where one is routed, or the last one sent."""
        return _reply_code(run, run.transaction)

    @variable("T_reply_reason")
    def reply_reason(self, run: Run, name: str, index: object) -> Value:
        """Its reason phrase."""
        return _reply_reason(run, run.transaction)

    @variable("T_reply_last")
    def reply_last(self, run: Run, name: str, index: object) -> Value:
        """The status last received on the branch in hand."""
        return run.branch.status if run.branch is not None else None

    @variable("T_reply_ruid")
    def reply_ruid(self, run: Run, name: str, index: object) -> Value:
        """The ruid of the branch in hand."""
        return text(run.branch.ruid) if run.branch is not None and run.branch.ruid else None

    @variable("T_branch", takes_name=True)
    def branch_field(self, run: Run, name: str, index: object) -> Value:
        """The branch in hand: `flags`, `uri`."""
        b = run.branch
        if b is None:
            return None
        fields: dict[str, Value] = {"flags": b.flags, "uri": text(b.uri)}
        return fields.get(name)

    def variables(self) -> Iterator[Variable]:
        """The declared ones, and those that show a variable of another message: their names are variables."""
        yield from super().variables()
        for name, message, doc in (
            ("T_req", _request, "In a reply route: a variable of the request, `$T_req($ru)`."),
            ("T_rpl", _reply, "In a failure route: a variable of the winning reply, `$T_rpl($rs)`."),
            ("T_inv", self._invite, "For a CANCEL: a variable of its INVITE, `$T_inv($ru)`."),
        ):
            yield named(name, partial(self._on, message), doc=doc)

    def _on(self, message: Callable[[Run], Message | None], inner: Value, index: object) -> Bound:
        pv = self.node.variables.compile(str(inner))

        def read(run: Run) -> Value:
            msg = message(run)
            if msg is None:
                return None
            other = Run(self.node, msg, run.kind, run.name, run.transaction, run.branch, run.status)
            other.vars = run.vars
            return pv.get(other)

        return Bound(read, None)

    def _invite(self, run: Run) -> Message | None:
        if run.msg.method_id != M_CANCEL or not run.msg.is_request:
            return None
        t = self.node.layer.lookup_invite(run.msg)
        return t.request if t is not None else None


def _request(run: Run) -> Message | None:
    if run.transaction is None or run.kind not in (ONREPLY_ROUTE, CORE_ONREPLY_ROUTE):
        return None
    return run.transaction.request


def _reply(run: Run) -> Message | None:
    return run.reply


def _branch_index(run: Run, t: Transaction | None) -> Value:
    if run.branch is not None and run.kind != FAILURE_ROUTE:
        return run.branch.index
    return len(t.branches) if t is not None else 0


def _reply_code(run: Run, t: Transaction | None) -> Value:
    if run.kind & (FAILURE_ROUTE | BRANCH_FAILURE_ROUTE):
        return run.status
    if not run.msg.is_request:
        return run.msg.status
    return t.status if t is not None else 0


def _reply_reason(run: Run, t: Transaction | None) -> Value:
    del t
    reply = run.reply if run.msg.is_request else run.msg
    return text(reply.reason) if reply is not None else None


_TRANSACTION: dict[str, Callable[[Run, Transaction], Value]] = {
    "id_index": lambda _run, t: t.hash_index,
    "id_index_n": lambda _run, t: t.hash_index,
    "id_label": lambda _run, t: t.label,
    "id_label_n": lambda _run, t: t.label,
    "id_n": lambda _run, t: t.label,
    "reply_code": _reply_code,
    "reply_reason": _reply_reason,
    "reply_type": lambda run, _t: None if run.kind != FAILURE_ROUTE else int(run.reply is None),
    "reply_last": lambda run, _t: run.branch.status if run.branch is not None else None,
    "branch_index": _branch_index,
    "ruid": lambda run, _t: text(run.branch.ruid) if run.branch is not None and run.branch.ruid else None,
}

MODULE = Tmx
