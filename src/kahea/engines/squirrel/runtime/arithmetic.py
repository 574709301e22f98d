"""Arithmetic where a script does not tell the types: integers that wrap, floats of 32 bits, texts, metamethods."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from kahea.engines.squirrel.runtime.comparison import NUMBERS, text_of
from kahea.engines.squirrel.runtime.errors import Thrown
from kahea.engines.squirrel.runtime.limits import checked_length
from kahea.engines.squirrel.runtime.numbers import MAX, MIN, single, wrapped
from kahea.engines.squirrel.runtime.values import metamethod, type_name


def add(left: Any, right: Any) -> Any:
    """`left + right`. Raises Thrown, as do all below."""
    kind, other = type(left), type(right)
    if kind is int and other is int:
        found = left + right
        return found if MIN <= found <= MAX else wrapped(found)
    if kind is str or other is str:
        return joined(text_of(left), text_of(right))
    if kind in NUMBERS and other in NUMBERS:
        return single(single(left) + single(right))
    return _overloaded("+", "_add", left, right)


def joined(left: str, right: str) -> str:
    """Two texts as one."""
    found = left + right
    return checked_length(found) if len(found) > 65536 else found


def subtract(left: Any, right: Any) -> Any:
    """`left - right`."""
    kind, other = type(left), type(right)
    if kind is int and other is int:
        return wrapped(left - right)
    if kind in NUMBERS and other in NUMBERS:
        return single(single(left) - single(right))
    return _overloaded("-", "_sub", left, right)


def multiply(left: Any, right: Any) -> Any:
    """`left * right`."""
    kind, other = type(left), type(right)
    if kind is int and other is int:
        return wrapped(left * right)
    if kind in NUMBERS and other in NUMBERS:
        return single(single(left) * single(right))
    return _overloaded("*", "_mul", left, right)


def divide(left: Any, right: Any) -> Any:
    """`left / right`: towards 0 for integers."""
    kind, other = type(left), type(right)
    if kind is int and other is int:
        if right == 0:
            raise Thrown("division by zero")
        if right == -1 and left == MIN:
            raise Thrown("integer overflow")
        found: int = abs(left) // abs(right)
        return found if (left < 0) == (right < 0) else -found
    if kind in NUMBERS and other in NUMBERS:
        return _divided(single(left), single(right))
    return _overloaded("/", "_div", left, right)


def _divided(left: float, right: float) -> float:
    if right:
        return single(left / right)
    if not left or left != left:
        return -math.nan  # as x86 makes it
    return math.copysign(math.inf, left) * math.copysign(1, right)


def modulo(left: Any, right: Any) -> Any:
    """`left % right`, with the sign of the left one."""
    kind, other = type(left), type(right)
    if kind is int and other is int:
        if right == 0:
            raise Thrown("modulo by zero")
        found: int = abs(left) % abs(right)
        return -found if left < 0 else found
    if kind in NUMBERS and other in NUMBERS:
        if not right or math.isinf(left):
            return -math.nan
        return single(math.fmod(single(left), single(right)))
    return _overloaded("%", "_modulo", left, right)


def _overloaded(sign: str, name: str, left: Any, right: Any) -> Any:
    method = metamethod(left, name)
    if method is None:
        raise Thrown(f"arith op {sign} on between '{type_name(left)}' and '{type_name(right)}'")
    return method(left, right)


def negate(value: Any) -> Any:
    """`-value`."""
    if type(value) is int:
        return wrapped(-value)
    if type(value) is float:
        return -value
    if (method := metamethod(value, "_unm")) is not None:
        return method(value)
    raise Thrown(f"attempt to negate a {type_name(value)}")


def invert(value: Any) -> int:
    """`~value`."""
    if type(value) is not int:
        raise Thrown(f"attempt to perform a bitwise op on a {type_name(value)}")
    return ~value


def _bits(work: Callable[[int, int], int]) -> Callable[[Any, Any], int]:
    def operation(left: Any, right: Any) -> int:
        if type(left) is not int or type(right) is not int:
            raise Thrown(f"bitwise op between '{type_name(left)}' and '{type_name(right)}'")
        return work(left, right)

    return operation


bits_and: Final = _bits(lambda left, right: left & right)
bits_or: Final = _bits(lambda left, right: left | right)
bits_xor: Final = _bits(lambda left, right: left ^ right)
shift_left: Final = _bits(lambda left, right: wrapped(left << (right & 63)))
shift_right: Final = _bits(lambda left, right: left >> (right & 63))
shift_right_unsigned: Final = _bits(lambda left, right: wrapped((left & 0xFFFFFFFFFFFFFFFF) >> (right & 63)))
