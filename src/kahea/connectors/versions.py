"""Kamailio's table of table versions: how a server knows that a database has the layout it was written for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Integer, MetaData, String, Table, UniqueConstraint, insert, inspect, select

from kahea.connectors.errors import Refused
from kahea.connectors.redis_tables.schema import SCHEMAS

if TYPE_CHECKING:
    from kahea.connectors.sql import Database


class Versions:
    """The version table, under the name that the global parameter `version_table` gives it."""

    def __init__(self, name: str = "version") -> None:
        self.table = Table(
            name,
            MetaData(),
            Column("id", Integer, primary_key=True),
            Column("table_name", String(32), nullable=False),
            Column("table_version", Integer, nullable=False, server_default="0"),
            UniqueConstraint("table_name", name=f"{name}_table_name_idx"),
        )

    def create_missing(self, connection: Any, wanted: Iterable[tuple[Table, int]]) -> None:
        """Make those tables that are missing, each with its version; for `Database.call`."""
        have = set(inspect(connection).get_table_names())
        for table, version in ((self.table, 1), *wanted):
            if table.name not in have:
                table.create(connection)
                connection.execute(insert(self.table).values(table_name=table.name, table_version=version))

    async def check(self, database: Database, name: str, wanted: int) -> None:
        """Raises Refused where a table is missing or has another version, DatabaseError where nobody can tell."""
        found: int | None
        if database.dialect == "redis":
            found = SCHEMAS.layout(name).version
        else:
            v = self.table.c
            rows = await database.fetch(select(v.table_version).where(v.table_name == name))
            found = rows[0].table_version if rows else None
        if found != wanted:
            raise Refused(f"table {name} has version {found}, not {wanted}")
