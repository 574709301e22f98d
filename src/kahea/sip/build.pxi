# Building what is sent on: a forwarded request, a forwarded response, the message as edited.


cdef inline void set_op(Op* op, int offset, int cut, const char* data, Py_ssize_t size) noexcept nogil:
    op.offset = offset
    op.cut = cut
    op.data = data
    op.size = size


cdef int length_op(Message m, bint stream, char* room, Op* op) except -1:
    """The operation that makes Content-Length right; returns how many (0 or 1). `room` takes 48 bytes."""
    cdef int i = m.first[H_CONTENTLENGTH]
    cdef long long size = m.body_end - m.body_start
    cdef Slot* s
    if m._body_edited:
        size = PyBytes_GET_SIZE(edited_body_of(m))
    if i >= 0 and not is_deleted(m, m.slots[i].start):
        s = &m.slots[i]
        if number(m.p, s.body, s.body_end, MAX_LENGTH) == size:
            return 0
        set_op(op, s.body, s.body_end - s.body, room, put_number(room, size))
        return 1
    if not stream and m._body_edited != BODY_SET:
        return 0
    memcpy(room, b"Content-Length: ", 16)
    i = 16 + put_number(room + 16, size)
    memcpy(room + i, b"\r\n", 2)
    set_op(op, m.headers_end, 0, room, i + 2)
    return 1


cdef bytes request_of(
    Message m, bytes uri, bytes via_start, bytes branch, bytes via_rest, bytes extra, bint stream
):
    cdef Op own[OWN_OPS]
    cdef char length_room[48]
    cdef int n = 0, size, place = m.line_end
    cdef Mark mark
    if not m.is_request:
        raise ValueError("not a request")
    if uri is None or via_start is None or branch is None or via_rest is None or extra is None:
        raise TypeError("bytes expected, not None")
    size = m.uri_end - m.uri_start
    if PyBytes_GET_SIZE(uri) != size or memcmp(PyBytes_AS_STRING(uri), m.p + m.uri_start, size) != 0:
        set_op(&own[n], m.uri_start, size, PyBytes_AS_STRING(uri), PyBytes_GET_SIZE(uri))
        n += 1
    if m.first[H_VIA] >= 0:
        place = m.slots[m.first[H_VIA]].start
    set_op(&own[n], place, 0, PyBytes_AS_STRING(via_start), PyBytes_GET_SIZE(via_start))
    set_op(&own[n + 1], place, 0, PyBytes_AS_STRING(branch), PyBytes_GET_SIZE(branch))
    set_op(&own[n + 2], place, 0, PyBytes_AS_STRING(via_rest), PyBytes_GET_SIZE(via_rest))
    n += 3
    if PyBytes_GET_SIZE(extra):
        set_op(&own[n], place, 0, PyBytes_AS_STRING(extra), PyBytes_GET_SIZE(extra))
        n += 1
    if mark_sender(m, &mark):
        n += mark_ops(m, &mark, m.via_span.sent_by_end, &own[n])
    n += length_op(m, stream, length_room, &own[n])
    return assemble(m, own, n, 0)


# What is said of the sender in its Via (RFC 3261 §18.2.1, RFC 3581); sizes are 0 for what is not said.
cdef struct Mark:
    char received[96]
    int received_size
    char rport[24]
    int rport_size


cdef bint same_host(chars host, int n, bytes ip) noexcept:
    """Whether a Via's host is this address."""
    if n > 2 and host[0] == 91:
        host += 1
        n -= 2
    return n == PyBytes_GET_SIZE(ip) and same_text(host, <chars>PyBytes_AS_STRING(ip), n)


cdef bint mark_sender(Message m, Mark* mark) except -1:
    """Work out the mark; False if there is nothing to say, or no Via to say it in."""
    cdef ViaSpan* via
    cdef bint ask
    cdef Py_ssize_t size = 0 if m.src_ip is None else PyBytes_GET_SIZE(m.src_ip)
    mark.received_size = mark.rport_size = 0
    if m.first[H_VIA] < 0 or size == 0 or size > 80 or is_deleted(m, m.slots[m.first[H_VIA]].start):
        return False
    try:
        via = m.top_via()
    except ParseError:
        return False
    ask = via.rport >= 0 or m.force_rport
    if via.rport >= 0 or via.received >= 0 or not same_host(m.p + via.host, via.host_len, m.src_ip):
        memcpy(mark.received, b";received=", 10)
        memcpy(mark.received + 10, PyBytes_AS_STRING(m.src_ip), size)
        mark.received_size = 10 + <int>size
    if ask and 0 <= m.src_port <= 65535:
        memcpy(mark.rport, b";rport=", 7)
        mark.rport_size = 7 + put_number(mark.rport + 7, m.src_port)
    return mark.received_size > 0 or mark.rport_size > 0


cdef inline int put_mark(Op* op, int start, int end, int place, const char* text, int size) noexcept nogil:
    """One operation: over what stands at `start`, or at `place` if that is negative; 0 if there is nothing to say."""
    if size == 0:
        return 0
    if start >= 0:
        set_op(op, start, end - start, text, size)
    else:
        set_op(op, place, 0, text, size)
    return 1


cdef int mark_ops(Message m, Mark* mark, int place, Op* ops) noexcept:
    """Write the mark into the top Via; returns how many operations. What is new goes to `place`, rport first."""
    cdef ViaSpan* v = &m.via_span
    cdef int n = 0
    if v.rport < 0:
        n = put_mark(&ops[0], -1, -1, place, mark.rport, mark.rport_size)
    n += put_mark(&ops[n], v.received_start, v.received_end, place, mark.received, mark.received_size)
    if v.rport >= 0:
        n += put_mark(&ops[n], v.rport_start, v.rport_end, place, mark.rport, mark.rport_size)
    return n


cdef int status_op(Message m, char* room, Op* op) except -1:
    """The operation that writes a status code which a script changed; returns how many (0 or 1)."""
    cdef int place = m.method_len + 1
    if m.is_request or number(m.p, place, place + 3, 699) == m.status:
        return 0
    if not 100 <= m.status <= 699:
        raise ValueError("a status code is a number from 100 to 699")
    set_op(op, place, 3, room, put_number(room, m.status))
    return 1


cdef bytes response_of(Message m, bint stream):
    cdef Op own[OWN_OPS]
    cdef char length_room[48]
    cdef char status_room[24]
    cdef int n
    cdef Slot* s
    cdef ViaSpan* top
    if m.is_request:
        raise ValueError("not a response")
    top = m.top_via()
    s = &m.slots[m.first[H_VIA]]
    if top.next >= 0:
        n = skip_ws(m.p, top.next, s.body_end)
        set_op(&own[0], top.start, n - top.start, b"", 0)
    else:
        set_op(&own[0], s.start, s.end - s.start, b"", 0)
    n = 1 + status_op(m, status_room, &own[1])
    n += length_op(m, stream, length_room, &own[n])
    return assemble(m, own, n, 0)


cdef bytes plain_of(Message m):
    cdef Op own[OWN_OPS]
    cdef char length_room[48]
    cdef char status_room[24]
    cdef int n = 0
    if m._uri is not None and m.is_request:
        set_op(&own[0], m.uri_start, m.uri_end - m.uri_start, PyBytes_AS_STRING(m._uri), PyBytes_GET_SIZE(m._uri))
        n = 1
    n += status_op(m, status_room, &own[n])
    n += length_op(m, False, length_room, &own[n])
    return assemble(m, own, n, 0)
