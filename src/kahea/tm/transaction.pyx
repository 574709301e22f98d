# cython: language_level=3
"""A transaction, its branches, and what each does when its timer is due.

Rules: an object here holds state and deadlines and asks its `layer` to act; it sends nothing but what it repeats. A
branch is its own timer (retransmission and final-response deadline in one), and so is a transaction (its reply's
retransmission, and its end).
"""

from kahea.net.address cimport Address, Listener
from kahea.sip.message cimport Message
from kahea.tm.wheel cimport Timer, Wheel

cdef double NEVER = 1e18

# What follows the stem in a branch parameter, by the branch's index.
cdef list SUFFIXES = [b".%d" % i for i in range(100)]
cdef dict SUFFIX_INDEX = {suffix: i for i, suffix in enumerate(SUFFIXES)}


cdef class Resender(Timer):
    """Repeats `data`, doubling the interval up to `slowest`, until stopped or `until`; then calls `on_end()`."""

    def __init__(self, Wheel wheel, bytes data, Listener listener, Address address, long connection_id,
                 double now, double interval, double slowest, double until, on_end=None):
        self.wheel = wheel
        self.data = data
        self.listener = listener
        self.address = address
        self.connection_id = connection_id
        self.interval = interval
        self.slowest = slowest
        self.until = until
        self.on_end = on_end
        wheel.schedule(self, min(now + interval, until) if interval > 0 else until)

    cpdef fire(self, double now):
        if now >= self.until:
            on_end, self.on_end = self.on_end, None
            if on_end is not None:
                on_end()
            return
        self.listener.send(self.data, self.address, self.connection_id)
        self.interval = min(self.interval * 2, self.slowest)
        (<Wheel>self.wheel).schedule(self, min(now + self.interval, self.until))

    cpdef cancel(self):
        self.on_end = None
        Timer.cancel(self)


cdef class Branch(Timer):
    """One client transaction of a proxied or own request: a target, what was sent there, what came back."""

    def __cinit__(self):
        self.fr_at = NEVER
        self.retr_at = NEVER

    cpdef fire(self, double now):
        self.transaction.layer.branch_timer(self, now)

    @property
    def pending(self):
        """Still waiting for a final response."""
        return not self.answered and not (self.blind and not self.transaction.suspended)


cdef class Transaction(Timer):
    """A server transaction with the branches it was forwarded on (RFC 3261 §16-17).

    `status` is the last status sent upstream, `response` its bytes, kept for retransmissions; `winner` is the branch
    that it came from, if any did. `watchers` are told of what becomes of it (`hooks.Watcher`). Times are seconds of the
    node's clock.
    """

    def __init__(self, layer, Message request, unsigned int label, bytes stem, int hash_index):
        self.layer = layer
        self.request = request
        self.label = label
        self.stem = stem
        self.hash_index = hash_index
        self.method = request.get_method()
        self.method_id = request.method_id
        self.is_invite = request.method_id == 1
        self.branches = []
        self.to_tag = b""
        self.watchers = ()
        self.retr_at = NEVER
        self.wait_at = NEVER
        self.end_of_life = NEVER

    cdef Branch new_branch(self):
        cdef Branch branch = Branch.__new__(Branch)
        branch.transaction = self
        branch.index = len(self.branches)
        branch.id = self.stem + <bytes>SUFFIXES[branch.index]
        self.branches.append(branch)
        return branch

    def add_branch(self):
        """A new branch, not sent yet."""
        return self.new_branch()

    cdef bint pending(self):
        cdef Branch branch
        for branch in self.branches:
            if not branch.answered:
                return True
        return False

    @property
    def is_pending(self):
        """Whether some branch still waits for its final response."""
        return self.pending()

    cpdef fire(self, double now):
        self.layer.transaction_timer(self, now)

    def dismantle(self):
        """Break the references that make a cycle, and disarm every timer, so that nothing outlives the table."""
        cdef Branch branch
        self.freed = True
        self.cancel()
        if self.retransmit is not None:
            self.retransmit.cancel()
            self.retransmit = None
        for branch in self.branches:
            branch.cancel()
            if branch.cancel_sender is not None:
                branch.cancel_sender.cancel()
                branch.cancel_sender = None
        self.queue = None
        self.on_complete = None
        self.winner = None
        self.watchers = ()
        self.branches = []
