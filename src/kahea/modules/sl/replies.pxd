# What sends and counts replies: see replies.pyx.

from kahea.routing.dispatch cimport Dispatcher, Run


cdef class Replies:
    cdef Dispatcher _node
    cdef public int default_code
    cdef public bint bind_tm
    cdef public int rich_redirect
    cdef public object on_sent
    cdef readonly long sent
    cdef readonly long failures
    cdef long _counts[700]

    cpdef int send_stateless(self, Run run, object code, bytes phrase) except? -99
    cpdef int send(self, Run run, object code, bytes phrase) except? -99
    cdef int _status(self, object code) except -1
