"""A module for tests: functions that wait, fail, and return every type."""

from __future__ import annotations

import asyncio

from kahea.routing.module import Module, Value, function
from kahea.routing.run import Run, wait


class Waiting(Module):
    """KSR.waiting."""

    name = "waiting"

    @function
    def sleep(self, run: Run, ms: int) -> int:
        """Wait."""
        wait(asyncio.sleep(ms / 1000))
        return 1

    @function
    def echo(self, run: Run, text: str) -> Value:
        """Its argument."""
        return text

    @function
    def number(self, run: Run, number: int) -> int:
        """Its argument."""
        return number

    @function
    def null(self, run: Run) -> Value:
        """Nothing."""
        return None

    @function
    def nothing(self, run: Run) -> None:
        """No result."""

    @function
    def truth(self, run: Run, number: int) -> bool:
        """Whether it is not 0."""
        return number != 0

    @function
    def fail(self, run: Run, text: str) -> int:
        """Raise."""
        raise LookupError(text)


MODULE = Waiting
