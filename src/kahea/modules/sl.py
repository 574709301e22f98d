"""Module `sl`: stateless replies, and replies that are stateful where a transaction exists."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from kahea.routing.module import Module, Param, Value, function, native, rpc, variable
from kahea.routing.run import CORE_ONREPLY_ROUTE, FAILURE_ROUTE, ONREPLY_ROUTE, REQUEST_ROUTE, Run
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.message import M_ACK, Message
from kahea.sip.status import reason as reason_phrase

if TYPE_CHECKING:
    from kahea.routing.node import Node

_ANSWERING = REQUEST_ROUTE | FAILURE_ROUTE | ONREPLY_ROUTE | CORE_ONREPLY_ROUTE
_COUNTED_ALONE = (200, 202, 300, 301, 302, 400, 401, 403, 404, 407, 408, 483, 500)
#: The statistics of replies sent. Kamailio never counts any for the first and the last of its names, and neither do we.
STATISTICS = (
    "1xx_replies", *(f"{code}_replies" for code in _COUNTED_ALONE), *(f"{kind}xx_replies" for kind in range(2, 7)),
    "xxx_replies", "sent_replies", "failures", "sent_err_replies",
)  # fmt: skip


def _counted_as(code: int) -> str:
    """The statistic of a reply's code: its own, or that of its class; provisional ones are among the others."""
    if code in _COUNTED_ALONE:
        return f"{code}_replies"
    return f"{code // 100}xx_replies" if 200 <= code < 700 else "xxx_replies"


class Sl(Module):
    """Replies made here (RFC 3261 §8.2.6, §8.2.7)."""

    name = "sl"

    default_code = Param(500, "Status of a reply whose own is not a number.")
    default_reason = Param("Internal Server Error", "Reason phrase where none fits.")
    bind_tm = Param(1, "Reply through the transaction where one exists.")
    rich_redirect = Param(
        0, "In a 3xx's Contacts: 1 also for branches of own q, 2 for their flags and path, 3 both.",
        check=lambda v: _only(v, (0,), "redirect contacts beyond URI and q"),
    )  # fmt: skip
    event_callback_fl_ack = Param("", "Script function for `sl:filtered-ack`.")
    event_callback_lres_sent = Param("", "Script function for `sl:local-response`.")

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._sent: Counter[str] = Counter()

    def start(self) -> None:
        """Bind the events of the script, and declare the statistics."""
        for name in STATISTICS:
            self.node.statistics.declare("sl", name, partial(self._sent.__getitem__, name), resets=False)
        self.node.statistics.declare("sl", "received_ACKs", lambda: self.node.own_acks, resets=False)
        if self.event_callback_fl_ack:
            self.node.on_sl_ack = lambda msg: self._call(self.event_callback_fl_ack, "sl:filtered-ack", msg)
        else:
            self.node.on_sl_ack = lambda msg: self.node.run_event("sl:filtered-ack", msg)

    @native("int", "str", name="sl_reply", routes=REQUEST_ROUTE)
    @native("int", "str", routes=REQUEST_ROUTE)
    @function
    def sl_send_reply(self, run: Run, code: int, reason: str) -> int:
        """Reply without a transaction."""
        if not run.msg.is_request or run.msg.method_id == M_ACK:
            return -1
        if 300 <= code < 400:
            self._add_contacts(run.msg)
        sent = self.node.reply(run.msg, self._status(code), reason or None)
        self._sent["sent_replies" if sent > 0 else "failures"] += 1
        if sent > 0:
            self._sent[_counted_as(code)] += 1
        if sent > 0 and self.event_callback_lres_sent:
            self._call(self.event_callback_lres_sent, "sl:local-response", run.msg)
        return sent

    @native("int", "str", routes=_ANSWERING)
    @function
    def send_reply(self, run: Run, code: int, reason: str) -> int:
        """Reply through the transaction if there is one, else without."""
        t = run.transaction
        if self.bind_tm and t is not None and run.kind & (REQUEST_ROUTE | FAILURE_ROUTE | ONREPLY_ROUTE):
            if 300 <= code < 400:
                self._add_contacts(t.request)
            code = self._status(code)
            phrase = wire(reason) if reason else reason_phrase(code)
            return 1 if self.node.layer.reply(t, code, phrase) else -1
        return self.sl_send_reply(run, code, reason)

    @native("int", "str", "int", routes=_ANSWERING)
    @function
    def send_reply_mode(self, run: Run, code: int, reason: str, mode: int) -> int:
        """As send_reply; mode 1 forces a stateless reply."""
        return self.sl_send_reply(run, code, reason) if mode & 1 else self.send_reply(run, code, reason)

    @native(name="sl_reply_error", routes=REQUEST_ROUTE)
    def sl_reply_error_native(self, run: Run) -> int:
        """A stateless reply that tells of the last failure to forward, else a 500."""
        error = getattr(run.tm, "error", None)
        if error is None:
            return self.sl_reply_error(run)
        status, reason, number = error
        return self.sl_send_reply(run, status, f"{reason} ({number}/SL)")

    @function
    def sl_reply_error(self, run: Run) -> int:
        """A stateless 500, with the words that Kamailio has for a KEMI script: it does not tell why."""
        if getattr(run.tm, "error", None) is not None:
            return self.sl_send_reply(run, 500, "No error (0/SL)")
        return self.sl_send_reply(run, 500, "I'm terribly sorry, server error occurred (1/SL)")

    @native(routes=_ANSWERING)
    @function
    def send_reply_error(self, run: Run) -> int:
        """As sl_reply_error, through the transaction if there is one."""
        code, reason = self._error(run)
        return self.send_reply(run, code, reason)

    @native("str", "str", name="sl_forward_reply", least=0, routes=ONREPLY_ROUTE | CORE_ONREPLY_ROUTE)
    def sl_forward_reply_native(self, run: Run, code: str = "", reason: str = "") -> int:
        """As sl_forward_reply(), status and reason optional."""
        return self.sl_forward_reply(run, code, reason)

    @function
    def sl_forward_reply(self, run: Run, code: str, reason: str) -> int:
        """Forward the reply in hand without a transaction, with another status of its class and reason if given."""
        msg = run.msg
        if msg.is_request:
            return -1
        if code:
            if not (code.isascii() and code.isdigit()) or int(code) // 100 != msg.status // 100:
                return -1
            end = msg.raw.index(b"\n")
            line = msg.raw[:end].rstrip(b"\r")
            phrase = wire(reason) if reason else msg.reason
            msg.replace(0, len(line), b"SIP/2.0 %d %b" % (int(code), phrase))
        try:
            return 1 if self.node.forward_reply(msg) else -1
        except ParseError:
            return -1

    @rpc("sl.stats")
    def rpc_stats(self) -> dict[str, int]:
        """How many replies were sent, by their codes, others by their class."""
        shown = {}
        for kind in range(2, 7):
            for name in (*(str(code) for code in _COUNTED_ALONE if code // 100 == kind), f"{kind}xx"):
                shown[name] = self._sent[f"{name}_replies"]
        return {**shown, "xxx": self._sent["xxx_replies"]}

    @variable("ltt", takes_name=True)
    def local_to_tag(self, run: Run, name: str, index: object) -> Value:
        """The To tag of our replies: `x` the one of the kind in force, `s` stateless, `t` of the transaction."""
        t = run.transaction
        if name != "s" and t is not None:
            return text(self.node.layer.to_tag(t))
        return None if name == "t" else text(self.node.sl_tag(run.msg))

    def _status(self, code: int) -> int:
        return code if 100 <= code <= 699 else self.default_code

    def _error(self, run: Run) -> tuple[int, str]:
        """What to say of the failure that the tm module noted, in Kamailio's words."""
        error = getattr(run.tm, "error", None)
        return error[:2] if error is not None else (500, "I'm terribly sorry, server error occurred")

    def _call(self, name: str, event: str, msg: Message) -> None:
        self.node.call_route(name, event, msg)

    @staticmethod
    def _add_contacts(msg: Message) -> None:
        """A redirect carries the destination set as Contacts (RFC 3261 §8.3)."""
        contacts = []
        if msg.uri_changed:
            contacts.append(b"<%b>" % msg.uri if msg.q < 0 else b"<%b>;q=%.3g" % (msg.uri, msg.q / 1000))
        for target in msg.branches:
            contacts.append(b"<%b>" % target.uri if target.q < 0 else b"<%b>;q=%.3g" % (target.uri, target.q / 1000))
        if contacts:
            msg.reply_edits.append(b"Contact: " + b", ".join(contacts) + b"\r\n")


def _only(value: object, allowed: tuple[object, ...], what: str) -> object:
    if value not in allowed:
        raise ValueError(f"{value!r}: {what} are not supported yet")
    return value


MODULE = Sl
