"""Rows as Redis keeps them: how they are found, read and written.

Reading asks at once; writing gives commands, which whoever has the transaction sends in the end. So a transaction does
not see what it has written itself.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Final

from kahea.connectors.errors import Refused
from kahea.connectors.redis import Command, Connection, ErrorReply, Reply
from kahea.connectors.redis_tables.schema import Layout
from kahea.connectors.redis_tables.statements import (
    Both,
    Column,
    Comparison,
    Condition,
    Delete,
    Either,
    Insert,
    IsNull,
    OneOf,
    Operand,
    Parameter,
    Parameters,
    Select,
    Update,
)
from kahea.connectors.redis_tables.values import Given, Scalar, compared, loaded, stored, text, wire

#: Rows that are asked for at a time, and names that one SCAN looks at.
PAGE: Final = 500
#: More names than that are not looked up one by one: the table is scanned.
MOST_NAMES: Final = 10_000

#: Takes a row out of a set of a map, and a set that is empty out of the map.
_UNLINK: Final = (
    b"redis.call('SREM', KEYS[1], KEYS[3]) "
    b"if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('SREM', KEYS[2], KEYS[1]) end"
)


class Row(dict[str, Scalar]):
    """A row under its name in Redis, with its values as they stand there."""

    def __init__(self, key: bytes, raw: Mapping[str, bytes], layout: Layout) -> None:
        super().__init__({column: loaded(value, layout.type_of(column)) for column, value in raw.items()})
        self.key = key
        self.raw = raw


# ---- names


def _joined(prefix: str, values: Sequence[bytes]) -> bytes:
    return wire(prefix) + b":".join(values)


def _maps(layout: Layout, raw: Mapping[str, bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The sets that a row with these values is in, each with the set of its map's sets."""
    for name, columns in layout.keys.maps.items():
        values = [raw[column] for column in columns if column in raw]
        if len(values) == len(columns):
            yield _joined(f"{layout.name}:{name}::", values), wire(f"{layout.name}::index::{name}")


def _parts(where: Condition) -> tuple[Condition, ...]:
    return where.parts if isinstance(where, Both) else (where,)


def _fixing(part: Condition, given: Sequence[Given]) -> tuple[str, list[bytes]] | None:
    """The column for which a condition leaves some values only, and which; None if it does not."""
    wanted: tuple[Operand, ...] = ()
    if isinstance(part, Comparison) and part.sign == "=":
        wanted = (part.right,)
    elif isinstance(part, OneOf):
        wanted = part.values
    if not wanted or not isinstance(part, Comparison | OneOf) or not isinstance(part.left, Column):
        return None
    values = [stored(given[each.place]) for each in wanted if isinstance(each, Parameter)]
    return (part.left.name, [v for v in values if v is not None]) if len(values) == len(wanted) else None


def _fixed(where: Condition, given: Sequence[Given]) -> dict[str, list[bytes]]:
    return dict(filter(None, (_fixing(part, given) for part in _parts(where))))


def _relaxed(where: Condition, given: Sequence[Given], layout: Layout) -> Condition:
    """A condition for rows that were found by their names, which stand in for columns that they don't have. Those that
    they have must agree: `a:b` and `c` make the same name as `a` and `b:c`."""
    parts: list[Condition] = []
    for part in _parts(where):
        fixing = _fixing(part, given)
        if fixing is not None and fixing[0] in layout.keys.entry:
            part = Either((IsNull(Column(fixing[0]), wanted=True), part))
        parts.append(part)
    return Both(tuple(parts))


def _names(prefix: str, columns: Sequence[str], fixed: Mapping[str, list[bytes]]) -> list[bytes] | None:
    """The names that values of these columns make; None if some may be any, or there are too many."""
    if not columns or not all(column in fixed for column in columns):
        return None
    values = [fixed[column] for column in columns]
    if prod(map(len, values)) > MOST_NAMES:
        return None
    return [_joined(prefix, each) for each in product(*values)]


# ---- reading


async def ask(connection: Connection, commands: Sequence[Command]) -> list[Reply]:
    """The replies to commands. Raises Refused for an error."""
    replies = await connection.exchange(commands) if commands else []
    for reply in replies:
        if isinstance(reply, ErrorReply):
            raise Refused(text(reply))
    return replies


async def _scan(connection: Connection, layout: Layout) -> list[bytes]:
    pattern = wire(re.sub(r"[][*?\\]", r"\\\g<0>", f"{layout.name}:entry::") + "*")
    found: set[bytes] = set()
    cursor = b"0"
    while True:
        (reply,) = await ask(connection, [[b"SCAN", cursor, b"MATCH", pattern, b"COUNT", b"%d" % PAGE]])
        if not isinstance(reply, list) or not isinstance(reply[0], bytes) or not isinstance(reply[1], list):
            raise Refused("SCAN was answered by something else")
        found.update(key for key in reply[1] if isinstance(key, bytes))
        cursor = reply[0]
        if cursor == b"0":
            return sorted(found)


def _entries(layout: Layout, where: Condition, given: Sequence[Given]) -> list[bytes] | None:
    """The names of the rows that a condition may hold for, where it says them."""
    names = _names(f"{layout.name}:entry::", layout.keys.entry, _fixed(where, given))
    return names and list(dict.fromkeys(names))


async def _find(connection: Connection, layout: Layout, where: Condition, given: Sequence[Given]) -> list[bytes]:
    """The names of all rows that a condition may hold for, which does not say them: by a map, or all of the table."""
    fixed = _fixed(where, given)
    for name, columns in layout.keys.maps.items():
        sets = _names(f"{layout.name}:{name}::", columns, fixed)
        if sets is not None:
            members = await ask(connection, [[b"SMEMBERS", each] for each in sets])
            return sorted({key for each in members if isinstance(each, list) for key in each if isinstance(key, bytes)})
    return await _scan(connection, layout)


async def _load(connection: Connection, layout: Layout, keys: Sequence[bytes]) -> list[Row]:
    """Those rows that are there: a map may name some that are not."""
    rows = []
    replies = await ask(connection, [[b"HGETALL", key] for key in keys])
    for key, reply in zip(keys, replies, strict=True):
        if isinstance(reply, list) and reply:
            fields = [each if isinstance(each, bytes) else b"" for each in reply]
            rows.append(Row(key, dict(zip(map(text, fields[::2]), fields[1::2], strict=True)), layout))
    return rows


async def matching(
    connection: Connection, layout: Layout, where: Condition, given: Sequence[Given]
) -> AsyncIterator[Row]:
    """The rows that a condition holds for, in the order of their names."""
    values = [compared(each) for each in given]
    keys = _entries(layout, where, given)
    if keys is None:
        keys = await _find(connection, layout, where, given)
    else:
        where = _relaxed(where, given, layout)
    for at in range(0, len(keys), PAGE):
        for row in await _load(connection, layout, keys[at : at + PAGE]):
            if where.holds(row, values):
                yield row


async def select(
    connection: Connection, layout: Layout, statement: Select, given: Sequence[Given]
) -> AsyncIterator[tuple[Scalar, ...]]:
    """The rows of a query."""
    values = [compared(each) for each in given]
    rows = matching(connection, layout, statement.where, given)
    if statement.count is not None:
        yield (await _count(rows, statement, values),)
        return
    if statement.order:
        rows = _ordered(rows, statement)
    left = -1 if statement.limit is None else int(statement.limit.value({}, values) or 0)
    async for row in rows:
        if left == 0:
            return
        left -= 1
        yield tuple([column.value(row, values) for _, column in statement.columns])


async def _count(rows: AsyncIterator[Row], statement: Select, values: Parameters) -> int:
    count = statement.count
    assert count is not None
    found = 0
    different: set[Scalar] = set()
    async for row in rows:
        value = None if count.of is None else count.of.value(row, values)
        if count.of is None or value is not None:
            found += 1
            if count.distinct:
                different.add(value)
    return len(different) if count.distinct else found


async def _ordered(rows: AsyncIterator[Row], statement: Select) -> AsyncIterator[Row]:
    """All rows, sorted: NULL before numbers before texts."""
    found = [row async for row in rows]

    def rank(value: Scalar) -> tuple[int, Scalar]:
        return (0, 0) if value is None else (2, value) if isinstance(value, str) else (1, value)

    for column, descending in reversed(statement.order):
        found.sort(key=lambda row: rank(row.get(column.name)), reverse=descending)
    for row in found:
        yield row


# ---- writing


async def write(connection: Connection, commands: Sequence[Command]) -> None:
    """Do commands, all or none. Raises Refused."""
    *_, done = await ask(connection, [[b"MULTI"], *commands, [b"EXEC"]])
    for reply in done if isinstance(done, list) else ():
        if isinstance(reply, ErrorReply):
            raise Refused(text(reply))


def _set(key: bytes, raw: Mapping[str, bytes]) -> Command:
    return [b"HSET", key, *(word for column, value in raw.items() for word in (wire(column), value))]


def _link(key: bytes, members: bytes, index: bytes) -> list[Command]:
    return [[b"SADD", members, key], [b"SADD", index, members]]


def _unlink(key: bytes, members: bytes, index: bytes) -> Command:
    return [b"EVAL", _UNLINK, b"3", members, index, key]


def insert(layout: Layout, statement: Insert, given: Sequence[Given]) -> list[Command]:
    """The commands that write a row, over one of the same name if there is one. Raises Refused."""
    values = ((column, stored(given[parameter.place])) for column, parameter in statement.values)
    raw = {column: value for column, value in values if value is not None}
    name = [raw[column] for column in layout.keys.entry if column in raw]
    if not layout.keys.entry:
        raise Refused(f"db_redis' parameter keys says nothing of table {layout.name}: its rows have no name")
    if len(name) < len(layout.keys.entry):
        raise Refused(f"a row of table {layout.name} needs values for {', '.join(layout.keys.entry)}")
    key = _joined(f"{layout.name}:entry::", name)
    commands = [_set(key, raw)]
    for members, index in _maps(layout, raw):
        commands += _link(key, members, index)
    return commands


def update(layout: Layout, statement: Update, given: Sequence[Given], row: Row) -> list[Command]:
    """The commands that change a row, NULL being an empty text. Raises Refused."""
    changed = {column: stored(given[parameter.place]) or b"" for column, parameter in statement.values}
    raw = {**row.raw, **changed}
    if any(row.raw.get(column) != raw.get(column) for column in layout.keys.entry):
        raise Refused(f"the name of a row of table {layout.name} can't change: {', '.join(layout.keys.entry)}")
    before, after = set(_maps(layout, row.raw)), set(_maps(layout, raw))
    commands = [_set(row.key, changed)]
    commands += [_unlink(row.key, *each) for each in sorted(before - after)]
    for each in sorted(after - before):
        commands += _link(row.key, *each)
    return commands


def delete(layout: Layout, row: Row) -> list[Command]:
    """The commands that remove a row."""
    return [[b"DEL", row.key], *(_unlink(row.key, *each) for each in _maps(layout, row.raw))]


async def change(
    connection: Connection, layout: Layout, statement: Update | Delete, sets: Sequence[Sequence[Given]]
) -> tuple[int, list[Command]]:
    """How many rows a statement touches with these sets of parameters, and the commands that change them."""
    touched = 0
    commands: list[Command] = []
    async for given, row in _touched(connection, layout, statement.where, sets):
        touched += 1
        commands += delete(layout, row) if isinstance(statement, Delete) else update(layout, statement, given, row)
    return touched, commands


async def _touched(
    connection: Connection, layout: Layout, where: Condition, sets: Sequence[Sequence[Given]]
) -> AsyncIterator[tuple[Sequence[Given], Row]]:
    """The rows that a condition holds for, each with its parameters; those that have names are asked for together."""
    named = [_entries(layout, where, given) for given in sets]
    wanted = [(given, key) for given, keys in zip(sets, named, strict=True) for key in keys or ()]
    for at in range(0, len(wanted), PAGE):
        page = wanted[at : at + PAGE]
        rows = {row.key: row for row in await _load(connection, layout, [key for _, key in page])}
        for given, key in page:
            relaxed = _relaxed(where, given, layout)
            if key in rows and relaxed.holds(rows[key], [compared(each) for each in given]):
                yield given, rows[key]
    for given, keys in zip(sets, named, strict=True):
        if keys is None:
            async for row in matching(connection, layout, where, given):
                yield given, row


__all__ = ["ask", "change", "insert", "select", "write"]
