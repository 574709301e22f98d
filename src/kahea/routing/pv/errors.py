"""The one error of pseudo-variables: where an expression is wrong, and what was expected there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PvError(Exception):
    """An expression that can't be compiled, or a value that a variable does not take.

    `text` is the expression, `offset` the index of the character where it goes wrong (-1: not a matter of
    syntax).
    """

    def __init__(self, message: str, text: str = "", offset: int = -1) -> None:
        where = f" in {text!r}" if text else ""
        at = f" at character {offset + 1}" if offset >= 0 else ""
        super().__init__(f"{message}{where}{at}")
        self.message = message
        self.text = text
        self.offset = offset


def suggestion(name: str, known: Iterable[str], prefix: str = "") -> str:
    """`"; did you mean $ru?"` for the nearest known name, `""` if none is near."""
    near = difflib.get_close_matches(name, known, 1, 0.6)
    return f"; did you mean {prefix}{near[0]}?" if near else ""
