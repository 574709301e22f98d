"""Types of the compiled location table."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from kahea.modules.usrloc.contact import Contact, Registration
from kahea.modules.usrloc.expiry import Expiry

INSERT: Final = 0
UPDATE: Final = 1
DELETE: Final = 2

class OldCSeq(Exception):
    """The REGISTER is older than what is registered, in the same Call-ID."""

class Retransmission(Exception):
    """The REGISTER was seen already, a moment ago."""

class _Writer(Protocol):
    """Where changes go to be kept. The future, if there is one, is done when the change is committed."""

    def write(self, kind: int, contact: Contact) -> asyncio.Future[None] | None: ...

class Rules:
    """The parameters that a table's behaviour depends on."""

    matching: int  # the parameter matching_mode
    cseq_delay: int
    newest_first: bool
    width: int
    index_ruids: bool
    index_connections: bool

    def __init__(
        self,
        matching: int = 0,
        cseq_delay: int = 20,
        newest_first: bool = False,
        width: int = 60,
        index_ruids: bool = False,
        index_connections: bool = False,
    ) -> None: ...

class Domain:
    """One location table. Contacts of an AOR stand in the order in which they are tried."""

    writer: _Writer | None

    def __init__(
        self,
        name: str,
        rules: Rules,
        make_ruid: Callable[[], bytes],
        count: Callable[[str, int], None] | None = None,
        separator: str = "_",
    ) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def rules(self) -> Rules: ...
    @property
    def records(self) -> dict[bytes, list[Contact]]: ...
    @property
    def contacts(self) -> int:
        """How many there are."""
    @property
    def expired(self) -> int:
        """How many have ended by themselves."""
    @property
    def by_ruid(self) -> dict[bytes, Contact]:
        """Contacts by ruid: those with an instance (GRUUs), or all (keepalives)."""
    @property
    def by_connection(self) -> dict[int, set[Contact]]:
        """Contacts by the connection they registered on, where somebody asks (handle_lost_tcp)."""
    @property
    def expiry(self) -> Expiry: ...
    def get(self, aor: bytes) -> list[Contact] | None:
        """The contacts of an AOR, expired ones included, or None. The list must not be changed."""
    def find_ruid(self, aor: bytes, ruid: bytes) -> Contact | None:
        """A contact of an AOR by its unique id."""
    def find_temporary(self, hashed: int, ruid: bytes) -> Contact | None:
        """The contact that a temporary GRUU (RFC 5627) means, by its AOR's hash and its ruid."""
    def __iter__(self) -> Iterator[Contact]:
        """Every contact; the table must not change meanwhile."""
    def match(
        self, contacts: list[Contact], registration: Registration, uri: bytes, instance: bytes, reg_id: int
    ) -> Contact | None:
        """The contact that a REGISTER's Contact means, or None if it is a new one.

        One with an instance is matched by that and its reg-id, whatever its URI (RFC 5626 §6). Raises OldCSeq
        and Retransmission (RFC 3261 §10.3 item 7).
        """
    def insert(
        self,
        aor: bytes,
        registration: Registration,
        uri: bytes,
        expires: int,
        q: int,
        instance: bytes = b"",
        reg_id: int = 0,
        methods: int = 0xFFFFFFFF,
        ruid: bytes = b"",
    ) -> Contact:
        """Add a contact; `expires` is absolute."""
    def update(
        self,
        contact: Contact,
        registration: Registration,
        uri: bytes,
        expires: int,
        q: int,
        instance: bytes = b"",
        methods: int = 0xFFFFFFFF,
    ) -> None:
        """Refresh a contact. Its URI changes only where it was matched by its instance."""
    def refreshed(self, contact: Contact, moves: bool) -> None:
        """A contact ends at another time now; `moves`: its place among its AOR's may be another, too."""
    def delete(self, contact: Contact) -> None:
        """Remove a contact."""
    def delete_record(self, aor: bytes) -> int:
        """Remove all contacts of an AOR; how many there were."""
    def add(self, contact: Contact) -> None:
        """Put a contact in its place, writing nothing: one that was loaded."""
    def discard(self, contact: Contact) -> None:
        """Take a contact out of memory, writing nothing."""
    def place(self, contacts: list[Contact], contact: Contact) -> int:
        """Where a new contact belongs: newest first, or after those whose q is not lower."""
    def count_expired(self) -> None:
        """One more contact ended by itself."""
