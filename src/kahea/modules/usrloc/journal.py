"""What of a table is yet to be written: handed to the group at once (write-through) or kept for a flush.

Either way a change that could not be written stays here, and the next flush tries it again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Final

from kahea.connectors.errors import DatabaseError, Unavailable
from kahea.modules.usrloc.contact import FL_MEM, NEW, UNSURE, Contact
from kahea.modules.usrloc.domain import DELETE
from kahea.routing.run import wait

if TYPE_CHECKING:
    from kahea.modules.usrloc.store import Change, Store

log = logging.getLogger("kahea.usrloc")

#: Rows of one commit of a flush: few enough not to hold up the loop.
PAGE: Final = 500
#: Changes that are kept while a database is down; more are given up.
MAX_KEPT: Final = 1_000_000


class Journal:
    """The changes of one table on their way to its store."""

    def __init__(self, store: Store, *, through: bool) -> None:
        self.store = store
        self.through = through
        self._under_way: dict[bytes, tuple[int, asyncio.Future[None]]] = {}
        self._kept: dict[bytes, Change] = {}
        self._in_flush: set[bytes] = set()
        self._failures = 0
        self._tell_at = 0.0
        self._flush_task: asyncio.Task[int] | None = None

    def __len__(self) -> int:
        """How many contacts are not yet as they should be in the database."""
        return len(self._kept) + len(self._under_way) + len(self._in_flush)

    def write(self, kind: int, contact: Contact) -> asyncio.Future[None] | None:
        """Take a change in; with write-through, the future that is done when it is committed."""
        if contact.flags & FL_MEM:
            return None
        if not self.through:
            self._keep(kind, contact)
            return None
        self._kept.pop(contact.ruid, None)  # this write carries all of the contact
        future = self.store.group.put((kind, contact))
        self._under_way[contact.ruid] = (kind, future)
        future.add_done_callback(lambda done: self._settled(kind, contact, done))
        return future

    def _settled(self, kind: int, contact: Contact, future: asyncio.Future[None]) -> None:
        latest = self._under_way.get(contact.ruid)
        if latest is None or latest[1] is not future:
            return  # a later write of it is under way, and carries what this one did
        del self._under_way[contact.ruid]
        error = future.exception()
        if error is not None:
            self._failed(error, 1)
            if contact.state == NEW:
                contact.state = UNSURE
            self._keep(kind, contact)

    def _failed(self, error: BaseException, number: int) -> None:
        """Tell the operator, but not of every contact: a database that is down fails all of them."""
        self._failures += number
        now = time.monotonic()
        if now >= self._tell_at:
            log.error("table %s: %d contacts not written: %s", self.store.name, self._failures, error)
            self._failures = 0
            self._tell_at = now + 1

    def _keep(self, kind: int, contact: Contact) -> None:
        ruid = contact.ruid
        if kind == DELETE and contact.state == NEW and ruid not in self._in_flush:
            self._kept.pop(ruid, None)  # the database never heard of it
        elif len(self._kept) < MAX_KEPT or ruid in self._kept:
            self._kept[ruid] = (kind, contact)
        else:
            self._failed(Unavailable(f"{MAX_KEPT} changes wait already"), 1)

    def forget(self, contact: Contact) -> None:
        """Don't try to write this contact again: it is given up."""
        self._kept.pop(contact.ruid, None)

    def settle(self, contacts: Iterable[Contact]) -> int | None:
        """Wait, in a run, until all that is under way of these contacts is committed.

        The kind of the first change that failed, or None if all is well.
        """
        failed = None
        for contact in contacts:
            entry = self._under_way.get(contact.ruid)
            if entry is None:
                continue
            kind, future = entry
            try:
                wait(future)
            except DatabaseError:
                if failed is None:
                    failed = kind
        return failed

    async def flush(self) -> int:
        """Write what is kept; how many contacts were written. What fails is kept on."""
        if self._flush_task is None:
            self._flush_task = asyncio.ensure_future(self._flush())
            self._flush_task.add_done_callback(self._flushed)
        return await asyncio.shield(self._flush_task)

    async def finish(self) -> None:
        """Write all that is kept, also what came after a flush that is under way had begun."""
        if self._flush_task is not None:
            await asyncio.shield(self._flush_task)
        await self.flush()

    def _flushed(self, _task: asyncio.Task[int]) -> None:
        self._flush_task = None

    async def _flush(self) -> int:
        await self.store.group.flush()
        written = 0
        left = len(self._kept)  # what comes meanwhile is for the next flush
        while self._kept and left > 0:
            page = list(islice(self._kept.values(), min(PAGE, left)))
            left -= len(page)
            for _, contact in page:
                del self._kept[contact.ruid]
                self._in_flush.add(contact.ruid)
            results = await asyncio.gather(*map(self.store.group.put, page), return_exceptions=True)
            written += self._take_results(page, results)
        return written

    def _take_results(self, page: list[Change], results: list[BaseException | None]) -> int:
        errors = [result for result in results if result is not None]
        for (kind, contact), result in zip(page, results, strict=True):
            self._in_flush.discard(contact.ruid)
            if result is not None:
                if contact.state == NEW:
                    contact.state = UNSURE
                self._kept.setdefault(contact.ruid, (kind, contact))
        if errors:
            self._failed(errors[0], len(errors))
        return len(page) - len(errors)
