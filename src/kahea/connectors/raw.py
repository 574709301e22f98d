"""Statements that scripts write, each by itself or several in a transaction, on a pool of connections.

A transaction has a connection to itself from its begin to its end, so that scripts which wait between their statements
don't get into each other's. It ends after `patience` seconds if its script does not end it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from kahea.connectors.errors import BadUrl, DatabaseError, Refused, Unavailable
from kahea.connectors.options import MYSQL
from kahea.connectors.sql import Database, database_url
from kahea.connectors.statement import Statement
from kahea.connectors.values import CONVERTERS, Scalar, prepare_postgresql, sqlite_options

log = logging.getLogger("kahea.sql")

#: The flag of MySQL's protocol (CLIENT_FOUND_ROWS).
_FOUND_ROWS: Final = 2

_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    # A statement with its values written out is not the same one again: there is nothing to keep prepared.
    "postgresql": {"connect_args": {"prepared_statement_cache_size": 0, "statement_cache_size": 0}},
    "mysql": {},
    "sqlite": {"connect_args": sqlite_options()},
}


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement gave: rows of values by the names of their columns, and how many rows it touched (-1 if the
    database does not say)."""

    columns: tuple[str, ...] = ()
    rows: list[tuple[Scalar, ...]] = field(default_factory=list)
    affected: int = -1


class RawDatabase(Database):
    """A database for statements in text. Each is a transaction of its own unless it is in one that was begun."""

    def __init__(self, url: str, *, pool_size: int, timeout: float, waiting: int) -> None:
        """Raises BadUrl."""
        dialect = database_url(url).get_backend_name()
        if dialect not in _OPTIONS:
            raise BadUrl(f"{dialect} takes no statements of scripts")
        super().__init__(
            url,
            pool_size=pool_size,
            timeout=timeout,
            waiting=waiting,
            isolation_level="AUTOCOMMIT",
            **_OPTIONS[dialect],
        )
        self._convert = CONVERTERS[dialect]
        if dialect == "postgresql":
            event.listen(self.engine.sync_engine, "connect", prepare_postgresql)
        elif dialect == "mysql":
            event.listen(self.engine.sync_engine, "do_connect", _count_changed)

    async def query(self, text: str, parameters: Sequence[Scalar] | None = None) -> Result:
        """The result of one statement; `parameters` are the values for its placeholders, `?`. Raises DatabaseError."""
        statement = Statement(text, self.dialect)

        async def work() -> Result:
            async with self.engine.connect() as connection:
                return await self.execute(connection, statement, parameters)

        return await self._bounded(work())

    async def begin(self, patience: float) -> Transaction:
        """Begin a transaction, which is rolled back after so many seconds. Raises DatabaseError."""
        connection = await self._bounded(self._connect())
        made = Transaction(self, connection)
        try:
            await made.query("BEGIN")
        except BaseException:
            await made.leave()
            raise
        made.expire_after(patience)
        return made

    async def execute(
        self, connection: AsyncConnection, statement: Statement, parameters: Sequence[Scalar] | None
    ) -> Result:
        """A statement on a connection. Raises Refused, and what SQLAlchemy does."""
        try:
            if parameters is None:
                done = await connection.exec_driver_sql(
                    statement.text, execution_options={"no_parameters": self.dialect != "postgresql"}
                )
            else:
                done = await connection.exec_driver_sql(statement.with_parameters(parameters), tuple(parameters))
        except (ValueError, TypeError, OverflowError) as error:
            # A driver that can't put a value or the text into bytes: a broken UTF-8 sequence, a null character.
            raise Refused(f"{type(error).__name__}: {error}") from error
        if not done.returns_rows:
            return Result(affected=done.rowcount)
        kinds = [column[1] for column in done.cursor.description] if done.cursor is not None else []
        convert = self._convert
        rows = [
            tuple([None if value is None else convert(value, kind) for value, kind in zip(row, kinds, strict=True)])
            for row in done.fetchall()
        ]
        count = done.rowcount
        return Result(tuple(done.keys()), rows, len(rows) if count < 0 else count)


def _count_changed(_dialect: object, _record: object, _arguments: object, options: dict[str, Any]) -> None:
    """Have MySQL count the rows that an UPDATE changed, or found if it was told so: SQLAlchemy asks for those found."""
    flags = options.get("client_flag", 0)
    options["client_flag"] = flags | _FOUND_ROWS if MYSQL.found_rows else flags & ~_FOUND_ROWS


class Transaction:
    """A transaction that a script began. `over` says why it has ended, "" while it has not."""

    def __init__(self, database: RawDatabase, connection: AsyncConnection) -> None:
        self._database = database
        self._connection = connection
        self._timer: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None  # the loop itself keeps no task alive
        self._busy = asyncio.Lock()
        self._clean = False
        self.over = ""

    def expire_after(self, seconds: float) -> None:
        """Roll back when so many seconds have passed."""
        self._timer = asyncio.get_running_loop().call_later(seconds, self._expire, seconds)

    def _expire(self, seconds: float) -> None:
        log.error("a transaction was rolled back: its script did not end it in %g seconds", seconds)
        self.abandon("it took too long and was rolled back")

    def abandon(self, why: str) -> asyncio.Task[None]:
        """Roll back beside everything else."""
        self.over = self.over or why
        self._ending = asyncio.ensure_future(self._abandon())
        return self._ending

    async def _abandon(self) -> None:
        async with self._busy:
            try:
                await self._run("ROLLBACK")
                self._clean = True
            except DatabaseError as error:
                log.info("a transaction was not rolled back by us: %s", error)
            finally:
                await self.leave()

    async def query(self, text: str, parameters: Sequence[Scalar] | None = None) -> Result:
        """The result of one statement. Raises DatabaseError; after Unavailable the transaction is over."""
        async with self._busy:
            if self.over:
                raise Refused(f"the transaction is over: {self.over}")
            try:
                return await self._run(text, parameters)
            except Unavailable:
                self.over = "its connection was lost"
                raise

    async def end(self, statement: str) -> None:
        """`COMMIT` or `ROLLBACK`. Raises DatabaseError where that was not done."""
        try:
            await self.query(statement)
            self._clean = True
        finally:
            self.over = self.over or "it was ended"
            await self.leave()

    async def _run(self, text: str, parameters: Sequence[Scalar] | None = None) -> Result:
        database = self._database
        work = database.execute(self._connection, Statement(text, database.dialect), parameters)
        return await database._bounded(work)

    async def leave(self) -> None:
        """Give the connection back; one that may be in any state is closed."""
        self.over = self.over or "its connection was given back"
        if self._timer is not None:
            self._timer.cancel()
        connection = self._connection
        try:
            if not connection.closed:
                if not self._clean:
                    await connection.invalidate()
                await connection.close()
        except (DBAPIError, OSError) as error:
            log.info("a connection did not close cleanly: %s", error)


__all__ = ["RawDatabase", "Result", "Transaction"]
