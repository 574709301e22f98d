# cython: language_level=3
"""What a REGISTER asks for: its AOR, and its contacts with their expiry, q, methods and instance (RFC 3261 §10.2).

Functions here raise `Refused`, with the answer that Kamailio gives, or ParseError of the parts that they read.
"""

import re

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from kahea.sip.message cimport H_ALLOW, H_CONTACT, H_EXPIRES, Message
from kahea.sip.scan cimport Param, chars, find, is_word, lower, next_param, number
from kahea.sip.uri cimport Uri, UriSpan, parse_uri, scan_uri
from kahea.sip.values cimport NameAddr, addrs_in

from kahea.modules.registrar import refusal
from kahea.modules.registrar.refusal import Refused
from kahea.sip.errors import ParseError
from kahea.sip.uri import unescape

cdef enum:
    MAX_AOR = 255  # octets of user@host as received
    MAX_SCANNED = 1024  # a longer URI is left to parse_uri
    EVERY_METHOD = 0xFFFFFFFF

cdef object BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")

cdef tuple names = (
    b"INVITE", b"CANCEL", b"ACK", b"BYE", b"INFO", b"REGISTER", b"SUBSCRIBE", b"NOTIFY", b"MESSAGE",
    b"OPTIONS", b"PRACK", b"UPDATE", b"REFER", b"PUBLISH", b"KDMQ", b"GET", b"POST", b"PUT", b"DELETE",
)
METHOD_BITS = {name: 1 << i for i, name in enumerate(names)}
OTHER_METHOD = 1 << len(names)
cdef dict method_bits = METHOD_BITS
cdef int other_method = OTHER_METHOD


cdef bint breaks_lines(bytes value) noexcept:
    """Whether a value would break the line of a message that it is put into."""
    cdef chars p = <chars>PyBytes_AS_STRING(value)
    cdef int n = <int>PyBytes_GET_SIZE(value)
    return find(p, 0, n, 10) >= 0 or find(p, 0, n, 13) >= 0


@cython.auto_pickle(False)
cdef class Wanted:
    """One contact of the REGISTER, checked."""


@cython.auto_pickle(False)
cdef class AorRules:
    """How an AOR is made from a URI: the parameters of both modules."""

    def __init__(self, bint use_domain, bint case_sensitive, bytes realm_prefix not None):
        self.use_domain = use_domain
        self.case_sensitive = case_sensitive
        self.realm_prefix = realm_prefix

    cpdef bytes aor(self, Uri uri):
        cdef bytes user = uri.user, host
        if PyBytes_GET_SIZE(user) + PyBytes_GET_SIZE(uri.host) + 1 > MAX_AOR:
            raise Refused(refusal.AOR_TOO_LONG)
        if b"%" in user:
            if BAD_ESCAPE.search(user):
                raise Refused(refusal.BAD_ESCAPE)
            user = unescape(user)
        if breaks_lines(user):
            raise Refused(refusal.BAD_AOR)
        if not self.case_sensitive:
            user = user.lower()
        if not self.use_domain:
            return user
        host = uri.host.lower()
        if self.realm_prefix and host.startswith(self.realm_prefix) and len(host) > len(self.realm_prefix):
            host = host[len(self.realm_prefix):]
        return user + b"@" + host if user else host

    cpdef bytes parse(self, bytes data):
        try:
            return self.aor(parse_uri(data))
        except ParseError as error:
            raise Refused(refusal.BAD_AOR) from error

    cdef bytes aor_at(self, chars p, int n):
        """As `aor`, for the URI in these bytes; also raises ParseError. A plain user is read without making a Uri."""
        cdef UriSpan u
        cdef bytes user
        cdef char* out
        cdef int i, c
        if not self.use_domain and n <= MAX_SCANNED and scan_uri(p, n, &u) == NULL:
            if u.user_len + u.host_len + 1 <= MAX_AOR:
                user = PyBytes_FromStringAndSize(NULL, u.user_len)
                out = PyBytes_AS_STRING(user)
                for i in range(u.user_len):
                    c = p[u.user + i]
                    if c == 37 or c == 59 or c == 10 or c == 13:  # escapes, parameters and line ends are seldom
                        break
                    out[i] = <char>(c if self.case_sensitive else lower(c))
                else:
                    return user
        return self.aor(parse_uri(PyBytes_FromStringAndSize(<const char*>p, n)))


cdef list contacts_of(Message msg):
    """The Contact values in the order in which Kamailio takes them. Raises Refused.

    That is header by header, but within one header from its last value to its first.
    """
    cdef list values = [], of_one
    cdef int i = msg.first[H_CONTACT]
    try:
        while i >= 0:
            of_one = addrs_in(msg.raw, msg.slots[i].body, msg.slots[i].body_end, [])
            if len(of_one) > 1:
                of_one.reverse()
            values = values + of_one if values else of_one
            i = msg.slots[i].next
    except ParseError as error:
        raise Refused(refusal.BAD_CONTACT) from error
    return values


@cython.auto_pickle(False)
@cython.freelist(8)
cdef class ContactParams:
    """The parameters of a Contact that a registrar reads."""


cdef ContactParams params_of(NameAddr value):
    """What a Contact's parameters say; of a repeated one the first counts. A bare one is b""."""
    cdef ContactParams found = ContactParams.__new__(ContactParams)
    cdef Param par
    cdef int pos = value.span.params, end = value.span.end
    cdef chars p = <chars>PyBytes_AS_STRING(value.owner), name
    while next_param(p, &pos, end, &par) > 0:
        name = p + par.name
        if is_word(name, par.name_len, b"expires", 7):
            if found.expires is None:
                found.expires = value_of(p, &par)
        elif is_word(name, par.name_len, b"q", 1):
            if found.q is None:
                found.q = value_of(p, &par)
        elif is_word(name, par.name_len, b"methods", 7):
            if found.methods is None:
                found.methods = value_of(p, &par)
        elif is_word(name, par.name_len, b"+sip.instance", 13):
            if found.instance is None:
                found.instance = value_of(p, &par)
        elif is_word(name, par.name_len, b"reg-id", 6):
            if found.reg_id is None:
                found.reg_id = value_of(p, &par)
    return found


cdef bytes value_of(chars p, Param* par):
    return b"" if par.value_len <= 0 else PyBytes_FromStringAndSize(<const char*>p + par.value, par.value_len)


cdef long long seconds_in(bytes text) noexcept:
    """A number of at most ten digits; -1 for anything else."""
    cdef Py_ssize_t n = PyBytes_GET_SIZE(text)
    return number(<chars>PyBytes_AS_STRING(text), 0, <int>n, 9999999999) if n <= 10 else -1


cdef long long header_expires(Message msg) except -2:
    """Seconds of the Expires header; -1 if it says nothing usable, or if there is none. Raises Refused."""
    cdef int i = msg.first[H_EXPIRES]
    if i < 0:
        return -1
    if msg.slots[i].body_end == msg.slots[i].body:
        raise Refused(refusal.BAD_EXPIRES)
    return number(msg.p, msg.slots[i].body, msg.slots[i].body_end, 4294967295)


cpdef int parse_q(bytes value) except -1:
    cdef chars p = <chars>PyBytes_AS_STRING(value)
    cdef int n = <int>PyBytes_GET_SIZE(value), i = 0, whole = 0, scale = 100, thousandths
    while i < n and 48 <= p[i] <= 57 and whole <= 1:
        whole = whole * 10 + p[i] - 48
        i += 1
    thousandths = whole * 1000
    if i < n and p[i] == 46 and i + 1 < n:
        i += 1
        while i < n and 48 <= p[i] <= 57 and (whole == 0 or p[i] == 48):
            thousandths += (p[i] - 48) * scale
            scale //= 10
            i += 1
    if n == 0 or i < n or whole > 1:
        raise Refused(refusal.BAD_Q)
    return thousandths


cpdef int method_bit(bytes name) except -1:
    return method_bits.get(name.upper(), other_method)


cpdef long long method_mask(bytes text) except -2:
    cdef long long mask = 0
    cdef bytes part, name
    for part in text.split(b","):
        name = part.strip()
        if name:
            if b" " in name or b"\t" in name:
                return -1
            mask |= method_bit(name)
    return mask


cdef unsigned int allowed_methods(Message msg) except? 0:
    """The bits of the methods in Allow headers; all if there are none, or they can't be read."""
    cdef int i = msg.first[H_ALLOW]
    cdef unsigned int mask = 0
    cdef long long found
    if i < 0:
        return EVERY_METHOD
    while i >= 0:
        found = method_mask(msg.raw[msg.slots[i].body : msg.slots[i].body_end])
        if found <= 0:
            return EVERY_METHOD
        mask |= <unsigned int>found
        i = msg.slots[i].next
    return mask


cdef int reg_id_of(bytes given) except -1:
    """A contact's reg-id (RFC 5626), 0 if it has none. Raises Refused."""
    cdef long long value
    if not given:
        return 0
    value = seconds_in(given)
    if value <= 0 or PyBytes_GET_SIZE(given) > 9:
        raise Refused(refusal.BAD_REG_ID)
    return <int>value
