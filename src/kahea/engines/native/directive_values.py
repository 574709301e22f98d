"""Computes what `#!ifexp`, `#!defexp` and `#!defexps` say: sums and comparisons of numbers, texts and defined names.

The directives are of Kamailio 5.7 and later. A text stands in quotes. Operators are those of C with its precedence, and
`**` for powers. The left side says how both are taken: a text joins (`+`) and compares as text, a number as a number. A
name is what it is defined as, a number if that reads as one; 1 if it has no value, 0 if it is not defined.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Final

Value = float | str

#: Names that a value may be asked of without a definition.
KNOWN: Final[dict[str, Value]] = {"KAMAILIO_VERSION": 5006003.0, "OS_NAME": "linux"}

_TOKEN: Final = re.compile(
    r"""\s*(?: (?P<number> (?:0[xX][0-9A-Fa-f]+ | [0-9]+(?:\.[0-9]+)? | \.[0-9]+)(?![A-Za-z0-9_.]) )
      | (?P<text> "(?:[^"\\]|\\.)*" | '[^']*' )
      | (?P<name> [A-Za-z_][A-Za-z0-9_]* )
      | (?P<sign> \*\* | << | >> | <= | >= | == | != | && | \|\| | [-+*/%<>&|^~!()] ) )""",
    re.VERBOSE,
)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_NUMERAL: Final = re.compile(r"\s*[-+]?(?:0[xX][0-9A-Fa-f]+|[0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*")
_DEEPEST: Final = 100
_LONGEST_TEXT: Final = 65_536
_LARGEST_SHIFT: Final = 62

#: How strongly each operator binds.
_PRECEDENCE: Final = {
    "||": 1, "&&": 2, "|": 3, "^": 4, "&": 5, "==": 6, "!=": 6, "<": 7, ">": 7, "<=": 7, ">=": 7, "<<": 8, ">>": 8,
    "+": 9, "-": 9, "*": 10, "/": 10, "%": 10, "**": 12,
}  # fmt: skip
_UNARY: Final = 11
_COMPARISONS: Final[dict[str, Callable[[Value, Value], bool]]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip
_SUMS: Final[dict[str, Callable[[float, float], float]]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "%": math.fmod, "**": math.pow,
}  # fmt: skip
_BITS: Final[dict[str, Callable[[int, int], int]]] = {
    "&": operator.and_, "|": operator.or_, "^": operator.xor, "<<": operator.lshift, ">>": operator.rshift,
}  # fmt: skip


class ValueExpressionError(Exception):
    """An expression that has no value; `start` and `end` are where in its text."""

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.start = start
        self.end = end


def compute(text: str, defined: Mapping[str, str]) -> Value:
    """The value of an expression; `defined` has the values of names. Raises ValueExpressionError."""
    reading = _Reading(text, defined)
    value = reading.operation(0)
    if reading.kind:
        raise reading.error("expected an operator or the end of the line")
    return value


def written(value: Value) -> str:
    """The value as a definition has it: a whole number without a point."""
    if isinstance(value, str):
        return value
    return str(int(value)) if value == int(value) else f"{value:g}"


class _Reading:
    """One pass over an expression, by the operators' precedence. `kind` and `word` are the next token's."""

    def __init__(self, text: str, defined: Mapping[str, str]) -> None:
        self._text = text
        self._defined = defined
        self._depth = 0
        self._start = self._end = 0
        self.kind = self.word = ""
        self._advance()

    def error(self, message: str) -> ValueExpressionError:
        return ValueExpressionError(message, self._start, max(self._end, self._start))

    def _advance(self) -> None:
        at = self._end
        while at < len(self._text) and self._text[at].isspace():
            at += 1
        self._start = at
        if at == len(self._text) or self._text.startswith(("#", "//", "/*"), at):
            self._end, self.kind, self.word = at, "", ""
            return
        match = _TOKEN.match(self._text, at)
        if match is None:
            self._end = at + 1
            raise self.error(f"{self._text[at]!r} has no meaning in an expression")
        self._end, self.kind, self.word = match.end(), match.lastgroup or "", match.group().strip()

    def operation(self, weakest: int) -> Value:
        """A value, and what operators that bind at least as strongly as `weakest` make of it."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self.error(f"more than {_DEEPEST} parts within each other")
        left = self._operand()
        while self.kind == "sign" and (strength := _PRECEDENCE.get(self.word, -1)) >= max(weakest, 1):
            sign, start, end = self.word, self._start, self._end
            self._advance()
            # Powers are taken from the right; all else from the left.
            right = self.operation(strength if sign == "**" else strength + 1)
            try:
                left = _combined(sign, left, right)
            except (ArithmeticError, ValueError) as error:
                raise ValueExpressionError(f"{sign}: {error}", start, end) from error
        self._depth -= 1
        return left

    def _operand(self) -> Value:
        kind, word = self.kind, self.word
        if not kind:
            raise self.error("expected a value")
        if kind == "sign" and word in ("-", "+", "!", "~"):
            self._advance()
            value = self.operation(_UNARY)
            if word == "!":
                return float(not value)
            number = _number(value)
            return {"-": -number, "+": number, "~": float(~int(number))}[word]
        if word == "(":
            self._advance()
            value = self.operation(0)
            if self.word != ")":
                raise self.error("expected )")
            self._advance()
            return value
        if kind == "sign":
            raise self.error(f"expected a value, not {word}")
        value = self._plain(kind, word)
        self._advance()
        return value

    def _plain(self, kind: str, word: str) -> Value:
        if kind == "number":
            return _number(word)
        if kind == "text":
            return _unquoted(word)
        if word not in self._defined:
            return KNOWN.get(word, 0.0)
        value = self._defined[word].strip()
        if not value:
            return 1.0
        if _NUMERAL.fullmatch(value):
            return _number(value)
        return _unquoted(value) if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else value


def _combined(sign: str, left: Value, right: Value) -> Value:
    if sign == "&&":
        return float(bool(left) and bool(right))
    if sign == "||":
        return float(bool(left) or bool(right))
    if isinstance(left, str) and (sign == "+" or sign in _COMPARISONS):
        right = written(right)
        if sign == "+":
            if len(left) + len(right) > _LONGEST_TEXT:
                raise ValueError(f"a text of more than {_LONGEST_TEXT} characters")
            return left + right
        return float(_COMPARISONS[sign](left, right))
    one, other = _number(left), _number(right)
    if sign in _COMPARISONS:
        return float(_COMPARISONS[sign](one, other))
    if sign in _BITS:
        if sign in ("<<", ">>") and not 0 <= other <= _LARGEST_SHIFT:
            raise ValueError(f"shifts are by 0 to {_LARGEST_SHIFT}")
        return float(_BITS[sign](int(one), int(other)))
    result = _SUMS[sign](one, other)
    if not math.isfinite(result):
        raise ValueError("the result is no number")
    return result


def _number(value: Value) -> float:
    """A value as a number: 0 for a text that is none."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not _NUMERAL.fullmatch(text):
        return 0.0
    return float(int(text, 16)) if "x" in text.lower() else float(text)


def _unquoted(text: str) -> str:
    return _ESCAPED.sub(r"\1", text[1:-1]) if text[0] == '"' else text[1:-1]
