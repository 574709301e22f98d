"""Asking about a transaction and steering it: routes, replies, timers, status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kahea.modules.tm.pending import pending
from kahea.modules.tm.steering import Steering
from kahea.routing.literals import whole
from kahea.routing.module import Module, function, native
from kahea.routing.redirect import add_contacts
from kahea.routing.regex import RegexError, compile_posix
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
from kahea.routing.text import wire
from kahea.sip.status import reason as reason_phrase
from kahea.tm.transaction import Branch, Transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kahea.routing.node import Node

#: Where a transaction, or the one to come, may be steered, and replied to.
_STEERING: Final = REQUEST_ROUTE | FAILURE_ROUTE | ONREPLY_ROUTE | BRANCH_ROUTE
_ANSWERING: Final = REQUEST_ROUTE | FAILURE_ROUTE | ONREPLY_ROUTE | CORE_ONREPLY_ROUTE


def status_pattern(node: Node, text: str) -> Callable[[Run], str]:
    """An AVP that holds a regular expression, or the expression itself. Raises ValueError."""
    if text.startswith("$avp(") and text.endswith(")"):
        return whole(node, text)
    compile_posix(text, ignore_case=True)
    return lambda _run: text


class Control(Module):
    """Functions on the transaction in hand, or the one to come."""

    default_code: int
    rich_redirect: int
    default_reason: str

    # ---- routes

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.steering = Steering(node)

    def compiled(self) -> Mapping[str, Callable[..., Any]]:
        """Many scripts arm routes for every request."""
        names = ("t_on_branch", "t_on_reply", "t_on_failure", "t_is_set")
        return {**super().compiled(), **{name: getattr(self.steering, name) for name in names}}

    @native("route:branch", routes=REQUEST_ROUTE | FAILURE_ROUTE)
    @function
    def t_on_branch(self, run: Run, name: str) -> int:
        """The route for each new branch; an empty name disarms."""
        return self.steering.t_on_branch(run, name)

    @native("route:reply", routes=_STEERING)
    @function
    def t_on_reply(self, run: Run, name: str) -> int:
        """The route for each response."""
        return self.steering.t_on_reply(run, name)

    @native("route:failure", routes=_STEERING)
    @function
    def t_on_failure(self, run: Run, name: str) -> int:
        """The route for when every branch has failed; it must be armed again each time."""
        return self.steering.t_on_failure(run, name)

    @native("text", routes=_STEERING)
    @function
    def t_on_branch_failure(self, run: Run, name: str) -> int:
        """The route for each branch made from now on that fails; failure routes must arm it again for theirs."""
        armed = name if name not in ("", "0") else None
        t = run.transaction
        if t is None:
            pending(run).on_branch_failure = armed
        elif run.kind == BRANCH_ROUTE and run.branch is not None:
            run.branch.on_failure = armed  # that branch's own
        else:
            t.on_branch_failure = armed
        return 1

    @native("text")
    @function
    def t_is_set(self, run: Run, target: str) -> int:
        """Whether a `branch_route`, `failure_route` or `onreply_route` is armed."""
        return self.steering.t_is_set(run, target)

    # ---- replies

    @native("int", whole, name="t_reply", routes=_ANSWERING)
    def t_reply_native(self, run: Run, code: int, reason: Callable[[Run], str]) -> int:
        """As t_reply(); the reason is the variable that it begins with, or text as it is written."""
        return self.t_reply(run, code, reason(run))

    @native("int", whole, name="t_send_reply", routes=_ANSWERING)
    def t_send_reply_native(self, run: Run, code: int, reason: Callable[[Run], str]) -> int:
        """As t_send_reply(); the reason is the variable that it begins with, or text as it is written."""
        return self.t_send_reply(run, code, reason(run))

    @function
    def t_reply(self, run: Run, code: int, reason: str) -> int:
        """Reply through the transaction."""
        t = run.transaction
        if t is None:
            return -1
        code = code if 100 <= code <= 699 else self.default_code
        phrase = wire(reason) if reason else reason_phrase(code)
        if 300 <= code < 400:
            add_contacts(t.request, self.rich_redirect)
        return 1 if self.node.layer.reply(t, code, phrase) else -1

    @function
    def t_send_reply(self, run: Run, code: int, reason: str) -> int:
        """As t_reply, making the transaction if there is none."""
        if run.transaction is None:
            made: int = self.t_newtran(run)  # type: ignore[attr-defined]
            if made <= 0:
                return made
        return self.t_reply(run, code, reason)

    @native(routes=_ANSWERING)
    @function
    def t_reply_error(self, run: Run) -> int:
        """A reply that tells of the last failure to forward."""
        error = run.tm.error if run.tm is not None else None
        code, reason = error[:2] if error is not None else (self.default_code, self.default_reason)
        return self.t_send_reply(run, code, reason)

    @native(routes=REQUEST_ROUTE)
    @function
    def t_retransmit_reply(self, run: Run) -> int:
        """Send the last reply again."""
        t = run.transaction or self.node.layer.lookup(run.msg)
        if t is None or t.response is None:
            return -1
        self.node.layer.repeat_reply(t)
        return 1

    @native("text", name="t_drop_replies", least=0, routes=FAILURE_ROUTE)
    def t_drop_replies_native(self, run: Run, mode: str = "a") -> int:
        """As t_drop_replies(), by default all."""
        return self.t_drop_replies(run, mode)

    @function
    def t_drop_replies(self, run: Run, mode: str) -> int:
        """In a failure route: failures so far count no more: `a` all, `l` the last branches', `n` none."""
        if run.transaction is None or run.kind != FAILURE_ROUTE:
            return -1
        self.node.layer.drop_replies(run.transaction, mode or "n")
        return 1

    @function
    def t_drop_replies_all(self, run: Run) -> int:
        """t_drop_replies("a")."""
        return self.t_drop_replies(run, "a")

    @native(routes=REQUEST_ROUTE)
    @function
    def t_save_lumps(self, run: Run) -> int:
        """Keep the header edits made so far for the failure route, before the request is forwarded."""
        if run.transaction is None:
            return -1
        self.node.save_message(run)
        return 1

    # ---- timers

    def _set_time(self, run: Run, **values: float | None) -> int:
        holder = run.transaction if run.transaction is not None else pending(run)
        for name, value in values.items():
            if value is not None:
                if name == "life":
                    if isinstance(holder, Transaction):
                        holder.end_of_life = self.node.now() + value
                    else:
                        holder.life = value
                else:
                    setattr(holder, name, value)
        if isinstance(holder, Transaction):
            self.node.layer.set_timers(holder)
        return 1

    @native("int", "int", name="t_set_fr", least=1, routes=_STEERING)
    def t_set_fr_native(self, run: Run, fr_inv: int, fr: int = 0) -> int:
        """As t_set_fr(), the second time optional."""
        return self.t_set_fr(run, fr_inv, fr)

    @function
    def t_set_fr(self, run: Run, fr_inv: int, fr: int) -> int:
        """Times to wait for a final response, in ms: after a provisional one, and for any; 0 leaves as it is."""
        return self._set_time(run, fr_inv=_seconds(fr_inv), fr=_seconds(fr))

    @function
    def t_set_fr_inv(self, run: Run, fr_inv: int) -> int:
        """As t_set_fr, for the first only."""
        return self._set_time(run, fr_inv=_seconds(fr_inv))

    @native(routes=_STEERING)
    @function
    def t_reset_fr(self, run: Run) -> int:
        """Back to `fr_inv_timer` and `fr_timer`."""
        s = self.node.layer.settings
        return self._set_time(run, fr_inv=s.fr_inv_timer, fr=s.fr_timer)

    @native("int", "int", routes=_STEERING)
    @function
    def t_set_max_lifetime(self, run: Run, invite: int, other: int) -> int:
        """How long the transaction may live, in ms: an INVITE, and any other request."""
        return self._set_time(run, life=_seconds(invite if run.msg.method_id == 1 else other))

    @native(routes=_STEERING)
    @function
    def t_reset_max_lifetime(self, run: Run) -> int:
        """Back to `max_inv_lifetime` and `max_noninv_lifetime`."""
        s = self.node.layer.settings
        return self._set_time(run, life=s.max_inv_lifetime if run.msg.method_id == 1 else s.max_noninv_lifetime)

    @native("int", "int", routes=_STEERING)
    @function
    def t_set_retr(self, run: Run, retr1: int, retr2: int) -> int:
        """Retransmission intervals, in ms: the first, and the longest."""
        return self._set_time(run, retr1=_seconds(retr1), retr2=_seconds(retr2))

    @native(routes=_STEERING)
    @function
    def t_reset_retr(self, run: Run) -> int:
        """Back to `retr_timer1` and `retr_timer2`."""
        s = self.node.layer.settings
        return self._set_time(run, retr1=s.retr_timer1, retr2=s.retr_timer2)

    # ---- switches

    def _switch(self, run: Run, name: str, value: bool) -> int:
        holder = run.transaction if run.transaction is not None else pending(run)
        setattr(holder, name, value)
        return 1

    @native("int", routes=REQUEST_ROUTE)
    @function
    def t_set_auto_inv_100(self, run: Run, on: int) -> int:
        """Whether the transaction to come answers an INVITE with 100 at once."""
        pending(run).no_auto_100 = not on
        return 1

    @native("int", routes=_STEERING)
    @function
    def t_set_disable_6xx(self, run: Run, on: int) -> int:
        """Treat a 6xx as any other failure: other branches go on."""
        return self._switch(run, "no_6xx", bool(on))

    @native("int", routes=_STEERING)
    @function
    def t_set_disable_failover(self, run: Run, on: int) -> int:
        """No failover to further DNS answers."""
        return self._switch(run, "no_failover", bool(on))

    @native("int", routes=_STEERING)
    @function
    def t_set_disable_internal_reply(self, run: Run, on: int) -> int:
        """No reply from here when forwarding fails: the script sends it."""
        pending(run).no_internal_reply = bool(on)
        return 1

    @native("int", routes=_STEERING)
    @function
    def t_set_no_auto_ack(self, run: Run, on: int) -> int:
        """Leave the ACK to failures to the script."""
        return self._switch(run, "no_auto_ack", bool(on))

    @native("int", name="t_disable_e2e_cancel_reason", routes=_STEERING)
    @native("int", routes=_STEERING)
    @function
    def t_set_no_e2e_cancel_reason(self, run: Run, on: int) -> int:
        """Leave out the Reason headers of a received CANCEL from ours."""
        return self._switch(run, "no_cancel_reason", bool(on))

    # ---- status

    @staticmethod
    def _branch(run: Run) -> Branch | None:
        return run.branch

    @native(status_pattern, name="t_check_status", routes=_ANSWERING)
    def t_check_status_native(self, run: Run, pattern: Callable[[Run], str]) -> int:
        """As t_check_status(); the expression stands there, or in an AVP."""
        return self.t_check_status(run, pattern(run))

    @function
    def t_check_status(self, run: Run, pattern: str) -> int:
        """Whether the status of the failure or reply in hand (else the last one sent) matches a regular expression."""
        status = self.t_get_status_code(run)
        if status < 0:
            return -1
        try:
            return 1 if compile_posix(pattern, ignore_case=True).search(str(status)) else -1
        except RegexError as error:
            self.node.log.error("t_check_status: %r: %s", pattern, error)
            return -1

    @native(routes=_ANSWERING | BRANCH_ROUTE)
    @function
    def t_get_status_code(self, run: Run) -> int:
        """The status: of the failure in a failure route, of the reply in a reply route, else the one last sent."""
        t = run.transaction
        if run.kind in (FAILURE_ROUTE, BRANCH_FAILURE_ROUTE):
            return run.status
        if not run.msg.is_request:
            return run.msg.status
        return t.status if t is not None and t.status else -1

    @native("int", routes=_STEERING)
    @function
    def t_grep_status(self, run: Run, code: int) -> int:
        """Whether some branch ended with this status."""
        t = run.transaction
        return 1 if t is not None and any(b.status == code for b in t.branches) else -1

    @native(routes=_STEERING)
    @function
    def t_any_replied(self, run: Run) -> int:
        """Whether some branch ever got a response."""
        t = run.transaction
        return 1 if t is not None and any(b.reply is not None or b.state in (1, 2, 3) for b in t.branches) else -1

    @native(routes=_STEERING)
    @function
    def t_any_timeout(self, run: Run) -> int:
        """Whether some branch timed out."""
        t = run.transaction
        return 1 if t is not None and any(b.status == 408 and b.reply is None for b in t.branches) else -1

    @native(routes=FAILURE_ROUTE | EVENT_ROUTE)
    @function
    def t_branch_replied(self, run: Run) -> int:
        """Whether the failed branch had a response."""
        b = run.branch
        return 1 if b is not None and (b.reply is not None or b.state in (1, 2, 3)) else -1

    @native(routes=FAILURE_ROUTE | EVENT_ROUTE)
    @function
    def t_branch_timeout(self, run: Run) -> int:
        """Whether the failed branch timed out."""
        b = run.branch
        return 1 if b is not None and b.status == 408 and b.reply is None else -1

    @native(routes=_STEERING)
    @function
    def t_is_canceled(self, run: Run) -> int:
        """Whether the caller cancelled."""
        t = run.transaction
        return 1 if t is not None and t.cancelled else -1

    @native(routes=_STEERING)
    @function
    def t_is_expired(self, run: Run) -> int:
        """Whether the transaction is beyond its life."""
        t = run.transaction
        return 1 if t is not None and self.node.now() >= t.end_of_life else -1

    @native(routes=ONREPLY_ROUTE)
    @function
    def t_is_retr_async_reply(self, run: Run) -> int:
        """Whether the reply in hand repeats one whose route is still waiting."""
        t = run.transaction
        return 1 if t is not None and run.kind == ONREPLY_ROUTE and t.busy else -1

    @function
    def t_get_branch_index(self, run: Run) -> int:
        """The index of the branch in hand."""
        return run.branch.index if run.branch is not None else -1

    @native()
    @function
    def t_use_uac_headers(self, run: Run) -> int:
        """Local ACK and CANCEL carry the From, To and CSeq that the server sent, not those it received.

        They always do here: both are made from the request as it was sent.
        """
        return 1 if run.msg.is_request else -1


def _seconds(ms: int) -> float | None:
    return ms / 1000.0 if ms > 0 else None
