"""Statements of a route, and the value that a route has when it ends without saying one: that of its last statement."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Final

from kahea.engines.native.compiler import build
from kahea.engines.native.compiler.expressions import CODE, FAILED, INT, TEST, Expressions
from kahea.engines.native.compiler.function import FunctionState
from kahea.engines.native.tree import (
    Assign,
    Break,
    Call,
    Drop,
    Evaluate,
    Exit,
    Expression,
    If,
    Node,
    Return,
    RouteCall,
    Statement,
    Switch,
    While,
)

#: What becomes of the value of a block's last statement.
NOTHING: Final = 0
RETURN: Final = 1  # it is the route's
KEEP: Final = 2  # it is kept under LAST, for a loop or switch that ends the route

LAST: Final = "_last"
#: The code of a return whose value can't be evaluated.
BAD_RETURN: Final = -5


class Statements(Expressions):
    """Compiles statements of one function."""

    def __init__(self, state: FunctionState) -> None:
        super().__init__(state)
        #: Of each loop and switch around, what becomes of its last value.
        self.loops: list[int] = []

    def block(self, statements: Sequence[Statement], sink: int, place: Node) -> list[ast.stmt]:
        """A sequence of statements, at least one."""
        out: list[ast.stmt] = []
        ended = False
        for i, statement in enumerate(statements):
            made = self.statement(statement, sink if i == len(statements) - 1 else NOTHING)
            self.state.scope.pause()
            if not ended:
                out += made
            # What comes after an end is compiled for its errors only.
            ended |= isinstance(statement, Return | Exit | Drop | Break)
        if not out:
            out += self._sunk(build.constant(1), sink) or [ast.Pass()]
        build.located(out, place.place)
        return out

    def statement(self, statement: Statement, sink: int) -> list[ast.stmt]:
        """One statement, what must run before it included."""
        self.state.statement = statement.value if isinstance(statement, Evaluate) else None
        with self.state.aside() as before:
            self.state.may_be_undefined = False
            made = self._statement(statement, sink)
            undefined = self.state.may_be_undefined
        out = [*before, *made]
        if self.state.scope.tracer is not None:
            out.insert(0, self.told(statement))
        build.located(out, statement.place)
        if undefined and not isinstance(statement, If | While | Switch):
            out = self._guarded(out, statement, sink)
        return out

    def _statement(self, statement: Statement, sink: int) -> list[ast.stmt]:
        if isinstance(statement, Evaluate):
            return self._evaluate(statement.value, sink)
        if isinstance(statement, Assign):
            return self._assign(statement, sink)
        if isinstance(statement, If):
            return self._if(statement, sink)
        if isinstance(statement, While):
            return self._while(statement, sink)
        if isinstance(statement, Switch):
            return self.switch(statement, sink)
        if isinstance(statement, Return):
            return self._return(statement)
        if isinstance(statement, Break):
            return self._break()
        return self._end(statement)

    def _break(self) -> list[ast.stmt]:
        """Out of the innermost loop or switch; without one, out of the route."""
        if not self.loops:
            return [self.returned(build.constant(0))]
        return [*self._sunk(build.constant(0), self.loops[-1]), ast.Break()]

    def switch(self, statement: Switch, sink: int) -> list[ast.stmt]:
        raise NotImplementedError

    def _sunk(self, value: ast.expr, sink: int) -> list[ast.stmt]:
        """What becomes of a value."""
        if sink == RETURN:
            return [self.returned(value)]
        if sink == KEEP:
            return [build.assign(LAST, value)]
        return []

    # ---- calls and assignments

    def _evaluate(self, e: Expression, sink: int) -> list[ast.stmt]:
        if isinstance(e, RouteCall) and sink == RETURN and not self.state.scope.keeps_code(e):
            return [self.returned(self.route_call(e))]
        if isinstance(e, Call | RouteCall):
            code = self.code(e)
            if sink:
                return self._sunk(code, sink)
            if isinstance(code, ast.IfExp):
                return [ast.Expr(code.test)]
            return [] if isinstance(code, ast.Constant | ast.Name) else [ast.Expr(code)]
        value = self.value(e)
        return [ast.Expr(value.node), *self._sunk(build.constant(1), sink)]

    def _assign(self, statement: Assign, sink: int) -> list[ast.stmt]:
        put = self.assigned(statement)
        if not sink:
            return [ast.Expr(put)]
        return self._sunk(build.choose(put, build.constant(1), build.constant(FAILED)), sink)

    # ---- branches

    def _if(self, statement: If, sink: int) -> list[ast.stmt]:
        test = self.positive(statement.condition)
        if self.state.may_be_undefined:
            test = self._defined_test(test, statement.condition)
        body = self.block(statement.body, sink, statement)
        orelse: list[ast.stmt] = []
        if statement.orelse:
            orelse = self.block(statement.orelse, sink, statement.orelse[0])
        elif sink:
            orelse = self._sunk(build.constant(1), sink)
        if sink == RETURN and orelse and not statement.orelse:
            return [*build.when(test, body), *orelse]
        return build.when(test, body, orelse)

    def _defined_test(self, test: ast.expr, condition: Expression) -> ast.expr:
        """A condition that may be undefined, and then does not hold."""
        kept = self.state.temporary()
        inner = [*self.state.before, build.assign(kept, test)]
        self.state.before.clear()
        handler = [self.report(condition), build.assign(kept, build.constant(False))]
        made = self.attempt(inner, handler)
        build.located([made], condition.place)
        self.state.before.append(made)
        return build.name(kept)

    def _while(self, statement: While, sink: int) -> list[ast.stmt]:
        scope = self.state.scope
        with self.state.aside() as before:
            self.state.may_be_undefined = False
            test = self.nonzero(statement.condition)
            if self.state.may_be_undefined:
                test = self._defined_test(test, statement.condition)
        kept = KEEP if sink else NOTHING
        limit = scope.node.settings.max_while_loops
        over = ast.If(build.negate(test), [ast.Break()], [])
        head: list[ast.stmt] = [*before, over]
        count = self.state.temporary()
        if limit:
            where = build.constant(str(statement.place))
            report = build.call("runaway", build.name(build.RUN), build.constant(limit), where)
            end = [ast.Expr(report), *self._sunk(build.constant(FAILED), kept), ast.Break()]
            head.append(ast.If(build.compare(build.name(count), ast.Eq(), build.constant(limit)), end, []))
        build.located(head, statement.condition.place)
        self.loops.append(kept)
        body = [*head, *self.block(statement.body, kept, statement)]
        self.loops.pop()
        loop: ast.stmt
        if limit:
            times = scope.keep(range(limit + 1), "loops")
            loop = ast.For(ast.Name(count, ast.Store()), build.name(times), body, [])
        else:
            loop = ast.While(build.constant(True), body, [])
        return self.ended(loop, sink)

    def ended(self, loop: ast.stmt, sink: int, untouched: ast.expr | None = None) -> list[ast.stmt]:
        """A loop or switch whose last value may be wanted; if nothing in it runs, it is `untouched`, else 1."""
        if not sink:
            return [loop]
        out = [build.assign(LAST, untouched or build.constant(1)), loop]
        return [*out, self.returned(build.name(LAST))] if sink == RETURN else out

    # ---- ends

    def _return(self, statement: Return) -> list[ast.stmt]:
        if statement.value is None:
            return [self.returned(build.constant(1))]
        value = self.number(statement.value)
        # 0 ends the script, which is None here.
        end = build.call("ended_by_zero", build.name(build.RUN))
        if isinstance(value, ast.Constant):
            return [self.returned(value) if value.value else ast.Return(end)]
        return [self.returned(build.either(value, end))]

    def returned(self, value: ast.expr) -> ast.stmt:
        """`return` with the route's value."""
        if self.state.drops_by_value and not (isinstance(value, ast.Constant) and build.number_in(value) > 0):
            value = build.call("of_reply", build.name(build.RUN), value)
        return ast.Return(value)

    def _end(self, statement: Exit | Drop) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        if statement.value is not None:
            value = self.number(statement.value)
            if not isinstance(value, ast.Constant):
                out.append(ast.Expr(value))
        if isinstance(statement, Drop):
            out.append(build.set_on_run("drop", build.constant(True)))
        return [*out, ast.Return(build.constant(None))]

    # ---- what can't be evaluated

    def _guarded(self, body: list[ast.stmt], statement: Statement, sink: int) -> list[ast.stmt]:
        """A statement that does nothing if its expression can't be evaluated."""
        failed = [self.report(statement), *self._sunk(build.constant(FAILED), sink)]
        if isinstance(statement, Return):
            failed = [self.report(statement), self.returned(build.constant(BAD_RETURN))]
        made = self.attempt(body, failed)
        build.located([made], statement.place)
        return [made]


__all__ = ["CODE", "FAILED", "INT", "KEEP", "NOTHING", "RETURN", "TEST", "Statements"]
