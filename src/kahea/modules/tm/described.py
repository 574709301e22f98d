"""What `t_write_req()` and `t_write_unix()` write of a request: SER's lines for programs, and what `tw_append` adds.

The lines, each ended by LF, are: the format's version; `sip_request.` and the action; the method; user and host of the
Request-URI as it is now; the address and port that the request came to; the Request-URI as it came; the URI for
requests in the dialog; From without its parameters; To; Call-ID; From tag; To tag; CSeq number; the transaction
(`index:label`, which `tm.reply` takes); the route set; the next hop; `P-MsgFlags`; the lines of the group; a dot; the
body, if any is to be written. A dot stands for a route set or hop that there is not. Kamailio documents none of this:
it is what the real server was seen to write.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from kahea.routing.pv import PvError
from kahea.routing.run import FAILURE_ROUTE, Run
from kahea.routing.text import wire
from kahea.sip import message as m
from kahea.sip.errors import ParseError
from kahea.sip.uri import parse_uri
from kahea.tm.route_set import way_to

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.pv import Pv
    from kahea.tm.transaction import Transaction

_VERSION: Final = b"0.3"
#: Methods whose body is always written; of others it is where the group has `msg[body]`.
_WITH_BODY: Final = m.M_INVITE | m.M_INFO

#: Bits of `P-MsgFlags`, which shows Kamailio's internal flags of a message, in hexadecimal from the lowest digit up.
_FORCE_RPORT, _CLONED, _IN_TRANSACTION, _LOCAL_RPORT, _RECORD_ROUTED = 1, 1 << 4, 1 << 7, 1 << 11, 1 << 18

_GROUP: Final = re.compile(r"\s*([^\s:]+)\s*:\s*(.*?)\s*", re.DOTALL)
_ELEMENT: Final = re.compile(r"(?:([^\s=\[\]]+)\s*=\s*)?([^\s=\[\]]+)\[([^\s\[\]]+)\]")
_AVP: Final = re.compile(r"(?:i:(?=\d+$)|s:)?([A-Za-z0-9_]+)")


class Element(NamedTuple):
    """One line of a group: what it is called, and the header or (`avp`) the AVP that it shows."""

    title: str
    of: str
    avp: bool


@dataclass(frozen=True, slots=True)
class Group:
    """A group as `tw_append` declares it. `body` says that it has the body of any method's request."""

    name: str
    elements: tuple[Element, ...]
    body: bool


def parse_group(given: str) -> Group | None:
    """Read `name: element; element`, of which each is `hdr[name]`, `avp[name]` or `msg[body]`, with `title=` before it
    if it is to be called otherwise; None for nothing at all. Raises ValueError."""
    if not given:
        return None
    found = _GROUP.fullmatch(given)
    if found is None:
        raise ValueError(f"expected `name: element; element`, not {given!r}")
    elements: list[Element] = []
    body = False
    for part in re.split(r"\s*;\s*", found[2]):
        element = _ELEMENT.fullmatch(part)
        if element is None:
            raise ValueError(f"expected `title=hdr[name]`, avp[name] or msg[body], not {part!r}")
        title, kind, of = element[1], element[2].lower(), element[3]
        if kind == "hdr":
            elements.append(Element(title or of, of, avp=False))
        elif kind == "avp":
            avp = _AVP.fullmatch(of)
            if avp is None:
                raise ValueError(f"{of!r} is no AVP's name")
            elements.append(Element(title or avp[1], of, avp=True))
        elif kind == "msg" and of.lower() == "body":
            body = True
        else:
            raise ValueError(f"{element[0]!r} is none of hdr[name], avp[name] and msg[body]")
    return Group(found[1], tuple(elements), body)


class Lines:
    """A group, ready to be written."""

    def __init__(self, node: Node, group: Group) -> None:
        """Raises ValueError for an AVP that can't be read."""
        self.body = group.body
        self._elements: list[tuple[bytes, Pv | bytes]] = []
        for title, of, avp in group.elements:
            try:
                source = node.variables.compile(f"$avp({of})") if avp else wire(of)
            except PvError as error:
                raise ValueError(str(error)) from error
            self._elements.append((wire(title), source))

    def of(self, run: Run) -> bytes:
        """The lines of what the request has of it."""
        out = []
        for title, source in self._elements:
            if isinstance(source, bytes):
                header = run.msg.header_named(source)
                value = header.body if header is not None else None
            else:
                got = source.get(run)
                value = None if got is None else wire(str(got))
            if value is not None:
                out.append(b"%b: %b\n" % (title, value))
        return b"".join(out)


def described(run: Run, t: Transaction, action: str, lines: Lines | None) -> bytes:
    """What is written of a transaction's request. Raises ParseError."""
    msg = run.msg
    uri = parse_uri(msg.uri)
    sender = msg.from_
    to, cseq = msg.header(m.H_TO), msg.header(m.H_CSEQ)
    if to is None or cseq is None:
        raise ParseError("there is no To, or no CSeq")
    target, routes, hop = _way(msg, sender.uri)
    head = (
        _VERSION,
        b"sip_request." + wire(action),
        msg.method,
        uri.user,
        uri.host,
        msg.dst_ip,
        b"%d" % msg.dst_port,
        msg.original_uri,
        target,
        msg.raw[sender.start : sender.end].removesuffix(sender.params),
        msg.raw[to.body_start : to.end].rstrip(b"\r\n"),
        msg.callid,
        sender.tag or b"",
        msg.to.tag or b"",
        cseq.body.split()[0],
        b"%d:%d" % (t.hash_index, t.label),
        b",".join(b"<%b>" % route for route in routes) or b".",
        hop or b".",
        b"P-MsgFlags: " + _flags(run),
    )
    added = lines.of(run) if lines is not None else b""
    shown = msg.method_id & _WITH_BODY or (lines is not None and lines.body)
    return b"%b\n%b.\n%b\n" % (b"\n".join(head), added, msg.body if shown else b".")


def _way(msg: m.Message, sender: bytes) -> tuple[bytes, Sequence[bytes], bytes]:
    """The URI for requests in the dialog, its routes, and the next hop (b"" for that URI). Raises ParseError.

    A loose first route stands twice among the routes, as in Kamailio.
    """
    way = way_to(_contact(msg) or sender, msg.name_addrs(m.H_RECORDROUTE))
    routes = [m.parse_name_addr(route).uri for route in way.routes]
    if way.next_hop == way.uri:
        return way.uri, routes, b""
    return way.uri, [routes[0], *routes], way.next_hop


def _contact(msg: m.Message) -> bytes:
    """The URI of the first Contact header's last value; b"" for `*`, and without one that can be read."""
    header = msg.header(m.H_CONTACT)
    if header is None:
        return b""
    try:
        values = m.parse_name_addrs(header.body)
    except ParseError:
        return b""
    return b"" if not values or values[-1].uri == b"*" else values[-1].uri


def _flags(run: Run) -> bytes:
    msg = run.msg
    bits = _IN_TRANSACTION
    if msg.force_rport:
        bits |= _FORCE_RPORT
    if msg.add_local_rport:
        bits |= _LOCAL_RPORT
    if run.kind == FAILURE_ROUTE:
        bits |= _CLONED
    rr = run.node.module("rr")
    if rr is not None and rr.recorded(run):
        bits |= _RECORD_ROUTED
    return wire(f"{bits:x}"[::-1])


__all__ = ["Group", "Lines", "described", "parse_group"]
