"""Checks of module parameters, for `Param(check=...)`: each returns the value, or raises ValueError."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

#: The value of a flag parameter that names no flag.
NO_FLAG: Final = -1


@dataclass(frozen=True, slots=True)
class Unless:
    """The check that `unless` makes."""

    default: object
    why: str

    def __call__(self, value: object) -> Any:
        """The value, if it is the default. Raises ValueError."""
        if value != self.default:
            raise ValueError(f"{value!r} is not supported yet: {self.why}")
        return value


def unless(default: object, why: str) -> Unless:
    """For a parameter that nothing here heeds: any other value than the default is refused."""
    return Unless(default, why)


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


__all__ = ["NO_FLAG", "Unless", "between", "flag", "unless"]
