"""Cuts a script's text into tokens. The text has a character for each of its bytes, as all strings of the language do.

A newline is no token, but may end a statement: each token knows whether one stands before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from kahea.engines.squirrel.diagnostics import SyntaxFault
from kahea.engines.squirrel.runtime.numbers import float_in, wrapped

#: Kinds of tokens that are neither signs nor keywords, which are their own kind.
NAME: Final = "a name"
NUMBER: Final = "a number"
STRING: Final = "a string"
END: Final = "the end of the file"

_KEYWORDS: Final = """
    base break case catch class clone const constructor continue default delete do else enum extends false for foreach
    function if in instanceof local null rawcall resume return static switch this throw true try typeof while yield
    __FILE__ __LINE__
"""
KEYWORDS: Final = frozenset(_KEYWORDS.split())

_TOKEN: Final = re.compile(
    r"""
    (?P<space>    [ \t\r]+ | \#[^\n]* | //[^\n]* )
  | (?P<newline>  \n )
  | (?P<block>    /\*(?:[^*]|\*(?!/))*\*/ )
  | (?P<open>     /\* )
  | (?P<name>     [A-Za-z_][A-Za-z0-9_]* )
  | (?P<hex>      0[xX][0-9A-Fa-f]* )
  | (?P<octal>    0[0-7]+ )
  | (?P<float>    [0-9]+(?=[.eE])(?:[0-9.]|[eE][+-]?)+ )
  | (?P<integer>  [0-9]+ )
  | (?P<verbatim> @"(?:[^"]|"")*" )
  | (?P<string>   "(?:[^"\\\n]|\\.)*" )
  | (?P<char>     '(?:[^'\\\n]|\\.)*' )
  | (?P<sign>     <=> | >>> | \.\.\. | [-+*/%]= | == | != | <= | >= | <- | << | </ | >> | /> | && | \|\| | ::
                | -- | \+\+ | [-+*/%=<>!@{}()\[\];,?^~.&|:] )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE: Final = re.compile(r"\\(?:x([0-9A-Fa-f]{1,2})|([tabnrvf0\\\"'])|(.))", re.DOTALL)
_ESCAPES: Final = {"t": "\t", "a": "\a", "b": "\b", "n": "\n", "r": "\r", "v": "\v", "f": "\f", "0": "\0"}


class Token(NamedTuple):
    """A token: its kind, its value, its place, and whether it is the first of its line."""

    kind: str
    value: str | int | float
    line: int
    column: int
    first: bool


class Lexer:
    """The tokens of one text. Raises SyntaxFault."""

    def __init__(self, source: str, file: str) -> None:
        self.source = source
        self.file = file
        self._line = 1
        self._line_start = 0

    def fault(self, message: str, line: int, column: int) -> SyntaxFault:
        """An error at a place."""
        return SyntaxFault(self.file, self.source, line, column, message)

    def tokens(self) -> Iterator[Token]:
        """All tokens; the last is END, again and again."""
        source, at, first = self.source, 0, True
        end = source.find("\0")  # ends a text
        end = len(source) if end < 0 else end
        while at < end:
            match = _TOKEN.match(source, at, end)
            if match is None:
                raise self._stray(at)
            kind, found = str(match.lastgroup), match.group()
            line, column, at = self._line, at - self._line_start + 1, match.end()
            if kind == "newline":
                self._newline(at)
                first = True
            elif kind == "block":
                self._count_lines(match)
            elif kind == "open":
                raise self.fault('missing "*/" in comment', line, column)
            elif kind != "space":
                yield self._token(kind, found, line, column, first)
                first = False
                if kind == "verbatim":
                    self._count_lines(match)
        while True:
            yield Token(END, END, self._line, max(end - self._line_start, 0) + 1, first)

    def _newline(self, start: int) -> None:
        self._line += 1
        self._line_start = start

    def _count_lines(self, match: re.Match[str]) -> None:
        for at in re.finditer("\n", match.group()):
            self._newline(match.start() + at.end())

    def _stray(self, at: int) -> SyntaxFault:
        column = at - self._line_start + 1
        if self.source[at] in "\"'" or self.source.startswith('@"', at):
            line = self.source[at : self.source.find("\n", at)]
            message = "unfinished string" if "\n" not in self.source[at:] else "newline in a constant"
            return self.fault(message if line else "unfinished string", self._line, column)
        return self.fault(f"unexpected character {self.source[at]!a}", self._line, column)

    def _token(self, kind: str, found: str, line: int, column: int, first: bool) -> Token:
        if kind == "name":
            return Token(found if found in KEYWORDS else NAME, found, line, column, first)
        if kind == "sign":
            return Token(found, found, line, column, first)
        if kind == "string":
            return Token(STRING, self._unescaped(found[1:-1], line, column), line, column, first)
        if kind == "verbatim":
            return Token(STRING, found[2:-1].replace('""', '"'), line, column, first)
        if kind == "char":
            return Token(NUMBER, self._character(found, line, column), line, column, first)
        return Token(NUMBER, self._number(kind, found, line, column), line, column, first)

    def _character(self, found: str, line: int, column: int) -> int:
        one = self._unescaped(found[1:-1], line, column)
        if len(one) != 1:
            raise self.fault("constant too long" if one else "empty constant", line, column)
        return ord(one) - 256 if ord(one) > 127 else ord(one)

    def _number(self, kind: str, found: str, line: int, column: int) -> int | float:
        if kind == "float":
            if not found[-1].isdigit() and found[-1] != ".":
                raise self.fault("exponent expected", line, column)
            return float_in(found) or 0.0
        if kind == "hex":
            if len(found) > 18:
                raise self.fault("too many digits for an Hex number", line, column)
            return wrapped(int(found[2:] or "0", 16))
        if kind == "octal":
            return wrapped(int(found, 8))
        return wrapped(int(found))

    def _unescaped(self, inner: str, line: int, column: int) -> str:
        if "\\" not in inner:
            return inner

        def one(match: re.Match[str]) -> str:
            digits, letter, wrong = match.groups()
            if digits:
                return chr(int(digits, 16))
            if wrong:
                message = "hexadecimal number expected" if wrong == "x" else "unrecognised escaper char"
                raise self.fault(message, line, column + 1 + match.start())
            return _ESCAPES.get(letter, letter)

        return _ESCAPE.sub(one, inner)
