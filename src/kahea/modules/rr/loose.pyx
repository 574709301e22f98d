# cython: language_level=3
"""Routing by the Route headers (RFC 3261 §16.4 and §16.12), strict routers included. Compiled, since every request inside
a dialog passes."""

from kahea.routing.dispatch cimport Dispatcher, Run
from kahea.sip.message cimport H_ROUTE, Message, Slot
from kahea.sip.uri cimport Uri, parse_uri
from kahea.sip.values cimport NameAddr, addrs_in

from kahea.sip.errors import ParseError

FACET = "rr_route"  # our own Route, an `Own`
#: Set where the next hop was taken from a Route behind the own one.
FACET_NEXT = "rr_next_hop"

LOOKED = False  # loose_route() was called, and noted no Route of ours

DONE = 1
FAILED = -1
PRELOADED = -3  # an initial request whose only Routes were ours

cdef str facet_key = FACET
cdef enum:
    LESS_THAN = 60
    R_DONE = 1
    R_FAILED = -1
    R_PRELOADED = -3
    DOWNSTREAM = 1
    UPSTREAM = 2


cdef class Own:
    """Our own Route URI, or (`strict`) the Request-URI after a strict router."""

    @property
    def params(self):
        """The URI's parameters as check_route_param() sees them: those of a Route with a semicolon before."""
        return self.uri.params if self.strict else b";" + self.uri.params


cdef Own make_own(Uri uri, bint strict):
    cdef Own made = Own.__new__(Own)
    made.uri = uri
    made.strict = strict
    return made


cpdef list route_values(Message msg):
    """All Route values in order; raises ParseError."""
    cdef list values = []
    cdef NameAddr value
    cdef int i = msg.first[H_ROUTE]
    while i >= 0:
        addrs_in(msg.raw, msg.slots[i].body, msg.slots[i].body_end, values)
        i = msg.slots[i].next
    for value in values:
        # A bare URI would lose its parameters, `lr` among them, to the header (RFC 3261 §20.34).
        if msg.p[value.span.uri - 1] != LESS_THAN:
            raise ParseError("Route without angle brackets")
    return values


cdef class LooseRouter:
    """Follows Routes for the module `rr`, whose parameters are the attributes."""

    def __init__(self, rr, Dispatcher node not None, list callbacks not None):
        self.rr = rr
        self.node = node
        self.callbacks = callbacks

    def loose_route(self, Run run not None):
        """loose_route() in the mode of the module's parameter."""
        return self.route(run.msg, self.mode)

    cpdef int route(self, Message msg, int mode) except? -99:
        """Do what loose_route() does; DONE, FAILED or PRELOADED."""
        cdef int code
        if msg.first[H_ROUTE] < 0:
            return R_FAILED
        msg.get_facets()[facet_key] = LOOKED
        try:
            code = self.follow(msg, mode)
        except ParseError as error:
            self.node.log.error("loose_route: %s", error)
            return R_FAILED
        if self.callbacks and code != R_FAILED:
            own_route = msg.get_facets().get(facet_key)
            if isinstance(own_route, Own):
                for callback in self.callbacks:
                    callback(msg, (<Own>own_route).uri)
        return code

    cdef int follow(self, Message msg, int mode) except? -99:
        cdef list values = route_values(msg)
        cdef Uri target
        if not values:
            return R_FAILED
        if msg.to_addr().tag_len <= 0:
            return self.loose(msg, values, True)
        if mode != 1:
            target = parse_uri(msg.get_uri())
            if target.is_sip and self.own(target):
                return self.strict(msg, values, target)
        return self.loose(msg, values, False)

    cdef bint own(self, Uri uri) except -1:
        """Whether a Route's URI names this server, whatever its transport. A GRUU never does."""
        if uri.params and uri.param(b"gr") is not None:
            return False
        if self.by_names and self.rr.by_name(uri) is not None:
            return True
        return self.node.owns_route(uri)

    cdef int loose(self, Message msg, list values, bint initial) except? -99:
        """The request came from a loose router, or from the caller."""
        cdef int used = 0
        cdef bint double
        cdef Uri hop = parse_uri((<NameAddr>values[0]).get_uri())
        if self.own(hop):
            msg.get_facets()[facet_key] = make_own(hop, False)
            used = 1
            double = self.double_rr and hop.param(b"r2") is not None
            if double and len(values) > 1:
                self.rr.force_socket(msg, parse_uri((<NameAddr>values[1]).get_uri()), second=True)
                used = 2
            elif self.force_socket and not double:
                self.rr.force_socket(msg, hop, second=False)
            if used == len(values):
                remove_values(msg, values, 0, used, -1)
                return R_PRELOADED if initial else R_DONE
            hop = parse_uri((<NameAddr>values[used]).get_uri())
            msg.get_facets()[FACET_NEXT] = True
        if hop.is_sip and hop.has_lr():
            msg.dst_uri = hop.raw
        else:
            # The next hop is a strict router: it finds itself in the Request-URI, the target in the last Route.
            msg.append_header(b"Route: <" + msg.get_original_uri() + b">\r\n")
            msg.set_uri(hop.raw)
            used += 1
        if used:
            remove_values(msg, values, 0, used, -1)
        return R_DONE

    cdef int strict(self, Message msg, list values, Uri target) except? -99:
        """A strict router put this server's address, from its Record-Route, into the Request-URI."""
        cdef Uri hop = parse_uri((<NameAddr>values[0]).get_uri())
        cdef int used = 0, last = -1
        if self.double_rr and hop.param(b"r2") is not None and self.own(hop):
            # The other of our two addresses: where the request is to leave.
            self.rr.force_socket(msg, hop, second=True)
            used = 1
            if len(values) == 1:
                remove_values(msg, values, 0, used, -1)
                return R_FAILED
            hop = parse_uri((<NameAddr>values[1]).get_uri())
        if hop.is_sip and hop.has_lr():
            msg.dst_uri = hop.raw
            last = <int>len(values) - 1
            msg.set_uri((<NameAddr>values[last]).get_uri())
        else:
            msg.set_uri(hop.raw)
            used += 1
        remove_values(msg, values, 0, used, last)
        if target.params:
            msg.get_facets()[facet_key] = make_own(target, True)
        return R_DONE

    cpdef Own own_route(self, Message msg):
        """Our own Route as loose_route() found it, or the first if it is ours; None before loose_route()."""
        cdef Uri uri
        found = msg.get_facets().get(facet_key)
        if isinstance(found, Own):
            return found
        if found is None or msg.first[H_ROUTE] < 0:
            return None
        try:
            uri = parse_uri((<NameAddr>route_values(msg)[0]).get_uri())
        except (ParseError, IndexError):
            return None
        return make_own(uri, False) if self.own(uri) else None

    cpdef int direction(self, Message msg) except -1:
        """UPSTREAM if the own Route's ftag is not the From tag; DOWNSTREAM also where there is none."""
        cdef Own route = self.own_route(msg)
        cdef bytes ftag
        if route is None:
            return DOWNSTREAM
        ftag = route.uri.param(b"ftag")
        if not ftag:
            return DOWNSTREAM
        try:
            return DOWNSTREAM if ftag == msg.from_tag() else UPSTREAM
        except ParseError:
            return DOWNSTREAM


cdef int remove_values(Message msg, list values, int start, int end, int also) except -1:
    """Take values [start, end) and the one at `also` (-1: none) out of the Route headers; empty headers go whole.

    What goes stands at the front, the end, or both.
    """
    cdef int i = msg.first[H_ROUTE], at = 0, first, n = <int>len(values), kept, first_kept, last_kept, k
    cdef Slot* s
    if n == 1:
        msg.delete(msg.slots[i].start, msg.slots[i].end - msg.slots[i].start)
        return 0
    while i >= 0:
        s = &msg.slots[i]
        first = at
        kept = 0
        first_kept = last_kept = -1
        while at < n and (<NameAddr>values[at]).span.start < s.end:
            if not (start <= at < end or at == also):
                kept += 1
                last_kept = at
                if first_kept < 0:
                    first_kept = at
            at += 1
        if kept == 0:
            msg.delete(s.start, s.end - s.start)
        elif kept < at - first:
            k = (<NameAddr>values[first]).span.start
            msg.delete(k, (<NameAddr>values[first_kept]).span.start - k)
            k = (<NameAddr>values[last_kept]).span.end
            msg.delete(k, (<NameAddr>values[at - 1]).span.end - k)
        i = s.next
    return 0
