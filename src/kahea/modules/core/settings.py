"""cfg_select() and cfg_reset(): which instance of a group of settings a script reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.modules.core.forms import core_native
from kahea.routing.module import Module
from kahea.routing.runtime import SELECTED

if TYPE_CHECKING:
    from kahea.routing.run import Run


class Selecting(Module):
    """Instances of groups of settings: `cfg_get` selects read the one that the run chose.

    What the core and the modules do follows the general values: an instance of theirs changes what a script reads.
    """

    @core_native("cfg_select", takes=("text", "int"))
    def cfg_select(self, run: Run, group: str, instance: int) -> bool:
        """Use an instance of a group's settings from here on in this run; -1 if there is none."""
        if not self.node.configuration.runtime.has_instance(group, instance):
            self.node.log.error("cfg_select: group instance '%s[%d]' does not exist", group, instance)
            return False
        _chosen(run)[group] = instance
        return True

    @core_native("cfg_reset", takes=("text",))
    def cfg_reset(self, run: Run, group: str) -> bool:
        """Go back to a group's own settings; -1 if there is no such group."""
        if group not in self.node.configuration.runtime.groups():
            self.node.log.error("cfg_reset: there is no group %r", group)
            return False
        _chosen(run).pop(group, None)
        return True


def _chosen(run: Run) -> dict[str, int]:
    found: dict[str, int] = run.state.setdefault(SELECTED, {})  # type: ignore[assignment]
    return found
