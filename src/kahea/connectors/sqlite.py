"""Writing to SQLite: a whole transaction is handed to a thread at once.

The driver behind SQLAlchemy hands each step of a transaction over by itself (cursor, statement, close, commit,
roll-back), and going to a thread and back costs more than a small write. So the writes that a registrar makes all the
time go by a connection of their own.
"""

from __future__ import annotations

import asyncio
import sqlite3
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
