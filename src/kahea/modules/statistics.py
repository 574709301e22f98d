"""Statistics that scripts declare, update and reset (Kamailio's module statistics)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.routing.module import Module, Param, function, native
from kahea.routing.run import BRANCH_ROUTE, FAILURE_ROUTE, LOCAL_ROUTE, REPLY_ROUTES, REQUEST_ROUTE

if TYPE_CHECKING:
    from kahea.routing.run import Run

GROUP = "script"
NO_RESET = "no_reset"


def parse_variable(given: str) -> tuple[str, bool]:
    """`name` or `name/no_reset`, as the name and whether it can be reset."""
    name, slash, flag = given.partition("/")
    if not name or (slash and flag != NO_RESET):
        raise ValueError(f"expected name or name/{NO_RESET}, not {given!r}")
    return name, not slash


class ScriptStatistics(Module):
    """Statistics of scripts, and changes of any by its name alone."""

    name = "statistics"

    variable: Param[list[tuple[str, bool]]] = Param(
        [], "A statistic of the group `script`: `name`, or `name/no_reset`.", many=True, check=parse_variable
    )

    def start(self) -> None:
        """Declare the statistics."""
        for name, resets in self.variable:
            self.node.statistics.declare(GROUP, name, resets=resets)

    @function
    @native("str", "int")
    def update_stat(self, run: Run, name: str, by: int) -> int:
        """Add to a statistic; -1 if there is none of the name. Those that modules keep stay as they are."""
        found = self.node.statistics.named(name)
        if found is None:
            self.node.log.error("update_stat: there is no statistic %r", name)
            return -1
        found.add(by)
        return 1

    @function
    @native("str", routes=REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | BRANCH_ROUTE | LOCAL_ROUTE)
    def reset_stat(self, run: Run, name: str) -> int:
        """Let a statistic begin at 0 again, if it can; -1 if there is none of the name."""
        found = self.node.statistics.named(name)
        if found is None:
            self.node.log.error("reset_stat: there is no statistic %r", name)
            return -1
        found.reset()
        return 1


MODULE = ScriptStatistics
