"""What values are as text, and how they compare."""

from __future__ import annotations

from typing import Any, Final

from kahea.engines.squirrel.runtime.errors import Thrown
from kahea.engines.squirrel.runtime.numbers import shown
from kahea.engines.squirrel.runtime.values import metamethod, type_name

# ---- text


def text_of(value: Any) -> str:
    """A value as text (`tostring`). Raises Thrown."""
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is int:
        return str(value)
    if kind is float:
        return shown(value)
    if kind is bool:
        return "true" if value else "false"
    if value is None:
        return "null"
    if (method := metamethod(value, "_tostring")) is not None and type(found := method(value)) is str:
        return str(found)
    return f"({type_name(value)} : 0x{id(value):#x})"


def brief(value: Any) -> str:
    """A value as errors show it: the type of what is neither text nor number."""
    if type(value) is float:
        return f"{value:.14g}"
    return text_of(value) if type(value) in (int, str) else type_name(value)


def type_of(value: Any) -> Any:
    """`typeof value`."""
    method = metamethod(value, "_typeof")
    return type_name(value) if method is None else method(value)


# ---- comparing


def truth(value: Any) -> bool:
    """Whether a value is true: all but null, false, 0 and 0.0."""
    return bool(value) or value == ""


def equal(left: Any, right: Any) -> bool:
    """`left == right`."""
    return bool(left == right) and (type(left) is type(right) or not (type(left) is bool or type(right) is bool))


def order(left: Any, right: Any) -> int:
    """Below, at or above 0 as one value comes before, with or after another. Raises Thrown."""
    kind = type(left)
    other = type(right)
    if kind is other:
        if kind is int or kind is float or kind is str or kind is bool:
            return -1 if left < right else int(left > right)
        if left is right:
            return 0
        if (method := metamethod(left, "_cmp")) is not None:
            found = method(left, right)
            if type(found) is not int:
                raise Thrown("_cmp must return an integer")
            return int(found)
        return -1 if id(left) < id(right) else 1
    if kind in NUMBERS and other in NUMBERS:
        return -1 if left < right else int(left > right)
    if left is None:
        return -1
    if right is None:
        return 1
    raise Thrown(f"comparison between '{brief(left)}' and '{brief(right)}'")


NUMBERS: Final = frozenset({int, float})


def less(left: Any, right: Any) -> bool:
    """`left < right`."""
    if type(left) is int and type(right) is int:
        return left < right
    return order(left, right) < 0


def less_or_equal(left: Any, right: Any) -> bool:
    """`left <= right`."""
    if type(left) is int and type(right) is int:
        return left <= right
    return order(left, right) <= 0


def greater(left: Any, right: Any) -> bool:
    """`left > right`."""
    if type(left) is int and type(right) is int:
        return left > right
    return order(left, right) > 0


def greater_or_equal(left: Any, right: Any) -> bool:
    """`left >= right`."""
    if type(left) is int and type(right) is int:
        return left >= right
    return order(left, right) >= 0


def three_way(left: Any, right: Any) -> int:
    """`left <=> right`: for texts, the difference of the first bytes that differ."""
    if type(left) is str and type(right) is str:
        for one, other in zip(left, right, strict=False):
            if one != other:
                return ord(one) - ord(other)
        shorter = min(len(left), len(right))
        return sum(map(ord, left[shorter : shorter + 1])) - sum(map(ord, right[shorter : shorter + 1]))
    return order(left, right)
