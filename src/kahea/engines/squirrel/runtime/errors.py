"""What a script throws and catches."""

from __future__ import annotations

import re
from typing import Any, Final

from kahea.routing.run import EndRoute
from kahea.routing.text import wire

#: What `KSR.x.exit()` is to a script that catches it, as in Kamailio.
EXIT: Final = "~~ksr~exit~~"

_COUNT: Final = re.compile(r"takes .*positional argument|missing .*required positional argument")
_CALLED: Final = re.compile(r"'(\w+)' object is not callable")
_PYTHON: Final = {"NoneType": "null", "bool": "bool", "int": "integer", "float": "float", "str": "string",
                  "Array": "array", "Generating": "generator", "Thread": "thread"}  # fmt: skip


class Thrown(Exception):
    """`throw value`, and what the run-time itself throws, whose value is a text."""

    def __init__(self, value: Any) -> None:
        super().__init__(value)
        self.value = value


class Stopped(BaseException):
    """A script went over a limit; none catches it."""


#: What `catch` catches.
CATCHABLE: Final = (Exception, EndRoute, SystemExit)


def caught(error: BaseException) -> Any:
    """The value that a script catches for an exception."""
    if isinstance(error, Thrown):
        return error.value
    if isinstance(error, EndRoute | SystemExit):
        return EXIT
    if isinstance(error, RecursionError):
        return "stack overflow"
    message = str(error) or type(error).__name__
    if isinstance(error, TypeError):
        # Calls are Python's own: so is what it says of those that are none.
        if _COUNT.search(message):
            return "wrong number of parameters"
        if found := _CALLED.search(message):
            return f"attempt to call '{_PYTHON.get(found[1], found[1])}'"
    return latin(message)


def latin(text: str) -> str:
    """A text as scripts have it: a character for each byte."""
    return text if text.isascii() else wire(text).decode("latin-1")
