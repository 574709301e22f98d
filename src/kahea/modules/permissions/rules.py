"""Files of rules that allow or deny: pairs of patterns for who calls, or registers, and what for.

A line is `LEFT : RIGHT`; each side is `ALL` or a list of patterns between commas, and may go on with ` EXCEPT ` and
another such. Patterns are extended regular expressions in any case of letters, in quotes or bare. A `#` outside of
quotes begins a comment.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kahea.routing.linear import Pattern
from kahea.routing.regex import RegexError, compile_posix

log = logging.getLogger("kahea.permissions")

_EXCEPT: Final = " EXCEPT "
_ALL: Final = "ALL"


@dataclass(frozen=True, slots=True)
class Side:
    """What one side of a rule fits; None for `patterns` is ALL."""

    patterns: tuple[Pattern, ...] | None
    excepted: tuple[Pattern, ...]

    def fits(self, text: str) -> bool:
        """Whether a URI is of this side."""
        return (self.patterns is None or _fits_any(self.patterns, text)) and not _fits_any(self.excepted, text)


def _fits_any(patterns: Sequence[Pattern], text: str) -> bool:
    return any(pattern.search(text) is not None for pattern in patterns)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line."""

    left: Side
    right: Side

    def fits(self, left: str, right: str) -> bool:
        """Whether a pair is of this rule."""
        return self.left.fits(left) and self.right.fits(right)


class Rules:
    """The rules of a file."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._rules = rules

    def __len__(self) -> int:
        return len(self._rules)

    def fit(self, left: str, right: str) -> bool:
        """Whether a pair is of any rule."""
        return any(rule.fits(left, right) for rule in self._rules)


@dataclass(frozen=True, slots=True)
class Permissions:
    """A file that allows, and one that denies."""

    allow: Rules
    deny: Rules

    def __bool__(self) -> bool:
        """Whether there are any rules."""
        return bool(self.allow or self.deny)

    def let(self, left: str, rights: Sequence[str]) -> bool:
        """Whether pairs of one left side may pass: all are allowed, or none is denied."""
        return all(self.allow.fit(left, right) for right in rights) or not any(
            self.deny.fit(left, right) for right in rights
        )


def read_rules(path: Path) -> Rules:
    """The rules of a file, of which lines that can't be read are logged and left out. One that is not there has none.
    Raises OSError."""
    try:
        lines = path.read_text("utf-8", "surrogateescape").split("\n")
    except FileNotFoundError:
        log.debug("%s is not there: it counts as empty", path)
        return Rules()
    rules = []
    for number, line in enumerate(lines, 1):
        try:
            rule = parse_rule(line)
        except ValueError as error:
            log.error("%s:%d: %s; the line is left out", path, number, error)
        else:
            rules += [] if rule is None else [rule]
    return Rules(rules)


def parse_rule(line: str) -> Rule | None:
    """Read one line; None for an empty one. Raises ValueError."""
    left, *rest = _split(line, ":", most=1)
    if not rest:
        if not left.strip():
            return None
        raise ValueError("expected a colon between two sides")
    return Rule(_side(left), _side(rest[0]))


def _split(text: str, separator: str, most: int = -1) -> list[str]:
    """The parts of a text between separators outside of quotes, up to a comment. Raises ValueError."""
    parts = [""]
    quoted = False
    for char in text:
        if char == '"':
            quoted = not quoted
        elif char == "#" and not quoted:
            break
        elif char == separator and not quoted and most:
            most -= 1
            parts.append("")
            continue
        parts[-1] += char
    if quoted:
        raise ValueError("a quote is not closed")
    return parts


def _side(text: str) -> Side:
    fitting, exception, excepted = text.partition(_EXCEPT)
    return Side(
        None if fitting.strip() == _ALL else _patterns(fitting),
        # As an exception, ALL is a pattern like any other.
        _patterns(excepted) if exception else (),
    )


def _patterns(text: str) -> tuple[Pattern, ...]:
    found = []
    for part in _split(text, ","):
        pattern = part.strip()
        if pattern.startswith('"') and pattern.endswith('"') and len(pattern) > 1:
            pattern = pattern[1:-1]
        if not pattern:
            raise ValueError("a pattern is empty")
        try:
            found.append(compile_posix(pattern, ignore_case=True))
        except RegexError as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    return tuple(found)
