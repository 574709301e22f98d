"""Expressions: operators by precedence, operands, calls. Precedence and associativity are Kamailio's, where `==` binds
tighter than `&`, and `!` tighter than either."""

from __future__ import annotations

from kahea.engines.native.cursor import Cursor, shown
from kahea.engines.native.source import IP, NUMBER, SELECT, STRING, VARIABLE, WORD, Token
from kahea.engines.native.tree import (
    Binary,
    Call,
    Expression,
    Number,
    RouteCall,
    Select,
    String,
    Unary,
    Variable,
    Word,
)

#: How tightly an operator binds, and the one spelling that the tree has for it.
_BINARY: dict[str, tuple[int, str]] = {
    "||": (2, "||"),
    "or": (2, "||"),
    "&&": (3, "&&"),
    "and": (3, "&&"),
    "|": (4, "|"),
    "&": (5, "&"),
    "^": (6, "^"),
    "<<": (7, "<<"),
    ">>": (8, ">>"),
    **{sign: (9, sign) for sign in ("==", "!=", "=~", "!~", "eq", "ne", "ieq", "ine")},
    **{sign: (10, sign) for sign in ("<", "<=", ">", ">=")},
    "+": (11, "+"),
    "-": (11, "-"),
    "*": (12, "*"),
    "/": (12, "/"),
    "mod": (12, "mod"),
    "%": (12, "mod"),
}
_UNARY = {"!": (13, "!"), "not": (13, "!"), "~": (13, "~"), "-": (13, "-"), "defined": (14, "defined")}
_CASTS = {"int": "(int)", "str": "(str)"}
_CAST_BINDS = 15
#: Deeper nesting is no script; it ends here instead of in Python's stack.
_DEEPEST = 100


class Expressions(Cursor):
    """Reads expressions."""

    depth = 0

    def expression(self, binds: int = 0) -> Expression:
        """An expression whose operators bind tighter than `binds`."""
        first = self.token
        self.depth += 1
        if self.depth > _DEEPEST:
            self.fail(f"nested more than {_DEEPEST} deep", first.place)
        left = self._operand()
        while True:
            token = self.token
            found = _BINARY.get(token.text) if token.kind != STRING else None
            if found is None or found[0] <= binds:
                break
            if token.kind in (VARIABLE, SELECT):
                break
            self.advance()
            right = self.expression(found[0])
            left = Binary(operator=found[1], left=left, right=right, place=self.since(first))
        self.depth -= 1
        return left

    def _operand(self) -> Expression:
        token = self.token
        kind = token.kind
        if kind == STRING:
            return self.string()
        if kind == VARIABLE:
            self.advance()
            return Variable(text=token.text, place=token.place)
        if kind == NUMBER:
            self.advance()
            return Number(value=number(token.text), place=token.place)
        if kind == WORD:
            return self._word(token)
        if kind == "(":
            return self._parenthesis(token)
        if kind in _UNARY:
            return self._unary(token)
        if kind == SELECT:
            self.advance()
            return Select(text=token.text, place=token.place)
        if kind != IP:
            self.missing("an expression")
        return self.address()

    def string(self) -> String:
        """A string; those that follow it belong to it."""
        first = self.advance()
        if self.token.kind != STRING:
            return String(text=first.text, place=first.place)
        parts = [first.text]
        while self.token.kind == STRING:
            parts.append(self.advance().text)
        return String(text="".join(parts), place=self.since(first))

    def address(self) -> Word:
        """An IP address, or a network: `10.0.0.0/8`, `10.0.0.0/255.0.0.0`."""
        first = self.advance()
        text = first.text
        if self.token.kind == "/" and self.peek().kind in (NUMBER, IP):
            self.advance()
            text += "/" + self.advance().text
        elif self.token.kind == ":" and self.joined(0) and self.peek().kind == NUMBER and self.joined():
            self.advance()
            text += ":" + self.advance().text
        return Word(text=text, place=self.since(first))

    def _unary(self, token: Token) -> Expression:
        binds, operator = _UNARY[token.text]
        self.advance()
        operand = self.expression(binds - 1)
        if operator == "-" and isinstance(operand, Number):
            return Number(value=-operand.value, place=self.since(token))
        return Unary(operator=operator, operand=operand, place=self.since(token))

    def _parenthesis(self, token: Token) -> Expression:
        word = self.peek()
        if word.kind == WORD and word.text in _CASTS and self.peek(2).kind == ")":
            for _ in range(3):
                self.advance()
            operand = self.expression(_CAST_BINDS - 1)
            return Unary(operator=_CASTS[word.text], operand=operand, place=self.since(token))
        self.advance()
        inside = self.expression()
        self.close(token)
        return inside

    def close(self, opening: Token) -> None:
        """Take the parenthesis that closes one."""
        if self.token.kind == ")":
            self.advance()
            return
        line = opening.source.position(opening.start)[0]
        self.missing(")", hint=f"the ( is on line {line}")

    def _word(self, token: Token) -> Expression:
        text = token.text
        if text in _UNARY:
            return self._unary(token)
        if self.peek().kind == "(":
            if text in ("strlen", "strempty"):
                self.advance()
                opening = self.advance()
                operand = self.expression()
                self.close(opening)
                return Unary(operator=text, operand=operand, place=self.since(token))
            return self._call(token)
        return self.word()

    def _call(self, token: Token) -> Expression:
        self.advance()
        opening = self.advance()
        arguments = self._arguments(opening)
        if token.text == "route":
            if not arguments:
                self.fail("route() needs the name of a route", self.since(token))
            return RouteCall(target=arguments[0], arguments=tuple(arguments[1:]), place=self.since(token))
        return Call(name=token.text, arguments=tuple(arguments), place=self.since(token))

    def _arguments(self, opening: Token) -> list[Expression]:
        arguments: list[Expression] = []
        if self.take(")"):
            return arguments
        while True:
            if self.token.kind == ",":
                arguments.append(String(text="", place=self.token.place))
            else:
                arguments.append(self.expression())
            if self.token.kind != ",":
                break
            self.advance()
        self.close(opening)
        return arguments

    def word(self, signs: str = ".:-") -> Word:
        """A word with what is written to it without a space: `uri:host`, `a.example.com`, `udp:192.0.2.1:5060`."""
        first = self.advance()
        text = first.text
        while self.token.kind in signs and self.joined(0) and self.joined():
            after = self.peek()
            if after.kind not in (WORD, NUMBER, IP, "*"):
                break
            text += self.advance().text + self.advance().text
        return Word(text=text, place=self.since(first))


def number(text: str) -> int:
    """The value of an integer literal."""
    if len(text) > 1 and text[0] == "0" and text.isdigit():
        digits = text.lstrip("0") or "0"
        return int(digits, 8) if not set(digits) & {"8", "9"} else int(digits)
    return int(text, 0)


__all__ = ["Expressions", "number", "shown"]
