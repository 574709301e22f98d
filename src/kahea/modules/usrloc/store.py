"""A location table in a database: how its rows are read, and changes written in groups.

Imported only where there is a database.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    MetaData,
    and_,
    bindparam,
    delete,
    distinct,
    func,
    insert,
    inspect,
    or_,
    select,
    update,
)

from kahea.connectors.group import GroupWriter
from kahea.connectors.sql import Database, Prepared, Step
from kahea.connectors.upsert import upsert
from kahea.connectors.versions import Versions
from kahea.modules.usrloc import tables
from kahea.modules.usrloc.contact import DIRTY, NEW, SYNC, UNSURE, Contact
from kahea.modules.usrloc.domain import DELETE
from kahea.routing.text import text

if TYPE_CHECKING:
    from sqlalchemy.sql.elements import ColumnElement

    from kahea.net.address import Listener

log = logging.getLogger("kahea.usrloc")

#: What an UPDATE leaves as it is: what names the row, and who wrote it first.
_FIXED: Final = frozenset(("ruid", "user", "domain", "partition"))

#: What stands before a column's key in the name of a parameter: of a new value, and of what finds the row.
_VALUE: Final = "v_"
_KEY: Final = "b_"

Change = tuple[int, Contact]


@dataclass(frozen=True, slots=True)
class Layout:
    """The parameters that say what the tables look like and how they are written."""

    columns: tables.Columns = field(default_factory=tables.Columns)
    big_times: bool = False
    use_domain: bool = False
    attributes: bool = False
    check_version: bool = True
    version_table: str = "version"
    by_ruid: bool = True  # rows are found by their ruid, else by AOR, contact and Call-ID
    upsert_inserts: bool = False
    upsert_updates: bool = False
    nulls: bool = False  # write NULL for what is not set, else leave the column out
    page: int = 2000
    nat_flag: int = 0
    advertised: bool = False  # write advertised addresses for sockets
    server_id: int | None = None  # only rows of this server are read and cleaned


class Store:
    """One location table of a database."""

    def __init__(
        self,
        database: Database,
        name: str,
        layout: Layout,
        find_listener: Callable[[str], Listener | None],
    ) -> None:
        self.database = database
        self.name = name
        self.layout = layout
        self._find_listener = find_listener
        metadata = MetaData()
        self._metadata = metadata
        self._versions = Versions(layout.version_table)
        self._location = tables.location_table(metadata, name, layout.columns, layout.big_times)
        self._attributes = tables.attributes_table(metadata, name, layout.columns, layout.big_times)
        self.group: GroupWriter[Change] = GroupWriter(self.commit)
        self._inserts: dict[tuple[str, ...], Prepared] = {}
        self._upserts: dict[tuple[str, ...], Any] = {}
        self._update = database.prepare(self._update_statement(), prefix=len(_VALUE))
        self._delete = database.prepare(delete(self._location).where(self._is_row()), prefix=len(_KEY))
        self._delete_attributes = delete(self._attributes).where(self._attributes.c.ruid == bindparam(f"{_KEY}ruid"))

    # ---- the tables

    async def prepare(self) -> None:
        """Make the tables where they are missing (SQLite), and check their version. Raises DatabaseError."""
        if self.database.dialect == "sqlite":
            await self.database.call(self._create)
        if not self.layout.check_version:
            return
        await self._versions.check(self.database, self.name, tables.LOCATION_VERSION)
        if self.layout.attributes:
            await self._versions.check(self.database, f"{self.name}_attrs", tables.ATTRIBUTES_VERSION)

    async def exists(self) -> bool:
        """Whether the table is there. Raises DatabaseError."""
        return bool(await self.database.call(lambda c: inspect(c).has_table(self.name)))

    def _create(self, connection: Any) -> None:
        wanted = [(self._location, tables.LOCATION_VERSION)]
        if self.layout.attributes:
            wanted.append((self._attributes, tables.ATTRIBUTES_VERSION))
        self._versions.create_missing(connection, wanted)

    # ---- reading

    async def load(self, now: int) -> AsyncIterator[list[Contact]]:
        """All contacts that have not expired, in pages. Raises DatabaseError."""
        t = self._location
        query = select(t).where(or_(t.c.expires > now, t.c.expires == 0)).order_by(t.c.id)
        if self.layout.server_id is not None:
            query = query.where(t.c.server_id == self.layout.server_id)
        async for page in self.database.pages(query, self.layout.page):
            contacts = [self._contact(row) for row in page]
            await self._add_attributes(contacts)
            yield contacts

    async def fetch(self, aor: bytes) -> list[Contact]:
        """The contacts of one AOR, in the order in which they were made. Raises DatabaseError."""
        rows = await self.database.fetch(select(self._location).where(self._is_aor(aor)).order_by(self._location.c.id))
        contacts = [self._contact(row) for row in rows]
        await self._add_attributes(contacts)
        return contacts

    async def fetch_ruid(self, ruid: bytes) -> Contact | None:
        """The contact with a ruid, or None. Raises DatabaseError."""
        rows = await self.database.fetch(select(self._location).where(self._location.c.ruid == text(ruid)))
        contacts = [self._contact(row) for row in rows]
        await self._add_attributes(contacts)
        return contacts[0] if contacts else None

    async def expired(self, before: int) -> list[Contact]:
        """Contacts that ended before a time, at most a page of them. Raises DatabaseError."""
        rows = await self.database.fetch(select(self._location).where(self._has_ended(before)).limit(self.layout.page))
        return [self._contact(row) for row in rows]

    async def count(self, *, users: bool = False, expired_at: int | None = None, now: int = 0) -> int:
        """How many contacts (or AORs) are valid at `now`, or had ended at `expired_at`.

        Raises DatabaseError.
        """
        c = self._location.c
        what: Any = func.count()
        if users:
            what = func.count(distinct(c.user + "@" + func.coalesce(c.domain, "")))
        where = or_(c.expires > now, c.expires == 0) if expired_at is None else self._has_ended(expired_at)
        rows = await self.database.fetch(select(what).where(where))
        return int(rows[0][0])

    def _contact(self, row: Any) -> Contact:
        return tables.contact_of(row, self.layout.use_domain, self._find_listener)

    async def _add_attributes(self, contacts: Sequence[Contact]) -> None:
        if not self.layout.attributes or not contacts:
            return
        by_ruid = {text(contact.ruid): contact for contact in contacts}
        ruids = list(by_ruid)
        a = self._attributes
        for at in range(0, len(ruids), 500):
            rows = await self.database.fetch(select(a).where(a.c.ruid.in_(ruids[at : at + 500])).order_by(a.c.id))
            for row in rows:
                tables.add_attribute(by_ruid[row.ruid], row)

    # ---- writing

    async def commit(self, changes: Sequence[Change]) -> None:
        """Write changes in one transaction, of several to one contact the last. Raises DatabaseError.

        Whether a contact is inserted or updated depends on its state, not on the change: an insert before may
        have failed.
        """
        last = {contact.ruid: (kind, contact) for kind, contact in changes}
        await self.database.run(self._steps(last.values()))
        for _, contact in changes:
            contact.state = SYNC

    def _steps(self, changes: Iterable[Change]) -> list[Step]:
        inserts: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        upserts: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        updates: list[dict[str, Any]] = []
        deletes: list[dict[str, Any]] = []
        cleared: list[dict[str, Any]] = []
        attributes: list[dict[str, Any]] = []
        layout = self.layout
        for kind, contact in changes:
            if layout.attributes:
                if contact.state != NEW:
                    cleared.append({f"{_KEY}ruid": text(contact.ruid)})
                if kind != DELETE:
                    attributes += tables.attribute_rows(contact, layout.use_domain)
            row = tables.row_of(contact, layout.use_domain, layout.nat_flag, layout.advertised)
            if kind == DELETE:
                deletes.append(row)
            elif contact.state in (SYNC, DIRTY) and not layout.upsert_updates:
                updates.append(row)
            else:
                again = contact.state == UNSURE or layout.upsert_inserts or layout.upsert_updates
                if not layout.nulls and not again:
                    row = {k: v for k, v in row.items() if v is not None}
                (upserts if again else inserts).setdefault(tuple(row), []).append(row)
        steps: list[Step] = [(self._insert(columns), rows) for columns, rows in inserts.items()]
        steps += [(self._upsert(columns), rows) for columns, rows in upserts.items()]
        if updates:
            steps.append((self._update, updates))
        if deletes:
            steps.append((self._delete, deletes))
        if cleared:
            steps.append((self._delete_attributes, cleared))
        if attributes:
            steps.append((insert(self._attributes), attributes))
        return steps

    def _is_row(self) -> ColumnElement[bool]:
        c = self._location.c
        if self.layout.by_ruid:
            return c.ruid == bindparam(f"{_KEY}ruid")
        parts = [c.user == bindparam(f"{_KEY}user"), c.contact == bindparam(f"{_KEY}contact")]
        parts.append(c.callid == bindparam(f"{_KEY}callid"))
        if self.layout.use_domain:
            parts.append(c.domain == bindparam(f"{_KEY}domain"))
        return and_(*parts)

    def _is_aor(self, aor: bytes) -> ColumnElement[bool]:
        user, domain = tables.split_aor(aor, self.layout.use_domain)
        c = self._location.c
        return c.user == user if domain is None else and_(c.user == user, c.domain == domain)

    def _has_ended(self, before: int) -> ColumnElement[bool]:
        c = self._location.c
        ended = and_(c.expires < before, c.expires != 0)
        if self.layout.server_id is not None:
            ended = and_(ended, c.server_id == self.layout.server_id)
        return ended

    def _update_statement(self) -> Any:
        skip = {"id", *_FIXED}
        values: dict[Any, Any] = {c: bindparam(f"{_VALUE}{c.key}") for c in self._location.c if c.key not in skip}
        return update(self._location).where(self._is_row()).values(values)

    def _insert(self, columns: tuple[str, ...]) -> Prepared:
        cached = self._inserts.get(columns)
        if cached is None:
            cached = self._inserts[columns] = self.database.prepare(insert(self._location), columns)
        return cached

    def _upsert(self, columns: tuple[str, ...]) -> Any:
        """An INSERT that is an UPDATE where the row is there."""
        cached = self._upserts.get(columns)
        if cached is None:
            cached = self._upserts[columns] = upsert(
                self._location, self.database.dialect, ["ruid"], [k for k in columns if k not in _FIXED]
            )
        return cached

    async def delete_aor(self, aor: bytes) -> int:
        """Remove all contacts of an AOR; how many rows there were. Raises DatabaseError."""
        steps: list[Step] = [(delete(self._location).where(self._is_aor(aor)), [{}])]
        return (await self.database.run(steps))[0]

    async def clean(self, before: int) -> int:
        """Remove contacts that ended before a time; how many rows. Raises DatabaseError."""
        return (await self.database.run([(delete(self._location).where(self._has_ended(before)), [{}])]))[0]
