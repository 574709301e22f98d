# Method and header names to numbers: by length, then by name, in any case for headers (RFC 3261 §7.3.1).


cdef inline bint eq(chars p, int n, const char* word) noexcept nogil:
    return same_text(p, <chars>word, n)


cdef int method_of(chars p, int n) noexcept nogil:
    """The method's bit; methods are case-sensitive (RFC 3261 §7.1)."""
    if n == 3:
        if memcmp(p, b"ACK", 3) == 0:
            return M_ACK
        if memcmp(p, b"BYE", 3) == 0:
            return M_BYE
    elif n == 4:
        if memcmp(p, b"INFO", 4) == 0:
            return M_INFO
    elif n == 5:
        if memcmp(p, b"PRACK", 5) == 0:
            return M_PRACK
        if memcmp(p, b"REFER", 5) == 0:
            return M_REFER
    elif n == 6:
        if memcmp(p, b"INVITE", 6) == 0:
            return M_INVITE
        if memcmp(p, b"CANCEL", 6) == 0:
            return M_CANCEL
        if memcmp(p, b"NOTIFY", 6) == 0:
            return M_NOTIFY
        if memcmp(p, b"UPDATE", 6) == 0:
            return M_UPDATE
    elif n == 7:
        if memcmp(p, b"OPTIONS", 7) == 0:
            return M_OPTIONS
        if memcmp(p, b"MESSAGE", 7) == 0:
            return M_MESSAGE
        if memcmp(p, b"PUBLISH", 7) == 0:
            return M_PUBLISH
    elif n == 8:
        if memcmp(p, b"REGISTER", 8) == 0:
            return M_REGISTER
    elif n == 9:
        if memcmp(p, b"SUBSCRIBE", 9) == 0:
            return M_SUBSCRIBE
    return M_OTHER


cdef int compact_kind(int c) noexcept nogil:
    """Kind of a compact form (IANA's SIP header registry)."""
    c = lower(c)
    if c == 118:  # v
        return H_VIA
    if c == 102:  # f
        return H_FROM
    if c == 116:  # t
        return H_TO
    if c == 105:  # i
        return H_CALLID
    if c == 109:  # m
        return H_CONTACT
    if c == 108:  # l
        return H_CONTENTLENGTH
    if c == 99:  # c
        return H_CONTENTTYPE
    if c == 107:  # k
        return H_SUPPORTED
    if c == 115:  # s
        return H_SUBJECT
    if c == 111:  # o
        return H_EVENT
    if c == 101:  # e
        return H_CONTENTENCODING
    if c == 114:  # r
        return H_REFERTO
    if c == 98:  # b
        return H_REFERREDBY
    if c == 120:  # x
        return H_SESSIONEXPIRES
    if c == 121:  # y
        return H_IDENTITY
    return H_OTHER


cdef int kind_of(chars p, int n) noexcept nogil:
    """Kind of a header name of n bytes."""
    if n == 1:
        return compact_kind(p[0])
    if n == 2:
        return H_TO if eq(p, 2, b"To") else H_OTHER
    if n == 3:
        return H_VIA if eq(p, 3, b"Via") else H_OTHER
    if n == 4:
        if eq(p, 4, b"From"):
            return H_FROM
        if eq(p, 4, b"CSeq"):
            return H_CSEQ
        if eq(p, 4, b"Path"):
            return H_PATH
        if eq(p, 4, b"Date"):
            return H_DATE
    elif n == 5:
        if eq(p, 5, b"Route"):
            return H_ROUTE
        if eq(p, 5, b"Allow"):
            return H_ALLOW
        if eq(p, 5, b"Event"):
            return H_EVENT
    elif n == 6:
        if eq(p, 6, b"Accept"):
            return H_ACCEPT
        if eq(p, 6, b"Server"):
            return H_SERVER
        if eq(p, 6, b"Min-SE"):
            return H_MINSE
    elif n == 7:
        if eq(p, 7, b"Call-ID"):
            return H_CALLID
        if eq(p, 7, b"Contact"):
            return H_CONTACT
        if eq(p, 7, b"Expires"):
            return H_EXPIRES
        if eq(p, 7, b"Require"):
            return H_REQUIRE
        if eq(p, 7, b"Subject"):
            return H_SUBJECT
        if eq(p, 7, b"Privacy"):
            return H_PRIVACY
    elif n == 8:
        if eq(p, 8, b"Refer-To"):
            return H_REFERTO
        if eq(p, 8, b"Identity"):
            return H_IDENTITY
        if eq(p, 8, b"Replaces"):
            return H_REPLACES
    elif n == 9:
        if eq(p, 9, b"Supported"):
            return H_SUPPORTED
        if eq(p, 9, b"Diversion"):
            return H_DIVERSION
    elif n == 10:
        return H_USERAGENT if eq(p, 10, b"User-Agent") else H_OTHER
    elif n == 11:
        if eq(p, 11, b"Unsupported"):
            return H_UNSUPPORTED
        if eq(p, 11, b"Retry-After"):
            return H_RETRYAFTER
        if eq(p, 11, b"Min-Expires"):
            return H_MINEXPIRES
        if eq(p, 11, b"Referred-By"):
            return H_REFERREDBY
    elif n == 12:
        if eq(p, 12, b"Max-Forwards"):
            return H_MAXFORWARDS
        if eq(p, 12, b"Content-Type"):
            return H_CONTENTTYPE
        if eq(p, 12, b"Record-Route"):
            return H_RECORDROUTE
        if eq(p, 12, b"SIP-If-Match"):
            return H_SIPIFMATCH
    elif n == 13:
        if eq(p, 13, b"Authorization"):
            return H_AUTHORIZATION
        if eq(p, 13, b"Proxy-Require"):
            return H_PROXYREQUIRE
    elif n == 14:
        return H_CONTENTLENGTH if eq(p, 14, b"Content-Length") else H_OTHER
    elif n == 15:
        if eq(p, 15, b"Session-Expires"):
            return H_SESSIONEXPIRES
        if eq(p, 15, b"Remote-Party-ID"):
            return H_RPID
    elif n == 16:
        if eq(p, 16, b"Content-Encoding"):
            return H_CONTENTENCODING
        if eq(p, 16, b"WWW-Authenticate"):
            return H_WWWAUTHENTICATE
    elif n == 18:
        return H_PROXYAUTHENTICATE if eq(p, 18, b"Proxy-Authenticate") else H_OTHER
    elif n == 19:
        if eq(p, 19, b"Proxy-Authorization"):
            return H_PROXYAUTHORIZATION
        if eq(p, 19, b"P-Asserted-Identity"):
            return H_PAI
        if eq(p, 19, b"Content-Disposition"):
            return H_CONTENTDISPOSITION
    elif n == 20:
        return H_PPI if eq(p, 20, b"P-Preferred-Identity") else H_OTHER
    return H_OTHER
