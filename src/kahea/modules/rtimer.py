"""Routes of the script at an interval (Kamailio's module rtimer).

There are no processes here: a timer of mode 3 runs its routes three times an interval, side by side where they wait.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from kahea.routing.attributes import attribute_number, parse_attributes
from kahea.routing.checks import between
from kahea.routing.module import ConfigError, Module, Param, Value, function, variable
from kahea.routing.ticker import Ticker

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.run import Run

#: Workers that one timer may have, and the shortest of intervals, in seconds: the node's clock counts no finer.
MAX_WORKERS: Final = 256
SHORTEST: Final = 0.01
LONGEST: Final = 2**31 - 1

_WORKER: Final = "rtimer.worker"


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer as `timer` defines it: seconds from run to run, 0 for `default_interval`; how many workers."""

    name: str
    interval: float = 0.0
    workers: int = 1


class Exec(NamedTuple):
    """What a timer runs."""

    timer: str
    route: str


def parse_timer(given: str) -> Timer:
    """Read `name=t;interval=10;mode=1`; an interval in microseconds ends in `u`. Raises ValueError."""
    values = parse_attributes(given, ("name", "interval", "mode"), "a timer")
    name = values.get("name", "")
    if not name:
        raise ValueError(f"expected name=timer;..., not {given!r}")
    interval = re.fullmatch(r"([0-9]{1,10})(u?)", values.get("interval", "0"))
    if interval is None:
        raise ValueError(f"timer {name}: interval takes seconds, or microseconds with a u, not {values['interval']!r}")
    seconds = int(interval[1]) / (1_000_000 if interval[2] else 1)
    mode = attribute_number("mode", values.get("mode", "0"))
    if not 0 <= mode <= MAX_WORKERS:
        raise ValueError(f"timer {name}: mode is 0 to {MAX_WORKERS}")
    return Timer(name, max(seconds, SHORTEST) if seconds else 0.0, max(mode, 1))


def parse_exec(given: str) -> Exec:
    """Read `timer=t;route=NAME`. Raises ValueError."""
    values = parse_attributes(given, ("timer", "route"), "exec")
    timer, route = values.get("timer", ""), values.get("route", "")
    if not timer or not route:
        raise ValueError(f"expected timer=name;route=NAME, not {given!r}")
    return Exec(timer, route)


class _Timer(Param[list[Timer]]):
    """`timer`: those without an interval have the `default_interval` that was set before."""

    def set(self, module: Module, value: object) -> None:
        """Define a timer."""
        super().set(module, value)
        assert isinstance(module, Rtimer)
        made = module.timer[-1]
        if not made.interval:
            module.timer[-1] = Timer(made.name, float(module.default_interval), made.workers)


class Rtimer(Module):
    """Routes of a script at an interval."""

    name = "rtimer"

    default_interval = Param(
        120, "Seconds of the timers, defined after this, that give none.", check=between(1, LONGEST)
    )
    timer = _Timer([], "A timer: `name=t;interval=10;mode=1`.", many=True, check=parse_timer)
    exec: Param[list[Exec]] = Param(
        [],
        "What a timer runs: `timer=t;route=NAME`, a route or a function of the script. The last is run first.",
        many=True,
        check=parse_exec,
    )

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._tickers: list[Ticker] = []

    def start(self) -> None:
        """Make the timers."""
        names = [each.name for each in self.timer]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"parameter rtimer.timer: the timer {name!r} is defined twice")
        for each in self.exec:
            if each.timer not in names:
                raise ConfigError(f"parameter rtimer.exec: there is no timer {each.timer!r}")
        for timer in self.timer:
            routes = [each.route for each in reversed(self.exec) if each.timer == timer.name]
            for worker in range(timer.workers if routes else 0):
                self._tickers.append(Ticker(self.node, timer.interval, routes, "rtimer", {_WORKER: worker}))

    async def open(self) -> None:
        """Begin."""
        for ticker in self._tickers:
            ticker.start()

    async def stop(self) -> None:
        """Run no more routes."""
        for ticker in self._tickers:
            ticker.stop()

    @variable("rtimer_worker")
    def worker(self, run: Run, name: str, index: object) -> Value:
        """Which of its timer's workers runs this route, from 0; 0 anywhere else."""
        return self.worker_get(run)

    @function
    def worker_get(self, run: Run) -> int:
        """Which of its timer's workers runs this route, from 0; 0 anywhere else."""
        found = run.state.get(_WORKER, 0)
        assert isinstance(found, int)
        return found


MODULE = Rtimer
