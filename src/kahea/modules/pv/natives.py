"""What the native language asks of variables by function: is it set, a number, empty, of a type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.routing.literals import output
from kahea.routing.module import Module, native
from kahea.routing.pv import PvError

if TYPE_CHECKING:
    from kahea.routing.pv import Pv
    from kahea.routing.run import Run

_TYPES: dict[str, type] = {"i": int, "s": str, "n": type(None)}


class NativeTests(Module):
    """Functions that only the native language has."""

    @native("pv")
    def is_int(self, run: Run, pv: Pv) -> int:
        """Whether a variable holds a number; digits in a text are none."""
        return 1 if isinstance(pv.get(run), int) else -1

    @native("pv")
    def not_empty(self, run: Run, pv: Pv) -> int:
        """Whether a variable holds a text that is not empty; a number is no text."""
        value = pv.get(run)
        return 1 if isinstance(value, str) and value else -1

    @native("pv")
    def pv_isset(self, run: Run, pv: Pv) -> int:
        """Whether a variable is not null."""
        return -1 if pv.get(run) is None else 1

    @native("pv")
    def pv_unset(self, run: Run, pv: Pv) -> int:
        """Make a variable null; 1 also for one that is read-only, which stays, -1 for one that can't be null."""
        return 1 if not pv.writable or pv.set(run, None) else -1

    @native("pv", "str")
    def typeof(self, run: Run, pv: Pv, kind: str) -> int:
        """Whether a variable holds an `int`, a `str` or `null`, of which the first letter counts."""
        wanted = _TYPES.get(kind[:1].lower())
        return 1 if wanted is not None and isinstance(pv.get(run), wanted) else -1

    @native(output, "str")
    def pv_evalx(self, run: Run, into: str, text: str) -> int:
        """Put a text into a variable that is evaluated, and what it became once more; -1 if that is no format."""
        variables = self.node.variables
        try:
            value = variables.format(text).render(run)
        except PvError as error:
            self.node.log.error("pv_evalx: %s", error)
            return -1
        return 1 if variables.compile(into).set(run, value) else -1
