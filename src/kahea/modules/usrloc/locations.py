"""The location tables of a node: made, loaded, written, expired, and lent to other modules."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Final

from kahea.connectors.errors import BadUrl, DatabaseError
from kahea.modules.usrloc.contact import Contact
from kahea.modules.usrloc.domain import Domain, Rules
from kahea.modules.usrloc.keepalive import Keepalives
from kahea.modules.usrloc.notation import reverse_hex
from kahea.modules.usrloc.parameters import UsrlocParameters
from kahea.modules.usrloc.telling import OnChange, Telling
from kahea.net.address import P_TCP, P_TLS, P_WS, P_WSS
from kahea.routing.module import ConfigError
from kahea.routing.run import can_wait, wait
from kahea.sip.errors import ParseError
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.connectors.sql import Database
    from kahea.modules.usrloc.journal import Journal
    from kahea.modules.usrloc.store import Layout, Store
    from kahea.routing.node import Node

log = logging.getLogger("kahea.usrloc")

# Values of db_mode.
MEMORY: Final = 0
WRITE_THROUGH: Final = 1
WRITE_BACK: Final = 2
DB_ONLY: Final = 3
READ_ONLY: Final = 4

#: Names of tables that scripts may use. They come from scripts, perhaps with what a message says in them.
MAX_TABLES: Final = 64

#: Expired contacts that are removed before others get their turn.
SLICE: Final = 200

_STREAMS: Final = frozenset((P_TCP, P_TLS, P_WS, P_WSS))


class Locations(UsrlocParameters):
    """What `Usrloc` is without its commands."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.domains: dict[str, Domain] = {}
        self.stores: dict[str, Store] = {}
        self.journals: dict[str, Journal] = {}
        self.remote = False
        #: Write and show listeners as they are advertised (registrar's sock_mode).
        self.advertised = False
        self.nat_flag = 0
        self.server_id = 0
        #: Called with each contact that ended by itself.
        self.on_expired: list[Callable[[Domain, Contact], None]] = []
        self._told: list[OnChange] = []
        self._database: Database | None = None
        self._rules = Rules()
        self._ruid_prefix = b""
        self._ruids = 0
        self._loading: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ended: deque[tuple[Domain, Contact]] = deque()
        self._keepalives: Keepalives | None = None
        self._stopped = False
        self._given: frozenset[str] = frozenset()

    # ---- life

    def start(self) -> None:
        """Check the parameters."""
        self._given = frozenset(self.__dict__)
        self.keep_defaults()
        self.remote = self.db_mode == DB_ONLY
        self.nat_flag = 1 << self.nat_bflag if self.nat_bflag >= 0 else 0
        self.server_id = int(getattr(self.node.settings, "server_id", 0) or 0)
        head = b"uloc-%x-" % self.server_id if self.server_id else b"uloc-"
        # Servers in containers often have the same process id, and start at the same second.
        process = os.getpid() & 0xFFFF | int.from_bytes(os.urandom(2), "big") << 16
        self._ruid_prefix = head + b"%x-%x-" % (int(self.node.wall()), process)
        self._rules = Rules(
            self.matching_mode,
            self.cseq_delay,
            bool(self.desc_time_order),
            self.timer_interval,
            index_ruids=bool(self.ka_mode),
            index_connections=bool(self.handle_lost_tcp),
        )
        if self.handle_lost_tcp:
            if self.remote:
                raise ConfigError("parameter usrloc.handle_lost_tcp does not work with db_mode 3")
            self.node.connection_watchers.append(self._lost)
        for name in ("timer_procs", "load_rank"):
            if name in self._given:
                log.warning("parameter usrloc.%s has no effect: one loop does everything here", name)
        if self.remote and self.ka_mode:
            raise ConfigError("parameter usrloc.ka_mode: contacts in the database alone (db_mode 3) get no keepalives")
        if self.db_mode != MEMORY:
            from kahea.connectors.sql import Database

            try:
                self._database = Database(self.db_url)
            except BadUrl as error:
                raise ConfigError(f"parameter usrloc.db_url: {error}") from error
        self.node.statistics.declare("usrloc", "registered_users", resets=False)
        for name in self._preloaded():
            if self.db_mode == MEMORY:
                self._add_domain(name)

    def _preloaded(self) -> list[str]:
        given: Any = self.preload
        return [name for name in given if name] if isinstance(given, list) else []

    def is_given(self, name: str) -> bool:
        """Whether a parameter was set, if only to its default."""
        return name in self._given

    async def open(self) -> None:
        """Load the tables named by preload, or `location` where the database has it; start the timers."""
        if self._database is not None:
            try:
                for name in self._preloaded():
                    await self._open_domain(name)
                if not self._preloaded() and await self._make_store("location").exists():
                    await self._open_domain("location")
            except DatabaseError as error:
                raise ConfigError(f"usrloc: the database can't be used: {error}") from error
        self.node.call_later(self.timer_interval, self._tick)
        if self.ka_mode:
            self._keepalives = Keepalives(self)
            self._keepalives.start()

    async def stop(self) -> None:
        """Write what is yet to be written, and close the database."""
        self._stopped = True
        if self._keepalives is not None:
            self._keepalives.stop()
        for name, journal in self.journals.items():
            await journal.finish()
            if len(journal):
                log.error("table %s: %d contacts could not be written and are lost", name, len(journal))
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)
        if self._database is not None:
            await self._database.close()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine beside everything else; an error of it is logged."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._spawned)

    def _spawned(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("usrloc: a task failed", exc_info=task.exception())

    # ---- tables

    def domain(self, name: str) -> Domain | None:
        """A table by its name, made (and loaded, which waits) when first asked for.

        None, and a line in the log, if that can't be.
        """
        found = self.domains.get(name)
        if found is not None:
            return found
        if not name or len(self.domains) + len(self._loading) >= MAX_TABLES:
            log.error("location table %r refused: %d tables are too many", name, MAX_TABLES)
            return None
        if self._database is None:
            return self._add_domain(name)
        if not can_wait():
            log.error("location table %r is not loaded yet: name it in preload", name)
            return None
        task = self._loading.get(name)
        if task is None:
            task = self._loading[name] = asyncio.ensure_future(self._open_domain(name))
        try:
            wait(asyncio.shield(task))
        except DatabaseError as error:
            log.error("location table %r can't be used: %s", name, error)
        finally:
            self._loading.pop(name, None)
        return self.domains.get(name)

    def watch(self, told: OnChange) -> None:
        """Have every change of a contact told, but those of a database without memory (db_mode 3)."""
        first = not self._told
        self._told.append(told)
        if first:
            for domain in self.domains.values():
                self._tell(domain)

    def _tell(self, domain: Domain) -> None:
        if self._told and not self.remote:
            domain.writer = Telling(domain.name, domain.writer, self._told)

    def _make_store(self, name: str) -> Store:
        from kahea.modules.usrloc.store import Store

        assert self._database is not None
        return Store(self._database, name, self._layout(), self.node.find_listener)

    async def _open_domain(self, name: str) -> None:
        if name in self.domains:
            return
        from kahea.modules.usrloc.journal import Journal
        from kahea.modules.usrloc.remote import RemoteDomain

        store = self._make_store(name)
        await store.prepare()
        if self.remote:
            domain: Domain = RemoteDomain(name, self._rules, self.make_ruid, self._count, store)
        else:
            domain = Domain(name, self._rules, self.make_ruid, self._count, self._separator)
            if self.db_load or self.db_mode == READ_ONLY:
                await self._load(domain, store)
        if self.db_mode != READ_ONLY:
            journal = Journal(store, through=self.writes_through)
            self.journals[name] = journal
            domain.writer = journal
        self._tell(domain)
        self.stores[name] = store
        self.domains[name] = domain

    async def _load(self, domain: Domain, store: Store) -> None:
        dropped: list[Contact] = []
        async for page in store.load(int(self.node.wall())):
            for contact in page:
                lost = self.handle_lost_tcp and contact.connection_id > 0
                # The number of a connection means nothing after a restart.
                contact.connection_id = -1
                if lost or (self.db_clean_tcp and is_stream(contact)):
                    dropped.append(contact)
                elif not (self.skip_remote_socket and contact.sock is None):
                    domain.add(contact)
            await asyncio.sleep(0)
        if dropped and self.db_mode != READ_ONLY:
            from kahea.modules.usrloc.domain import DELETE

            await store.commit([(DELETE, contact) for contact in dropped])
        log.info("table %s: %d contacts of %d users", domain.name, domain.contacts, len(domain.records))

    def _layout(self) -> Layout:
        from kahea.modules.usrloc.store import Layout
        from kahea.modules.usrloc.tables import Columns

        names = (
            "user domain contact expires q callid cseq methods flags cflags user_agent received socket "
            "path ruid instance reg_id server_id connection_id keepalive partition"
        )
        return Layout(
            columns=Columns(**{name: getattr(self, f"{name}_column") for name in names.split()}),
            big_times=bool(self.expires_type),
            use_domain=bool(self.use_domain),
            attributes=bool(self.xavp_contact),
            check_version=bool(self.version_table),
            version_table=self.node.settings.version_table,
            by_ruid=bool(self.db_ops_ruid),
            upsert_inserts=bool(self.db_insert_update),
            upsert_updates=bool(self.db_update_as_insert or self.db_check_update),
            nulls=bool(self.db_insert_null),
            page=self.fetch_rows,
            nat_flag=self.nat_flag,
            advertised=self.advertised,
            server_id=self.server_id if self.server_id_filter else None,
        )

    @property
    def writes_through(self) -> bool:
        """Whether changes are written before they are answered."""
        return self.db_mode in (WRITE_THROUGH, DB_ONLY)

    @property
    def _separator(self) -> str:
        return self.node.settings.stats_name_separator

    def _add_domain(self, name: str) -> Domain:
        for each in ("users", "contacts", "expires"):
            self.node.statistics.declare("usrloc", f"{name}{self._separator}{each}", resets=each == "expires")
        domain = self.domains[name] = Domain(name, self._rules, self.make_ruid, self._count, self._separator)
        self._tell(domain)
        return domain

    def _count(self, name: str, by: int) -> None:
        self.node.count("usrloc", name, by)
        if name.endswith(f"{self._separator}users"):
            self.node.count("usrloc", "registered_users", by)

    def make_ruid(self) -> bytes:
        """A unique id for a contact, in Kamailio's form."""
        self._ruids += 1
        return self._ruid_prefix + reverse_hex(self._ruids)

    def settle(self, domain: Domain, contacts: Iterable[Contact]) -> int | None:
        """Wait, in a run, until the changes to these contacts are safe in the database (db_mode 1 and 3).

        The kind (`domain.INSERT`, ...) of the first change that failed, or None.
        """
        journal = self.journals.get(domain.name)
        if journal is None or not journal.through:
            return None
        return journal.settle(contacts)

    def forget(self, domain: Domain, contact: Contact) -> None:
        """Take a contact that could not be written out of memory again."""
        domain.discard(contact)
        journal = self.journals.get(domain.name)
        if journal is not None:
            journal.forget(contact)

    # ---- time

    def _tick(self) -> None:
        if self._stopped:
            return
        self.node.call_later(self.timer_interval, self._tick)
        now = int(self.node.wall())
        idle = not self._ended
        for domain in self.domains.values():
            self._ended.extend((domain, contact) for contact in domain.expiry.due(now))
        if idle and self._ended:
            self._end_some()
        if self.db_mode in (WRITE_THROUGH, WRITE_BACK, DB_ONLY):
            self.spawn(self.synchronize())

    def _end_some(self) -> None:
        """Remove expired contacts, a slice at a time."""
        for _ in range(min(SLICE, len(self._ended))):
            domain, contact = self._ended.popleft()
            # It may have been refreshed, or removed, since it was found.
            if contact.is_valid(self.node.wall()):
                domain.expiry.moved(contact)
            elif contact in (domain.records.get(contact.aor) or ()):
                self.end(domain, contact)
        if self._ended:
            self.node.call_later(0, self._end_some)

    def end(self, domain: Domain, contact: Contact) -> None:
        """Remove a contact that has ended by itself, and tell who wants to know."""
        domain.count_expired()
        for callback in self.on_expired:
            callback(domain, contact)
        domain.delete(contact)
        table = getattr(contact.sock, "table", None)
        if self.close_expired_tcp and table is not None and contact.connection_id > 0:
            table.close(contact.connection_id, "its contact has expired")

    def _lost(self, connection_id: int) -> None:
        """A connection is gone, and with it the contacts that registered on it."""
        for domain in self.domains.values():
            for contact in list(domain.by_connection.get(connection_id, ())):
                self.end(domain, contact)

    async def synchronize(self) -> None:
        """Write what is yet to be written, and remove what has ended in the database.

        What fails is logged.
        """
        now = int(self.node.wall())
        for name, journal in list(self.journals.items()):
            await journal.flush()
            store = self.stores[name]
            try:
                if self.remote:
                    await self._clean_remote(self.domains[name], store, now - self.rm_expired_delay)
                elif self.db_timer_clean:
                    await store.clean(now)
            except DatabaseError as error:
                log.error("table %s could not be cleaned: %s", name, error)

    async def _clean_remote(self, domain: Domain, store: Store, before: int) -> None:
        if self.on_expired:
            for contact in await store.expired(before):
                domain.count_expired()
                for callback in self.on_expired:
                    callback(domain, contact)
        await store.clean(before)


def is_stream(contact: Contact) -> bool:
    """Whether a contact is reached over a connection: by its listener, else by its URI."""
    if contact.sock is not None:
        return contact.sock.proto in _STREAMS
    try:
        uri = parse_uri(contact.received or contact.uri)
    except ParseError:
        return False
    return uri.scheme == b"sips" or uri.transport in (b"tcp", b"tls", b"ws", b"wss")
