"""`kahea convert`: a cfg as the KEMI script in Python that a person would have written, with its settings.

The script does what the cfg does: the same functions by their KEMI names, conditions in Python's terms, `exit` as
`sys.exit()`, return codes kept where something reads them. What KEMI has no function for goes by its native name,
through `KSR.x.modf`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kahea.engines.native.convert.calls import Calls
from kahea.engines.native.convert.comments import Comments
from kahea.engines.native.convert.expressions import Expressions
from kahea.engines.native.convert.flow import Flow
from kahea.engines.native.convert.names import Names
from kahea.engines.native.convert.settings import settings
from kahea.engines.native.convert.statements import Statements

if TYPE_CHECKING:
    from kahea.engines.native.tree import Program
    from kahea.routing.node import Node


#: KEMI's text of a variable without value is "", which is another value.
_COPY: Final = '''def copy(target, source):
    """Give a variable the value of another, or none if that has none."""
    value = KSR.pv.get(source)
    if value is None:
        KSR.pv.unset(target)
    elif isinstance(value, int):
        KSR.pv.seti(target, value)
    else:
        KSR.pv.sets(target, value)'''


_CALL_ROUTE: Final = '''def call_route(name):
    """Call a route by its name, which need not be one."""
    route = globals().get("ksr_route_" + name.lower())
    if route is None:
        KSR.err(f"there is no route[{name}]\\n")
        return -10
    return route()'''


@dataclass(frozen=True, slots=True)
class Converted:
    """The script and the `kahea.toml` beside it."""

    script: str
    settings: str


def convert(program: Program, node: Node, origin: str) -> Converted:
    """Convert a program for a node that has its modules loaded; `origin` names the cfg in the script's docstring."""
    names = Names(program)
    flow = Flow(program)
    expressions = Expressions(names, flow, Calls(node, names))
    comments = Comments(program)
    statements = Statements(names, flow, expressions, program, comments)
    functions = [statements.function(route) for route in program.routes()]
    rest = statements.rest()
    head = [f'"""The routes of {origin}."""', ""]
    head += [f"import {module}" for module in sorted(expressions.imports)]
    head += [""] if expressions.imports else []
    head.append("import KSR")
    if names.constants:
        head += ["", *(f"{name} = {value}" for name, value in names.constants.items())]
    blocks = ["\n".join(head), *("\n".join(lines) for lines in functions)]
    if rest:
        blocks.append("\n".join(rest))
    if expressions.copies:
        blocks.append(_COPY)
    if expressions.calls_by_name:
        blocks.append(_CALL_ROUTE)
    return Converted("\n\n\n".join(blocks) + "\n", settings(program, comments))


__all__ = ["Converted", "convert"]
