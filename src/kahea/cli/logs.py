"""The log: Kamailio's levels over Python's logging, to stderr or to syslog."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from kahea.routing.facilities import FACILITIES
from kahea.routing.log_prefix import LogPrefix
from kahea.routing.verbosity import NOTICE, level_of

if TYPE_CHECKING:
    from socket import socket as Socket

    from kahea.routing.settings import Settings

#: Where the system's log takes messages.
SYSLOG: Final = Path("/dev/log")

_COLOURS: Final = {
    logging.CRITICAL: "35",
    logging.ERROR: "31",
    logging.WARNING: "33",
    NOTICE: "36",
    logging.DEBUG: "2",
}


class _Formatter(logging.Formatter):
    """`WARNING: kahea.script: text`, one trailing line end of a script's own left out; on a terminal or in a file with
    the time before it: `10:34:08.125 WARNING kahea.script: text`."""

    def __init__(self, *, timed: bool, colour: bool = False) -> None:
        super().__init__(_STDERR_FORM if timed else _SYSLOG_FORM, "%H:%M:%S")
        self._timed = timed
        self._colour = colour
        self._second = -1
        self._shown = ""

    def format(self, record: logging.LogRecord) -> str:
        if record.exc_info or record.exc_text or record.stack_info or not self._timed:
            text = super().format(record)
        else:
            # Put together here: accounting writes two lines a call.
            text = f"{self._time(record)} {record.levelname} {record.name}: {record.getMessage()}"
        text = text.rstrip("\n")
        code = _COLOURS.get(record.levelno, "") if self._colour else ""
        return f"\x1b[{code}m{text}\x1b[0m" if code else text

    def _time(self, record: logging.LogRecord) -> str:
        """The time of day, whose seconds are written once for all lines of a second."""
        second = int(record.created)
        if second != self._second:
            self._second = second
            self._shown = self.formatTime(record, self.datefmt)
        return f"{self._shown}.{int(record.msecs):03d}"


_STDERR_FORM: Final = "%(asctime)s.%(msecs)03d %(levelname)s %(name)s: %(message)s"
_SYSLOG_FORM: Final = "%(levelname)s: %(name)s: %(message)s"


def set_up(settings: Settings) -> str:
    """Send the log to where the settings say; called once by the process, before anything logs.

    Returns what the operator must know of it: "" if the log is on stderr.
    """
    logging.addLevelName(NOTICE, "NOTICE")
    to_syslog = not settings.log_stderror and SYSLOG.exists()
    handler: logging.Handler
    if to_syslog:
        handler = _syslog(settings)
        handler.setFormatter(_Formatter(timed=False))
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_Formatter(timed=True, colour=settings.log_color))
    handler.addFilter(LogPrefix())
    logging.basicConfig(handlers=[handler], level=level_of(settings.debug), force=True)
    # A log record is made without asking for thread, process, task and place in the code: nothing here shows them.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # Python's documented way to leave out the place
    if to_syslog:
        return f"the log goes to syslog ({settings.log_facility}), as log_stderror=no says; -E keeps it here"
    return "" if settings.log_stderror else f"the log stays on stderr, since there is no {SYSLOG}"


def _syslog(settings: Settings) -> logging.Handler:
    # Only here: it takes a while to import.
    from logging.handlers import SysLogHandler

    class Syslog(SysLogHandler):
        """Each record with its own facility, if it has one; never waits."""

        priority_map: ClassVar[dict[str, str]] = {**SysLogHandler.priority_map, "NOTICE": "notice"}
        socket: Socket

        def emit(self, record: logging.LogRecord) -> None:
            self.facility = FACILITIES[getattr(record, "facility", settings.log_facility)]
            super().emit(record)

    handler = Syslog(address=str(SYSLOG))
    handler.ident = f"{settings.log_name or 'kahea'}[{os.getpid()}]: "
    handler.socket.setblocking(False)
    return handler
