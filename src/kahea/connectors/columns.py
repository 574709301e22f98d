"""Column types of Kamailio's tables. Imported only where there is a database."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import DateTime, Integer
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

_JULIAN_EPOCH: Final = 2440587.5  # 1970-01-01 as a Julian day


class _JulianDay(UserDefinedType[Any]):
    """What Kamailio's db_sqlite keeps for a time: a Julian day as a float, half a second on."""

    cache_ok = True

    def get_col_spec(self, **_kw: object) -> str:
        return "TIMESTAMP WITHOUT TIME ZONE"


#: An attribute of dialects whose databases keep Unix seconds: those of text files, which SQLite works on.
UNIX_TIMES: Final = "unix_times"


def _is_unix(dialect: Dialect) -> bool:
    return getattr(dialect, UNIX_TIMES, False)


class Moment(TypeDecorator[int]):
    """Unix seconds, kept as Kamailio keeps a time in this database."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """A Julian day in SQLite, a number in text files, a local date and time elsewhere."""
        if _is_unix(dialect):
            return dialect.type_descriptor(Integer())
        return dialect.type_descriptor(_JulianDay() if dialect.name == "sqlite" else DateTime())

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        """For the database."""
        if value is None or _is_unix(dialect):
            return value
        if dialect.name == "sqlite":
            return (value + 0.5) / 86400 + _JULIAN_EPOCH
        return datetime.fromtimestamp(value)

    def process_result_value(self, value: Any, _dialect: Dialect) -> int:
        """From the database; SQLite may have text there, written by hand or by other tools."""
        if value is None:
            return 0
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return int(value.timestamp())
        return unix_time(value)


def unix_time(number: float) -> int:
    """Unix seconds of a time in SQLite: of a Julian day, or of what is Unix time already."""
    return int((number - _JULIAN_EPOCH) * 86400) if number < 10_000_000 else int(number)
