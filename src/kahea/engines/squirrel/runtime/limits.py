"""Stops scripts that run away: those that take too long without waiting, and those that take too much memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from kahea.engines.squirrel.runtime.errors import Stopped, Thrown
from kahea.routing.memory import resident
from kahea.routing.run import current, held

#: The longest text or array that a script may make at once, in bytes or values.
LONGEST: Final = 8 << 20

Text = TypeVar("Text", str, bytes)


def checked_length(text: Text) -> Text:
    """A text that is not too long. Raises Thrown."""
    checked_size(len(text))
    return text


def checked_size(size: int) -> int:
    """A length that is not too large. Raises Thrown."""
    if size > LONGEST:
        raise Thrown(f"{size} bytes or values are more than one text or array may have ({LONGEST})")
    return size


class Limits:
    """The limits of one library's scripts, in seconds and bytes; 0 for any."""

    def __init__(self, seconds: float, memory: int) -> None:
        self._seconds = seconds
        self._memory = memory
        #: The run that was looked at last, how long it had taken then, and the node's memory when it was first.
        self._run = 0
        self._took = 0.0
        self._resident = 0

    def look(self) -> None:
        """Called while a script runs. Raises Stopped."""
        seconds = held()
        if self._seconds and seconds >= self._seconds:
            raise Stopped(f"the script took {seconds:.2f} s of CPU time without waiting, which is over its time limit")
        if self._memory:
            now = resident()
            run = id(current.run)
            if run != self._run or not seconds or seconds < self._took:  # another one, or after a wait
                self._run, self._resident = run, now
            self._took = seconds
            if now - self._resident > self._memory:
                raise Stopped(
                    f"the node grew by {(now - self._resident) >> 20} MB while the script ran, "
                    "which is over its memory limit"
                )


#: What a script calls in each turn of a loop.
Tick = Callable[[], None]


class Running:
    """The tick of the machine that a script was last begun in: for loops of the run-time's own. All machines of a node
    have the same limits, so it does not matter which of them goes on after a wait."""

    tick: Tick = staticmethod(lambda: None)
