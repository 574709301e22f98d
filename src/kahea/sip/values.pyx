"""Values of header fields: Via, name-addr, parameters and comma lists, as offsets into their text (RFC 3261 §20)."""

from libc.limits cimport INT_MAX
from libc.string cimport memcmp

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from kahea.sip.scan cimport (
    KH_HOST,
    KH_TOKEN,
    KH_WS,
    Param,
    at,
    chars,
    find,
    is_in,
    is_word,
    next_param,
    number,
    same_text,
    skip_class,
    skip_quoted,
    skip_ws,
    trim_end,
)

from kahea.sip.errors import ParseError


cdef object bad(const char* reason, int offset):
    """The ParseError for a C reason."""
    return ParseError(reason.decode("ascii"), 400, offset)


cdef inline chars text_of(bytes data) noexcept:
    return <chars>PyBytes_AS_STRING(data)


cdef inline bytes cut(bytes owner, int start, int size):
    """owner[start:start + size], refusing what does not lie inside."""
    if size <= 0:
        return b""
    if start < 0 or start + size > PyBytes_GET_SIZE(owner):
        raise IndexError("span outside of its text")
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(owner) + start, size)


cdef int size_of(bytes data) except -1:
    if data is None:
        raise TypeError("bytes expected, not None")
    if PyBytes_GET_SIZE(data) > INT_MAX - 16:
        raise ParseError("Too Large", 513)
    return <int>PyBytes_GET_SIZE(data)


cdef const char* scan_via(chars p, int pos, int end, ViaSpan* v) noexcept nogil:
    """Read one Via value from pos; `v.next` says where a further one starts."""
    cdef int i, got
    cdef Param par
    v.branch = v.received = v.rport = -1
    v.branch_len = v.received_len = v.rport_len = 0
    v.received_start = v.received_end = v.rport_start = v.rport_end = -1
    v.alias = 0
    v.port = 0
    v.next = -1
    i = skip_ws(p, pos, end)
    v.start = i
    if end - i > 8 and memcmp(p + i, b"SIP/2.0/", 8) == 0:
        i += 8
    else:
        pos = skip_class(p, i, end, KH_TOKEN)
        if not is_word(p + i, pos - i, b"SIP", 3):
            return b"Bad Via Protocol"
        i = skip_ws(p, pos, end)
        if at(p, i, end) != 47:
            return b"Bad Via Protocol"
        i = skip_ws(p, i + 1, end)
        pos = skip_class(p, i, end, KH_TOKEN)
        if not is_word(p + i, pos - i, b"2.0", 3):
            return b"Bad Via Version"
        i = skip_ws(p, pos, end)
        if at(p, i, end) != 47:
            return b"Bad Via Protocol"
        i = skip_ws(p, i + 1, end)
    pos = skip_class(p, i, end, KH_TOKEN)
    v.transport = i
    v.transport_len = pos - i
    if v.transport_len == 0 or not is_in(at(p, pos, end), KH_WS):
        return b"Bad Via Transport"
    i = skip_ws(p, pos, end)
    v.host = i
    if at(p, i, end) == 91:
        pos = find(p, i, end, 93) + 1
        if pos <= 0:
            return b"Bad Via Host"
    else:
        pos = skip_class(p, i, end, KH_HOST)
    v.host_len = pos - i
    if v.host_len == 0:
        return b"Bad Via Host"
    v.sent_by_end = pos
    i = skip_ws(p, pos, end)
    if at(p, i, end) == 58:
        i = skip_ws(p, i + 1, end)
        pos = i
        while 48 <= at(p, pos, end) <= 57:
            pos += 1
        v.port = <int>number(p, i, pos, 65535)
        if v.port <= 0:
            return b"Bad Via Port"
        v.sent_by_end = pos
        i = pos
    v.end = v.sent_by_end
    v.params = -1
    while True:
        got = next_param(p, &i, end, &par)
        if got < 0:
            return b"Bad Via Parameter"
        if got == 0:
            break
        if v.params < 0:
            v.params = par.start
        v.end = par.end
        if is_word(p + par.name, par.name_len, b"branch", 6):
            if v.branch < 0:
                v.branch = par.value
                v.branch_len = par.value_len
                if par.value_len < 0:
                    return b"Bad Via Branch"
        elif is_word(p + par.name, par.name_len, b"received", 8):
            if v.received < 0:
                v.received = par.value
                v.received_len = par.value_len if par.value_len > 0 else 0
                v.received_start = par.start
                v.received_end = par.end
        elif is_word(p + par.name, par.name_len, b"rport", 5):
            if v.rport < 0:
                v.rport = par.value
                v.rport_len = par.value_len if par.value_len > 0 else 0
                v.rport_start = par.start
                v.rport_end = par.end
        elif is_word(p + par.name, par.name_len, b"alias", 5):
            v.alias = 1
    if v.params < 0:
        v.params = v.end
    if i < end:
        if at(p, i, end) != 44:
            return b"Bad Via"
        v.next = i + 1
    return NULL


cdef const char* scan_addr(chars p, int pos, int end, bint single, AddrSpan* a) noexcept nogil:
    """Read one name-addr or addr-spec with its header parameters from pos.

    `single`: the header has no list (From, To), so a comma may stand in a display name that lacks its quotes,
    as long as what is before it can't be read as an address.
    """
    cdef int i, c, got
    cdef bint comma_fits = single
    cdef Param par
    a.tag = -1
    a.tag_len = 0
    a.next = -1
    pos = skip_ws(p, pos, end)
    a.start = a.display = pos
    a.display_len = 0
    i = pos
    c = at(p, i, end)
    if c == 34:
        i = skip_quoted(p, i, end)
        if i < 0:
            return b"Unterminated Quoted String"
        a.display_len = i - pos
        i = skip_ws(p, i, end)
        if at(p, i, end) != 60:
            return b"Bad Address"
        c = 60
    else:
        while True:
            c = at(p, i, end)
            if c < 0 or c == 60 or c == 59 or (c == 44 and not comma_fits) or c == 34 or c == 62:
                break
            if c == 58 or c == 64:
                comma_fits = False
            i += 1
        if c == 34 or c == 62:
            return b"Bad Address"
        a.display_len = trim_end(p, pos, i) - pos
    if c == 60:
        pos = skip_ws(p, i + 1, end)
        i = find(p, pos, end, 62)
        if i < 0:
            return b"Unterminated Address"
        a.uri = pos
        a.uri_len = trim_end(p, pos, i) - pos
        if find(p, pos, i, 60) >= 0:
            return b"Bad Address"
        i += 1
        a.uri_end_bracket = i
    else:
        a.uri = pos
        a.uri_len = a.display_len
        a.display_len = 0
        a.uri_end_bracket = pos + a.uri_len
        for c in range(pos, pos + a.uri_len):
            if is_in(p[c], KH_WS):
                return b"Bad Address"
    if a.uri_len == 0:
        return b"Empty Address"
    a.end = a.uri_end_bracket
    a.params = -1
    while True:
        got = next_param(p, &i, end, &par)
        if got < 0:
            return b"Bad Address Parameter"
        if got == 0:
            break
        if a.params < 0:
            a.params = par.start
        a.end = par.end
        if a.tag < 0 and par.value_len >= 0 and is_word(p + par.name, par.name_len, b"tag", 3):
            a.tag = par.value
            a.tag_len = par.value_len
    if a.params < 0:
        a.params = a.end
    if i < end:
        if at(p, i, end) != 44:
            return b"Bad Address"
        a.next = i + 1
    return NULL


cdef bytes param_value(bytes owner, int pos, int end, bytes name):
    cdef Param par
    cdef chars p = text_of(owner)
    cdef int n = size_of(name)
    while next_param(p, &pos, end, &par) > 0:
        if par.name_len == n and same_text(p + par.name, text_of(name), n):
            return cut(owner, par.value, par.value_len)
    return None


cdef class Via:
    """One Via value; the text it came from stays alive with it."""

    def __init__(self):
        raise TypeError("use parse_via")

    cdef bytes get_host(self):
        return cut(self.owner, self.span.host, self.span.host_len)

    cdef bytes get_branch(self):
        if self._branch is None and self.span.branch >= 0:
            self._branch = cut(self.owner, self.span.branch, self.span.branch_len)
        return self._branch

    cdef bytes get_received(self):
        if self.span.received < 0:
            return None
        return cut(self.owner, self.span.received, self.span.received_len)

    cdef bytes get_rport(self):
        if self.span.rport < 0:
            return None
        return cut(self.owner, self.span.rport, self.span.rport_len)

    @property
    def transport(self):
        return cut(self.owner, self.span.transport, self.span.transport_len)

    @property
    def host(self):
        return self.get_host()

    @property
    def port(self):
        return self.span.port

    @property
    def params(self):
        return cut(self.owner, self.span.params, self.span.end - self.span.params)

    @property
    def branch(self):
        return self.get_branch()

    @property
    def received(self):
        return self.get_received()

    @property
    def rport(self):
        return self.get_rport()

    @property
    def start(self):
        return self.span.start

    @property
    def end(self):
        return self.span.end

    def param(self, bytes name not None):
        return param_value(self.owner, self.span.params, self.span.end, name)

    def __bytes__(self):
        return cut(self.owner, self.span.start, self.span.end - self.span.start)

    def __repr__(self):
        return f"<Via {bytes(self)!r}>"


cdef class NameAddr:
    """One address of From, To, Contact, Route and the like."""

    def __init__(self):
        raise TypeError("use parse_name_addr")

    cdef bytes get_uri(self):
        return cut(self.owner, self.span.uri, self.span.uri_len)

    cdef bytes get_tag(self):
        if self.span.tag < 0:
            return None
        return cut(self.owner, self.span.tag, self.span.tag_len)

    @property
    def display(self):
        return cut(self.owner, self.span.display, self.span.display_len)

    @property
    def uri(self):
        return self.get_uri()

    @property
    def params(self):
        return cut(self.owner, self.span.params, self.span.end - self.span.params)

    @property
    def tag(self):
        return self.get_tag()

    @property
    def start(self):
        return self.span.start

    @property
    def end(self):
        return self.span.end

    @property
    def uri_start(self):
        return self.span.uri

    @property
    def uri_end(self):
        return self.span.uri + self.span.uri_len

    def param(self, bytes name not None):
        return param_value(self.owner, self.span.params, self.span.end, name)

    def __bytes__(self):
        return cut(self.owner, self.span.start, self.span.end - self.span.start)

    def __repr__(self):
        return f"<NameAddr {bytes(self)!r}>"


cdef class Target:
    """One more branch of the destination set."""

    def __init__(
        self,
        bytes uri not None,
        bytes dst_uri=None,
        bytes path=None,
        int q=-1,
        unsigned int flags=0,
        object sock=None,
        bytes ruid not None=b"",
        bytes instance not None=b"",
        bytes location_ua not None=b"",
        int reg_id=0,
        long long connection_id=0,
    ):
        self.uri = uri
        self.dst_uri = dst_uri
        self.path = path
        self.q = q
        self.flags = flags
        self.sock = sock
        self.ruid = ruid
        self.instance = instance
        self.location_ua = location_ua
        self.reg_id = reg_id
        self.connection_id = connection_id

    def __repr__(self):
        return f"<Target {self.uri!r} q={self.q}>"


cdef Via via_of(bytes owner, const ViaSpan* span):
    """A Via that was read already."""
    cdef Via via = Via.__new__(Via)
    via.span = span[0]
    via.owner = owner
    return via


cdef Via via_at(bytes owner, int pos, int end):
    """The Via value at pos; raises ParseError."""
    cdef ViaSpan span
    cdef const char* wrong = scan_via(text_of(owner), pos, end, &span)
    if wrong != NULL:
        raise bad(wrong, pos)
    return via_of(owner, &span)


cdef NameAddr addr_of(bytes owner, const AddrSpan* span):
    """An address that was read already."""
    cdef NameAddr addr = NameAddr.__new__(NameAddr)
    addr.span = span[0]
    addr.owner = owner
    return addr


cdef NameAddr addr_at(bytes owner, int pos, int end, bint single):
    """The address at pos; raises ParseError."""
    cdef AddrSpan span
    cdef const char* wrong = scan_addr(text_of(owner), pos, end, single, &span)
    if wrong != NULL:
        raise bad(wrong, pos)
    return addr_of(owner, &span)


cdef list addrs_in(bytes owner, int pos, int end, list into):
    """Append every address of the comma list in [pos, end) to `into`."""
    cdef NameAddr addr
    while pos >= 0:
        addr = addr_at(owner, pos, end, False)
        into.append(addr)
        pos = addr.span.next
    return into


def parse_via(bytes data not None):
    cdef Via via = via_at(data, 0, size_of(data))
    if via.span.next >= 0:
        raise bad(b"More Than One Via", via.span.next)
    return via


def parse_name_addr(bytes data not None):
    cdef NameAddr addr = addr_at(data, 0, size_of(data), True)
    if addr.span.next >= 0:
        raise bad(b"More Than One Address", addr.span.next)
    return addr


def parse_name_addrs(bytes data not None):
    return addrs_in(data, 0, size_of(data), [])


def split_list(bytes data not None):
    cdef chars p = text_of(data)
    cdef int end = size_of(data), start = 0, i = 0, j, c
    cdef list out = []
    while i <= end:
        c = at(p, i, end)
        if c == 34:
            j = skip_quoted(p, i, end)
            i = end if j < 0 else j
            continue
        if c == 60:
            j = find(p, i, end, 62)
            i = end if j < 0 else j + 1
            continue
        if c == 44 or c < 0:
            start = skip_ws(p, start, i)
            j = trim_end(p, start, i)
            if j > start:
                out.append(cut(data, start, j - start))
            start = i + 1
        i += 1
    return out
