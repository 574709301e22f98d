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
    if not stream and not m._body_edited:
        return 0
    memcpy(room, b"Content-Length: ", 16)
    i = 16 + put_number(room + 16, size)
    memcpy(room + i, b"\r\n", 2)
    set_op(op, m.headers_end, 0, room, i + 2)
    return 1


cdef bytes request_of(Message m, bytes uri, bytes via, bytes extra, bint stream):
    cdef Op own[OWN_OPS]
    cdef char length_room[48]
    cdef int n = 0, size, place = m.line_end
    cdef bytes mark
    if not m.is_request:
        raise ValueError("not a request")
    size = m.uri_end - m.uri_start
    if PyBytes_GET_SIZE(uri) != size or memcmp(PyBytes_AS_STRING(uri), m.p + m.uri_start, size) != 0:
        set_op(&own[n], m.uri_start, size, PyBytes_AS_STRING(uri), PyBytes_GET_SIZE(uri))
        n += 1
    if m.first[H_VIA] >= 0:
        place = m.slots[m.first[H_VIA]].start
    set_op(&own[n], place, 0, PyBytes_AS_STRING(via), PyBytes_GET_SIZE(via))
    n += 1
    if PyBytes_GET_SIZE(extra):
        set_op(&own[n], place, 0, PyBytes_AS_STRING(extra), PyBytes_GET_SIZE(extra))
        n += 1
    mark = received_mark(m)
    if mark is not None:
        n += mark_ops(m, mark, &own[n])
    n += length_op(m, stream, length_room, &own[n])
    return assemble(m, own, n, 0)


cdef bytes received_mark(Message m):
    """What to say of the sender in its Via: `;received=..` and `;rport=..` (RFC 3261 §18.2.1, RFC 3581); or None."""
    cdef Via via
    cdef bytes mark
    cdef bint ask
    if m.first[H_VIA] < 0 or PyBytes_GET_SIZE(m.src_ip) == 0:
        return None
    try:
        via = m.get_via1()
    except ParseError:
        return None
    ask = via.span.rport >= 0 or m.force_rport
    if not ask and via.span.received < 0 and same_host(m.p + via.span.host, via.span.host_len, m.src_ip):
        return None
    mark = b";received=" + m.src_ip
    return mark + b";rport=%d" % m.src_port if ask else mark


cdef bint same_host(chars host, int n, bytes ip) noexcept:
    """Whether a Via's host is this address."""
    if n > 2 and host[0] == 91:
        host += 1
        n -= 2
    return n == PyBytes_GET_SIZE(ip) and same_text(host, <chars>PyBytes_AS_STRING(ip), n)


cdef int mark_ops(Message m, bytes mark, Op* ops) noexcept:
    """Put the mark behind host and port of the top Via, in place of earlier ones; returns how many."""
    cdef Via via = m._via1
    cdef int n = 1
    set_op(&ops[0], via.span.sent_by_end, 0, PyBytes_AS_STRING(mark), PyBytes_GET_SIZE(mark))
    if via.span.received >= 0:
        set_op(&ops[n], via.span.received_start, via.span.received_end - via.span.received_start, b"", 0)
        n += 1
    if via.span.rport >= 0:
        set_op(&ops[n], via.span.rport_start, via.span.rport_end - via.span.rport_start, b"", 0)
        n += 1
    return n


cdef bytes response_of(Message m, bint stream):
    cdef Op own[OWN_OPS]
    cdef char length_room[48]
    cdef int n = 1
    cdef Slot* s
    cdef Via top = m.get_via1()
    if m.is_request:
        raise ValueError("not a response")
    s = &m.slots[m.first[H_VIA]]
    if top.span.next >= 0:
        n = skip_ws(m.p, top.span.next, s.body_end)
        set_op(&own[0], top.span.start, n - top.span.start, b"", 0)
    else:
        set_op(&own[0], s.start, s.end - s.start, b"", 0)
    n = 1 + length_op(m, stream, length_room, &own[1])
    return assemble(m, own, n, 0)


cdef bytes plain_of(Message m):
    cdef Op own[OWN_OPS]
    cdef char length_room[48]
    cdef int n = 0
    if m._uri is not None and m.is_request:
        set_op(&own[0], m.uri_start, m.uri_end - m.uri_start, PyBytes_AS_STRING(m._uri), PyBytes_GET_SIZE(m._uri))
        n = 1
    n += length_op(m, False, length_room, &own[n])
    return assemble(m, own, n, 0)
