"""The message as a whole: first line, size, body, buffer, and its Via values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kahea.modules.pv.getters import Get, Row, keyed, some, table, text
from kahea.net.address import PROTO_IDS
from kahea.routing.module import Value, Variable
from kahea.routing.pv import Bound, PvError, named
from kahea.routing.pv.table import Index
from kahea.routing.pv.values import decimal
from kahea.routing.received import NETWORK_EVENT, Passing
from kahea.sip.message import Message, Via

if TYPE_CHECKING:
    from kahea.routing.run import Run


def _method(run: Run) -> Value:
    msg = run.msg
    return text(msg.method if msg.is_request else msg.cseq_method)


def _status(run: Run) -> Value:
    return run.msg.status or None


def _reason(run: Run) -> Value:
    return None if run.msg.is_request else text(run.msg.reason)


def _body(run: Run) -> Value:
    return text(run.msg.body)


def _fline_end(msg: Message) -> int:
    end = msg.raw.find(b"\n") + 1
    return end or len(msg.raw)


def _first_line(run: Run) -> Value:
    raw = run.msg.raw
    return text(raw[: _fline_end(run.msg)].rstrip(b"\r\n"))


def _headers(msg: Message) -> bytes:
    return msg.raw[_fline_end(msg) : msg.headers_end]


def _raw(run: Run) -> bytes:
    passing = run.state.get(NETWORK_EVENT) if run.name == NETWORK_EVENT else None
    return passing.data if isinstance(passing, Passing) else run.msg.raw


_ROWS: tuple[Row, ...] = (
    ("rm", _method, "The method, of a reply the one in CSeq."),
    ("rmid", lambda run: run.msg.method_id, "The method as a number: a bit of its own for each known one."),
    ("rs", _status, "The status code of a reply."),
    ("rsi", lambda run: run.msg.status, "The status code of a reply, 0 in a request."),
    ("rr", _reason, "The reason phrase of a reply."),
    ("rv", lambda run: text(run.msg.version), "The protocol and version of the first line."),
    ("rb", _body, "The body."),
    ("bs", lambda run: len(run.msg.body), "The size of the body in bytes."),
    ("mb", lambda run: text(_raw(run)), "The message as received."),
    ("mbu", lambda run: text(run.msg.rebuild()), "The message with the changes made so far."),
    ("ml", lambda run: len(_raw(run)), "The length of the message in bytes."),
    ("mi", lambda run: run.msg.id, "The number of the message, counted by the node."),
    ("mt", lambda run: 1 if run.msg.is_request else 2, "1 for a request, 2 for a reply."),
    ("mts", lambda run: "rq" if run.msg.is_request else "rp", "rq for a request, rp for a reply."),
)

_MSG: dict[str, Get] = {
    "len": lambda run: len(run.msg.raw),
    "buf": lambda run: text(run.msg.raw),
    "fline": _first_line,
    "hdrs": lambda run: text(_headers(run.msg).strip()),
    "lpart": lambda run: text(run.msg.raw[_fline_end(run.msg) :]),
    "fpart": lambda run: text(run.msg.raw[: run.msg.headers_end].strip()),
    "body": _body,
    "body_len": lambda run: len(run.msg.body),
}


def _msgbuf(name: Value, _index: Index) -> Bound:
    """One byte of the message by its offset. Reading only: a message never changes here, its edits are
    lumps."""
    at = decimal(str(name))
    if at is None:
        raise PvError("$msgbuf takes an offset")

    def get(run: Run) -> Value:
        raw = run.msg.raw
        return text(raw[at : at + 1]) if 0 <= at < len(raw) else None

    def put(run: Run, value: Value) -> None:
        raise PvError("writing into the received message is not supported: use an edit, such as replace_hdrs()")

    return Bound(get, put)


# ---- Via


def _oc(via: Via) -> Value:
    """Overload control (RFC 7339): 0 without it, 1 for what the sender can, 2 with a value."""
    given = via.param(b"oc")
    return 0 if given is None else 2 if given else 1


def _via_port(via: Via) -> Value:
    return via.port or (5061 if via.transport.upper() == b"TLS" else 5060)


_VIA_PARTS: dict[str, Callable[[Via], Value]] = {
    "host": lambda via: text(via.host),
    "port": _via_port,
    "proto": lambda via: text(via.transport),
    "protoid": lambda via: PROTO_IDS.get(text(via.transport).lower(), 0),
    "branch": lambda via: some(via.branch),
    "rport": lambda via: some(via.rport),
    "received": lambda via: some(via.received),
    "i": lambda via: some(via.param(b"i")),
    "params": lambda via: some(via.params.lstrip(b"; ")),
    "oc": _oc,
    "ocval": lambda via: some(via.param(b"oc")),
    "ocalgo": lambda via: some(via.param(b"oc-algo")),
    "ocvalidity": lambda via: some(via.param(b"oc-validity")),
    "ocseq": lambda via: some(via.param(b"oc-seq")),
}


def _via0(msg: Message) -> Via | None:
    return msg.via1


def _via1(msg: Message) -> Via | None:
    return msg.via2


def _via_last(msg: Message) -> Via | None:
    vias = msg.vias()
    return vias[-1] if vias else None


def _via(name: str, pick: Callable[[Message], Via | None], doc: str) -> Variable:
    def of(part: Callable[[Via], Value]) -> Get:
        def get(run: Run) -> Value:
            via = pick(run.msg)
            return None if via is None else part(via)

        return get

    return named(name, keyed(name, {key: of(part) for key, part in _VIA_PARTS.items()}), doc=doc)


VARIABLES: list[Variable] = [
    *table(_ROWS),
    named("msg", keyed("msg", _MSG), doc="Parts of the message as received."),
    named("msgbuf", _msgbuf, writable=True, dynamic=True, doc="One byte of the message as received."),
    _via("via0", _via0, "A part of the first Via value."),
    _via("via1", _via1, "A part of the second Via value."),
    _via("viaZ", _via_last, "A part of the last Via value."),
]
