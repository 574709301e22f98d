"""One file of a cfg, and the tokens cut from it: both know their lines and columns, which are worked out when asked."""

from __future__ import annotations

from bisect import bisect_right

from kahea.engines.native.tree import Place


class Source:
    """A text under the name that diagnostics show for it."""

    __slots__ = ("lines", "name", "starts", "text")

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.lines = text.split("\n")
        self.starts: list[int] = []
        at = 0
        for line in self.lines:
            self.starts.append(at)
            at += len(line) + 1

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column, from 1."""
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def place(self, start: int, end: int) -> Place:
        """The place of a stretch of the text."""
        line, column = self.position(start)
        end_line, end_column = self.position(end)
        return Place(self.name, line, column, end_line, end_column)


class Token:
    """A word, number, string, variable, sign, ...

    `kind` is one of the constants below, or the sign itself. `text` is what the parser reads: of a string its content.
    A token that came out of a definition stands where the definition's name was used, and `via` is that name.
    """

    __slots__ = ("end", "kind", "source", "start", "text", "via")

    def __init__(self, kind: str, text: str, source: Source, start: int, end: int, via: str = "") -> None:
        self.kind = kind
        self.text = text
        self.source = source
        self.start = start
        self.end = end
        self.via = via

    @property
    def place(self) -> Place:
        """Where it stands."""
        return self.source.place(self.start, self.end)

    @property
    def written(self) -> str:
        """What stands in the file."""
        return self.source.text[self.start : self.end]

    def __repr__(self) -> str:
        return f"{self.kind} {self.text!r}"


CAST = "cast"
END = "end of file"
IP = "IP address"
NUMBER = "number"
#: What begins with a digit and is no number: `08`, `3com`.
NUMERAL = "numeral"
SELECT = "select"
STRING = "string"
VARIABLE = "variable"
WORD = "word"
