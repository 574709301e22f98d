# cython: language_level=3
"""A location table in memory: AORs and their contacts, Kamailio's rules for which contact a REGISTER means.

What is to be kept in a database is told to a `Writer`; a table that lives in the database alone is a
`RemoteDomain` (`remote.py`), with the same face.
"""

cimport cython

from kahea.modules.usrloc.contact cimport Contact, Registration, bare_instance

from kahea.modules.usrloc.expiry import Expiry
from kahea.modules.usrloc.notation import aor_hash

INSERT = 0
UPDATE = 1
DELETE = 2

cdef enum:
    C_INSERT = 0
    C_UPDATE = 1
    C_DELETE = 2
    # What a contact is matched by (the parameter matching_mode).
    M_CONTACT = 0
    M_CONTACT_AND_CALLID = 1
    M_CONTACT_AND_PATH = 2
    M_CALLID = 3
    C_NEW = 0
    C_SYNC = 1
    C_DIRTY = 2
    NOWHERE = -1  # contact.UNWATCHED
    MOST_SHARED = 4096


class OldCSeq(Exception):
    """The REGISTER is older than what is registered, in the same Call-ID."""


class Retransmission(Exception):
    """The REGISTER was seen already, a moment ago."""


@cython.auto_pickle(False)
cdef class Rules:
    """The parameters that a table's behaviour depends on."""

    def __init__(self, int matching=M_CONTACT, long long cseq_delay=20, bint newest_first=False, int width=60,
                 bint index_ruids=False, bint index_connections=False):
        self.matching = matching
        self.cseq_delay = cseq_delay
        self.newest_first = newest_first
        self.width = width
        self.index_ruids = index_ruids
        self.index_connections = index_connections


@cython.auto_pickle(False)
cdef class Domain:
    """One location table. Contacts of an AOR stand in the order in which they are tried."""

    def __init__(self, str name not None, Rules rules not None, make_ruid, count=None, str separator not None="_"):
        self.name = name
        self.rules = rules
        self.records = {}
        self.by_ruid = {}
        self.by_connection = {}
        self.expiry = Expiry(rules.width)
        self._make_ruid = make_ruid
        self._count = count
        self._users = f"{name}{separator}users"
        self._contacts = f"{name}{separator}contacts"
        self._expires = f"{name}{separator}expires"
        self._shared = {}

    # Looking up.

    cpdef list get(self, bytes aor):
        return self.records.get(aor)

    def find_ruid(self, bytes aor not None, bytes ruid not None):
        cdef Contact contact
        for contact in self.get(aor) or ():
            if contact.ruid == ruid:
                return contact
        return None

    def find_temporary(self, hashed, bytes ruid not None):
        contact = self.by_ruid.get(ruid)
        return contact if contact is not None and aor_hash(contact.aor) == hashed else None

    def __iter__(self):
        for contacts in self.records.values():
            yield from contacts

    cpdef Contact match(self, list contacts, Registration registration, bytes uri, bytes instance, int reg_id):
        cdef Contact contact, found
        cdef bytes bare
        if instance:
            bare = bare_instance(instance)
            for contact in contacts:
                if contact.reg_id == reg_id and bare_instance(contact.instance) == bare:
                    return contact
            return None
        found = self._match(contacts, registration, uri)
        if found is None:
            return None
        if self.rules.matching == M_CONTACT_AND_CALLID or found.callid == registration.callid:
            if registration.cseq < found.cseq:
                raise OldCSeq
            if registration.cseq == found.cseq:
                if found.modified + self.rules.cseq_delay > registration.now:
                    raise Retransmission
                raise OldCSeq
        return found

    cdef Contact _match(self, list contacts, Registration registration, bytes uri):
        cdef Contact contact
        cdef int mode = self.rules.matching
        for contact in contacts:
            if mode == M_CALLID:
                if contact.callid == registration.callid:
                    return contact
            elif contact.uri == uri and (
                mode == M_CONTACT
                or (mode == M_CONTACT_AND_CALLID and contact.callid == registration.callid)
                or (mode == M_CONTACT_AND_PATH and (not registration.path or contact.path == registration.path))
            ):
                return contact
        return None

    # Changing.

    cpdef Contact insert(self, bytes aor, Registration registration, bytes uri, long long expires, int q,
                         bytes instance=b"", int reg_id=0, unsigned int methods=0xFFFFFFFF, bytes ruid=b""):
        cdef Contact contact = Contact.__new__(Contact)
        contact.aor = aor
        contact.uri = uri
        contact.ruid = ruid or self._make_ruid()
        contact.reg_id = reg_id
        contact.instance = instance
        contact.state = C_NEW
        contact.bucket = NOWHERE
        contact.server_id = registration.server_id
        self._fill(contact, registration, expires, q, methods)
        contact.flags = registration.flags
        self.add(contact)
        self._write(C_INSERT, contact)
        return contact

    cpdef update(self, Contact contact, Registration registration, bytes uri, long long expires, int q,
                 bytes instance=b"", unsigned int methods=0xFFFFFFFF):
        cdef bint moves = self.rules.newest_first or contact.q != q
        if instance:
            contact.uri = uri
        if self.rules.index_connections and contact.connection_id != registration.connection_id:
            self._off_connection(contact)
            self._on_connection(contact, registration.connection_id)
        self._fill(contact, registration, expires, q, methods)
        contact.flags |= registration.flags
        if contact.state == C_SYNC:
            contact.state = C_DIRTY
        self.refreshed(contact, moves)
        self._write(C_UPDATE, contact)

    cpdef refreshed(self, Contact contact, bint moves):
        # A contact that ends later stays in its bucket: see Expiry.
        if contact.bucket == NOWHERE or contact.expires < contact.bucket * self.rules.width:
            self.expiry.moved(contact)
        if moves:
            self._reposition(contact)

    cdef int _fill(self, Contact contact, Registration r, long long expires, int q, unsigned int methods) except -1:
        contact.expires = expires
        contact.q = q
        contact.methods = methods
        contact.callid = r.callid
        contact.cseq = r.cseq
        contact.modified = r.now
        contact.last_keepalive = r.now
        contact.user_agent = self._share(r.user_agent or b"n/a")
        contact.received = r.received
        contact.path = r.path
        contact.sock = r.sock
        contact.cflags = r.cflags
        contact.connection_id = r.connection_id
        contact.xavp = r.xavp
        return 0

    cdef int _on_connection(self, Contact contact, long long connection_id) except -1:
        if connection_id > 0:
            self.by_connection.setdefault(connection_id, set()).add(contact)
        return 0

    cdef int _off_connection(self, Contact contact) except -1:
        there = self.by_connection.get(contact.connection_id)
        if there is not None:
            there.discard(contact)
            if not there:
                del self.by_connection[contact.connection_id]
        return 0

    cdef bytes _share(self, bytes value):
        """The same object for equal values, among the most usual ones."""
        found = self._shared.get(value)
        if found is None:
            if len(self._shared) >= MOST_SHARED:
                self._shared.clear()
            self._shared[value] = found = value
        return found

    cpdef delete(self, Contact contact):
        self.discard(contact)
        self._write(C_DELETE, contact)

    def delete_record(self, bytes aor not None):
        cdef Contact contact
        contacts = list(self.records.get(aor, ()))
        for contact in contacts:
            self.delete(contact)
        return len(contacts)

    cpdef add(self, Contact contact):
        cdef list contacts = self.records.get(contact.aor)
        if contacts is None:
            self.records[contact.aor] = [contact]
            self._tell(self._users, 1)
        else:
            contact.aor = (<Contact>contacts[0]).aor
            contacts.insert(self.place(contacts, contact), contact)
        self.contacts += 1
        self._tell(self._contacts, 1)
        if self.rules.index_ruids or contact.instance:
            self.by_ruid[contact.ruid] = contact
        if self.rules.index_connections:
            self._on_connection(contact, contact.connection_id)
        self.expiry.add(contact)

    cpdef discard(self, Contact contact):
        cdef list contacts = self.records.get(contact.aor)
        if contacts is None or contact not in contacts:
            return
        if len(contacts) == 1:
            del self.records[contact.aor]
            self._tell(self._users, -1)
        else:
            contacts.remove(contact)
        self.contacts -= 1
        self._tell(self._contacts, -1)
        self.by_ruid.pop(contact.ruid, None)
        if self.rules.index_connections:
            self._off_connection(contact)
        self.expiry.remove(contact)

    cpdef Py_ssize_t place(self, list contacts, Contact contact) except -1:
        cdef Py_ssize_t i
        if self.rules.newest_first:
            return 0
        for i in range(len(contacts)):
            if (<Contact?>contacts[i]).q < contact.q:
                return i
        return len(contacts)

    cdef int _reposition(self, Contact contact) except -1:
        """Move a refreshed contact as Kamailio does: one with another q goes before the first not lower."""
        cdef list contacts = self.records[contact.aor]
        cdef Py_ssize_t at = contacts.index(contact), last = len(contacts) - 1, i
        if self.rules.newest_first:
            if at:
                contacts.insert(0, contacts.pop(at))
            return 0
        if (at == 0 or contact.q <= (<Contact>contacts[at - 1]).q) and (
            at == last or contact.q >= (<Contact>contacts[at + 1]).q
        ):
            return 0
        del contacts[at]
        for i in range(last):
            if (<Contact>contacts[i]).q >= contact.q:
                contacts.insert(i, contact)
                return 0
        contacts.append(contact)
        return 0

    cdef int _write(self, int kind, Contact contact) except -1:
        if self.writer is not None:
            self.writer.write(kind, contact)
        return 0

    cdef int _tell(self, str name, int by) except -1:
        if self._count is not None:
            self._count(name, by)
        return 0

    def count_expired(self):
        self.expired += 1
        self._tell(self._expires, 1)
