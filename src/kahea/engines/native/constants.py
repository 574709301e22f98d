"""The value of an expression that nothing at run time has a say in, with Kamailio's 32 bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kahea.engines.native.tree import Binary, Choice, Expression, Number, String, Unary

_COMPARE: Final[dict[str, Callable[[int, int], bool]]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_COMPUTE: Final[dict[str, Callable[[int, int], int]]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
}


def wrapped(value: int) -> int:
    """A number as 32 bits hold it; as written, it is read with 64 bits first, and stays at the largest there is."""
    return (min(value, 2**63 - 1) + 2**31) % 2**32 - 2**31


def fold(e: Expression) -> int | str | None:
    """The value, or None if it is not constant or is for the running server to tell."""
    if isinstance(e, Number):
        return wrapped(e.value)
    if isinstance(e, String):
        return e.text
    if isinstance(e, Unary):
        return _unary(e)
    if isinstance(e, Choice):
        test = fold(e.condition)
        return None if test is None else fold(e.then if test else e.otherwise)
    return _binary(e) if isinstance(e, Binary) else None


def _unary(e: Unary) -> int | str | None:
    value = fold(e.operand)
    if value is None:
        return None
    if e.operator == "!" and isinstance(value, int):
        return int(not value)
    if e.operator == "-" and isinstance(value, int):
        return wrapped(-value)
    if e.operator == "~" and isinstance(value, int):
        return ~value
    if e.operator == "(str)":
        return str(value)
    if e.operator == "strlen":
        return len(str(value))
    return int(value == "") if e.operator == "strempty" else None


def _binary(e: Binary) -> int | str | None:
    """From the innermost left side outwards: a chain may be long."""
    chain = [e]
    while isinstance(chain[-1].left, Binary):
        chain.append(chain[-1].left)
    value = fold(chain[-1].left)
    for one in reversed(chain):
        value = _combined(one, value)
    return value


def _combined(e: Binary, left: int | str | None) -> int | str | None:
    if e.operator in ("&&", "||"):
        if isinstance(left, int) and bool(left) == (e.operator == "||"):
            return int(bool(left))
        right = fold(e.right)
        return int(bool(right)) if isinstance(left, int) and isinstance(right, int) else None
    if left is None:
        return None
    right = fold(e.right)
    if right is None:
        return None
    if e.operator in ("==", "eq", "ieq"):
        return int(str(left) == str(right))
    if e.operator in ("!=", "ne", "ine"):
        return int(str(left) != str(right))
    if isinstance(left, str):
        return left + str(right) if e.operator == "+" else None
    if isinstance(right, str):
        return None
    if e.operator in _COMPARE:
        return int(_COMPARE[e.operator](left, right))
    return wrapped(_COMPUTE[e.operator](left, right)) if e.operator in _COMPUTE else None
