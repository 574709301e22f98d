"""`$var(...)` that is read though nothing sets it: mostly a slip of the pen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kahea.engines.native.diagnostics import nearest
from kahea.engines.native.tree import Assign, Call, Expression, ModParam, Node, Program, String, Variable
from kahea.engines.native.walk import expressions, inside, walk

if TYPE_CHECKING:
    from kahea.engines.native.check.findings import Findings
    from kahea.routing.registry import Registry

_OWN: Final = re.compile(r"\$\(?var\(\s*([^()$\[\]]+?)\s*\)")


def check_variables(program: Program, registry: Registry, findings: Findings) -> None:
    """Look at all reads and writes of the program's own variables."""
    # A module is told in its parameters where to put what it found.
    values = [d.value for d in program.declarations if isinstance(d, ModParam)]
    written = {name for value in values if isinstance(value, String) for name in _names(value.text)}
    read: dict[str, Node] = {}
    for route in program.routes():
        for statement in walk(route.body):
            if isinstance(statement, Assign):
                written |= set(_names(statement.target.text))
            for expression in expressions(statement):
                for one in inside(expression):
                    if isinstance(one, Assign):
                        written |= set(_names(one.target.text))
                    elif isinstance(one, Variable | String):
                        for name in _names(one.text):
                            read.setdefault(name, one)
                    elif isinstance(one, Call):
                        written |= _given(one, registry)
    for name, node in read.items():
        if name not in written:
            message = f"nothing sets $var({name}): it is 0 wherever it is read"
            findings.warn("never-set", message, node.place, nearest(name, written, "$var(").replace("?", ")?"))


def _names(text: str) -> list[str]:
    return _OWN.findall(text)


def _given(call: Call, registry: Registry) -> set[str]:
    """The variables that a function may set: those it is given as such, or any if it is not known here."""
    given = len(call.arguments)
    forms = [form for form in registry.natives.get(call.name, []) if form.least <= given <= len(form.kinds)]
    found: set[str] = set()
    for i, argument in enumerate(call.arguments):
        kinds = {form.kinds[i] for form in forms}
        if not kinds or "pv" in kinds or "text" in kinds or any(map(callable, kinds)):
            found |= set(_names(_text(argument)))
    return found


def _text(e: Expression) -> str:
    return e.text if isinstance(e, Variable | String) else ""
