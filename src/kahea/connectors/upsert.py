"""INSERT that is an UPDATE where the row is there: each database says it in its own way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert
from sqlalchemy.dialects import mysql, postgresql, sqlite

from kahea.connectors.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Table


def upsert(table: Table, dialect: str, key: Sequence[str], columns: Sequence[str]) -> Any:
    """An INSERT that updates `columns` of the row with the same `key`, which an index makes unique, instead.

    Raises Refused for other dialects.
    """
    if dialect == "mysql":
        statement = mysql.insert(table)
        return statement.on_duplicate_key_update({table.c[k].name: statement.inserted[k] for k in columns})
    if dialect == "postgresql":
        for_postgresql = postgresql.insert(table)
        return for_postgresql.on_conflict_do_update(
            index_elements=[table.c[k] for k in key], set_={table.c[k]: for_postgresql.excluded[k] for k in columns}
        )
    if dialect == "sqlite":
        for_sqlite = sqlite.insert(table)
        return for_sqlite.on_conflict_do_update(
            index_elements=[table.c[k] for k in key], set_={table.c[k]: for_sqlite.excluded[k] for k in columns}
        )
    if dialect == "redis":
        return insert(table)  # which writes over the row of the same name, as `keys` of db_redis makes it
    raise Refused(f"{dialect} has no insert that updates")
