# cython: language_level=3
"""The Record-Route lines of one request (RFC 3261 §16.6 item 4). Compiled, since every call begins with one.

What they say depends on the listener that the request leaves by, known only when it is sent, and once per
branch. So record_route() only notes what to write, as an immutable `RecordRoute` in the message's facets, and
`complete()`, which forwarding calls through the facet "before_send", writes it. What a branch route notes
holds for its branch alone.
"""

from kahea.modules.rr.loose cimport LooseRouter
from kahea.net.address cimport Listener
from kahea.routing.dispatch cimport Run
from kahea.sip.message cimport Message
from kahea.tm.transaction cimport Branch

from kahea.routing import run as _run
from kahea.sip.errors import ParseError

NONE = 0  # parameters were added, but no record_route() yet
OWN = 1  # the listeners' own addresses
PRESET = 2  # what the script wrote
ADVERTISED = 3  # the script's address, with the listeners' transports

cdef str FACET = "record_route"
cdef str FACET_BRANCH = "record_route_branch"  # a branch route's `OfBranch`
cdef str BEFORE_SEND = "before_send"
cdef int IN_BRANCH = _run.BRANCH_ROUTE

cdef enum:
    S_NONE = 0
    S_OWN = 1
    S_PRESET = 2
    S_ADVERTISED = 3
    SINGLE = 0  # always one line
    DIFFERENT = 1  # two where the request leaves by another listener than it came
    ALWAYS = 2  # always two
    UPSTREAM = 2
    P_UDP = 1


cdef class RecordRoute:
    """What record_route() decided. `head` reaches to the host, `tail` follows the host's own parameters."""

    cdef readonly int style
    cdef int double
    cdef bytes head
    cdef bytes tail
    cdef bytes lr  # of presets, where it follows `tail`
    cdef bytes address  # preset or advertised
    cdef bytes inbound  # the second preset
    cdef readonly bytes params  # of add_rr_param()
    cdef bint names  # name listeners in `sn`

    def __init__(self, int style=S_NONE, int double=DIFFERENT, bytes head not None=b"", bytes tail not None=b"",
                 bytes lr not None=b"", bytes address not None=b"", bytes inbound not None=b"",
                 bytes params not None=b"", bint names=False):
        self.style = style
        self.double = double
        self.head = head
        self.tail = tail
        self.lr = lr
        self.address = address
        self.inbound = inbound
        self.params = params
        self.names = names

    cdef RecordRoute with_params(self, bytes params):
        return RecordRoute(self.style, self.double, self.head, self.tail, self.lr, self.address, self.inbound, params,
                           self.names)

    cdef bytes lines(self, Message msg, Listener received, Listener sending):
        """The header lines, with CRLF, for a request that came by `received` and leaves by `sending`."""
        cdef bytes first
        if self.style == S_OWN:
            return self.own_lines(msg, received, sending)
        if self.style == S_PRESET:
            tail = self.tail + self.lr + self.params + b">\r\n"
            first = self.head + self.address + tail
            return first + self.head + self.inbound + tail if self.inbound else first
        if self.style == S_ADVERTISED:
            return self.advertised_lines(received, sending)
        return b""

    cdef bytes own_lines(self, Message msg, Listener received, Listener sending):
        cdef bytes tail, out, first
        if self.double == SINGLE or (sending is received and self.double == DIFFERENT):
            return b"%b%b%b%b>\r\n" % (self.head, self.place(received, received_host(received)), self.tail, self.params)
        tail = b";r2=on" + self.tail + self.params + b">\r\n"
        out = None
        if msg.advertised_host is not None or msg.advertised_port:
            # What set_advertised_address() says concerns the side that the request leaves by.
            host = msg.advertised_host or sending.advertised_host or sending.address.host
            out = b"%b:%d" % (host, msg.advertised_port or sending.advertised_port or sending.address.port)
        first = self.head + self.place(sending, out) + tail
        return first + self.head + self.place(received, received_host(received)) + tail

    cdef bytes place(self, Listener listener, bytes host):
        cdef bytes place = host or listener.place()
        if listener.proto != P_UDP:
            place += b";transport=" + listener.proto_name.encode()
        if self.names and listener.name:
            place += b";sn=" + listener.name.encode()
        return place

    cdef bytes advertised_lines(self, Listener received, Listener sending):
        cdef bytes head = self.head + self.address
        cdef bytes tail = self.tail + self.lr + self.params + b">\r\n"
        cdef bytes came, leaves
        if received.proto == sending.proto and self.double != ALWAYS:
            return head + tail
        came = b";transport=" + received.proto_name.encode()
        if self.double == SINGLE:
            return head + came + tail
        leaves = b";transport=" + sending.proto_name.encode()
        return head + leaves + b";r2=on" + tail + head + came + b";r2=on" + tail


cdef bytes received_host(Listener listener):
    """The side that a request came in by shows no port 5060, not even an advertised one."""
    cdef bytes host = listener.place()
    return host[:len(host) - 5] if host.endswith(b":5060") else host


cdef class OfBranch:
    """What a branch route decided for its branch."""

    cdef Branch branch
    cdef RecordRoute state


cdef RecordRoute nothing = RecordRoute()


cpdef RecordRoute of(Run run):
    """What was decided so far for the message, or for the branch whose route is running."""
    cdef dict facets = run.msg.get_facets()
    if run.kind == IN_BRANCH:
        own = facets.get(FACET_BRANCH)
        if isinstance(own, OfBranch) and (<OfBranch>own).branch is run.branch:
            return (<OfBranch>own).state
    found = facets.get(FACET)
    return found if isinstance(found, RecordRoute) else nothing


cpdef note(Run run, RecordRoute state):
    """Decide anew, and have it written when the request is sent."""
    cdef dict facets = run.msg.get_facets()
    cdef OfBranch own
    cdef list waiting
    if run.kind == IN_BRANCH and run.branch is not None:
        own = OfBranch.__new__(OfBranch)
        own.branch = run.branch
        own.state = state
        facets[FACET_BRANCH] = own
    else:
        facets[FACET] = state
    waiting = facets.get(BEFORE_SEND)
    if waiting is None:
        facets[BEFORE_SEND] = [complete]
    elif complete not in waiting:
        waiting.append(complete)


def add_params(Run run not None, bytes params not None):
    """Append URI parameters (`;name=value`) to the Record-Route that is, or is yet to be, there."""
    cdef RecordRoute state = of(run)
    note(run, state.with_params(state.params + params))


def complete(Message msg not None, Listener sending not None):
    """Write the lines into a request that is about to leave by `sending`."""
    cdef dict facets = msg.get_facets()
    state = facets.get(FACET)
    own = facets.pop(FACET_BRANCH, None)
    # A branch that its route dropped has no listener: what was noted for it must not show on the next one.
    if isinstance(own, OfBranch) and (<OfBranch>own).branch.listener is not None:
        state = (<OfBranch>own).state
    if isinstance(state, RecordRoute) and (<RecordRoute>state).style != S_NONE:
        received = msg.listener if isinstance(msg.listener, Listener) else sending
        msg.prepend_header((<RecordRoute>state).lines(msg, received, sending))





cdef class Recorder:
    """record_route() and its kin for the module `rr`, whose parameters are the attributes.

    `username(run, uri)` gives the user to put into the line, where one is wanted.
    """

    cdef object rr
    cdef LooseRouter router
    cdef public bint from_tag
    cdef public bint with_user
    cdef public bint ignore_sips
    cdef public bint names
    cdef public int double
    cdef public bytes lr
    cdef object username

    def __init__(self, rr, LooseRouter router not None, username):
        self.rr = rr
        self.router = router
        self.username = username
        self.lr = b";lr"

    def record_route(self, Run run not None):
        """record_route()."""
        return self.record(run, S_OWN, b"", b"")

    cpdef int record(self, Run run, int style, bytes address, bytes inbound) except? -99:
        """Note a Record-Route in one of the styles; -1 if there is one already."""
        cdef Message msg = run.msg
        cdef RecordRoute before = of(run)
        cdef bytes tag, tail, last = b"", params = before.params
        if before.style != S_NONE:
            self.rr.node.log.error("the request is record-routed already")
            return -1
        if not msg.is_request or (style != S_OWN and not address):
            return -1
        tag = self.tag_param(msg) if self.from_tag else b""
        # Where the parameters stand differs between the ways, as it does in Kamailio.
        if style == S_OWN:
            tail = self.lr + tag if tag else self.lr
        elif style == S_PRESET:
            tail, last, params = tag + params, self.lr, b""
        else:
            tail, last = tag, self.lr
        note(run, RecordRoute(style, self.double, self.head(run), tail, last, address, inbound, params, self.names))
        return 1

    cdef bytes head(self, Run run):
        """The line up to the host."""
        cdef bytes target = run.msg.get_uri(), user
        cdef bint secure = target[:5].lower() == b"sips:" and not self.ignore_sips
        cdef bytes head = b"Record-Route: <sips:" if secure else b"Record-Route: <sip:"
        if self.with_user:
            user = self.username(run, target)
            if user:
                head += user + b"@"
        return head

    cdef bytes tag_param(self, Message msg):
        """The From tag of the dialog's first request, as a URI parameter."""
        cdef bytes tag
        try:
            tag = msg.to_tag() if self.router.direction(msg) == UPSTREAM else msg.from_tag()
        except ParseError:
            return b""
        return b";ftag=" + tag if tag else b""
