"""The log: Kamailio's levels over Python's logging, to stderr or to syslog."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, TextIO

from kahea.routing.facilities import FACILITIES
from kahea.routing.lines import LineHandler
from kahea.routing.log_prefix import LogPrefix, prefixed
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
        if record.exc_info or record.exc_text or record.stack_info:
            return self._coloured(record.levelno, super().format(record))
        return self.line(record.created, record.levelno, record.name, record.getMessage())

    def line(self, at: float, level: int, name: str, text: str) -> str:
        """A line, written at a time in seconds."""
        if not self._timed:
            return self._coloured(level, f"{logging.getLevelName(level)}: {name}: {text}")
        second = int(at)
        if second != self._second:  # written once for all lines of a second
            self._second = second
            self._shown = time.strftime("%H:%M:%S", time.localtime(second))
        millisecond = int((at - second) * 1000)
        return self._coloured(level, f"{self._shown}.{millisecond:03d} {logging.getLevelName(level)} {name}: {text}")

    def _coloured(self, level: int, text: str) -> str:
        text = text.rstrip("\n")
        code = _COLOURS.get(level, "") if self._colour else ""
        return f"\x1b[{code}m{text}\x1b[0m" if code else text


class _Stderr(logging.StreamHandler[TextIO], LineHandler):
    """The log on stderr, which is flushed at the end of each line by itself."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(sys.stderr)
        self._lines = _Formatter(timed=True, colour=settings.log_color)
        self.setFormatter(self._lines)

    def line(self, level: int, name: str, text: str, facility: str) -> None:  # noqa: ARG002 - it is syslog's
        # Where nobody reads it any more, there is no other place to say so.
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(self._lines.line(time.time(), level, name, prefixed(text)) + "\n")


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
    else:
        handler = _Stderr(settings)
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

    class Syslog(SysLogHandler, LineHandler):
        """Each record and line with its own facility, if it has one; never waits."""

        priority_map: ClassVar[dict[str, str]] = {**SysLogHandler.priority_map, "NOTICE": "notice"}
        socket: Socket

        def emit(self, record: logging.LogRecord) -> None:
            self.facility = FACILITIES[getattr(record, "facility", settings.log_facility)]
            super().emit(record)

        def line(self, level: int, name: str, text: str, facility: str) -> None:
            named = facility or settings.log_facility
            whole = self.ident + lines.line(0, level, name, prefixed(text))
            priority = self.encodePriority(FACILITIES[named], self.mapPriority(logging.getLevelName(level)))
            try:
                self.socket.send(f"<{priority}>{whole}\0".encode("utf-8", "backslashreplace"))
            except OSError:  # what a record meets too, which tries to connect again
                record = logging.LogRecord(name, level, "", 0, "%s", (text,), None)
                record.facility = named
                self.handle(record)

    lines = _Formatter(timed=False)
    handler = Syslog(address=str(SYSLOG))
    handler.setFormatter(lines)
    handler.ident = f"{settings.log_name or 'kahea'}[{os.getpid()}]: "
    handler.socket.setblocking(False)
    return handler
