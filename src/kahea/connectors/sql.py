"""SQL databases for modules: async SQLAlchemy Core engines by a Kamailio or SQLAlchemy URL, bounded.

Rules of this room:

1. Everything here is awaited; a script waits by `routing.run.wait`. Nothing waits longer than `timeout`.
2. What goes wrong is a `DatabaseError`: `Unavailable` where a later try may succeed, `Refused` where the
   database did answer and said no.
3. A database that is down fails at once between tries (`RETRY_AFTER`), so that callers don't queue for a
   time-out each.

SQLAlchemy takes 0.2 s to import, so modules import this file only once they know that they have a database.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import event, make_url
from sqlalchemy.dialects import registry
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncResult, create_async_engine
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql.compiler import SQLCompiler

from kahea.connectors.columns import UNIX_TIMES
from kahea.connectors.errors import BadUrl, DatabaseError, Refused, Unavailable
from kahea.connectors.options import CONNECT, SLOW, SQLITE, SlowStatements
from kahea.connectors.pools import POOLS
from kahea.connectors.sqlite import SqliteReader, SqliteWriter
from kahea.connectors.text_files import TextDirectory, directory

if TYPE_CHECKING:
    from sqlalchemy import URL
    from sqlalchemy.engine import Dialect, Engine, ExceptionContext
    from sqlalchemy.sql import ClauseElement, Executable

log = logging.getLogger("kahea.sql")

T = TypeVar("T")

#: Kamailio's database modules and SQLAlchemy's dialects, each with the driver that does not block the loop.
DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite3": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
    "mysql": "mysql+asyncmy",
    "mariadb": "mysql+asyncmy",
    "mysql+asyncmy": "mysql+asyncmy",
    "mariadb+asyncmy": "mysql+asyncmy",
    "mysql+aiomysql": "mysql+aiomysql",
    "redis": "redis+kahea",
}

# Loaded where there is such a URL.
registry.register("redis.kahea", "kahea.connectors.redis_tables.dialect", "RedisDialect")

#: Seconds after a failed connection during which nobody tries again.
RETRY_AFTER: Final = 1.0

Rows = Sequence[Mapping[str, Any]]


class Prepared:
    """A statement compiled once, for many rows: what SQLAlchemy does anew for each row is done here once.

    `columns` are the keys that an INSERT is given, if not all of its table. `prefix` letters stand before the keys of
    the rows in the names of the statement's parameters, since SQLAlchemy keeps the plain names for itself. Values that
    the statement has by itself, such as a limit, need no key.
    """

    __slots__ = ("_bind", "_own", "sql")

    def __init__(
        self, statement: ClauseElement, dialect: Dialect, columns: Sequence[str] | None = None, prefix: int = 0
    ) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=None if columns is None else list(columns))
        assert isinstance(compiled, SQLCompiler)
        self.sql = str(compiled)
        #: The keys of its parameters in the driver's order, each with what converts its value.
        self._bind = []
        #: The statement's own values.
        self._own: dict[str, Any] = {}
        for name in compiled.positiontup or ():
            given, key = compiled.binds[name], name[prefix:]
            if not given.required and given.effective_value is not None:
                key = name
                self._own[key] = given.effective_value
            self._bind.append((key, given.type.dialect_impl(dialect).bind_processor(dialect)))

    def tuples(self, rows: Rows) -> list[tuple[Any, ...]]:
        """The rows as the driver takes them."""
        bind, own = self._bind, self._own
        if own:
            rows = [{**row, **own} for row in rows]
        return [tuple([row[n] if f is None else f(row[n]) for n, f in bind]) for row in rows]


#: A statement with its parameter sets; more than one set makes it one `executemany`.
Step = tuple["Executable | Prepared", Rows]


def database_url(text: str) -> URL:
    """The SQLAlchemy URL for a Kamailio or SQLAlchemy one; raises BadUrl.

    `sqlite:///relative.db` and `sqlite:////absolute.db` mean the same in both. That of text files is their copy's.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise BadUrl(f"not a database URL: {text!r}")
    text_files = directory(text)
    if text_files is not None:
        return make_url(f"{DRIVERS['sqlite']}:///{text_files.copy}")
    driver = DRIVERS.get(scheme.lower())
    if driver is None:
        known = ", ".join(sorted({name.partition("+")[0] for name in DRIVERS}))
        raise BadUrl(f"databases of type {scheme!r} are not supported; these are: {known}")
    # Kamailio takes a password with an @ as it is.
    head, at, tail = rest.rpartition("@")
    if at and "@" in head:
        rest = head.replace("@", "%40") + "@" + tail
    try:
        return make_url(f"{driver}://{rest}")
    except (ArgumentError, ValueError) as error:
        raise BadUrl(f"not a database URL: {error}") from error


def plain_url(url: URL) -> str:
    """The URL for logs, without its password."""
    return url.render_as_string(hide_password=True)


@dataclass
class State:
    """What is known of a database, for metrics and health checks."""

    up: bool | None = None  # None until the first attempt
    error: str = ""  # the last one
    statements: int = 0
    failures: int = 0
    retry_at: float = field(default=0.0, repr=False)
    answered_at: float = field(default=0.0, repr=False)


class Database:
    """One database: an engine with a bounded pool. Made without I/O; connects on first use.

    `timeout` is the most seconds that one call may take, waiting for a connection included; `waiting` the most calls
    that are under way at a time. `further` are more options of SQLAlchemy's engine.
    """

    def __init__(
        self, url: str, *, pool_size: int = 4, timeout: float = 5.0, waiting: int = 10_000, **further: Any
    ) -> None:
        self._text = directory(url)
        self.url = database_url(url)
        self.place = plain_url(self.url) if self._text is None else url
        self.timeout = timeout
        self.pool_size = pool_size
        self._most = waiting
        self._under_way = 0
        self.state = State()
        self.dialect = self.url.get_backend_name()
        self._late: set[asyncio.Future[Any]] = set()  # took too long, and not ended yet
        options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 0, "pool_timeout": timeout}
        if self.dialect != "sqlite":
            options |= {"pool_pre_ping": True, "pool_recycle": 1800, "connect_args": CONNECT.get(self.dialect, {})}
        elif self.url.database in (None, "", ":memory:"):
            options = {}
        options["connect_args"] = options.get("connect_args", {}) | further.pop("connect_args", {})
        try:
            self.engine = create_async_engine(self.url, **options, **further)
        except (ModuleNotFoundError, NoSuchModuleError) as error:
            raise BadUrl(f"the driver for {self.url.drivername} is not installed: {error}") from error
        except SQLAlchemyError as error:
            raise BadUrl(f"{self.place}: {error}") from error
        if self._text is not None:
            self._text.take()
            setattr(self.engine.sync_engine.dialect, UNIX_TIMES, True)
        if SLOW.limit:
            _time_statements(self.engine.sync_engine, SLOW)
        self._writer: SqliteWriter | None = None
        self._reader: SqliteReader | None = None
        if self.dialect == "sqlite":
            path = self.url.database or ""
            event.listen(self.engine.sync_engine, "connect", lambda connection, _: _prepare_sqlite(connection, path))
            if path not in ("", ":memory:") and not self.url.query:
                prepare = partial(_prepare_sqlite, path=path)
                self._writer = SqliteWriter(path, prepare, SLOW)
                self._reader = SqliteReader(path, prepare, SLOW, pool_size)
        if self.dialect == "postgresql":
            event.listen(self.engine.sync_engine, "handle_error", _see_lost)
        POOLS.add(self)

    def describe(self) -> dict[str, Any]:
        """See `pools.Pool`."""
        state, pool = self.state, self.engine.sync_engine.pool
        busy = pool.checkedout() if isinstance(pool, QueuePool) else 0
        idle = pool.checkedin() if isinstance(pool, QueuePool) else 0
        return {
            "url": self.place,
            "state": "unused" if state.up is None else "up" if state.up else "down",
            "size": self.pool_size,
            "open": busy + idle,
            "busy": busy,
            "waiting": max(0, self._under_way - busy),
            "calls": state.statements,
            "failures": state.failures,
            "error": state.error,
        }

    def prepare(self, statement: ClauseElement, columns: Sequence[str] | None = None, prefix: int = 0) -> Prepared:
        """Compile a statement for this database; see `Prepared`."""
        return Prepared(statement, self.engine.dialect, columns, prefix)

    async def fetch(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
        """All rows of a query (named tuples). Raises DatabaseError."""

        async def work() -> Sequence[Any]:
            async with self.engine.connect() as connection:
                return (await connection.execute(statement, parameters or {})).all()

        return await self._bounded(work())

    async def ask(self, query: Prepared, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """The rows of a query as the driver gives them, with less ado than `fetch`: for what every call asks.

        Raises DatabaseError.
        """
        parameters = query.tuples([values])[0]

        async def work() -> Sequence[Sequence[Any]]:
            if self._reader is not None:
                try:
                    return await self._reader.run(query.sql, parameters)
                except sqlite3.Error as error:
                    raise self._wrapped(query, error) from error
            async with self.engine.connect() as connection:
                return (await connection.exec_driver_sql(query.sql, parameters)).all()

        return await self._bounded(work())

    async def run(self, steps: Sequence[Step]) -> list[int]:
        """The steps in one transaction, all or none; rows touched by each, -1 if unknown.

        Raises DatabaseError. After `Unavailable` nobody knows whether it was done.
        """
        prepared = [(statement, rows) for statement, rows in steps if isinstance(statement, Prepared)]
        if self._writer is not None and prepared and len(prepared) == len(steps):
            return await self._bounded(self._write(self._writer, prepared))

        async def work() -> list[int]:
            counts: list[int] = []
            async with self.engine.begin() as connection:
                for statement, rows in steps:
                    if isinstance(statement, Prepared):
                        many = await connection.exec_driver_sql(statement.sql, statement.tuples(rows))
                        counts.append(many.rowcount)
                    else:
                        one = rows[0] if len(rows) == 1 else list(rows)
                        counts.append((await connection.execute(statement, one)).rowcount)
            return counts

        return await self._bounded(work())

    async def _write(self, writer: SqliteWriter, steps: Sequence[tuple[Prepared, Rows]]) -> list[int]:
        try:
            return await writer.run([(statement.sql, statement.tuples(rows)) for statement, rows in steps])
        except sqlite3.Error as error:
            raise self._wrapped(steps[0][0], error) from error

    def _wrapped(self, statement: Prepared, error: sqlite3.Error) -> BaseException:
        """An error of the driver's as SQLAlchemy raises it."""
        return DBAPIError.instance(statement.sql, None, error, sqlite3.Error, dialect=self.engine.dialect)

    async def call(self, work: Callable[[Any], T]) -> T:
        """Run `work(sync connection)` in a transaction: for DDL and inspection. Raises DatabaseError."""

        async def inside() -> T:
            async with self.engine.begin() as connection:
                return await connection.run_sync(work)

        return await self._bounded(inside())

    async def pages(self, statement: Executable, size: int) -> AsyncIterator[Sequence[Any]]:
        """The rows of a query in pages of `size`, so that a large table is never held whole."""
        connection = await self._bounded(self._connect())
        try:
            result = await self._bounded(_stream(connection, statement))
            pages = result.partitions(size)
            while (page := await self._bounded(_next(pages))) is not None:
                yield page
        finally:
            await connection.close()

    async def _connect(self) -> AsyncConnection:
        return await self.engine.connect()

    async def close(self) -> None:
        """Release the connections."""
        POOLS.discard(self)
        if self._late:
            await asyncio.wait(self._late, timeout=self.timeout)
        try:
            async with asyncio.timeout(self.timeout):
                if self._writer is not None:
                    await self._writer.close()
                if self._reader is not None:
                    await self._reader.close()
                await self.engine.dispose()
        except (TimeoutError, SQLAlchemyError, OSError) as error:
            log.warning("%s did not close cleanly: %s", self.place, error)
        if self._text is not None:
            await self._text.release()

    async def _bounded(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work` for `timeout` at most, and turn what goes wrong into DatabaseErrors."""
        state = self.state
        loop = asyncio.get_running_loop()
        if state.up is False and loop.time() < state.retry_at:
            work.close()
            raise Unavailable(state.error)
        # Those that nobody awaits any more still have their threads and connections.
        if self._under_way + len(self._late) >= self._most:
            work.close()
            state.failures += 1
            raise Unavailable(f"{self.place}: {self._most} calls are under way already")
        state.statements += 1
        began = loop.time()
        self._under_way += 1
        task = asyncio.ensure_future(work if self._text is None else _once_ready(self._text, work))
        try:
            await asyncio.wait({task}, timeout=self.timeout)
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            self._under_way -= 1
        if not task.done():
            self._late.add(task)
            task.add_done_callback(self._forget)
            # A thread of SQLite's can't be interrupted, but gives up by itself (busy_timeout).
            if self.dialect != "sqlite":
                task.cancel()
            raise self._unavailable(TimeoutError(), began)
        error = task.exception()
        if error is None:
            if state.up is False:
                log.warning("%s is back", self.place)
            state.up = True
            state.answered_at = loop.time()
            return task.result()
        if isinstance(error, (PoolTimeout, OperationalError, InterfaceError, OSError)) and _is_outage(error):
            raise self._unavailable(error, began) from error
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            raise self._unavailable(error, began) from error
        # Drivers raise the latter for a text that is no UTF-8, as messages may have.
        if isinstance(error, (SQLAlchemyError, UnicodeError)):
            state.failures += 1
            raise Refused(_text(error)) from error
        raise error

    def _forget(self, task: asyncio.Future[Any]) -> None:
        """See a result that nobody waits for any more."""
        self._late.discard(task)
        if not task.cancelled():
            task.exception()

    def _unavailable(self, error: BaseException, began: float) -> Unavailable:
        state = self.state
        state.failures += 1
        text = f"{self.place}: {_text(error)}"
        if isinstance(error, (TimeoutError, PoolTimeout)) and state.answered_at > began:
            # Others were answered meanwhile: this statement is slow, or the pool small, not the database down.
            return Unavailable(text)
        state.error = text
        state.retry_at = asyncio.get_running_loop().time() + RETRY_AFTER
        if state.up is not False:
            state.up = False
            log.error("database down: %s", state.error)
        return Unavailable(state.error)


async def _once_ready(text: TextDirectory, work: Coroutine[Any, Any, T]) -> T:
    try:
        await text.ready()
    except BaseException:
        work.close()
        raise
    return await work


def _see_lost(context: ExceptionContext) -> None:
    """asyncpg says of a connection that was lost in the middle of something that it is busy: it is of no use either."""
    if "another operation" in str(context.original_exception):
        context.is_disconnect = True


async def _stream(connection: AsyncConnection, statement: Executable) -> AsyncResult[Any]:
    return await connection.stream(statement)


async def _next(pages: AsyncIterator[Sequence[Any]]) -> Sequence[Any] | None:
    async for page in pages:
        return page
    return None


#: What MySQL answers when it can't take anybody, or us, on. Codes from 2000 on are the client's: a lost connection.
_MYSQL_OUTAGES: Final = frozenset((1040, 1041, 1042, 1043, 1044, 1045, 1049, 1053, 1077, 1079, 1129, 1130, 1203, 1927))


def _is_outage(error: BaseException) -> bool:
    """Whether an error is about reaching the database: drivers call a missing table operational, too, or a statement
    with too few values an error of the interface."""
    if not isinstance(error, DBAPIError):
        return True
    if error.connection_invalidated:
        return True
    if isinstance(error, InterfaceError):
        return "connect" in str(error.orig).lower()
    code = error.orig.args[0] if error.orig is not None and error.orig.args else None
    if isinstance(code, int):
        return code >= 2000 or code in _MYSQL_OUTAGES
    # What SQLite gives the code of an error of SQL is the statement's fault; it has codes for what befalls a file.
    return getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR


def _text(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, DBAPIError) and error.orig is not None:
        return f"{type(error.orig).__name__}: {error.orig}"
    return f"{type(error).__name__}: {error}"


def _time_statements(engine: Engine, slow: SlowStatements) -> None:
    """Have the log told of statements that take long (`latency_limit_db`)."""

    def before(*event_: Any) -> None:
        event_[4]._kahea_began = perf_counter()

    def after(*event_: Any) -> None:
        slow.look_at(event_[2], perf_counter() - event_[4]._kahea_began)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)


def _prepare_sqlite(connection: Any, path: str) -> None:
    """Readers beside a writer, patience with other processes, and a commit that outlives a power cut."""
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={SQLITE.busy_timeouts.get(path, 4000)}")  # first: the others may wait, too
    cursor.execute(f"PRAGMA journal_mode={SQLITE.journal_modes.get(path, 'WAL')}")
    cursor.execute("PRAGMA synchronous=FULL")
    if path in SQLITE.readonly:
        cursor.execute("PRAGMA query_only=ON")
    cursor.close()


__all__ = [
    "BadUrl",
    "Database",
    "DatabaseError",
    "Prepared",
    "Refused",
    "Rows",
    "State",
    "Step",
    "Unavailable",
    "database_url",
    "plain_url",
]
