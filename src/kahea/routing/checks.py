"""Checks of module parameters, for `Param(check=...)`: each returns the value, or raises ValueError."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

#: The value of a flag parameter that names no flag.
NO_FLAG: Final = -1


def unless(default: object, why: str) -> Any:
    """For a parameter that nothing here heeds: any other value than the default is refused."""

    def check(value: object) -> object:
        if value != default:
            raise ValueError(f"{value!r} is not supported yet: {why}")
        return value

    return check


def between(low: int, high: int) -> Callable[[int], int]:
    """A number from `low` to `high`."""

    def check(value: int) -> int:
        if not low <= value <= high:
            raise ValueError(f"{value} is not between {low} and {high}")
        return value

    return check


def flag(value: int) -> int:
    """The number of a message's flag, or NO_FLAG."""
    if not NO_FLAG <= value <= 31:
        raise ValueError(f"{value} is no flag: 0 to 31")
    return value


__all__ = ["NO_FLAG", "between", "flag", "unless"]
