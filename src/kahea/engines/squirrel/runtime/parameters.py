"""Parameters of the run-time's own functions: what they must be, and what is thrown if they are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from kahea.engines.squirrel.runtime.errors import Thrown
from kahea.engines.squirrel.runtime.values import type_name

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
    wanted = [_KINDS.get(letter, ()) for letter in kinds]

    def check(this: Any, *args: Any) -> Any:
        for number, (value, allowed) in enumerate(zip(args, wanted, strict=False), 1):
            if allowed and (found := type_name(value)) not in allowed:
                raise Thrown(f"parameter {number} has an invalid type '{found}' ; expected: '{'|'.join(allowed)}'")
        return function(this, *args)

    check.__name__ = function.__name__.strip("_")
    check.__wrapped__ = function  # type: ignore[attr-defined]
    return check


def refused(name: str, why: str) -> Callable[..., Any]:
    """A function of Squirrel's that is not here."""

    def refuse(_this: Any, *_args: Any) -> Any:
        raise Thrown(f"{name} is not available: {why}")

    refuse.__name__ = name
    return refuse
