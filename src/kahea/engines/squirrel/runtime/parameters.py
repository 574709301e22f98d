"""Parameters of the run-time's own functions: what they must be, and what is thrown if they are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kahea.engines.squirrel.runtime.errors import Thrown
from kahea.engines.squirrel.runtime.values import type_name, types_of

#: What may be given for a letter, in the words of the error.
_KINDS: Final = {
    "n": ("integer", "float"),
    "s": ("string",),
    "a": ("array",),
    "t": ("table",),
    "c": ("function",),
    "b": ("bool",),
    "x": ("instance",),
    "y": ("class",),
}


def checked(kinds: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose parameters after `this` are of kinds: a letter for each, `.` for any."""
    wanted = [types_of(_KINDS.get(letter, ())) for letter in kinds]
    first, more = wanted[0], wanted[1:]

    def check(this: Any, *args: Any) -> Any:
        if args:
            if first and type(args[0]) not in first:
                raise _wrong(1, args[0], kinds)
            if len(args) > 1:
                for number, (value, allowed) in enumerate(zip(args[1:], more, strict=False), 2):
                    if allowed and type(value) not in allowed:
                        raise _wrong(number, value, kinds)
        return function(this, *args)

    check.__name__ = function.__name__.strip("_")
    return check


def _wrong(number: int, value: Any, kinds: str) -> Thrown:
    allowed = "|".join(_KINDS[kinds[number - 1]])
    return Thrown(f"parameter {number} has an invalid type '{type_name(value)}' ; expected: '{allowed}'")


def refused(name: str, why: str) -> Callable[..., Any]:
    """A function of Squirrel's that is not here."""

    def refuse(_this: Any, *_args: Any) -> Any:
        raise Thrown(f"{name} is not available: {why}")

    refuse.__name__ = name
    return refuse
