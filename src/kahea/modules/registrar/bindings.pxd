# What a REGISTER asks for, as C data: see bindings.pyx.

from kahea.modules.usrloc.contact cimport Contact
from kahea.sip.message cimport Message
from kahea.sip.scan cimport chars
from kahea.sip.uri cimport Uri
from kahea.sip.values cimport NameAddr


cdef class Wanted:
    cdef bytes uri
    cdef bytes instance
    cdef long long expires  # absolute; 0 removes
    cdef unsigned int methods
    cdef int q
    cdef int reg_id
    cdef Contact found  # the contact of the table that it means; None: it is new
    cdef bint repeated  # a retransmission: nothing is to be done


# What the parameters of one Contact say: None for those that it lacks.
cdef class ContactParams:
    cdef bytes expires
    cdef bytes instance
    cdef bytes methods
    cdef bytes q
    cdef bytes reg_id


cdef class AorRules:
    cdef readonly bint use_domain
    cdef readonly bint case_sensitive
    cdef bytes realm_prefix

    cpdef bytes aor(self, Uri uri)
    cpdef bytes parse(self, bytes data)
    cdef bytes aor_at(self, chars p, int n)


cdef list contacts_of(Message msg)
cdef ContactParams params_of(NameAddr value)
cdef long long seconds_in(bytes text) noexcept
cdef long long header_expires(Message msg) except -2
cdef unsigned int allowed_methods(Message msg) except? 0
cpdef int parse_q(bytes value) except -1
cpdef int method_bit(bytes name) except -1
cpdef long long method_mask(bytes text) except -2
cdef int reg_id_of(bytes given) except -1
cdef bint breaks_lines(bytes value) noexcept
