# Functions as a script calls them: see caller.pyx.

from kahea.routing.dispatch cimport Run


cdef class Test:
    cdef bint holds(self, Run run) except -1
