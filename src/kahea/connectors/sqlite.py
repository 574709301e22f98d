"""Writing to SQLite and asking it: a whole transaction, or a query with its rows, is handed to a thread at once.

The driver behind SQLAlchemy hands each step over by itself (cursor, statement, rows, close, commit, roll-back), and
going to a thread and back costs more than a small write or query. So the writes that a registrar makes all the time,
and what is asked for each call, go by connections of their own.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

from kahea.connectors.options import SlowStatements

#: A statement with the parameters of each of its rows.
Write = tuple[str, Sequence[tuple[Any, ...]]]


class SqliteWriter:
    """Transactions of one file, one after the other. `prepare` is given each new connection."""

    def __init__(self, path: str, prepare: Callable[[sqlite3.Connection], None], slow: SlowStatements) -> None:
        self._path = path
        self._prepare = prepare
        self._slow = slow
        self._thread = ThreadPoolExecutor(1, "sqlite")
        self._connection: sqlite3.Connection | None = None

    async def run(self, writes: Sequence[Write]) -> list[int]:
        """The writes in one transaction, all or none; rows touched by each. Raises sqlite3.Error."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, writes)

    async def close(self) -> None:
        """End the connection and its thread, after what is under way."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._drop)
        self._thread.shutdown(wait=False)

    def _run(self, writes: Sequence[Write]) -> list[int]:
        try:
            connection = self._connection
            if connection is None:
                connection = self._connection = sqlite3.connect(self._path)
                self._prepare(connection)
            counts = [self._execute(connection, sql, rows) for sql, rows in writes]
            connection.commit()
        except BaseException:
            # What is not committed is rolled back with it; the next write begins with a fresh one.
            self._drop()
            raise
        return counts

    def _execute(self, connection: sqlite3.Connection, sql: str, rows: Sequence[tuple[Any, ...]]) -> int:
        began = perf_counter()
        touched = connection.executemany(sql, rows).rowcount
        self._slow.look_at(sql, perf_counter() - began)
        return touched

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class SqliteReader:
    """Queries of one file, a few at a time. `prepare` is given each new connection."""

    def __init__(
        self, path: str, prepare: Callable[[sqlite3.Connection], None], slow: SlowStatements, most: int
    ) -> None:
        self._path = path
        self._prepare = prepare
        self._slow = slow
        self._threads = ThreadPoolExecutor(most, "sqlite")
        self._own = threading.local()
        self._connections: set[sqlite3.Connection] = set()

    async def run(self, sql: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """The rows of a query. Raises sqlite3.Error."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, sql, parameters)

    async def close(self) -> None:
        """End the connections and their threads, after what is under way."""
        await asyncio.get_running_loop().run_in_executor(None, self._threads.shutdown)
        for connection in self._connections:
            connection.close()

    def _run(self, sql: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        began = perf_counter()
        try:
            rows = self._connection().execute(sql, parameters).fetchall()
        except BaseException:
            self._drop()  # the next query begins with a fresh one
            raise
        self._slow.look_at(sql, perf_counter() - began)
        return rows

    def _connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        found: sqlite3.Connection | None = getattr(self._own, "connection", None)
        if found is None:
            found = self._own.connection = sqlite3.connect(self._path, check_same_thread=False)
            self._connections.add(found)
            self._prepare(found)
        return found

    def _drop(self) -> None:
        connection = getattr(self._own, "connection", None)
        if connection is not None:
            self._own.connection = None
            self._connections.discard(connection)
            connection.close()
