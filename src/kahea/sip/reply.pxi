# Building a reply to a request (RFC 3261 §8.2.6). Written twice: once to count, once into bytes of that size.


cdef struct Sink:
    char* out  # NULL while counting
    Py_ssize_t size


cdef inline void put(Sink* sink, const char* data, Py_ssize_t n) noexcept nogil:
    if sink.out != NULL:
        memcpy(sink.out + sink.size, data, n)
    sink.size += n


cdef inline void put_bytes(Sink* sink, bytes data) noexcept:
    put(sink, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


cdef inline void put_raw(Sink* sink, Message m, int start, int end) noexcept:
    put(sink, <const char*>m.p + start, end - start)


cdef void put_number_to(Sink* sink, long long n) noexcept nogil:
    cdef char digits[24]
    put(sink, digits, put_number(digits, n))


cdef void put_top_via(Sink* sink, Message m, Slot* s, bytes more) noexcept:
    """The first Via field with what we saw of its sender, and `more`, behind the parameters of its first value."""
    cdef Mark mark
    cdef Op ops[OWN_OPS]
    cdef Op moved
    cdef int i, n = 0, here = s.start
    if mark_sender_quietly(m, &mark):
        n = mark_ops(m, &mark, m.via_span.end, ops)
    if n == 2 and ops[0].offset > ops[1].offset:
        moved = ops[0]
        ops[0] = ops[1]
        ops[1] = moved
    if more is not None and has_top_via(m):
        set_op(&ops[n], m.via_span.end, 0, PyBytes_AS_STRING(more), PyBytes_GET_SIZE(more))
        n += 1
    for i in range(n):
        put_raw(sink, m, here, ops[i].offset)
        put(sink, ops[i].data, ops[i].size)
        here = ops[i].offset + ops[i].cut
    put_raw(sink, m, here, s.end)


cdef bint has_top_via(Message m) noexcept:
    """Whether the top Via parses; its place is then in `via_span`."""
    try:
        m.top_via()
    except ParseError:
        return False
    return True


cdef bint mark_sender_quietly(Message m, Mark* mark) noexcept:
    try:
        return mark_sender(m, mark)
    except MemoryError:
        return False


cdef bint lacks_tag(Message m) noexcept:
    """Whether To parses and has no tag. What does not parse is sent back as it came."""
    try:
        return m.to_addr().tag < 0
    except ParseError:
        return False


cdef void put_to(Sink* sink, Message m, Slot* s, bytes to_tag) noexcept:
    """The To field, with our tag at the end of its line if it has none."""
    cdef int end = s.end
    if PyBytes_GET_SIZE(to_tag) == 0 or not lacks_tag(m):
        put_raw(sink, m, s.start, s.end)
        return
    while end > s.start and (m.p[end - 1] == 10 or m.p[end - 1] == 13):
        end -= 1
    put_raw(sink, m, s.start, end)
    put(sink, b";tag=", 5)
    put_bytes(sink, to_tag)
    put_raw(sink, m, end, s.end)


cdef int write_reply(
    Sink* sink, Message m, int status, bytes reason, bytes to_tag, bytes extra, bytes kind, bytes body, bytes server,
    bytes of_via
) except -1:
    cdef Slot* s
    cdef int i
    cdef bytes line
    cdef bint routes = 180 <= status < 300
    put(sink, b"SIP/2.0 ", 8)
    put_number_to(sink, status)
    put(sink, b" ", 1)
    put_bytes(sink, reason)
    put(sink, b"\r\n", 2)
    for i in range(m.header_count):
        s = &m.slots[i]
        if s.kind == H_VIA and i == m.first[H_VIA]:
            put_top_via(sink, m, s, of_via)
        elif s.kind == H_TO:
            put_to(sink, m, s, to_tag)
        elif (
            s.kind == H_VIA
            or s.kind == H_FROM
            or s.kind == H_CALLID
            or s.kind == H_CSEQ
            or (routes and s.kind == H_RECORDROUTE)
        ):
            put_raw(sink, m, s.start, s.end)
    if m._reply_edits is not None:
        for line in m._reply_edits:
            if line is None:
                raise TypeError("bytes expected, not None")
            put_bytes(sink, line)
    if kind is not None:
        put(sink, b"Content-Type: ", 14)
        put_bytes(sink, kind)
        put(sink, b"\r\n", 2)
    put_bytes(sink, extra)
    put_bytes(sink, server)
    put(sink, b"Content-Length: ", 16)
    put_number_to(sink, PyBytes_GET_SIZE(body))
    put(sink, b"\r\n\r\n", 4)
    put_bytes(sink, body)
    return 0


cdef bytes reply_of(Message m, int status, bytes reason, bytes to_tag, bytes extra, bytes body, bytes server):
    cdef Sink sink
    cdef bytes out, kind = None, of_via = None
    if not m.is_request:
        raise ValueError("a reply is made to a request")
    if not 100 <= status <= 699:
        raise ValueError("a status code is a number from 100 to 699")
    if reason is None or to_tag is None or extra is None or body is None or server is None:
        raise TypeError("bytes expected, not None")
    if status < 180:
        to_tag = b""  # as in Kamailio: no dialog begins before 180
    if m.reply_body is not None and PyBytes_GET_SIZE(body) == 0:
        kind, body = m.reply_body
        if kind is None or body is None:
            raise TypeError("bytes expected, not None")
    if m.reply_via is not None:
        of_via = m.reply_via(m)
    sink.out = NULL
    sink.size = 0
    write_reply(&sink, m, status, reason, to_tag, extra, kind, body, server, of_via)
    out = PyBytes_FromStringAndSize(NULL, sink.size)
    sink.out = PyBytes_AS_STRING(out)
    sink.size = 0
    write_reply(&sink, m, status, reason, to_tag, extra, kind, body, server, of_via)
    return out
