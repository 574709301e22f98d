"""Statements of a script as Python's."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kahea.engines.squirrel import tree
from kahea.engines.squirrel.compiler import build
from kahea.engines.squirrel.compiler.expressions import Expressions
from kahea.engines.squirrel.compiler.variables import RESERVED, Variable


@dataclass
class _Target:
    """What `break` and `continue` are for: a loop, or a switch that is one to Python."""

    #: What runs before the next turn of a loop; None for a switch.
    step: Callable[[], list[ast.stmt]] | None
    #: For a switch: what tells that it was left by `continue`.
    left: str = ""
    continued: bool = False


class Statements(Expressions):
    """The statements of one function."""

    _targets: list[_Target]

    def body(self, nodes: Iterable[tree.Statement]) -> list[ast.stmt]:
        """A function's body."""
        self._targets = []
        return self._all(nodes) or [ast.Pass()]

    def _all(self, nodes: Iterable[tree.Statement]) -> list[ast.stmt]:
        found: list[ast.stmt] = []
        for node in nodes:
            found += self._statement(node)
        return found

    def _statement(self, node: tree.Statement) -> list[ast.stmt]:
        outer, self.before = self.before, []
        made = self._made(node)
        build.located(made, node)
        made = self.before + made
        self.before = outer
        return made

    def _nested(self, node: tree.Statement) -> list[ast.stmt]:
        return self._statement(node) or [ast.Pass()]

    def _made(self, node: tree.Statement) -> list[ast.stmt]:
        match node:
            case tree.Evaluate():
                return self._evaluate(node.value)
            case tree.Block():
                return self._all(node.body)
            case tree.If():
                otherwise = [] if node.otherwise is None else self._statement(node.otherwise)
                return [ast.If(self.test(node.test), self._nested(node.then), otherwise)]
            case tree.While():
                return [ast.While(self.test(node.test), self._turn(node.body, list), [])]
            case tree.DoWhile():
                return self._do(node)
            case tree.For():
                return self._for(node)
            case tree.ForEach():
                return self._foreach(node)
            case tree.Switch():
                return self._switch(node)
            case tree.Local():
                return self._local(node)
            case tree.Return():
                return [ast.Return(None if node.value is None else self.value(node.value))]
            case tree.Yield():
                return [ast.Expr(ast.Yield(None if node.value is None else self.value(node.value)))]
            case tree.Break():
                return [ast.Break()]
            case tree.Continue():
                return self._continue()
            case tree.Throw():
                return [ast.Raise(build.use("Thrown", self.value(node.value)), None)]
            case tree.Try():
                return self._try(node)
            case tree.Const():
                return []

    def _evaluate(self, node: tree.Expression) -> list[ast.stmt]:
        """An expression for what it does."""
        assigned = None
        if isinstance(node, tree.Assign):
            assigned = self.assigned(node)
        elif isinstance(node, tree.Increment):
            assigned = self.stepped(node)
        if assigned is not None:
            return [self._store(*assigned)]
        if isinstance(node, tree.Comma):
            return [statement for value in node.values for statement in self._evaluate(value)]
        return [ast.Expr(self.value(node))]

    @staticmethod
    def _store(variable: Variable, value: ast.expr) -> ast.stmt:
        if variable.boxed:
            return ast.Assign([build.box(variable.python, ast.Store())], value)
        return build.assign(variable.python, value)

    @staticmethod
    def _declare(variable: Variable, value: ast.expr) -> ast.stmt:
        """The first value of a variable; a boxed one gets a box of its own."""
        return build.assign(variable.python, ast.List([value], ast.Load()) if variable.boxed else value)

    def _local(self, node: tree.Local) -> list[ast.stmt]:
        made = []
        for variable, value in zip(node.variables, node.values, strict=True):
            made.append(self._declare(variable, build.constant(None) if value is None else self.value(value)))
            build.located(made, node)
        return made

    # ---- loops

    def _turn(self, body: tree.Statement, step: Callable[[], list[ast.stmt]]) -> list[ast.stmt]:
        """What a loop does in each turn, but for its step."""
        self._targets.append(_Target(step))
        made = [ast.Expr(build.use("tick")), *self._statement(body)]
        self._targets.pop()
        return made

    def _do(self, node: tree.DoWhile) -> list[ast.stmt]:
        def step() -> list[ast.stmt]:
            made: list[ast.stmt] = [ast.If(build.negated(self.test(node.test)), [ast.Break()], [])]
            build.located(made, node)
            return made

        body = self._turn(node.body, step)
        return [ast.While(build.constant(True), body + step(), [])]

    def _for(self, node: tree.For) -> list[ast.stmt]:
        def step() -> list[ast.stmt]:
            made = [] if node.step is None else self._evaluate(node.step)
            build.located(made, node.step or node)
            return made

        start = [] if node.start is None else self._statement(node.start)
        test = build.constant(True) if node.test is None else self.test(node.test)
        body = self._turn(node.body, step) + step()
        return [*start, *self._flushed(), ast.While(test, body, [])]

    def _flushed(self) -> list[ast.stmt]:
        """What must run before, here: after what a loop begins with."""
        made, self.before = self.before, []
        return made

    def _foreach(self, node: tree.ForEach) -> list[ast.stmt]:
        key, value = node.variables
        made: list[ast.stmt] = []
        unpacked: list[ast.stmt] = []
        targets: list[ast.expr] = []
        for variable in (key, value):
            target = self.temporary() if variable is None or variable.boxed else variable.python
            targets.append(ast.Name(target, ast.Store()))
            if variable is not None and variable.boxed:
                made.append(self._declare(variable, build.constant(None)))
                unpacked.append(self._store(variable, build.name(target)))
        each = build.use("each", self.value(node.container))
        build.located([*unpacked, each], node)
        body = unpacked + self._turn(node.body, list)
        return [*made, ast.For(ast.Tuple(targets, ast.Store()), each, body, [])]

    def _continue(self) -> list[ast.stmt]:
        made: list[ast.stmt] = []
        for target in reversed(self._targets):
            if target.step is not None:
                return [*made, *target.step(), ast.Continue()]
            target.continued = True
            return [build.assign(target.left, build.constant(True)), ast.Break()]
        raise AssertionError("continue outside of a loop")

    # ---- switch, try

    def _switch(self, node: tree.Switch) -> list[ast.stmt]:
        kept = self.temporary()
        made: list[ast.stmt] = [build.assign(kept, self.value(node.value))]
        value = tree.Name(node.line, node.column, kept)
        value.variable = Variable(kept, kept, self.scope, in_loop=False, kind=self.kinds.of(node.value))
        if chain := _separate(node.cases):
            return made + self._chain(chain, value)
        return made + self._cases(node, value)

    def _equals(self, tests: list[tree.Expression], value: tree.Name) -> ast.expr:
        found = [self.test(tree.Binary(test.line, test.column, "==", value, test)) for test in tests]
        return found[0] if len(found) == 1 else ast.BoolOp(ast.Or(), found)

    def _chain(
        self, chain: list[tuple[list[tree.Expression] | None, list[tree.Statement]]], value: tree.Name
    ) -> list[ast.stmt]:
        """Cases that all end by themselves, as `if`s."""
        made: list[ast.stmt] = []
        for tests, body in reversed(chain):
            statements = self._all(body)
            if tests is None:
                made = statements
            else:
                made = [ast.If(self._equals(tests, value), statements or [ast.Pass()], made)]
                build.located(made, tests[0])
        return made

    def _cases(self, node: tree.Switch, value: tree.Name) -> list[ast.stmt]:
        """Cases that may go on in the next one: a loop of one turn that `break` leaves."""
        begin = self.temporary()
        target = _Target(None, self.temporary())
        end = len(node.cases)
        default = end if not node.cases or node.cases[-1].test is not None else end - 1
        chosen: list[ast.stmt] = [build.assign(begin, build.constant(default))]
        for number, case in reversed(list(enumerate(node.cases))):
            if case.test is not None:
                found = build.assign(begin, build.constant(number))
                chosen = [ast.If(self._equals([case.test], value), [found], chosen)]
                build.located(chosen, case)
        self._targets.append(target)
        turn: list[ast.stmt] = []
        for number, case in enumerate(node.cases):
            body = self._all(case.body)
            if body:
                test = build.compare(build.name(begin), ast.LtE(), build.constant(number))
                turn.append(ast.If(test, body, []))
        self._targets.pop()
        made = [*chosen, ast.While(build.constant(True), [*turn, ast.Break()], [])]
        if target.continued:
            made.insert(0, build.assign(target.left, build.constant(False)))
            made.append(ast.If(build.name(target.left), self._continue(), []))
        return made

    def _try(self, node: tree.Try) -> list[ast.stmt]:
        assert node.variable is not None
        error = f"{RESERVED}error{self.temporary().removeprefix(RESERVED)}"
        caught = self._declare(node.variable, build.use("caught", build.name(error)))
        build.located([caught], node)
        handler = ast.ExceptHandler(build.helper("CATCHABLE"), error, [caught, *self._statement(node.handler)])
        return [ast.Try(self._nested(node.body), [handler], [], [])]


def _separate(
    cases: list[tree.Case],
) -> list[tuple[list[tree.Expression] | None, list[tree.Statement]]] | None:
    """The tests and the body of each case; None if one that has a body goes on in the next."""
    found: list[tuple[list[tree.Expression] | None, list[tree.Statement]]] = []
    tests: list[tree.Expression] = []
    for number, case in enumerate(cases):
        body = case.body
        if case.test is not None:
            tests.append(case.test)
        if case.test is not None and not body and number + 1 < len(cases):
            continue
        final = number + 1 == len(cases)
        body = body[0].body if len(body) == 1 and isinstance(body[0], tree.Block) else body
        last = body[-1] if body else None
        if isinstance(last, tree.Break):
            body = body[:-1]
        elif not final and not isinstance(last, tree.Return | tree.Throw | tree.Continue):
            return None
        if any(map(_breaks, body)):
            return None
        found.append((None if case.test is None else tests, body))
        tests = []
    return found


def _breaks(node: tree.Statement | None) -> bool:
    """Whether a statement has a `break` for what is around it."""
    match node:
        case tree.Break():
            return True
        case tree.Block():
            return any(map(_breaks, node.body))
        case tree.If():
            return _breaks(node.then) or _breaks(node.otherwise)
        case tree.Try():
            return _breaks(node.body) or _breaks(node.handler)
        case tree.Switch():
            return False
        case _:
            return False
