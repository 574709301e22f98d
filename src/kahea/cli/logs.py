"""The log on stderr: Kamailio's levels over Python's logging."""

from __future__ import annotations

import logging
import sys
from typing import Final

from kahea.routing.log_prefix import LogPrefix
from kahea.routing.verbosity import NOTICE, level_of

_COLOURS: Final = {
    logging.CRITICAL: "35",
    logging.ERROR: "31",
    logging.WARNING: "33",
    NOTICE: "36",
    logging.DEBUG: "2",
}


class _Formatter(logging.Formatter):
    """`10:34:08.125 WARNING kahea.script: text`, one trailing line end of a script's own left out."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__("%(asctime)s.%(msecs)03d %(levelname)s %(name)s: %(message)s", "%H:%M:%S")
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record).rstrip("\n")
        code = _COLOURS.get(record.levelno, "") if self._colour else ""
        return f"\x1b[{code}m{text}\x1b[0m" if code else text


def set_up(debug: int, *, colour: bool = False) -> None:
    """Send the log to stderr; called once by the process, before anything logs."""
    logging.addLevelName(NOTICE, "NOTICE")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(colour=colour))
    handler.addFilter(LogPrefix())
    logging.basicConfig(handlers=[handler], level=level_of(debug), force=True)
    # A log record is made without asking for thread, process and task: nothing here shows them.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
