# cython: language_level=3
"""Server transactions by what requests say of themselves.

A hash table over Call-ID and CSeq number, which an INVITE, its retransmissions, its CANCEL and its ACKs share, as
Kamailio's is. The transactions of a chain are told apart by RFC 3261 §17.2.3, on the bytes as they were received: a look-up
makes no object. The hash is Python's own for bytes, whose key nobody outside knows.
"""

from libc.string cimport memcmp

from kahea.sip.message cimport Message
from kahea.sip.values cimport ViaSpan
from kahea.tm.transaction cimport Transaction

cdef enum:
    M_INVITE = 1
    M_ACK = 4
    M_OTHER = 262144
    H_CALLID = 4
    FIRST_SIZE = 256
    COOKIE = 7  # length of RFC 3261's magic cookie


cdef size_t call_hash(Message msg) except? 0:
    """Call-ID and CSeq number as a number, worked out once for a message; raises ParseError."""
    cdef int i
    cdef size_t h = msg.call_hash
    if h == 0:
        i = msg.first[H_CALLID]
        if i < 0:
            msg.get_callid()  # raises
        h = <size_t>kh_hash(msg.p + msg.slots[i].body, msg.slots[i].body_end - msg.slots[i].body)
        h ^= <size_t>msg.get_cseq() * 0x9E3779B97F4A7C15ULL
        msg.call_hash = h = h if h else 1
    return h


cdef bint same_header(Message a, Message b, int kind) noexcept:
    """Whether two messages have the same body in the first header of a kind."""
    cdef int i = a.first[kind], j = b.first[kind], size
    if i < 0 or j < 0:
        return False
    size = a.slots[i].body_end - a.slots[i].body
    return size == b.slots[j].body_end - b.slots[j].body and \
        memcmp(a.p + a.slots[i].body, b.p + b.slots[j].body, size) == 0


cdef inline bint has_cookie(Message m, ViaSpan* v) noexcept:
    return v.branch >= 0 and v.branch_len > COOKIE and memcmp(m.p + v.branch, b"z9hG4bK", COOKIE) == 0


cdef bint repeats(Transaction t, Message msg, int method_id) except -1:
    """Whether a request, seen as one of method `method_id`, belongs to a server transaction (RFC 3261 §17.2.3)."""
    cdef Message first = t.request
    cdef ViaSpan* new
    cdef ViaSpan* old
    cdef int size
    if method_id == M_ACK:
        if not t.is_invite:
            return False
    elif method_id != t.method_id or (method_id == M_OTHER and msg.get_method() != t.method):
        return False
    new = msg.top_via()
    old = first.top_via()
    if not has_cookie(msg, new):
        return not has_cookie(first, old) and repeats_rfc2543(t, msg)
    size = new.sent_by_end - new.host
    return (
        new.branch_len == old.branch_len
        and memcmp(msg.p + new.branch, first.p + old.branch, new.branch_len) == 0
        and size == old.sent_by_end - old.host
        and memcmp(msg.p + new.host, first.p + old.host, size) == 0
    )


cdef bint repeats_rfc2543(Transaction t, Message msg) except -1:
    """For a Via without a unique branch: by Request-URI, Call-ID, CSeq, From tag, Via, and the To tag."""
    cdef Message first = t.request
    if (
        msg.get_original_uri() != first.get_original_uri()
        or msg.get_callid() != first.get_callid()
        or msg.get_cseq() != first.get_cseq()
        or (msg.from_tag() or b"") != (first.from_tag() or b"")
        or (msg.branch_id() or b"") != (first.branch_id() or b"")
        or msg.get_via1().get_host() != first.get_via1().get_host()
        or msg.top_via().port != first.top_via().port
    ):
        return False
    # The ACK to a failure carries the To tag of our reply.
    return t.is_invite or msg.to_tag() == first.to_tag()


cdef class Requests:
    """The table. `count` says how many transactions are in it."""

    def __init__(self):
        self._chains = [None] * FIRST_SIZE
        self._mask = FIRST_SIZE - 1

    def __len__(self):
        return self.count

    cdef Transaction repeated(self, Message msg, int method_id):
        """The transaction that a request repeats, or, as M_INVITE for a CANCEL, the one it is for."""
        cdef size_t h = call_hash(msg)
        cdef Transaction t = <Transaction>self._chains[<Py_ssize_t>h & self._mask]
        while t is not None:
            if t.call_hash == h and repeats(t, msg, method_id):
                return t
            t = t.next_request
        return None

    cdef Transaction answered(self, Message msg):
        """The INVITE's transaction that was answered by a 2xx and that this ACK is for."""
        cdef size_t h = call_hash(msg)
        cdef Transaction t = <Transaction>self._chains[<Py_ssize_t>h & self._mask]
        while t is not None:
            if t.call_hash == h and t.is_invite and 200 <= t.status < 300 and same_header(t.request, msg, H_CALLID) \
                    and t.request.get_cseq() == msg.get_cseq() and t.request.from_tag() == msg.from_tag():
                return t
            t = t.next_request
        return None

    cdef int add(self, Transaction t) except -1:
        """Enter a transaction; raises ParseError if its request lacks what it is found by."""
        cdef size_t h = call_hash(t.request)
        cdef Py_ssize_t at
        if self.count > self._mask:
            self._grow()
        at = <Py_ssize_t>h & self._mask
        t.call_hash = h
        t.next_request = <Transaction>self._chains[at]
        self._chains[at] = t
        self.count += 1
        return 0

    cdef int remove(self, Transaction t) except -1:
        """Take a transaction out, if it is in."""
        cdef Py_ssize_t at = <Py_ssize_t>t.call_hash & self._mask
        cdef Transaction one
        if t.call_hash == 0:
            return 0
        one = <Transaction>self._chains[at]
        if one is t:
            self._chains[at] = t.next_request
        else:
            while one.next_request is not t:
                one = one.next_request
            one.next_request = t.next_request
        t.next_request = None
        t.call_hash = 0
        self.count -= 1
        return 0

    cdef int _grow(self) except -1:
        """Twice as many chains."""
        cdef list old = self._chains
        cdef Py_ssize_t at, size = 2 * (self._mask + 1)
        cdef Transaction t, after
        self._chains = [None] * size
        self._mask = size - 1
        for t in old:
            while t is not None:
                after = t.next_request
                at = <Py_ssize_t>t.call_hash & self._mask
                t.next_request = <Transaction>self._chains[at]
                self._chains[at] = t
                t = after
        return 0
