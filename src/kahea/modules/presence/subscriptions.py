"""The subscriptions of a node in memory, found by their dialog or by what they watch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from kahea.modules.presence.subscription import Dialog, Subscription

#: Subscriptions that a node keeps, and those to one presentity's state: they come from the network.
MAX_SUBSCRIPTIONS: Final = 200_000
MAX_WATCHERS: Final = 5_000


class TooMany(Exception):
    """There is no room for another subscription or publication."""


class Subscriptions(Protocol):
    """Where subscriptions are kept. All of it may wait, and raises DatabaseError."""

    def find(self, dialog: Dialog) -> Subscription | None:
        """The subscription of a dialog."""

    def watching(self, presentity: str, event: str) -> list[Subscription]:
        """The subscriptions to a presentity's state, oldest first."""

    def add(self, subscription: Subscription) -> None:
        """Keep a new one. Raises TooMany."""

    def changed(self, subscription: Subscription) -> None:
        """One was refreshed, or something else was decided of it."""

    def number(self, subscription: Subscription) -> None:
        """Give its next NOTIFY a number, and a version to the document in it."""

    def remove(self, subscription: Subscription) -> bool:
        """Forget one; False if it is not there."""

    def ended(self, now: int) -> list[Subscription]:
        """Those whose time was over by then."""


def next_numbers(subscription: Subscription) -> tuple[int, int]:
    """`local_cseq` and `version` of the next NOTIFY; the first has the version that the subscription began with."""
    return subscription.local_cseq + 1, subscription.version + (subscription.local_cseq > 0)


class Memory:
    """Subscriptions in memory. `folds`: presentities that differ in case alone are one (`sip_uri_match`)."""

    def __init__(self, folds: bool = False) -> None:
        self.folds = folds
        self._by_dialog: dict[Dialog, Subscription] = {}
        self._by_presentity: dict[tuple[str, str], dict[Subscription, None]] = {}

    def __len__(self) -> int:
        return len(self._by_dialog)

    def _key(self, presentity: str, event: str) -> tuple[str, str]:
        return presentity.lower() if self.folds else presentity, event

    def find(self, dialog: Dialog) -> Subscription | None:
        """See `Subscriptions`."""
        return self._by_dialog.get(dialog)

    def watching(self, presentity: str, event: str) -> list[Subscription]:
        """See `Subscriptions`."""
        return list(self._by_presentity.get(self._key(presentity, event), ()))

    def add(self, subscription: Subscription) -> None:
        """See `Subscriptions`."""
        key = self._key(subscription.presentity, subscription.event)
        if len(self._by_dialog) >= MAX_SUBSCRIPTIONS or len(self._by_presentity.get(key, ())) >= MAX_WATCHERS:
            raise TooMany("too many subscriptions")
        self._by_dialog[subscription.dialog] = subscription
        self._by_presentity.setdefault(key, {})[subscription] = None

    def changed(self, subscription: Subscription) -> None:
        """See `Subscriptions`."""

    def number(self, subscription: Subscription) -> None:
        """See `Subscriptions`."""
        subscription.local_cseq, subscription.version = next_numbers(subscription)

    def remove(self, subscription: Subscription) -> bool:
        """See `Subscriptions`."""
        if self._by_dialog.get(subscription.dialog) is not subscription:
            return False
        del self._by_dialog[subscription.dialog]
        key = self._key(subscription.presentity, subscription.event)
        of_one = self._by_presentity[key]
        del of_one[subscription]
        if not of_one:
            del self._by_presentity[key]
        return True

    def ended(self, now: int) -> list[Subscription]:
        """See `Subscriptions`."""
        return [each for each in self._by_dialog.values() if each.expires <= now]


__all__ = ["MAX_SUBSCRIPTIONS", "MAX_WATCHERS", "Memory", "Subscriptions", "TooMany", "next_numbers"]
