# A location table as C data: see domain.pyx.

from kahea.modules.usrloc.contact cimport Contact, Registration


cdef class Rules:
    cdef public int matching
    cdef public long long cseq_delay
    cdef public bint newest_first
    cdef public int width
    cdef public bint index_ruids
    cdef public bint index_connections


cdef class Domain:
    cdef readonly str name
    cdef readonly Rules rules
    cdef readonly dict records
    cdef readonly long contacts
    cdef readonly long expired
    cdef public object writer
    cdef readonly dict by_ruid
    cdef readonly dict by_connection
    cdef readonly object expiry
    cdef object _make_ruid
    cdef object _count
    cdef str _users
    cdef str _contacts
    cdef str _expires
    cdef dict _shared

    cpdef list get(self, bytes aor)
    cpdef Contact match(
        self, list contacts, Registration registration, bytes uri, bytes instance, int reg_id
    )
    cpdef Contact insert(
        self, bytes aor, Registration registration, bytes uri, long long expires, int q, bytes instance=*,
        int reg_id=*, unsigned int methods=*, bytes ruid=*
    )
    cpdef update(
        self, Contact contact, Registration registration, bytes uri, long long expires, int q, bytes instance=*,
        unsigned int methods=*
    )
    cpdef delete(self, Contact contact)
    cpdef add(self, Contact contact)
    cpdef discard(self, Contact contact)
    cpdef refreshed(self, Contact contact, bint moves)
    cdef Contact _match(self, list contacts, Registration registration, bytes uri)
    cdef int _fill(
        self, Contact contact, Registration r, long long expires, int q, unsigned int methods
    ) except -1
    cdef bytes _share(self, bytes value)
    cdef int _on_connection(self, Contact contact, long long connection_id) except -1
    cdef int _off_connection(self, Contact contact) except -1
    cpdef Py_ssize_t place(self, list contacts, Contact contact) except -1
    cdef int _reposition(self, Contact contact) except -1
    cdef int _write(self, int kind, Contact contact) except -1
    cdef int _tell(self, str name, int by) except -1
