"""Cuts text into raw tokens: the shapes of the language's words, numbers, strings, variables and signs, and nothing of
what they mean. Directives come out as tokens too, for `preprocess` to follow.

The shapes are those that real Kamailio was seen to accept; like it, characters that can begin nothing are passed over.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from kahea.engines.native.source import CAST, IP, NUMBER, NUMERAL, SELECT, STRING, VARIABLE, WORD
from kahea.routing.pv.errors import PvError
from kahea.routing.pv.syntax import closing, name_end, scan

COMMENT: Final = "comment"
DIRECTIVE: Final = "directive"
SPACE: Final = "space"
#: A character that counts for nothing.
STRAY: Final = "stray"
#: Tokens that are none: `text` says what is wrong. The second was to be a variable.
BAD: Final = "bad"
BAD_VARIABLE: Final = "bad variable"

DIRECTIVES: Final = (
    "define|def|trydefine|trydef|redefine|redef|defexps|defexp|ifdef|ifndef|ifexp|else|endif|substdefs|substdef|subst"
    "|defenvs|defenv|trydefenvs|trydefenv|include_file|import_file"
)

_HEX = "[0-9A-Fa-f]{1,4}"
_TOKEN: Final = re.compile(
    rf"""
    (?P<space>   [ \t\r\n\f\v]+ )
  | (?P<directive> (?:\#!|!!)(?:{DIRECTIVES})(?![A-Za-z0-9_]) )
  | (?P<comment> \#[^\n]* | //[^\n]* )
  | (?P<block>   /\* )
  | (?P<pair>    (?:uri:(?:host|port)|msg:len)(?![A-Za-z0-9_]) )
  | (?P<ip6>     \[[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:]*(?:\d+\.\d+\.\d+\.\d+)?\]
               | (?:{_HEX}:){{7}}{_HEX}(?![0-9A-Za-z_:])
               | (?:{_HEX}(?::{_HEX}){{0,6}})?::(?:{_HEX}(?::{_HEX}){{0,6}})?
                 (?:(?<=:)\d+\.\d+\.\d+\.\d+)?(?![0-9A-Za-z_:]) )
  | (?P<word>    [A-Za-z_][A-Za-z0-9_]* )
  | (?P<ip4>     [0-9]+\s*\.\s*[0-9]+\s*\.\s*[0-9]+\s*\.\s*[0-9]+(?![0-9A-Za-z_]) )
  | (?P<number>  (?:0x[0-9A-Fa-f]+|[01]+b|0[0-7]*|[1-9][0-9]*)(?![A-Za-z0-9_]) )
  | (?P<numeral> [0-9][A-Za-z0-9_]* )
  | (?P<single>  '[^']*' )
  | (?P<double>  "(?:[^"\\]|\\.)*"(?:[ \t\r\n]*"(?:[^"\\]|\\.)*")* )
  | (?P<variable>\$ )
  | (?P<alias>   %[A-Za-z_]\w* )
  | (?P<select>  @[ \t]*[A-Za-z_]\w*
                 (?:\s*\.\s*[A-Za-z_]\w*|\s*\[\s*(?:-?[0-9]+|[A-Za-z_]\w*|"[^"\n]*"|'[^'\n]*')\s*\])* )
  | (?P<cast>    \((?:int|str)\) )
  | (?P<sign>    == | != | =~ | <= | >= | << | >> | && | \|\| | [-+*/%&|^~!<>=(){{}}\[\];,:.@] )
  | (?P<bad>     ["'] )
  | (?P<stray>   . )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
#: A variable that ends with its name; all others are scanned. What SER had is read as one, too: attributes of a
#: user, a URI or a domain, and the index of one.
_PLAIN_VARIABLE: Final = re.compile(
    r"\$(?:(?:[fgt]|[ft][dru])\.[A-Za-z_]\w*|\w+|\?)(?![\w(])(?:\[\s*-?[0-9]+\s*\])?", re.ASCII
)
_BLOCK_MARK: Final = re.compile(r"/\*|\*/")
_VARIABLE_WORD: Final = re.compile(r"[^\s;]*")
_LONG_LINE: Final = 2000
_PART: Final = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(?:([antr\\\"])|x([0-9A-Fa-f]{1,2})|([0-7]{2,3})|(\n))")
_ESCAPES: Final = {"a": "\a", "n": "\n", "r": "\r", "t": "\t"}
_SELECT_SPACE: Final = re.compile(r"\"[^\"]*\"|'[^']*'|\s+")


class Raw(NamedTuple):
    """A raw token: its kind, what the parser reads of it, and where it is."""

    kind: str
    text: str
    start: int
    end: int


def unescape(text: str) -> str:
    """What stands between double quotes, unescaped; a backslash before anything else stays."""
    if "\\" not in text:
        return text
    out = _ESCAPE.sub(_unescaped, text)
    if out.isascii():
        return out
    # bytes that were written one by one may make a character together
    return out.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _unescaped(match: re.Match[str]) -> str:
    simple, hexadecimal, octal, _line = match.groups()
    if simple:
        return _ESCAPES.get(simple, simple)
    if not hexadecimal and not octal:
        return ""
    byte = int(hexadecimal, 16) if hexadecimal else int(octal, 8) & 255
    return chr(byte) if byte < 128 else chr(0xDC00 + byte)


def double_quoted(text: str) -> str:
    """What strings in double quotes mean together."""
    if text.count('"') == 2:
        return unescape(text[1:-1])
    return "".join(unescape(part) for part in _PART.findall(text))


def token(text: str, at: int) -> Raw | None:
    """The token at an offset; None at the end."""
    match = _TOKEN.match(text, at)
    if match is None:
        return None
    kind = match.lastgroup
    end = match.end()
    found = match.group()
    if kind == "sign":
        return Raw(found, found, at, end)
    if kind == "word" or kind == "pair":
        return Raw(WORD, found, at, end)
    if kind == "double":
        return Raw(STRING, double_quoted(found), at, end)
    if kind == "variable":
        return _variable(text, at)
    if kind == "number":
        return Raw(NUMBER, found, at, end)
    return _rarer(kind or "", text, found, at, end)


def _rarer(kind: str, text: str, found: str, at: int, end: int) -> Raw:
    if kind == "single":
        return Raw(STRING, found[1:-1], at, end)
    if kind == "ip4" or kind == "ip6":
        return Raw(IP, re.sub(r"\s+", "", found), at, end)
    if kind == "select":
        bare = _SELECT_SPACE.sub(lambda m: "" if m.group().isspace() else m.group(), found)
        return Raw(SELECT, bare, at, end)
    if kind == "numeral":
        return Raw(NUMERAL, found, at, end)
    if kind == "alias":
        return Raw(VARIABLE, found, at, end)
    if kind == "cast":
        return Raw(CAST, found, at, end)
    if kind == "block":
        return _block(text, at)
    if kind == "bad":
        return Raw(BAD, "the string that begins here is not closed", at, end)
    return Raw(kind, found, at, end)


def _block(text: str, at: int) -> Raw:
    """A comment of several lines, which may hold others."""
    depth = 0
    for mark in _BLOCK_MARK.finditer(text, at):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return Raw(COMMENT, text[at : mark.end()], at, mark.end())
    return Raw(BAD, "the comment that begins here is not closed", at, at + 2)


def _variable(text: str, at: int) -> Raw:
    match = _PLAIN_VARIABLE.match(text, at)
    if match is not None:
        return Raw(VARIABLE, match.group(), at, match.end())
    line = text.find("\n", at)
    line = len(text) if line < 0 else line
    try:
        end = scan(text, at).end
        if end <= line:
            return Raw(VARIABLE, text[at:end], at, end)
        message = "a parenthesis is not closed"
    except PvError as error:
        message = error.message
        opening = name_end(text, at + 1)
        end = closing(text, opening) + 1 if text[opening : opening + 1] == "(" else opening
    if not at < end <= line:
        # up to where it may have been meant to end; of a very long line, none is told from the rest
        end = _VARIABLE_WORD.match(text, at + 1).end() if line - at < _LONG_LINE else line  # type: ignore[union-attr]
    return Raw(BAD_VARIABLE, message, at, end)
