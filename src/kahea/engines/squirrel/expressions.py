"""Reads the expressions of a script, functions and classes included: recursive descent, one function for each form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn

from kahea.engines.squirrel import tree
from kahea.engines.squirrel.diagnostics import SyntaxFault
from kahea.engines.squirrel.lexer import END, NAME, NUMBER, STRING, Lexer, Token
from kahea.engines.squirrel.runtime.numbers import single, wrapped

#: How deep expressions and statements may be nested.
DEEPEST: Final = 100

#: Binary operators from the weakest to the strongest.
_LEVELS: Final = (
    frozenset({"|"}),
    frozenset({"^"}),
    frozenset({"&"}),
    frozenset({"==", "!=", "<=>"}),
    frozenset({"<", ">", "<=", ">=", "in", "instanceof"}),
    frozenset({"<<", ">>", ">>>"}),
    frozenset({"+", "-"}),
    frozenset({"*", "/", "%"}),
)
_ASSIGNMENTS: Final = frozenset({"=", "<-", "+=", "-=", "*=", "/=", "%="})
_UNARY: Final = frozenset({"-", "!", "~", "typeof", "resume", "clone"})
TARGETS: Final = (tree.Name, tree.Member, tree.Index)


class ExpressionParser:
    """One text's tokens, and what is made of them in expressions."""

    def __init__(self, source: str, file: str) -> None:
        self._lexer = Lexer(source, file)
        self._file = file
        self._tokens = self._lexer.tokens()
        self._depth = 0
        self._previous = END
        self._token = next(self._tokens)

    def _body(self) -> tree.Statement:
        """A statement, as the body of a function is one."""
        raise NotImplementedError

    # ---- tokens

    def _next(self) -> Token:
        taken = self._token
        self._previous = taken.kind
        self._token = next(self._tokens)
        return taken

    def _fault(self, message: str, token: Token | tree.Node | None = None) -> SyntaxFault:
        at = token or self._token
        return self._lexer.fault(message, at.line, at.column)

    def _refuse(self, message: str, token: Token | tree.Node | None = None) -> NoReturn:
        raise self._fault(message, token)

    def _expect(self, kind: str) -> Token:
        if self._token.kind != kind and not (kind == NAME and self._token.kind == "constructor"):
            wanted = kind if kind in (NAME, NUMBER, STRING) else f"'{kind}'"
            self._refuse(f"expected {wanted}, not {self._found()}")
        return self._next()

    def _found(self) -> str:
        kind = self._token.kind
        return kind if kind in (END, NUMBER, STRING) else f"'{self._token.value}'"

    def _take(self, kind: str) -> bool:
        if self._token.kind != kind:
            return False
        self._next()
        return True

    def _name(self) -> str:
        return str(self._expect(NAME).value)

    def _ended(self) -> bool:
        """Whether a statement may end before this token."""
        return self._token.first or self._token.kind in (END, "}", ";")

    def _end_statement(self) -> None:
        if self._previous in ("}", ";") and not self._token.first:
            return
        if not self._take(";") and not self._ended():
            self._refuse(f"end of statement expected (; or lf), not {self._found()}")

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            self._refuse("the script is nested too deeply")

    # ---- expressions

    def _comma(self) -> tree.Expression:
        token = self._token
        values = [self._expression()]
        while self._take(","):
            values.append(self._expression())
        return values[0] if len(values) == 1 else tree.Comma(token.line, token.column, values)

    def _expression(self) -> tree.Expression:
        self._deeper()
        token = self._token
        found = self._or()
        operator = self._token.kind
        if operator in _ASSIGNMENTS:
            if not isinstance(found, TARGETS):
                self._refuse("can't assign expression")
            if isinstance(getattr(found, "object", None), tree.Base):
                self._refuse("'base' cannot be modified")
            self._next()
            found = tree.Assign(token.line, token.column, operator, found, self._expression())
        elif operator == "?":
            self._next()
            then = self._expression()
            self._expect(":")
            found = tree.Ternary(token.line, token.column, found, then, self._expression())
        self._depth -= 1
        return found

    def _or(self) -> tree.Expression:
        parts = [self._and()]
        while self._take("||"):
            parts.append(self._and())
        return self._joined("||", parts)

    def _and(self) -> tree.Expression:
        parts = [self._binary(0)]
        while self._take("&&"):
            parts.append(self._binary(0))
        return self._joined("&&", parts)

    @staticmethod
    def _joined(operator: str, parts: list[tree.Expression]) -> tree.Expression:
        found = parts.pop()
        while parts:
            left = parts.pop()
            found = tree.Logic(left.line, left.column, operator, left, found)
        return found

    def _binary(self, level: int) -> tree.Expression:
        if level == len(_LEVELS):
            return self._prefixed()
        found = self._binary(level + 1)
        while self._token.kind in _LEVELS[level]:
            operator = self._next()
            right = self._binary(level + 1)
            found = tree.Binary(operator.line, operator.column, operator.kind, found, right)
        return found

    def _prefixed(self) -> tree.Expression:
        found = self._factor()
        while True:
            token = self._token
            if token.kind == ".":
                self._next()
                found = tree.Member(token.line, token.column, found, self._name())
            elif token.kind == "[":
                if token.first:
                    self._refuse("cannot break deref/or comma needed after [exp]=exp slot declaration")
                self._next()
                key = self._expression()
                self._expect("]")
                found = tree.Index(token.line, token.column, found, key)
            elif token.kind == "(":
                self._next()
                arguments = self._arguments()
                found = tree.Call(token.line, token.column, found, arguments, self._initialised())
            elif token.kind in ("++", "--"):
                if self._ended():
                    return found
                self._next()
                return self._increment(token, found, postfix=True)
            else:
                return found

    def _increment(self, token: Token, target: tree.Expression, postfix: bool) -> tree.Expression:
        if not isinstance(target, TARGETS):
            self._refuse("can't '++' or '--' an expression", token)
        return tree.Increment(token.line, token.column, target, 1 if token.kind == "++" else -1, postfix)

    def _arguments(self) -> list[tree.Expression]:
        found = []
        while self._token.kind != ")":
            found.append(self._expression())
            if self._take(",") and self._token.kind == ")":
                self._refuse("expression expected, found ')'")
        self._next()
        return found

    def _initialised(self) -> list[tuple[tree.Expression, tree.Expression]]:
        """The slots that follow a call's arguments: `Point() { x = 1 }`."""
        slots: list[tuple[tree.Expression, tree.Expression]] = []
        if not self._take("{"):
            return slots
        while self._token.kind != "}":
            slots.append((self._key(), self._expression()))
            self._take(",")
        self._next()
        return slots

    def _key(self) -> tree.Expression:
        """The key of a slot and its `=`."""
        token = self._token
        if self._take("["):
            key = self._comma()
            self._expect("]")
        else:
            key = tree.Literal(token.line, token.column, self._name())
        self._expect("=")
        return key

    def _factor(self) -> tree.Expression:
        token = self._token
        line, column = token.line, token.column
        if token.kind in (STRING, NUMBER):
            self._next()
            return tree.Literal(line, column, token.value)
        if token.kind in (NAME, "constructor"):
            self._next()
            return tree.Name(line, column, str(token.value))
        if token.kind in _UNARY:
            return self._unary(token)
        reader = self._FACTORS.get(token.kind)
        if reader is None:
            self._refuse(f"expression expected, not {self._found()}")
        self._deeper()
        found = reader(self, token)
        self._depth -= 1
        return found

    def _unary(self, token: Token) -> tree.Expression:
        self._next()
        operand = self._token
        if token.kind == "-" and operand.kind == NUMBER:
            self._next()
            assert not isinstance(operand.value, str)
            return tree.Literal(token.line, token.column, negated(operand.value))
        self._deeper()
        found = tree.Unary(token.line, token.column, token.kind, self._prefixed())
        self._depth -= 1
        return found

    def _simple(self, token: Token) -> tree.Expression:
        self._next()
        line, column = token.line, token.column
        if token.kind == "this":
            return tree.This(line, column)
        if token.kind == "base":
            return tree.Base(line, column)
        values: dict[str, tree.Value] = {"true": True, "false": False, "null": None, "__LINE__": line}
        return tree.Literal(line, column, values.get(token.kind, self._file))

    def _root(self, token: Token) -> tree.Expression:
        self._next()
        root = tree.Root(token.line, token.column)
        return tree.Member(token.line, token.column, root, self._name())

    def _array(self, token: Token) -> tree.Expression:
        self._next()
        values = []
        while self._token.kind != "]":
            values.append(self._expression())
            self._take(",")
        self._next()
        return tree.ArrayLiteral(token.line, token.column, values)

    def _table(self, token: Token) -> tree.TableLiteral:
        self._next()
        return tree.TableLiteral(token.line, token.column, self._slots(",", "}"))

    def _slots(self, separator: str, end: str) -> list[tree.Slot]:
        """The slots of a table, a class (`;`) or attributes, and their end."""
        slots = []
        while self._token.kind != end:
            attributes = None
            if separator == ";" and self._token.kind == "</":
                at = self._next()
                attributes = tree.TableLiteral(at.line, at.column, self._slots(",", "/>"))
            static = separator == ";" and self._take("static")
            slots.append(self._slot(separator, static, attributes))
            self._take(separator)
        self._next()
        return slots

    def _slot(self, separator: str, static: bool, attributes: tree.TableLiteral | None) -> tree.Slot:
        token = self._token
        line, column = token.line, token.column
        if token.kind in ("function", "constructor"):
            self._next()
            name = self._name() if token.kind == "function" else "constructor"
            value: tree.Expression = self._function(token, name)
            key: tree.Expression = tree.Literal(line, column, name)
        elif token.kind == STRING and separator == ",":
            self._next()
            self._expect(":")
            key, value = tree.Literal(line, column, token.value), self._expression()
        else:
            key, value = self._key(), self._expression()
        return tree.Slot(line, column, key, value, static, attributes)

    def _function_expression(self, token: Token) -> tree.Expression:
        self._next()
        return self._function(token, "")

    def _function(self, token: Token, name: str) -> tree.Function:
        """From the parameters on."""
        env = None
        if self._take("["):
            env = self._expression()
            self._expect("]")
        self._expect("(")
        parameters, defaults, variadic = self._parameters()
        at = self._token
        if token.kind == "@":
            body: tree.Statement = tree.Return(at.line, at.column, self._expression())
        else:
            body = self._body()
        return tree.Function(token.line, token.column, name, parameters, defaults, variadic, body, env)

    def _parameters(self) -> tuple[list[str], list[tree.Expression], bool]:
        names: list[str] = []
        defaults: list[tree.Expression] = []
        while self._token.kind != ")":
            if self._token.kind == "...":
                if defaults:
                    self._refuse("function with default parameters cannot have variable number of parameters")
                self._next()
                self._expect(")")
                return names, defaults, True
            names.append(self._name())
            if self._take("="):
                defaults.append(self._expression())
            elif defaults:
                self._refuse("expected '='")
            if not self._take(",") and self._token.kind != ")":
                self._refuse("expected ')' or ','")
        self._next()
        return names, defaults, False

    def _class_expression(self, token: Token) -> tree.Expression:
        self._next()
        return self._class(token)

    def _class(self, token: Token) -> tree.Class:
        """From `extends` on."""
        base = self._expression() if self._take("extends") else None
        attributes = None
        if self._token.kind == "</":
            at = self._next()
            attributes = tree.TableLiteral(at.line, at.column, self._slots(",", "/>"))
        self._expect("{")
        return tree.Class(token.line, token.column, base, attributes, self._slots(";", "}"))

    def _delete(self, token: Token) -> tree.Expression:
        self._next()
        target = self._prefixed()
        if not isinstance(target, TARGETS):
            self._refuse("can't delete an expression", target)
        return tree.Delete(token.line, token.column, target)

    def _prefix_increment(self, token: Token) -> tree.Expression:
        self._next()
        return self._increment(token, self._prefixed(), postfix=False)

    def _group(self, _token: Token) -> tree.Expression:
        self._next()
        found = self._comma()
        self._expect(")")
        return found

    def _raw_call(self, token: Token) -> tree.Expression:
        self._next()
        self._expect("(")
        arguments = self._arguments()
        if len(arguments) < 2:
            self._refuse("rawcall requires at least 2 parameters (callee and this)", token)
        return tree.RawCall(token.line, token.column, arguments)

    _FACTORS: Final[dict[str, Callable[[ExpressionParser, Token], tree.Expression]]] = {
        "true": _simple,
        "false": _simple,
        "null": _simple,
        "this": _simple,
        "base": _simple,
        "__LINE__": _simple,
        "__FILE__": _simple,
        "::": _root,
        "[": _array,
        "{": _table,
        "function": _function_expression,
        "@": _function_expression,
        "class": _class_expression,
        "delete": _delete,
        "++": _prefix_increment,
        "--": _prefix_increment,
        "(": _group,
        "rawcall": _raw_call,
    }


def negated(value: int | float) -> int | float:
    return single(-value) if isinstance(value, float) else wrapped(-value)
