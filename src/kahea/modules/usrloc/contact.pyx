# cython: language_level=3
"""A contact: one place where a user can be reached, as a REGISTER left it (RFC 3261 §10).

A node holds hundreds of thousands of these, and every REGISTER reads and writes some, so they are C data. They share
what is the same in many (User-Agent, listener, AOR), and refer to their record by name and not by reference.
"""

cimport cython

# How a contact stands with the database (Kamailio's names, shown by `ul.dump`). UNSURE: its insert failed, perhaps
# after all was done.
NEW = 0
SYNC = 1
DIRTY = 2
UNSURE = 3
STATE_NAMES = ("CS_NEW", "CS_SYNC", "CS_DIRTY", "CS_NEW")

UNWATCHED = -1
FL_MEM = 1
ALL_METHODS = 0xFFFFFFFF


@cython.auto_pickle(False)
cdef class Contact:
    """One binding of an AOR. Times are Unix seconds; `expires` 0 means for ever; `q` is 0..1000 or -1."""

    cpdef bint is_valid(self, double now) noexcept:
        """Whether it has not expired."""
        return self.expires > now or self.expires == 0

    cpdef Contact copy(self):
        """A second contact with the same values."""
        cdef Contact twin = Contact.__new__(Contact)
        twin.aor = self.aor
        twin.callid = self.callid
        twin.instance = self.instance
        twin.path = self.path
        twin.received = self.received
        twin.ruid = self.ruid
        twin.uri = self.uri
        twin.user_agent = self.user_agent
        twin.sock = self.sock
        twin.xavp = self.xavp
        twin.bucket = self.bucket
        twin.connection_id = self.connection_id
        twin.cseq = self.cseq
        twin.expires = self.expires
        twin.last_keepalive = self.last_keepalive
        twin.modified = self.modified
        twin.cflags = self.cflags
        twin.flags = self.flags
        twin.methods = self.methods
        twin.q = self.q
        twin.reg_id = self.reg_id
        twin.roundtrip = self.roundtrip
        twin.server_id = self.server_id
        twin.state = self.state
        return twin

    def __repr__(self):
        return f"<Contact {self.uri!r} of {self.aor!r}>"


@cython.auto_pickle(False)
cdef class Registration:
    """What one REGISTER says of all its contacts; what is not said is empty, and `connection_id` -1."""

    def __init__(self, bytes callid not None, long long cseq, long long now, bytes user_agent not None=b"n/a"):
        self.callid = callid
        self.cseq = cseq
        self.now = now
        self.user_agent = user_agent
        self.received = self.path = b""
        self.connection_id = -1


cpdef bytes bare_instance(bytes instance):
    """An instance id without its angle brackets."""
    return instance[1:len(instance) - 1] if instance[:1] == b"<" and instance[len(instance) - 1:] == b">" else instance


cpdef bytes format_q(int q):
    """A q-value (RFC 3261 §20.10) from thousandths: b"0.5"; b"" if it is not set."""
    if q < 0:
        return b""
    if q >= 1000:
        return b"1"
    return (b"0.%03d" % q).rstrip(b"0") if q else b"0"
