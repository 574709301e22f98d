"""cfg_select() and cfg_reset(): which instance of a group of settings a script reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.modules.core.forms import core_native
from kahea.routing.module import Module

if TYPE_CHECKING:
    from kahea.routing.run import Run


class Selecting(Module):
    """Instances of groups of settings.

    Kamailio can keep several values of a setting, for a script to choose from. Here each has the one, so that there is
    no instance to select, and nothing to go back from.
    """

    @core_native("cfg_select", takes=("text", "int"))
    def cfg_select(self, run: Run, group: str, instance: int) -> bool:
        """Use an instance of a group's settings; -1, since there is none."""
        self.node.log.error("cfg_select: group instance '%s[%d]' does not exist", group, instance)
        return False

    @core_native("cfg_reset", takes=("text",))
    def cfg_reset(self, run: Run, group: str) -> bool:
        """Go back to a group's own settings; -1 if there is no such group."""
        if group == "core" or self.node.module(group) is not None:
            return True
        self.node.log.error("cfg_reset: there is no group %r", group)
        return False
