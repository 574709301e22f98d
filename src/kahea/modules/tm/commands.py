"""Management of transactions that there are: list, answer, cancel."""

from __future__ import annotations

import sys

from kahea.routing.headers import whole_lines
from kahea.routing.module import Module, RpcError, rpc
from kahea.routing.text import text, wire
from kahea.sip import message as m
from kahea.tm.transaction import Transaction

#: What `tflags` says of a transaction, in Kamailio's numbers.
_INVITE, _LOCAL, _CANCELLED, _TRYING = 1, 2, 8, 64


class Commands(Module):
    """The commands on transactions; they name one by `$T(id_index):$T(id_label)`, or by Call-ID and CSeq number."""

    auto_inv_100: int

    @rpc("tm.list")
    def list_transactions(self) -> list[dict[str, int | str]]:
        """Every transaction. `cell` and `ref_count` are of the process's memory, `lifetime` is when it ends at the
        latest, in seconds of the server's clock."""
        return [self._shown(t) for t in list(self.node.layer.by_label.values())]

    def _shown(self, t: Transaction) -> dict[str, int | str]:
        request = t.request
        received = t.listener is not None

        def line(kind: int) -> str:
            header = request.header(kind)
            return text(request.raw[header.start : header.end]) if header is not None else ""

        flags = _INVITE * t.is_invite | _LOCAL * (not received) | _CANCELLED * t.cancelled
        if t.is_invite and self.auto_inv_100:
            flags |= _TRYING
        return {
            "cell": hex(id(t)),
            "tindex": t.hash_index,
            "tlabel": t.label,
            "method": text(t.method),
            "from": line(m.H_FROM),
            "to": line(m.H_TO),
            "callid": line(m.H_CALLID),
            "cseq": f"CSeq: {request.cseq}",
            "uas_request": "yes" if received else "no",
            "tflags": flags,
            "outgoings": len(t.branches),
            "ref_count": sys.getrefcount(t),
            "lifetime": int(t.end_of_life),
        }

    @rpc("tm.stats")
    def stats(self) -> dict[str, int]:
        """How many transactions there are, and what came of those that were."""
        layer = self.node.layer
        return {
            "current": len(layer),
            "waiting": layer.waiting,
            "total": layer.created,
            "total_local": layer.created_local,
            "rpl_received": layer.rpl_received,
            "rpl_generated": layer.rpl_generated,
            "rpl_sent": layer.rpl_sent,
            "6xx": layer.completed_6xx,
            "5xx": layer.completed_5xx,
            "4xx": layer.completed_4xx,
            "3xx": layer.completed_3xx,
            "2xx": layer.completed_2xx,
            "created": layer.created,
            "freed": layer.created - len(layer),
            # Nothing holds a transaction back that is to go.
            "delayed_free": 0,
            "refused": layer.refused,
        }

    @rpc("tm.hash_stats")
    def hash_stats(self) -> None:
        """Not available, as in Kamailio unless it is compiled for it."""
        raise RpcError(500, "Hash statistics not supported")

    @rpc("tm.clean")
    def clean(self) -> dict[str, object]:
        """Remove transactions beyond their life, should there be any: each ends by its own timer."""
        layer = self.node.layer
        now = self.node.now()
        for t in list(layer.by_label.values()):
            if not t.busy and not t.suspended and now > t.end_of_life + t.fr and (t.waiting or not t.is_pending):
                layer.free(t)
        return {}

    # ---- cancelling

    @rpc("tm.cancel")
    def cancel(self, callid: str, cseq: str) -> dict[str, object] | str:
        """Cancel the branches of a transaction that have no final response yet."""
        t = self._by_callid(callid, cseq, 400)
        layer = self.node.layer
        layer.cancel_branches(t)
        layer.conclude(t)
        return "branches remaining (waiting for timeout)" if not t.freed and t.is_pending else {}

    # ---- answering

    @rpc("tm.reply")
    def reply(
        self, code: int, reason: str, trans_id: str, to_tag: str, headers: str, body: str = ""
    ) -> dict[str, object]:
        """Answer the request of a transaction; `headers` are whole lines, or "." for none."""
        return self._reply(self._by_id(trans_id), code, reason, to_tag, headers, body)

    @rpc("tm.reply_callid")
    def reply_callid(
        self, code: int, reason: str, callid: str, cseq: str, to_tag: str, headers: str, body: str = ""
    ) -> dict[str, object]:
        """Answer the request with this Call-ID and CSeq number; `headers` are whole lines, or "." for none."""
        return self._reply(self._by_callid(callid, cseq, 404), code, reason, to_tag, headers, body)

    def _reply(self, t: Transaction, code: int, reason: str, to_tag: str, headers: str, body: str) -> dict[str, object]:
        if not 100 <= code <= 699 or any(c in to_tag + reason for c in "\r\n"):
            raise RpcError(500, "Reply failed")
        if to_tag:
            t.to_tag = wire(to_tag)
        extra = b"" if headers == "." else whole_lines(headers)
        if not self.node.layer.reply(t, code, wire(reason), extra, wire(body)):
            raise RpcError(500, "Reply failed")
        return {}

    @rpc("tm.retransmit_reply")
    def retransmit_reply(self, trans_id: str) -> dict[str, object]:
        """Send the last reply of a transaction again."""
        return self._again(self._by_id(trans_id))

    @rpc("tm.retransmit_reply_callid")
    def retransmit_reply_callid(self, callid: str, cseq: str) -> dict[str, object]:
        """Send the last reply to the request with this Call-ID and CSeq number again."""
        return self._again(self._by_callid(callid, cseq, 404))

    def _again(self, t: Transaction) -> dict[str, object]:
        if t.response is None:
            raise RpcError(500, "Reply failed")
        self.node.layer.repeat_reply(t)
        return {}

    # ---- finding

    def _by_id(self, trans_id: str) -> Transaction:
        index, colon, label = trans_id.partition(":")
        if not colon or not _is_number(index) or not _is_number(label):
            raise RpcError(400, "Invalid transaction ID")
        return _found(self.node.layer.lookup_ident(int(index), int(label)), 481, "No such transaction")

    def _by_callid(self, callid: str, cseq: str, missing: int) -> Transaction:
        return _found(self.node.layer.lookup_callid(wire(callid), wire(cseq)), missing, "Transaction not found")


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and int(value) < 2**31


def _found(t: Transaction | None, code: int, otherwise: str) -> Transaction:
    if t is None:
        raise RpcError(code, otherwise)
    return t
