"""What a variable's value becomes where text or a number is wanted.

Integers are 64-bit, as since Kamailio 5.7; 5.6 refuses those beyond 32 bits.
"""

from __future__ import annotations

import re

from kahea.routing.module import Value

NULL_TEXT = "<null>"  # what $null prints as in a format
INT_MIN = -(1 << 63)
INT_MAX = (1 << 63) - 1

_DECIMAL = re.compile(r"[+-]?[0-9]+\Z")
_LEADING = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)")


def as_text(value: Value) -> str:
    """The value inside a string: decimal for an integer, `<null>` for $null."""
    if value.__class__ is str:
        return value
    return NULL_TEXT if value is None else str(value)


def decimal(text: str) -> int | None:
    """A whole decimal number with an optional sign, None if it is anything else or beyond 64 bits."""
    if len(text) > 20 or _DECIMAL.match(text) is None:
        return None
    number = int(text)
    return number if INT_MIN <= number <= INT_MAX else None


def leading_int(text: str) -> int:
    """The number that the text begins with, 0 if it begins with none; kept within 64 bits."""
    found = _LEADING.match(text[:64])
    return max(INT_MIN, min(INT_MAX, int(found[1]))) if found else 0


def as_int(value: Value) -> int:
    """The value as a number, as `KSR.pv.geti` reads it: a text's leading number, 0 for $null."""
    if value is None:
        return 0
    return value if isinstance(value, int) else leading_int(value)
