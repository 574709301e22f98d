"""Statements: what stands in a route."""

from __future__ import annotations

from typing import Final

from kahea.engines.native.cursor import RouteInside, SyntaxStop
from kahea.engines.native.diagnostics import nearest
from kahea.engines.native.expressions import Expressions
from kahea.engines.native.reserved import BARE_CALLS, NUMBERS, ROUTES
from kahea.engines.native.source import END, STRING, VARIABLE, WORD, Token
from kahea.engines.native.tree import (
    Binary,
    Break,
    Call,
    Case,
    Choice,
    Drop,
    Evaluate,
    Exit,
    Expression,
    If,
    Number,
    Return,
    RouteCall,
    Statement,
    String,
    Switch,
    Unary,
    While,
)

_WITH_BLOCKS: Final = ("if", "switch", "while")
#: What a statement may begin with.
_WORDS: Final = (*_WITH_BLOCKS, "break", "drop", "else", "exit", "return", *BARE_CALLS)
#: Words of other languages, and what they are here.
_FOREIGN: Final = {
    **dict.fromkeys(("elseif", "elsif", "elif"), "it is written else if (...) { ... }"),
    **dict.fromkeys(("then", "begin"), "a block stands in { }"),
    **dict.fromkeys(("end", "endif", "fi", "done", "endwhile"), "a block ends by }"),
    "unless": "it is written if (!(...)) { ... }",
    "until": "it is written while (!(...)) { ... }",
    **dict.fromkeys(("for", "foreach", "do"), "loops are written while (...) { ... }"),
    **dict.fromkeys(("set", "let", "var", "local", "int", "str"), "variables need no declaration: $var(x) = 1;"),
    **dict.fromkeys(("goto", "call"), "a route is called by route(NAME);"),
    "continue": "there is none; an if around the rest of the loop does the same",
}
_LEAVE: Final[dict[str, type[Return | Exit | Drop]]] = {"return": Return, "exit": Exit, "drop": Drop}


class Statements(Expressions):
    """Reads statements; after an error, the next one."""

    #: How many `switch` are around.
    switches = 0
    #: A hint at the first block of the route whose end is indented otherwise than its beginning.
    odd_block = ""

    def block(self, opening: Token) -> tuple[Statement, ...]:
        """The statements up to the closing brace, which it takes."""
        out: list[Statement] = []
        if self.token.kind == "}":
            self.hollow.append(opening.place)
        while self.token.kind != "}":
            if self.token.kind == END:
                self._open_to_the_end(opening)
            if self.switches and self._at_label():
                line = opening.source.position(opening.start)[0]
                message = f"{self.token.text} can't stand inside the block that begins on line {line}"
                self.note(message, self.token.place, "is a } missing before it?")
                return tuple(out)
            self._recovering(out)
        self._compare_indents(opening)
        self.advance()
        return tuple(out)

    def _open_to_the_end(self, opening: Token) -> None:
        line = opening.source.position(opening.start)[0]
        self.fail(f"expected }} for the {{ on line {line}, found {END}", opening.place, self.odd_block)

    def _compare_indents(self, opening: Token) -> None:
        """At the end of a block: remember it if it looks as if it closed another."""
        closing = self.token
        if self.odd_block or closing.source is not opening.source or not self.begins_line():
            return
        first, last = (each.source.position(each.start)[0] for each in (opening, closing))
        lines = opening.source.lines
        if _indent(lines[first - 1]) != _indent(lines[last - 1]):
            self.odd_block = f"the {{ on line {first} is closed on line {last}, which is indented otherwise"

    def _recovering(self, out: list[Statement]) -> None:
        """One statement into the list; if it is wrong, past it."""
        depth, switches, start = self.depth, self.switches, self.at
        try:
            self.statement(out)
        except SyntaxStop:
            self.depth, self.switches = depth, switches
            self.calling = ""
            self._skip(start)

    def _skip(self, start: int) -> None:
        """To the end of a broken statement: past its `;`, before the `}` around it, or past its own block."""
        if self.at == start and self.token.kind != "{":
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
        elif token.kind == VARIABLE:
            out.append(self.assignment())
            self.end("the assignment")
        elif token.kind == WORD:
            if token.text in ROUTES and self.peek().kind in ("[", "{"):
                hint = self.odd_block or "is a } missing before it?"
                self.note("a route can't begin inside another", token.place, hint)
                raise RouteInside
            out.append(self._worded(token))
        elif token.kind == "{":
            self.fail("a block belongs to if, else, while, switch or a route", token.place)
        else:
            self.missing("a statement")

    def _worded(self, token: Token) -> Statement:
        text = token.text
        if text == "if":
            return self._if()
        if text == "switch":
            return self._switch()
        if text == "while":
            return self._while()
        if text in _LEAVE:
            return self._leave(token)
        if text == "break":
            self.advance()
            self.end("break")
            return Break(place=token.place)
        if text in ("else", "case"):
            self.fail(f"{text} without {'if' if text == 'else' else 'switch'}", token.place)
        if text in _FOREIGN and self.peek().kind != "=":
            self.fail(f"{text} is no word of this language", token.place, _FOREIGN[text])
        value = self._operand()
        if not isinstance(value, Call | RouteCall):
            self._no_statement(token, value)
        place = self.since(token)
        self.end("the call", nearest(text, _WITH_BLOCKS) if self.token.kind == "{" else "")
        return Evaluate(value=value, place=place)

    def _no_statement(self, token: Token, value: Expression) -> None:
        if self.token.kind == "=":
            self.fail(f"{token.text} can't be assigned in a route", token.place, "variables begin with $")
        if not isinstance(value, Unary | Choice | Number):
            self.missing("(", f"after {token.text}", nearest(token.text, _WORDS))
        self.fail("this is no statement: expected a call, an assignment, if, switch, while, ...", value.place)

    def end(self, what: str, hint: str = "") -> None:
        """The semicolon after a statement; one left out at the end of a line is noted and thought there."""
        if self.take(";"):
            return
        place = self.after_line()
        if place is None:
            self.missing(";", f"after {what}", hint)
        self.note(self.expected(";", f"after {what}"), place)

    def _leave(self, token: Token) -> Statement:
        self.advance()
        value: Expression | None = None
        if self.token.kind == "(" and self.peek().kind == ")":
            self.advance()
            self.advance()
        elif self.token.kind != ";":
            at, apart = self.at, self.after_line()
            if apart and self.token.kind in ("}", END):
                self.note(self.expected(";", f"after {token.text}"), apart)
                return _LEAVE[token.text](place=token.place)
            value = self.expression()
            if apart and self.token.kind != ";":
                value = None
                self.back(at)
        place = self.since(token)
        self.end(token.text)
        return _LEAVE[token.text](value=value, place=place)

    # ---- branches and loops

    def _body(self, after: str) -> tuple[Statement, ...]:
        """A block, or one statement."""
        token = self.token
        if token.kind == "{":
            self.advance()
            return self.block(token)
        if token.kind == END or token.kind == "}":
            self.missing("{ or a statement", f"after {after}")
        out: list[Statement] = []
        self.statement(out)
        return tuple(out)

    def _condition(self, what: str) -> Expression:
        if self.token.kind == "{":
            self.missing("a condition", f"after {what}")
        condition = self.expression()
        if self.token.kind == "=":
            self.fail("= can't stand here", self.token.place, "== compares")
        if self.token.kind == ")":
            self.fail("there is one ) too many", self.token.place)
        return condition

    def _if(self) -> If:
        """An `if` with all that its `else if`s add."""
        parts: list[tuple[Token, Expression, tuple[Statement, ...]]] = []
        orelse: tuple[Statement, ...] = ()
        self.deeper(self.token)
        while True:
            first = self.advance()
            condition = self._condition("if")
            parts.append((first, condition, self._body("the condition")))
            if not self.is_word("else"):
                break
            self.advance()
            if not self.is_word("if"):
                orelse = self._body("else")
                break
        self.depth -= 1
        made: If | None = None
        for first, condition, body in reversed(parts):
            rest = orelse if made is None else (made,)
            made = If(condition=condition, body=body, orelse=rest, place=self.since(first))
        assert made is not None
        return made

    def _while(self) -> While:
        first = self.advance()
        condition = self._condition("while")
        self.deeper(first)
        body = self._body("the condition")
        self.depth -= 1
        return While(condition=condition, body=body, place=self.since(first))

    def _switch(self) -> Switch:
        first = self.advance()
        subject = self._condition("switch")
        opening = self.expect("{", "after the subject of switch")
        self.deeper(first)
        self.switches += 1
        cases: list[Case] = []
        while not self.take("}"):
            if self.token.kind == END:
                self._open_to_the_end(opening)
            self._case_recovering(cases)
        self.switches -= 1
        self.depth -= 1
        return Switch(subject=subject, cases=tuple(cases), place=self.since(first))

    def _case_recovering(self, cases: list[Case]) -> None:
        """One case; after an error in its label, on to the next."""
        depth, switches = self.depth, self.switches
        try:
            self._case(cases)
        except SyntaxStop:
            self.depth, self.switches = depth, switches
            self.calling = ""
            inside = 0
            while self.token.kind != END and (inside or not (self.token.kind == "}" or self._at_label())):
                inside += (self.token.kind == "{") - (self.token.kind == "}")
                self.advance()

    def _case(self, cases: list[Case]) -> None:
        first = self.token
        value: Expression | None = None
        regex = False
        if self.is_word("default"):
            self.advance()
            if any(case.value is None for case in cases):
                self.note("a switch has one default only", first.place)
        elif not self.is_word("case"):
            self.missing("case, default or }")
        else:
            self.advance()
            regex = self.take("/")
            if regex and self.token.kind != STRING:
                self.missing("a regular expression in quotes", "after case /")
            value = self._label()
        place = self.since(first)
        self.expect(":", f"after {first.text}")
        body: list[Statement] = []
        while self.token.kind not in ("}", END) and not self._at_label():
            self._recovering(body)
        cases.append(Case(value=value, body=tuple(body), regex=regex, place=place))

    def _at_label(self) -> bool:
        return self.is_word("case") or (self.is_word("default") and self.peek().kind == ":")

    def _label(self) -> Expression:
        if self.token.kind == WORD and self.token.text not in NUMBERS and self.peek().kind == ":":
            self.missing("a constant", "after case")
        value = self.expression()
        if not constant(value):
            self.fail("a case must be a constant: a number, a string, or made of them", value.place)
        return value


def _indent(line: str) -> str:
    """The white space that a line begins with."""
    return line[: len(line) - len(line.lstrip())]


def constant(e: Expression) -> bool:
    """Whether the value of an expression is known before anything runs."""
    if isinstance(e, Number | String):
        return True
    if isinstance(e, Unary):
        return constant(e.operand)
    return isinstance(e, Binary) and constant(e.left) and constant(e.right)
