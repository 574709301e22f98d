"""What time does to publications and subscriptions: they end, and watchers are told."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from kahea.modules.presence.publications import Publication
from kahea.modules.presence.requests import FAILURES
from kahea.modules.presence.subscribe import Subscribing
from kahea.modules.presence.subscription import Subscription
from kahea.routing.run import wait

log = logging.getLogger("kahea.presence")

#: What has ended and is seen to before others get their turn.
SLICE: Final = 100
#: Seconds that it is kept of a watcher that it waits for the presentity's leave.
PENDING_LASTS: Final = 86_400


class Upkeep(Subscribing):
    """The timers."""

    _stopped = False

    async def open(self) -> None:
        """Load, and start the timers."""
        await super().open()
        if self.store is not None:
            self._plan_publications()
            self._plan_subscriptions()

    async def stop(self) -> None:
        """End the timers, write what is yet to be written, and let go of the database."""
        self._stopped = True
        await super().stop()

    def _plan_publications(self) -> None:
        if self.clean_period > 0 and not self._stopped:
            self.node.call_later(self.clean_period, self._clean_publications)

    def _plan_subscriptions(self) -> None:
        if self.db_update_period > 0 and not self._stopped:
            self.node.call_later(self.db_update_period, self._clean_subscriptions)

    def _clean_publications(self) -> None:
        if not self._stopped and not self.node.in_worker(self._end_publications):
            log.error("no worker for publications that have ended")
            self._plan_publications()

    def _clean_subscriptions(self) -> None:
        if not self._stopped and not self.node.in_worker(self._end_subscriptions):
            log.error("no worker for subscriptions that have ended")
            self._plan_subscriptions()

    def _end_publications(self) -> None:
        try:
            self.clean_publications()
        finally:
            self._plan_publications()

    def _end_subscriptions(self) -> None:
        try:
            self.clean_subscriptions()
        finally:
            self._plan_subscriptions()

    def clean_publications(self) -> None:
        """End the publications whose time is over. May wait."""
        try:
            ended, removed = self.publications.ended(self.now()), True
            while ended and removed:
                removed = False
                for number, publication in enumerate(ended, 1):
                    removed = self._end_publication(publication) or removed
                    _breathe(number)
                ended = self.publications.ended(self.now())
            if self.store is not None:
                wait(self.store.forget_pending(self.now() - PENDING_LASTS))
        except FAILURES as error:
            log.error("publications that have ended are still there: %s", error)

    def _end_publication(self, publication: Publication) -> bool:
        """Remove a publication, and tell its watchers; False if it was gone."""
        presentity = publication.presentity
        with self.turn(presentity.uri):
            removed = self.publications.remove(presentity, publication.etag)
            event = self.packages.get(presentity.event)
            if removed and event is not None and not self.force_delete:
                self.tell_watchers(presentity.uri, event, self.state_of(event, presentity))
        return removed

    def clean_subscriptions(self) -> None:
        """End the subscriptions whose time is over, and have changes written. May wait."""
        try:
            for number, subscription in enumerate(self.subscriptions.ended(self.now()), 1):
                self._end_subscription(subscription)
                _breathe(number)
            wait(self.flush())
        except FAILURES as error:
            log.error("subscriptions that have ended are still there: %s", error)

    def _end_subscription(self, subscription: Subscription) -> None:
        with self.turn(subscription.presentity):
            # It may have been refreshed, or ended, while others had their turn.
            latest = self.subscriptions.find(subscription.dialog)
            if latest is not None and latest.expires <= self.now() and self.subscriptions.remove(latest):
                self.notify(latest, b"")


def _breathe(number: int) -> None:
    """After some of them, give others their turn."""
    if number % SLICE == 0:
        wait(asyncio.sleep(0))


__all__ = ["Upkeep"]
