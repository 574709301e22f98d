"""The presence server's state and life: what it keeps, where, and the event packages that it knows."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from kahea.connectors.errors import BadUrl, DatabaseError
from kahea.modules.presence import publications, subscriptions
from kahea.modules.presence.events import WINFO, EventPackage, WatcherInfo
from kahea.modules.presence.parameters import Parameters, columns
from kahea.modules.presence.publications import Publications, Tags
from kahea.modules.presence.subscriptions import Subscriptions
from kahea.modules.presence.turns import Turns
from kahea.routing.module import ConfigError
from kahea.routing.run import wait

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from kahea.modules.presence.events import Decision
    from kahea.modules.presence.kept import KeptPublications, KeptSubscriptions
    from kahea.modules.presence.store import Store
    from kahea.modules.presence.subscription import Subscription
    from kahea.routing.node import Node

log = logging.getLogger("kahea.presence")

# Values of subs_db_mode and publ_cache.
MEMORY_ONLY, WRITE_THROUGH, DATABASE_ONLY = 0, 1, 3
INDEXED, IN_MEMORY = 1, 2


class Server(Parameters):
    """What the functions, commands and timers of `presence` work on."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        #: By name.
        self.packages: dict[str, EventPackage] = {}
        self._turns = Turns()
        self.store: Store | None = None
        self.subscriptions: Subscriptions = subscriptions.Memory()
        self.publications: Publications = publications.Memory()
        self.tags = Tags(node.wall())
        #: That of the node, once it is open.
        self.loop: asyncio.AbstractEventLoop | None = None
        self._kept_publications: KeptPublications | None = None
        self._kept_subscriptions: KeptSubscriptions | None = None

    # ---- event packages

    def add_event(self, package: EventPackage) -> None:
        """Make an event package known; a later one of the same name takes its place."""
        self.packages[package.name] = package

    def winfo_of(self, event: str) -> WatcherInfo | None:
        """The package that tells of another's watchers, if there is one."""
        found = self.packages.get(event + WINFO)
        return found if isinstance(found, WatcherInfo) else None

    @property
    def allowed_events(self) -> str:
        """The value of Allow-Events, in Kamailio's order."""
        return ", ".join(reversed(self.packages))

    # ---- life

    def start(self) -> None:
        """Check the parameters, and say where things are kept."""
        self.keep_defaults()
        self.tags = Tags(self.node.wall())
        folds = bool(self.sip_uri_match)
        order = columns(self.retrieve_order_by) if self.retrieve_order else ("received_time",)
        self.subscriptions = subscriptions.Memory(folds)
        self.publications = publications.Memory(order, folds)
        if self.db_url:
            self._open_store(order, folds)

    def _open_store(self, order: tuple[str, ...], folds: bool) -> None:
        from kahea.connectors.sql import Database
        from kahea.modules.presence.kept import KeptPublications, KeptSubscriptions
        from kahea.modules.presence.shared import SharedSubscriptions
        from kahea.modules.presence.store import Store

        try:
            database = Database(self.db_url)
        except BadUrl as error:
            raise ConfigError(f"parameter presence.db_url: {error}") from error
        names = self.presentity_table, self.active_watchers_table, self.watchers_table
        self.store = Store(
            database,
            names,
            self.node.settings.version_table,
            order,
            self.fetch_rows,
            self.node.find_listener,
            folds=folds,
        )
        if self.publ_cache != IN_MEMORY:
            self._kept_publications = KeptPublications(self.store, indexed=self.publ_cache == INDEXED, folds=folds)
            self.publications = self._kept_publications
        if self.subs_db_mode == DATABASE_ONLY:
            self.subscriptions = SharedSubscriptions(self.store)
        elif self.subs_db_mode != MEMORY_ONLY:
            through = self.subs_db_mode == WRITE_THROUGH
            self._kept_subscriptions = KeptSubscriptions(self.store, through=through, folds=folds)
            self.subscriptions = self._kept_subscriptions

    async def open(self) -> None:
        """Check the tables, and load what is kept in memory."""
        self.loop = asyncio.get_running_loop()
        if self.store is None:
            return
        try:
            await self.store.prepare()
            if self._kept_publications is not None:
                await self._kept_publications.load()
            if self._kept_subscriptions is not None:
                await self._kept_subscriptions.load(self.now())
        except DatabaseError as error:
            raise ConfigError(f"presence: the database can't be used: {error}") from error

    async def stop(self) -> None:
        """Write what is yet to be written, and let go of the database."""
        await self.flush()
        if self.store is not None:
            await self.store.close()

    async def flush(self) -> None:
        """Write subscriptions that have changed."""
        if self._kept_subscriptions is not None:
            await self._kept_subscriptions.flush()

    def now(self) -> int:
        """Unix time in whole seconds, as tables have it."""
        return int(self.node.wall())

    def turn(self, presentity: str) -> AbstractContextManager[None]:
        """`with turn(uri): ...`: the only work on that presentity meanwhile. Waits; raises Busy, NoRun."""
        return self._turns.of(presentity.lower() if self.sip_uri_match else presentity)

    # ---- what was decided of watchers

    def decided(self, subscription: Subscription) -> Decision | None:
        """What was decided of a watcher before. Raises DatabaseError."""
        return None if self.store is None else wait(self.store.decision(subscription))

    def keep_decision(self, subscription: Subscription, decision: Decision) -> None:
        """Keep what was decided of a watcher. Raises DatabaseError."""
        if self.store is not None:
            wait(self.store.decide(subscription, decision, self.now()))


__all__ = ["Server"]
