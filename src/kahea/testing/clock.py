"""An asyncio loop in virtual time: when nothing is left to do now, the clock jumps to what is due next.

Rules of this room:

1. Time moves only in `_Selector.select`, while the loop is idle; whatever runs sees one fixed instant.
2. Things due at one instant happen in the order in which they were planned.
3. The outside world (real sockets, threads) is slower than virtual time. While a script waits, the loop gives
   the outside `grace` real seconds to answer before the clock may jump over the script's own timeouts.
"""

from __future__ import annotations

import asyncio
import heapq
import selectors
import threading
from collections.abc import Callable
from itertools import count
from typing import Any

#: Real seconds that the outside has where nothing at all is planned, before waiting for it is given up.
PATIENCE = 30.0


class Stuck(RuntimeError):
    """The simulation waits for something that can't come: nothing is planned and the outside is silent."""


class _Selector(selectors.DefaultSelector):
    """Polls the real descriptors; instead of sleeping it moves the loop's clock."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        loop = self.loop
        if loop.at_rest():
            return []
        if timeout is None:
            ready = super().select(PATIENCE)
            if not ready:
                raise Stuck(f"nothing is planned, and nothing came from outside in {PATIENCE:g} s")
            return ready
        if loop.outside_busy():
            ready = super().select(loop.grace)
            if ready:
                return ready
            loop.gave_grace()
        loop.jump(timeout)
        return []


class Planned:
    """One thing planned; `cancel()` takes it off."""

    __slots__ = ("args", "work")

    def __init__(self, work: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.work: Callable[..., object] | None = work
        self.args = args

    def cancel(self) -> None:
        """Don't do it; harmless if done."""
        self.work = None
        self.args = ()


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop: `plan` puts work at an instant, `asyncio.sleep` and timeouts pass in virtual time."""

    def __init__(self, start: float, grace: float) -> None:
        self._now = start
        self.grace = grace
        #: Says how many scripts wait for something now; the simulation sets it.
        self.waiting: Callable[[], int] = lambda: 0
        self._graced = -1
        self._agenda: list[tuple[float, int, Planned]] = []
        self._order = count()
        self._alarm: asyncio.TimerHandle | None = None
        self._goal: Callable[[], bool] | None = None
        self._reached: asyncio.Future[bool] | None = None
        self._failure: Exception | None = None
        #: Threads that have nothing to do with this loop, such as those of an earlier one that are about to end.
        self._threads = frozenset(threading.enumerate())
        self._poll = _Selector()
        self._poll.loop = self
        super().__init__(self._poll)

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def jump(self, seconds: float) -> None:
        """Move the clock; called by the selector alone."""
        target = self._now + seconds
        if self._alarm is not None and abs(self._alarm.when() - target) < 1e-6:
            # Rounding must not leave the clock a hair before what is due: it would be asked about for ever.
            target = max(target, self._alarm.when())
        self._now = target

    # -- the outside

    def outside_busy(self) -> bool:
        """Whether a script waits for something that may come from a real socket or thread."""
        waiting = self.waiting()
        if not waiting:
            self._graced = -1
            return False
        # The loop itself has one descriptor, to be woken by.
        outside = len(self._poll.get_map()) > 1 or not self._threads.issuperset(threading.enumerate())
        return outside and waiting != self._graced

    def gave_grace(self) -> None:
        """The outside was waited for; no more until the number of waiting scripts changes."""
        self._graced = self.waiting()

    # -- planning

    def plan(self, when: float, work: Callable[..., object], *args: Any) -> Planned:
        """Do `work(*args)` at virtual time `when`."""
        planned = Planned(work, args)
        heapq.heappush(self._agenda, (max(when, self._now), next(self._order), planned))
        self._set_alarm()
        return planned

    def _set_alarm(self) -> None:
        while self._agenda and self._agenda[0][2].work is None:
            heapq.heappop(self._agenda)
        if not self._agenda:
            return
        when = self._agenda[0][0]
        if self._alarm is not None:
            if self._alarm.when() <= when:
                return
            self._alarm.cancel()
        self._alarm = self.call_at(when, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        agenda = self._agenda
        # The loop rounds what is due by its clock's resolution; so do we.
        limit = self._now + 1e-9
        while agenda and agenda[0][0] <= limit:
            planned = heapq.heappop(agenda)[2]
            if planned.work is None:
                continue
            work, args = planned.work, planned.args
            planned.cancel()
            try:
                work(*args)
            except Exception as error:  # noqa: BLE001 - handed to whoever runs the loop
                self._failure = self._failure or error
                self.call_soon(self._conclude)
        self._set_alarm()

    @property
    def planned(self) -> int:
        """How many things are planned."""
        return sum(planned.work is not None for _, _, planned in self._agenda)

    # -- running

    def at_rest(self) -> bool:
        """Whether the goal of `run_to` is reached; asked when all that was due has been done."""
        if self._reached is None or self._reached.done():
            return False
        if self._goal is not None and self._goal():
            self._reached.set_result(True)
            return True
        return False

    def run_to(self, goal: Callable[[], bool] | None, deadline: float) -> bool:
        """Run until `goal()` holds or the clock shows `deadline`; whether the goal was reached.

        What planned work raises ends it, and is raised here.
        """
        if self.is_running():
            raise RuntimeError("the simulation is running already: a handler can send, but not wait")
        if self._reached is not None:
            raise RuntimeError("the simulation is waiting already")
        self._goal = goal
        self._reached = self.create_future()
        end = self.plan(deadline, self._give_up)
        try:
            reached = self.run_until_complete(self._reached)
        finally:
            end.cancel()
            self._goal = self._reached = None
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        return reached

    def _give_up(self) -> None:
        if self._reached is not None and not self._reached.done():
            # What else is due at this instant still happens: it was planned, or follows from what was.
            self.call_soon(self._conclude)

    def _conclude(self) -> None:
        if self._reached is not None and not self._reached.done():
            self._reached.set_result(self._goal is not None and self._goal())
