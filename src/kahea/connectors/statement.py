"""Statements as scripts write them: placeholders, what must not reach a database, and text as a literal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from kahea.connectors.errors import Refused

#: Tokens in which a quote, a semicolon or a question mark means nothing else. In MySQL a backslash escapes.
_MYSQL_TOKENS: Final = re.compile(
    r"""(?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")|`[^`]*`|/\*.*?\*/|(?:--(?=\s)|\#)[^\n]*|(?P<mark>[?;])""",
    re.DOTALL,
)
_STANDARD_TOKENS: Final = re.compile(
    r"""(?<![\w$])[eE]'(?:[^'\\]|\\.|'')*'|(?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")|/\*.*?\*/|--[^\n]*"""
    r"""|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|(?P<mark>[?;])""",
    re.DOTALL,
)
#: A quote after a backslash that nothing escapes: inside a literal of a database to which a backslash means nothing.
_BACKSLASHED_QUOTE: Final = re.compile(r"""(?<!\\)(?:\\\\)*\\['"]""")


class Statement:
    """A statement with its placeholders, `?`, found; raises Refused for what must not reach the database.

    That is nothing, more than one statement, and text that was escaped for MySQL where a backslash escapes nothing:
    there it would end the literal that it stands in, and what a sender wrote would be read as SQL.
    """

    __slots__ = ("_dialect", "_pieces", "text")

    def __init__(self, text: str, dialect: str) -> None:
        if not text.strip():
            raise Refused("the statement is empty")
        self.text = text
        self._dialect = dialect
        tokens = _MYSQL_TOKENS if dialect == "mysql" else _STANDARD_TOKENS
        at = 0
        pieces: list[str] = []
        for token in tokens.finditer(text):
            literal, mark = token["text"], token["mark"]
            if literal is not None:
                if dialect != "mysql" and "\\" in literal and _BACKSLASHED_QUOTE.search(literal):
                    raise Refused(
                        f"a quote is escaped with a backslash, which does nothing in {dialect}: "
                        "give the value as a parameter"
                    )
            elif mark == "?":
                pieces.append(text[at : token.start()])
                at = token.end()
            elif mark == ";" and text[token.end() :].strip():
                raise Refused("there is more than one statement")
        pieces.append(text[at:])
        self._pieces = pieces

    def with_parameters(self, parameters: Sequence[object]) -> str:
        """The text with the driver's placeholders. Raises Refused where their number is wrong."""
        wanted = len(self._pieces) - 1
        if wanted != len(parameters):
            raise Refused(f"there are {len(parameters)} values for {wanted} placeholders (?)")
        if self._dialect == "postgresql":
            return "".join(f"${i}{piece}" if i else piece for i, piece in enumerate(self._pieces))
        if self._dialect == "mysql":
            return "%s".join(piece.replace("%", "%%") for piece in self._pieces)
        return self.text


def quote(text: str, dialects: Sequence[str]) -> str | None:
    """The text as a literal that ends where it should in each of these databases; None if there is none.

    With MySQL alone quotes and backslashes are escaped with a backslash, as Kamailio does it.
    """
    kinds = set(dialects)
    if kinds <= {"mysql"}:
        return "'" + re.sub(r"['\"\\]", r"\\\g<0>", text).replace("\0", "\\0") + "'"
    if "\0" in text:
        return None
    doubled = text.replace("'", "''")
    plain = f"'{doubled}'"
    if "\\" not in text or ("mysql" not in kinds and _BACKSLASHED_QUOTE.search(plain) is None):
        return plain
    # A backslash before a quote is what a `Statement` refuses, so another way to write it.
    if kinds == {"postgresql"}:
        return "E'" + doubled.replace("\\", "\\\\") + "'"
    if kinds == {"sqlite"}:
        return "('" + doubled.replace("\\", "'||char(92)||'") + "')"
    return None


__all__ = ["Statement", "quote"]
