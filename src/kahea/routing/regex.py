"""POSIX regular expressions as Kamailio's scripts write them.

Kamailio compiles patterns with the C library's `regcomp`, as extended expressions. `compile_posix` reads that
grammar in full and writes the same expression for one of two engines:

* `re` where that is sure to be quick and to find the same: patterns without unbounded repetition whose alternatives
  are plain text at most (those are tried longest first, since POSIX takes the longest of the leftmost matches).
* RE2 (`linear.py`) for all others: linear in the text, whatever a sender puts there, and POSIX in what it finds.

What RE2 can't express (`\\1`, `\\<`, counts above 1000) is left to `re`, with a line in the log if it may take long.
Character classes such as `[:alpha:]` are those of ASCII.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import lru_cache

from kahea.routing.anyof import AnyOf
from kahea.routing.linear import LinearPattern, Pattern, Unsupported

log = logging.getLogger("kahea.script")

MAX_PATTERN = 4096  # characters
MAX_REPEAT = 32767  # POSIX's RE_DUP_MAX, as the C library has it
CACHE_SIZE = 1024

_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": " \\t\\n\\r\\f\\v",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}

#: GNU's additions to the grammar: what may follow a backslash, in Python's words.
_ESCAPES = {
    "w": "[0-9A-Za-z_]",
    "W": "[^0-9A-Za-z_]",
    "s": "[ \\t\\n\\r\\f\\v]",
    "S": "[^ \\t\\n\\r\\f\\v]",
    "b": "\\b",
    "B": "(?:\\B|\\A\\Z)",  # of Python's, none matches in an empty text
    "<": "\\b(?=\\w)",
    ">": "\\b(?<=\\w)",
    "`": "\\A",
    "'": "\\Z",
}

_ANCHORS = frozenset("bB<>`'")
_SIMPLE = {(0, None), (1, None), (0, 1)}  # the bounds of `*`, `+` and `?`


class RegexError(ValueError):
    """A pattern that `regcomp` would refuse; the message says why."""


@lru_cache(CACHE_SIZE)
def compile_posix(pattern: str, *, ignore_case: bool = False, newline: bool = False) -> Pattern:
    """Compile an extended expression. Raises RegexError.

    `newline` is REG_NEWLINE: `^` and `$` match at each line, neither `.` nor `[^...]` matches a line feed.
    Without it they match at the ends of the text only.
    """
    if len(pattern) > MAX_PATTERN:
        raise RegexError(f"longer than {MAX_PATTERN} characters")
    translator = _Translator(pattern, ignore_case=ignore_case, newline=newline)
    translated = translator.translate()
    if translator.unbounded or translator.chooses:
        try:
            return LinearPattern(translator.for_re2(), ignore_case=ignore_case)
        except Unsupported:
            if translator.unbounded:
                log.warning("the regular expression %r may take long on some texts", pattern)
    try:
        return re.compile(translated, re.IGNORECASE if ignore_case else 0)
    except (re.error, RecursionError, OverflowError) as error:
        raise RegexError(str(error)) from error


def finder(pattern: str, *, ignore_case: bool) -> Callable[[str], object]:
    """Whether an extended expression is found in a text: None if it is not. Raises RegexError.

    A choice of plain texts, as scripts have of clients that they don't serve, is looked for without an engine.
    """
    compiled = compile_posix(pattern, ignore_case=ignore_case)
    translator = _Translator(pattern, ignore_case=ignore_case, newline=False)
    translator.translate()
    words = translator.words
    if words is None or not all(word.isascii() for word in words):
        return compiled.search
    return AnyOf(tuple(words), ignore_case, compiled.search).search


class _Translator:
    """Reads one extended expression, and writes it in the syntax of `re`.

    `unbounded` says that something in it repeats without bound, `chooses` that it has alternatives which are more
    than plain text.
    """

    end_of_text = "\\Z"
    nothing = "(?!)"

    def __init__(self, pattern: str, *, ignore_case: bool, newline: bool) -> None:
        self.text = pattern
        self.at = 0
        self.ignore_case = ignore_case
        self.newline = newline
        self.open_groups = 0  # parentheses not closed yet
        self.groups = 0
        self.closed: set[int] = set()
        self.unbounded = False
        self.chooses = False
        #: The alternatives, if they are plain texts and all that there is.
        self.words: list[str] | None = None

    def translate(self) -> str:
        return self._alternatives()

    def for_re2(self) -> str:
        """The same in RE2's words."""
        return _ForRe2(self.text, ignore_case=self.ignore_case, newline=self.newline).translate()

    def _peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def _alternatives(self) -> str:
        """Up to the end or the closing parenthesis."""
        branches: list[tuple[str, str | None]] = []
        while True:
            branches.append(self._branch())
            if self._peek() != "|":
                break
            self.at += 1
        words = [plain for _, plain in branches if plain is not None]
        if len(words) == len(branches):
            self.words = words if not self.open_groups else None
            branches.sort(key=lambda b: -len(b[1] or ""))
            # Inside a group, what follows may need a shorter alternative than the first that fits.
            self.chooses = self.chooses or (len(branches) > 1 and self.open_groups > 0)
        else:
            branches.sort(key=lambda b: b[1] == "")
            self.chooses = self.chooses or len(branches) > 1
        return "|".join(branch for branch, _ in branches)

    def _branch(self) -> tuple[str, str | None]:
        """A sequence of pieces; its text if it is plain text."""
        out: list[str] = []
        plain: list[str] | None = []
        while (char := self._peek()) and char != "|" and not (char == ")" and self.open_groups):
            piece, literal = self._piece(first=not out)
            out.append(piece)
            if literal is None:
                plain = None
            elif plain is not None:
                plain.append(literal)
        return "".join(out), None if plain is None else "".join(plain)

    def _piece(self, *, first: bool) -> tuple[str, str | None]:
        atom, literal = self._atom(first=first)
        bounds: list[tuple[int, int | None]] = []
        while self._peek() in ("*", "+", "?", "{"):
            bound = self._repeat()
            if bounds and {bounds[-1], bound} <= _SIMPLE:
                # `a*+` and the like are one repetition.
                bounds[-1] = (min(bounds[-1][0], bound[0]), None if {bounds[-1], bound} != {(0, 1)} else 1)
            else:
                bounds.append(bound)
        for least, most in bounds:
            self.unbounded = self.unbounded or most is None
            literal = None
            atom = f"(?:{atom}){{{least},{'' if most is None else most}}}"
        return atom, literal

    def _repeat(self) -> tuple[int, int | None]:
        char = self._peek()
        if char != "{":
            self.at += 1
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]
        found = re.compile(r"\{([0-9]*)(,?)([0-9]*)\}").match(self.text, self.at)
        if found is None or not (found[1] or found[2]):
            raise RegexError("a bad repetition in braces")
        self.at = found.end()
        least = int(found[1] or 0)
        most = (int(found[3]) if found[3] else None) if found[2] else least
        if max(least, most or 0) > MAX_REPEAT or (most is not None and least > most):
            raise RegexError("a bad count in braces")
        return least, most

    def _atom(self, *, first: bool) -> tuple[str, str | None]:
        char = self._peek()
        self.at += 1
        if char == "(":
            return self._group()
        if char == "[":
            return self._bracket(), None
        if char == "\\":
            return self._escape()
        if char in "^$":
            self._refuse_repetition()
            lines, text = ("(?m:^)", "\\A") if char == "^" else ("(?m:$)", self.end_of_text)
            return (lines if self.newline else text), None
        if char == ".":
            return ("[^\\n]" if self.newline else "(?s:.)"), None
        if char in "*+?{" and (first or char == "{"):
            raise RegexError("a repetition of nothing")
        return re.escape(char), char

    def _refuse_repetition(self) -> None:
        if self._peek() in ("*", "+", "?", "{"):
            raise RegexError("a repetition of nothing")

    def _group(self) -> tuple[str, None]:
        self.groups += 1
        number = self.groups
        self.open_groups += 1
        inside = self._alternatives()
        if self._peek() != ")":
            raise RegexError("a parenthesis is not closed")
        self.at += 1
        self.open_groups -= 1
        self.closed.add(number)
        return f"({inside})", None

    def _escape(self) -> tuple[str, str | None]:
        char = self._peek()
        if not char:
            raise RegexError("a backslash at the end")
        self.at += 1
        if char in _ESCAPES:
            if char in _ANCHORS:
                self._refuse_repetition()
            return _ESCAPES[char], None
        if char in "123456789":
            if int(char) not in self.closed:
                raise RegexError(f"\\{char} names no group before it")
            return f"(?:\\{char})", None
        if self.ignore_case and char.isalpha():
            # The C library finds nothing for an escaped letter when case does not matter.
            return self.nothing, None
        return re.escape(char), char

    # Bracket expressions, in which a backslash is a character like any other.

    def _bracket(self) -> str:
        negated = self._peek() == "^"
        self.at += negated
        items: list[str] = []
        start = self.at
        while True:
            char = self._peek()
            if not char:
                raise RegexError("a bracket is not closed")
            if char == "]" and self.at > start:
                self.at += 1
                break
            items.append(self._bracket_item())
        inside = "".join(items)
        if not negated:
            return f"[{inside}]"
        return f"[^{inside}\\n]" if self.newline else f"[^{inside}]"

    def _bracket_item(self) -> str:
        if self.text.startswith("[:", self.at):
            end = self.text.find(":]", self.at)
            name = self.text[self.at + 2 : end]
            if end < 0 or name not in _CLASSES:
                raise RegexError(f"no character class [:{name}:]")
            self.at = end + 2
            return _CLASSES[name]
        low = self._bracket_char()
        following = self.text[self.at : self.at + 2]
        if not following.startswith("-") or following in ("-", "-]"):
            return _in_set(low)
        self.at += 1
        high = self._bracket_char()
        if high < low:
            raise RegexError("a range that ends before it begins")
        if self._peek() == "-" and self.text[self.at + 1 : self.at + 2] != "]":
            raise RegexError("a range that begins with a range")
        return f"{_in_set(low)}-{_in_set(high)}"

    def _bracket_char(self) -> str:
        for mark in (".", "="):
            if self.text.startswith(f"[{mark}", self.at):
                if self.text[self.at + 3 : self.at + 5] != f"{mark}]":
                    raise RegexError("no such collating element")
                char = self.text[self.at + 2]
                self.at += 5
                return char
        char = self._peek()
        if not char:
            raise RegexError("a bracket is not closed")
        self.at += 1
        return char


class _ForRe2(_Translator):
    """Writes the few words that RE2 has other ones for."""

    end_of_text = "\\z"
    nothing = "[^\\x00-\\xff]"


def _in_set(char: str) -> str:
    return "\\" + char if char in "\\]^-[&~|" else char


@lru_cache(CACHE_SIZE)
def compile_shell(pattern: str, *, ignore_case: bool = False) -> re.Pattern[str]:
    """Compile a shell pattern (fnmatch(3) without flags): `*`, `?`, `[...]`, and a backslash that quotes.

    Match it with `fullmatch`. A pattern that ends in a backslash matches nothing.
    """
    if len(pattern) > MAX_PATTERN:
        raise RegexError(f"longer than {MAX_PATTERN} characters")
    return re.compile(_from_shell(pattern), re.IGNORECASE if ignore_case else 0)


def _from_shell(pattern: str) -> str:
    out: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            # Lazy and possessive by turns would not help: stars in a row are one.
            if not out or out[-1] != "(?s:.*)":
                out.append("(?s:.*)")
        elif char == "?":
            out.append("(?s:.)")
        elif char == "\\":
            out.append(re.escape(pattern[at]) if at < len(pattern) else "(?!)")
            at += 1
        elif char == "[" and (bracket := _shell_bracket(pattern, at)) is not None:
            out.append(bracket[0])
            at = bracket[1]
        else:
            out.append(re.escape(char))
    return "".join(out)


def _shell_bracket(pattern: str, at: int) -> tuple[str, int] | None:
    """The bracket of a shell pattern that begins before `at`, and the offset past it; None if not closed."""
    inside = pattern[at:]
    negated = inside[:1] in ("!", "^")
    source = ("[^" if negated else "[") + inside[negated:]
    translator = _Translator(source, ignore_case=False, newline=False)
    translator.at = 1
    try:
        out = translator._bracket()
    except RegexError:
        return None
    return out, at + translator.at - (1 if not negated else 2) + negated
