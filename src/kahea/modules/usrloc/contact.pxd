# A contact as C data: see contact.pyx.


cdef class Contact:
    cdef public bytes aor
    cdef public bytes callid
    cdef public bytes instance
    cdef public bytes path
    cdef public bytes received
    cdef public bytes ruid
    cdef public bytes uri
    cdef public bytes user_agent
    cdef public object sock
    cdef public object xavp
    cdef public long long bucket
    cdef public long long connection_id
    cdef public long long cseq
    cdef public long long expires
    cdef public long long last_keepalive
    cdef public long long modified
    cdef public unsigned int cflags
    cdef public unsigned int flags
    cdef public unsigned int methods
    cdef public int q
    cdef public int reg_id
    cdef public int roundtrip
    cdef public int server_id
    cdef public int state

    cpdef bint is_valid(self, double now) noexcept
    cpdef Contact copy(self)


cdef class Registration:
    cdef public bytes callid
    cdef public bytes path
    cdef public bytes received
    cdef public bytes user_agent
    cdef public object sock
    cdef public object xavp
    cdef public long long connection_id
    cdef public long long cseq
    cdef public long long now
    cdef public unsigned int cflags
    cdef public unsigned int flags
    cdef public int server_id


cpdef bytes bare_instance(bytes instance)
cpdef bytes format_q(int q)
