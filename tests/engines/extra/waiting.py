"""A module for tests: functions that wait, fail, and return every type."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kahea.routing.module import Module, Value, function
from kahea.routing.run import Run, wait

if TYPE_CHECKING:
    from kahea.routing.node import Node


class Waiting(Module):
    """KSR.waiting."""

    name = "waiting"

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.taken: list[tuple[str, str]] = []

    @function
    def take(self, run: Run, kind: str, text: str) -> int:
        """Remember."""
        self.taken.append((kind, text))
        return 1

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
