"""A driver of SQLAlchemy's (PEP 249) for tables in Redis.

Statements read at once; what they write waits for the commit, and is then sent as one transaction of Redis'.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from sqlalchemy.util import await_only

from kahea.connectors.errors import Refused
from kahea.connectors.redis import Command, Connection, Place, ProtocolError, connect_to
from kahea.connectors.redis_tables import entries
from kahea.connectors.redis_tables.schema import SCHEMAS
from kahea.connectors.redis_tables.statements import Insert, Select, parse
from kahea.connectors.redis_tables.values import Given

#: Seconds until a connection attempt is given up.
CONNECT_TIMEOUT: Final = 2.0

_LOST: Final = (OSError, EOFError, ProtocolError, asyncio.LimitOverrunError)


class Error(Exception):
    """Any of the errors here; SQLAlchemy knows them by their names."""


class OperationalError(Error):
    """Redis can't be reached, or the connection was lost."""


class ProgrammingError(Error):
    """What a statement asks for can't be done, or Redis refused it."""


class Cursor:
    """One statement and its rows, which are read when they are fetched if it is `server_side`."""

    arraysize = 1
    lastrowid = None

    def __init__(self, link: Link, *, server_side: bool = False) -> None:
        self._link = link
        self._server_side = server_side
        self._rows: AsyncIterator[tuple[Any, ...]] | None = None
        self._read: list[tuple[Any, ...]] = []
        self.description: list[tuple[Any, ...]] | None = None
        self.rowcount = -1

    def execute(self, text: str, parameters: Sequence[Given] = ()) -> None:
        """Do a statement."""
        self.executemany(text, [parameters])

    def executemany(self, text: str, sets: Sequence[Sequence[Given]]) -> None:
        """Do a statement once for each set of parameters."""
        await_only(self._link.guard(self._execute(text, sets)))

    async def _execute(self, text: str, sets: Sequence[Sequence[Given]]) -> None:
        try:
            statement = parse(text)
        except ValueError as error:
            raise ProgrammingError(str(error)) from error
        layout, link = SCHEMAS.layout(statement.table), self._link
        if isinstance(statement, Select):
            self.description = [(name, None, None, None, None, None, None) for name, _ in statement.columns]
            self._rows = entries.select(link.connection, layout, statement, sets[0])
            if not self._server_side:
                self._read = [row async for row in self._rows]
                self.rowcount = len(self._read)
        elif isinstance(statement, Insert):
            for given in sets:
                link.pending += entries.insert(layout, statement, given)
            self.rowcount = len(sets)
        else:
            self.rowcount, commands = await entries.change(link.connection, layout, statement, sets)
            link.pending += commands

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        """The next rows, at most so many."""
        wanted = self.arraysize if size is None else size
        if self._server_side:
            return await_only(self._link.guard(self._fetch(wanted)))
        found, self._read = self._read[:wanted], self._read[wanted:]
        return found

    async def _fetch(self, size: int) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        if self._rows is not None:
            while len(found) < size and (row := await anext(self._rows, None)) is not None:
                found.append(row)
        return found

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row; None after the last."""
        return next(iter(self.fetchmany(1)), None)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows that are left."""
        found = []
        while rows := self.fetchmany(entries.PAGE):
            found += rows
        return found

    def close(self) -> None:
        """Forget the rows."""
        self._rows, self._read = None, []

    async def _async_soft_close(self) -> None:
        """SQLAlchemy's: let go of what the rows that were read don't need."""


class Link:
    """A connection as SQLAlchemy sees it. `pending` are the commands that a commit sends."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.pending: list[Command] = []

    async def guard(self, work: Any) -> Any:
        """Await `work`, and turn what goes wrong into this driver's errors."""
        try:
            return await work
        except _LOST as error:
            raise OperationalError(str(error) or type(error).__name__) from error
        except Refused as error:
            raise ProgrammingError(str(error)) from error

    def cursor(self, *, server_side: bool = False) -> Cursor:
        """For one statement."""
        return Cursor(self, server_side=server_side)

    def ping(self) -> None:
        """See whether Redis is there."""
        await_only(self.guard(entries.ask(self.connection, [[b"PING"]])))

    def commit(self) -> None:
        """Write what waits, all or nothing."""
        commands, self.pending = self.pending, []
        if commands:
            await_only(self.guard(entries.write(self.connection, commands)))

    def rollback(self) -> None:
        """Forget what waits."""
        self.pending = []

    def close(self) -> None:
        """Close the connection, whatever state it is in."""
        self.connection.close()

    terminate = close


async def _connect(place: Place) -> Link:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            return Link(await connect_to(place))
    except _LOST as error:
        text = "timed out" if isinstance(error, TimeoutError) else str(error)
        raise OperationalError(text or type(error).__name__) from error


class Driver:
    """What SQLAlchemy takes for the driver's module."""

    paramstyle = "qmark"
    Error = Error
    OperationalError = OperationalError
    ProgrammingError = ProgrammingError

    @staticmethod
    def connect(place: Place) -> Link:
        """A new connection."""
        return await_only(_connect(place))
