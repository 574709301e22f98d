"""A location table in memory: AORs and their contacts, Kamailio's rules for which contact a REGISTER means.

What is to be kept in a database is told to a `Writer`; a table that lives in the database alone is a
`RemoteDomain` (`remote.py`), with the same face.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, Protocol

from kahea.modules.usrloc.contact import (
    ALL_METHODS,
    DIRTY,
    NEW,
    SYNC,
    UNWATCHED,
    Contact,
    Registration,
    aor_hash,
    bare_instance,
)
from kahea.modules.usrloc.expiry import Expiry

if TYPE_CHECKING:
    import asyncio

INSERT: Final = 0
UPDATE: Final = 1
DELETE: Final = 2

# What a contact is matched by (the parameter matching_mode).
BY_CONTACT: Final = 0
BY_CONTACT_AND_CALLID: Final = 1
BY_CONTACT_AND_PATH: Final = 2
BY_CALLID: Final = 3


class OldCSeq(Exception):
    """The REGISTER is older than what is registered, in the same Call-ID."""


class Retransmission(Exception):
    """The REGISTER was seen already, a moment ago."""


class Writer(Protocol):
    """Where changes go to be kept. The future, if there is one, is done when the change is committed."""

    def write(self, kind: int, contact: Contact) -> asyncio.Future[None] | None: ...


class Rules:
    """The parameters that a table's behaviour depends on."""

    __slots__ = ("cseq_delay", "index_connections", "index_ruids", "matching", "newest_first", "width")

    def __init__(
        self,
        matching: int = BY_CONTACT,
        cseq_delay: int = 20,
        newest_first: bool = False,
        width: int = 60,
        index_ruids: bool = False,
        index_connections: bool = False,
    ) -> None:
        self.matching = matching
        self.cseq_delay = cseq_delay
        self.newest_first = newest_first
        self.width = width
        self.index_ruids = index_ruids
        self.index_connections = index_connections


class Domain:
    """One location table. Contacts of an AOR stand in the order in which they are tried."""

    def __init__(
        self,
        name: str,
        rules: Rules,
        make_ruid: Callable[[], bytes],
        count: Callable[[str, int], None] | None = None,
        separator: str = "_",
    ) -> None:
        self.name = name
        self.rules = rules
        self.records: dict[bytes, list[Contact]] = {}
        self.contacts = 0
        self.expired = 0
        self.writer: Writer | None = None
        #: Contacts by ruid: those with an instance (GRUUs), or all (keepalives).
        self.by_ruid: dict[bytes, Contact] = {}
        #: Contacts by the connection they registered on, where somebody asks (handle_lost_tcp).
        self.by_connection: dict[int, set[Contact]] = {}
        self.expiry = Expiry(rules.width)
        self._make_ruid = make_ruid
        self._count = count
        self._separator = separator
        self._shared: dict[bytes, bytes] = {}

    # ---- looking up

    def get(self, aor: bytes) -> list[Contact] | None:
        """The contacts of an AOR, expired ones included, or None. The list must not be changed."""
        return self.records.get(aor)

    def find_ruid(self, aor: bytes, ruid: bytes) -> Contact | None:
        """A contact of an AOR by its unique id."""
        for contact in self.get(aor) or ():
            if contact.ruid == ruid:
                return contact
        return None

    def find_temporary(self, hashed: int, ruid: bytes) -> Contact | None:
        """The contact that a temporary GRUU (RFC 5627) means, by its AOR's hash and its ruid."""
        contact = self.by_ruid.get(ruid)
        return contact if contact is not None and aor_hash(contact.aor) == hashed else None

    def __iter__(self) -> Iterator[Contact]:
        """Every contact; the table must not change meanwhile."""
        for contacts in self.records.values():
            yield from contacts

    def match(
        self,
        contacts: list[Contact],
        registration: Registration,
        uri: bytes,
        instance: bytes,
        reg_id: int,
    ) -> Contact | None:
        """The contact that a REGISTER's Contact means, or None if it is a new one.

        One with an instance is matched by that and its reg-id, whatever its URI (RFC 5626 §6). Raises OldCSeq
        and Retransmission (RFC 3261 §10.3 item 7).
        """
        if instance:
            bare = bare_instance(instance)
            for contact in contacts:
                if contact.reg_id == reg_id and bare_instance(contact.instance) == bare:
                    return contact
            return None
        found = None
        if self.rules.matching == BY_CONTACT:
            for contact in contacts:
                if contact.uri == uri:
                    found = contact
                    break
        else:
            found = self._match(contacts, registration, uri)
        if found is None:
            return None
        if self.rules.matching == BY_CONTACT_AND_CALLID or found.callid == registration.callid:
            if registration.cseq < found.cseq:
                raise OldCSeq
            if registration.cseq == found.cseq:
                if found.modified + self.rules.cseq_delay > registration.now:
                    raise Retransmission
                raise OldCSeq
        return found

    def _match(self, contacts: list[Contact], registration: Registration, uri: bytes) -> Contact | None:
        mode = self.rules.matching
        callid = registration.callid
        for contact in contacts:
            if mode == BY_CALLID:
                if contact.callid == callid:
                    return contact
            elif contact.uri == uri and (
                mode == BY_CONTACT
                or (mode == BY_CONTACT_AND_CALLID and contact.callid == callid)
                or (mode == BY_CONTACT_AND_PATH and (not registration.path or contact.path == registration.path))
            ):
                return contact
        return None

    # ---- changing

    def insert(
        self,
        aor: bytes,
        registration: Registration,
        uri: bytes,
        expires: int,
        q: int,
        instance: bytes = b"",
        reg_id: int = 0,
        methods: int = ALL_METHODS,
        ruid: bytes = b"",
    ) -> Contact:
        """Add a contact; `expires` is absolute."""
        contact = Contact()
        contact.aor = aor
        contact.uri = uri
        contact.ruid = ruid or self._make_ruid()
        contact.reg_id = reg_id
        contact.instance = instance
        contact.roundtrip = 0
        contact.state = NEW
        contact.bucket = UNWATCHED
        contact.server_id = registration.server_id
        self._fill(contact, registration, expires, q, methods)
        contact.flags = registration.flags
        self.add(contact)
        self._write(INSERT, contact)
        return contact

    def update(
        self,
        contact: Contact,
        registration: Registration,
        uri: bytes,
        expires: int,
        q: int,
        instance: bytes = b"",
        methods: int = ALL_METHODS,
    ) -> None:
        """Refresh a contact. Its URI changes only where it was matched by its instance."""
        if instance:
            contact.uri = uri
        moves = self.rules.newest_first or contact.q != q
        if self.rules.index_connections and contact.connection_id != registration.connection_id:
            self._off_connection(contact)
            self._on_connection(contact, registration.connection_id)
        self._fill(contact, registration, expires, q, methods)
        contact.flags |= registration.flags
        if contact.state == SYNC:
            contact.state = DIRTY
        self._refreshed(contact, moves)
        self._write(UPDATE, contact)

    def _refreshed(self, contact: Contact, moves: bool) -> None:
        self.expiry.moved(contact)
        if moves:
            self._reposition(contact)

    def _fill(self, contact: Contact, r: Registration, expires: int, q: int, methods: int) -> None:
        contact.expires = expires
        contact.q = q
        contact.methods = methods
        contact.callid = r.callid
        contact.cseq = r.cseq
        contact.modified = r.now
        contact.last_keepalive = r.now
        contact.user_agent = self.share(r.user_agent or b"n/a")
        contact.received = r.received
        contact.path = r.path
        contact.sock = r.sock
        contact.cflags = r.cflags
        contact.connection_id = r.connection_id
        contact.xavp = r.xavp

    def _on_connection(self, contact: Contact, connection_id: int) -> None:
        if connection_id > 0:
            self.by_connection.setdefault(connection_id, set()).add(contact)

    def _off_connection(self, contact: Contact) -> None:
        there = self.by_connection.get(contact.connection_id)
        if there is not None:
            there.discard(contact)
            if not there:
                del self.by_connection[contact.connection_id]

    def share(self, value: bytes) -> bytes:
        """The same object for equal values, among the most usual ones."""
        shared = self._shared
        found = shared.get(value)
        if found is None:
            if len(shared) >= 4096:
                shared.clear()
            shared[value] = found = value
        return found

    def delete(self, contact: Contact) -> None:
        """Remove a contact."""
        self.discard(contact)
        self._write(DELETE, contact)

    def delete_record(self, aor: bytes) -> int:
        """Remove all contacts of an AOR; how many there were."""
        contacts = list(self.records.get(aor, ()))
        for contact in contacts:
            self.delete(contact)
        return len(contacts)

    def add(self, contact: Contact) -> None:
        """Put a contact in its place, writing nothing: one that was loaded."""
        contacts = self.records.get(contact.aor)
        if contacts is None:
            self.records[contact.aor] = [contact]
            self._tell("users", 1)
        else:
            contact.aor = contacts[0].aor
            contacts.insert(self._place(contacts, contact), contact)
        self.contacts += 1
        self._tell("contacts", 1)
        if self.rules.index_ruids or contact.instance:
            self.by_ruid[contact.ruid] = contact
        if self.rules.index_connections:
            self._on_connection(contact, contact.connection_id)
        self.expiry.add(contact)

    def discard(self, contact: Contact) -> None:
        """Take a contact out of memory, writing nothing."""
        contacts = self.records.get(contact.aor)
        if contacts is None or contact not in contacts:
            return
        if len(contacts) == 1:
            del self.records[contact.aor]
            self._tell("users", -1)
        else:
            contacts.remove(contact)
        self.contacts -= 1
        self._tell("contacts", -1)
        self.by_ruid.pop(contact.ruid, None)
        if self.rules.index_connections:
            self._off_connection(contact)
        self.expiry.remove(contact)

    def _place(self, contacts: list[Contact], contact: Contact) -> int:
        """Where a new contact belongs: newest first, or after those whose q is not lower."""
        if self.rules.newest_first:
            return 0
        q = contact.q
        for i, other in enumerate(contacts):
            if other.q < q:
                return i
        return len(contacts)

    def _reposition(self, contact: Contact) -> None:
        """Move a refreshed contact as Kamailio does: one with another q goes before the first not lower."""
        contacts = self.records[contact.aor]
        at = contacts.index(contact)
        if self.rules.newest_first:
            if at:
                contacts.insert(0, contacts.pop(at))
            return
        q = contact.q
        if (at == 0 or q <= contacts[at - 1].q) and (at == len(contacts) - 1 or q >= contacts[at + 1].q):
            return
        del contacts[at]
        for i, other in enumerate(contacts):
            if other.q >= q:
                contacts.insert(i, contact)
                return
        contacts.append(contact)

    def _write(self, kind: int, contact: Contact) -> None:
        if self.writer is not None:
            self.writer.write(kind, contact)

    def _tell(self, name: str, by: int) -> None:
        if self._count is not None:
            self._count(f"{self.name}{self._separator}{name}", by)

    def count_expired(self) -> None:
        """One more contact ended by itself."""
        self.expired += 1
        self._tell("expires", 1)
