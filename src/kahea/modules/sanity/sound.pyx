# cython: language_level=3
"""Whether a message passes the usual checks, told at once: nearly every message does.

What is told here is only that all is well. Where that is not sure, the module's own checks say what is wrong, and what
to answer.
"""

from kahea.routing.dispatch cimport Run
from kahea.sip.message cimport (
    H_AUTHORIZATION,
    H_CALLID,
    H_CONTENTLENGTH,
    H_CSEQ,
    H_EXPIRES,
    H_FROM,
    H_PROXYAUTHORIZATION,
    H_PROXYREQUIRE,
    H_TO,
    H_VIA,
    M_OTHER,
    Message,
)
from kahea.sip.scan cimport chars, skip_ws
from kahea.sip.uri cimport Uri, parse_uri
from kahea.sip.values cimport AddrSpan

from libc.string cimport memcmp

from kahea.sip.errors import ParseError

cdef extern from "Python.h":
    long PyLong_AsLongAndOverflow(object value, int* overflow) except? -1

cdef enum:
    VERSION = 1
    SCHEME = 2
    REQUIRED = 4
    CSEQ_METHOD = 32
    CSEQ_NUMBER = 64
    CONTENT_LENGTH = 128
    EXPIRES = 256
    PROXY_REQUIRE = 512
    URIS = 1024
    CREDENTIALS = 2048 | 8192
    TAGS = 4096
    FIRST_VIA = 16384
    ALL = 32767
    RURI = 1
    FROM = 2
    TO = 4
    DIGITS = 10

cdef long long HIGHEST = 9999999999

# Schemes of the Request-URI that are served.
SCHEMES = (b"sip", b"sips", b"tel", b"tels", b"urn")
cdef tuple _schemes = SCHEMES


cdef class Gate:
    """Lets messages through that are sound, and asks `look(run, checks, uris)` about all others, which gives 1 or -1.

    `default_checks` and `uri_checks` stand for what `check_or_end` is not given, `autodrop` makes its failure a 0;
    `sizes` leaves every message to `look`.
    """

    cdef object look
    cdef public object default_checks
    cdef public object uri_checks
    cdef public bint autodrop
    cdef public bint sizes

    def __init__(self, look):
        self.look = look

    def check(self, Run run not None, checks, uris):
        cdef int beyond = 0, more = 0
        cdef long asked = PyLong_AsLongAndOverflow(checks, &beyond), which = PyLong_AsLongAndOverflow(uris, &more)
        if not (beyond or more or self.sizes):
            try:
                if is_sound(run.msg, asked, which):
                    return 1
            except ParseError:
                pass
        return self.look(run, checks, uris)

    def check_or_end(self, Run run not None, checks=None, uris=None):
        result = self.check(
            run,
            self.default_checks if checks is None else checks,
            self.uri_checks if uris is None else uris,
        )
        return 0 if result < 0 and self.autodrop else result


cdef bint is_sound(Message msg, long checks, long uris) except -1:
    """Whether a message passes for sure. May raise ParseError: then it does not."""
    cdef short* first = msg.first
    cdef int i
    if checks & ~ALL or checks & TAGS:
        return False
    if checks & FIRST_VIA and msg.top_via().host_len <= 0:
        return False
    if checks & VERSION and msg.is_request and not (
        msg.version_end - msg.uri_end == 8 and memcmp(msg.p + msg.uri_end + 1, b"SIP/2.0", 7) == 0
    ):
        return False
    if checks & SCHEME and msg.is_request and not is_served(msg.get_original_uri()):
        return False
    if checks & REQUIRED and (
        first[H_TO] < 0 or first[H_FROM] < 0 or first[H_CSEQ] < 0 or first[H_CALLID] < 0 or first[H_VIA] < 0
    ):
        return False
    if checks & (CSEQ_METHOD | CSEQ_NUMBER) and not is_cseq_sound(msg):
        return False
    if checks & CONTENT_LENGTH and first[H_CONTENTLENGTH] >= 0:
        if msg.get_number(H_CONTENTLENGTH, HIGHEST, b"") != msg.size - msg.body_start:
            return False
    i = first[H_EXPIRES]
    if checks & EXPIRES and i >= 0:
        if msg.slots[i].body_end - msg.slots[i].body > DIGITS or msg.get_number(H_EXPIRES, HIGHEST, b"") < 0:
            return False
    if checks & PROXY_REQUIRE and first[H_PROXYREQUIRE] >= 0:
        return False
    if checks & CREDENTIALS and (first[H_AUTHORIZATION] >= 0 or first[H_PROXYAUTHORIZATION] >= 0):
        return False
    return not checks & URIS or are_uris_sound(msg, uris)


cdef bint are_uris_sound(Message msg, long which) except -1:
    if which & ~(RURI | FROM | TO):
        return False
    if which & RURI and msg.is_request and not is_served(msg.get_original_uri()):
        return False
    if which & FROM and not is_party_served(msg, msg.from_addr()):
        return False
    return not which & TO or is_party_served(msg, msg.to_addr())


cdef bint is_party_served(Message msg, AddrSpan* address) except -1:
    return is_served(<bytes>msg.p[address.uri:address.uri + address.uri_len])


cdef bint is_served(bytes uri) except -1:
    cdef Uri parsed = parse_uri(uri)
    return parsed.is_sip or parsed.scheme in _schemes


cdef bint is_cseq_sound(Message msg) noexcept:
    """Whether CSeq is a number and the request's own method, and nothing else."""
    cdef int i = msg.first[H_CSEQ], at, end
    cdef chars p = msg.p
    if i < 0:
        return False
    at = msg.slots[i].body
    end = msg.slots[i].body_end
    while at < end and 48 <= p[at] <= 57:
        at += 1
    if not 0 < at - msg.slots[i].body <= DIGITS or at == end or skip_ws(p, at, end) == at:
        return False
    at = skip_ws(p, at, end)
    if not msg.is_request:
        return True
    return msg.method_id != M_OTHER and end - at == msg.method_len and memcmp(p + at, p, msg.method_len) == 0
