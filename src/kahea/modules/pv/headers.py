"""Header fields: `$hdr(name)`, `$hfl(name)`, and those that have a variable of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kahea.modules.pv.getters import Get, Row, keyed, some, table, text
from kahea.routing.caller import quiet
from kahea.routing.module import Value, Variable
from kahea.routing.pv import Bound, PvError, named
from kahea.routing.pv.reading import HeaderText
from kahea.routing.pv.table import Index
from kahea.routing.text import wire
from kahea.sip.errors import ParseError
from kahea.sip.message import (
    H_CONTACT,
    H_CONTENTTYPE,
    H_CSEQ,
    H_DIVERSION,
    H_PAI,
    H_PPI,
    H_RECORDROUTE,
    H_REFERTO,
    H_ROUTE,
    H_RPID,
    H_USERAGENT,
    H_VIA,
    Message,
    NameAddr,
    header_kind,
)
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.routing.run import Run

_TOKEN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~")
#: Headers whose comma-separated values `$hfl` tells apart.
_LISTS = frozenset({H_CONTACT, H_DIVERSION, H_PAI, H_PPI, H_RECORDROUTE, H_ROUTE})


_FAR = 65535  # no message has that many header fields


def header_name(name: Value) -> bytes:
    """The inner name of `$hdr` and the like; raises PvError for what is no header name."""
    data = wire(str(name))
    if not data or not _TOKEN.issuperset(data):
        raise PvError(f"{name!r} is no header name")
    return data


def _nth(msg: Message, name: bytes, index: int) -> Value:
    if not -_FAR <= index <= _FAR:
        return None
    if name != b"*":
        found = msg.header_named(name, index)
        return None if found is None else text(found.body)
    headers = msg.headers()
    return text(headers[index].body) if -len(headers) <= index < len(headers) else None


def _bodies(msg: Message, name: bytes) -> list[str]:
    headers = msg.headers() if name == b"*" else msg.headers_named(name)
    return [text(header.body) for header in headers]


def _joined(values: list[str], separator: str) -> Value:
    return separator.join(values) if values else None


def _hdr(name: Value, index: Index) -> Bound:
    wanted = header_name(name)
    if index == "*":
        return Bound(quiet(lambda run: _joined(_bodies(run.msg, wanted), ",")))
    at = index or 0
    return Bound(quiet(lambda run: _nth(run.msg, wanted, at)))


def _values(msg: Message, name: bytes) -> list[str]:
    """The values of a header in the order of the message, comma-separated ones apart where that is known."""
    kind = header_kind(name)
    raw = msg.raw
    if kind == H_VIA:
        return [text(raw[via.start : via.end]) for via in msg.vias()]
    if kind in _LISTS:
        return [text(raw[value.start : value.end]) for value in msg.name_addrs(kind)]
    return _bodies(msg, name)


def _hfl(name: Value, index: Index) -> Bound:
    wanted = header_name(name)

    def get(run: Run) -> Value:
        values = _values(run.msg, wanted)
        if index == "*":
            return _joined(values, ", " if header_kind(wanted) in _LISTS or header_kind(wanted) == H_VIA else ",")
        at = index or 0
        return values[at] if -len(values) <= at < len(values) else None

    return Bound(quiet(get))


def _hdrc(name: Value, _index: Index) -> Bound:
    wanted = header_name(name)
    return Bound(quiet(lambda run: len(run.msg.headers_named(wanted))))


def _hflc(name: Value, _index: Index) -> Bound:
    wanted = header_name(name)
    return Bound(quiet(lambda run: len(_values(run.msg, wanted))))


# ---- those with names of their own


def _address(kind: int, part: Callable[[NameAddr], Value]) -> Get:
    """A part of the first value of a name-addr header."""

    def get(run: Run) -> Value:
        values = run.msg.name_addrs(kind)
        return part(values[0]) if values else None

    return get


def _param(name: bytes) -> Callable[[NameAddr], Value]:
    return lambda value: some(value.param(name))


def _uri_text(value: NameAddr) -> Value:
    return text(value.uri)


def _uri_user(value: NameAddr) -> Value:
    return some(parse_uri(value.uri).user)


def _uri_host(value: NameAddr) -> Value:
    return some(parse_uri(value.uri).host)


def _display(value: NameAddr) -> Value:
    return some(value.display)


def _contact(run: Run) -> NameAddr | None:
    values = run.msg.name_addrs(H_CONTACT)
    return values[0] if values else None


def _contact_uri(run: Run) -> Value:
    value = _contact(run)
    return None if value is None else text(value.uri)


def _contact_star(run: Run) -> Value:
    value = _contact(run)
    return int(value is not None and value.uri == b"*")


def _expires(choose: Callable[[list[int]], int]) -> Get:
    """Contact parameters come before the header."""

    def get(run: Run) -> Value:
        given = [value.param(b"expires") for value in run.msg.name_addrs(H_CONTACT)]
        seconds = [int(each[:10]) for each in given if each and each.isdigit()]
        if seconds:
            return choose(seconds)
        expires = run.msg.expires
        return None if expires < 0 else expires

    return get


def _content_length(run: Run) -> Value:
    length = run.msg.content_length
    return None if length < 0 else length


_ROWS: tuple[Row, ...] = (
    ("ci", lambda run: some(run.msg.callid), "Call-ID."),
    ("cs", lambda run: str(run.msg.cseq), "The number in CSeq."),
    ("csb", HeaderText(H_CSEQ).get, "CSeq: number and method."),
    ("cl", _content_length, "Content-Length."),
    ("cT", HeaderText(H_CONTENTTYPE).get, "Content-Type."),
    ("ct", HeaderText(H_CONTACT).get, "The first Contact header."),
    ("ctu", _contact_uri, "The first Contact's URI."),
    ("cts", _contact_star, "1 if Contact is *, else 0."),
    ("ua", HeaderText(H_USERAGENT).get, "User-Agent."),
    ("rt", _address(H_REFERTO, _uri_text), "The URI of Refer-To."),
    ("re", _address(H_RPID, _uri_text), "The URI of Remote-Party-ID."),
    ("di", _address(H_DIVERSION, _uri_text), "The URI of the first Diversion."),
    ("dir", _address(H_DIVERSION, _param(b"reason")), "The reason of the first Diversion."),
    ("dip", _address(H_DIVERSION, _param(b"privacy")), "The privacy of the first Diversion."),
    ("dic", _address(H_DIVERSION, _param(b"counter")), "The counter of the first Diversion."),
)


def _identity(name: str, kind: int, part: Callable[[NameAddr], Value], doc: str) -> Variable:
    """A part of an identity header (RFC 3325), whose values may be picked by index."""

    def at(run: Run, _name: str, index: Index) -> Value:
        try:
            values = run.msg.name_addrs(kind)
            if index == "*":
                return _joined([str(part(value)) for value in values], ",")
            place = index or 0
            return part(values[place]) if -len(values) <= place < len(values) else None
        except ParseError:
            return None

    return Variable(name, at, takes_index=True, doc=doc)


_EXPIRES: dict[str, Get] = {"min": _expires(min), "max": _expires(max)}

VARIABLES: list[Variable] = [
    *table(_ROWS),
    _identity("ai", H_PAI, _uri_text, "The URI of P-Asserted-Identity."),
    _identity("pu", H_PPI, _uri_text, "The URI of P-Preferred-Identity."),
    _identity("pU", H_PPI, _uri_user, "The user of P-Preferred-Identity's URI."),
    _identity("pd", H_PPI, _uri_host, "The host of P-Preferred-Identity's URI."),
    _identity("pn", H_PPI, _display, "The display name of P-Preferred-Identity."),
    named("hdr", _hdr, index=True, dynamic=True, doc="The body of a header field."),
    named("hfl", _hfl, index=True, dynamic=True, doc="A value of a header field that may be a list."),
    named("hdrc", _hdrc, dynamic=True, doc="How many header fields of a name there are."),
    named("hflc", _hflc, dynamic=True, doc="How many values a header has in all its fields."),
    named("expires", keyed("expires", _EXPIRES), doc="The smallest (min) or largest (max) expiry asked for."),
]
