"""Tables in a database: loading them, and writing them back, in Kamailio's layout."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from kahea.connectors.errors import BadUrl
from kahea.modules.htable.table import Scalar, Table
from kahea.routing.module import ConfigError
from kahea.routing.pv.values import leading_int

if TYPE_CHECKING:
    from sqlalchemy import Table as SqlTable

    from kahea.connectors.sql import Database

log = logging.getLogger("kahea.htable")

KEY_PLAIN, KEY_ARRAY = 0, 1
VALUE_TEXT, VALUE_NUMBER = 0, 1


class Storage:
    """The database of the tables. `columns` are the names of key name, key type, value type, value and end."""

    def __init__(
        self, url: str, columns: tuple[str, str, str, str, str], suffix: str, page: int, *, ends: bool
    ) -> None:
        """Raises ConfigError. With `ends`, when items end is loaded and written, too."""
        from kahea.connectors.sql import Database

        self._columns = columns
        self._suffix = suffix
        self._page = page
        self._ends = ends
        try:
            self._database: Database = Database(url)
        except BadUrl as error:
            raise ConfigError(f"parameter htable.db_url: {error}") from error

    async def close(self) -> None:
        """Release the connections."""
        await self._database.close()

    def _sql_table(self, table: Table) -> SqlTable:
        from sqlalchemy import Column, Integer, MetaData, String
        from sqlalchemy import Table as SqlTable

        name = table.definition.dbtable
        if table.definition.cols:
            return SqlTable(name, MetaData(), *(Column(each) for each in table.definition.cols))
        key, key_type, value_type, value, ends = self._columns
        columns: list[Column[Any]] = [
            Column(key, String),
            Column(key_type, Integer),
            Column(value_type, Integer),
            Column(value, String),
        ]
        if self._ends:
            columns.append(Column(ends, Integer))
        return SqlTable(name, MetaData(), *columns)

    async def load(self, table: Table, now: int) -> int:
        """Add the rows of a table's dbtable to it; how many. Raises DatabaseError."""
        from sqlalchemy import select

        rows = 0
        counts: dict[str, int] = {}
        async for page in self._database.pages(select(self._sql_table(table)), self._page):
            for row in page:
                rows += 1
                if table.definition.cols:
                    key, *values = ("" if each is None else str(each) for each in row)
                    table.set(key, ",".join(values))
                else:
                    self._take(table, row, counts, now)
        for key, count in counts.items():
            table.set(key + self._suffix, count)
        return rows

    def _take(self, table: Table, row: Any, counts: dict[str, int], now: int) -> None:
        key, key_type, value_type, text = ("" if row[0] is None else str(row[0])), row[1], row[2], row[3]
        ends = int(row[4] or 0) if self._ends and table.definition.autoexpire else 0
        if 0 < ends <= now:
            return
        value: Scalar = "" if text is None else str(text)
        if value_type == VALUE_NUMBER:
            value = leading_int(str(value))
        if key_type == KEY_ARRAY:
            index = counts.get(key, 0)
            counts[key] = index + 1
            key = f"{key}[{index}]"
        if table.set(key, value) and ends:
            table.items[key].ends = ends

    async def store(self, table: Table) -> None:
        """Write a table's items in place of all rows of its dbtable. Raises DatabaseError."""
        from sqlalchemy import delete, insert

        if table.definition.cols:
            log.warning("htable %s has columns of its own, and can't be written to the database", table.name)
            return
        key, key_type, value_type, value, ends = self._columns
        rows = []
        for name in table.ordered():
            item = table.items[name]
            if table.has_ended(item):
                continue
            row: dict[str, Scalar] = {
                key: name,
                key_type: KEY_PLAIN,
                value_type: VALUE_NUMBER if isinstance(item.value, int) else VALUE_TEXT,
                value: str(item.value),
            }
            if self._ends:
                row[ends] = item.ends
            rows.append(row)
        sql = self._sql_table(table)
        steps: list[Any] = [(delete(sql), [{}])]
        if rows:
            steps.append((insert(sql), rows))
        await self._database.run(steps)
