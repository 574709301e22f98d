"""Which calls must keep their return code for a later `$rc`.

Every call of a module's function sets `$rc`, and nearly nobody reads it. So a program that reads it at all is generated
twice: first with every code kept; here it is found which of these are read before the next call; then with only those.
A route's own code is kept by whoever calls it, so none is needed where a route ends.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from kahea.engines.native.compiler import build
from kahea.engines.native.compiler.scope import Code


def live_codes(functions: Iterable[ast.FunctionDef], readers: set[str], stores: dict[int, Code]) -> set[Code]:
    """The codes that are read. `readers` are the names in generated code that read `$rc` when called, `stores` the
    codes by the identity of the statement that keeps each."""
    bodies = {function.name: function.body for function in functions}
    analysis = _Analysis(readers, stores)
    # A route that reads `$rc` before it calls anything reads that of its caller.
    while True:
        reading = {name for name, body in bodies.items() if analysis.before(body, after=False)}
        if reading <= analysis.readers:
            return analysis.found
        analysis.readers |= reading | {"route_named"}


class _Analysis:
    """One pass over all functions, backwards."""

    def __init__(self, readers: set[str], stores: dict[int, Code]) -> None:
        self.readers = set(readers)
        self.stores = stores
        self.found: set[Code] = set()
        #: Whether the code is read after each loop around.
        self.loops: list[bool] = []

    def before(self, body: Sequence[ast.stmt], *, after: bool) -> bool:
        """Whether the code is read from the beginning of a block on, if it is or is not `after` it."""
        live = after
        for statement in reversed(body):
            live = self._statement(statement, live)
        return live

    def _statement(self, statement: ast.stmt, after: bool) -> bool:
        if id(statement) in self.stores:
            if after:
                self.found.add(self.stores[id(statement)])
            return False
        if isinstance(statement, ast.Return):
            return self._reads(statement)
        if isinstance(statement, ast.Break):
            return self.loops[-1]
        if isinstance(statement, ast.If):
            then = self.before(statement.body, after=after)
            otherwise = self.before(statement.orelse, after=after)
            return then or otherwise or self._reads(statement.test)
        if isinstance(statement, ast.For | ast.While):
            self.loops.append(after)
            live = self.before(statement.body, after=after)
            live = self.before(statement.body, after=live) or live
            self.loops.pop()
            return live or after
        if isinstance(statement, ast.Try):
            # It may end anywhere inside.
            handlers = [self.before(handler.body, after=after) for handler in statement.handlers]
            handled = any(handlers)
            return self.before(statement.body, after=after or handled) or handled
        return after or self._reads(statement)

    def _reads(self, node: ast.AST) -> bool:
        return any(
            (isinstance(each, ast.Name) and each.id in self.readers)
            or (isinstance(each, ast.Attribute) and each.attr == "rc" and _is_run(each.value))
            for each in ast.walk(node)
        )


def _is_run(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == build.RUN
