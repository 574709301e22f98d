"""Looks into parts of a script: what they may assign, and when the machine reads what it assigns."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from kahea.engines.squirrel import tree
from kahea.engines.squirrel.compiler.variables import FunctionScope, Variable


def register_of(node: tree.Expression, function: FunctionScope) -> Variable | None:
    """The variable of the function itself whose own place the machine takes an expression's value from, or None."""
    found = None
    if isinstance(node, tree.Name):
        found = node.variable
    elif isinstance(node, tree.Assign) or (isinstance(node, tree.Increment) and not node.postfix):
        found = node.target.variable if isinstance(node.target, tree.Name) else None
    return found if found is not None and found.owner is function else None


def changes(node: tree.Expression, variable: Variable) -> bool:
    """Whether evaluating an expression may assign a variable."""
    for found in within(node):
        if isinstance(found, tree.Assign | tree.Increment):
            if isinstance(found.target, tree.Name) and found.target.variable is variable:
                return True
        elif isinstance(found, tree.Call | tree.RawCall) and variable.captured and len(variable.values) > 1:
            return True
    return False


def within(node: object, *, inside: bool = False) -> Iterator[tree.Node]:
    """A node, or nodes, and those in them; of functions what is in them only if `inside` says so."""
    if isinstance(node, list | tuple):
        for one in node:
            yield from within(one, inside=inside)
    elif isinstance(node, tree.Node):
        yield node
        if inside or not isinstance(node, tree.Function):
            for field in dataclasses.fields(node):
                if field.name not in ("variable", "variables", "scope"):
                    yield from within(getattr(node, field.name), inside=inside)
