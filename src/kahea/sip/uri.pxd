"""C face of the URI parser."""

from kahea.sip.scan cimport chars

cdef enum:
    S_OTHER = 0
    S_SIP = 1
    S_SIPS = 2
    S_TEL = 3
    S_TELS = 4
    S_URN = 5


cdef struct UriSpan:
    int scheme  # S_*
    int scheme_len
    int user
    int user_len
    int user_params_len  # behind the user, with their ';', where they count apart
    int password
    int password_len
    int host
    int host_len
    int port
    int params  # behind the ';'
    int params_len
    int headers  # behind the '?'
    int headers_len
    bint has_user


cdef const char* scan_uri(chars p, int n, UriSpan* u) noexcept nogil


cdef class Uri:
    cdef readonly bytes raw
    cdef readonly bytes scheme
    cdef readonly bytes user
    cdef readonly bytes user_params
    cdef readonly bytes password
    cdef readonly bytes host
    cdef readonly int port
    cdef readonly bytes params
    cdef readonly bytes headers
    cdef readonly bint has_user
    cdef readonly bint is_sip
    # What a node made of this URI, for routing: whether it is the node's own, as of `seen_by` (see dispatch.pyx).
    cdef long seen_by
    cdef bint own_target
    cdef bint own_route

    cpdef bytes param(self, bytes name)
    cdef bint has_lr(self) except -1


cpdef Uri parse_uri(bytes data)
cpdef bint counts_as_tel(Uri uri) except -1
cpdef bint same_uri(bytes a, bytes b) except -1
