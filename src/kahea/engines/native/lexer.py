"""Cuts text into raw tokens: the shapes of the language's words, numbers, strings, variables and signs, and nothing of
what they mean. Directives come out as tokens too, for `preprocess` to follow."""

from __future__ import annotations

import re
from typing import NamedTuple

from kahea.engines.native.source import IP, NUMBER, SELECT, STRING, VARIABLE, WORD
from kahea.routing.pv.errors import PvError
from kahea.routing.pv.syntax import scan
from kahea.routing.text import wire

COMMENT = "comment"
DIRECTIVE = "directive"
#: A token that is none: `text` says what is wrong with it.
BAD = "bad"

DIRECTIVES = (
    "define|def|trydefine|trydef|redefine|redef|undefine|undef|tryundefine|tryundef|ifdef|ifndef|else|endif|substdefs"
    "|substdef|subst|defenvs|defenv|trydefenvs|trydefenv|include_file|import_file"
)

_HEX = "[0-9A-Fa-f]{1,4}"
_TOKEN = re.compile(
    rf"""
    (?P<space>   [ \t\r\n\f\v]+ )
  | (?P<directive> (?:\#!|!!)(?:{DIRECTIVES})(?![A-Za-z0-9_]) )
  | (?P<comment> \#[^\n]* | //[^\n]* | /\*.*?\*/ )
  | (?P<open>    /\* )
  | (?P<ip6>     \[[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:]*(?:\d+\.\d+\.\d+\.\d+)?\]
               | (?:{_HEX}:){{7}}{_HEX}(?![0-9A-Za-z_:])
               | (?:{_HEX}(?::{_HEX}){{0,6}})?::(?:{_HEX}(?::{_HEX}){{0,6}})?
                 (?:(?<=:)\d+\.\d+\.\d+\.\d+)?(?![0-9A-Za-z_:]) )
  | (?P<word>    [A-Za-z_][A-Za-z0-9_]* )
  | (?P<ip4>     \d{{1,3}}\.\d{{1,3}}\.\d{{1,3}}\.\d{{1,3}}(?![0-9A-Za-z_]) )
  | (?P<number>  0[xX][0-9A-Fa-f]+ | 0[bB][01]+ | \d+ )
  | (?P<single>  '[^']*' )
  | (?P<double>  "(?:[^"\\]|\\.)*" )
  | (?P<variable>\$ )
  | (?P<select>  @[A-Za-z_](?:[A-Za-z0-9_.]|\["[^"\n]*"\]|\[-?\w*\])* )
  | (?P<sign>    == | != | =~ | !~ | <= | >= | << | >> | && | \|\| | := | [-+*/%&|^~!<>=(){{}}\[\];,:.?@] )
  | (?P<bad>     . )
    """,
    re.VERBOSE | re.DOTALL,
)
_SIMPLE_VARIABLE = re.compile(r"\$[A-Za-z0-9_.?]+(?![A-Za-z0-9_.?(])")
_ESCAPE = re.compile(r"\\(?:([abfnrtv\\'\"])|x([0-9A-Fa-f]{1,2})|([0-7]{2,3})|(.))", re.DOTALL)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class Raw(NamedTuple):
    """A raw token: its kind, what the parser reads of it, and where it is."""

    kind: str
    text: str
    start: int
    end: int


def unescape(text: str) -> str:
    """What a double-quoted string means."""
    if "\\" not in text:
        return text
    out = _ESCAPE.sub(_unescaped, text)
    # Bytes written by number may make up one character.
    return out if out.isascii() else wire(out).decode("utf-8", "surrogateescape")


def _unescaped(match: re.Match[str]) -> str:
    simple, hexadecimal, octal, other = match.groups()
    if simple:
        return _ESCAPES.get(simple, simple)
    if hexadecimal:
        return _byte(int(hexadecimal, 16))
    if octal:
        # One digit is no number: \1 is the group of a substitution.
        return _byte(int(octal, 8) & 255)
    return "\\" + str(other)


def _byte(number: int) -> str:
    return bytes([number]).decode("utf-8", "surrogateescape")


def token(text: str, at: int) -> Raw | None:
    """The token at an offset; None at the end."""
    match = _TOKEN.match(text, at)
    if match is None:
        return None
    kind = match.lastgroup or ""
    end = match.end()
    if kind == "sign":
        sign = match.group()
        return Raw(sign, sign, at, end)
    if kind == "word":
        return Raw(WORD, match.group(), at, end)
    if kind == "double":
        return Raw(STRING, unescape(text[at + 1 : end - 1]), at, end)
    if kind == "single":
        return Raw(STRING, text[at + 1 : end - 1], at, end)
    if kind == "number":
        return Raw(NUMBER, match.group(), at, end)
    if kind == "variable":
        return _variable(text, at)
    if kind in ("ip4", "ip6"):
        return Raw(IP, match.group(), at, end)
    if kind == "select":
        return Raw(SELECT, match.group(), at, end)
    if kind == "open":
        return Raw(BAD, "the comment that begins here is not closed", at, len(text))
    if kind == "bad":
        return _bad(text, at)
    return Raw(kind, match.group(), at, end)


def _variable(text: str, at: int) -> Raw:
    match = _SIMPLE_VARIABLE.match(text, at)
    if match is not None:
        return Raw(VARIABLE, match.group(), at, match.end())
    try:
        end = scan(text, at).end
    except PvError as error:
        return Raw(BAD, str(error.args[0]), at, at + 1)
    return Raw(VARIABLE, text[at:end], at, end)


def _bad(text: str, at: int) -> Raw:
    char = text[at]
    if char in "\"'":
        end = text.find("\n", at)
        return Raw(BAD, "the string that begins here is not closed", at, len(text) if end < 0 else end)
    return Raw(BAD, f"unexpected character {char!r}", at, at + 1)
