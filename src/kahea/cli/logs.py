"""The log on stderr: Kamailio's levels over Python's logging."""

from __future__ import annotations

import logging
import sys
from typing import Final

from kahea.routing.log_prefix import LogPrefix

#: Kamailio's L_NOTICE has no counterpart in `logging`; it lies between information and warning.
NOTICE: Final = 25

#: `debug` (Kamailio's level) and the least level of `logging` that is then shown.
LEVELS: Final = {
    -1: logging.ERROR,
    0: logging.WARNING,
    1: NOTICE,
    2: logging.INFO,
    3: logging.DEBUG,
}

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


def level_of(debug: int) -> int:
    """The level of `logging` for a value of `debug`."""
    return LEVELS[max(min(debug, 3), min(LEVELS))] if debug >= -1 else logging.CRITICAL


def set_up(debug: int, *, colour: bool = False) -> None:
    """Send the log to stderr; called once by the process, before anything logs."""
    logging.addLevelName(NOTICE, "NOTICE")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(colour=colour))
    handler.addFilter(LogPrefix())
    logging.basicConfig(handlers=[handler], level=level_of(debug), force=True)
    # A log record is made without asking for thread, process and task: nothing here shows them.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
