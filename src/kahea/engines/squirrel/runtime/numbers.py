"""Numbers as Kamailio's Squirrel has them: integers of 64 bits that wrap, floats of 32."""

from __future__ import annotations

import math
import re
import struct
from typing import Final

MAX: Final = (1 << 63) - 1
MIN: Final = -(1 << 63)

_SINGLE: Final = struct.Struct("f")
_INTEGERS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_FLOAT: Final = re.compile(
    r"\s*([+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|inf(?:inity)?|nan))", re.I | re.A
)


def wrapped(value: int) -> int:
    """An integer as 64 bits hold it."""
    return ((value - MIN) & 0xFFFFFFFFFFFFFFFF) + MIN


def single(value: float) -> float:
    """A float as 32 bits hold it."""
    try:
        found: float = _SINGLE.unpack(_SINGLE.pack(value))[0]
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    return found


def to_integer(value: int | float) -> int:
    """What C makes of a number for an integer: the fraction is cut off, and what has no integer is the least one."""
    if isinstance(value, int):
        return int(value)
    return int(value) if MIN <= value < 2.0**63 else MIN


def shown(value: float) -> str:
    """A float as a script prints it (C's `%g`)."""
    if value != value:
        return "-nan" if math.copysign(1, value) < 0 else "nan"
    return f"{value:g}"


def integer_in(text: str, base: int) -> int | None:
    """The integer that a text begins with (C's `strtol`), or None."""
    rest = text.lstrip(" \t\n\v\f\r")
    sign = -1 if rest[:1] == "-" else 1
    rest = rest[1:] if rest[:1] in ("-", "+") else rest
    rest = rest.lower()
    if base in (0, 16) and rest[:2] == "0x" and rest[2:3] in _INTEGERS[:16] and rest[2:3]:
        rest, base = rest[2:], 16
    elif base == 0:
        base = 8 if rest[:1] == "0" else 10
    if not 2 <= base <= 36:
        return None
    digits = re.match(f"[{_INTEGERS[:base]}]*", rest)
    found = digits.group() if digits else ""
    if not found:
        return None
    if len(found) > 70:
        return MAX if sign > 0 else MIN
    return max(MIN, min(MAX, sign * int(found, base)))


def float_in(text: str) -> float | None:
    """The float that a text begins with (C's `strtod`), or None."""
    match = _FLOAT.match(text)
    return single(float(match[1])) if match else None


def number_in(text: str, base: int = 10) -> int | float | None:
    """The number that a text begins with: a float if there is a point or an exponent in the text, else an integer."""
    text = text.partition("\0")[0]
    if "." in text or (base <= 13 and "e" in text.lower()):
        return float_in(text)
    return integer_in(text, base)
