"""Choosing items of a table by their names or their values."""

from __future__ import annotations

import re
from collections.abc import Callable

from kahea.modules.htable.table import Scalar, Table
from kahea.routing.regex import compile_posix

Test = Callable[[str], bool]


def searching(pattern: str) -> Test:
    """Whether a regular expression matches, in any case and line by line. Raises RegexError."""
    search = compile_posix(pattern, ignore_case=True, newline=True).search
    return lambda text: search(text) is not None


def text_test(op: str, value: str) -> Test | None:
    """A test of texts: `eq`, `ne`, `sw` (begins with), `re` (regular expression); None for another operator.

    Raises RegexError.
    """
    if op == "re":
        return searching(value)
    tests: dict[str, Test] = {
        "eq": lambda text: text == value,
        "ne": lambda text: text != value,
        "sw": lambda text: text.startswith(value),
    }
    return tests.get(op)


def texts_of(table: Table, *, values: bool) -> list[tuple[str, str]]:
    """Each name with the text to test: itself, or the value if that is a text."""
    if not values:
        return [(key, key) for key in table.items]
    return [(key, item.value) for key, item in table.items.items() if isinstance(item.value, str)]


def remove_matching(table: Table, test: Test, *, values: bool) -> None:
    """Remove the items whose names or values pass a test."""
    for key, text in texts_of(table, values=values):
        if test(text):
            table.remove(key)


def count_matching(table: Table, expression: str, *, values: bool) -> int:
    """How many items match, those included that wait for the next sweep.

    `~~expression`, or an expression alone, is regular, `%~text` begins with, `~%text` ends in, `==text` equals, `**`
    is everything, and for values `eqnumber` equals a number. Raises RegexError.
    """
    mark, rest = expression[:2], expression[2:]
    if mark == "**":
        return len(table.items)
    if values and mark == "eq" and re.fullmatch(r"-?[0-9]{1,18}", rest):
        numbers: list[Scalar] = [item.value for item in table.items.values() if isinstance(item.value, int)]
        return sum(number == int(rest) for number in numbers)
    texts = [text for _, text in texts_of(table, values=values)]
    if mark == "%~":
        return sum(text.startswith(rest) for text in texts)
    if mark == "~%":
        return sum(text.endswith(rest) for text in texts)
    if mark == "==":
        return sum(text == rest for text in texts)
    return sum(map(searching(rest if mark == "~~" else expression), texts))
