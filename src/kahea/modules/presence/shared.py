"""Subscriptions in the database alone (`subs_db_mode` 3), so that several servers may share them.

Every look-up is a query. Who sends the next NOTIFY of a subscription takes its number there first, so that two servers
never send the same. Imported only where there is a database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.modules.presence.subscriptions import MAX_WATCHERS, TooMany, next_numbers
from kahea.routing.run import wait

if TYPE_CHECKING:
    from kahea.modules.presence.store import Store
    from kahea.modules.presence.subscription import Dialog, Subscription


class SharedSubscriptions:
    """See `Subscriptions`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, dialog: Dialog) -> Subscription | None:
        """See `Subscriptions`."""
        return wait(self._store.find(dialog))

    def watching(self, presentity: str, event: str) -> list[Subscription]:
        """See `Subscriptions`."""
        return wait(self._store.watching(presentity, event))

    def add(self, subscription: Subscription) -> None:
        """See `Subscriptions`."""
        if len(self.watching(subscription.presentity, subscription.event)) >= MAX_WATCHERS:
            raise TooMany("too many subscriptions")
        wait(self._store.put(subscription))

    def changed(self, subscription: Subscription) -> None:
        """See `Subscriptions`."""
        wait(self._store.put(subscription))

    def number(self, subscription: Subscription) -> None:
        """See `Subscriptions`; one that is not there any more counts on by itself."""
        numbers = next_numbers(subscription)
        while not wait(self._store.advance(subscription, *numbers)):
            latest = self.find(subscription.dialog)
            if latest is None:
                break
            subscription.local_cseq, subscription.version = latest.local_cseq, latest.version
            numbers = next_numbers(subscription)
        subscription.local_cseq, subscription.version = numbers

    def remove(self, subscription: Subscription) -> bool:
        """See `Subscriptions`."""
        return wait(self._store.take(subscription.dialog))

    def ended(self, now: int) -> list[Subscription]:
        """See `Subscriptions`; a page of them."""
        return wait(self._store.ended(now))


__all__ = ["SharedSubscriptions"]
