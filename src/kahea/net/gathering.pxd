"""How long datagrams are gathered, for the listener that reads them."""

cdef class Gathering:
    cdef readonly double longest
    cdef readonly double pause
    cdef int _seen
    cdef double _since
    cdef double _rate

    cdef double take(self, int n, object clock) except -1
    cdef double _judge(self, int n, double now) noexcept
