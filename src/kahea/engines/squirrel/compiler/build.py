"""Small makers of Python's syntax trees, and how they get the script's own places."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from kahea.engines.squirrel import tree
from kahea.engines.squirrel.compiler.variables import RESERVED


def name(text: str) -> ast.Name:
    """A name that is read."""
    return ast.Name(text, ast.Load())


def helper(text: str) -> ast.Name:
    """Something of the run-time, by its name without the prefix that keeps it from the script's."""
    return name(RESERVED + text)


def constant(value: tree.Value) -> ast.expr:
    """A constant."""
    return ast.Constant(value)


def call(function: ast.expr, *arguments: ast.expr) -> ast.Call:
    """`function(arguments...)`."""
    return ast.Call(function, list(arguments), [])


def use(function: str, *arguments: ast.expr) -> ast.Call:
    """A call of the run-time."""
    return call(helper(function), *arguments)


def compare(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> ast.Compare:
    """`left operator right`."""
    return ast.Compare(left, [operator], [right])


def keep(target: str, value: ast.expr) -> ast.expr:
    """`(target := value)`."""
    return ast.NamedExpr(ast.Name(target, ast.Store()), value)


def assign(target: str, value: ast.expr) -> ast.stmt:
    """`target = value`."""
    return ast.Assign([ast.Name(target, ast.Store())], value)


def box(variable: str, context: ast.expr_context) -> ast.expr:
    """What a boxed variable holds."""
    return ast.Subscript(name(variable), ast.Constant(0), context)


def pair(*values: ast.expr) -> ast.expr:
    """A tuple."""
    return ast.Tuple(list(values), ast.Load())


def last(*values: ast.expr) -> ast.expr:
    """All values one after another; that of the last."""
    return ast.Subscript(pair(*values), ast.Constant(len(values) - 1), ast.Load())


def first(*values: ast.expr) -> ast.expr:
    """All values one after another; that of the first."""
    return ast.Subscript(pair(*values), ast.Constant(0), ast.Load())


def is_(value: ast.expr, other: ast.expr) -> ast.expr:
    """`value is other`."""
    return compare(value, ast.Is(), other)


def typed(value: ast.expr, kind: str) -> ast.expr:
    """`type(value) is kind`, a type of the run-time's."""
    return is_(use("type", value), helper(kind))


def negated(test: ast.expr) -> ast.expr:
    """`not test`."""
    return ast.UnaryOp(ast.Not(), test)


def located(nodes: Iterable[ast.AST], place: tree.Node) -> None:
    """Give a place to nodes that have none yet, and to those in them."""
    line, column = place.line, place.column - 1
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.expr | ast.stmt | ast.arg | ast.excepthandler):
            if hasattr(node, "lineno"):
                continue  # what is below has places, too
            node.lineno = node.end_lineno = line
            node.col_offset = node.end_col_offset = column
        waiting += ast.iter_child_nodes(node)
