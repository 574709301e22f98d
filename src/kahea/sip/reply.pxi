# Building a reply to a request (RFC 3261 §8.2.6).


cdef bytes field_of(Message m, Slot* s):
    """A header field as received, ended by a line end."""
    return piece(m, s.start, s.end)


cdef bytes top_via_of(Message m, Slot* s):
    """The first Via field with what we saw of its sender."""
    cdef bytes mark = received_mark(m)
    cdef Op ops[OWN_OPS]
    cdef int i, n, here
    cdef list out = []
    cdef Op moved
    if mark is None:
        return field_of(m, s)
    n = mark_ops(m, mark, ops)
    if n == 3 and ops[1].offset > ops[2].offset:
        moved = ops[1]
        ops[1] = ops[2]
        ops[2] = moved
    here = s.start
    for i in range(n):
        out.append(piece(m, here, ops[i].offset))
        out.append(ops[i].data[: ops[i].size])
        here = ops[i].offset + ops[i].cut
    out.append(piece(m, here, s.end))
    return b"".join(out)


cdef bytes tagged_to(Message m, Slot* s, bytes to_tag):
    """The To field, with our tag if it has none. What does not parse is sent back as it came."""
    if PyBytes_GET_SIZE(to_tag) == 0:
        return field_of(m, s)
    try:
        if m.get_to().span.tag >= 0:
            return field_of(m, s)
    except ParseError:
        return field_of(m, s)
    return piece(m, s.start, s.body_end) + b";tag=" + to_tag + piece(m, s.body_end, s.end)


cdef bytes reply_of(Message m, int status, bytes reason, bytes to_tag, bytes extra, bytes body, bytes server):
    cdef list out
    cdef Slot* s
    cdef int i, kind
    cdef bint routes = 180 <= status < 300
    cdef bytes line
    if not m.is_request:
        raise ValueError("a reply is made to a request")
    if not 100 <= status <= 699:
        raise ValueError("a status code is a number from 100 to 699")
    out = [b"SIP/2.0 %d %b\r\n" % (status, reason)]
    for i in range(m.header_count):
        s = &m.slots[i]
        kind = s.kind
        if kind == H_VIA:
            out.append(top_via_of(m, s) if i == m.first[H_VIA] else field_of(m, s))
        elif kind == H_TO:
            out.append(tagged_to(m, s, to_tag))
        elif kind == H_FROM or kind == H_CALLID or kind == H_CSEQ or (kind == H_RECORDROUTE and routes):
            out.append(field_of(m, s))
    if m._reply_edits:
        out.extend(m._reply_edits)
    out.append(extra)
    if m.reply_body is not None and not body:
        line, body = m.reply_body
        out.append(b"Content-Type: %b\r\n" % line)
    out.append(server)
    out.append(b"Content-Length: %d\r\n\r\n" % len(body))
    out.append(body)
    return b"".join(out)
