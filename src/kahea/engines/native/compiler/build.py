"""Small makers of Python's syntax trees, and how they get the cfg's own places."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from kahea.engines.native.tree import Place

#: The function's argument: the run in progress.
RUN = "run"


def name(text: str) -> ast.Name:
    """A name that is read."""
    return ast.Name(text, ast.Load())


def constant(value: int | str | bool | None) -> ast.Constant:
    """A constant."""
    return ast.Constant(value)


def is_constant(node: ast.expr) -> bool:
    """Whether evaluating the node can be moved or left out at will."""
    return isinstance(node, ast.Constant)


def call(function: str, *arguments: ast.expr) -> ast.Call:
    """`function(arguments...)`."""
    return ast.Call(name(function), list(arguments), [])


def attribute(value: ast.expr, *path: str) -> ast.expr:
    """`value.a.b`."""
    for part in path:
        value = ast.Attribute(value, part, ast.Load())
    return value


def number_in(node: ast.Constant) -> int:
    """A constant's value as a number."""
    return int(node.value) if isinstance(node.value, int) else 0


def run_attribute(*path: str) -> ast.expr:
    """`run.a.b`."""
    return attribute(name(RUN), *path)


def compare(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> ast.Compare:
    """`left operator right`."""
    return ast.Compare(left, [operator], [right])


def is_none(value: ast.expr) -> ast.Compare:
    """`value is None`."""
    return compare(value, ast.Is(), constant(None))


def negate(value: ast.expr) -> ast.expr:
    """`not value`, turning a comparison around where that means the same."""
    turned: dict[type[ast.cmpop], type[ast.cmpop]] = {
        ast.Is: ast.IsNot,
        ast.IsNot: ast.Is,
        ast.Eq: ast.NotEq,
        ast.NotEq: ast.Eq,
        ast.Gt: ast.LtE,
        ast.LtE: ast.Gt,
        ast.Lt: ast.GtE,
        ast.GtE: ast.Lt,
    }
    if isinstance(value, ast.Compare) and len(value.ops) == 1 and type(value.ops[0]) in turned:
        return ast.Compare(value.left, [turned[type(value.ops[0])]()], value.comparators)
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.Not):
        return value.operand
    if isinstance(value, ast.Constant):
        return constant(not value.value)
    return ast.UnaryOp(ast.Not(), value)


def both(left: ast.expr, right: ast.expr) -> ast.expr:
    """`left and right`."""
    return _joined(ast.And(), left, right)


def either(left: ast.expr, right: ast.expr) -> ast.expr:
    """`left or right`."""
    return _joined(ast.Or(), left, right)


def _joined(operator: ast.boolop, left: ast.expr, right: ast.expr) -> ast.expr:
    values: list[ast.expr] = []
    for side in (left, right):
        if isinstance(side, ast.BoolOp) and type(side.op) is type(operator):
            values += side.values
        else:
            values.append(side)
    return ast.BoolOp(operator, values)


def choose(test: ast.expr, then: ast.expr, otherwise: ast.expr) -> ast.expr:
    """`then if test else otherwise`."""
    if isinstance(test, ast.Constant):
        return then if test.value else otherwise
    return ast.IfExp(test, then, otherwise)


def assign(target: str, value: ast.expr) -> ast.stmt:
    """`target = value`."""
    return ast.Assign([ast.Name(target, ast.Store())], value)


def set_on_run(attribute_: str, value: ast.expr) -> ast.stmt:
    """`run.attribute = value`."""
    return ast.Assign([ast.Attribute(name(RUN), attribute_, ast.Store())], value)


def keep(target: str, value: ast.expr) -> ast.expr:
    """`(target := value)`."""
    return ast.NamedExpr(ast.Name(target, ast.Store()), value)


def when(test: ast.expr, body: Sequence[ast.stmt], orelse: Sequence[ast.stmt] = ()) -> list[ast.stmt]:
    """`if test: body else: orelse`; nothing where the test is known."""
    if isinstance(test, ast.Constant):
        return list(body if test.value else orelse)
    if not body:
        if not orelse:
            return [ast.Expr(test)]
        return [ast.If(negate(test), list(orelse), [])]
    return [ast.If(test, list(body), list(orelse))]


def located(nodes: Sequence[ast.AST], place: Place) -> None:
    """Give a place to nodes that have none yet, and to those in them."""
    for node in nodes:
        _locate(node, place)


def _locate(node: ast.AST, place: Place) -> None:
    if isinstance(node, ast.expr | ast.stmt | ast.arg | ast.excepthandler):
        if hasattr(node, "lineno"):
            return  # what is below has places, too
        line = max(place.line, 1)
        node.lineno = line
        node.col_offset = max(place.column - 1, 0)
        node.end_lineno = max(place.end_line, line)
        node.end_col_offset = max(place.end_column - 1, 0)
    for child in ast.iter_child_nodes(node):
        _locate(child, place)
