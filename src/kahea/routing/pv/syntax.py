"""The syntax of a pseudo-variable: finds where one ends, and splits it into its parts.

    $name   $name(inner)   $(name)   $(name(inner)[index]{class.function,param}...)   $$

Nothing is looked up here but transformations, since each says itself where its parameters end.
"""

from __future__ import annotations

from dataclasses import dataclass

from kahea.routing.pv.errors import PvError

_NAME_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.?")
_SPACES = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Expression:
    """The parts of one variable; offsets are in the text it was scanned from.

    `inner` and `index` are raw, None where absent. `chain` is the offset of the first `{`, -1 without one.
    """

    name: str
    inner: str | None
    index: str | None
    start: int
    name_at: int
    inner_at: int
    index_at: int
    chain: int
    stop: int  # where the parts must end: of the closing parenthesis, or of the expression
    end: int  # past the expression


def name_end(text: str, at: int) -> int:
    """Past the last character of the name that begins at `at`."""
    size = len(text)
    while at < size and text[at] in _NAME_CHARS:
        at += 1
    return at


def closing(text: str, at: int) -> int:
    """The offset of the parenthesis that closes the one at `at`, -1 if there is none."""
    depth = 0
    for i in range(at, len(text)):
        char = text[i]
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth == 0:
                return i
    return -1


def skip_spaces(text: str, at: int) -> int:
    """Past white space."""
    while at < len(text) and text[at] in _SPACES:
        at += 1
    return at


def scan(text: str, start: int = 0) -> Expression:
    """The expression whose `$` is at `start`; raises PvError."""
    if start >= len(text) or text[start] != "$":
        raise PvError("a variable begins with $", text, start)
    at = start + 1
    if at >= len(text):
        raise PvError("$ needs a name after it", text, start)
    if text[at] == "$":
        return Expression("$", None, None, start, at, -1, -1, -1, at + 1, at + 1)
    if text[at] != "(":
        return _scan_bare(text, start)
    stop = closing(text, at)
    if stop < 0:
        raise PvError("a parenthesis is not closed", text, at)
    return _scan_inside(text, start, stop)


def _scan_bare(text: str, start: int) -> Expression:
    at = start + 1
    end = name_end(text, at)
    if end == at:
        raise PvError("$ needs a name after it", text, at)
    name = text[at:end]
    if end < len(text) and text[end] == "(":
        stop = closing(text, end)
        if stop < 0:
            raise PvError("a parenthesis is not closed", text, end)
        return Expression(name, text[end + 1 : stop], None, start, at, end + 1, -1, -1, stop + 1, stop + 1)
    return Expression(name, None, None, start, at, -1, -1, -1, end, end)


def _scan_inside(text: str, start: int, stop: int) -> Expression:
    name_at = start + 2
    at = name_end(text, name_at)
    if at == name_at:
        raise PvError("$( needs a name after it", text, name_at)
    name = text[name_at:at]
    inner = index = None
    inner_at = index_at = chain = -1
    if text[at] == "(":
        close = closing(text, at)
        inner, inner_at, at = text[at + 1 : close], at + 1, close + 1
    if text[at] == "[":
        close = _closing_bracket(text, at, stop)
        index, index_at, at = text[at + 1 : close], at + 1, close + 1
    if text[at] == "{":
        chain = at
    elif at != stop:
        expected = "{ or )" if index is not None else "[, { or )" if inner is not None else "(, [, { or )"
        raise PvError(f"expected {expected}", text, at)
    return Expression(name, inner, index, start, name_at, inner_at, index_at, chain, stop, stop + 1)


def _closing_bracket(text: str, at: int, stop: int) -> int:
    depth = 0
    for i in range(at, stop):
        if text[i] == "[":
            depth += 1
        elif text[i] == "]":
            depth -= 1
            if depth == 0:
                return i
    raise PvError("a bracket is not closed", text, at)
