# cython: language_level=3
"""Forwarding a request statefully: one branch per target, each through the branch route, built, and sent (RFC 3261 §16.6).

Kamailio's `t_relay` and its kin end here. A message's edits, flags and target are put back after each branch, so what a
branch route changes shows on that branch only.
"""

from kahea.net.address cimport Address, Listener
from kahea.sip.message cimport Message
from kahea.sip.values cimport Target, Via
from kahea.tm.layer cimport TransactionLayer, restricted
from kahea.tm.transaction cimport Branch, Transaction
from kahea.sip.errors import ParseError

from kahea.tm import local

import logging
import os

log = logging.getLogger("kahea.tm")

# Kamailio's codes for the ways in which forwarding can fail.
E_NO_DESTINATION = -478
E_SEND = -477
E_BAD_URI = -400
E_NO_BRANCH = -1
E_DROPPED = -6
E_NO_SOCKET = -7
E_TOO_MANY_BRANCHES = -9

cdef unsigned long long FNV_PRIME = 0x100000001B3ULL
cdef unsigned long long FNV_BASIS = 0xCBF29CE484222325ULL
cdef dict via_prefixes = {}
# So that nobody else can tell our stateless branches in advance.
cdef unsigned long long salt = int.from_bytes(os.urandom(8), "big")


cdef bytes _via_prefix(Listener listener):
    cdef bytes host = listener.via_host
    key = (listener.proto, host)
    prefix = via_prefixes.get(key)
    if prefix is None:
        if len(via_prefixes) > 1000:
            via_prefixes.clear()
        prefix = b"Via: SIP/2.0/%b %b;branch=" % (listener.proto_name.upper().encode(), host)
        via_prefixes[key] = prefix
    return prefix


cpdef bytes via_line(Listener listener, bytes branch_id, Message msg):
    """Our Via for a request that leaves by `listener`, with what the script asked to stand in it."""
    cdef bytes line
    if msg is None:
        return _via_prefix(listener) + branch_id + b"\r\n"
    if msg.advertised_host is not None or msg.advertised_port:
        host = msg.advertised_host or listener.advertised_host or listener.address.host
        port = msg.advertised_port or listener.advertised_port or listener.address.port
        chosen = msg.advertised_port or listener.advertised_port
        sent_by = host if port == 5060 and not chosen else b"%b:%d" % (host, port)
        line = b"Via: SIP/2.0/%b %b;branch=%b" % (listener.proto_name.upper().encode(), sent_by, branch_id)
    else:
        line = _via_prefix(listener) + branch_id
    if msg.add_local_rport:
        line += b";rport"
    if msg.connection_id:
        # So that the reply finds the connection that the request came on (Kamailio's `i`).
        line += b";i=%x" % msg.connection_id
    if msg._facets is not None:
        extra = msg._facets.get("via_params")
        if extra is not None:
            line += extra
    return line + b"\r\n"


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


cdef tuple _place(TransactionLayer layer, Message msg, bytes hop, object sock, long connection_id):
    """Where the next hop is; what needed no DNS is remembered."""
    cdef tuple known
    came_on = _arrived(msg)
    if sock is None and connection_id == 0:
        known = layer.places.get(hop)
        if known is not None and known[0] is came_on:
            return known[1]
        found = layer.hooks.destinations(hop, None, 0, came_on)
        if type(found) is tuple:
            if len(layer.places) >= 20_000:
                layer.places.clear()
            layer.places[hop] = (came_on, found)
            return found
    else:
        found = layer.hooks.destinations(hop, sock, connection_id, came_on)
    return tuple(found)


cdef int _add(TransactionLayer layer, Transaction t, Message msg, bytes uri, bytes dst_uri, bytes path, object sock,
              unsigned int flags, Target target, object destination, list added) except? -99:
    """Make and build one branch; > 0 if it is to be sent, 0 if the branch route dropped it, < 0 on an error."""
    cdef Branch branch
    cdef bytes via, extra, data
    cdef int mtu
    cdef tuple found
    if len(t.branches) >= layer.settings.max_branches:
        return E_TOO_MANY_BRANCHES
    branch = t.new_branch()
    branch.uri = uri
    branch.dst_uri = dst_uri
    branch.path = path
    branch.flags = flags
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
        found = tuple(destination)
    else:
        found = _place(layer, msg, _next_hop(uri, dst_uri, path), sock, branch.connection_id)
    if not found:
        return E_NO_SOCKET if layer.hooks.lacks_listener(_next_hop(uri, dst_uri, path)) else E_NO_DESTINATION
    first = found[0]
    branch.listener = first[0]
    if msg._facets is not None:
        branch.listener = restricted(branch.listener, msg._facets.get("send_flags", 0))
    branch.address = first[1]
    branch.connection_id = first[2]
    if len(found) > 1 and layer.settings.use_dns_failover:
        branch.spare = list(found[1:])
    prepare = msg._facets.get("before_send") if msg._facets is not None else None
    if prepare is not None:
        # Modules whose header depends on where the branch goes (Record-Route) complete it now.
        for complete in prepare:
            complete(msg, branch.listener)
    via = via_line(branch.listener, branch.id, msg)
    extra = b"" if path is None else b"Route: " + <bytes>path + b"\r\n"
    try:
        data = msg.build_request(uri, via, extra, branch.listener.proto != 1)
        mtu = layer.settings.udp_mtu
        if mtu and branch.listener.proto == 1 and len(data) > mtu:
            # RFC 3261 §18.1.1: what would be fragmented goes by a stream, where there is one.
            stream = layer.hooks.stream_instead(msg, branch.address)
            if stream is not None:
                branch.listener, branch.address, branch.connection_id = stream
                via = via_line(branch.listener, branch.id, msg)
                data = msg.build_request(uri, via, extra, True)
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
    # One plain target and nothing that edits per branch: nothing to put back.
    cdef bint restore = t.on_branch is not None or (msg._facets is not None and "before_send" in msg._facets)
    if msg._branches:
        targets = msg._branches
        msg._branches = None
        restore = True
    edits = msg.edits_snapshot() if restore else None
    if msg.uri_fresh:
        msg.uri_fresh = False
        code = _add_or_not(layer, t, msg, uri, dst_uri, path, sock, flags, None, destination, added)
        if code < 0:
            result = code
        if restore:
            msg.edits_restore(edits)
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
            msg.edits_restore(edits)
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
        elif layer.send_branch(branch):
            sent += 1
        else:
            branch.answered = True
            branch.status = 503
            log.info("can't send to %s:%d", branch.address.ip, branch.address.port)
    if t.cancelled:
        layer.conclude(t)
        return len(added)
    if not sent:
        return E_SEND
    return sent


cpdef int forward_stateless(TransactionLayer layer, Message msg, bytes hop) except? -99:
    """Forward a request outside of any transaction to `hop`, else to its target (RFC 3261 §16.11); > 0 if sent."""
    cdef bytes data, via, extra
    cdef tuple found
    cdef Listener listener
    if hop is None:
        hop = _next_hop(msg.get_uri(), msg._dst_uri, msg.path)
    found = _place(layer, msg, hop, msg.send_sock, 0)
    if not found:
        return E_NO_DESTINATION
    listener, address, connection_id = found[0]
    prepare = msg._facets.get("before_send") if msg._facets is not None else None
    if prepare is not None:
        edits = msg.edits_snapshot()
        for complete in prepare:
            complete(msg, listener)
    via = via_line(listener, stateless_branch(msg), msg)
    extra = b"" if msg.path is None else b"Route: " + msg.path + b"\r\n"
    data = msg.build_request(msg.get_uri(), via, extra, listener.proto != 1)
    if prepare is not None:
        msg.edits_restore(edits)
    if layer.onsend and not layer.hooks.run_onsend_route(msg, None, None, listener, address, data):
        return E_SEND
    return 1 if listener.send(data, address, connection_id) else E_SEND


cpdef bytes stateless_branch(Message msg):
    """A branch that is the same for each retransmission of a request (RFC 3261 §16.11)."""
    cdef Via via = msg.get_via1()
    cdef bytes branch = via.get_branch()
    cdef unsigned long long h = FNV_BASIS ^ salt
    if branch is not None:
        h = _fnv(h, branch)
    h = _fnv(h, msg.get_callid())
    h = (h ^ <unsigned long long>msg.get_cseq()) * FNV_PRIME
    return b"z9hG4bK%x.s" % h


cdef unsigned long long _fnv(unsigned long long h, bytes data) noexcept:
    cdef const unsigned char* p = data
    cdef Py_ssize_t i
    for i in range(len(data)):
        h = (h ^ p[i]) * FNV_PRIME
    return h


cpdef tuple save(Message msg):
    """The state of a message that later routes of its transaction start from."""
    return (msg.edits_snapshot(), msg._uri, msg._dst_uri, msg.path, msg.send_sock,
            msg.flags, msg.bflags, msg.sflags)


cpdef restore(Message msg, tuple saved):
    """Put back what `save` kept."""
    edits, uri, dst_uri, path, sock, flags, bflags, sflags = saved
    msg.edits_restore(edits)
    msg.set_uri(uri)
    msg.dst_uri = dst_uri
    msg.path = path
    msg.send_sock = sock
    msg.flags = flags
    msg.bflags = bflags
    msg.sflags = sflags
