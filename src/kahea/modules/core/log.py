"""KSR.err() and its siblings: lines for the log, filtered by the global parameter `debug`.

Kamailio's levels grow with verbosity, from -5 (alert) to 3 (debug); a line shows when its level is not above
`debug`. Each maps to a level of Python's logging, NOTICE lying between INFO and WARNING.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from kahea.modules.core.forms import core_native
from kahea.routing.module import Module, function, native

if TYPE_CHECKING:
    from kahea.routing.run import Run

L_CRIT, L_ERR, L_WARN, L_NOTICE, L_INFO, L_DBG = -2, -1, 0, 1, 2, 3
NOTICE = 25

#: Kamailio's level by the name that KSR.log() takes; any other name means an error.
BY_NAME = {"dbg": L_DBG, "info": L_INFO, "notice": L_NOTICE, "warn": L_WARN, "crit": L_CRIT}

PYTHON_LEVEL = {
    L_CRIT: logging.CRITICAL,
    L_ERR: logging.ERROR,
    L_WARN: logging.WARNING,
    L_NOTICE: NOTICE,
    L_INFO: logging.INFO,
    L_DBG: logging.DEBUG,
}


class Logging(Module):
    """Log lines written by scripts."""

    def _line(self, level: int, line: str) -> None:
        if level <= self.node.settings.debug:
            shown = PYTHON_LEVEL[min(max(level, L_CRIT), L_DBG)]
            self.node.log.log(shown, "%s", line.rstrip("\n"))

    @function(group="")
    def dbg(self, run: Run, line: str) -> None:
        """Write a line for debugging (level 3)."""
        self._line(L_DBG, line)

    @function(group="")
    def info(self, run: Run, line: str) -> None:
        """Write an informational line (level 2)."""
        self._line(L_INFO, line)

    @function(group="")
    def notice(self, run: Run, line: str) -> None:
        """Write a line of note (level 1)."""
        self._line(L_NOTICE, line)

    @function(group="")
    def warn(self, run: Run, line: str) -> None:
        """Write a warning (level 0)."""
        self._line(L_WARN, line)

    @function(group="")
    def err(self, run: Run, line: str) -> None:
        """Write an error (level -1)."""
        self._line(L_ERR, line)

    @function(group="")
    def crit(self, run: Run, line: str) -> None:
        """Write a critical error (level -2)."""
        self._line(L_CRIT, line)

    @native("text", name="log")
    def log_line(self, run: Run, line: str) -> None:
        """Write a line that only shows above level 3."""
        self._line(L_DBG + 1, line)

    @native("int", "text", name="log")
    def log_at(self, run: Run, level: int, line: str) -> None:
        """Write a line with a level of Kamailio's: -1 error, 0 warning, 1 notice, 2 info, 3 and above debug."""
        self._line(level, line)

    @core_native("error", takes=("text", "text"))
    def error(self, run: Run, what: str, why: str) -> None:
        """Write a line of note with both texts; Kamailio does no more either."""
        self._line(L_NOTICE, f"error: {what}: {why}")

    @function(group="")
    def log(self, run: Run, level: str, line: str) -> None:
        """Write a line with the level dbg, info, notice, warn or crit; any other name means err."""
        self._line(BY_NAME.get(level, L_ERR), line)

    @function(group="")
    def get_debug(self, run: Run) -> int:
        """The global parameter `debug`: the highest level that is written."""
        return int(self.node.settings.debug)
