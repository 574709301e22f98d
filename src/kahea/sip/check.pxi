# Full validity of a received message (RFC 3261 §7, §8.1.1, §20; RFC 4475 shows what goes wrong).


cdef inline const char* required(Message m, int kind, const char* missing, const char* repeated) noexcept nogil:
    """NULL if there is exactly one such field, and it has a body."""
    cdef int i = m.first[kind]
    if i < 0 or m.slots[i].body_end <= m.slots[i].body:
        return missing
    return repeated if m.slots[i].next >= 0 and not repeats_accepted else NULL


cdef const char* check_mandatory(Message m) noexcept nogil:
    cdef const char* wrong
    if m.first[H_VIA] < 0:
        return b"Missing Via"
    wrong = required(m, H_FROM, b"Missing From", b"Repeated From")
    if wrong == NULL:
        wrong = required(m, H_TO, b"Missing To", b"Repeated To")
    if wrong == NULL:
        wrong = required(m, H_CALLID, b"Missing Call-ID", b"Repeated Call-ID")
    if wrong == NULL:
        wrong = required(m, H_CSEQ, b"Missing CSeq", b"Repeated CSeq")
    return wrong


cdef inline bint is_repeated(Message m, int kind) noexcept nogil:
    cdef int i = m.first[kind]
    return i >= 0 and m.slots[i].next >= 0


cdef const char* check_single(Message m) noexcept nogil:
    """Fields that must not stand twice, since each reader would take another one."""
    if is_repeated(m, H_MAXFORWARDS):
        return b"Repeated Max-Forwards"
    if is_repeated(m, H_CONTENTLENGTH):
        return b"Repeated Content-Length"
    if is_repeated(m, H_CONTENTTYPE):
        return b"Repeated Content-Type"
    if is_repeated(m, H_EXPIRES):
        return b"Repeated Expires"
    if is_repeated(m, H_EVENT):
        return b"Repeated Event"
    if is_repeated(m, H_REFERTO):
        return b"Repeated Refer-To"
    if is_repeated(m, H_REPLACES):
        return b"Repeated Replaces"
    if is_repeated(m, H_SESSIONEXPIRES):
        return b"Repeated Session-Expires"
    return NULL


cdef inline bint fits(Message m, int kind, long long limit) noexcept nogil:
    """Whether the field, if there, is a number up to the limit."""
    cdef int i = m.first[kind]
    return i < 0 or number(m.p, m.slots[i].body, m.slots[i].body_end, limit) >= 0


cdef const char* check_numbers(Message m) noexcept nogil:
    cdef int i = m.first[H_CONTENTLENGTH]
    if not fits(m, H_MAXFORWARDS, 255):
        return b"Bad Max-Forwards"
    if not fits(m, H_EXPIRES, 4294967295):
        return b"Bad Expires"
    if not fits(m, H_CONTENTLENGTH, MAX_LENGTH):
        return b"Bad Content-Length"
    if i >= 0:
        if number(m.p, m.slots[i].body, m.slots[i].body_end, MAX_LENGTH) > m.size - m.body_start:
            return b"Content-Length Beyond Message"
    return NULL


cdef const char* check_cseq(Message m) noexcept nogil:
    cdef long long n
    cdef int method, end
    cdef const char* wrong = scan_cseq(m, &n, &method, &end)
    if wrong != NULL or not m.is_request:
        return wrong
    if end - method != m.method_len or memcmp(m.p + method, m.p, m.method_len) != 0:
        return b"CSeq Method Mismatch"
    return NULL


cdef const char* check_vias(Message m) noexcept nogil:
    cdef ViaSpan via
    cdef const char* wrong
    cdef int i = m.first[H_VIA], pos
    while i >= 0:
        pos = m.slots[i].body
        while pos >= 0:
            wrong = scan_via(m.p, pos, m.slots[i].body_end, &via)
            if wrong != NULL:
                return wrong
            if not m.via_read:
                m.via_span = via
                m.via_read = True
            pos = via.next
        i = m.slots[i].next
    return NULL


cdef const char* check_party(Message m, int kind) noexcept nogil:
    """From or To: one address, with a scheme."""
    cdef AddrSpan* addr = &m.to_span if kind == H_TO else &m.from_span
    cdef Slot* s = &m.slots[m.first[kind]]
    cdef const char* wrong = scan_addr(m.p, s.body, s.body_end, True, addr)
    if wrong != NULL:
        return wrong
    if addr.next >= 0:
        return b"More Than One Address"
    if kind == H_TO:
        m.to_read = True
    else:
        m.from_read = True
    if find(m.p, addr.uri, addr.uri + addr.uri_len, 58) <= addr.uri:
        return b"No Scheme in Address"
    return NULL


cdef const char* check_names(Message m) noexcept nogil:
    """Header names are tokens, and no carriage return stands alone in the headers."""
    cdef int i, end
    cdef Slot* s
    for i in range(m.header_count):
        s = &m.slots[i]
        end = s.start + s.name_len
        if s.kind == H_OTHER and skip_class(m.p, s.start, end, KH_TOKEN | KH_NAME) != end:
            return b"Bad Header Name"
    i = find(m.p, 0, m.headers_end, 13)
    while i >= 0:
        if at(m.p, i + 1, m.size) != 10:
            return b"Bad Line End"
        i = find(m.p, i + 2, m.headers_end, 13)
    return NULL


cdef int check_version(Message m, int start, int end) except -1:
    """505 for another version of SIP, 400 for what is no version."""
    cdef chars p = m.p
    cdef int i
    if is_word(p + start, end - start, b"SIP/2.0", 7):
        return 0
    if http_accepted and start == 0 and end - start == 8 and is_word(p, 7, b"HTTP/1.", 7):
        return 0
    if end - start > 4 and is_word(p + start, 4, b"SIP/", 4):
        i = start + 4
        while 48 <= at(p, i, end) <= 57:
            i += 1
        if i > start + 4 and at(p, i, end) == 46 and number(p, i + 1, end, 1 << 30) >= 0:
            raise ParseError("Version Not Supported", 505, start)
    raise bad(b"Bad SIP Version", start)


cdef int check_request_line(Message m) except -1:
    cdef UriSpan uri
    cdef const char* wrong
    check_version(m, m.uri_end + 1, m.version_end)
    if skip_class(m.p, 0, m.method_len, KH_TOKEN) != m.method_len:
        raise bad(b"Bad Method", 0)
    if m.uri_end - m.uri_start > 4096:
        raise ParseError("Request-URI Too Long", 414, m.uri_start)
    if m.uri_end <= m.uri_start:
        raise bad(b"Bad Request Line", 0)
    wrong = scan_uri(m.p + m.uri_start, m.uri_end - m.uri_start, &uri)
    if wrong != NULL:
        raise bad(wrong, m.uri_start)
    if uri.scheme == S_OTHER:
        raise ParseError("Unsupported URI Scheme", 416, m.uri_start)
    if uri.headers_len:
        raise bad(b"Headers in Request-URI", m.uri_start)
    return 0


cdef int check_basics(Message m) except -1:
    """What a message must have to be routed at all, and to be answered (RFC 3261 §8.1.1 without the fine print)."""
    cdef const char* wrong
    cdef long long n
    cdef int method, end
    check_version(m, m.uri_end + 1 if m.is_request else 0, m.version_end if m.is_request else m.method_len)
    wrong = check_mandatory(m)
    if wrong == NULL and not fits(m, H_CONTENTLENGTH, MAX_LENGTH):
        wrong = b"Bad Content-Length"
    if wrong == NULL and not m.is_request:
        wrong = scan_cseq(m, &n, &method, &end)
    if wrong == NULL:
        wrong = check_vias(m)
    if wrong == NULL:
        wrong = check_party(m, H_TO)
    if wrong == NULL and m.unterminated:
        wrong = b"Headers Without End"
    if wrong != NULL:
        raise bad(wrong, -1)
    return 0


cdef int check_message(Message m) except -1:
    cdef const char* wrong
    if m.is_request:
        check_request_line(m)
    else:
        check_version(m, 0, m.method_len)
    wrong = check_names(m)
    if wrong == NULL:
        wrong = check_mandatory(m)
    if wrong == NULL:
        wrong = check_single(m)
    if wrong == NULL:
        wrong = check_numbers(m)
    if wrong == NULL:
        wrong = check_cseq(m)
    if wrong == NULL:
        wrong = check_vias(m)
    if wrong == NULL:
        wrong = check_party(m, H_FROM)
    if wrong == NULL:
        wrong = check_party(m, H_TO)
    if wrong == NULL and m.unterminated:
        wrong = b"Headers Without End"
    if wrong != NULL:
        raise bad(wrong, -1)
    return 0
