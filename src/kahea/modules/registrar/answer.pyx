# cython: language_level=3
"""The answer to a REGISTER: every contact of the AOR, and what extensions ask for (RFC 3261 §10.3 item 8)."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.string cimport memcpy

from kahea.modules.usrloc.contact cimport Contact, format_q
from kahea.sip.message cimport Message
from kahea.sip.scan cimport put_number

from kahea.modules.registrar.refusal import FINE

cdef str FACET = "registrar.answer"

cdef enum:
    NUMBERS = 160  # more than the names of a contact's parameters, its numbers and what stands between take


@cython.auto_pickle(False)
cdef class Answer:
    """An answer as it comes to be. `contacts` is its Contact line, b"" without one."""

    def __init__(self):
        self.verdict = FINE
        self.contacts = b""

    cdef int add(self, bytes line) except -1:
        """A line after the Contact line."""
        if self._extra is None:
            self._extra = []
        self._extra.append(line)
        return 0

    cpdef put(self, Message msg, long retry_after):
        cdef list lines = msg._reply_edits
        if lines is None:
            lines = msg._reply_edits = []
        if self.contacts:
            lines.append(self.contacts)
        if self._extra is not None:
            lines += self._extra
        if self.verdict is FINE:
            return
        if self.verdict.error:
            lines.append(b"P-Registrar-Error: " + self.verdict.error.encode() + b"\r\n")
        if self.verdict.status >= 500 and retry_after:
            lines.append(b"Retry-After: %d\r\n" % retry_after)

    def keep(self, Message msg not None):
        msg.facets[FACET] = self


def kept(Message msg not None):
    found = msg.facets.get(FACET)
    return found if isinstance(found, Answer) else None


cdef inline char* put(char* to, const char* data, Py_ssize_t n) noexcept:
    memcpy(to, data, n)
    return to + n


cdef inline char* put_bytes(char* to, bytes data) noexcept:
    return put(to, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


cdef bytes contact_line(list contacts, long long now, bytes received_param, object gruus):
    """The Contact header with all contacts that have not expired, b"" if there are none."""
    cdef Contact c
    cdef bytes gruu
    cdef list shown = []
    cdef Py_ssize_t size = NUMBERS
    cdef char* line
    cdef char* to
    for c in contacts or ():
        if c.expires <= now and c.expires != 0:
            continue
        gruu = gruus.of(c) if gruus is not None and c.instance else b""
        shown.append((c, gruu))
        size += NUMBERS + len(c.uri) + len(c.received) + len(c.instance)
        size += len(received_param) + len(gruu)
    if not shown:
        return b""
    line = <char*>PyMem_Malloc(size)
    if line == NULL:
        raise MemoryError()
    try:
        to = put(line, b"Contact: ", 9)
        for c, gruu in shown:
            if to != line + 9:
                to = put(to, b", ", 2)
            to = put_contact(to, c, now, received_param, gruu)
        to = put(to, b"\r\n", 2)
        return PyBytes_FromStringAndSize(line, to - line)
    finally:
        PyMem_Free(line)


cdef char* put_contact(char* to, Contact c, long long now, bytes received_param, bytes gruu) except NULL:
    to = put(to, b"<", 1)
    to = put_bytes(to, c.uri)
    to = put(to, b">", 1)
    if c.q >= 0:
        to = put(to, b";q=", 3)
        to = put_bytes(to, format_q(c.q))
    to = put(to, b";expires=", 9)
    to += put_number(to, c.expires - now if c.expires else 0)
    if c.received and received_param:
        to = put(to, b";", 1)
        to = put_bytes(to, received_param)
        to = put(to, b'="', 2)
        to = put_bytes(to, c.received)
        to = put(to, b'"', 1)
    if c.instance:
        to = put_bytes(to, gruu)
        to = put(to, b';+sip.instance="', 16)
        to = put_bytes(to, c.instance)
        to = put(to, b'"', 1)
        if c.reg_id:
            to = put(to, b";reg-id=", 8)
            to += put_number(to, c.reg_id)
    return to
