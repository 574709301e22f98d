# The answer to a REGISTER: see answer.pyx.

from kahea.sip.message cimport Message


cdef class Answer:
    cdef public object verdict
    cdef public bytes contacts
    cdef list _extra

    cpdef put(self, Message msg, long retry_after)
    cdef int add(self, bytes line) except -1


cdef bytes contact_line(list contacts, long long now, bytes received_param, object gruus)
