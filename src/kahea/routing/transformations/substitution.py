"""`/match/replacement/flags`, as `{re.subst,...}` and textops' subst functions take it.

Kamailio's expressions are POSIX extended ones; Python's `re` reads the same ones but for bracket classes
such as `[[:digit:]]`, which are translated here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kahea.routing.module import Value
from kahea.routing.pv.chain import Step, Transformation, failed, narrow
from kahea.routing.pv.format import Format

if TYPE_CHECKING:
    from kahea.routing.pv.table import VariableTable
    from kahea.routing.run import Run

MAX_EXPRESSION = 4096
MAX_RESULT = 64 * 1024

_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": " \\t\\r\\n\\v\\f",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}


def posix(pattern: str, *, ignore_case: bool = False, newline: bool = False) -> re.Pattern[str]:
    """Compile a POSIX extended expression; raises ValueError. With `newline`, `^` and `$` match at each line
    and `.` matches no line end."""
    if len(pattern) > MAX_EXPRESSION:
        raise ValueError("the expression is too long")
    flags = re.ASCII | (re.IGNORECASE if ignore_case else 0) | (re.MULTILINE if newline else re.DOTALL)
    try:
        return re.compile(_translated(pattern, newline), flags)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"bad regular expression: {error}") from None


def _translated(pattern: str, newline: bool) -> str:
    """The same expression in Python's words."""
    out: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\" and at + 1 < len(pattern):
            follower = pattern[at + 1]
            out.append(
                char + follower if follower in "wWsSbB123456789nrt" or not follower.isalnum() else follower
            )
            at += 2
        elif char == "[":
            at = _bracket(pattern, at, out)
        else:
            out.append("\\Z" if char == "$" and not newline else char)
            at += 1
    return "".join(out)


def _bracket(pattern: str, at: int, out: list[str]) -> int:
    """A bracket expression, in which a backslash is an ordinary character."""
    out.append("[")
    at += 1
    if pattern.startswith("^", at):
        out.append("^")
        at += 1
    first = True
    while at < len(pattern):
        char = pattern[at]
        if char == "]" and not first:
            out.append("]")
            return at + 1
        first = False
        if pattern.startswith("[:", at):
            end = pattern.find(":]", at)
            name = pattern[at + 2 : end]
            if end < 0 or name not in _CLASSES:
                raise ValueError(f"unknown character class [:{name}:]")
            out.append(_CLASSES[name])
            at = end + 2
            continue
        out.append("\\" + char if char in "\\[]&~|" else char)
        at += 1
    raise ValueError("a bracket is not closed")


@dataclass(frozen=True, slots=True)
class Substitution:
    """A compiled `/match/replacement/flags`. `pieces` are literals, group numbers and formats."""

    pattern: re.Pattern[str]
    pieces: tuple[str | int | Format, ...]
    everywhere: bool

    def apply(self, run: Run, text: str) -> str | None:
        """The text with its matches replaced; None where nothing can be done: an empty match, or too long a
        result.

        Text and result are bytes in disguise, see `pv.chain`.
        """
        out: list[str] = []
        at = size = 0
        for found in self.pattern.finditer(text):
            if found.end() == found.start():
                return None
            piece = text[at : found.start()] + self._replacement(run, found)
            out.append(piece)
            size += len(piece)
            if size > MAX_RESULT:
                return None
            at = found.end()
            if not self.everywhere:
                break
        out.append(text[at:])
        return "".join(out)

    def matches(self, text: str) -> bool:
        """Whether anything would be replaced."""
        return self.pattern.search(text) is not None

    def _replacement(self, run: Run, found: re.Match[str]) -> str:
        out = []
        for piece in self.pieces:
            if isinstance(piece, str):
                out.append(piece)
            elif isinstance(piece, int):
                out.append(found[piece] or "")
            else:
                out.append(narrow(piece.render(run)))
        return "".join(out)


def parse_substitution(expression: str, table: VariableTable) -> Substitution:
    """Read `/match/replacement/flags`, with any character in place of `/`; raises ValueError or PvError.

    The replacement may hold `\\0` to `\\9`, escapes, and variables.
    """
    if len(expression) < 3 or expression[0] == "\\":
        raise ValueError("expected /match/replacement/flags")
    separator = expression[0]
    end = _next(expression, 1, separator)
    last = _next(expression, end + 1, separator)
    flags = expression[last + 1 :]
    if unknown := set(flags) - set("igs"):
        raise ValueError(f"unknown flag {min(unknown)}")
    match = expression[1:end].replace("\\" + separator, separator)
    pattern = posix(narrow(match), ignore_case="i" in flags, newline="s" not in flags)
    pieces = _pieces(expression[end + 1 : last], separator, table)
    if any(isinstance(piece, int) and piece > pattern.groups for piece in pieces):
        raise ValueError("the replacement names a group that the expression does not have")
    return Substitution(pattern, tuple(pieces), "g" in flags)


def _next(text: str, at: int, separator: str) -> int:
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if text[at] == separator:
            return at
        at += 1
    raise ValueError(f"expected another {separator}")


def _pieces(text: str, separator: str, table: VariableTable) -> list[str | int | Format]:
    pieces: list[str | int | Format] = []
    at = begin = 0

    def literal(end: int) -> None:
        if end > begin:
            chunk = text[begin:end]
            pieces.append(table.format(chunk) if "$" in chunk else narrow(chunk))

    while at < len(text):
        if text[at] != "\\" or at + 1 >= len(text):
            at += 1
            continue
        literal(at)
        follower = text[at + 1]
        if follower.isdigit() and follower.isascii():
            pieces.append(int(follower))
        elif follower == separator:
            pieces.append(separator)
        else:
            pieces.append(_ESCAPES.get(follower, "\\" + follower))
        at += 2
        begin = at
    literal(len(text))
    return pieces


def _build(table: VariableTable, expression: str) -> Step:
    substitution = parse_substitution(expression, table)

    def step(run: Run, value: Value) -> Value:
        """An empty text, and null, give null; what does not match stays what it is."""
        if value is None or value == "":
            return None
        text = str(value)
        return substitution.apply(run, text) if substitution.matches(text) else value

    return step


_SUBST: Callable[[VariableTable, str], Step] = _build

SUBSTITUTION: tuple[Transformation, ...] = (Transformation("re.subst", failed, ("rest",), build=_SUBST),)
