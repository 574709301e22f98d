"""What can be said of a script without running it: its syntax, and functions of KSR that there are none of."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from kahea.engines.squirrel import tree
from kahea.engines.squirrel.compiler import compiled
from kahea.engines.squirrel.compiler.kinds import ksr_path
from kahea.engines.squirrel.compiler.resolve import Resolver
from kahea.engines.squirrel.compiler.within import within
from kahea.engines.squirrel.diagnostics import SyntaxFault
from kahea.engines.squirrel.parser import parse


@dataclass(frozen=True, slots=True)
class Finding:
    """One error: its kind for tools, its place, and what may have been meant."""

    code: str
    message: str
    line: int
    column: int
    hint: str = ""


def check(source: bytes, file: str, functions: Collection[str]) -> list[Finding]:
    """All that is found in a text; `functions` are the paths of KSR's (`tm.t_relay`)."""
    text = source.decode("latin-1")
    try:
        compiled(text, file, {}, {})
        body = parse(text, file)
        Resolver(text, file, {}).file(body)
    except SyntaxFault as error:
        return [Finding("syntax", error.message, error.line, error.column)]
    return list(_unknown(body, functions))


def _unknown(body: list[tree.Statement], functions: Collection[str]) -> Iterator[Finding]:
    for node in within(body, inside=True):
        path = ksr_path(node.callee) if isinstance(node, tree.Call) else ""
        if path and path not in functions:
            near = difflib.get_close_matches(path, functions, 1)
            hint = f"did you mean KSR.{near[0]}?" if near else ""
            yield Finding("unknown-function", f"there is no function KSR.{path}()", node.line, node.column, hint)
