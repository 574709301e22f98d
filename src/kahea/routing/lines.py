"""Lines that calls write: what scripts log, and accounting.

A record of `logging` costs ten times what writing its line does. Where the process's one handler takes finished lines
(a `LineHandler`), a call's lines go to it as they are; else they are records like all others.
"""

from __future__ import annotations

import logging


class LineHandler(logging.Handler):
    """A handler that takes finished lines beside records."""

    def line(self, level: int, name: str, text: str, facility: str) -> None:
        """Write what the logger `name` says; `facility` is syslog's, "" for the usual one. Raises nothing."""
        raise NotImplementedError


def write_line(logger: logging.Logger, level: int, text: str, facility: str = "") -> None:
    """Log a line that is about a message."""
    if not logger.isEnabledFor(level):
        return
    handlers = logging.root.handlers
    if len(handlers) == 1 and isinstance(handlers[0], LineHandler) and not logger.handlers:
        handlers[0].line(level, logger.name, text, facility)
    else:
        logger.log(level, "%s", text, extra={"facility": facility} if facility else None)


__all__ = ["LineHandler", "write_line"]
