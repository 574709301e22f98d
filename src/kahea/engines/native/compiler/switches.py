"""`switch`: a chain of tests where each case ends by itself, else a loop of one turn with the cases in a row."""

from __future__ import annotations

import ast

from kahea.engines.native.compiler import build
from kahea.engines.native.compiler.statements import FAILED, KEEP, NOTHING, RETURN, Statements
from kahea.engines.native.constants import fold
from kahea.engines.native.tree import Break, Case, Drop, Exit, If, Number, Return, Statement, String, Switch

_ENDS = (Break, Return, Exit, Drop)


class Switches(Statements):
    """Compiles switches of one function."""

    def switch(self, statement: Switch, sink: int) -> list[ast.stmt]:
        """A switch; its subject is evaluated once."""
        self._compare_types(statement)
        subject, may_be_undefined = self._subject(statement)
        tests = [self._test(case, subject) for case in statement.cases]
        if may_be_undefined:
            defined = build.negate(build.is_none(subject))
            tests = [test and build.both(defined, test) for test in tests]
            missed = build.choose(defined, build.constant(1), build.constant(FAILED))
        else:
            missed = build.constant(1)
        groups = _groups(statement.cases)
        if groups is not None:
            return self._chain(tests, groups, sink, missed)
        return self._row(statement, tests, sink, missed)

    def _compare_types(self, statement: Switch) -> None:
        """The cases are all numbers or all strings."""
        kinds: set[type] = set()
        for case in statement.cases:
            value = None if case.value is None else fold(case.value)
            if value is not None:
                kinds.add(type(value))
            if len(kinds) > 1:
                message = "the cases of a switch are all numbers or all strings"
                self.state.scope.error("case-types", message, case.place)
                return

    def _subject(self, statement: Switch) -> tuple[ast.expr, bool]:
        """The value under a name: as text if a case has text, else as a number; and whether it may be None, where it
        can't be evaluated: no case but the default fits then."""
        values = [case.value for case in statement.cases if case.value is not None]
        with self.state.aside() as before:
            wanted = self.text if any(isinstance(value, String) for value in values) else self.number
            subject = self.state.saved(wanted(statement.subject, cast=True))
        if self.state.may_be_undefined and isinstance(subject, ast.Name):
            failed = [self.report(statement.subject), build.assign(subject.id, build.constant(None))]
            self.state.before.append(self.attempt(before, failed))
            return subject, True
        self.state.before += before
        return subject, False

    def _test(self, case: Case, subject: ast.expr) -> ast.expr | None:
        """Whether a case fits; None for the default."""
        if case.value is None:
            return None
        if case.regex and isinstance(case.value, String):
            search = self.pattern(case.value, "")
            return build.negate(build.is_none(build.call(search, subject)))
        value = case.value
        if isinstance(value, String):
            wanted: ast.expr = build.constant(value.text)
        elif isinstance(value, Number):
            wanted = build.constant(value.value)
        else:
            wanted = self.number(value)
        node = build.compare(subject, ast.Eq(), wanted)
        build.located([node], case.place)
        return node

    def _chain(
        self, tests: list[ast.expr | None], groups: list[tuple[list[int], Case]], sink: int, missed: ast.expr
    ) -> list[ast.stmt]:
        """`if` and `elif`: no case falls into the next. `missed` is the value where none fits."""
        orelse: list[ast.stmt] = self._sunk(missed, sink)
        for labels, last in groups:
            if any(tests[i] is None for i in labels):
                orelse = self._body(last, sink)
        for labels, last in reversed(groups):
            if any(tests[i] is None for i in labels):
                continue
            test = tests[labels[0]]
            assert test is not None
            for i in labels[1:]:
                other = tests[i]
                assert other is not None
                test = build.either(test, other)
            made = build.when(test, self._body(last, sink), orelse)
            build.located(made, last.place)
            orelse = made
        return orelse or [ast.Pass()]

    def _body(self, case: Case, sink: int) -> list[ast.stmt]:
        """The statements of a case that ends by itself, its last `break` left out."""
        body = case.body
        if body and isinstance(body[-1], Break):
            out = self.block(body[:-1], NOTHING, case) if len(body) > 1 else []
            if self.state.scope.tracer is not None:
                out.append(self.told(body[-1]))
                build.located(out, body[-1].place)
            return [*out, *self._sunk(build.constant(0), sink)] or [ast.Pass()]
        return self.block(body, sink, case)

    def _row(self, statement: Switch, tests: list[ast.expr | None], sink: int, missed: ast.expr) -> list[ast.stmt]:
        """The cases in a row, entered at the one that fits. `missed` is the value where none does."""
        at = self.state.temporary()
        count = len(tests)
        default = next((i for i, test in enumerate(tests) if test is None), count)
        entry: ast.expr = build.constant(default)
        for i in reversed(range(count)):
            test = tests[i]
            if test is not None:
                entry = build.choose(test, build.constant(i), entry)
        kept = KEEP if sink else NOTHING
        self.loops.append(kept)
        body: list[ast.stmt] = []
        for i, case in enumerate(statement.cases):
            if case.body:
                inner = self.block(case.body, kept, case)
                body += build.when(build.compare(build.name(at), ast.LtE(), build.constant(i)), inner)
        self.loops.pop()
        loop = ast.While(build.constant(True), [*body, ast.Break()], [])
        return [build.assign(at, entry), *self.ended(loop, sink, missed)]


def _groups(cases: tuple[Case, ...]) -> list[tuple[list[int], Case]] | None:
    """Cases that share a body, each body ending by itself; None where one falls into the next or breaks inside."""
    groups: list[tuple[list[int], Case]] = []
    labels: list[int] = []
    for i, case in enumerate(cases):
        labels.append(i)
        last = i == len(cases) - 1
        if not case.body and not last:
            continue
        if not last and not isinstance(case.body[-1], _ENDS):
            return None
        inside = case.body[:-1] if case.body and isinstance(case.body[-1], Break) else case.body
        if any(_breaks(statement) for statement in inside):
            return None
        groups.append((labels, case))
        labels = []
    if any(cases[i].value is None and len(group) > 1 for group, _ in groups for i in group):
        return None
    return groups


def _breaks(statement: Statement) -> bool:
    """Whether a `break` of this switch is in it."""
    if isinstance(statement, Break):
        return True
    if isinstance(statement, If):
        return any(_breaks(each) for each in (*statement.body, *statement.orelse))
    return False


__all__ = ["RETURN", "Switches"]
