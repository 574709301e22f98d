"""Steps that generated code tells a tracer of: made from statements, with the variables that they read and write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from kahea.engines.native.tree import (
    Assign,
    Binary,
    Break,
    Call,
    Choice,
    Drop,
    Evaluate,
    Exit,
    Expression,
    If,
    Return,
    RouteCall,
    Statement,
    String,
    Switch,
    Unary,
    Variable,
    While,
)
from kahea.routing.pv import PvError
from kahea.routing.tracing import Step

if TYPE_CHECKING:
    from kahea.routing.pv import Pv
    from kahea.routing.pv.table import VariableTable

#: Kamailio's numbers of statements; a module's function has _MODULE_FUNCTION and as many more as it has arguments.
_CODES: Final = {
    "assign": 63,
    "if": 16,
    "route": 5,
    "return": 2,
    "exit": 2,
    "drop": 2,
    "while": 23,
    "switch": 21,
    "setflag": 39,
}
_MODULE_FUNCTION: Final = 24
_NAMES: Final = {
    If: "if",
    While: "while",
    Switch: "switch",
    Return: "return",
    Exit: "exit",
    Drop: "drop",
    Break: "exit",
}
#: What need not be shown, or changes by being read.
_NOT_SHOWN: Final = frozenset({"null", "shvinc", "shtinc", "shtdec", "rand", "RANDOM"})


def step_of(
    node: Statement | Call | RouteCall, route: str, table: VariableTable, leaves_code: Callable[[str], bool]
) -> Step:
    """The step of a statement, or of a call inside of one; `leaves_code(function)` says whether it sets `$rc`."""
    expression = _expression(node)
    reads = tuple(_variables(expression, table)) if expression is not None else ()
    writes = _variable(node.target.text, table) if isinstance(node, Assign) else None
    name, arguments = _name(node)
    code = _CODES.get(name, _MODULE_FUNCTION + arguments)
    inside = isinstance(node, Call | RouteCall)
    called = node.value if isinstance(node, Evaluate) else node
    leaves = isinstance(called, Call) and leaves_code(called.name)
    return Step(route, node.place.file, node.place.line, name, code, reads, writes, inside, leaves)


def _name(node: Statement | Call | RouteCall) -> tuple[str, int]:
    called = node.value if isinstance(node, Evaluate) else node
    if isinstance(called, RouteCall):
        return "route", 1
    if isinstance(called, Call):
        return called.name, len(called.arguments)
    return _NAMES.get(type(node), "assign"), 0


def _expression(node: Statement | Call | RouteCall) -> Expression | None:
    if isinstance(node, If | While):
        return node.condition
    if isinstance(node, Switch):
        return node.subject
    if isinstance(node, Evaluate | Assign | Return | Exit | Drop):
        return node.value
    return node if isinstance(node, Call | RouteCall) else None


def _variables(e: Expression, table: VariableTable) -> Iterator[Pv]:
    """Those of an expression, and of the texts that functions evaluate."""
    seen = set()
    for text in _texts(e):
        for pv in _parts(text, table):
            if pv.text not in seen and pv.name not in _NOT_SHOWN:
                seen.add(pv.text)
                yield pv


def _parts(text: str, table: VariableTable) -> list[Pv]:
    """The variables in a text; none if it is no such text."""
    try:
        return [part for part in table.format(text).parts if not isinstance(part, str)]
    except PvError:
        return []


def _texts(e: Expression) -> Iterator[str]:
    if isinstance(e, Variable):
        yield e.text
    elif isinstance(e, Unary):
        yield from _texts(e.operand)
    elif isinstance(e, Binary):
        yield from _texts(e.left)
        yield from _texts(e.right)
    elif isinstance(e, Choice):
        for part in (e.condition, e.then, e.otherwise):
            yield from _texts(part)
    elif isinstance(e, Assign):
        yield from _texts(e.value)
    elif isinstance(e, RouteCall):
        yield from _texts(e.target)
    elif isinstance(e, Call):
        for argument in e.arguments:
            yield from _texts(argument)
            if isinstance(argument, String) and "$" in argument.text:
                yield argument.text


def _variable(text: str, table: VariableTable) -> Pv | None:
    try:
        return table.compile(text)
    except PvError:
        return None
