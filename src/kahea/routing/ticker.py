"""Routes of the script that run at an interval, for the modules `rtimer` and `timer`."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kahea.routing.generation import event_message
from kahea.routing.run import REQUEST_ROUTE, Run

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.tm.wheel import CallTimer

log = logging.getLogger("kahea.script")


class Ticker:
    """Runs routes one after the other every `interval` seconds, each in a run of its own on a made-up request.

    Where they take longer than the interval, the times that they missed are left out. A function of a script gets
    `event` for its argument; `state` is what variables of the module find in the run's state.
    """

    def __init__(
        self, node: Node, interval: float, routes: Sequence[str], event: str, state: Mapping[str, object]
    ) -> None:
        self.interval = interval
        self._node = node
        self._routes = tuple(routes)
        self._event = event
        self._state = state
        self._due = 0.0
        self._timer: CallTimer | None = None
        self._running = False
        #: The generation in which a missing route was complained of.
        self._told = 0
        self.enabled = False

    def start(self) -> None:
        """Run the routes from one interval on; nothing happens if they do already."""
        if self.enabled:
            return
        self.enabled = True
        self._due = self._node.now()
        if not self._running:
            self._wait()

    def stop(self) -> None:
        """Run them no more; a run under way goes on."""
        self.enabled = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        """Wait for the next of the times that are whole intervals apart."""
        now = self._node.now()
        passed = max(0, math.floor((now - self._due) / self.interval))
        self._due += (passed + 1) * self.interval
        self._timer = self._node.call_later(self._due - now, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._running = True
        if not self._node.pool.run(self._work):
            log.error("%s: no room for another run", self._event)
            self._after()

    def _work(self) -> None:
        try:
            for name in self._routes:
                self._run(name)
        finally:
            self._after()

    def _after(self) -> None:
        self._running = False
        if self.enabled:
            self._wait()

    def _run(self, name: str) -> None:
        generation = self._node.routes
        route = generation.find(name)
        if route is None:
            if self._told != generation.number:
                self._told = generation.number
                log.error("the script has no %s for %s", name, self._event)
            return
        run = Run(self._node, event_message(), REQUEST_ROUTE, self._event)
        run.generation = generation
        run.state.update(self._state)
        self._node.execute(run, route)
