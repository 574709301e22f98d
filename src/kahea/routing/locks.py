"""Locks of scripts: a run that wants one that is taken is suspended, and nothing else is."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from kahea.routing.run import can_wait, wait

if TYPE_CHECKING:
    from kahea.routing.run import Run

log = logging.getLogger("kahea.script")

Key = tuple[str, str]

#: Locks that are held at one time; more are not given: a script that never lets go is not to fill the memory.
MAX_LOCKS = 100_000


class _Lock:
    """A lock that somebody has, `depth` times. `owner` is that run's own state, which tells it from all others."""

    __slots__ = ("depth", "owner", "waiting")

    def __init__(self, owner: object) -> None:
        self.owner = owner
        self.depth = 1
        self.waiting: deque[tuple[object, asyncio.Future[None]]] = deque()


class Locks:
    """Locks by key. As in Kamailio, a lock stays when its run ends, and anybody may let go of it.

    With `again`, a run may take one that it has, and lets go of it as many times.
    """

    def __init__(self, *, again: bool = False) -> None:
        self._again = again
        self._locks: dict[Key, _Lock] = {}

    def take_now(self, run: Run, key: Key) -> bool:
        """Take a lock if nobody has it, and there are not too many."""
        if key in self._locks or self._is_full():
            return False
        self._locks[key] = _Lock(run.state)
        run.on_end = (*run.on_end, lambda ended: self._after(ended, key))
        return True

    def _is_full(self) -> bool:
        if len(self._locks) < MAX_LOCKS:
            return False
        log.error("lock: scripts have %d locks already, and let go of none", MAX_LOCKS)
        return True

    def take(self, run: Run, key: Key) -> bool:
        """Take a lock, waiting for it in turn; False where this run would wait for itself, or can't wait."""
        if self.take_now(run, key):
            return True
        lock = self._locks.get(key)
        if lock is None:
            return False  # there are too many
        if lock.owner is run.state and self._again:
            lock.depth += 1
            return True
        if lock.owner is run.state or not can_wait():
            log.error("lock: %s has the lock %r already", "this run" if can_wait() else "another run", key[0])
            return False
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (run.state, turn)
        lock.waiting.append(place)
        try:
            wait(turn)
        except BaseException:
            if place in lock.waiting:
                lock.waiting.remove(place)
            elif lock.owner is run.state:
                self.release(key)
            raise
        run.on_end = (*run.on_end, lambda ended: self._after(ended, key))
        return True

    def release(self, key: Key) -> None:
        """Let go of a lock, which the run that waits longest gets at once."""
        lock = self._locks.get(key)
        if lock is None:
            return
        lock.depth -= 1
        if lock.depth > 0:
            return
        lock.depth = 1
        while lock.waiting:
            lock.owner, turn = lock.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._locks[key]

    def _after(self, run: Run, key: Key) -> None:
        """A run that failed will not come back for its lock."""
        lock = self._locks.get(key)
        if run.failed and lock is not None and lock.owner is run.state:
            log.error("lock: %r was held by a script that failed; it is free again", key[0])
            lock.depth = 1
            self.release(key)
