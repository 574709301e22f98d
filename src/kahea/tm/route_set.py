"""The dialog that a response to a request of ours begins: where its requests go, and the ACK that it may call for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kahea.sip import message as m
from kahea.sip.errors import ParseError
from kahea.sip.uri import parse_uri


class RouteSet(NamedTuple):
    """The way to the far end (RFC 3261 §12.1.2, §12.2.1.1): `uri` is the Request-URI of requests in the dialog,
    `next_hop` the URI that decides where they are sent, both b"" where the response has no Contact; `routes` are the
    values of their Route header, in order."""

    uri: bytes
    next_hop: bytes
    routes: tuple[bytes, ...]

    def line(self) -> bytes:
        """The Route header, b"" without routes."""
        return b"Route: %b\r\n" % b", ".join(self.routes) if self.routes else b""


def route_set(reply: m.Message) -> RouteSet:
    """The way that a response's Record-Route and Contact tell. Raises ParseError."""
    contacts = reply.name_addrs(m.H_CONTACT)
    target = contacts[0].uri if contacts else b""
    return way_to(target, reply.name_addrs(m.H_RECORDROUTE)[::-1])


def way_to(target: bytes, recorded: Sequence[m.NameAddr]) -> RouteSet:
    """The way to the far end's Contact URI by a route set. Raises ParseError."""
    if not recorded:
        return RouteSet(target, target, ())
    routes = tuple(bytes(entry) for entry in recorded)
    first = recorded[0].uri
    if parse_uri(first).lr:
        return RouteSet(target, first, routes)
    # A strict router finds itself in the Request-URI, and the far end behind the last Route (RFC 2543 §6.29).
    return RouteSet(first, first, (*routes[1:], b"<%b>" % target) if target else routes[1:])


def success_ack(
    request: bytes, reply: m.Message, way: RouteSet, via: bytes, extra: bytes = b"", body: bytes = b""
) -> bytes:
    """The ACK to a 2xx of an INVITE that was sent as `request` (RFC 3261 §13.2.2.4); `via` and `extra` are whole lines.

    Raises ParseError where the response doesn't say whom it is from.
    """
    to = reply.header(m.H_TO)
    if to is None or not way.uri:
        raise ParseError("a 2xx to an INVITE needs To and Contact")
    sent = m.parse(request)
    out = [b"ACK ", way.uri, b" SIP/2.0\r\n", via]
    out += [request[h.start : h.end] for kind in (m.H_FROM, m.H_CALLID) for h in sent.headers_of(kind)]
    out += [b"To: ", to.body, b"\r\nCSeq: %d ACK\r\nMax-Forwards: 70\r\n" % sent.cseq, way.line(), extra]
    out += [b"Content-Length: %d\r\n\r\n" % len(body), body]
    return b"".join(out)
