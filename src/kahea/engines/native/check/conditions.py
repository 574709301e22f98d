"""Conditions that can't mean what they say: always true, always false, an assignment, a `!` that binds too tightly."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kahea.engines.native.constants import fold, wrapped
from kahea.engines.native.tree import (
    Assign,
    Binary,
    Break,
    Drop,
    Exit,
    Expression,
    GlobalParameter,
    If,
    ModParam,
    Number,
    Program,
    Return,
    Statement,
    String,
    Unary,
    Variable,
    While,
    Word,
)
from kahea.engines.native.walk import expressions, inside, walk
from kahea.routing.regex import RegexError, compile_posix

if TYPE_CHECKING:
    from kahea.engines.native.check.findings import Findings

_COMPARISONS: Final = frozenset({"==", "!=", "=~", "<", "<=", ">", ">=", "eq", "ne", "ieq", "ine"})
#: Operands that are numbers.
NUMBER_WORDS: Final = frozenset(
    (
        "af",
        "dst_port",
        "msg:len",
        "proto",
        "snd_af",
        "snd_port",
        "snd_proto",
        "src_port",
        "to_af",
        "to_port",
        "to_proto",
    )
)
_EQUAL: Final = frozenset({"==", "eq", "ieq"})
_UNEQUAL: Final = frozenset({"!=", "ne", "ine"})
#: An alternative with nothing in it, at the beginning or the end of a pattern.
_MATCHES_ALL: Final = re.compile(r"\|.*|(?:.*[^\\])?\|", re.DOTALL)


def check_conditions(body: tuple[Statement, ...], findings: Findings) -> None:
    """Look at every expression of a route."""
    for statement in walk(body):
        if isinstance(statement, If | While):
            _condition(statement, findings)
        for expression in expressions(statement):
            for one in inside(expression):
                _expression(one, findings)


def _condition(statement: If | While, findings: Findings) -> None:
    condition = statement.condition
    for operand in _operands(condition):
        if isinstance(operand, Assign):
            name = operand.target.text
            message = f"= assigns: {name} gets the value, and that it did is what counts"
            findings.warn("assignment-in-condition", message, operand.place, "== compares")
    value = fold(condition)
    if value is None or findings.depends_on_definitions(condition.place):
        return
    if isinstance(statement, While):
        if value and any(isinstance(s, Break | Return | Exit | Drop) for s in walk(statement.body)):
            return
        word = "true" if value else "false"
    else:
        word = "true" if isinstance(value, int) and value > 0 else "false"
    findings.warn("constant-condition", f"this is always {word}", condition.place)


def _operands(e: Expression) -> list[Expression]:
    """What a condition is made of by `&&`, `||` and `!`."""
    out: list[Expression] = []
    waiting = [e]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Binary) and one.operator in ("&&", "||"):
            waiting += (one.right, one.left)
        elif isinstance(one, Unary) and one.operator == "!":
            waiting.append(one.operand)
        else:
            out.append(one)
    return out


def check_numbers(program: Program, findings: Findings) -> None:
    """Look at the numbers that parameters are given."""
    for declaration in program.declarations:
        if isinstance(declaration, GlobalParameter):
            for value in declaration.values:
                _number(value, findings)
        elif isinstance(declaration, ModParam):
            _number(declaration.value, findings)


def _number(e: Expression, findings: Findings) -> None:
    if isinstance(e, Number) and wrapped(e.value) != e.value:
        message = f"{e.value} does not fit into 32 bits: it becomes {wrapped(e.value)}"
        findings.warn("number-range", message, e.place)


def _expression(e: Expression, findings: Findings) -> None:
    _number(e, findings)
    if isinstance(e, Binary):
        if e.operator in _COMPARISONS:
            _comparison(e, findings)
        elif e.operator in ("&&", "||"):
            _contradiction(e, findings)


def _comparison(e: Binary, findings: Findings) -> None:
    left, right = e.left, e.right
    bare = isinstance(left, Unary) and (left.place.line, left.place.column) == (e.place.line, e.place.column)
    if bare and isinstance(left, Unary) and left.operator == "!" and not isinstance(left.operand, Unary):
        message = f"! binds tighter than {e.operator}: it turns its own operand around, not the comparison"
        findings.warn("not-precedence", message, e.place, "put parentheses around the comparison: !(...)")
    if isinstance(left, Word) and left.text in NUMBER_WORDS and isinstance(right, String):
        message = f"{left.text} is a number, and never the same as a string"
        findings.warn("never-equal", message, right.place)
    if e.operator == "=~" and isinstance(right, String) and _matches_all(right.text):
        message = "this matches everything: one of its alternatives is empty"
        findings.warn("matches-everything", message, right.place, "leave out the | at the end of it")


def _matches_all(pattern: str) -> bool:
    try:
        compile_posix(pattern)
    except RegexError:
        return False
    return _MATCHES_ALL.fullmatch(pattern) is not None


def _contradiction(e: Binary, findings: Findings) -> None:
    """`a == 1 && a == 2`, `a != 1 || a != 2`."""
    wanted = _EQUAL if e.operator == "&&" else _UNEQUAL
    seen: dict[str, str] = {}
    right = _test(e.right, wanted)
    if right is None:
        return
    left: Expression = e.left
    while True:
        inner = left.right if isinstance(left, Binary) and left.operator == e.operator else left
        test = _test(inner, wanted)
        if test is not None:
            seen[test[0]] = test[1]
        if not (isinstance(left, Binary) and left.operator == e.operator):
            break
        left = left.left
    subject, value = right
    if subject in seen and seen[subject] != value:
        always, other = ("false", "||") if e.operator == "&&" else ("true", "&&")
        what = "is both" if e.operator == "&&" else "differs from one of"
        message = f"this is always {always}: {subject} {what} {seen[subject]} and {value}"
        if e.operator == "&&":
            message = f"this is always {always}: {subject} can't be both {seen[subject]} and {value}"
        findings.warn("constant-condition", message, e.place, f"was {other} meant?")


def _test(e: Expression, operators: frozenset[str]) -> tuple[str, str] | None:
    """What is compared with which constant."""
    if not isinstance(e, Binary) or e.operator not in operators or not isinstance(e.left, Variable | Word):
        return None
    if isinstance(e.right, Number):
        return e.left.text, str(e.right.value)
    if isinstance(e.right, String) and "$" not in e.right.text:
        return e.left.text, e.right.text
    return (e.left.text, e.right.text) if isinstance(e.right, Word) and e.left.text == "method" else None
