# Timers of the node: see wheel.pyx.

cdef class Timer:
    cdef Timer _prev
    cdef Timer _next
    cdef Wheel _wheel
    cdef long _tick

    cpdef fire(self, double now)
    cpdef cancel(self)


cdef class Wheel:
    cdef readonly double resolution
    cdef readonly Py_ssize_t count
    cdef double _origin
    cdef long _tick
    cdef list _slots
    cdef object _on_earlier
    cdef long _wake

    cpdef schedule(self, Timer timer, double when)
    cpdef object next_deadline(self)
    cpdef int advance(self, double now) except -1
    cdef long _first_due(self, Timer head, long tick)
    cdef long _earliest(self)
    cdef int _advance_far(self, long target, double now) except -1
