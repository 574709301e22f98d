"""The tables that accounting is written to, in Kamailio's layout. Imported only where there is a database."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Column, Double, Index, Integer, MetaData, String, Table, column, insert
from sqlalchemy import table as named

from kahea.connectors.columns import Moment
from kahea.connectors.errors import DatabaseError
from kahea.connectors.group import GroupWriter
from kahea.connectors.sql import Database, Step
from kahea.connectors.versions import Versions

if TYPE_CHECKING:
    import asyncio

    from sqlalchemy import Insert
    from sqlalchemy.types import TypeEngine

    from kahea.modules.acc.parameters import Parameters

log = logging.getLogger("kahea.acc")

ACC_VERSION: Final = 5
MISSED_VERSION: Final = 4

#: A table's name, and the values of its columns.
Row = tuple[str, dict[str, Any]]


class Tables:
    """Writes rows, those that wait together in one commit."""

    def __init__(self, parameters: Parameters, extra: Sequence[str], version_table: str) -> None:
        self.database = Database(parameters.db_url)
        self._p = parameters
        self._extra = list(extra)
        self._versions = Versions(version_table)
        self._group: GroupWriter[Row] = GroupWriter(self._commit)

    async def open(self) -> None:
        """Make the tables where they are missing (SQLite), and check their version. Raises DatabaseError."""
        p = self._p
        wanted = [
            (name, version)
            for name, version in ((p.db_table_acc, ACC_VERSION), (p.db_table_missed_calls, MISSED_VERSION))
            if "$" not in name
        ]
        if self.database.dialect == "sqlite":
            made = [(self._layout(name), version) for name, version in wanted]
            await self.database.call(lambda connection: self._versions.create_missing(connection, made))
        if p.db_version_check:
            for name, version in wanted:
                await self._versions.check(self.database, name, version)

    def _layout(self, name: str) -> Table:
        p = self._p

        def text(called: str, length: int) -> Column[str]:
            return Column(called, String(length), nullable=False, server_default="")

        return Table(
            name,
            MetaData(),
            Column("id", Integer, primary_key=True),
            text(p.acc_method_column, 16),
            text(p.acc_from_tag_column, 128),
            text(p.acc_to_tag_column, 128),
            text(p.acc_callid_column, 255),
            text(p.acc_sip_code_column, 3),
            text(p.acc_sip_reason_column, 128),
            Column(p.acc_time_column, Moment, nullable=False),
            *(Column(called, kind) for called, kind in self._time_columns().items()),
            *(Column(called, String(255)) for called in dict.fromkeys(self._extra)),
            Index(f"{name}_callid_idx", p.acc_callid_column),
        )

    def _time_columns(self) -> dict[str, TypeEngine[Any]]:
        p = self._p
        if p.time_mode == 1:
            return {p.time_attr: Integer(), p.time_exten: Integer()}
        if p.time_mode == 2:
            return {p.time_attr: Double()}
        return {p.time_attr: String(128)} if p.time_mode else {}

    def put(self, table: str, row: dict[str, Any]) -> asyncio.Future[None]:
        """Hand in a row; the future is done when it is committed, or has its DatabaseError."""
        future = self._group.put((table, row))
        future.add_done_callback(lambda done: self._settled(table, done))
        return future

    @staticmethod
    def _settled(table: str, done: asyncio.Future[None]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            log.error("nothing was written to %s: %s", table, error)

    async def _commit(self, rows: Sequence[Row]) -> None:
        alike = groupby(rows, lambda row: (row[0], tuple(row[1])))
        steps: list[Step] = [(self._insert(*key), [row for _, row in group]) for key, group in alike]
        await self.database.run(steps)

    def _insert(self, table: str, names: Sequence[str]) -> Insert:
        moment = self._p.acc_time_column
        return insert(named(table, *(column(name, Moment() if name == moment else None) for name in names)))

    async def close(self) -> None:
        """Write what waits, and let go of the connections."""
        await self._group.flush()
        await self.database.close()


__all__ = ["DatabaseError", "Tables"]
