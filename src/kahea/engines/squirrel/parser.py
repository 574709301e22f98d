"""Reads a script: recursive descent, one function for each form of the language. Expressions are in `expressions`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kahea.engines.squirrel import tree
from kahea.engines.squirrel.expressions import TARGETS, ExpressionParser, negated
from kahea.engines.squirrel.lexer import END, NUMBER, STRING, Token


def parse(source: str, file: str) -> list[tree.Statement]:
    """The statements of a text that has a character for each byte. Raises SyntaxFault."""
    return Parser(source, file).program()


class Parser(ExpressionParser):
    """One text."""

    def program(self) -> list[tree.Statement]:
        """The whole text."""
        found = []
        while self._token.kind != END:
            found += self._statement()
            self._end_statement()
        return found

    def _statements(self) -> list[tree.Statement]:
        found: list[tree.Statement] = []
        while self._token.kind not in ("}", "default", "case"):
            if self._token.kind == END:
                self._refuse("expected '}', not the end of the file")
            found += self._statement()
            self._end_statement()
        return found

    def _body(self) -> tree.Statement:
        """A statement where one must stand."""
        token = self._token
        found = self._statement()
        return found[0] if len(found) == 1 else tree.Block(token.line, token.column, found)

    def _statement(self) -> list[tree.Statement]:
        """One statement; nothing for a lone semicolon."""
        token = self._token
        if token.kind == ";":
            self._next()
            return []
        self._deeper()
        read: Callable[[Token], tree.Statement] = self._READERS.get(token.kind, Parser._evaluate).__get__(self)
        found = read(token)
        self._depth -= 1
        return [found]

    def _evaluate(self, token: Token) -> tree.Statement:
        return tree.Evaluate(token.line, token.column, self._comma())

    def _block(self, token: Token) -> tree.Statement:
        self._next()
        body = self._statements()
        self._expect("}")
        return tree.Block(token.line, token.column, body)

    def _branch(self) -> tree.Statement:
        """What `if` or `else` decides on; one that is no block ends as statements do."""
        block = self._token.kind == "{"
        body = self._body()
        if not block:
            self._end_statement()
        return body

    def _parenthesised(self) -> tree.Expression:
        self._expect("(")
        found = self._comma()
        self._expect(")")
        return found

    def _if(self, token: Token) -> tree.Statement:
        self._next()
        test = self._parenthesised()
        then = self._branch()
        otherwise = self._branch() if self._take("else") else None
        return tree.If(token.line, token.column, test, then, otherwise)

    def _while(self, token: Token) -> tree.Statement:
        self._next()
        test = self._parenthesised()
        return tree.While(token.line, token.column, test, self._body())

    def _do(self, token: Token) -> tree.Statement:
        self._next()
        body = self._body()
        self._expect("while")
        return tree.DoWhile(token.line, token.column, body, self._parenthesised())

    def _for(self, token: Token) -> tree.Statement:
        self._next()
        self._expect("(")
        start: tree.Statement | None = None
        if self._token.kind == "local":
            start = self._local(self._token)
        elif self._token.kind != ";":
            start = self._evaluate(self._token)
        self._expect(";")
        test = None if self._token.kind == ";" else self._comma()
        self._expect(";")
        step = None if self._token.kind == ")" else self._comma()
        self._expect(")")
        return tree.For(token.line, token.column, start, test, step, self._body())

    def _foreach(self, token: Token) -> tree.Statement:
        self._next()
        self._expect("(")
        key, value = None, self._name()
        if self._take(","):
            key, value = value, self._name()
        self._expect("in")
        container = self._expression()
        self._expect(")")
        return tree.ForEach(token.line, token.column, key, value, container, self._body())

    def _switch(self, token: Token) -> tree.Statement:
        self._next()
        value = self._parenthesised()
        self._expect("{")
        cases = []
        while self._token.kind == "case":
            at = self._next()
            test = self._expression()
            self._expect(":")
            cases.append(tree.Case(at.line, at.column, test, self._statements()))
        if self._token.kind == "default":
            at = self._next()
            self._expect(":")
            cases.append(tree.Case(at.line, at.column, None, self._statements()))
        self._expect("}")
        return tree.Switch(token.line, token.column, value, cases)

    def _local(self, token: Token) -> tree.Statement:
        self._next()
        if self._token.kind == "function":
            at = self._next()
            name = self._name()
            return tree.Local(token.line, token.column, [name], [self._function(at, name)])
        names, values = [], []
        while True:
            names.append(self._name())
            values.append(self._expression() if self._take("=") else None)
            if not self._take(","):
                return tree.Local(token.line, token.column, names, values)

    def _return(self, token: Token) -> tree.Statement:
        self._next()
        value = None if self._ended() else self._comma()
        made = tree.Return if token.kind == "return" else tree.Yield
        return made(token.line, token.column, value)

    def _break(self, token: Token) -> tree.Statement:
        self._next()
        return (tree.Break if token.kind == "break" else tree.Continue)(token.line, token.column)

    def _function_statement(self, token: Token) -> tree.Statement:
        self._next()
        at = self._token
        name = self._name()
        target = tree.Member(at.line, at.column, tree.This(at.line, at.column), name)
        while self._take("::"):
            name = self._name()
            target = tree.Member(at.line, at.column, target, name)
        function = self._function(token, name)
        slot = tree.Assign(token.line, token.column, "<-", target, function)
        return tree.Evaluate(token.line, token.column, slot)

    def _class_statement(self, token: Token) -> tree.Statement:
        self._next()
        target = self._prefixed()
        if not isinstance(target, TARGETS):
            self._refuse("invalid class name", target)
        slot = tree.Assign(token.line, token.column, "<-", target, self._class(token))
        return tree.Evaluate(token.line, token.column, slot)

    def _enum(self, token: Token) -> tree.Statement:
        self._next()
        name = self._name()
        self._expect("{")
        values: dict[str, tree.Value] = {}
        count = 0
        while self._token.kind != "}":
            key = self._name()
            if self._take("="):
                values[key] = self._scalar()
            else:
                values[key], count = count, count + 1
            self._take(",")
        self._next()
        return tree.Const(token.line, token.column, name, values)

    def _const(self, token: Token) -> tree.Statement:
        self._next()
        name = self._name()
        self._expect("=")
        return tree.Const(token.line, token.column, name, self._scalar())

    def _scalar(self) -> tree.Value:
        negative = self._take("-")
        token = self._next()
        if token.kind == NUMBER:
            value = token.value
            assert not isinstance(value, str)
            return negated(value) if negative else value
        if token.kind == STRING and not negative:
            return token.value
        if token.kind in ("true", "false") and not negative:
            return token.kind == "true"
        raise self._fault("scalar expected: integer, float" + ("" if negative else ", or string"), token)

    def _try(self, token: Token) -> tree.Statement:
        self._next()
        body = self._body()
        self._expect("catch")
        self._expect("(")
        name = self._name()
        self._expect(")")
        return tree.Try(token.line, token.column, body, name, self._body())

    def _throw(self, token: Token) -> tree.Statement:
        self._next()
        return tree.Throw(token.line, token.column, self._comma())

    _READERS: Final[dict[str, Callable[[Parser, Token], tree.Statement]]] = {
        "{": _block,
        "if": _if,
        "while": _while,
        "do": _do,
        "for": _for,
        "foreach": _foreach,
        "switch": _switch,
        "local": _local,
        "return": _return,
        "yield": _return,
        "break": _break,
        "continue": _break,
        "function": _function_statement,
        "class": _class_statement,
        "enum": _enum,
        "const": _const,
        "try": _try,
        "throw": _throw,
    }
