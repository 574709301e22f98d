# Routing by the Route headers: see loose.pyx.

from kahea.routing.dispatch cimport Dispatcher
from kahea.sip.message cimport Message
from kahea.sip.uri cimport Uri


cdef class Own:
    cdef readonly Uri uri
    cdef readonly bint strict


cdef class LooseRouter:
    cdef object rr
    cdef Dispatcher node
    cdef public bint double_rr
    cdef public bint by_names
    cdef public bint force_socket
    cdef public int mode
    cdef list callbacks

    cpdef int route(self, Message msg, int mode) except? -99
    cdef int follow(self, Message msg, int mode) except? -99
    cdef bint own(self, Uri uri) except -1
    cdef int loose(self, Message msg, list values, bint initial) except? -99
    cdef int strict(self, Message msg, list values, Uri target) except? -99
    cpdef Own own_route(self, Message msg)
    cpdef int direction(self, Message msg) except -1
