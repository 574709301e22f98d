"""Expressions: the same one may be wanted as a number, as text, as a condition or as it is, and compiles to what is
cheapest for that.

What Kamailio does, found by asking it:

- `if` holds for numbers above 0; `while`, `!`, `&&` and `||` for any but 0. A function or route among operators counts
  1 or 0; assigned as it is, its code.
- A variable has the type of its value; $null is "" and 0. `+` and `==` take the type of their left side (the right
  one's if that is $null), all other operators want numbers, and `=~`, `eq`, `ne` text.
- Text that is no number is 0. A division by zero makes the whole statement void.
"""

from __future__ import annotations

import ast
from typing import Final, NamedTuple

from kahea.engines.native.compiler import build
from kahea.engines.native.compiler.calls import Calls
from kahea.engines.native.compiler.runtime import parse_number, wrapped
from kahea.engines.native.constants import fold
from kahea.engines.native.tree import (
    Assign,
    Binary,
    Call,
    Choice,
    Expression,
    Node,
    Number,
    RouteCall,
    Select,
    String,
    Unary,
    Variable,
    Word,
)
from kahea.routing.pv.values import INT_MAX, INT_MIN

#: What a compiled expression gives.
INT: Final = "int"
TEXT: Final = "text"
ANY: Final = "any"  # int, text or None
TEST: Final = "test"  # a bool, which is 1 or 0
CODE: Final = "code"  # a function's return code

#: The code of what could not be done.
FAILED: Final = -1

_ORDER: Final[dict[str, type[ast.cmpop]]] = {"<": ast.Lt, "<=": ast.LtE, ">": ast.Gt, ">=": ast.GtE}
_EQUALITY: Final = frozenset({"==", "!=", "eq", "ne", "ieq", "ine"})
_NEGATED: Final = {"!=": "==", "ne": "eq", "ine": "ieq", "!~": "=~"}
_WRAPPING: Final[dict[str, type[ast.operator]]] = {"+": ast.Add, "-": ast.Sub}
_BITWISE: Final[dict[str, type[ast.operator]]] = {"&": ast.BitAnd, "|": ast.BitOr, "^": ast.BitXor}
_HELPED: Final = {"/": "divided", "mod": "remainder", "<<": "shifted_left", ">>": "shifted_right"}


#: Variables of text that are another number where one is wanted.
_NUMBERED: Final = {"$rm": "$rmid", "$pr": "$prid", "$proto": "$prid"}


class Typed(NamedTuple):
    """Python's expression and what it gives."""

    node: ast.expr
    kind: str


class Expressions(Calls):
    """Compiles expressions of one function."""

    def assigned(self, e: Assign) -> ast.expr:
        """Whether a variable took a value."""
        pv = self.resolve(e.target.text, e.target)
        typed = self.value(e.value)
        if pv is None:
            return build.constant(False)
        if not pv.writable:
            self.state.scope.error("read-only", f"{pv.text} can't be assigned", e.target.place)
        value = typed.node
        if typed.kind == TEST:
            value = build.choose(value, build.constant(1), build.constant(0))
        return build.call(self.state.scope.keep(pv.set, f"set_{pv.name}", pv), build.name(build.RUN), value)

    @property
    def _codes_stay(self) -> bool:
        """Whether a call in an expression is its return code, not only true or false by it (`return_mode`)."""
        return bool(self.state.scope.node.settings.return_mode)

    # ---- as it is

    def value(self, e: Expression) -> Typed:
        """The expression with its own type."""
        typed = self._value(e)
        build.located([typed.node], e.place)
        return typed

    def _value(self, e: Expression) -> Typed:
        if isinstance(e, Number):
            return Typed(build.constant(wrapped(e.value)), INT)
        if isinstance(e, String):
            return Typed(build.constant(e.text), TEXT)
        if isinstance(e, Variable):
            return Typed(self.variable(e), ANY)
        if isinstance(e, Select):
            return Typed(self.select(e), TEXT)
        if isinstance(e, Call | RouteCall):
            return Typed(self.code(e), CODE)
        if isinstance(e, Unary):
            return self._unary(e)
        if isinstance(e, Assign):
            return Typed(self._assignment(e), CODE)
        if isinstance(e, Choice):
            return self._choice(e)
        if isinstance(e, Binary):
            return self._binary(e)
        return self._word(e)

    def _assignment(self, e: Assign) -> ast.expr:
        """The code of an assignment among operators: 1, or -1 where there is no value that the variable takes."""
        self.forget_code(e)
        outside, self.state.may_be_undefined = self.state.may_be_undefined, False
        with self.state.aside() as before:
            put = self.assigned(e)
        undefined, self.state.may_be_undefined = self.state.may_be_undefined, outside
        if undefined:
            kept = self.state.temporary()
            made = self.attempt(
                [*before, build.assign(kept, put)], [self.report(e), build.assign(kept, build.constant(False))]
            )
            build.located([made], e.place)
            before, put = [made], build.name(kept)
        self.state.before += before
        return build.choose(put, build.constant(1), build.constant(FAILED))

    def _word(self, e: Word) -> Typed:
        """A bare word that stands alone: a flag's name is its number; some have a number of the message."""
        if self.is_number(e):
            return Typed(self.operand_number(e), INT)
        number = self.state.scope.flags.get(e.text)
        if number is None:
            self.state.scope.unknown_word(e.text, e.place)
        return Typed(build.constant(number or 0), INT)

    def _unary(self, e: Unary) -> Typed:
        if e.operator == "!":
            return Typed(build.negate(self.nonzero(e.operand)), TEST)
        if e.operator == "defined":
            return Typed(build.negate(self._undefined(e.operand)), TEST)
        if e.operator == "strempty":
            return Typed(self._text_equals(e.operand, ""), TEST)
        if e.operator == "strlen":
            return Typed(build.call("text_length", self.text(e.operand)), INT)
        if e.operator == "(str)":
            return Typed(self.text(e.operand, cast=True), TEXT)
        number = self.number(e.operand, cast=e.operator == "(int)")
        if e.operator == "(int)":
            return Typed(number, INT)
        if e.operator == "~":
            return Typed(ast.UnaryOp(ast.Invert(), number), INT)
        return Typed(build.call("wrapped", ast.UnaryOp(ast.USub(), number)), INT)

    def _binary(self, e: Binary) -> Typed:
        if e.operator in _EQUALITY or e.operator in ("=~", "!~"):
            return Typed(self._compared(e), TEST)
        if e.operator in _ORDER:
            left, right = self.state.after(self.number(e.left), lambda: self.number(e.right))
            return Typed(build.compare(left, _ORDER[e.operator](), right), TEST)
        absorbed = _absorbed(e)
        if absorbed is not None:
            with self.state.aside():  # for its errors only
                self.number(e.left)
                self.number(e.right)
            return Typed(build.constant(absorbed), INT)
        if e.operator == "||" and _is_number(e.left, 0) != _is_number(e.right, 0) and not _are_numbers(e):
            # Kamailio leaves such a part out: what stays is no condition, but the number itself.
            return Typed(self.number(e.left if _is_number(e.right, 0) else e.right), INT)
        if e.operator in ("&&", "||"):
            return Typed(self._logic(e), TEST)
        if e.operator == "+":
            return self._sum(e)
        left, right = self.state.after(self.number(e.left), lambda: self.number(e.right))
        return Typed(self._arithmetic(e.operator, left, right), INT)

    def _choice(self, e: Choice) -> Typed:
        """`selval`: what must run before one of its values runs for that one only. $null among its values is ""."""
        test = self.positive(e.condition)
        sides: list[tuple[list[ast.stmt], Typed]] = []
        for side in (e.then, e.otherwise):
            with self.state.aside() as before:
                typed = self.value(side)
                if typed.kind in (TEST, CODE):
                    typed = Typed(self._as_number(typed), INT)
                elif typed.kind == ANY:
                    typed = Typed(self._or_empty(typed.node), ANY)
            sides.append((before, typed))
        (first, then), (second, otherwise) = sides
        kind = then.kind if then.kind == otherwise.kind else ANY
        if not first and not second:
            return Typed(build.choose(test, then.node, otherwise.node), kind)
        kept = self.state.temporary()
        branches = [[*before, build.assign(kept, typed.node)] for before, typed in sides]
        self.state.before.append(ast.If(test, *branches))
        return Typed(build.name(kept), kind)

    def _or_empty(self, node: ast.expr) -> ast.expr:
        """A value with $null as an empty text."""
        kept = self.state.temporary()
        return build.choose(build.is_none(build.keep(kept, node)), build.constant(""), build.name(kept))

    def _arithmetic(self, operator: str, left: ast.expr, right: ast.expr) -> ast.expr:
        if operator in _BITWISE:
            return ast.BinOp(left, _BITWISE[operator](), right)
        if operator in _HELPED:
            self.state.may_be_undefined |= operator in ("/", "mod")
            return build.call(_HELPED[operator], left, right)
        if operator == "*":
            return build.call("wrapped", ast.BinOp(left, ast.Mult(), right))
        kept = self.state.temporary()
        made = build.keep(kept, ast.BinOp(left, _WRAPPING[operator](), right))
        fits = ast.Compare(build.constant(INT_MIN), [ast.LtE(), ast.LtE()], [made, build.constant(INT_MAX)])
        return build.choose(fits, build.name(kept), build.call("wrapped", build.name(kept)))

    def _sum(self, e: Binary, *, number: bool = False) -> Typed:
        """`+`: its left side says whether numbers are added or texts put together. Where that is known only when it
        runs, a `number` that is wanted is the sum of numbers."""
        parts = [e.right]
        first = e.left
        while isinstance(first, Binary) and first.operator == "+":
            parts.append(first.right)
            first = first.left
        parts.reverse()
        head = self._numeric(first) if number else self.value(first)
        if head.kind == TEXT:
            return Typed(self._concatenated(head.node, parts), TEXT)
        untyped = head.kind == ANY
        if untyped and not number:
            node = head.node
            for part in parts:
                node, right = self.state.after(node, lambda part=part: self.value_or_bool(part))  # type: ignore[misc]
                node = build.call("added", node, right)
            return Typed(node, ANY)
        node = self._as_number(head)
        for part in parts:
            node, right = self.state.after(node, lambda part=part: self.number(part, cast=untyped))  # type: ignore[misc]
            node = self._arithmetic("+", node, right)
        return Typed(node, INT)

    def _concatenated(self, head: ast.expr, parts: list[Expression]) -> ast.expr:
        """Text and what follows it, as one formatted string."""
        pieces = [head]
        for part in parts:
            with self.state.aside() as before:
                piece = self.text(part, cast=True)
            if before:
                pieces = [self.state.saved(p) for p in pieces]
                self.state.before += before
            pieces.append(piece)
        values: list[ast.expr] = []
        for piece in pieces:
            inner = piece.values if isinstance(piece, ast.JoinedStr) else [piece]
            for one in inner:
                if isinstance(one, ast.Constant) and values and isinstance(values[-1], ast.Constant):
                    values[-1] = build.constant(f"{values[-1].value!s}{one.value!s}")
                elif isinstance(one, ast.Constant | ast.FormattedValue):
                    values.append(one)
                else:
                    values.append(ast.FormattedValue(one, -1))
        return values[0] if len(values) == 1 and isinstance(values[0], ast.Constant) else ast.JoinedStr(values)

    # ---- as a number

    def number(self, e: Expression, *, cast: bool = False) -> ast.expr:
        """The expression as an int; a text that is written out is refused unless it is `cast`."""
        typed = self._numeric(e)
        if typed.kind == TEXT and not cast and isinstance(e, String):
            self.state.scope.error("type", "a number is needed here, not text", e.place)
        node = self._as_number(typed)
        build.located([node], e.place)
        return node

    def _numeric(self, e: Expression) -> Typed:
        """The expression where a number is wanted."""
        if isinstance(e, Variable) and e.text in _NUMBERED:
            e = Variable(text=_NUMBERED[e.text], place=e.place)
        if isinstance(e, Binary) and e.operator == "+":
            return self._sum(e, number=True)
        return self.value(e)

    def _as_number(self, typed: Typed) -> ast.expr:
        node = typed.node
        if typed.kind == INT:
            return node
        if typed.kind == TEST:
            return build.choose(node, build.constant(1), build.constant(0))
        if typed.kind == CODE:
            return node if self._codes_stay else build.choose(self._holds(node), build.constant(1), build.constant(0))
        if isinstance(node, ast.Constant):
            text = node.value
            if isinstance(text, str):
                return build.constant(parse_number(text) if text else 0)
            return build.constant(build.number_in(node))
        if typed.kind == TEXT:
            return build.call("number_of", node)
        kept = self.state.temporary()
        return build.choose(
            build.compare(build.attribute(build.keep(kept, node), "__class__"), ast.Is(), build.name("int")),
            build.name(kept),
            build.call("number_of", build.name(kept)),
        )

    # ---- as text

    def text(self, e: Expression, *, cast: bool = False) -> ast.expr:
        """The expression as a str; a number that is written out is refused unless it is `cast`."""
        typed = self.value(e)
        if typed.kind == INT and not cast and isinstance(e, Number):
            self.state.scope.error("type", "text is needed here, not a number", e.place)
        node = self._as_text(typed)
        build.located([node], e.place)
        return node

    def _as_text(self, typed: Typed) -> ast.expr:
        node = typed.node
        if typed.kind == TEXT:
            return node
        if isinstance(node, ast.Constant):
            return build.constant("" if node.value is None else str(build.number_in(node)))
        if typed.kind == INT:
            return build.call("str", node)
        if typed.kind == TEST:
            return build.choose(node, build.constant("1"), build.constant("0"))
        if typed.kind == CODE:
            if self._codes_stay:
                return build.call("str", node)
            return build.choose(self._holds(node), build.constant("1"), build.constant("0"))
        kept = self.state.temporary()
        return build.choose(
            build.compare(build.attribute(build.keep(kept, node), "__class__"), ast.Is(), build.name("str")),
            build.name(kept),
            build.call("text_of", build.name(kept)),
        )

    def value_or_bool(self, e: Expression) -> ast.expr:
        """As it is, but what is a condition or a return code as 1 or 0."""
        typed = self.value(e)
        if typed.kind in (TEST, CODE):
            return self._as_number(typed)
        return typed.node

    # ---- as a condition

    def positive(self, e: Expression) -> ast.expr:
        """Whether `if` holds."""
        typed = self._numeric(e)
        node: ast.expr
        if typed.kind == TEST:
            node = typed.node
        elif typed.kind == CODE:
            node = self._holds(typed.node)
        else:
            number = self._as_number(typed)
            node = build.compare(number, ast.Gt(), build.constant(0))
            if isinstance(number, ast.Constant):
                node = build.constant(build.number_in(number) > 0)
        build.located([node], e.place)
        return node

    def nonzero(self, e: Expression) -> ast.expr:
        """Whether `while`, `!`, `&&` or `||` takes it for true."""
        if isinstance(e, String):
            self.state.scope.error("type", "a number is needed here, not text", e.place)
        typed = self._numeric(e)
        if typed.kind == TEST:
            return typed.node
        if typed.kind == CODE:
            node = self._holds(typed.node)
        else:
            node = self._as_number(typed)
        build.located([node], e.place)
        return node

    def _holds(self, code: ast.expr) -> ast.expr:
        """A return code, or a bool for one, as a condition."""
        if self._codes_stay:
            return build.compare(code, ast.NotEq(), build.constant(0))
        if isinstance(code, ast.IfExp) and isinstance(code.orelse, ast.Constant) and build.number_in(code.orelse) < 0:
            return code.test
        return build.compare(code, ast.Gt(), build.constant(0))

    def _logic(self, e: Binary) -> ast.expr:
        left = self.nonzero(e.left)
        with self.state.aside() as before:
            right = self.nonzero(e.right)
        join = build.both if e.operator == "&&" else build.either
        if not before:
            return join(left, right)
        kept = self.state.temporary()
        self.state.before.append(build.assign(kept, left))
        test = build.name(kept) if e.operator == "&&" else build.negate(build.name(kept))
        inner = [*before, build.assign(kept, right)]
        build.located(inner, e.right.place)
        self.state.before.append(ast.If(test, inner, []))
        return build.name(kept)

    # ---- what can't be evaluated

    def report(self, node: Node) -> ast.stmt:
        """Tells the log of `_error`."""
        where = build.constant(str(node.place))
        return ast.Expr(build.call("undefined", build.name(build.RUN), build.name("_error"), where))

    @staticmethod
    def attempt(body: list[ast.stmt], handler: list[ast.stmt]) -> ast.stmt:
        """Statements, and others for when an expression in them has no value; these know it as `_error`."""
        caught = ast.ExceptHandler(build.name("Undefined"), "_error", handler)
        return ast.Try(body, [caught], [], [])

    # ---- comparisons

    def _compared(self, e: Binary) -> ast.expr:
        operator = _NEGATED.get(e.operator, e.operator)
        if e.operator == "!=" and isinstance(e.left, Variable) and isinstance(e.right, String) and not e.right.text:
            return build.negate(self._variable_equals(e.left, ""))
        node = self._equality(operator, e)
        return build.negate(node) if operator != e.operator else node

    def _equality(self, operator: str, e: Binary) -> ast.expr:
        left, right = e.left, e.right
        if isinstance(left, Word) and left.text not in self.state.scope.flags:
            return self.word_test(left, operator, right)
        if isinstance(right, Word) and isinstance(left, Word | String) and right.text not in self.state.scope.flags:
            return self.word_test(right, operator, left)
        if isinstance(right, Variable) and right.text == "$null":
            return self._undefined(left)
        if operator == "=~":
            return self._matches(left, right)
        if operator == "ieq":
            first, second = self.state.after(self.number(left), lambda: self.number(right))
            return build.compare(first, ast.Eq(), second)
        if operator == "eq":
            if isinstance(left, Number):
                self.state.scope.error("type", "text is needed here, not a number", left.place)
            return self._texts_equal(left, right)
        if isinstance(right, String) and not right.text:
            return self._text_equals(left, "")
        if isinstance(left, String) and not left.text and not isinstance(right, Number):
            return self._text_equals(right, "")
        return self._equal(left, right)

    def _equal(self, left: Expression, right: Expression) -> ast.expr:
        """`==`: as text or as numbers, by the left side."""
        if isinstance(right, String) and isinstance(left, Variable):
            return self._variable_equals(left, right.text)
        head = self.value(left)
        if head.kind == TEXT:
            first, second = self.state.after(head.node, lambda: self.text(right, cast=True))
            return build.compare(first, ast.Eq(), second)
        if head.kind in (INT, TEST, CODE):
            first, second = self.state.after(self._as_number(head), lambda: self.number(right))
            return build.compare(first, ast.Eq(), second)
        if isinstance(right, Number):
            return self._equals_number(head.node, right.value)
        first, second = self.state.after(head.node, lambda: self.value_or_bool(right))
        return build.call("equal", first, second)

    def _equals_number(self, value: ast.expr, wanted: int) -> ast.expr:
        """A variable against a number: its text must be that number as it is written; $null is 0."""
        kept = self.state.temporary()
        tests: list[ast.expr] = [
            build.compare(build.keep(kept, value), ast.Eq(), build.constant(wanted)),
            build.compare(build.name(kept), ast.Eq(), build.constant(str(wanted))),
        ]
        if wanted == 0:
            tests.append(build.is_none(build.name(kept)))
        return ast.BoolOp(ast.Or(), tests)

    def _variable_equals(self, variable: Variable, wanted: str) -> ast.expr:
        """A variable against a text: a number in the variable is compared as one, and $null is an empty text."""
        kept = self.state.temporary()
        node = self.variable(variable)
        number = parse_number_quietly(wanted)
        test: ast.expr = build.compare(build.keep(kept, node), ast.Eq(), build.constant(wanted))
        same = build.both(
            build.compare(build.attribute(build.name(kept), "__class__"), ast.Is(), build.name("int")),
            build.compare(build.name(kept), ast.Eq(), build.constant(number)),
        )
        if wanted == "":
            test = build.either(test, build.is_none(build.name(kept)))
        return build.either(test, same)

    def _texts_equal(self, left: Expression, right: Expression) -> ast.expr:
        if isinstance(right, String):
            return self._text_equals(left, right.text)
        first, second = self.state.after(self.text(left), lambda: self.text(right, cast=True))
        return build.compare(first, ast.Eq(), second)

    def _text_equals(self, e: Expression, wanted: str) -> ast.expr:
        """Whether the expression as text is `wanted`, without making text where that can be told before."""
        typed = self.value(e)
        if typed.kind != ANY:
            if typed.kind == INT and isinstance(e, Number):
                self.state.scope.error("type", "text is needed here, not a number", e.place)
            return build.compare(self._as_text(typed), ast.Eq(), build.constant(wanted))
        if wanted == "":
            kept = self.state.temporary()
            made = build.compare(build.keep(kept, typed.node), ast.Eq(), build.constant(""))
            return build.either(made, build.is_none(build.name(kept)))
        if wanted.lstrip("-").isdigit():
            return build.compare(self._as_text(typed), ast.Eq(), build.constant(wanted))
        return build.compare(typed.node, ast.Eq(), build.constant(wanted))

    def _undefined(self, e: Expression) -> ast.expr:
        """Whether the expression is $null; only a variable can be, and nothing else is evaluated to know it."""
        if isinstance(e, Number):
            self.state.scope.error("type", "a variable is needed here, not a number", e.place)
        if isinstance(e, Variable):
            return build.is_none(self.value(e).node)
        with self.state.aside():  # for its errors only
            self.value(e)
        return build.constant(False)

    def _matches(self, left: Expression, right: Expression) -> ast.expr:
        if isinstance(right, Number) or isinstance(left, Number):
            wrong = right if isinstance(right, Number) else left
            self.state.scope.error("type", "text is needed here, not a number", wrong.place)
        subject = self.text(left, cast=True)
        if isinstance(right, String):
            return build.negate(build.is_none(build.call(self.pattern(right), subject)))
        first, second = self.state.after(subject, lambda: self.text(right, cast=True))
        self.state.may_be_undefined = True
        return build.call("matches", first, second)


def _are_numbers(e: Binary) -> bool:
    return isinstance(e.left, Number) and isinstance(e.right, Number)


def _absorbed(e: Binary) -> int | None:
    """What an operation comes to whatever one of its sides is: Kamailio does not look at that side then, nor make its
    calls. None if there is no such constant."""
    left, right = fold(e.left), fold(e.right)
    if (left is None) == (right is None):
        return None
    if e.operator in ("*", "&") and 0 in (left, right):
        return 0
    if e.operator in ("/", "mod") and left == 0:
        return 0
    if e.operator in ("&&", "||") and isinstance(right, int) and bool(right) == (e.operator == "||"):
        return int(bool(right))
    return None


def _is_number(e: Expression, value: int) -> bool:
    return isinstance(e, Number) and e.value == value


def parse_number_quietly(text: str) -> int:
    """The number a text is, or 0, without a word in the log."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    hexadecimal = text[:2] in ("0x", "0X")
    return parse_number(text) if digits.isdigit() or hexadecimal else 0
