"""Module `sl`: stateless replies, and replies that are stateful where a transaction exists."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from kahea.modules.sl.replies import Replies
from kahea.routing.checks import between
from kahea.routing.module import Module, Param, Value, function, native, rpc, variable
from kahea.routing.run import CORE_ONREPLY_ROUTE, FAILURE_ROUTE, ONREPLY_ROUTE, REQUEST_ROUTE, Run
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kahea.routing.node import Node
    from kahea.sip.message import Message

_ANSWERING = REQUEST_ROUTE | FAILURE_ROUTE | ONREPLY_ROUTE | CORE_ONREPLY_ROUTE
_COUNTED_ALONE = (200, 202, 300, 301, 302, 400, 401, 403, 404, 407, 408, 483, 500)
_CLASSES = range(2, 7)


class Sl(Module):
    """Replies made here (RFC 3261 §8.2.6, §8.2.7)."""

    name = "sl"
    events: ClassVar = {
        "sl:filtered-ack": "An ACK to a reply of this module has arrived; it goes no further.",
        "sl:local-response": "A reply was sent; only by the function that `event_callback_lres_sent` names.",
    }

    default_code = Param(500, "Status of a reply whose own is not a number.")
    default_reason = Param("Internal Server Error", "Reason phrase where none fits.")
    bind_tm = Param(1, "Reply through the transaction where one exists.")
    rich_redirect = Param(0, "Added to a 3xx's Contacts: 1 flags, 2 path, 3 both.", check=between(0, 3))
    event_callback_fl_ack = Param("", "Script function for `sl:filtered-ack`.")
    event_callback_lres_sent = Param("", "Script function for `sl:local-response`.")

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.replies = Replies(node)

    def compiled(self) -> Mapping[str, Callable[..., Any]]:
        """Replies."""
        return {
            **super().compiled(),
            "sl_send_reply": self.replies.sl_send_reply,
            "send_reply": self.replies.send_reply,
        }

    def start(self) -> None:
        """Take over the parameters, bind the events of the script, and declare the statistics."""
        replies = self.replies
        replies.bind_tm, replies.default_code = bool(self.bind_tm), self.default_code
        replies.rich_redirect = self.rich_redirect
        if self.event_callback_lres_sent:
            replies.on_sent = lambda msg: self._call(self.event_callback_lres_sent, "sl:local-response", msg)
        for name, value in self._statistics():
            self.node.statistics.declare("sl", name, value, resets=False)
        if self.event_callback_fl_ack:
            self.node.on_sl_ack = lambda msg: self._call(self.event_callback_fl_ack, "sl:filtered-ack", msg)
        else:
            self.node.on_sl_ack = lambda msg: self.node.run_event("sl:filtered-ack", msg)

    def _statistics(self) -> Iterator[tuple[str, Callable[[], int]]]:
        """The statistics of replies sent, by name. Kamailio never counts any for the first and the last of its names,
        and neither do we."""
        replies = self.replies
        yield "1xx_replies", lambda: 0
        for code in _COUNTED_ALONE:
            yield f"{code}_replies", partial(replies.counted, code)
        for kind in _CLASSES:
            yield f"{kind}xx_replies", partial(self._others, kind)
        yield "xxx_replies", partial(replies.counted, 0)
        yield "sent_replies", lambda: replies.sent
        yield "failures", lambda: replies.failures
        yield "sent_err_replies", lambda: 0
        yield "received_ACKs", lambda: self.node.own_acks

    def _others(self, kind: int) -> int:
        """Replies of a class whose codes are not counted alone."""
        codes = range(100 * kind, 100 * kind + 100)
        return sum(self.replies.counted(code) for code in codes if code not in _COUNTED_ALONE)

    @native("int", "reason", name="sl_reply", routes=REQUEST_ROUTE)
    @native("int", "reason", routes=REQUEST_ROUTE)
    @function
    def sl_send_reply(self, run: Run, code: int, reason: str) -> int:
        """Reply without a transaction."""
        return self.replies.sl_send_reply(run, code, reason)

    @native("int", "reason", routes=_ANSWERING)
    @function
    def send_reply(self, run: Run, code: int, reason: str) -> int:
        """Reply through the transaction if there is one, else without."""
        return self.replies.send_reply(run, code, reason)

    @native("int", "reason", "int", routes=_ANSWERING)
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
        for kind in _CLASSES:
            for code in _COUNTED_ALONE:
                if code // 100 == kind:
                    shown[str(code)] = self.replies.counted(code)
            shown[f"{kind}xx"] = self._others(kind)
        return {**shown, "xxx": self.replies.counted(0)}

    @variable("ltt", takes_name=True)
    def local_to_tag(self, run: Run, name: str, index: object) -> Value:
        """The To tag of our replies: `x` the one of the kind in force, `s` stateless, `t` of the transaction."""
        t = run.transaction
        if name != "s" and t is not None:
            return text(self.node.layer.to_tag(t))
        return None if name == "t" else text(self.node.sl_tag(run.msg))

    def _error(self, run: Run) -> tuple[int, str]:
        """What to say of the failure that the tm module noted, in Kamailio's words."""
        error = getattr(run.tm, "error", None)
        return error[:2] if error is not None else (500, "I'm terribly sorry, server error occurred")

    def _call(self, name: str, event: str, msg: Message) -> None:
        self.node.call_route(name, event, msg)


MODULE = Sl
