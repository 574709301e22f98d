"""The database of presence: publications, subscriptions, and what was decided of watchers.

Imported only where there is a database. Nothing here waits but the coroutines, which raise DatabaseError.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, bindparam, delete, func, insert, select, update

from kahea.connectors.group import GroupWriter
from kahea.connectors.sql import Database, Prepared, Step
from kahea.connectors.upsert import upsert
from kahea.connectors.versions import Versions
from kahea.modules.presence import tables
from kahea.modules.presence.events import Decision
from kahea.modules.presence.publications import Change as Modification
from kahea.modules.presence.publications import Presentity, Publication
from kahea.modules.presence.subscription import PENDING

if TYPE_CHECKING:
    from sqlalchemy import Table
    from sqlalchemy.sql.elements import ColumnElement

    from kahea.modules.presence.subscription import Dialog, Subscription
    from kahea.net.address import Listener

#: What names a subscription's row, and what names the decision on a watcher.
_DIALOG: Final = ("callid", "to_tag", "from_tag")
_WATCHER: Final = ("presentity_uri", "watcher_username", "watcher_domain", "event")

#: What stands before a key in the name of a parameter that finds a row.
_KEY: Final = "b_"

#: A subscription's row as it is to be, or None and its dialog: it is to go.
Change = tuple[dict[str, Any] | None, "Dialog"]


class Store:
    """The three tables, under the names that parameters give them."""

    def __init__(
        self,
        database: Database,
        names: tuple[str, str, str],
        version_table: str,
        order: Sequence[str],
        page: int,
        find_listener: Callable[[str], Listener | None],
        *,
        folds: bool = False,
    ) -> None:
        """`names` are those of presentity, active_watchers and watchers; the `order` of publications is by columns.

        `folds`: presentities that differ in case alone are one.
        """
        self._folds = folds
        self.database = database
        self._page = page
        self._find_listener = find_listener
        self._presentity = tables.presentity_table(names[0])
        self._active = tables.active_watchers_table(names[1])
        self._watchers = tables.watchers_table(names[2])
        self._versions = Versions(version_table)
        self.group: GroupWriter[Change] = GroupWriter(self._commit)
        self._upsert_active = self._upsert(self._active, _DIALOG)
        self._upsert_watcher = self._upsert(self._watchers, _WATCHER, but=("inserted_time",))
        found = and_(*(self._active.c[name] == bindparam(f"{_KEY}{name}") for name in _DIALOG))
        self._delete_active = database.prepare(delete(self._active).where(found), prefix=len(_KEY))
        query = select(self._presentity).where(self._is_presentity())
        query = query.order_by(*(self._presentity.c[each] for each in (*order, "id")))
        self._select_publications = database.prepare(query, prefix=len(_KEY))
        self._select_decision = self._decision_query()
        self._modifications: dict[tuple[str, ...], Prepared] = {}
        self._delete_publication = database.prepare(
            delete(self._presentity).where(self._is_publication()), prefix=len(_KEY)
        )
        self._insert_publication = database.prepare(insert(self._presentity), [c.name for c in self._presentity.c][1:])

    def _upsert(self, table: Table, key: Sequence[str], but: Sequence[str] = ()) -> Prepared:
        names = [c.name for c in table.c if c.name != "id"]
        changed = [name for name in names if name not in (*key, *but)]
        return self.database.prepare(upsert(table, self.database.dialect, key, changed), names)

    async def prepare(self) -> None:
        """Make the tables where they are missing (SQLite), and check their versions."""
        wanted = [
            (self._presentity, tables.PRESENTITY_VERSION),
            (self._active, tables.ACTIVE_WATCHERS_VERSION),
            (self._watchers, tables.WATCHERS_VERSION),
        ]
        if self.database.dialect == "sqlite":
            await self.database.call(lambda connection: self._versions.create_missing(connection, wanted))
        for table, version in wanted:
            await self._versions.check(self.database, table.name, version)

    async def close(self) -> None:
        """Write what waits, and let go of the connections."""
        await self.group.flush()
        await self.database.close()

    # ---- publications

    def _is_presentity(self) -> ColumnElement[bool]:
        c = self._presentity.c
        return and_(
            self._same(c.username, bindparam(f"{_KEY}user")),
            self._same(c.domain, bindparam(f"{_KEY}domain")),
            c.event == bindparam(f"{_KEY}event"),
        )

    def _same(self, column: Any, value: Any) -> ColumnElement[bool]:
        same: ColumnElement[bool] = func.lower(column) == func.lower(value) if self._folds else column == value
        return same

    async def publications(self, presentity: Presentity) -> list[Publication]:
        """A presentity's, in order."""
        rows = await self.database.ask(self._select_publications, presentity._asdict())
        return [tables.publication_of(row) for row in rows]

    async def add_publication(self, publication: Publication) -> None:
        """Insert one."""
        await self.database.run([(self._insert_publication, [tables.publication_row(publication)])])

    async def modify_publication(self, presentity: Presentity, etag: str, change: Modification) -> bool:
        """Change one; False if there is none with that entity-tag."""
        row: dict[str, Any] = {"body": change.body, "sender": change.sender}
        row = {name: value for name, value in row.items() if value}
        statement = self._modify(tuple(row))
        row |= {
            "new_etag": change.etag,
            "expires": change.expires,
            "received_time": change.received,
            "priority": change.priority,
        }
        return (await self.database.run([(statement, [row | _names(presentity, etag)])]))[0] > 0

    def _modify(self, further: tuple[str, ...]) -> Prepared:
        """The UPDATE of what always changes, and of further columns."""
        known = self._modifications.get(further)
        if known is None:
            columns = ("expires", "received_time", "priority", *further)
            values: dict[Any, Any] = {self._presentity.c[name]: bindparam(f"{_KEY}{name}") for name in columns}
            values[self._presentity.c.etag] = bindparam(f"{_KEY}new_etag")
            statement = update(self._presentity).where(self._is_publication()).values(values)
            known = self._modifications[further] = self.database.prepare(statement, prefix=len(_KEY))
        return known

    def _is_publication(self) -> ColumnElement[bool]:
        return and_(self._is_presentity(), self._presentity.c.etag == bindparam(f"{_KEY}etag"))

    async def remove_publication(self, presentity: Presentity, etag: str) -> bool:
        """Delete one; False if there is none with that entity-tag."""
        return (await self.database.run([(self._delete_publication, [_names(presentity, etag)])]))[0] > 0

    async def ended_publications(self, now: int) -> list[Publication]:
        """Those whose time was over by then, a page of them."""
        query = select(self._presentity).where(self._presentity.c.expires <= now).limit(self._page)
        return [tables.publication_of(row) for row in await self.database.fetch(query)]

    async def presentities(self) -> AsyncIterator[list[tuple[Presentity, int]]]:
        """Every presentity with the number of its publications, in pages."""
        c = self._presentity.c
        query = select(c.username, c.domain, c.event, func.count(c.id)).group_by(c.username, c.domain, c.event)
        async for page in self.database.pages(query, self._page):
            yield [(Presentity(*row[:3]), int(row[3])) for row in page]

    # ---- subscriptions

    async def _commit(self, changes: Sequence[Change]) -> None:
        """Write changes in one transaction, of several to one subscription the last."""
        last = {dialog: row for row, dialog in changes}
        rows = [row for row in last.values() if row is not None]
        gone = [
            {"callid": callid, "to_tag": to_tag, "from_tag": from_tag}
            for (callid, from_tag, to_tag), row in last.items()
            if row is None
        ]
        steps: list[Step] = []
        if rows:
            steps.append((self._upsert_active, rows))
        if gone:
            steps.append((self._delete_active, gone))
        await self.database.run(steps)

    async def subscriptions(self, now: int) -> AsyncIterator[list[Subscription]]:
        """All whose time is not over, in pages."""
        query = select(self._active).where(self._active.c.expires > now).order_by(self._active.c.id)
        async for page in self.database.pages(query, self._page):
            yield [tables.subscription_of(row, self._find_listener) for row in page]

    async def put(self, subscription: Subscription) -> None:
        """Write one, new or not."""
        await self.database.run([(self._upsert_active, [tables.subscription_row(subscription)])])

    async def take(self, dialog: Dialog) -> bool:
        """Delete one; False if it is not there."""
        return (await self.database.run([(delete(self._active).where(self._is_dialog(dialog)), [{}])]))[0] > 0

    def _is_dialog(self, dialog: Dialog) -> ColumnElement[bool]:
        c = self._active.c
        callid, from_tag, to_tag = dialog
        return and_(c.callid == callid, c.from_tag == from_tag, c.to_tag == to_tag)

    async def find(self, dialog: Dialog) -> Subscription | None:
        """The one of a dialog."""
        rows = await self._fetch(self._is_dialog(dialog))
        return rows[0] if rows else None

    async def watching(self, presentity: str, event: str) -> list[Subscription]:
        """Those to a presentity's state, oldest first."""
        c = self._active.c
        return await self._fetch(and_(self._same(c.presentity_uri, presentity), c.event == event))

    async def ended(self, now: int) -> list[Subscription]:
        """Those whose time was over by then, a page of them."""
        return await self._fetch(self._active.c.expires <= now, self._page)

    async def _fetch(self, where: ColumnElement[bool], limit: int | None = None) -> list[Subscription]:
        query = select(self._active).where(where).order_by(self._active.c.id).limit(limit)
        return [tables.subscription_of(row, self._find_listener) for row in await self.database.fetch(query)]

    async def advance(self, subscription: Subscription, cseq: int, version: int) -> bool:
        """Write its next numbers, if they are what it has still; False if another server was first."""
        where = and_(self._is_dialog(subscription.dialog), self._active.c.local_cseq == subscription.local_cseq)
        values = {"local_cseq": cseq, "version": version}
        return (await self.database.run([(update(self._active).where(where).values(values), [{}])]))[0] > 0

    # ---- what was decided

    async def decision(self, subscription: Subscription) -> Decision | None:
        """What was decided of a subscription's watcher, None if nothing."""
        values = {
            "presentity": subscription.presentity,
            "user": subscription.watcher_user,
            "domain": subscription.watcher_domain,
            "event": subscription.event,
        }
        rows = await self.database.ask(self._select_decision, values)
        return Decision(int(rows[0][0]), rows[0][1] or "") if rows else None

    def _decision_query(self) -> Prepared:
        c = self._watchers.c
        query = select(c.status, c.reason).where(
            self._same(c.presentity_uri, bindparam(f"{_KEY}presentity")),
            c.watcher_username == bindparam(f"{_KEY}user"),
            c.watcher_domain == bindparam(f"{_KEY}domain"),
            c.event == bindparam(f"{_KEY}event"),
        )
        return self.database.prepare(query, prefix=len(_KEY))

    async def decisions(self, presentity: str, event: str) -> list[tuple[str, str, Decision]]:
        """What was decided of all watchers of a presentity: user, domain, and that."""
        c = self._watchers.c
        query = select(c.watcher_username, c.watcher_domain, c.status, c.reason).where(
            self._same(c.presentity_uri, presentity), c.event == event
        )
        rows = await self.database.fetch(query)
        return [(row[0], row[1], Decision(int(row.status), row.reason or "")) for row in rows]

    async def change_decision(self, presentity: str, event: str, user: str, domain: str, decision: Decision) -> None:
        """Keep what was decided anew of a watcher."""
        c = self._watchers.c
        where = and_(
            self._same(c.presentity_uri, presentity),
            c.event == event,
            c.watcher_username == user,
            c.watcher_domain == domain,
        )
        values = {"status": decision.status, "reason": decision.reason or None}
        await self.database.run([(update(self._watchers).where(where).values(values), [{}])])

    async def forget_pending(self, before: int) -> None:
        """Forget watchers that have waited for leave since before a time."""
        c = self._watchers.c
        where = and_(c.status == PENDING, c.inserted_time < before)
        await self.database.run([(delete(self._watchers).where(where), [{}])])

    async def decide(self, subscription: Subscription, decision: Decision, now: int) -> None:
        """Keep what was decided of a subscription's watcher."""
        row = {
            "presentity_uri": subscription.presentity,
            "watcher_username": subscription.watcher_user,
            "watcher_domain": subscription.watcher_domain,
            "event": subscription.event,
            "status": decision.status,
            "reason": decision.reason,
            "inserted_time": now,
        }
        await self.database.run([(self._upsert_watcher, [row])])


def _names(presentity: Presentity, etag: str) -> dict[str, Any]:
    """What names a publication."""
    return {**presentity._asdict(), "etag": etag}


__all__ = ["Change", "Store"]
