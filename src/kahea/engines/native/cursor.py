"""A place in the stream of tokens, and what is said when the next one is not what it must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from kahea.engines.native.diagnostics import ERROR, Diagnostic
from kahea.engines.native.preprocess import Definition
from kahea.engines.native.source import END, STRING, WORD, Token
from kahea.engines.native.tree import Place

#: After this many errors the rest is left alone.
MOST_ERRORS = 100


class SyntaxStop(Exception):
    """An error was noted; the statement around it is given up."""


class RouteInside(Exception):
    """A route begins where a statement was to be: noted, and the route around it is given up."""


class Cursor:
    """The tokens, and the one to read next."""

    def __init__(self, tokens: list[Token], definitions: Mapping[str, Definition]) -> None:
        self.tokens = tokens
        self.definitions = definitions
        self.at = 0
        self.token = tokens[0]
        self.diagnostics: list[Diagnostic] = []
        #: Where blocks begin in which nothing stands, not even a `;`.
        self.hollow: list[Place] = []
        #: Whether every declaration could be read, whatever is wrong with statements.
        self.whole = True

    def advance(self) -> Token:
        """Take the next token."""
        token = self.token
        if token.kind != END:
            self.at += 1
            self.token = self.tokens[self.at]
        return token

    def back(self, at: int) -> None:
        """Return to a token read before."""
        self.at = at
        self.token = self.tokens[at]

    def peek(self, ahead: int = 1) -> Token:
        """A token further on."""
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else self.tokens[-1]

    def take(self, kind: str) -> bool:
        """Take the next token if it is of this kind."""
        if self.token.kind != kind:
            return False
        self.advance()
        return True

    def is_word(self, text: str) -> bool:
        """Whether the next token is this word."""
        return self.token.kind == WORD and self.token.text == text

    def joined(self, ahead: int = 1) -> bool:
        """Whether no space is before the token so far on."""
        one, two = self.peek(ahead - 1), self.peek(ahead)
        return one.source is two.source and (one.end == two.start or bool(one.via and one.start == two.start))

    def begins_line(self) -> bool:
        """Whether the next token is the first of its line."""
        source, last = self.token.source, self.last()
        return self.at == 0 or last.source is not source or "\n" in source.text[last.end : self.token.start]

    def last(self) -> Token:
        """The token taken before."""
        return self.tokens[self.at - 1] if self.at else self.token

    def since(self, first: Token) -> Place:
        """The place from a token to the last one taken."""
        last = self.tokens[self.at - 1] if self.at else first
        if last.source is not first.source or last.end < first.start:
            return first.place
        return first.source.place(first.start, last.end)

    # ---- errors

    def expect(self, kind: str, where: str = "", hint: str = "") -> Token:
        """Take a token of this kind, or say that it is missing."""
        if self.token.kind != kind:
            self.missing(kind, where, hint)
        return self.advance()

    def missing(self, what: str, where: str = "", hint: str = "") -> NoReturn:
        """Say what was expected, and give up the statement."""
        place = self.after_line() if len(what) == 1 else None
        self.fail(self.expected(what, where), place or self.token.place, hint)

    def expected(self, what: str, where: str) -> str:
        """The message for a token that is not there."""
        return f"expected {what}{' ' + where if where else ''}, found {shown(self.token)}"

    def after_line(self) -> Place | None:
        """The end of the last token, if the next is on another line: where something was left out."""
        last = self.last()
        source = last.source
        if source is self.token.source and "\n" not in source.text[last.end : self.token.start]:
            return None
        return source.place(last.end, last.end)

    def fail(self, message: str, place: Place, hint: str = "") -> NoReturn:
        """Note an error and give up the statement."""
        self.note(message, place, hint)
        raise SyntaxStop

    def note(self, message: str, place: Place, hint: str = "") -> None:
        """Note an error and go on."""
        self.diagnostics.append(Diagnostic(ERROR, "syntax", message, place, hint or self._reason()))
        if len(self.diagnostics) >= MOST_ERRORS:
            self.back(len(self.tokens) - 1)

    def _reason(self) -> str:
        """What may have led to an error at the next token."""
        last = self.last()
        for token in (last, self.token):
            lines = token.written.count("\n") if token.kind == STRING else 0
            if lines:
                line = token.source.position(token.start)[0]
                return f"a string goes from line {line} to line {line + lines}: is its closing quote missing?"
        if last.kind == STRING and self.token.kind == WORD and self.joined(0):
            return 'a quote within a string is written \\"'
        if self.token.kind == ".":
            return "+ joins strings"
        via = self.token.via or last.via
        definition = self.definitions.get(via)
        if definition is not None:
            where = f", defined at {definition.place}" if definition.place else ""
            return f"{via} stands for {definition.value}{where}" if definition.value else f"{via} stands for nothing"
        return ""


def shown(token: Token) -> str:
    """A token as messages call it."""
    if token.kind == END:
        return END
    if token.kind == STRING:
        return "a string"
    return token.text
