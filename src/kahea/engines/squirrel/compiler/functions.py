"""Functions of a script as Python's: their parameters, what they take from around them, and how they are made."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import CodeType

from kahea.engines.squirrel import tree
from kahea.engines.squirrel.compiler import build
from kahea.engines.squirrel.compiler.expressions import THIS, Expressions
from kahea.engines.squirrel.compiler.kinds import Kinds
from kahea.engines.squirrel.compiler.statements import Statements
from kahea.engines.squirrel.compiler.variables import RESERVED, FunctionScope

#: The name of the function that a file is.
MAIN = "main"


@dataclass
class Functions:
    """The functions of one file."""

    kinds: Kinds
    ksr: Mapping[str, str]
    #: What they are called in the script, by their names in Python.
    names: dict[str, str] = field(default_factory=dict)

    def main(self, body: list[tree.Statement], scope: FunctionScope) -> ast.Module:
        """The file, as a module with one function."""
        place = tree.Block(1, 1, body)
        statements = Statements(scope, self.kinds, self, self.ksr, inner=False).body(body)
        made = ast.FunctionDef(MAIN, _arguments([THIS], "vargv"), [*_head(scope), *statements], [])
        build.located([made], place)
        return ast.Module([made], [])

    def closure(self, node: tree.Function, outer: Expressions) -> ast.expr:
        """A function's value; its definition goes before the statement in hand."""
        scope = node.scope
        assert scope is not None
        number = len(self.names)
        name = f"{RESERVED}f{number}"
        self.names[name] = node.name or "function"
        inner = Statements(scope, self.kinds, self, self.ksr, inner=True)
        body = [*_head(scope), *inner.body([node.body])]
        defaults = [outer.value(value) for value in node.defaults]
        # The definition goes before the statement: what it does not know yet is given where the function is a value.
        known = all(isinstance(value, tree.Literal | tree.Constant) for value in node.defaults)
        given = defaults if known else [build.constant(None) for _ in defaults]
        parameters = [THIS, *(parameter.python for parameter in scope.parameters)]
        rest = scope.vargv.python if scope.vargv is not None else None
        definition: ast.stmt = ast.FunctionDef(name, _arguments(parameters, rest, given), body, [])
        made: ast.expr = build.name(name)
        taken = [variable.python for variable in scope.boxes()]
        if taken or scope.based:
            definition, made = _made_anew(name, f"{RESERVED}m{number}", definition, taken, scope.based)
        if not known:
            made = build.use("defaulting", made, build.pair(*defaults))
        build.located([definition, made], node)
        outer.before.append(definition)
        if scope.generates:
            made = build.use("generator", made)
        if node.env is not None:
            made = build.use("bind", made, outer.value(node.env))
        return made


def _head(scope: FunctionScope) -> list[ast.stmt]:
    """What a function begins with."""
    made: list[ast.stmt] = []
    outer = [variable.python for variable in scope.assigned if not variable.boxed]
    if outer:
        made.append(ast.Nonlocal(outer))
    if scope.vargv is not None:
        made.append(build.assign(scope.vargv.python, build.use("Array", build.name(scope.vargv.python))))
    if scope.calls:
        made.append(ast.Expr(build.use("tick")))
    return made


def _arguments(names: Iterable[str], rest: str | None, defaults: list[ast.expr] | None = None) -> ast.arguments:
    return ast.arguments(
        posonlyargs=[],
        args=[ast.arg(name) for name in names],
        vararg=ast.arg(rest) if rest is not None else None,
        kwonlyargs=[],
        kw_defaults=[],
        kwarg=None,
        defaults=defaults or [],
    )


def _made_anew(name: str, maker: str, definition: ast.stmt, taken: list[str], based: bool) -> tuple[ast.stmt, ast.expr]:
    """A definition in a function that is given the boxes that it shares, and the base of its class."""
    parameters = [*taken, f"{RESERVED}base"] if based else taken
    outer = ast.FunctionDef(maker, _arguments(parameters, None), [definition, ast.Return(build.name(name))], [])
    made: ast.expr = build.call(build.name(maker), *map(build.name, parameters))
    if based:
        made = build.use("Based", ast.Lambda(_arguments([f"{RESERVED}base"], None), made))
    return outer, made


def renamed(code: CodeType, names: Mapping[str, str]) -> CodeType:
    """A code object whose functions are called as in the script, for tracebacks and debuggers."""
    constants = tuple(renamed(c, names) if isinstance(c, CodeType) else c for c in code.co_consts)
    name = names.get(code.co_name, code.co_name)
    return code.replace(co_consts=constants, co_name=name, co_qualname=name)
