"""One piece of work at a time for each presentity, in the order in which it came.

What concerns a presentity reads its state, changes it and tells its watchers. With a database each step waits; two
pieces of work between each other's steps would tell the older state last.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from kahea.routing.run import wait

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Pieces of work that wait for one presentity.
MAX_WAITING: Final = 1_000


class Busy(Exception):
    """Too much waits for a presentity already."""


class Turns:
    """`with turns.of(key): ...` in a run."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @contextmanager
    def of(self, key: str) -> Iterator[None]:
        """Wait until nobody else has the turn of this key. Raises Busy, and NoRun where a run can't wait."""
        queue = self._waiting.get(key)
        if queue is None:
            self._waiting[key] = deque()
        else:
            self._wait(key, queue)
        try:
            yield
        finally:
            self._pass_on(key)

    def _wait(self, key: str, queue: deque[asyncio.Future[None]]) -> None:
        if len(queue) >= MAX_WAITING:
            raise Busy(f"{MAX_WAITING} requests for {key} wait already")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            wait(turn)
        except BaseException:
            if turn in queue:
                queue.remove(turn)
            elif turn.done() and not turn.cancelled():
                self._pass_on(key)
            raise

    def _pass_on(self, key: str) -> None:
        queue = self._waiting[key]
        while queue:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._waiting[key]


__all__ = ["Busy", "Turns"]
