"""Routing by the Route headers (RFC 3261 §16.4 and §16.12), strict routers included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from kahea.sip.errors import ParseError
from kahea.sip.message import H_ROUTE
from kahea.sip.uri import Uri, parse_uri

if TYPE_CHECKING:
    from collections.abc import Collection

    from kahea.modules.rr import RecordRouting
    from kahea.sip.message import Message, NameAddr

FACET: Final = "rr_route"  # our own Route, an `Own`
#: Set where the next hop was taken from a Route behind the own one.
FACET_NEXT: Final = "rr_next_hop"

LOOKED: Final = False  # loose_route() was called, and noted no Route of ours

LESS_THAN: Final = 60

DONE: Final = 1
FAILED: Final = -1
PRELOADED: Final = -3  # an initial request whose only Routes were ours


class Own(NamedTuple):
    """Our own Route URI, or the Request-URI after a strict router."""

    uri: Uri
    strict: bool

    @property
    def params(self) -> bytes:
        """The URI's parameters as check_route_param() sees them: those of a Route with a semicolon before."""
        return self.uri.params if self.strict else b";" + self.uri.params


class _BadRoute(ParseError):
    """A Route value that is no name-addr in angle brackets."""


def route_values(msg: Message) -> list[NameAddr]:
    """All Route values in order; raises ParseError."""
    values = msg.name_addrs(H_ROUTE)
    raw = msg.raw
    for value in values:
        # A bare URI would lose its parameters, `lr` among them, to the header (RFC 3261 §20.34).
        if raw[value.uri_start - 1] != LESS_THAN:
            raise _BadRoute("Route without angle brackets")
    return values


def own(rr: RecordRouting, uri: Uri) -> bool:
    """Whether a Route's URI names this server, whatever its transport. A GRUU never does."""
    if uri.param(b"gr") is not None:
        return False
    if rr.sockname_mode and rr.by_name(uri) is not None:
        return True
    return rr.node.is_myself(uri.host, uri.port or (5061 if uri.scheme == b"sips" else 5060))


def route(rr: RecordRouting, msg: Message, mode: int) -> int:
    """Do what loose_route() does; DONE, FAILED or PRELOADED."""
    code = _route(rr, msg, mode)
    own_route = msg.facets.get(FACET)
    if code != FAILED and isinstance(own_route, Own):
        for callback in rr.route_callbacks:
            callback(msg, own_route.uri)
    return code


def _route(rr: RecordRouting, msg: Message, mode: int) -> int:
    if msg.header(H_ROUTE) is None:
        return FAILED
    msg.facets[FACET] = LOOKED
    try:
        values = route_values(msg)
        if not values:
            return FAILED
        if not msg.to.tag:
            return _loose(rr, msg, values, initial=True)
        if mode != 1:
            target = parse_uri(msg.uri)
            if target.is_sip and own(rr, target):
                return _strict(rr, msg, values, target)
        return _loose(rr, msg, values, initial=False)
    except ParseError as error:
        rr.node.log.error("loose_route: %s", error)
        return FAILED


def _loose(rr: RecordRouting, msg: Message, values: list[NameAddr], *, initial: bool) -> int:
    """The request came from a loose router, or from the caller."""
    used = 0
    hop = parse_uri(values[0].uri)
    if own(rr, hop):
        msg.facets[FACET] = Own(hop, False)
        used = 1
        double = rr.enable_double_rr and hop.param(b"r2") is not None
        if double and len(values) > 1:
            rr.force_socket(msg, parse_uri(values[1].uri), second=True)
            used = 2
        elif rr.force_send_socket and not double:
            rr.force_socket(msg, hop, second=False)
        if used == len(values):
            remove(msg, values, range(used))
            return PRELOADED if initial else DONE
        hop = parse_uri(values[used].uri)
        msg.facets[FACET_NEXT] = True
    if hop.is_sip and hop.lr:
        msg.dst_uri = hop.raw
    else:
        # The next hop is a strict router: it finds itself in the Request-URI, the target in the last Route.
        msg.append_header(b"Route: <" + msg.original_uri + b">\r\n")
        msg.set_uri(hop.raw)
        used += 1
    if used:
        remove(msg, values, range(used))
    return DONE


def _strict(rr: RecordRouting, msg: Message, values: list[NameAddr], target: Uri) -> int:
    """A strict router put this server's address, from its Record-Route, into the Request-URI."""
    hop = parse_uri(values[0].uri)
    used: set[int] = set()
    if rr.enable_double_rr and hop.param(b"r2") is not None and own(rr, hop):
        # The other of our two addresses: where the request is to leave.
        rr.force_socket(msg, hop, second=True)
        used.add(0)
        if len(values) == 1:
            remove(msg, values, used)
            return FAILED
        hop = parse_uri(values[1].uri)
    if hop.is_sip and hop.lr:
        msg.dst_uri = hop.raw
        last = len(values) - 1
        msg.set_uri(values[last].uri)
        used.add(last)
    else:
        msg.set_uri(hop.raw)
        used.add(len(used))
    remove(msg, values, used)
    if target.params:
        msg.facets[FACET] = Own(target, True)
    return DONE


def remove(msg: Message, values: list[NameAddr], used: Collection[int]) -> None:
    """Take values out of the Route headers: from the front, the end, or both; empty headers go whole."""
    if len(values) == 1:
        msg.remove_header(msg.header(H_ROUTE))  # type: ignore[arg-type]
        return
    at = 0
    for header in msg.headers_of(H_ROUTE):
        first = at
        while at < len(values) and values[at].start < header.end:
            at += 1
        kept = [i for i in range(first, at) if i not in used]
        if not kept:
            msg.remove_header(header)
        elif len(kept) < at - first:
            start = values[first].start
            msg.delete(start, values[kept[0]].start - start)
            end = values[kept[-1]].end
            msg.delete(end, values[at - 1].end - end)


def own_route(rr: RecordRouting, msg: Message) -> Own | None:
    """Our own Route as loose_route() found it, or the first if it is ours; None before loose_route()."""
    found = msg.facets.get(FACET)
    if isinstance(found, Own):
        return found
    if found is None or msg.header(H_ROUTE) is None:
        return None
    try:
        uri = parse_uri(route_values(msg)[0].uri)
    except (ParseError, IndexError):
        return None
    return Own(uri, False) if own(rr, uri) else None
