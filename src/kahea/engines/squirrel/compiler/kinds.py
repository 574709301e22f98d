"""What kind of value an expression has, as far as the text tells: it decides which Python does without asking.

A kind is a type's name as `typeof` has it, ANY for one that isn't known, and UNSET for that of a variable whose values
are not looked at yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from kahea.engines.squirrel import tree
from kahea.engines.squirrel.compiler.variables import Variable

UNSET: Final = ""
ANY: Final = "any"
INTEGER: Final = "integer"
FLOAT: Final = "float"
BOOL: Final = "bool"
STRING: Final = "string"
NULL: Final = "null"
ARRAY: Final = "array"
TABLE: Final = "table"
FUNCTION: Final = "function"
CLASS: Final = "class"

#: What is false only where Python says so too.
PLAIN: Final = frozenset({INTEGER, FLOAT, BOOL, NULL})
NUMBERS: Final = frozenset({INTEGER, FLOAT})

_LITERALS: Final = {int: INTEGER, float: FLOAT, bool: BOOL, str: STRING, type(None): NULL}
_COMPARISONS: Final = frozenset({"==", "!=", "<", ">", "<=", ">=", "in", "instanceof"})
_BITS: Final = frozenset({"&", "|", "^", "<<", ">>", ">>>", "<=>"})


class Kinds:
    """Asks expressions; `ksr` tells what functions of KSR give, by their path."""

    def __init__(self, ksr: Mapping[str, str]) -> None:
        self._ksr = ksr

    def infer(self, variables: Sequence[Variable]) -> None:
        """Find the kinds of variables, from those of all that is assigned to them."""
        for variable in variables:
            variable.kind = ANY if variable.opaque else UNSET
        changed = True
        while changed:
            changed = False
            for variable in variables:
                kind = variable.kind
                for value in variable.values:
                    if kind == ANY:
                        break
                    kind = _joined(kind, NULL if value is None else self.of(value))
                if kind != variable.kind:
                    variable.kind, changed = kind, True

    def of(self, node: tree.Expression) -> str:
        """The kind of an expression."""
        match node:
            case tree.Literal() | tree.Constant():
                return _LITERALS[type(node.value)]
            case tree.Name():
                return node.variable.kind if node.variable is not None else ANY
            case tree.Binary():
                return self._binary(node)
            case tree.Logic():
                return _joined(self.of(node.left), self.of(node.right))
            case tree.Ternary():
                return _joined(self.of(node.then), self.of(node.otherwise))
            case tree.Assign() if node.operator in ("=", "<-"):
                return self.of(node.value)
            case tree.Increment() if isinstance(node.target, tree.Name) and self.of(node.target) == INTEGER:
                return INTEGER
            case tree.Unary():
                return self._unary(node)
            case tree.Comma():
                return self.of(node.values[-1])
            case tree.Call():
                path = ksr_path(node.callee)
                return self._ksr.get(path, ANY) if path else ANY
            case tree.ArrayLiteral():
                return ARRAY
            case tree.TableLiteral():
                return TABLE
            case tree.Function() if node.env is None and not (node.scope and node.scope.based):
                return FUNCTION
            case _:
                return ANY

    def _unary(self, node: tree.Unary) -> str:
        if node.operator == "!":
            return BOOL
        kind = self.of(node.operand)
        if node.operator == "-" and kind in NUMBERS:
            return kind
        return INTEGER if node.operator == "~" else kind if kind == UNSET else ANY

    def _binary(self, node: tree.Binary) -> str:
        if node.operator in _COMPARISONS:
            return BOOL
        if node.operator in _BITS:
            return INTEGER
        left, right = self.of(node.left), self.of(node.right)
        if UNSET in (left, right):
            return UNSET
        if node.operator == "+" and STRING in (left, right):
            return STRING
        if left == right == INTEGER:
            return INTEGER
        return FLOAT if left in NUMBERS and right in NUMBERS else ANY


def ksr_path(node: tree.Expression) -> str:
    """`pv.get` for `KSR.pv.get` or `KSR["pv"].get` where KSR is no local variable; "" for anything else."""
    parts = []
    while isinstance(node, tree.Member | tree.Index):
        name = node.name if isinstance(node, tree.Member) else getattr(node.key, "value", None)
        if not isinstance(name, str):
            return ""
        parts.append(name)
        node = node.object
    if isinstance(node, tree.This | tree.Root) and parts and parts.pop() == "KSR" and len(parts) in (1, 2):
        return ".".join(reversed(parts))
    return ""


def _joined(one: str, other: str) -> str:
    if one == other or other == UNSET:
        return one
    return other if one == UNSET else ANY
