"""What is known while one function is generated: its temporary names, what must run before the expression in hand."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kahea.engines.native.compiler import build
from kahea.engines.native.compiler.scope import Scope
from kahea.engines.native.tree import Expression
from kahea.routing.run import CORE_ONREPLY_ROUTE

#: Return codes as generated functions give them: None means that the script ends.
END = build.constant(None)


class FunctionState:
    """A function being generated for a route of `kind` (the tree's word)."""

    def __init__(self, scope: Scope, kind: str, routes: int, title: str) -> None:
        self.scope = scope
        self.kind = kind
        self.title = title
        #: Whether a value that is not true drops the message: only the node's own reply_route is so.
        self.drops_by_value = routes == CORE_ONREPLY_ROUTE
        #: The kinds of route that it runs in, as bits of `routing.run`.
        self.routes = routes
        #: Statements that must run before the expression being compiled.
        self.before: list[ast.stmt] = []
        self._temporaries = 0
        #: The call that is a statement of its own, while that is compiled.
        self.statement: Expression | None = None
        #: Whether the expression being compiled may raise `Undefined`.
        self.may_be_undefined = False

    def temporary(self) -> str:
        """A name that is used nowhere else in this function."""
        self._temporaries += 1
        return f"_{self._temporaries}"

    def saved(self, value: ast.expr) -> ast.expr:
        """A value that can be named again: itself if it is a constant or a name, else kept under a temporary name by a
        statement before."""
        if isinstance(value, ast.Constant | ast.Name):
            return value
        kept = self.temporary()
        self.before.append(build.assign(kept, value))
        return build.name(kept)

    @contextmanager
    def aside(self) -> Iterator[list[ast.stmt]]:
        """Collect what must run before in a list of its own."""
        outer, self.before = self.before, []
        try:
            yield self.before
        finally:
            self.before = outer

    def after(self, left: ast.expr, right: Callable[[], ast.expr]) -> tuple[ast.expr, ast.expr]:
        """Two operands, the left one evaluated first even if something must run before the right one."""
        with self.aside() as before:
            second = right()
        if before and not isinstance(left, ast.Constant):
            left = self.saved(left)
        self.before += before
        return left, second
