"""The SIP message: an index into the received bytes, the edits of a script, and what is built from both.

Rules of this room:

1. `raw` is never changed and never copied; what accessors return is cut from it on demand.
2. `parse` refuses only what can't be indexed. `check` refuses what RFC 3261 forbids, so that a reply can be built.
3. Edits apply in order of offset, and of the calls at one offset. Deletions join where they overlap; what is
   inserted always shows, even inside a deleted part (as Kamailio's lumps do).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.string cimport memcmp, memcpy, memset

cimport cython

from kahea.sip.scan cimport (
    KH_NAME,
    KH_TOKEN,
    KH_WS,
    allow,
    at,
    chars,
    find,
    is_in,
    is_word,
    lower,
    number,
    put_number,
    same_text,
    skip_class,
    skip_ws,
    trim_end,
)
from kahea.sip.uri cimport S_OTHER, UriSpan, scan_uri
from kahea.sip.values cimport (
    AddrSpan,
    NameAddr,
    Target,
    Via,
    ViaSpan,
    addr_of,
    addrs_in,
    bad,
    scan_addr,
    scan_via,
    via_at,
    via_of,
)

from kahea.sip.errors import ParseError
from kahea.sip.values import parse_name_addr, parse_name_addrs, parse_via, split_list

import kahea.sip.values as _values

# A cimported class is no attribute of this module by itself.
for _name in ("NameAddr", "Target", "Via"):
    globals()[_name] = getattr(_values, _name)

MAX_MESSAGE = 65535
MAX_HEADERS = 256

cdef enum:
    MAX_CSEQ = 2147483647
    MAX_LENGTH = 1073741824

# What `accept` allows.
cdef bint http_accepted = False
cdef bint repeats_accepted = False

include "names.pxi"
include "index.pxi"
include "edits.pxi"
include "build.pxi"
include "reply.pxi"
include "check.pxi"

cdef dict METHODS = {}
for _name in (
    b"INVITE", b"CANCEL", b"ACK", b"BYE", b"INFO", b"REGISTER", b"SUBSCRIBE", b"NOTIFY", b"MESSAGE", b"OPTIONS",
    b"PRACK", b"UPDATE", b"REFER", b"PUBLISH",
):
    METHODS[method_of(<chars>PyBytes_AS_STRING(_name), <int>len(_name))] = _name


def method_id(bytes name not None):
    return method_of(<chars>PyBytes_AS_STRING(name), <int>min(len(name), 64))


def header_kind(bytes name not None):
    return kind_of(<chars>PyBytes_AS_STRING(name), <int>min(len(name), 64))


def accept(*, bint http_replies=False, bint repeated_headers=False, bytes name_characters=b""):
    global http_accepted, repeats_accepted
    http_accepted = http_replies
    repeats_accepted = repeated_headers
    allow(name_characters, KH_NAME)


cdef class Header:
    """One header field, as received."""

    def __init__(self):
        raise TypeError("headers are made by Message")

    @property
    def name(self):
        return piece(self.msg, self.start, self.start + self.name_len)

    @property
    def body(self):
        return piece(self.msg, self.body_start, self.body_end)

    def __repr__(self):
        return f"<Header {self.name!r}: {self.body!r}>"


@cython.freelist(64)
cdef class Edit:
    """Bytes deleted at an offset, and what takes their place."""


cdef inline bytes piece(Message m, int start, int end):
    """raw[start:end], refusing what does not lie inside."""
    if end <= start:
        return b""
    if start < 0 or end > m.size:
        raise IndexError("span outside of the message")
    return PyBytes_FromStringAndSize(<const char*>m.p + start, end - start)


cdef class Message:
    """A SIP message (see message.pyi)."""

    def __init__(self):
        raise TypeError("use parse")

    def __cinit__(self):
        self.slots = NULL
        self._cseq = -1
        self.q = -1
        self.uri_fresh = True
        self.src_ip = self.dst_ip = self.ruid = self.instance = self.location_ua = b""

    def __dealloc__(self):
        PyMem_Free(self.slots)

    def __repr__(self):
        return f"<Message {piece(self, 0, trim_end(self.p, 0, self.line_end))!r}>"

    # The first line.

    cdef bytes get_method(self):
        if self._method is None:
            if self.is_request:
                self._method = METHODS.get(self.method_id) if self.method_id != M_OTHER else None
                if self._method is None:
                    self._method = piece(self, 0, self.method_len)
            else:
                self._method = self.get_cseq_method()
        return self._method

    @property
    def method(self):
        return self.get_method()

    @property
    def reason(self):
        return b"" if self.is_request else piece(self, self.uri_start, self.uri_end)

    @property
    def version(self):
        if self.is_request:
            return piece(self, self.uri_end + 1, self.version_end)
        return piece(self, 0, self.method_len)

    cdef bytes get_original_uri(self):
        if not self.is_request:
            return b""
        if self._original_uri is None:
            self._original_uri = piece(self, self.uri_start, self.uri_end)
        return self._original_uri

    @property
    def original_uri(self):
        return self.get_original_uri()

    cdef bytes get_uri(self):
        return self._uri if self._uri is not None else self.get_original_uri()

    @property
    def uri(self):
        return self.get_uri()

    @property
    def uri_changed(self):
        return self._uri is not None

    cpdef set_uri(self, bytes uri):
        self._uri = uri
        self.uri_fresh = True

    @property
    def dst_uri(self):
        return self._dst_uri

    @dst_uri.setter
    def dst_uri(self, bytes uri):
        self._dst_uri = uri
        self.uri_fresh = True

    def set_origin(self, bytes src_ip, int src_port, bytes dst_ip, int dst_port, int proto, source, listener,
                   long long connection_id, double received_at, long long number):
        self.src_ip = src_ip
        self.src_port = src_port
        self.dst_ip = dst_ip
        self.dst_port = dst_port
        self.proto = proto
        self.source = source
        self.listener = listener
        self.connection_id = connection_id
        self.received_at = received_at
        self.id = number

    # Headers.

    cdef Header header_at(self, int index):
        cdef Header h = Header.__new__(Header)
        cdef Slot* s
        if index < 0 or index >= self.header_count:
            raise IndexError("no such header")
        s = &self.slots[index]
        h.msg = self
        h.kind = s.kind
        h.index = index
        h.start = s.start
        h.end = s.end
        h.body_start = s.body
        h.body_end = s.body_end
        h.name_len = s.name_len
        return h

    cdef int nth_of(self, int kind, int nth) noexcept:
        """Index of the nth header of a kind, or -1."""
        cdef int i, total = 0
        if kind < 0 or kind >= KINDS:
            return -1
        i = self.first[kind]
        if nth < 0:
            while i >= 0:
                total += 1
                i = self.slots[i].next
            nth += total
            if nth < 0:
                return -1
            i = self.first[kind]
        while i >= 0 and nth > 0:
            i = self.slots[i].next
            nth -= 1
        return i

    def header(self, int kind, int nth=0):
        cdef int i = self.nth_of(kind, nth)
        return None if i < 0 else self.header_at(i)

    def headers_of(self, int kind):
        cdef list out = []
        cdef int i = self.nth_of(kind, 0)
        while i >= 0:
            out.append(self.header_at(i))
            i = self.slots[i].next
        return out

    def headers_named(self, bytes name not None):
        cdef int kind = header_kind(name), i, n = <int>min(len(name), MAX_LENGTH)
        cdef chars p = <chars>PyBytes_AS_STRING(name)
        cdef list out
        if kind != H_OTHER:
            return self.headers_of(kind)
        out = []
        i = self.first[H_OTHER]
        while i >= 0:
            if self.slots[i].name_len == n and same_text(self.p + self.slots[i].start, p, n):
                out.append(self.header_at(i))
            i = self.slots[i].next
        return out

    def header_named(self, bytes name not None, int nth=0):
        cdef int kind = header_kind(name)
        cdef list found
        if kind != H_OTHER:
            return self.header(kind, nth)
        found = self.headers_named(name)
        if nth < 0:
            nth += len(found)
        return found[nth] if 0 <= nth < len(found) else None

    def headers(self):
        cdef int i
        return [self.header_at(i) for i in range(self.header_count)]

    cdef ViaSpan* top_via(self) except NULL:
        """The first Via; raises ParseError."""
        cdef const char* wrong
        cdef int i
        if not self.via_read:
            i = self.first[H_VIA]
            if i < 0:
                raise bad(b"Missing Via", -1)
            wrong = scan_via(self.p, self.slots[i].body, self.slots[i].body_end, &self.via_span)
            if wrong != NULL:
                raise bad(wrong, self.slots[i].body)
            self.via_read = True
        return &self.via_span

    cdef AddrSpan* from_addr(self) except NULL:
        """The address in From; raises ParseError."""
        if not self.from_read:
            single_addr(self, H_FROM, b"Missing From", &self.from_span)
            self.from_read = True
        return &self.from_span

    cdef AddrSpan* to_addr(self) except NULL:
        """The address in To; raises ParseError."""
        if not self.to_read:
            single_addr(self, H_TO, b"Missing To", &self.to_span)
            self.to_read = True
        return &self.to_span

    cdef bytes from_tag(self):
        cdef AddrSpan* a = self.from_addr()
        return None if a.tag < 0 else piece(self, a.tag, a.tag + a.tag_len)

    cdef bytes to_tag(self):
        cdef AddrSpan* a = self.to_addr()
        return None if a.tag < 0 else piece(self, a.tag, a.tag + a.tag_len)

    cdef bytes branch_id(self):
        """The branch parameter of the top Via."""
        cdef ViaSpan* v = self.top_via()
        return None if v.branch < 0 else piece(self, v.branch, v.branch + v.branch_len)

    cdef Via get_via1(self):
        return via_of(self.raw, self.top_via())

    @property
    def via1(self):
        return self.get_via1()

    cdef Via get_via2(self):
        cdef ViaSpan* top = self.top_via()
        cdef int i = self.first[H_VIA]
        if top.next >= 0:
            return via_at(self.raw, top.next, self.slots[i].body_end)
        i = self.slots[i].next
        return None if i < 0 else via_at(self.raw, self.slots[i].body, self.slots[i].body_end)

    @property
    def via2(self):
        return self.get_via2()

    def vias(self):
        cdef list out = []
        cdef Via via
        cdef int i = self.first[H_VIA], pos
        while i >= 0:
            pos = self.slots[i].body
            while pos >= 0:
                via = via_at(self.raw, pos, self.slots[i].body_end)
                out.append(via)
                pos = via.span.next
            i = self.slots[i].next
        return out

    @property
    def from_(self):
        return addr_of(self.raw, self.from_addr())

    @property
    def to(self):
        return addr_of(self.raw, self.to_addr())

    cdef bytes get_callid(self):
        cdef int i
        if self._callid is None:
            i = self.first[H_CALLID]
            if i < 0 or self.slots[i].body_end <= self.slots[i].body:
                raise bad(b"Missing Call-ID", -1)
            self._callid = piece(self, self.slots[i].body, self.slots[i].body_end)
        return self._callid

    @property
    def callid(self):
        return self.get_callid()

    cdef int read_cseq(self) except -1:
        cdef int start, end, method
        cdef const char* wrong
        cdef long long n
        if self.first[H_CSEQ] < 0:
            raise bad(b"Missing CSeq", -1)
        wrong = scan_cseq(self, &n, &method, &end)
        if wrong != NULL:
            raise bad(wrong, self.slots[self.first[H_CSEQ]].body)
        start = method_of(self.p + method, end - method)
        self._cseq_method = METHODS[start] if start != M_OTHER else piece(self, method, end)
        self._cseq = n
        return 0

    cdef long long get_cseq(self) except -1:
        if self._cseq < 0:
            self.read_cseq()
        return self._cseq

    @property
    def cseq(self):
        return self.get_cseq()

    cdef bytes get_cseq_method(self):
        if self._cseq < 0:
            self.read_cseq()
        return self._cseq_method

    @property
    def cseq_method(self):
        return self.get_cseq_method()

    cdef long long get_number(self, int kind, long long limit, const char* wrong) except -2:
        """The number that is a header's whole body; -1 if there is no such header."""
        cdef int i = self.first[kind]
        cdef long long n
        if i < 0:
            return -1
        n = number(self.p, self.slots[i].body, self.slots[i].body_end, limit)
        if n < 0:
            raise bad(wrong, self.slots[i].body)
        return n

    @property
    def max_forwards(self):
        return self.get_number(H_MAXFORWARDS, 255, b"Bad Max-Forwards")

    @property
    def expires(self):
        return self.get_number(H_EXPIRES, 4294967295, b"Bad Expires")

    @property
    def content_length(self):
        return self.get_number(H_CONTENTLENGTH, MAX_LENGTH, b"Bad Content-Length")

    @property
    def content_type(self):
        cdef int i = self.first[H_CONTENTTYPE]
        return b"" if i < 0 else piece(self, self.slots[i].body, self.slots[i].body_end)

    @property
    def body(self):
        return piece(self, self.body_start, self.body_end)

    def name_addrs(self, int kind):
        cdef list out = []
        cdef int i = self.nth_of(kind, 0)
        while i >= 0:
            addrs_in(self.raw, self.slots[i].body, self.slots[i].body_end, out)
            i = self.slots[i].next
        return out

    cpdef check(self):
        check_message(self)

    cpdef check_basics(self):
        check_basics(self)

    # State that few messages need is made when first asked for.

    @property
    def branches(self):
        if self._branches is None:
            self._branches = []
        return self._branches

    @branches.setter
    def branches(self, list value not None):
        self._branches = value

    @property
    def reply_edits(self):
        if self._reply_edits is None:
            self._reply_edits = []
        return self._reply_edits

    @reply_edits.setter
    def reply_edits(self, list value not None):
        self._reply_edits = value

    cdef dict get_facets(self):
        if self._facets is None:
            self._facets = {}
        return self._facets

    @property
    def facets(self):
        return self.get_facets()

    @facets.setter
    def facets(self, dict value not None):
        self._facets = value

    # Edits.

    cpdef delete(self, int start, int length):
        add_edit(self, start, length, b"")

    cpdef insert(self, int offset, bytes data):
        add_edit(self, offset, 0, data)

    cpdef replace(self, int start, int length, bytes data):
        add_edit(self, start, length, data)

    def remove_header(self, Header header not None):
        if header.msg.raw is not self.raw:
            raise ValueError("a header of another message")
        add_edit(self, header.start, header.end - header.start, b"")

    cpdef prepend_header(self, bytes line):
        add_edit(self, self.line_end, 0, line)

    cpdef append_header(self, bytes line):
        add_edit(self, self.headers_end, 0, line)

    def set_body(self, bytes body not None):
        drop_body_edits(self)
        add_edit(self, self.body_start, self.body_end - self.body_start, body)
        self._body_edited = BODY_SET

    def edited_body(self):
        return edited_body_of(self)

    @property
    def edited(self):
        return self._edits is not None and len(self._edits) > 0

    cdef list keep_edits(self):
        """The edits so far, for `put_edits` later; None if there are none."""
        self._edits_shared = True
        return self._edits

    cdef int put_edits(self, list edits, int body_edited) except -1:
        """Go back to edits that were kept."""
        self._edits = edits
        self._edits_shared = True
        self._body_edited = body_edited
        return 0

    def edits_snapshot(self):
        return (self.keep_edits(), self._body_edited)

    def edits_restore(self, tuple snapshot not None):
        self.put_edits(snapshot[0], snapshot[1])

    # Building.

    cdef bytes forwarded(self, bytes uri, bytes via_start, bytes branch, bytes via_rest, bytes extra, bint stream):
        """As build_request, with the Via in three pieces."""
        return request_of(self, uri, via_start, branch, via_rest, extra, stream)

    cpdef bytes build_request(self, bytes uri, bytes via, bytes extra=b"", bint stream=False):
        return request_of(self, uri, via, b"", b"", extra, stream)

    cpdef bytes build_response(self, bint stream=False):
        return response_of(self, stream)

    cpdef bytes build_reply(
        self, int status, bytes reason, bytes to_tag, bytes extra=b"", bytes body=b"", bytes server=b""
    ):
        return reply_of(self, status, reason, to_tag, extra, body, server)

    cpdef bytes rebuild(self):
        return plain_of(self)

    cpdef Message clone(self, bytes data=None):
        cdef Message other
        if data is None:
            other = copy_index(self)
            other._uri = self._uri
            other.put_edits(self.keep_edits(), self._body_edited)
        else:
            other = parse(data)
        other.copy_state(self)
        return other

    cdef int copy_state(self, Message source) except -1:
        """Take over where `source` came from and what was decided about it; facets are shared."""
        self.src_ip = source.src_ip
        self.src_port = source.src_port
        self.dst_ip = source.dst_ip
        self.dst_port = source.dst_port
        self.proto = source.proto
        self.source = source.source
        self.listener = source.listener
        self.connection_id = source.connection_id
        self.received_at = source.received_at
        self.id = source.id
        self._dst_uri = source._dst_uri
        self.uri_fresh = source.uri_fresh
        self.path = source.path
        self.send_sock = source.send_sock
        self.flags = source.flags
        self.sflags = source.sflags
        self.xflags = list(source.xflags) if source.xflags is not None else None
        self.bflags = source.bflags
        self.q = source.q
        self.ruid = source.ruid
        self.instance = source.instance
        self.location_ua = source.location_ua
        self.reg_id = source.reg_id
        self._branches = list(source._branches) if source._branches is not None else None
        self.force_rport = source.force_rport
        self.add_local_rport = source.add_local_rport
        self.faked = source.faked
        self.advertised_host = source.advertised_host
        self.advertised_port = source.advertised_port
        self._reply_edits = list(source._reply_edits) if source._reply_edits is not None else None
        self.reply_body = source.reply_body
        self.reply_via = source.reply_via
        self._facets = source.facets
        return 0


cpdef Message parse(bytes data):
    return index_message(data)
