"""Types of the lines that calls write."""

import logging

class LineHandler(logging.Handler):
    """A handler that takes finished lines beside records."""

    def line(self, level: int, name: str, text: str, facility: str) -> None:
        """Write what the logger `name` says; `facility` is syslog's, "" for the usual one. Raises nothing."""

class Form:
    """How a line of the log looks: `WARNING: kahea.script: text`, trailing line ends of a script's own left out, or
    with the time before it: `10:34:08.125 WARNING kahea.script: text`. `colours` has the terminal's code for levels."""

    def __init__(self, timed: bool, colours: dict[int, str]) -> None: ...
    def now(self, level: int, name: str, text: str) -> str:
        """A line that is written now."""
    def line(self, at: float, level: int, name: str, text: str) -> str:
        """A line that is written at a time, in seconds."""
    def coloured(self, level: int, text: str) -> str:
        """A line in the colour of its level."""

def write_line(logger: logging.Logger, level: int, text: str, facility: str = "") -> None:
    """Log a line that is about a message."""
