"""C face of the header values: offsets into the text that holds them, bytes made on demand."""

from kahea.sip.scan cimport chars


cdef struct ViaSpan:
    int start
    int end
    int transport
    int transport_len
    int host
    int host_len
    int sent_by_end  # past host and port
    int port
    int params  # of the first ';'; the end of the value if there is none
    int branch  # -1: absent, as below
    int branch_len
    int received
    int received_len
    int received_start  # of its ';'
    int received_end
    int rport
    int rport_len
    int rport_start
    int rport_end
    int alias  # 1 if there is an `alias` parameter (RFC 5923)
    int next  # where the next value of the list starts, -1 if this is the last


cdef struct AddrSpan:
    int start
    int end
    int display
    int display_len
    int uri
    int uri_len
    int uri_end_bracket  # past the '>', or of the bare URI
    int params
    int tag
    int tag_len
    int next


# These return NULL, or what is wrong with the value, fit for a reason phrase.
cdef const char* scan_via(chars p, int pos, int end, ViaSpan* v) noexcept nogil
cdef const char* scan_addr(chars p, int pos, int end, bint single, AddrSpan* a) noexcept nogil

# None where the parameter is absent, b"" where it is bare.
cdef bytes param_value(bytes owner, int pos, int end, bytes name)


cdef class Via:
    cdef bytes owner
    cdef ViaSpan span
    cdef bytes _branch
    cdef bytes get_host(self)
    cdef bytes get_branch(self)
    cdef bytes get_received(self)
    cdef bytes get_rport(self)


cdef class NameAddr:
    cdef bytes owner
    cdef AddrSpan span
    cdef bytes get_uri(self)
    cdef bytes get_tag(self)


cdef class Target:
    cdef public bytes uri
    cdef public bytes dst_uri
    cdef public bytes path
    cdef public int q
    cdef public unsigned int flags
    cdef public object sock
    cdef public bytes ruid
    cdef public bytes instance
    cdef public bytes location_ua
    cdef public int reg_id
    cdef public long long connection_id


cdef Via via_of(bytes owner, const ViaSpan* span)
cdef Via via_at(bytes owner, int pos, int end)
cdef NameAddr addr_of(bytes owner, const AddrSpan* span)
cdef NameAddr addr_at(bytes owner, int pos, int end, bint single)
cdef list addrs_in(bytes owner, int pos, int end, list into)
cdef object bad(const char* reason, int offset)
