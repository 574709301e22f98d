# Indexing: the first line and all header fields, in one pass.

cdef Slot scratch[HEADER_CAP]
cdef short scratch_last[KINDS]  # the last field of each kind so far


cdef Message index_message(bytes data):
    """The Message of `data` (see `parse`)."""
    cdef Message m
    cdef Py_ssize_t n
    cdef int lead = 0
    cdef chars p
    if data is None:
        raise TypeError("bytes expected, not None")
    n = PyBytes_GET_SIZE(data)
    if n > <Py_ssize_t>MAX_MESSAGE or n > SPAN_LIMIT:
        raise ParseError("Message Too Large", 513)
    p = <chars>PyBytes_AS_STRING(data)
    while at(p, lead, <int>n) == 13 or at(p, lead, <int>n) == 10:
        lead += 1  # RFC 3261 §7.5: empty lines before the first one
    if lead:
        data = PyBytes_FromStringAndSize(<const char*>p + lead, n - lead)
    m = Message.__new__(Message)
    m.raw = data
    m.p = <chars>PyBytes_AS_STRING(data)
    m.size = <int>(n - lead)
    index_first_line(m)
    index_headers(m)
    index_body(m)
    if not m.is_request:
        m.method_id = cseq_method_id(m)
    return m


cdef int index_first_line(Message m) except -1:
    cdef chars p = m.p
    cdef int end = find(p, 0, m.size, 10), i
    if end < 0:
        raise bad(b"No First Line", 0)
    m.line_end = end + 1
    if at(p, end - 1, m.size) == 13:
        end -= 1
    m.version_end = end
    if end > 4 and memcmp(p, b"SIP/", 4) == 0 or http_accepted and end > 7 and memcmp(p, b"HTTP/1.", 7) == 0:
        return index_status_line(m, end)
    m.is_request = True
    i = find(p, 0, end, 32)
    if i <= 0:
        raise bad(b"Bad Request Line", 0)
    m.method_len = i
    m.method_id = method_of(p, i)
    m.uri_start = i + 1
    # The last space splits off the version, so that a URI with spaces in it can still be answered.
    i = end - 1
    while i > m.method_len and p[i] != 32:
        i -= 1
    if i <= m.method_len:
        raise bad(b"Bad Request Line", 0)
    m.uri_end = i
    return 0


cdef int index_status_line(Message m, int end) except -1:
    cdef chars p = m.p
    cdef int i = find(p, 0, end, 32)
    m.method_len = i
    if i < 0:
        raise bad(b"Bad Status Line", 0)
    m.status = <int>number(p, i + 1, min(i + 4, end), 699)
    if m.status < 100 or end < i + 4 or (end > i + 4 and p[i + 4] != 32):
        raise bad(b"Bad Status Code", i)
    m.uri_start = min(i + 5, end)
    m.uri_end = end
    return 0


cdef int index_headers(Message m) except -1:
    cdef chars p = m.p
    cdef int pos = m.line_end, size = m.size, line, stop, colon, count = 0, kind, i
    cdef int limit = min(<int>MAX_HEADERS, HEADER_CAP)
    cdef Slot* s
    memset(m.first, 0xff, sizeof(m.first))
    memset(scratch_last, 0xff, sizeof(scratch_last))
    while pos < size:
        if p[pos] == 10:
            break
        if p[pos] == 13 and at(p, pos + 1, size) == 10:
            break
        if count >= limit:
            raise ParseError("Too Many Headers", 513, pos)
        s = &scratch[count]
        s.start = <unsigned short>pos
        line = end_of_line(p, pos, size)
        colon = pos
        while colon < line and p[colon] != 58 and p[colon] != 10:
            colon += 1
        if colon >= line or p[colon] != 58:
            raise bad(b"Header Without Colon", pos)
        s.name_len = <unsigned short>(trim_end(p, pos, colon) - pos)
        if s.name_len == 0 or is_in(p[pos], KH_WS):
            raise bad(b"Bad Header Name", pos)
        s.end = <unsigned short>line
        # An empty body lies before the line end, so that an edit of it stays on its line.
        stop = line - 1 if p[line - 1] == 10 else line
        if p[stop - 1] == 13:
            stop -= 1
        s.body = <unsigned short>skip_ws(p, colon + 1, stop)
        s.body_end = <unsigned short>trim_end(p, s.body, stop)
        kind = kind_of(p + pos, s.name_len)
        s.kind = <short>kind
        s.next = -1
        i = scratch_last[kind]
        if i >= 0:
            scratch[i].next = <short>count
        else:
            m.first[kind] = <short>count
        scratch_last[kind] = <short>count
        count += 1
        pos = line
    m.header_count = count
    m.headers_end = pos
    if pos >= size:
        complete(m, count)
    m.slots = <Slot*>PyMem_Malloc(sizeof(Slot) * (count + 1))
    if m.slots == NULL:
        raise MemoryError()
    memcpy(m.slots, scratch, sizeof(Slot) * count)
    return 0


cdef int complete(Message m, int count) except -1:
    """Supply the missing end of the headers, so that a reply can be built like any other; `check` refuses it."""
    if m.size > SPAN_LIMIT - 4:
        raise ParseError("Message Too Large", 513)
    m.unterminated = True
    if m.p[m.size - 1] != 10:
        m.raw += b"\r\n"
        m.headers_end += 2
        if count:
            scratch[count - 1].end = <unsigned short>m.headers_end
    m.raw += b"\r\n"
    m.p = <chars>PyBytes_AS_STRING(m.raw)
    m.size = <int>PyBytes_GET_SIZE(m.raw)
    return 0


cdef inline int end_of_line(chars p, int pos, int size) noexcept nogil:
    """Past the line at pos and its continuation lines."""
    cdef int c
    while True:
        pos = find(p, pos, size, 10) + 1
        if pos <= 0:
            return size
        c = at(p, pos, size)
        if c != 32 and c != 9:
            return pos


cdef int index_body(Message m) except -1:
    """Where the body lies; a Content-Length that can't be is left for `check` to refuse."""
    cdef int i = m.first[H_CONTENTLENGTH]
    cdef long long n
    m.body_start = m.headers_end + (1 if at(m.p, m.headers_end, m.size) == 10 else 2)
    m.body_end = m.size
    if i >= 0:
        n = number(m.p, m.slots[i].body, m.slots[i].body_end, MAX_LENGTH)
        if 0 <= n < m.size - m.body_start:
            m.body_end = m.body_start + <int>n
    return 0


cdef Message copy_index(Message m):
    """A second Message over the same bytes."""
    cdef Message other = Message.__new__(Message)
    other.raw = m.raw
    other.p = m.p
    other.size = m.size
    other.is_request = m.is_request
    other.method_id = m.method_id
    other.status = m.status
    other.header_count = m.header_count
    other.headers_end = m.headers_end
    other.body_start = m.body_start
    other.body_end = m.body_end
    other.line_end = m.line_end
    other.method_len = m.method_len
    other.uri_start = m.uri_start
    other.uri_end = m.uri_end
    other.version_end = m.version_end
    other.unterminated = m.unterminated
    memcpy(other.first, m.first, sizeof(m.first))
    other.slots = <Slot*>PyMem_Malloc(sizeof(Slot) * (m.header_count + 1))
    if other.slots == NULL:
        raise MemoryError()
    memcpy(other.slots, m.slots, sizeof(Slot) * m.header_count)
    other._method = m._method
    other._original_uri = m._original_uri
    other._callid = m._callid
    other._cseq = m._cseq
    other._cseq_method = m._cseq_method
    other.via_read = m.via_read
    other.via_span = m.via_span
    other.from_read = m.from_read
    other.from_span = m.from_span
    other.to_read = m.to_read
    other.to_span = m.to_span
    return other


cdef const char* scan_cseq(Message m, long long* n, int* method, int* end) noexcept nogil:
    """Number and method of the CSeq header, which must be there; NULL or what is wrong."""
    cdef Slot* s = &m.slots[m.first[H_CSEQ]]
    cdef int i = s.body
    while 48 <= at(m.p, i, s.body_end) <= 57:
        i += 1
    n[0] = number(m.p, s.body, i, MAX_CSEQ)
    if n[0] < 0:
        return b"Bad CSeq Number"
    if not is_in(at(m.p, i, s.body_end), KH_WS):
        return b"Bad CSeq"
    method[0] = skip_ws(m.p, i, s.body_end)
    end[0] = skip_class(m.p, method[0], s.body_end, KH_TOKEN)
    if end[0] == method[0] or end[0] != s.body_end:
        return b"Bad CSeq Method"
    return NULL


cdef int cseq_method_id(Message m) noexcept:
    """The CSeq's method; M_OTHER where there is none."""
    cdef long long n
    cdef int method, end
    if m.first[H_CSEQ] < 0 or scan_cseq(m, &n, &method, &end) != NULL:
        return M_OTHER
    return method_of(m.p + method, end - method)


cdef int single_addr(Message m, int kind, const char* missing, AddrSpan* addr) except -1:
    """Read the one address of From or To."""
    cdef int i = m.first[kind]
    cdef const char* wrong
    if i < 0:
        raise bad(missing, -1)
    wrong = scan_addr(m.p, m.slots[i].body, m.slots[i].body_end, True, addr)
    if wrong != NULL:
        raise bad(wrong, m.slots[i].body)
    if addr.next >= 0:
        raise bad(b"More Than One Address", addr.next)
    return 0
