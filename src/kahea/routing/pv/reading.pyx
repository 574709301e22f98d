# cython: language_level=3
"""Reading the variables that scripts ask for most: compiled, since each is a few bytes of the message.

Each getter is a built-in function `get(run)`. As every getter, it gives None where the message can't be parsed.
"""

from cpython.unicode cimport PyUnicode_DecodeUTF8

from kahea.routing.dispatch cimport Run
from kahea.sip.message cimport Message
from kahea.sip.uri cimport Uri, parse_uri
from kahea.sip.values cimport AddrSpan

from kahea.routing.pv.errors import PvError
from kahea.sip.errors import ParseError

# What is read of an address, or of the Request-URI.
cpdef enum:
    URI = 0
    USER = 1
    HOST = 2
    TAG = 3


cdef inline str decoded(const unsigned char* p, Py_ssize_t size):
    return PyUnicode_DecodeUTF8(<const char*>p, size, "surrogateescape")


cdef inline str some(bytes data):
    """As text; None where there is nothing."""
    return data.decode("utf-8", "surrogateescape") if data else None


cdef inline str part_of(Uri uri, int part):
    return some(uri.user if part == USER else uri.host)


cdef class PartyText:
    """A part of From (or To) as text; a user, host or tag that is not there is null."""

    cdef bint of_from
    cdef int part

    def __init__(self, bint of_from, int part):
        self.of_from = of_from
        self.part = part

    def get(self, Run run not None):
        cdef Message msg = run.msg
        cdef AddrSpan* a
        try:
            a = msg.from_addr() if self.of_from else msg.to_addr()
            if self.part == URI:
                return decoded(msg.p + a.uri, a.uri_len)
            if self.part == TAG:
                return decoded(msg.p + a.tag, a.tag_len) if a.tag >= 0 and a.tag_len > 0 else None
            return part_of(parse_uri(<bytes>msg.p[a.uri:a.uri + a.uri_len]), self.part)
        except ParseError:
            return None


cdef class TargetText:
    """A part of the current Request-URI as text; null in a reply, as is a user or host that is not there."""

    cdef int part

    def __init__(self, int part):
        self.part = part

    def get(self, Run run not None):
        cdef Message msg = run.msg
        cdef bytes uri
        cdef Uri parsed
        if not msg.is_request:
            return None
        uri = msg.get_uri()
        try:
            parsed = parse_uri(uri)
        except ParseError:
            return None
        return uri.decode("utf-8", "surrogateescape") if self.part == URI else part_of(parsed, self.part)


cdef class HeaderText:
    """The first header of a kind as text; null if there is none."""

    cdef int kind

    def __init__(self, int kind):
        self.kind = kind

    def get(self, Run run not None):
        cdef Message msg = run.msg
        cdef int i = msg.nth_of(self.kind, 0)
        if i < 0:
            return None
        return decoded(msg.p + msg.slots[i].body, msg.slots[i].body_end - msg.slots[i].body)


def source_ip(Run run not None):
    """The address that the message came from."""
    return run.msg.src_ip.decode("utf-8", "surrogateescape")


cdef class Reading:
    """`KSR.pv.get` and its kin, by the table's `compiled(name)`, which gives the variable, or its error to `fail`."""

    cdef object compiled
    cdef object fail

    def __init__(self, compiled, fail):
        self.compiled = compiled
        self.fail = fail

    cdef object value(self, Run run, str name):
        found = self.compiled(name)
        if isinstance(found, PvError):
            self.fail(found)
            return None
        return found.get(run)

    def get(self, Run run not None, str name not None):
        return self.value(run, name)

    def gete(self, Run run not None, str name not None):
        found = self.value(run, name)
        return "" if found is None else found

    def is_null(self, Run run not None, str name not None):
        return self.value(run, name) is None
