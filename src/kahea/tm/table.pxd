# Server transactions by what requests say: see table.pyx.

from kahea.sip.message cimport Message
from kahea.tm.transaction cimport Transaction


cdef extern from *:
    """
    #if PY_VERSION_HEX >= 0x030E0000
    #define kh_hash(data, size) Py_HashBuffer(data, size)
    #else
    #define kh_hash(data, size) _Py_HashBytes(data, size)
    #endif
    """
    Py_hash_t kh_hash(const void* data, Py_ssize_t size) noexcept


cdef class Requests:
    cdef list _chains  # the first transaction of each chain, or None
    cdef Py_ssize_t _mask
    cdef readonly Py_ssize_t count

    cdef Transaction repeated(self, Message msg, int method_id)
    cdef Transaction answered(self, Message msg)
    cdef int add(self, Transaction t) except -1
    cdef int remove(self, Transaction t) except -1
    cdef int _grow(self) except -1


cdef size_t call_hash(Message msg) except? 0
