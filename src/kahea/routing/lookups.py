"""Rows that a module's functions look for in the database of its `db_url`, by the values of columns.

The tables are the operator's, and their names may come from a script: none but names are let into a statement.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from kahea.connectors.errors import BadUrl, DatabaseError, Refused, Unavailable
from kahea.routing.module import ConfigError, Module
from kahea.routing.run import can_wait, wait

if TYPE_CHECKING:
    from kahea.connectors.sql import Database, Prepared
    from kahea.routing.node import Node

#: Where modules look that are not told, as in Kamailio.
DEFAULT_URL: Final = "mysql://kamailioro:kamailioro@localhost/kamailio"

#: Queries that are prepared once.
CACHE_SIZE: Final = 256

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_TABLE: Final = re.compile(rf"(?:({_NAME.pattern})\.)?({_NAME.pattern})")


def column_name(value: str) -> str:
    """A column's name as it is, for `Param(check=...)`; raises ValueError for what is none."""
    if _NAME.fullmatch(value) is None:
        raise ValueError("must be the name of a column")
    return value


def table_name(value: str) -> str:
    """As `column_name`, for a table's name, with its schema or without."""
    if _TABLE.fullmatch(value) is None:
        raise ValueError("must be the name of a table")
    return value


def without_prefix(domain: str, prefix: str) -> str:
    """What a `domain_prefix` leaves of a domain: something, or else the prefix stays."""
    return domain.removeprefix(prefix) or domain


class Lookups:
    """The tables of one module, which has a parameter `db_url`. Connections are made when they are needed."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._database: Database | None = None
        self._checked: set[str] = set()
        self._query = lru_cache(CACHE_SIZE)(self._prepare)

    def prepare(self) -> None:
        """Read the parameter. Raises ConfigError for a URL that was given and is none."""
        if "db_url" in vars(self._module):
            try:
                self.database()
            except BadUrl as error:
                raise ConfigError(f"parameter {self._module.name}.db_url: {error}") from error

    def database(self) -> Database:
        """The database. Raises BadUrl."""
        if self._database is None:
            from kahea.connectors.sql import Database

            self._database = Database(self._module.db_url)  # type: ignore[attr-defined]
        return self._database

    def rows(
        self, table: str, columns: Sequence[str], where: Mapping[str, str], *, limit: int, version: int = 0
    ) -> Sequence[Any]:
        """As `find`, from a script, which waits. Raises DatabaseError, where the route can't wait as well."""
        if not can_wait():
            raise Unavailable("this route can't wait for a database")
        return wait(self.find(table, columns, where, limit=limit, version=version))

    async def find(
        self,
        table: str,
        columns: Sequence[str],
        where: Mapping[str, str] | None = None,
        *,
        limit: int | None = None,
        version: int = 0,
    ) -> Sequence[Any]:
        """Columns of the first `limit` rows that have these values; a `version` is that which the table must have.

        The table is named with its schema or without. Raises DatabaseError.
        """
        database = self.database()
        if version and table not in self._checked:
            from kahea.connectors.versions import Versions

            await Versions(self._module.node.settings.version_table).check(database, table, version)
            self._checked.add(table)
        values = where or {}
        query = self._query(table, tuple(columns), tuple(values), limit)
        return await database.ask(query, values)

    def _prepare(self, table: str, columns: tuple[str, ...], where: tuple[str, ...], limit: int | None) -> Prepared:
        from sqlalchemy import bindparam, column, select
        from sqlalchemy import table as named

        match = _TABLE.fullmatch(table)
        if match is None:
            raise Refused(f"{table!r} is no name of a table")
        query: Any = select(*map(column, columns)).select_from(named(match[2], schema=match[1]))
        for name in where:
            query = query.where(column(name) == bindparam(f"the_{name}"))
        if limit is not None:
            query = query.limit(limit)
        return self.database().prepare(query, prefix=len("the_"))

    async def close(self) -> None:
        """Let go of the connections."""
        if self._database is not None:
            await self._database.close()


class LookupModule(Module):
    """A module whose functions look rows up, and that needs nothing more of its database."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._lookups = Lookups(self)

    def start(self) -> None:
        """Prepare for the database. Raises ConfigError."""
        self._lookups.prepare()

    async def stop(self) -> None:
        """Let go of the connections."""
        await self._lookups.close()


__all__ = ["DEFAULT_URL", "DatabaseError", "Lookups", "column_name", "table_name", "without_prefix"]
