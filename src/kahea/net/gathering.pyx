"""When to let datagrams gather: under load, a listener is read in intervals rather than at each datagram's arrival.

Being woken for a datagram, and waking its receiver for what is sent, costs more than most of what is done with it, so
a server whose datagrams come one by one pays twice for what it gets in batches. A network card gathers its interrupts
for the same reason. Without load nothing waits; with too much of it, batches are large by themselves.
"""

cdef enum:
    WINDOW = 64  # datagrams after which the rate is looked at, while each is read at once
    WORTH = 8  # datagrams that the longest pause must gather for it to begin; half as many, for it to go on
    SMOOTHED = 4  # intervals over which the rate is smoothed, while it is read in intervals
    ENOUGH = 48  # datagrams that a pause is to gather: more would save little, and fill the kernel's buffer

cdef double SHORTEST = 0.001  # the resolution of the loop's timers


cdef class Gathering:
    """The pause before the next read of one listener: `pause` in seconds, 0 to read as soon as something arrives.

    `longest` is what a datagram may wait at most; 0 turns gathering off.
    """

    def __init__(self, double longest):
        if not 0 <= longest <= 1:
            raise ValueError("the longest pause is from 0 to 1 s")
        self.longest = longest if longest >= SHORTEST else 0

    cdef double take(self, int n, object clock) except -1:
        """Count `n` datagrams that were read; the pause until the next read. `clock` gives seconds, monotonic."""
        if self.longest == 0:
            return 0
        self._seen += n
        if self.pause == 0 and self._seen < WINDOW:
            return 0
        # The first window begins at some time before the node did, and so counts as no load.
        return self._judge(self._seen, clock())

    cdef double _judge(self, int n, double now) noexcept:
        """`n` datagrams came since the last look: the pause that fits their rate."""
        cdef double passed = now - self._since
        cdef double rate = n / passed if passed > 0 else 0
        cdef double least = WORTH
        if self.pause > 0:
            # Peers send in bursts: one empty interval is not yet the end of the load.
            rate = self._rate + (rate - self._rate) / SMOOTHED
            least = WORTH / 2
        self._seen = 0
        self._since = now
        self._rate = rate
        self.pause = 0
        if rate * self.longest >= least:
            self.pause = min(self.longest, ENOUGH / rate)
            if self.pause < SHORTEST:
                self.pause = 0
        return self.pause

    def taken(self, int n, clock):
        """`take`, for Python."""
        return self.take(n, clock)
