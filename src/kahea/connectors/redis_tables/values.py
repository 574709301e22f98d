"""Values of tables in Redis: as SQLAlchemy gives them, as they stand there, and as rows are compared."""

from __future__ import annotations

from datetime import datetime
from typing import Final

_TIME: Final = "%Y-%m-%d %H:%M:%S"

#: A value as rows and parameters are compared by; times are Unix seconds.
Scalar = int | float | str | None
#: A value as SQLAlchemy gives it.
Given = int | float | str | bytes | datetime | None


def text(data: bytes) -> str:
    """Bytes of Redis as text; those that are no UTF-8 survive as lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


def wire(value: str) -> bytes:
    """The inverse of `text`."""
    return value.encode("utf-8", "surrogateescape")


def stored(value: Given) -> bytes | None:
    """A value as it stands in Redis; None for NULL."""
    if value is None:
        return None
    if isinstance(value, bytes):
        return value
    if isinstance(value, datetime):
        return value.strftime(_TIME).encode()
    if isinstance(value, float):
        return b"%f" % value
    return wire(str(int(value) if isinstance(value, bool) else value))


def compared(value: Given) -> Scalar:
    """A parameter as the values of rows are compared with it."""
    if isinstance(value, datetime):
        return int(value.timestamp())
    return text(value) if isinstance(value, bytes) else value


def loaded(value: bytes, kind: str) -> Scalar:
    """A value from Redis by its column's type; what is no such value is NULL if it is empty, else a text."""
    read = text(value)
    if kind == "string":
        return read
    if not read:
        return None
    try:
        return float(read) if kind == "double" else int(read)
    except ValueError:
        pass  # no number: see below
    try:
        # A time, which stands in columns of numbers, too.
        return int(datetime.fromisoformat(read).timestamp())
    except ValueError:
        return read


__all__ = ["Given", "Scalar", "compared", "loaded", "stored", "text", "wire"]
