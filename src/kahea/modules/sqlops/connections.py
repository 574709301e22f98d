"""The connections by name, what a run keeps of its queries, and the queries themselves."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kahea.connectors.errors import BadUrl, DatabaseError
from kahea.routing.checks import between
from kahea.routing.module import ConfigError, Module, Param, Value, rpc
from kahea.routing.pv.chain import Transformation, narrow, widen
from kahea.routing.run import can_wait, wait
from kahea.routing.text import text

if TYPE_CHECKING:
    from kahea.connectors.raw import RawDatabase, Result, Transaction
    from kahea.connectors.values import Scalar
    from kahea.routing.node import Node
    from kahea.routing.run import Run

log = logging.getLogger("kahea.sqlops")

T = TypeVar("T")

_STATE: Final = "sqlops"
_BEGIN: Final = re.compile(r"\s*(?:begin|start\s+transaction)\b", re.IGNORECASE)
_END: Final = re.compile(r"\s*(?:(commit|end)|rollback)(?:\s+(?:work|transaction))?\s*;?\s*\Z", re.IGNORECASE)


@dataclass(slots=True)
class Asked:
    """What a run has asked for: results by their names, rows touched and transactions by connection."""

    results: dict[str, Result] = field(default_factory=dict)
    affected: dict[str, int] = field(default_factory=dict)
    transactions: dict[str, Transaction] = field(default_factory=dict)


def asked_by(run: Run) -> Asked:
    """What a run has asked for."""
    found = run.state.get(_STATE)
    if found is None:
        found = run.state[_STATE] = Asked()
    assert isinstance(found, Asked)
    return found


def script_value(value: Scalar) -> Value:
    """A value as `$dbr` has it: bytes are text, and a BIGINT is one."""
    if isinstance(value, bytes):
        return text(value)
    return str(value) if isinstance(value, int) and type(value) is not int else value


def _connection(given: str) -> tuple[str, str]:
    name, arrow, url = given.partition("=>")
    if not arrow or not name.strip() or not url.strip():
        raise ValueError(f"expected name=>url, not {given!r}")
    return name.strip(), url.strip()


class Connections(Module):
    """Databases by name, each with a bounded pool, and queries that suspend the run that asks."""

    sqlcon: Param[list[tuple[str, str]]] = Param([], "A connection: `name=>url`.", many=True, check=_connection)
    sqlres: Param[list[str]] = Param([], "The name of a result.", many=True)
    tr_buf_size = Param(
        2048, "The longest text, in bytes, that `{sql.val}` and its kin give.", check=between(1, 1 << 24)
    )
    log_buf_size = Param(128, "How much of a query that failed is logged, in characters.", check=between(1, 1 << 20))
    connect_mode = Param(0, "1 starts the node even where a database can't be reached.", check=between(0, 1))
    results_maxsize = Param(32, "The most names of results.", check=between(1, 1 << 16))
    pool_size = Param(8, "The most connections to each database.", check=between(1, 1000))
    query_timeout = Param(
        5000, "Milliseconds that a query may take, its wait for a connection included.", check=between(1, 600_000)
    )
    max_waiting = Param(
        1000, "The most queries under way at each database; further ones fail at once.", check=between(1, 100_000)
    )
    transaction_timeout = Param(
        30, "Seconds after which a transaction that its script did not end is rolled back.", check=between(1, 3600)
    )

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._databases: dict[str, RawDatabase] = {}
        self._results: set[str] = set()
        self._background: set[asyncio.Future[Any]] = set()
        register = node.variables.register_transformation
        register(
            Transformation(
                "sql.val", self._literal, raw=True, null=True, doc="The value as SQL writes it, NULL for none."
            )
        )
        register(
            Transformation(
                "sql.val.int",
                lambda value: self._literal(0 if value is None else value),
                raw=True,
                null=True,
                doc="As `sql.val`, 0 for none.",
            )
        )
        register(
            Transformation(
                "sql.val.str",
                lambda value: self._literal("" if value is None else value),
                raw=True,
                null=True,
                doc="As `sql.val`, an empty text for none.",
            )
        )

    # ---- life

    def start(self) -> None:
        """Make the pools, without connecting."""
        self._results.update(self.sqlres)
        for name, url in self.sqlcon:
            if name in self._databases:
                raise ConfigError(f"parameter sqlops.sqlcon: the connection {name!r} is defined twice")
            from kahea.connectors.raw import RawDatabase

            try:
                self._databases[name] = RawDatabase(
                    url, pool_size=self.pool_size, timeout=self.query_timeout / 1000, waiting=self.max_waiting
                )
            except BadUrl as error:
                raise ConfigError(f"parameter sqlops.sqlcon: {name}: {error}") from error

    async def open(self) -> None:
        """See whether the databases are there. Raises ConfigError."""
        for name, database in self._databases.items():
            try:
                await database.query("select 1")
            except DatabaseError as error:
                if not self.connect_mode:
                    await self.stop()
                    raise ConfigError(f"sqlops: connection {name}: {error}") from error
                log.warning("connection %s: %s; it is tried again when it is needed", name, error)

    async def stop(self) -> None:
        """Let what is under way come to its end, and release the connections."""
        if self._background:
            await asyncio.wait(self._background, timeout=self.query_timeout / 1000)
        for database in self._databases.values():
            await database.close()

    def _spawn(self, work: Coroutine[Any, Any, Any] | asyncio.Future[Any]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    # ---- names

    def has_connection(self, name: str) -> bool:
        """Whether there is a connection of the name."""
        return any(name == known for known, _ in self.sqlcon)

    def add_result(self, name: str) -> bool:
        """Know the name of a result; False if there are too many."""
        if name not in self._results:
            if len(self._results) >= self.results_maxsize:
                return False
            self._results.add(name)
        return True

    # ---- queries

    def _failed(self, query: str, why: object) -> None:
        shown = " ".join(query.split())
        if len(shown) > self.log_buf_size:
            shown = shown[: self.log_buf_size] + "..."
        self.node.log.error("sqlops: %s: %s", shown, why)

    def _wait(self, what: str, work: Coroutine[Any, Any, T]) -> T | None:
        """What `work` gives; None, and a line in the log, if it fails or nothing may wait here."""
        if not can_wait():
            work.close()
            self._failed(what, "a query waits, which this route can't")
            return None
        try:
            return wait(work)
        except DatabaseError as error:
            self._failed(what, error)
            return None

    def _database(self, connection: str) -> RawDatabase | None:
        found = self._databases.get(connection)
        if found is None:
            self.node.log.error("sqlops: there is no connection %r", connection)
        return found

    def ask(self, run: Run, connection: str, query: str, parameters: Sequence[Scalar] | None = None) -> Result | None:
        """The result of a statement, in the run's transaction if it has begun one. None if it failed, which is logged.

        A statement that begins or ends a transaction does so for the run.
        """
        from kahea.connectors.raw import Result

        database = self._database(connection)
        if database is None:
            return None
        if _BEGIN.match(query):
            return Result(affected=0) if self.begin(run, connection) else None
        ends = _END.match(query)
        asked = asked_by(run)
        transaction = asked.transactions.get(connection)
        if ends is not None and transaction is not None:
            return Result(affected=0) if self.end(run, connection, commit=ends[1] is not None) else None
        work = (database if transaction is None else transaction).query(query, parameters)
        result = self._wait(query, work)
        asked.affected[connection] = -1 if result is None else result.affected
        return result

    def ask_later(self, connection: str, query: str) -> bool:
        """Have a statement done beside everything else; False without the connection. What fails is logged."""
        database = self._database(connection)
        if database is None:
            return False
        if len(self._background) >= self.max_waiting:
            self._failed(query, f"{self.max_waiting} queries are waiting already")
            return False
        self._spawn(self._ask_later(database, query))
        return True

    async def _ask_later(self, database: RawDatabase, query: str) -> None:
        try:
            await database.query(query)
        except DatabaseError as error:
            self._failed(query, error)

    # ---- transactions

    def begin(self, run: Run, connection: str) -> bool:
        """Begin a transaction for a run, which ends with the run at the latest; False if it has one, or that failed."""
        database = self._database(connection)
        if database is None:
            return False
        transactions = asked_by(run).transactions
        if connection in transactions:
            self._failed("BEGIN", f"this run has a transaction at {connection} already")
            return False
        begun = self._wait("BEGIN", database.begin(self.transaction_timeout))
        if begun is None:
            return False
        transactions[connection] = begun
        run.on_end = (*run.on_end, lambda _run: self._left_open(transactions, connection, begun))
        return True

    def _left_open(self, transactions: dict[str, Transaction], connection: str, begun: Transaction) -> None:
        if transactions.get(connection) is not begun:
            return
        del transactions[connection]
        if not begun.over:
            self.node.log.error("sqlops: a transaction at %s was rolled back: its route ended without it", connection)
            self._spawn(begun.abandon("its route ended"))

    def end(self, run: Run, connection: str, *, commit: bool) -> bool:
        """Commit or roll back; False if there is no transaction, or that failed: then nothing of it was done, unless
        the database was lost while it committed."""
        begun = asked_by(run).transactions.pop(connection, None)
        what = "COMMIT" if commit else "ROLLBACK"
        if begun is None:
            self._failed(what, f"this run has no transaction at {connection}")
            return False
        return self._wait(what, _ended(begun, what)) is not None

    # ---- literals

    def _literal(self, value: Value) -> Value:
        """The value as it stands in SQL. A text that can't be a literal in all databases of this node gives null, so
        that the query fails."""
        if not isinstance(value, str):
            return "NULL" if value is None else str(value)
        from kahea.connectors.statement import quote

        quoted = quote(widen(value), [database.dialect for database in self._databases.values()])
        if quoted is None:
            self.node.log.error("sqlops: %r is no literal that all databases read alike: use parameters", value[:80])
            return None
        quoted = narrow(quoted)
        if len(quoted) > self.tr_buf_size:
            self.node.log.error("sqlops: a literal of %d bytes is longer than tr_buf_size", len(quoted))
            return None
        return quoted

    # ---- management

    @rpc("sqlops.connections")
    def rpc_connections(self) -> list[dict[str, Any]]:
        """The connections: their pools, how many queries wait, and what failed last."""
        return [{"name": name, **database.describe()} for name, database in self._databases.items()]


async def _ended(begun: Transaction, what: str) -> bool:
    await begun.end(what)
    return True
