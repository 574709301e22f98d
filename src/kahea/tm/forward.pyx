# cython: language_level=3
"""Forwarding a request statefully: one branch per target, each through the branch route, built, and sent (RFC 3261 §16.6).

Kamailio's `t_relay` and its kin end here. A message's edits, flags and target are put back after each branch, so what a
branch route changes shows on that branch only.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from kahea.net.address cimport Address, Listener
from kahea.sip.message cimport Message
from kahea.sip.values cimport Target, ViaSpan
from kahea.tm.layer cimport TransactionLayer, restricted
from kahea.tm.table cimport call_hash, kh_hash
from kahea.tm.transaction cimport HEX, Branch, Saved, Transaction
from kahea.sip.errors import ParseError

from kahea.tm import local

import logging

log = logging.getLogger("kahea.tm")

# Kamailio's codes for the ways in which forwarding can fail.
E_NO_DESTINATION = -478
E_SEND = -477
E_BAD_URI = -400
E_NO_BRANCH = -1
E_DROPPED = -6
E_NO_SOCKET = -7
E_TOO_MANY_BRANCHES = -9

@cython.freelist(8)
cdef class Place:
    """Where a next hop is, for what came on the listener `received_on`: the first destination, and those to try after."""

    cdef Listener received_on
    cdef Listener listener
    cdef Address address
    cdef long connection_id
    cdef list spare


cdef bytes via_start(Listener listener, Message msg):
    """Our Via for a request that leaves by `listener`, up to the branch's value."""
    if msg is None or (msg.advertised_host is None and not msg.advertised_port):
        return listener.via_start()
    host = msg.advertised_host or listener.advertised_host or listener.address.host
    port = msg.advertised_port or listener.advertised_port or listener.address.port
    chosen = msg.advertised_port or listener.advertised_port
    sent_by = host if port == 5060 and not chosen else b"%b:%d" % (host, port)
    return b"Via: SIP/2.0/%b %b;branch=" % (listener.proto_name.upper().encode(), sent_by)


cdef bytes via_rest(Message msg):
    """What stands in our Via behind the branch's value, with the line's end: what the script asked for."""
    cdef bytes line
    if msg is None or not (msg.add_local_rport or msg.connection_id or msg._facets is not None):
        return b"\r\n"
    line = b";rport" if msg.add_local_rport else b""
    if msg.connection_id:
        # So that the reply finds the connection that the request came on (Kamailio's `i`).
        line += b";i=%x" % msg.connection_id
    if msg._facets is not None:
        extra = msg._facets.get("via_params")
        if extra is not None:
            line += extra
    return line + b"\r\n" if line else b"\r\n"


cpdef bytes via_line(Listener listener, bytes branch_id, Message msg, bint rport=False):
    """Our Via for a request that leaves by `listener`, with what the script asked to stand in it; without a message,
    with `rport` if that is wanted."""
    return via_start(listener, msg) + branch_id + (b";rport\r\n" if msg is None and rport else via_rest(msg))


cdef bytes _next_hop(bytes uri, bytes dst_uri, bytes path):
    """The URI that decides where to send: the destination URI, the first of the Path, or the Request-URI."""
    if dst_uri is not None:
        return dst_uri
    if path is not None:
        return local.first_route(path)
    return uri


cdef object _arrived(Message msg):
    """The listener that a message came on, whatever a script says of that since (`set_recv_socket`)."""
    if msg._facets is not None and "arrived_on" in msg._facets:
        return msg._facets["arrived_on"]
    return msg.listener


cdef Place make_place(Listener received_on, object found):
    """The Place of a sequence of destinations; None if it is empty."""
    cdef Place place
    cdef list all_of_them = list(found)
    if not all_of_them:
        return None
    place = Place.__new__(Place)
    place.received_on = received_on
    place.listener, place.address, place.connection_id = all_of_them[0]
    place.spare = all_of_them[1:] or None
    return place


cdef Place _place(TransactionLayer layer, Message msg, bytes hop, object sock, long connection_id):
    """Where the next hop is; what needed no DNS is remembered. None if it can't be told."""
    cdef Place place
    came_on = _arrived(msg)
    if sock is not None or connection_id != 0:
        return make_place(came_on, layer.hooks.destinations(hop, sock, connection_id, came_on))
    place = <Place>layer.places.get(hop)
    if place is not None and place.received_on is came_on:
        return place
    found = layer.hooks.destinations(hop, None, 0, came_on)
    place = make_place(came_on, found)
    if place is not None and type(found) is tuple:
        if len(layer.places) >= 20_000:
            layer.places.clear()
        layer.places[hop] = place
    return place


cdef int complete_edits(Message msg, Listener listener) except -1:
    """Modules whose header depends on where the request goes (Record-Route) complete it now."""
    prepare = msg._facets.get("before_send")
    if prepare is not None:
        for complete in prepare:
            complete(msg, listener)
    return 0


cdef int _add(TransactionLayer layer, Transaction t, Message msg, bytes uri, bytes dst_uri, bytes path, object sock,
              unsigned int flags, Target target, object destination, list added) except? -99:
    """Make and build one branch; > 0 if it is to be sent, 0 if the branch route dropped it, < 0 on an error."""
    cdef Branch branch
    cdef bytes extra, data
    cdef int mtu
    cdef Place place
    if len(t.branches) >= layer.settings.max_branches:
        return E_TOO_MANY_BRANCHES
    branch = t.new_branch()
    branch.uri = uri
    branch.dst_uri = dst_uri
    branch.path = path
    branch.flags = flags
    branch.on_failure = t.on_branch_failure
    if target is not None:
        branch.ruid = target.ruid
        branch.instance = target.instance
        branch.location_ua = target.location_ua
        branch.reg_id = target.reg_id
        branch.connection_id = target.connection_id
    else:
        branch.ruid = msg.ruid
        branch.instance = msg.instance
        branch.location_ua = msg.location_ua
        branch.reg_id = msg.reg_id
    # Until it is sent, a branch counts as ended: nothing may wait for it.
    branch.answered = True
    if t.on_branch is not None:
        if not layer.hooks.run_branch_route(t.on_branch, t, branch):
            return 0
        uri = msg.uri
        dst_uri = msg.dst_uri
        path = msg.path
        sock = msg.send_sock
        branch.uri = uri
        branch.dst_uri = dst_uri
        branch.path = path
        branch.flags = msg.bflags
    if destination is not None:
        place = make_place(None, destination)
    else:
        place = _place(layer, msg, _next_hop(uri, dst_uri, path), sock, branch.connection_id)
    if place is None:
        return E_NO_SOCKET if layer.hooks.lacks_listener(_next_hop(uri, dst_uri, path)) else E_NO_DESTINATION
    branch.listener = place.listener
    branch.address = place.address
    branch.connection_id = place.connection_id
    if place.spare is not None and layer.settings.use_dns_failover:
        branch.spare = place.spare
    if msg._facets is not None:
        branch.listener = restricted(branch.listener, msg._facets.get("send_flags", 0))
        complete_edits(msg, branch.listener)
    extra = b"" if path is None else b"Route: " + path + b"\r\n"
    try:
        data = msg.forwarded(uri, via_start(branch.listener, msg), branch.id, via_rest(msg), extra,
                             branch.listener.proto != 1)
        mtu = layer.settings.udp_mtu
        if mtu and branch.listener.proto == 1 and len(data) > mtu:
            # RFC 3261 §18.1.1: what would be fragmented goes by a stream, where there is one.
            stream = layer.hooks.stream_instead(msg, branch.address)
            if stream is not None:
                branch.listener, branch.address, branch.connection_id = stream
                data = msg.build_request(uri, via_line(branch.listener, branch.id, msg), extra, True)
    except ParseError as error:
        log.warning("can't build the request for %s: %s", uri, error)
        return E_BAD_URI
    branch.request = data
    added.append(branch)
    return 1


cdef int _add_or_not(TransactionLayer layer, Transaction t, Message msg, bytes uri, bytes dst_uri, bytes path,
                     object sock, unsigned int flags, Target target, object destination, list added) except? -99:
    """As `_add`; a branch that is not to be sent leaves its index to the next."""
    cdef Py_ssize_t known = len(t.branches)
    cdef int code = _add(layer, t, msg, uri, dst_uri, path, sock, flags, target, destination, added)
    if code == 0:
        code = E_DROPPED
    if code < 0 and len(t.branches) == known + 1:
        t.branches.pop()
    return code


cpdef int forward(TransactionLayer layer, Transaction t, Message msg, destination=None) except? -99:
    """Fork to the current Request-URI (unless it was forked to already) and the added branches.

    `destination` sends all of them to one place. Returns how many were sent, or a negative code if none was.
    """
    cdef list added = []
    cdef Branch branch
    cdef int code, result = E_NO_BRANCH
    cdef int sent = 0
    cdef list targets = None
    cdef Target target
    cdef bytes uri = msg.get_uri()
    cdef bytes dst_uri = msg._dst_uri
    cdef bytes path = msg.path
    cdef object sock = msg.send_sock
    cdef unsigned int flags = msg.bflags
    if layer.settings.local_rport:
        msg.add_local_rport = True
    # One plain target and nothing that edits per branch: nothing to put back.
    cdef bint restore = t.on_branch is not None or (msg._facets is not None and "before_send" in msg._facets)
    if msg._branches:
        targets = msg._branches
        msg._branches = None
        restore = True
    cdef list edits = msg.keep_edits() if restore else None
    cdef int body_edited = msg._body_edited
    if msg.uri_fresh:
        msg.uri_fresh = False
        code = _add_or_not(layer, t, msg, uri, dst_uri, path, sock, flags, None, destination, added)
        if code < 0:
            result = code
        if restore:
            msg.put_edits(edits, body_edited)
    if targets is not None:
        for target in targets:
            msg.set_uri(target.uri)
            msg.dst_uri = target.dst_uri
            msg.path = target.path
            msg.send_sock = target.sock
            msg.bflags = target.flags
            code = _add_or_not(layer, t, msg, target.uri, target.dst_uri, target.path,
                               target.sock if target.sock is not None else sock, target.flags, target, destination,
                               added)
            if code < 0:
                result = code
            msg.put_edits(edits, body_edited)
    if restore:
        msg.set_uri(uri)
        msg.dst_uri = dst_uri
        msg.path = path
        msg.send_sock = sock
        msg.bflags = flags
        msg.uri_fresh = False
    if not added:
        return result
    # What a failure route will find: the request as its first route left it. What a failure route edits is for its own
    # branches.
    if t.saved is None or not msg.faked:
        t.saved = save(msg)
    for branch in added:
        branch.answered = False
        if t.cancelled:
            branch.answered = True
            branch.status = 487
        elif layer.onsend and not layer.hooks.run_onsend_route(msg, t, branch, branch.listener, branch.address,
                                                              branch.request):
            branch.answered = True
            branch.status = 503
        elif layer.send_somewhere(branch):
            sent += 1
    if t.cancelled:
        layer.conclude(t)
        return len(added)
    if not sent:
        return E_SEND
    return sent


cpdef int forward_stateless(TransactionLayer layer, Message msg, bytes hop) except? -99:
    """Forward a request outside of any transaction to `hop`, else to its target (RFC 3261 §16.11); > 0 if sent."""
    cdef bytes data, extra
    cdef Place place
    cdef list edits = msg.keep_edits()
    cdef int body_edited = msg._body_edited
    if layer.settings.local_rport:
        msg.add_local_rport = True
    if hop is None:
        hop = _next_hop(msg.get_uri(), msg._dst_uri, msg.path)
    place = _place(layer, msg, hop, msg.send_sock, 0)
    if place is None:
        return E_NO_DESTINATION
    if layer.blocking is not None and layer.blocking.holds(place.listener, place.address, msg.method_id):
        return E_SEND
    if msg._facets is not None:
        complete_edits(msg, place.listener)
    extra = b"" if msg.path is None else b"Route: " + msg.path + b"\r\n"
    data = msg.forwarded(msg.get_uri(), via_start(place.listener, msg), stateless_branch(msg), via_rest(msg), extra,
                         place.listener.proto != 1)
    msg.put_edits(edits, body_edited)
    if layer.onsend and not layer.hooks.run_onsend_route(msg, None, None, place.listener, place.address, data):
        return E_SEND
    return 1 if place.listener.send(data, place.address, place.connection_id) else E_SEND


cpdef bytes stateless_branch(Message msg):
    """A branch that is the same for each retransmission of a request (RFC 3261 §16.11), and that nobody else can tell."""
    cdef ViaSpan* via = msg.top_via()
    cdef size_t h = call_hash(msg)
    cdef bytes out = PyBytes_FromStringAndSize(b"z9hG4bK0123456789abcdef.s", 25)
    cdef char* to = PyBytes_AS_STRING(out) + 7
    cdef int i
    if via.branch >= 0:
        h ^= <size_t>kh_hash(msg.p + via.branch, via.branch_len) * 0x9E3779B97F4A7C15ULL
    for i in range(16):
        to[i] = HEX[(h >> (4 * i)) & 15]
    return out


cpdef Saved save(Message msg):
    """The state of a message that later routes of its transaction start from."""
    cdef Saved saved = Saved.__new__(Saved)
    saved.edits = msg.keep_edits()
    saved.body_edited = msg._body_edited
    saved.uri = msg._uri
    saved.dst_uri = msg._dst_uri
    saved.path = msg.path
    saved.send_sock = msg.send_sock
    saved.flags = msg.flags
    saved.bflags = msg.bflags
    saved.sflags = msg.sflags
    return saved


cpdef restore(Message msg, Saved saved):
    """Put back what `save` kept."""
    msg.put_edits(saved.edits, saved.body_edited)
    msg.set_uri(saved.uri)
    msg.dst_uri = saved.dst_uri
    msg.path = saved.path
    msg.send_sock = saved.send_sock
    msg.flags = saved.flags
    msg.bflags = saved.bflags
    msg.sflags = saved.sflags
