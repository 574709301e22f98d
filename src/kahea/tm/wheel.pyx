# cython: language_level=3
"""A hashed timer wheel: arming, moving and cancelling a timer are O(1), since nearly every SIP timer is cancelled.

Rules: time is passed in, in seconds of the node's clock; a timer never fires early, and at most one tick late; timers
fire in the order of their ticks. A timer holds no reference to its wheel's neighbours once it is cancelled or fired.
"""

from libc.math cimport ceil

cdef long SLOTS = 4096
cdef long MASK = 4095


cdef class Timer:
    """One timer. Subclasses override `fire(now)`; armed by `Wheel.schedule`, at most once at a time."""

    cpdef fire(self, double now):
        """Called by the wheel when due. Must not raise."""

    @property
    def armed(self):
        return self._wheel is not None

    cpdef cancel(self):
        """Disarm; harmless if not armed."""
        cdef Timer before, after
        if self._wheel is None:
            return
        before = self._prev
        after = self._next
        before._next = after
        after._prev = before
        self._prev = None
        self._next = None
        self._wheel.count -= 1
        self._wheel = None


cdef class CallTimer(Timer):
    """Calls `callback(*args)` when due: what `Node.call_later` hands out."""

    cdef object callback
    cdef tuple args

    def __init__(self, callback, tuple args=()):
        self.callback = callback
        self.args = args

    cpdef fire(self, double now):
        callback, args = self.callback, self.args
        self.callback = None
        self.args = ()
        callback(*args)


cdef class Wheel:
    """Timers by due time. `resolution` is the tick in seconds.

    `on_earlier()` is called when a timer is armed that is due before the deadline last handed out, so that the
    owner can wake sooner.
    """

    def __init__(self, double now, double resolution=0.01, on_earlier=None):
        cdef Timer head
        self.resolution = resolution
        self._origin = now
        self._tick = 0
        self._wake = -1
        self._on_earlier = on_earlier
        self._slots = []
        for _ in range(SLOTS):
            head = Timer.__new__(Timer)
            head._prev = head
            head._next = head
            self._slots.append(head)

    cpdef schedule(self, Timer timer, double when):
        """Arm `timer` for `when`, moving it if it was armed."""
        cdef long tick
        cdef Timer head, last
        if timer._wheel is not None:
            timer.cancel()
        tick = <long>ceil((when - self._origin) / self.resolution - 1e-6)
        if tick <= self._tick:
            tick = self._tick + 1
        timer._tick = tick
        head = <Timer>self._slots[tick & MASK]
        last = head._prev
        timer._prev = last
        timer._next = head
        last._next = timer
        head._prev = timer
        timer._wheel = self
        self.count += 1
        if self._wake >= 0 and tick < self._wake:
            self._wake = tick
            if self._on_earlier is not None:
                self._on_earlier()

    cpdef object next_deadline(self):
        """When `advance` should next be called (it may then find nothing due), or None without timers."""
        cdef long i, tick, best = -1
        cdef Timer head
        if self.count == 0:
            self._wake = self._tick + (1 << 40)
            return None
        for i in range(1, SLOTS + 1):
            tick = self._tick + i
            head = <Timer>self._slots[tick & MASK]
            if head._next is not head:
                # Timers of a later turn of the wheel do not count as due here.
                best = self._first_due(head, tick)
                if best >= 0:
                    self._wake = best
                    return self._origin + best * self.resolution
        best = self._earliest()
        self._wake = best
        return self._origin + best * self.resolution

    cdef long _first_due(self, Timer head, long tick):
        cdef Timer timer = head._next
        while timer is not head:
            if timer._tick == tick:
                return tick
            timer = timer._next
        return -1

    cdef long _earliest(self):
        cdef long best = -1
        cdef Timer head, timer
        for head in self._slots:
            timer = head._next
            while timer is not head:
                if best < 0 or timer._tick < best:
                    best = timer._tick
                timer = timer._next
        return best

    cpdef int advance(self, double now) except -1:
        """Fire what is due at `now`; returns how many. Timers armed meanwhile wait for a later call."""
        cdef long target = <long>((now - self._origin) / self.resolution + 1e-6)
        cdef long tick
        cdef int fired = 0
        cdef Timer head, timer, after
        cdef list due
        if target - self._tick > SLOTS:
            return self._advance_far(target, now)
        tick = self._tick
        while tick < target:
            tick += 1
            self._tick = tick
            head = <Timer>self._slots[tick & MASK]
            if head._next is head:
                continue
            due = []
            timer = head._next
            while timer is not head:
                after = timer._next
                if timer._tick <= tick:
                    due.append(timer)
                timer = after
            for timer in due:
                # An earlier one of this tick may have cancelled or moved it.
                if timer._wheel is self and timer._tick <= tick:
                    timer.cancel()
                    timer.fire(now)
                    fired += 1
        return fired

    cdef int _advance_far(self, long target, double now) except -1:
        """More than a turn at once (a suspended host, a test's leap): by due time, not slot by slot."""
        cdef int fired = 0
        cdef Timer head, timer
        cdef list due = []
        for head in self._slots:
            timer = head._next
            while timer is not head:
                if timer._tick <= target:
                    due.append((timer._tick, len(due), timer))
                timer = timer._next
        due.sort()
        self._tick = target
        for tick, _, timer in due:
            if timer._wheel is self and timer._tick == tick:
                timer.cancel()
                timer.fire(now)
                fired += 1
        return fired
