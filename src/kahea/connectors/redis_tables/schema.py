"""What tables in Redis look like: the files that give columns their types, and the keys by which rows are found."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kahea.connectors.errors import Refused

log = logging.getLogger("kahea.redis")

ENTRY: Final = "entry"
#: The types of columns, under all names that files give them.
TYPES: Final = {
    "string": "string", "blob": "string", "int": "int", "double": "double", "time": "time", "timestamp": "time",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Keys:
    """The columns that name a row, and those of each map, by its name."""

    entry: tuple[str, ...] = ()
    maps: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """One table: the types of its columns, its version, its keys."""

    name: str
    types: dict[str, str]
    version: int
    keys: Keys

    def type_of(self, column: str) -> str:
        """A column's type; one that the file does not have is a text."""
        return self.types.get(column, "string")


def parse_keys(given: str) -> dict[str, Keys]:
    """Read `table=entry:column,column&map:column;table=...`. Raises ValueError."""
    found: dict[str, Keys] = {}
    for definition in filter(None, (part.strip() for part in given.split(";"))):
        table, equals, rest = definition.partition("=")
        columns: dict[str, tuple[str, ...]] = {}
        for one in rest.split("&"):
            name, colon, listed = (part.strip() for part in one.partition(":"))
            columns[name] = tuple(filter(None, (column.strip() for column in listed.split(","))))
            if not (table.strip() and equals and name and colon and columns[name]):
                raise ValueError(f"expected table=entry:column,...&map:column,..., not {definition!r}")
        if ENTRY not in columns:
            raise ValueError(f"{definition!r} has no entry, by which rows are named")
        found[table.strip()] = Keys(columns.pop(ENTRY), columns)
    return found


def parse_schema(text: str) -> tuple[dict[str, str], int]:
    """Read a table's file: `column/type,...` in one line, the version in the next. Raises ValueError."""
    lines = text.split()
    if len(lines) != 2 or not lines[1].isdigit():
        raise ValueError("expected a line of columns and a line with the version")
    types = {}
    for column in filter(None, lines[0].split(",")):
        name, _, kind = column.partition("/")
        if not name or kind not in TYPES:
            raise ValueError(f"{column!r} is not column/type, with one of {', '.join(TYPES)}")
        types[name] = TYPES[kind]
    return types, int(lines[1])


class Schemas:
    """The tables of the process. Files are read when their tables are needed."""

    def __init__(self) -> None:
        self._path = Path()
        self._keys: dict[str, Keys] = {}
        self._layouts: dict[str, Layout] = {}
        self._configured = False
        self._told = False

    def configure(self, path: str, keys: dict[str, Keys], *, told: bool) -> None:
        """Say where the files are and how rows are found; whether the log is told of each table."""
        self._path, self._keys, self._told = Path(path), keys, told
        self._layouts = {}
        self._configured = True

    def layout(self, table: str) -> Layout:
        """A table's layout. Raises Refused."""
        found = self._layouts.get(table)
        if found is None:
            found = self._layouts[table] = self._read(table)
            if self._told:
                log.debug("table %s: %s", table, found)
        return found

    def _read(self, table: str) -> Layout:
        if not self._configured:
            raise Refused("tables in Redis need the module db_redis, with its parameters schema_path and keys")
        path = self._path / table
        try:
            if path.parent != self._path:
                raise FileNotFoundError
            types, version = parse_schema(path.read_text())
        except FileNotFoundError:
            raise Refused(f"there is no table {table!r} in db_redis' schema_path, {self._path}") from None
        except (OSError, ValueError) as error:
            raise Refused(f"the schema of table {table}: {path}: {error}") from error
        return Layout(table, types, version, self._keys.get(table, Keys()))


#: Those that the module db_redis speaks of.
SCHEMAS: Final = Schemas()

__all__ = ["SCHEMAS", "Keys", "Layout", "Schemas", "parse_keys", "parse_schema"]
