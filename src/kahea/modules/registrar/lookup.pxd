# lookup(): see lookup.pyx.

from kahea.modules.registrar.rules cimport Rules
from kahea.modules.usrloc.contact cimport Contact
from kahea.modules.usrloc.domain cimport Domain
from kahea.routing.dispatch cimport Run
from kahea.sip.message cimport Message
from kahea.sip.values cimport Target


cdef class Lookups:
    cdef Rules rules

    cdef int to_request(self, Message msg, Domain domain, bytes uri) except? -99
    cdef int to_branches(self, Message msg, Domain domain, bytes uri) except? -99
    cdef int _to_branch(self, Message msg, Domain domain, Target target) except? -99


# A look-up under way: `chosen` are the contacts to try in order, none if `code`, the one for the script, is below 0.
cdef class Search:
    cdef Rules rules
    cdef Message msg
    cdef Domain domain
    cdef long long now
    cdef int code
    cdef list chosen

    cdef int find(self, bytes uri) except -1
    cdef int find_temporary(self, object uri) except -1
    cdef int choose(self, list contacts) except -1
    cdef unsigned int method(self) except? 0
    cdef bytes path_of(self, Contact contact)
    cdef int append(self, Py_ssize_t first) except -1
    cdef int restore(self, Contact contact, Py_ssize_t at) except -1
