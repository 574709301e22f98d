"""What has to be known of the whole program before a line of Python is written: whose return codes are read, and
what the script's own variables hold."""

from __future__ import annotations

from typing import Final

from kahea.engines.native.convert.code import ANY, INT, STR
from kahea.engines.native.convert.variables import is_own, known_type
from kahea.engines.native.reserved import RETURN_CODES
from kahea.engines.native.tree import (
    Assign,
    Binary,
    Call,
    Choice,
    Evaluate,
    Expression,
    If,
    Number,
    Program,
    Route,
    RouteCall,
    Statement,
    String,
    Unary,
    Variable,
)
from kahea.engines.native.walk import blocks, ends, expressions, inside, target_name, walk

#: What a call is to whose route is known only then.
BY_NAME: Final = ""
#: Stands for "no call in this route yet" among the identities of calls.
_ENTRY: Final = 0


class Flow:
    """The facts."""

    def __init__(self, program: Program) -> None:
        #: Calls whose return code is read later, by identity.
        self.kept: set[int] = set()
        #: Routes, by name, whose value is read; `BY_NAME` if that may be any.
        self.valued: set[str] = set()
        self._types: dict[str, str] = {}
        self._calls: dict[int, Call | RouteCall] = {}
        #: Routes that read a return code which none of their own calls may have left, by identity.
        self.inherits: set[int] = set()
        for route in program.routes():
            self._codes(route.body, {_ENTRY})
            if _ENTRY in self.kept:
                self.kept.discard(_ENTRY)
                self.inherits.add(id(route))
            for statement in walk(route.body):
                for expression in expressions(statement):
                    self._values(expression, used=not isinstance(statement, Evaluate))
        for key in self.kept:
            call = self._calls[key]
            if isinstance(call, RouteCall):
                self.valued.add(target_name(call))
        self._infer(program)

    def keeps(self, route: Route) -> bool:
        """Whether a call of this route leaves its code for a later read."""
        found = (one for statement in walk(route.body) for e in expressions(statement) for one in inside(e))
        return any(id(one) in self.kept for one in found)

    def type_of(self, variable: str) -> str:
        """What a variable holds, as far as that is sure."""
        return known_type(variable) or self._types.get(variable, ANY)

    def _values(self, expression: Expression, *, used: bool) -> None:
        for one in inside(expression):
            if isinstance(one, RouteCall) and (used or one is not expression):
                self.valued.add(target_name(one))

    def _codes(self, body: tuple[Statement, ...], last: set[int]) -> set[int]:
        """Follow which calls may have been the last before each read of `$rc`; those after the body."""
        for statement in body:
            for expression in expressions(statement):
                last = self._code(expression, last)
            inner = blocks(statement)
            if isinstance(statement, If):
                after = [self._codes(block, set(last)) for block in inner]
                gone = [ends(block) for block in inner]
                last = set().union(*(a for a, g in zip(after, gone, strict=True) if not g))
            elif inner:
                last = last.union(*(self._codes(block, set(last)) for block in inner))
        return last

    def _code(self, expression: Expression, last: set[int]) -> set[int]:
        for one in inside(expression):
            if isinstance(one, Variable) and one.text in RETURN_CODES:
                self.kept |= last
            elif isinstance(one, (Call, RouteCall)):
                last = {id(one)}
                self._calls[id(one)] = one
        return last

    def _infer(self, program: Program) -> None:
        given: dict[str, list[Expression]] = {}
        for route in program.routes():
            for statement in walk(route.body):
                found = [statement, *(one for e in expressions(statement) for one in inside(e))]
                for assign in found:
                    if isinstance(assign, Assign) and is_own(assign.target.text):
                        given.setdefault(assign.target.text, []).append(assign.value)
        for _ in range(len(given) + 1):
            before = dict(self._types)
            for name, values in given.items():
                kinds = {self.static(value) for value in values} - {None}
                if len(kinds) == 1:
                    self._types[name] = kinds.pop() or ANY
                else:
                    self._types.pop(name, None)
            if self._types == before:
                break

    def static(self, expression: Expression) -> str | None:
        """The type of an expression; None for `$null`, which fits all."""
        match expression:
            case Number():
                return INT
            case String():
                return STR
            case Variable(text="$null"):
                return None
            case Variable(text=text):
                return self.type_of(text)
            case Unary(operator="(str)"):
                return STR
            case Unary():
                return INT
            case Binary(operator="+", left=left, right=right):
                kind = self.static(left)
                return kind if kind in (INT, STR) else self.static(right) if kind is None else _sum(self.static(right))
            case Binary():
                return INT
            case Call() | RouteCall() | Assign():
                return INT
            case Choice(then=then, otherwise=otherwise):
                kind = self.static(then)
                return kind if kind == self.static(otherwise) else ANY
        return ANY


def _sum(right: str | None) -> str:
    """The type of something unknown plus this."""
    return STR if right == STR else INT if right == INT else ANY
