"""The log: Kamailio's levels over Python's logging, to stderr or to syslog."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, TextIO

from kahea.routing.facilities import FACILITIES
from kahea.routing.lines import Form, LineHandler
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
    """Records in the form of lines; one with an exception is followed by its traceback."""

    def __init__(self, form: Form, *, timed: bool) -> None:
        super().__init__(_STDERR_FORM if timed else _SYSLOG_FORM, "%H:%M:%S")
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        if record.exc_info or record.exc_text or record.stack_info:
            return self._form.coloured(record.levelno, super().format(record))
        return self._form.line(record.created, record.levelno, record.name, record.getMessage())


class _Stderr(logging.StreamHandler[TextIO], LineHandler):
    """The log on stderr, which is flushed at the end of each line."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(sys.stderr)
        self._form = Form(timed=True, colours=_COLOURS if settings.log_color else {})
        self._bytes = sys.stderr.buffer
        self.setFormatter(_Formatter(self._form, timed=True))

    def line(self, level: int, name: str, text: str, facility: str) -> None:  # noqa: ARG002 - it is syslog's
        try:
            self._bytes.write(f"{self._form.now(level, name, prefixed(text))}\n".encode("utf-8", "backslashreplace"))
            self._bytes.flush()
        except (OSError, ValueError):
            pass  # where nobody reads it any more, there is no other place to say so


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
            whole = self.ident + form.line(0, level, name, prefixed(text))
            priority = self.encodePriority(FACILITIES[named], self.mapPriority(logging.getLevelName(level)))
            try:
                self.socket.send(f"<{priority}>{whole}\0".encode("utf-8", "backslashreplace"))
            except OSError:  # what a record meets too, which tries to connect again
                record = logging.LogRecord(name, level, "", 0, "%s", (text,), None)
                record.facility = named
                self.handle(record)

    form = Form(timed=False, colours={})
    handler = Syslog(address=str(SYSLOG))
    handler.setFormatter(_Formatter(form, timed=False))
    handler.ident = f"{settings.log_name or 'kahea'}[{os.getpid()}]: "
    handler.socket.setblocking(False)
    return handler
