"""A location table that lives in the database alone (db_mode 3): several servers may share it.

Every look-up is a query, and every change is written before its function returns. Used only from runs,
since all of it waits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from kahea.connectors.errors import DatabaseError
from kahea.modules.usrloc.contact import Contact
from kahea.modules.usrloc.domain import Domain, Rules
from kahea.modules.usrloc.notation import aor_hash
from kahea.routing.run import wait

if TYPE_CHECKING:
    from kahea.modules.usrloc.store import Store

log = logging.getLogger("kahea.usrloc")


class RemoteDomain(Domain):
    """A `Domain` that keeps nothing in memory."""

    def __init__(
        self,
        name: str,
        rules: Rules,
        make_ruid: Callable[[], bytes],
        count: Callable[[str, int], None] | None,
        store: Store,
    ) -> None:
        super().__init__(name, rules, make_ruid, count)
        self.store = store

    def get(self, aor: bytes) -> list[Contact] | None:
        """The contacts of an AOR, or None; None too, and a line in the log, if the database fails."""
        try:
            contacts = self.fetch(aor)
        except DatabaseError as error:
            log.error("table %s: %r could not be read: %s", self.name, aor, error)
            return None
        return contacts or None

    def fetch(self, aor: bytes) -> list[Contact]:
        """The contacts of an AOR in the order in which they are tried. Raises DatabaseError."""
        contacts: list[Contact] = []
        for contact in wait(self.store.fetch(aor)):
            contacts.insert(self.place(contacts, contact), contact)
        return contacts

    def find_ruid(self, aor: bytes, ruid: bytes) -> Contact | None:
        """A contact by its unique id; the AOR may be empty here."""
        try:
            contact = wait(self.store.fetch_ruid(ruid))
        except DatabaseError as error:
            log.error("table %s: %r could not be read: %s", self.name, ruid, error)
            return None
        return contact if contact is not None and aor in (b"", contact.aor) else None

    def find_temporary(self, hashed: int, ruid: bytes) -> Contact | None:
        """The contact that a temporary GRUU means."""
        contact = self.find_ruid(b"", ruid)
        return contact if contact is not None and aor_hash(contact.aor) == hashed else None

    def delete_record(self, aor: bytes) -> int:
        """Remove all contacts of an AOR. Raises DatabaseError."""
        return wait(self.store.delete_aor(aor))

    def add(self, contact: Contact) -> None:
        """Nothing is kept here."""

    def discard(self, contact: Contact) -> None:
        """Nothing is kept here."""

    def refreshed(self, contact: Contact, moves: bool) -> None:
        """The order is made when contacts are read."""
