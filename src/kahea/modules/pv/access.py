"""`KSR.pv`: reading and assigning pseudo-variables from a script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kahea.routing.module import Module, Value, function
from kahea.routing.pv import Pv, PvError
from kahea.routing.pv.reading import Reading
from kahea.routing.pv.values import NULL_TEXT, as_int

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.run import Run


class Access(Module):
    """The functions of `KSR.pv`. A variable that there is not reads as null, with an error in the log."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._reading = Reading(node.variables.compiled, self._unknown)

    def compiled(self) -> Mapping[str, Callable[..., Any]]:
        """Scripts read variables of every message."""
        names = ("get", "gete", "is_null")
        return {**super().compiled(), **{name: getattr(self._reading, name) for name in names}}

    def _unknown(self, error: PvError) -> None:
        self.node.log.error("%s", error)

    def _find(self, name: str) -> Pv | None:
        try:
            return self.node.variables.compile(name)
        except PvError as error:
            self.node.log.error("%s", error)
            return None

    @function(group="pv")
    def get(self, run: Run, name: str) -> Value:
        """The value of a variable."""
        return self._reading.get(run, name)

    @function(group="pv")
    def gete(self, run: Run, name: str) -> Value:
        """The value of a variable, an empty text for null."""
        return self._reading.gete(run, name)

    @function(group="pv")
    def getw(self, run: Run, name: str) -> Value:
        """The value of a variable, the text `<null>` for null."""
        value = self._reading.get(run, name)
        return NULL_TEXT if value is None else value

    @function(group="pv")
    def geti(self, run: Run, name: str) -> int:
        """The value of a variable as a number: the one that a text begins with, 0 for null."""
        return as_int(self._reading.get(run, name))

    @function(group="pv")
    def getl(self, run: Run, name: str) -> Value:
        """The value of a variable as a number of 64 bits: the one that a text begins with, 0 for null."""
        return as_int(self._reading.get(run, name))

    @function(group="pv")
    def getvn(self, run: Run, name: str, default: int) -> Value:
        """The value of a variable, or the number for null."""
        value = self._reading.get(run, name)
        return default if value is None else value

    @function(group="pv")
    def getvs(self, run: Run, name: str, default: str) -> Value:
        """The value of a variable, or the text for null."""
        value = self._reading.get(run, name)
        return default if value is None else value

    @function(group="pv")
    def is_null(self, run: Run, name: str) -> bool:
        """Whether a variable is null, or there is none of the name."""
        return self._reading.is_null(run, name)

    def _set(self, run: Run, name: str, value: Value) -> bool:
        """Assigning to a read-only variable changes nothing and counts as done, as in Kamailio."""
        pv = self._find(name)
        if pv is None:
            return False
        if not pv.writable:
            self.node.log.warning("%s is read-only", name)
            return True
        return pv.set(run, value)

    @function(group="pv")
    def seti(self, run: Run, name: str, value: int) -> bool:
        """Assign a number to a variable."""
        return self._set(run, name, value)

    @function(group="pv", params=("str", "long"), ret="bool")
    def setl(self, run: Run, name: str, value: int) -> bool:
        """Assign a number of 64 bits to a variable."""
        return self._set(run, name, value)

    @function(group="pv")
    def sets(self, run: Run, name: str, value: str) -> bool:
        """Assign a text to a variable."""
        return self._set(run, name, value)

    @function(group="pv")
    def unset(self, run: Run, name: str) -> bool:
        """Assign null to a variable."""
        return self._set(run, name, None)

    @function(group="pvx")
    def evalx(self, run: Run, name: str, text: str) -> int:
        """Evaluate a text with variables in it, and assign the result to a variable."""
        pv = self._find(name)
        if pv is None:
            return -1
        try:
            value = self.node.variables.format(text).render(run)
        except PvError as error:
            self.node.log.error("%s", error)
            return -1
        return 1 if pv.set(run, value) else -1
