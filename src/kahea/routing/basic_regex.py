"""POSIX basic regular expressions, as glibc reads them without REG_EXTENDED, written as extended ones.

In a basic expression the parentheses, braces and bar that mean something have a backslash, and so have GNU's `\\+` and
`\\?`; without it they are plain characters.
"""

from __future__ import annotations

from typing import Final

from kahea.routing.linear import Pattern
from kahea.routing.regex import RegexError, compile_posix

#: What is right before a place: what begins an expression, something that may be repeated, or a repetition.
_NOTHING, _ATOM, _REPEAT = range(3)
_REPEATS: Final = ("*", "\\+", "\\?", "\\{")
#: Characters that an extended expression needs a backslash for.
_SPECIAL: Final = frozenset("(){}|+?*^$")


def compile_basic(pattern: str) -> Pattern:
    """Compile a basic expression. Raises RegexError."""
    return compile_posix(_extended(pattern))


def _extended(pattern: str) -> str:
    out: list[str] = []
    at = 0
    before = _NOTHING
    anchored = False  # whether a `^` stands right before
    open_groups = 0
    while at < len(pattern):
        char = pattern[at]
        word = pattern[at : at + 2] if char == "\\" else char
        end = at + len(word)
        if word in ("\\(", "\\|"):
            out.append(word[1])
            open_groups += word == "\\("
            before, anchored = _NOTHING, False
        elif word == "^" and before == _NOTHING and not anchored:
            out.append(word)
            anchored = True
        elif word in _REPEATS and before != _NOTHING:
            if before == _REPEAT and word in ("*", "\\{"):
                raise RegexError("a repetition of a repetition")
            if word == "\\{":
                end = _bounds_end(pattern, at)
                out.append("{" + pattern[at + 2 : end - 2] + "}")
            else:
                out.append(word[-1])
            before = _REPEAT
        else:
            if word == "\\{":
                raise RegexError("a repetition of nothing")
            open_groups -= word == "\\)"
            if open_groups < 0:
                raise RegexError("a group is closed that was not opened")
            if word == "[":
                end = _bracket_end(pattern, at)
            last = end == len(pattern) or pattern.startswith(("\\)", "\\|"), end)
            out.append(_atom(word, last=last) if word != "[" else pattern[at:end])
            before, anchored = _ATOM, False
        at = end
    return "".join(out)


def _atom(word: str, *, last: bool) -> str:
    """A character, an escape or an anchor in the words of an extended expression."""
    if word == "\\)" or (word == "$" and last):
        return word[-1]
    if len(word) > 1:
        return word
    return "\\" + word if word in _SPECIAL else word


def _bounds_end(pattern: str, start: int) -> int:
    """The offset past the bounds of a repetition. Raises RegexError."""
    end = pattern.find("\\}", start)
    if end < 0:
        raise RegexError("a brace is not closed")
    return end + 2


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
