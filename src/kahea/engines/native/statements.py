"""Statements: what stands in a route."""

from __future__ import annotations

from kahea.engines.native.cursor import SyntaxStop, shown
from kahea.engines.native.expressions import Expressions
from kahea.engines.native.source import END, STRING, VARIABLE, WORD, Token
from kahea.engines.native.tree import (
    Assign,
    Break,
    Call,
    Case,
    Drop,
    Evaluate,
    Exit,
    Expression,
    If,
    Return,
    RouteCall,
    Statement,
    String,
    Switch,
    While,
    Word,
)

_LEAVE: dict[str, type[Return | Exit | Drop]] = {"return": Return, "exit": Exit, "drop": Drop}

#: Functions of the core that may stand without parentheses.
_PLAIN_CALLS = frozenset(
    {
        "add_local_rport", "add_rport", "add_tcp_alias", "force_rport", "force_tcp_alias", "revert_uri",
        "set_forward_close", "set_forward_no_connect", "set_reply_close", "set_reply_no_connect",
    }
)  # fmt: skip


class Statements(Expressions):
    """Reads statements; after an error, the next one."""

    def block(self, opening: Token) -> tuple[Statement, ...]:
        """The statements up to the closing brace, which it takes."""
        out: list[Statement] = []
        while True:
            if self.take("}"):
                return tuple(out)
            if self.token.kind == END:
                line = opening.source.position(opening.start)[0]
                self.fail(f"expected }} for the {{ on line {line}, found end of file", opening.place)
            self.recovering(out)

    def recovering(self, out: list[Statement]) -> None:
        """One statement into the list; if it is wrong, past it."""
        depth, start = self.depth, self.at
        try:
            self.statement(out)
        except SyntaxStop:
            self.depth = depth
            self._skip(start)

    def _skip(self, start: int) -> None:
        """To the end of a broken statement: past its `;`, before the `}` around it, or past its own block."""
        if self.at == start:
            self.advance()
        depth = 0
        while self.token.kind != END:
            kind = self.token.kind
            if kind == "{":
                depth += 1
            elif kind == "}":
                if depth == 0:
                    return
                depth -= 1
                if depth == 0:
                    self.advance()
                    return
            elif kind == ";" and depth == 0:
                self.advance()
                return
            self.advance()

    def statement(self, out: list[Statement]) -> None:
        """One statement into the list; `;` adds nothing."""
        token = self.token
        if token.kind == ";":
            self.advance()
            return
        if token.kind == WORD:
            text = token.text
            if text == "if":
                out.append(self._if())
                return
            if text == "switch":
                out.append(self._switch())
                return
            if text == "while":
                out.append(self._while())
                return
            if text in _LEAVE:
                out.append(self._leave(token))
                return
            if text == "break":
                self.advance()
                out.append(Break(place=token.place))
                self.end("break")
                return
            if text in ("else", "case", "default"):
                self.fail(f"{text} without {'if' if text == 'else' else 'switch'}", token.place)
        if token.kind == VARIABLE:
            out.append(self._assign())
            return
        value = self.expression()
        if isinstance(value, Word) and value.text in _PLAIN_CALLS:
            value = Call(name=value.text, parentheses=False, place=value.place)
        if not isinstance(value, Call | RouteCall):
            self._bare(token, value)
        out.append(Evaluate(value=value, place=self.since(token)))
        self.end("the statement")

    def _bare(self, token: Token, value: Expression) -> None:
        if token.kind == WORD and self.token.kind != "=":
            self.missing("(", f"after {token.text}")
        self.fail("this does nothing: a statement is a call, an assignment, or if, switch, while, ...", value.place)

    def end(self, what: str) -> None:
        """The semicolon after a statement; one left out at the end of a line is noted and thought there."""
        if self.take(";"):
            return
        place = self.after_line()
        if place is None:
            self.missing(";", f"after {what}")
        self.note(self.expected(";", f"after {what}"), place)

    def _assign(self) -> Statement:
        target_token = self.token
        target = self._operand()
        operator = self.token.kind
        if operator not in ("=", ":="):
            self.missing("=", f"after {target_token.text}")
        self.advance()
        value = self.expression()
        out = Assign(target=target, value=value, operator=operator, place=self.since(target_token))  # type: ignore[arg-type]
        self.end("the assignment")
        return out

    def _leave(self, token: Token) -> Statement:
        self.advance()
        value: Expression | None = None
        if self.token.kind == "(" and self.peek().kind == ")":
            self.advance()
            self.advance()
        elif self.token.kind != ";":
            at, apart = self.at, self.after_line()
            value = self.expression()
            if apart and self.token.kind != ";":
                value = None
                self.back(at)
        out = _LEAVE[token.text](value=value, place=self.since(token))
        self.end(token.text)
        return out

    def _body(self, after: str) -> tuple[Statement, ...]:
        """A block, or one statement."""
        token = self.token
        if token.kind == "{":
            self.advance()
            return self.block(token)
        if token.kind == END:
            self.missing("{", f"after {after}")
        out: list[Statement] = []
        self.statement(out)
        return tuple(out)

    def _condition(self, what: str) -> Expression:
        if self.token.kind == "{":
            self.missing("a condition", f"after {what}")
        condition = self.expression()
        if self.token.kind == "=":
            self.fail("= assigns; == compares", self.token.place)
        return condition

    def _if(self) -> If:
        first = self.advance()
        condition = self._condition("if")
        self._deeper(first)
        body = self._body("the condition")
        orelse: tuple[Statement, ...] = ()
        if self.is_word("else"):
            self.advance()
            orelse = self._body("else")
        self.depth -= 1
        return If(condition=condition, body=body, orelse=orelse, place=self.since(first))

    def _deeper(self, token: Token) -> None:
        self.depth += 1
        if self.depth > 200:
            self.fail("nested too deep", token.place)

    def _while(self) -> While:
        first = self.advance()
        condition = self._condition("while")
        self._deeper(first)
        body = self._body("the condition")
        self.depth -= 1
        return While(condition=condition, body=body, place=self.since(first))

    def _switch(self) -> Switch:
        first = self.advance()
        subject = self._condition("switch")
        opening = self.expect("{", "after the subject of switch")
        self._deeper(first)
        cases: list[Case] = []
        while not self.take("}"):
            if self.token.kind == END:
                line = opening.source.position(opening.start)[0]
                self.fail(f"expected }} for the {{ on line {line}, found end of file", opening.place)
            cases.append(self._case())
        self.depth -= 1
        return Switch(subject=subject, cases=tuple(cases), place=self.since(first))

    def _case(self) -> Case:
        first = self.token
        value: Expression | None = None
        regex, flags = False, ""
        if self.is_word("default"):
            self.advance()
        elif self.is_word("case"):
            self.advance()
            if self.token.kind == "/":
                self.advance()
                regex = True
                if self.token.kind != STRING:
                    self.missing("a regular expression in quotes", "after case /")
                value = String(text=self.advance().text, place=self.since(first))
                if self.take("/") and self.token.kind == WORD:
                    flags = self.advance().text
            else:
                value = self.word("") if self.token.kind == WORD and self.peek().kind == ":" else self.expression()
        else:
            self.missing("case, default or }")
        self.expect(":", f"after {first.text}")
        place = self.since(first)
        body: list[Statement] = []
        while self.token.kind not in ("}", END) and not self.is_word("case") and not self.is_word("default"):
            self.recovering(body)
        return Case(value=value, body=tuple(body), regex=regex, flags=flags, place=place)


__all__ = ["Statements", "shown"]
