"""Where addresses come from: a file with one record a line, or the table `address` of a database."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kahea.modules.permissions.addresses import Record
from kahea.routing.pv.values import leading_int

if TYPE_CHECKING:
    from kahea.connectors.sql import Database

#: The versions of the tables.
ADDRESS_VERSION: Final = 6
TRUSTED_VERSION: Final = 6
#: Rows that are fetched at a time.
PAGE: Final = 1000

_LINE: Final = re.compile(r"\s*(\d{1,18})\s+([^\s#]+)\s*(\d{0,18})\s*(\d{0,18})\s*([^\s#]*)", re.ASCII)


class BadRecord(ValueError):
    """A record that can't be used; the message says where it is."""


def read_file(path: Path) -> list[Record]:
    """The records of a file: `group address [mask [port]] [tag]`, with comments from a `#` on.

    Raises BadRecord, OSError.
    """
    return list(_records(path, path.read_text("utf-8", "surrogateescape").split("\n")))


def _records(path: Path, lines: Iterable[str]) -> Iterator[Record]:
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.match(line)
        if found is None:
            raise BadRecord(f"{path}:{number}: expected a group and an address, not {line.strip()[:80]!r}")
        group, host, mask, port, tag = found.groups()
        yield Record(int(group), host, int(mask or 0), int(port or 0), tag or None)


async def pages(database: Database, table: str, columns: Sequence[str]) -> AsyncIterator[Sequence[Any]]:
    """The rows of a table, some at a time. Raises DatabaseError."""
    async for page in database.pages(query_of(table, columns), PAGE):
        yield page


def query_of(table: str, columns: Sequence[str]) -> Any:
    """All rows of a table, which is named with its schema or without."""
    from sqlalchemy import column, select
    from sqlalchemy import table as named

    schema, _, name = table.rpartition(".")
    return select(*map(column, columns)).select_from(named(name, schema=schema or None))


def address_of(row: Sequence[Any]) -> Record:
    """A row of the table: group, address, mask, port, tag. Raises BadRecord."""
    group, host, mask, port, tag = row
    if group is None or host is None or mask is None or port is None:
        raise BadRecord(f"the address {host!r} of group {group!r} lacks a group, an address, a mask or a port")
    record = Record(number(group), str(host), number(mask), number(port), None if tag is None else str(tag))
    if record.group <= 0:
        raise BadRecord(f"the address {host!r} has the group {record.group}: groups begin with 1")
    return record


def number(value: Any) -> int:
    """A column's value where a number is wanted; SQLite keeps texts in such columns, too."""
    return value if isinstance(value, int) else leading_int(str(value))
