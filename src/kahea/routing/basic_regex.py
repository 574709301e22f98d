"""POSIX basic regular expressions, as glibc reads them without REG_EXTENDED, written as extended ones.

In a basic expression the parentheses, braces and bar that mean something have a backslash, and so have GNU's `\\+` and
`\\?`; without it they are plain characters.
"""

from __future__ import annotations

from typing import Final

from kahea.routing.linear import Pattern
from kahea.routing.regex import RegexError, compile_posix

_PLAIN: Final = frozenset("(){}|+?")


def compile_basic(pattern: str) -> Pattern:
    """Compile a basic expression. Raises RegexError."""
    return compile_posix(_extended(pattern))


def _extended(pattern: str) -> str:
    out: list[str] = []
    at = 0
    begins = True  # a `*` here is a character, a `^` an anchor
    while at < len(pattern):
        char = pattern[at]
        pair = pattern[at : at + 2]
        if char == "\\":
            out.append(pair[1] if pair[1:] in _PLAIN and pair[1:] else pair)
            at += 2
            begins = pair in ("\\(", "\\|")
            continue
        if char == "[":
            end = _bracket_end(pattern, at)
            out.append(pattern[at:end])
            at = end
        elif char == "^" and begins:
            out.append(char)
            at += 1
            continue
        elif char == "$":
            last = at + 1 == len(pattern) or pattern[at + 1 : at + 3] in ("\\)", "\\|")
            out.append(char if last else "\\$")
            at += 1
        elif char in _PLAIN or char == "^" or (char == "*" and begins):
            out.append("\\" + char)
            at += 1
        else:
            out.append(char)
            at += 1
        begins = False
    return "".join(out)


def _bracket_end(pattern: str, start: int) -> int:
    """The offset past a bracket expression. Raises RegexError."""
    at = start + 1
    at += pattern[at : at + 1] == "^"
    at += pattern[at : at + 1] == "]"
    while at < len(pattern) and pattern[at] != "]":
        kind = pattern[at + 1 : at + 2]
        if pattern[at] == "[" and kind in (".", "=", ":") and kind:
            close = pattern.find(f"{kind}]", at + 2)
            at = len(pattern) if close < 0 else close + 2
        else:
            at += 1
    if at >= len(pattern):
        raise RegexError("a bracket is not closed")
    return at + 1
