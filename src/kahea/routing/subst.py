"""Substitution expressions, `/match/replacement/flags`, as the functions of module textops take them.

Any character may stand for `/`; a backslash before it keeps it. The replacement may hold `\\0` to `\\9`,
`\\n`, `\\r`, `\\t`, `\\u` (the Request-URI) and variables, $null being empty. Flags: `i` ignores case, `g`
replaces every match, `s` lets `.` match line feeds and `^` and `$` match at the ends of the text only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from kahea.routing.pv.errors import PvError
from kahea.routing.regex import RegexError, compile_posix

if TYPE_CHECKING:
    from kahea.routing.linear import Match, Pattern
    from kahea.routing.pv.table import Pv, VariableTable
    from kahea.routing.run import Run

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
SHORTEST = 3
CACHE_SIZE = 1024  # expressions kept compiled


class SubstError(ValueError):
    """An expression that can't be read, or that matches the empty text."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """A match's offsets in the text, and what takes its place."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Substitution:
    """A compiled expression. `parts` of the replacement are literals, group numbers and variables."""

    pattern: Pattern
    parts: tuple[str | int | Pv, ...]
    everywhere: bool

    def replacements(self, run: Run, text: str) -> list[Replacement]:
        """What to replace, in order; empty if nothing matches. Raises SubstError for a match of no length."""
        found: list[Replacement] = []
        for match in self.pattern.finditer(text):
            if match.start() == match.end():
                raise SubstError("the expression matches the empty text")
            found.append(Replacement(match.start(), match.end(), self._replacement(run, match)))
            if not self.everywhere:
                break
        return found

    def apply(self, run: Run, text: str) -> str | None:
        """The text with its matches replaced, None if there are none. Raises SubstError."""
        out: list[str] = []
        at = 0
        for one in self.replacements(run, text):
            out += (text[at : one.start], one.text)
            at = one.end
        return "".join([*out, text[at:]]) if out else None

    def _replacement(self, run: Run, match: Match) -> str:
        out: list[str] = []
        for part in self.parts:
            if isinstance(part, str):
                out.append(part)
            elif isinstance(part, int):
                out.append(match[part] or "" if part <= self.pattern.groups else "")
            else:
                value = part.get(run)
                out.append("" if value is None else str(value))
        return "".join(out)


@lru_cache(CACHE_SIZE)
def parse_subst(expression: str, table: VariableTable) -> Substitution:
    """Read an expression. Raises SubstError."""
    if len(expression) < SHORTEST:
        raise SubstError(f"{expression!r} is too short for /match/replacement/flags")
    separator = expression[0]
    end = _separator(expression, 1)
    parts, last = _parts(expression, end + 1, separator, table)
    flags = expression[last + 1 :]
    if unknown := set(flags) - set("igs"):
        raise SubstError(f"unknown flag {min(unknown)!r} in {expression!r}")
    try:
        pattern = compile_posix(expression[1:end], ignore_case="i" in flags, newline="s" not in flags)
    except RegexError as error:
        raise SubstError(f"bad regular expression in {expression!r}: {error}") from error
    return Substitution(pattern, tuple(parts), "g" in flags)


def _separator(expression: str, at: int) -> int:
    """The next separator that no backslash precedes."""
    while (at := expression.find(expression[0], at)) > 0:
        if expression[at - 1] != "\\":
            return at
        at += 1
    raise SubstError(f"no second separator in {expression!r}")


def _parts(expression: str, at: int, separator: str, table: VariableTable) -> tuple[list[str | int | Pv], int]:
    """The replacement that begins at `at`, and the offset of the separator that ends it."""
    parts: list[str | int | Pv] = []
    for part, after in _scan(expression, at, separator, table):
        at = after
        if isinstance(part, str) and parts and isinstance(parts[-1], str):
            parts[-1] += part
        else:
            parts.append(part)
    if at >= len(expression):
        raise SubstError(f"no last separator in {expression!r}")
    return parts, at


def _scan(expression: str, at: int, separator: str, table: VariableTable) -> Iterator[tuple[str | int | Pv, int]]:
    """Each piece of a replacement, and the offset past it."""
    while at < len(expression) and expression[at] != separator:
        char = expression[at]
        if char == "\\":
            yield _escape(expression[at + 1 : at + 2], separator, table), at + 2
            at += 2
        elif char == "$" and expression.startswith("$$", at):
            yield "$", at + 2
            at += 2
        elif char == "$":
            try:
                pv, at = table.compile_at(expression, at)
            except PvError as error:
                raise SubstError(f"bad variable in {expression!r}: {error}") from error
            yield pv, at
        else:
            at += 1
            yield char, at


def _escape(char: str, separator: str, table: VariableTable) -> str | int | Pv:
    if char and char in "0123456789":
        return int(char)
    if char == "u" != separator:
        return table.compile("$ru")
    return char if char == separator else _ESCAPES.get(char, char)
