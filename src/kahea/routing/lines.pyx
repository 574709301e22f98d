# cython: language_level=3
"""Lines that calls write: what scripts log, and accounting.

A record of `logging` costs ten times what writing its line does. Where the process's one handler takes finished lines
(a `LineHandler`), a call's lines go to it as they are; else they are records like all others.
"""

from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

import logging
import time

cdef object root = logging.root


class LineHandler(logging.Handler):
    """A handler that takes finished lines beside records."""

    def line(self, level, name, text, facility):
        """Write what the logger `name` says; `facility` is syslog's, "" for the usual one. Raises nothing."""
        raise NotImplementedError


cdef object _line_handler = LineHandler


def write_line(logger, int level, str text not None, str facility not None=""):
    """Log a line that is about a message."""
    cdef list handlers
    if not logger.isEnabledFor(level):
        return
    handlers = root.handlers
    if len(handlers) == 1 and isinstance(handlers[0], _line_handler) and not logger.handlers:
        handlers[0].line(level, logger.name, text, facility)
    else:
        logger.log(level, "%s", text, extra={"facility": facility} if facility else None)


cdef class Form:
    """How a line of the log looks: `WARNING: kahea.script: text`, trailing line ends of a script's own left out, or
    with the time before it: `10:34:08.125 WARNING kahea.script: text`. `colours` has the terminal's code for levels."""

    cdef bint timed
    cdef dict colours
    cdef dict words  # of levels, by their numbers
    cdef long second  # whose time of day is `shown`
    cdef str shown

    def __init__(self, bint timed, dict colours not None):
        self.timed = timed
        self.colours = colours
        self.words = {}
        self.second = -1

    def now(self, int level, str name not None, str text not None):
        """A line that is written now."""
        cdef timespec at
        clock_gettime(CLOCK_REALTIME, &at)
        return self.line(at.tv_sec + at.tv_nsec * 1e-9, level, name, text)

    cpdef str line(self, double at, int level, str name, str text):
        """A line that is written at a time, in seconds."""
        cdef long second = <long>at
        cdef str word = self.words.get(level)
        if word is None:
            word = self.words[level] = logging.getLevelName(level)
        if not self.timed:
            return self.coloured(level, f"{word}: {name}: {text}")
        if second != self.second:  # written once for all lines of a second
            self.second = second
            self.shown = time.strftime("%H:%M:%S", time.localtime(second))
        return self.coloured(level, f"{self.shown}.{<int>((at - second) * 1000):03d} {word} {name}: {text}")

    cpdef str coloured(self, int level, str text):
        """A line in the colour of its level."""
        if text.endswith("\n"):
            text = text.rstrip("\n")
        if not self.colours:
            return text
        code = self.colours.get(level)
        return f"\x1b[{code}m{text}\x1b[0m" if code else text
