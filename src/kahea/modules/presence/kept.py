"""Publications and subscriptions that a database keeps, as the rest of the module sees them: looking synchronous to a
run, which waits. Imported only where there is a database."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from kahea.connectors.errors import DatabaseError
from kahea.modules.presence import subscriptions
from kahea.modules.presence.publications import MAX_OF_ONE, MAX_PUBLICATIONS, Change, Presentity, Publication
from kahea.modules.presence.subscriptions import MAX_SUBSCRIPTIONS, TooMany
from kahea.modules.presence.tables import subscription_row
from kahea.routing.run import wait

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from kahea.modules.presence.store import Store
    from kahea.modules.presence.subscription import Dialog, Subscription

log = logging.getLogger("kahea.presence")

#: Changes that wait for a database that is down: as many subscriptions as there may be, and as many that are gone.
MAX_DIRTY = 2 * MAX_SUBSCRIPTIONS


class KeptPublications:
    """Publications in the database; with `indexed`, who has any is known without asking it (`publ_cache` 1)."""

    def __init__(self, store: Store, *, indexed: bool, folds: bool) -> None:
        self._store = store
        self._folds = folds
        self._indexed = indexed
        #: How many publications each has.
        self._index: dict[Presentity, int] = {}

    async def load(self) -> None:
        """Learn who has any. Raises DatabaseError."""
        if self._indexed:
            async for page in self._store.presentities():
                for presentity, number in page:
                    self._count(presentity, number)

    def _key(self, presentity: Presentity) -> Presentity:
        return presentity.folded() if self._folds else presentity

    def _count(self, presentity: Presentity, by: int) -> None:
        if not self._indexed:
            return
        key = self._key(presentity)
        number = self._index.get(key, 0) + by
        if number > 0:
            self._index[key] = number
        else:
            self._index.pop(key, None)

    def of(self, presentity: Presentity) -> Sequence[Publication]:
        """See `Publications`."""
        if self._indexed and self._key(presentity) not in self._index:
            return ()
        return wait(self._store.publications(presentity))

    def add(self, publication: Publication) -> None:
        """See `Publications`."""
        presentity = publication.presentity
        if self._indexed:
            number = self._index.get(self._key(presentity), 0)
            if not number and len(self._index) >= MAX_PUBLICATIONS:
                raise TooMany("too many presentities")
        else:
            number = len(self.of(presentity))
        if number >= MAX_OF_ONE:
            raise TooMany("too many publications")
        wait(self._store.add_publication(publication))
        self._count(presentity, 1)

    def modify(self, presentity: Presentity, etag: str, change: Change) -> bool:
        """See `Publications`."""
        return wait(self._store.modify_publication(presentity, etag, change))

    def remove(self, presentity: Presentity, etag: str) -> bool:
        """See `Publications`."""
        if not wait(self._store.remove_publication(presentity, etag)):
            return False
        self._count(presentity, -1)
        return True

    def ended(self, now: int) -> Sequence[Publication]:
        """See `Publications`."""
        return wait(self._store.ended_publications(now))


class KeptSubscriptions(subscriptions.Memory):
    """Subscriptions in memory that are written to the database, at once (`through`) or by `flush`."""

    def __init__(self, store: Store, *, through: bool, folds: bool) -> None:
        super().__init__(folds)
        self._store = store
        self._through = through
        #: What is yet to be written: a subscription, or None for one that is gone.
        self._dirty: dict[Dialog, Subscription | None] = {}

    async def load(self, now: int) -> None:
        """Read all. Raises DatabaseError."""
        async for page in self._store.subscriptions(now):
            for subscription in page:
                # Kamailio writes the first NOTIFY's number with the second's.
                subscription.local_cseq = max(1, subscription.local_cseq)
                try:
                    super().add(subscription)
                except TooMany:
                    log.error("the database has more subscriptions than there is room for")
                    return

    def add(self, subscription: Subscription) -> None:
        """See `Subscriptions`."""
        super().add(subscription)
        if not self._through:
            self._dirty[subscription.dialog] = subscription
            return
        try:
            wait(self._put(subscription.dialog, subscription))
        except BaseException:
            super().remove(subscription)
            self._dirty.pop(subscription.dialog, None)
            raise

    def changed(self, subscription: Subscription) -> None:
        """See `Subscriptions`."""
        if self.find(subscription.dialog) is subscription:
            future = self._note(subscription.dialog, subscription)
            if future is not None:
                wait(future)

    def number(self, subscription: Subscription) -> None:
        """See `Subscriptions`."""
        super().number(subscription)
        if self.find(subscription.dialog) is subscription:
            self._note(subscription.dialog, subscription)

    def remove(self, subscription: Subscription) -> bool:
        """See `Subscriptions`."""
        if not super().remove(subscription):
            return False
        self._note(subscription.dialog, None)
        return True

    def _note(self, dialog: Dialog, subscription: Subscription | None) -> asyncio.Future[None] | None:
        """Take a change down; the future of its write, if that is under way."""
        self._later(dialog, subscription)
        return self._put(dialog, subscription) if self._through else None

    def _later(self, dialog: Dialog, subscription: Subscription | None) -> None:
        """Leave a change to the next flush. Of too many that are gone, the row stays until it has expired."""
        self._dirty.pop(dialog, None)
        if subscription is not None or len(self._dirty) < MAX_DIRTY:
            self._dirty[dialog] = subscription

    def _put(self, dialog: Dialog, subscription: Subscription | None) -> asyncio.Future[None]:
        """Hand a write in; what fails stays for the next flush."""
        self._dirty.pop(dialog, None)
        future = self._store.group.put((None if subscription is None else subscription_row(subscription), dialog))

        def settled(done: asyncio.Future[None]) -> None:
            error = None if done.cancelled() else done.exception()
            if error is not None and self.find(dialog) is subscription:
                log.error("a subscription was not written: %s", error)
                if dialog not in self._dirty:
                    self._later(dialog, subscription)

        future.add_done_callback(settled)
        return future

    async def flush(self) -> None:
        """Write what is yet to be written, and wait for what is under way; what fails is logged, and kept on."""
        futures = [self._put(dialog, subscription) for dialog, subscription in list(self._dirty.items())]
        for future in futures:
            try:
                await future
            except DatabaseError:
                continue  # logged where it settled
        await self._store.group.flush()


__all__ = ["KeptPublications", "KeptSubscriptions"]
