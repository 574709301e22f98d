"""Breakpoints: a run that stops at one waits by itself, and everybody else's goes on.

In Kamailio a worker process stops. Here it is the run of one message: commands that name a process mean the run that
waits longest in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kahea.routing.run import can_wait, suspend

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.run import Run
    from kahea.routing.tracing import Step

#: Whether a run stops at each step (True), at none (False), or as all do (absent): a key of `run.state`.
_OWN = "debugger.stops"


@dataclass(slots=True)
class Waiting:
    """A run at a breakpoint, before a step."""

    run: Run
    step: Step
    resume: Callable[[Any], None]


class Breakpoints:
    """Those of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        #: Whether runs stop at every step.
        self.everywhere = False
        self.waiting: deque[Waiting] = deque()

    def stops(self, run: Run) -> bool:
        """Whether a run stops at its next step."""
        return bool(run.state.get(_OWN, self.everywhere)) and can_wait()

    def stop(self, run: Run, step: Step) -> None:
        """Wait for a command."""

        def arm(resume: Callable[[Any], None]) -> None:
            self.waiting.append(Waiting(run, step, resume))

        suspend(arm)

    def go_on(self, *, stepping: bool) -> Waiting | None:
        """Let the run that waits longest do its step, and stop at its next one or at none; None if no run waits."""
        if not self.waiting:
            return None
        first = self.waiting.popleft()
        first.run.state[_OWN] = stepping
        # Runs are resumed by the loop itself, not from within another one.
        self._node.call_later(0, first.resume, None)
        return first

    def release(self) -> None:
        """No more stops but in runs that wait, and those that are stepped through."""
        for each in self.waiting:
            each.run.state[_OWN] = True
        self.everywhere = False
