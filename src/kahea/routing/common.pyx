# cython: language_level=3
"""What nearly every script asks of every message. The modules that export these functions say what they mean; they are
compiled since a frame of Python costs more than what they do.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from libc.string cimport memcpy, memset

from kahea.routing.caller cimport Test
from kahea.routing.dispatch cimport Dispatcher, Run
from kahea.sip.message cimport H_MAXFORWARDS, H_OTHER, M_ACK, Message, Slot, kind_of
from kahea.sip.scan cimport chars, number, put_number
from kahea.sip.uri cimport parse_uri
from kahea.tm.layer cimport TransactionLayer
from kahea.tm.transaction cimport Transaction

from kahea.routing import headers
from kahea.sip.errors import ParseError

cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object value, int* overflow) except? -1

cdef str FACET = "maxfwd"  # the value, once it was counted down; None where it was added

cdef str SEND_FLAGS = "send_flags"

cdef enum:
    MAX_WIDTH = 10  # digits of a Max-Forwards that is read at all
    HIGHEST_LIMIT = 255
    MAX_NAME = 64  # of a header that has a kind of its own


cdef class MethodTest:
    """Whether a message has one of some methods, by the bits of `Message.method_id`."""

    cdef int bits

    def __init__(self, int bits):
        self.bits = bits

    def holds(self, Run run not None):
        return (run.msg.method_id & self.bits) != 0


cdef class MethodList(Test):
    """Whether a message has one of some methods, a reply by its CSeq: those that have a bit of their own, and the names
    (upper case) of others."""

    cdef int bits
    cdef frozenset names

    def __init__(self, int bits, frozenset names not None):
        self.bits = bits
        self.names = names


    cdef bint holds(self, Run run) except -1:
        cdef Message msg = run.msg
        if msg.method_id & self.bits:
            return True
        if not self.names:
            return False
        name = msg.get_method() if msg.is_request else msg.get_cseq_method()
        return name.upper() in self.names


cdef class LetterTest:
    """Whether a message has one of the methods that letters stand for. What is not in `letters`, which gives the bits of
    single letters, is left to `rare(run, letters)`."""

    cdef int bits[128]
    cdef object rare

    def __init__(self, dict letters, rare):
        self.rare = rare
        for letter, value in letters.items():
            self.bits[<int>ord(letter)] = value

    def holds(self, Run run not None, str letters not None):
        cdef Py_UCS4 letter
        cdef int method = run.msg.method_id
        for letter in letters:
            if letter > 127 or self.bits[<int>letter] == 0:
                return self.rare(run, letters)
            if self.bits[<int>letter] & method:
                return True
        return False


def has_totag(Run run not None):
    """1 if To has a tag, else -1."""
    return 1 if run.msg.to_addr().tag_len > 0 else -1


def is_myself_ruri(Run run not None):
    """Whether the Request-URI is this server's own; False in a reply."""
    cdef Message msg = run.msg
    if not msg.is_request:
        return False
    try:
        return (<Dispatcher?>run.node).owns(parse_uri(msg.get_uri()))
    except ParseError:
        return False


def remove_named(Run run not None, str name not None):
    """See headers.remove_named, to which names without a kind of their own are left."""
    cdef Message msg = run.msg
    cdef bytes raw = name.encode("utf-8", "surrogateescape")
    cdef int i, kind = kind_of(<chars>PyBytes_AS_STRING(raw), <int>min(PyBytes_GET_SIZE(raw), MAX_NAME))
    if kind == H_OTHER:
        return headers.remove_named(run, name)
    i = msg.first[kind]
    while i >= 0:
        msg.delete(msg.slots[i].start, msg.slots[i].end - msg.slots[i].start)
        i = msg.slots[i].next
    return 1


def remove_present(Run run not None, str name not None):
    """As `remove_named`, but -1 if there are none."""
    cdef bytes raw = name.encode("utf-8", "surrogateescape")
    cdef int kind = kind_of(<chars>PyBytes_AS_STRING(raw), <int>min(PyBytes_GET_SIZE(raw), MAX_NAME))
    if run.msg.first[kind] < 0 if kind != H_OTHER else not headers.headers_named(run, name):
        return -1
    return remove_named(run, name)


cdef class HopCount:
    """Max-Forwards, counted down, but once for a message. `limit` is the largest value let through."""

    cdef public int limit

    def __init__(self, int limit):
        self.limit = limit

    def process(self, Run run not None, initial):
        cdef Message msg = run.msg
        cdef dict facets = msg.get_facets()
        cdef int i = msg.first[H_MAXFORWARDS], width, value, overflow
        cdef long long received, limit = PyLong_AsLongLongAndOverflow(initial, &overflow)
        cdef Slot* s
        if overflow or not 0 <= limit <= HIGHEST_LIMIT:
            run.node.log.error("process_maxfwd: %d is not between 0 and 255", initial)
            return -1
        if i < 0:
            if FACET not in facets:
                msg.prepend_header(b"Max-Forwards: %d\r\n" % limit)
                facets[FACET] = None
            return 2
        if FACET in facets:
            return 1
        s = &msg.slots[i]
        width = s.body_end - s.body
        received = received_hops(msg, s)
        if received <= 0:
            return -1 if received == 0 else -2
        value = <int>min(received - 1, self.limit)
        facets[FACET] = value
        # As wide as it was: Kamailio writes into the received bytes.
        msg.replace(s.body, width, right_aligned(value, width))
        return 1

    def below(self, Run run not None, limit):
        cdef Message msg = run.msg
        cdef int i = msg.first[H_MAXFORWARDS]
        cdef long long value
        if i < 0:
            return -2
        counted = msg.get_facets().get(FACET)
        value = received_hops(msg, &msg.slots[i]) if counted is None else counted
        if value < 0:
            return -3
        return 1 if value < limit else -1


cdef long long received_hops(Message msg, Slot* s) noexcept:
    """The value of Max-Forwards; 0 for an empty header, -1 for what is no number."""
    if s.body_end == s.body:
        return 0
    if s.body_end - s.body > MAX_WIDTH:
        return -1
    return number(msg.p, s.body, s.body_end, 9999999999)


cdef bytes right_aligned(int value, int width):
    """A non-negative number with spaces before it, of at least `width` bytes."""
    cdef char digits[24]
    cdef int size = put_number(digits, value)
    cdef bytes out = PyBytes_FromStringAndSize(NULL, max(width, size))
    cdef char* to = PyBytes_AS_STRING(out)
    width = max(width - size, 0)
    memset(to, 32, width)
    memcpy(to + width, digits, size)
    return out


def force_rport(Run run not None):
    """Answer to the source port (RFC 3581)."""
    run.msg.force_rport = True
    return True


cdef class ReplyPath:
    """One thing that a script says of the connections that replies to a request take: a bit, kept with the message for
    whoever sends its replies."""

    cdef TransactionLayer layer
    cdef int bit

    def __init__(self, Dispatcher node not None, int bit):
        self.layer = node.layer
        self.bit = bit

    def mark(self, Run run not None):
        cdef Message msg = run.msg
        cdef dict facets = msg.get_facets()
        cdef Transaction t = run.transaction
        facets[SEND_FLAGS] = facets.get(SEND_FLAGS, 0) | self.bit
        if t is not None and msg is t.request:
            t.listener = self.layer.reply_destination(msg)[0]
        return True


cdef class MessageFlags:
    """The flags of a message, 0 to 31; of any other number `beyond(flag)` tells, and the answer is False."""

    cdef object beyond

    def __init__(self, beyond):
        self.beyond = beyond

    cdef unsigned int bit(self, flag) except? 0:
        cdef int overflow
        cdef long long number = PyLong_AsLongLongAndOverflow(flag, &overflow)
        if overflow or not 0 <= number <= 31:
            self.beyond(flag)
            return 0
        return 1U << number

    def setflag(self, Run run not None, flag):
        cdef unsigned int bit = self.bit(flag)
        run.msg.flags |= bit
        return bit != 0

    def resetflag(self, Run run not None, flag):
        cdef unsigned int bit = self.bit(flag)
        run.msg.flags &= ~bit
        return bit != 0

    def isflagset(self, Run run not None, flag):
        return (run.msg.flags & self.bit(flag)) != 0


cdef class Level:
    """Lines of one level of the log; where it does not show (the global parameter `debug`), they are not even made.
    `write(run, line)` makes them, and gives the return code."""

    cdef Dispatcher node
    cdef object write
    cdef int level

    def __init__(self, Dispatcher node not None, int level, write):
        self.node = node
        self.level = level
        self.write = write

    def line(self, Run run not None, line):
        cdef int shown = self.node.settings.debug
        return self.write(run, line) if self.level <= shown else 1


cdef class Processing:
    """The requests whose routes are still at work, be it that they wait. `looks` False knows of none."""

    cdef TransactionLayer layer
    cdef set keys
    cdef public bint looks

    def __init__(self, Dispatcher node not None):
        self.layer = node.layer
        self.keys = set()
        self.looks = True

    def t_precheck_trans(self, Run run not None):
        cdef Message msg = run.msg
        cdef tuple key
        cdef Leaving leaving
        if not self.looks or not msg.is_request or msg.method_id == M_ACK:
            return -1
        if self.layer.lookup(msg) is not None:
            return 1
        key = (msg.get_callid(), msg.branch_id(), msg.get_cseq(), msg.get_method())
        if key in self.keys:
            return 1
        self.keys.add(key)
        leaving = Leaving.__new__(Leaving)
        leaving.keys = self.keys
        leaving.key = key
        run.on_end += (leaving,)
        return -1


cdef class Leaving:
    """The end of a request's route: it is not being processed any more."""

    cdef set keys
    cdef tuple key

    def __call__(self, Run run):
        self.keys.discard(self.key)
