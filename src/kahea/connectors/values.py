"""Values of databases as scripts get them: an integer, a text, bytes or None.

The types are those of Kamailio's database modules: an integer of up to 32 bits is a number, a BIGINT a text (`BigInt`),
a time the seconds since 1970, and the rest is the database's own text. Kamailio has nothing for a floating point
number; here it is a text.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from kahea.connectors.columns import unix_time

Scalar = int | str | bytes | None


class BigInt(int):
    """A number of a BIGINT: where Kamailio makes a difference, scripts get it as a text."""


# ---- PostgreSQL: asyncpg is told to leave values as the server's text

_PG_TEXTS: Final = """
    bool int2 int4 int8 oid float4 float8 numeric money date time timetz timestamp timestamptz interval uuid inet
    cidr macaddr macaddr8 json jsonb xml point line lseg box path polygon circle bit varbit tsvector tsquery char
"""
_PG_INTEGERS: Final = frozenset((21, 23))  # int2, int4
_PG_BIGINT: Final = 20
_PG_TIMES: Final = frozenset((1114, 1184))  # timestamp, timestamptz


def _encode_text(value: Scalar) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _encode_bytes(value: Scalar) -> str:
    data = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
    return "\\x" + data.hex()


def _decode_bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


async def _set_codecs(connection: Any) -> None:
    for name in _PG_TEXTS.split():
        await connection.set_type_codec(name, schema="pg_catalog", encoder=_encode_text, decoder=str, format="text")
    await connection.set_type_codec(
        "bytea", schema="pg_catalog", encoder=_encode_bytes, decoder=_decode_bytes, format="text"
    )


def prepare_postgresql(connection: Any, _record: object) -> None:
    """For a new connection: values come and go as text."""
    connection.run_async(_set_codecs)


def _from_postgresql(value: Any, kind: int) -> Scalar:
    if kind in _PG_INTEGERS:
        return int(value)
    if kind == _PG_BIGINT:
        return BigInt(value)
    if kind in _PG_TIMES:
        return _unix(value)
    return _array(value) if isinstance(value, list) else value


def _array(values: list[Any]) -> str:
    """An array as PostgreSQL writes it."""
    found = []
    for value in values:
        if isinstance(value, list):
            found.append(_array(value))
        elif value is None:
            found.append("NULL")
        else:
            text = str(value)
            plain = re.fullmatch(r"[^\s{},\"\\]+", text) is not None and text.upper() != "NULL"
            found.append(text if plain else '"' + re.sub(r'["\\]', r"\\\g<0>", text) + '"')
    return "{" + ",".join(found) + "}"


def _unix(text: str) -> Scalar:
    """A time as seconds since 1970; one that has none (`infinity`) as it is."""
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError:
        return text


# ---- MySQL

_MY_BIGINT: Final = 8
_MY_YEAR: Final = 13


def _from_mysql(value: Any, kind: int) -> Scalar:
    if isinstance(value, int):
        if kind == _MY_YEAR:
            return f"{value:04d}"
        return BigInt(value) if kind == _MY_BIGINT else value
    return _plain(value)


# ---- SQLite: the type that a column is declared with says what its values are

_JULIAN_TYPES: Final = ("timestamp", "datetime", "date", "time")


def _moment(value: bytes) -> Scalar:
    text = value.decode("utf-8", "surrogateescape")
    try:
        return unix_time(float(text))
    except ValueError:
        return _unix(text)


def _bigint(value: bytes) -> Scalar:
    try:
        return BigInt(value)
    except ValueError:
        return value.decode("utf-8", "surrogateescape")


def sqlite_options() -> dict[str, Any]:
    """What a connection is opened with, so that columns declared as times and BIGINTs are read as such."""
    for name in _JULIAN_TYPES:
        sqlite3.register_converter(name, _moment)
    sqlite3.register_converter("bigint", _bigint)
    return {"detect_types": sqlite3.PARSE_DECLTYPES}


def _from_sqlite(value: Any, _kind: object) -> Scalar:
    return _plain(value)


def _plain(value: Any) -> Scalar:
    """What a driver made of a value as Kamailio's modules give it."""
    if value is None or isinstance(value, (int, str, bytes)):
        return value
    if isinstance(value, datetime):
        return int(value.timestamp())
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        seconds = int(value.total_seconds())
        minutes, sign = abs(seconds) // 60, "-" if seconds < 0 else ""
        return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}:{abs(seconds) % 60:02d}"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value)


#: By SQLAlchemy's name of the database: `(value, the driver's type code)` to what scripts get. None stays None.
CONVERTERS: Final[dict[str, Callable[[Any, Any], Scalar]]] = {
    "postgresql": _from_postgresql,
    "mysql": _from_mysql,
    "sqlite": _from_sqlite,
}

__all__ = ["CONVERTERS", "BigInt", "Scalar", "prepare_postgresql", "sqlite_options"]
