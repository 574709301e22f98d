# cython: language_level=3
"""A transaction, its branches, and what each does when its timer is due.

Rules: an object here holds state and deadlines and asks its `layer` to act; it sends nothing but what it repeats. A
branch is its own timer (retransmission and final-response deadline in one), and so is a transaction (its reply's
retransmission, and its end).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy

cimport cython

from kahea.net.address cimport Address, Listener
from kahea.sip.message cimport Message
from kahea.tm.wheel cimport Timer, Wheel

cdef double NEVER = 1e18

cdef bytes stem_of(unsigned int label, const char* random):
    """The branch identifier of a transaction, up to the branch's own part."""
    cdef bytes stem = PyBytes_FromStringAndSize(NULL, STEM)
    cdef char* to = PyBytes_AS_STRING(stem)
    cdef int i
    memcpy(to, b"z9hG4bK", COOKIE)
    for i in range(LABEL):
        to[COOKIE + i] = HEX[(label >> (4 * (LABEL - 1 - i))) & 15]
    memcpy(to + COOKIE + LABEL, random, RANDOM)
    return stem


cdef bytes branch_id(bytes stem, int index):
    """The stem with a branch's index, which is below 100."""
    cdef int size = STEM + (2 if index < 10 else 3)
    cdef bytes out = PyBytes_FromStringAndSize(NULL, size)
    cdef char* to = PyBytes_AS_STRING(out)
    memcpy(to, PyBytes_AS_STRING(stem), STEM)
    to[STEM] = 46
    if index >= 10:
        to[STEM + 1] = <char>(48 + index // 10)
    to[size - 1] = <char>(48 + index % 10)
    return out


cdef int branch_index(const unsigned char* suffix, int size) noexcept:
    """The index behind a stem, as `branch_id` writes it; -1 for anything else."""
    if size == 2 and suffix[0] == 46 and 48 <= suffix[1] <= 57:
        return suffix[1] - 48
    if size == 3 and suffix[0] == 46 and 49 <= suffix[1] <= 57 and 48 <= suffix[2] <= 57:
        return (suffix[1] - 48) * 10 + suffix[2] - 48
    return -1


cdef long label_of(const unsigned char* branch, int size) noexcept:
    """The label in a branch identifier of ours; -1 for anything else."""
    cdef long label = 0
    cdef int i, c
    if not STEM + 2 <= size <= STEM + 3:
        return -1
    for i in range(COOKIE, COOKIE + LABEL):
        c = branch[i]
        if 48 <= c <= 57:
            label = label * 16 + c - 48
        elif 97 <= c <= 102:
            label = label * 16 + c - 87
        else:
            return -1
    return label


cdef class Owner:
    """What a transaction and its branches ask when their timers are due: the layer."""

    cdef int branch_due(self, Branch branch, double now) except -1:
        raise NotImplementedError

    cdef int transaction_due(self, Transaction t, double now) except -1:
        raise NotImplementedError


@cython.freelist(64)
cdef class Saved:
    """The edits, target and flags of a request as its first route left them: what later routes start from."""


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
        self.transaction.layer.branch_due(self, now)

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

    def __init__(self):
        raise TypeError("transactions are made by the layer")

    cdef Branch new_branch(self):
        cdef Branch branch = Branch.__new__(Branch)
        branch.transaction = self
        branch.index = len(self.branches)
        branch.id = branch_id(self.stem, branch.index)
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
        self.layer.transaction_due(self, now)

    cdef int dismantle(self) except -1:
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
        return 0


cdef Transaction new_transaction(Owner layer, Message request, unsigned int label, const char* random):
    """A transaction; `random` has the RANDOM digits of its branch identifiers."""
    cdef Transaction t = Transaction.__new__(Transaction)
    t.layer = layer
    t.request = request
    t.size = request.size
    t.label = label
    t.stem = stem_of(label, random)
    t.hash_index = label & 0xFFFF
    t.method = request.get_method()
    t.method_id = request.method_id
    t.is_invite = request.method_id == 1
    t.branches = []
    t.to_tag = b""
    t.watchers = ()
    t.retr_at = NEVER
    t.wait_at = NEVER
    t.end_of_life = NEVER
    return t
