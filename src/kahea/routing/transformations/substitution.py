"""`{re.subst,...}`: sed-like substitution as a transformation; `routing/subst.py` says what it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.routing.module import Value
from kahea.routing.pv.chain import Step, Transformation, failed, narrow, widen
from kahea.routing.subst import SubstError, parse_subst

if TYPE_CHECKING:
    from kahea.routing.pv.table import VariableTable
    from kahea.routing.run import Run

#: Characters that a substitution may make, as many as a message may hold.
MAX_RESULT = 64 * 1024


def _build(table: VariableTable, expression: str) -> Step:
    substitution = parse_subst(expression, table)

    def step(run: Run, value: Value) -> Value:
        """An empty text, and null, give null; what does not match stays what it is."""
        if value is None or value == "":
            return None
        try:
            made = substitution.apply(run, widen(str(value)))
        except SubstError:
            return None
        if made is None:
            return value
        return narrow(made) if len(made) <= MAX_RESULT else None

    return step


SUBSTITUTION: tuple[Transformation, ...] = (Transformation("re.subst", failed, ("rest",), build=_build),)
