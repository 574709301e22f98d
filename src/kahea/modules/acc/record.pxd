# Records of accounting: see record.pyx.

from kahea.routing.dispatch cimport Dispatcher, Run


cdef class Recorder:
    cdef Dispatcher node
    cdef object direction  # of a request inside a dialog: module rr's `is_direction`; None where it does not matter
    cdef object moment
    cdef bint by_second
    cdef long long second
    cdef str shown
    cdef int level
    cdef int log_level
    cdef str facility
    cdef tuple extra  # of what each text and getter alternate
    cdef object legs
    cdef object rows

    cpdef bint write(self, Run run, str what, str code, str reason, str to_tag, bint to_log, str table) except -1
    cdef str timestamp(self, double now)
    cdef int line(self, Run run, str what, tuple fixed, object legs, double now) except -1
