"""Events of calls: what becomes of each INVITE that begins one, and its BYE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kahea.sip.errors import ParseError
from kahea.sip.message import M_BYE, M_INVITE
from kahea.tm.hooks import Watcher

if TYPE_CHECKING:
    from kahea.modules.event_stream.stream import Stream
    from kahea.sip.message import Message
    from kahea.tm.transaction import Transaction

STARTED: Final = "call.started"
PROGRESS: Final = "call.progress"
ANSWERED: Final = "call.answered"
FAILED: Final = "call.failed"
ENDED: Final = "call.ended"


def clean(data: bytes) -> str:
    """Bytes of a message as JSON can carry them; what is no UTF-8 becomes U+FFFD."""
    return data.decode("utf-8", "replace")


def transaction_id(t: Transaction) -> str:
    """A transaction's name, as `tm.list` and `tm.reply` know it."""
    return f"{t.hash_index}:{t.label}"


def describe(msg: Message) -> dict[str, Any]:
    """A call's request. Raises ParseError."""
    return {
        "call_id": clean(msg.callid),
        "cseq": msg.cseq,
        "method": clean(msg.method),
        "request_uri": clean(msg.uri),
        "from": clean(msg.from_.uri),
        "from_tag": clean(msg.from_.tag or b""),
        "to": clean(msg.to.uri),
        "source": f"{clean(msg.src_ip)}:{msg.src_port}",
    }


class Calls(Watcher):
    """Watches the transactions of a node."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def created(self, t: Transaction) -> None:
        """A request has its transaction."""
        if not self._stream.clients:
            return
        try:
            if t.request.method_id == M_INVITE and not t.request.to.tag:
                t.watchers = (*t.watchers, self)
                self._tell(STARTED, t)
            elif t.request.method_id == M_BYE:
                self._tell(ENDED, t)
        except ParseError:
            return

    def answered(self, t: Transaction, code: int, reply: Message | None) -> None:
        """A reply went to the caller."""
        if code == 100:
            return  # a hop's word to the next, not the callee's
        name = PROGRESS if code < 200 else ANSWERED if code < 300 else FAILED
        if self._stream.wants(name):
            reason = clean(reply.reason) if reply is not None and reply.status == code else ""
            self._tell(name, t, code=code, reason=reason)

    def _tell(self, name: str, t: Transaction, **more: Any) -> None:
        if self._stream.wants(name):
            call = {"transaction": transaction_id(t), **describe(t.request)}
            self._stream.publish(name, {"call": call, **more})
