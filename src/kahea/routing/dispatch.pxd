# The compiled path of a message from the socket to its route: see dispatch.pyx.

from kahea.sip.message cimport Message
from kahea.tm.layer cimport TransactionLayer


cdef class Run:
    cdef public object node
    cdef public Message msg
    cdef public int kind
    cdef public str name
    cdef public object transaction
    cdef public object branch
    cdef public Message reply
    cdef public int status
    cdef public object rc
    cdef public bint drop
    cdef public bint failed
    cdef public object generation
    cdef public tuple on_end
    cdef public object tm
    cdef dict _vars
    cdef dict _state


cdef class Current:
    cdef public Run run


cdef class Pool:
    cdef public long limit
    cdef public long keep
    cdef readonly long in_flight
    cdef list _idle
    cdef object _main

    cdef bint start(self, object work, tuple args) except -1


cdef class Dispatcher:
    cdef readonly TransactionLayer layer
    cdef readonly Pool pool
    cdef public object routes
    cdef public bint draining
    cdef public bint accept_aliases
    cdef public object wall
    cdef readonly long received_requests
    cdef readonly long received_replies
    cdef readonly long bad_messages
    cdef readonly long refused_runs
    cdef long _messages

    cdef int _request(self, Message msg) except -1
    cdef int _response(self, Message msg) except -1
    cpdef execute(self, Run run, object route)
    cpdef take_response(self, Message msg)
