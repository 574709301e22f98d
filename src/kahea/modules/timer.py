"""Routes of the script at an interval, which the script switches on and off (Kamailio's module timer)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from kahea.routing.module import ConfigError, Module, Param, function, native
from kahea.routing.ticker import Ticker

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.run import Run

#: Seconds of an interval of 0: Kamailio's clock ticks so often.
_TICK: Final = 1 / 16

_EXECUTED: Final = "timer.executed"
_DECLARED: Final = re.compile(
    r"\s*(\w+)\s*=\s*([^,\s]+)\s*,\s*([0-9]{1,9})\s*(?:,\s*(slow|fast|)\s*(?:,\s*(enable|)\s*)?)?"
)


class Declared(NamedTuple):
    """A timer as `declare_timer` gives it; `interval` in milliseconds."""

    name: str
    route: str
    interval: int
    enabled: bool


def parse_declared(given: str) -> Declared:
    """Read `name=ROUTE,milliseconds[,slow|fast[,enable]]`. Raises ValueError."""
    found = _DECLARED.fullmatch(given)
    if found is None:
        raise ValueError(f"expected name=ROUTE,milliseconds[,slow|fast[,enable]], not {given!r}")
    return Declared(found[1], found[2], int(found[3]), found[5] == "enable")


def timer_name(node: Node, text: str) -> str:
    """A timer that is declared. Raises ValueError."""
    if text not in node.module("timer").tickers:
        raise ValueError(f"there is no timer {text!r}")
    return text


class Timer(Module):
    """Routes of a script at an interval, switched on and off by it. Slow timers and fast ones are the same here."""

    name = "timer"

    declare_timer: Param[list[Declared]] = Param(
        [],
        "A timer: `name=ROUTE,milliseconds[,slow|fast[,enable]]`, of a route or a function of the script.",
        many=True,
        check=parse_declared,
    )

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.tickers: dict[str, Ticker] = {}

    def start(self) -> None:
        """Make the timers."""
        for each in self.declare_timer:
            if each.name in self.tickers:
                raise ConfigError(f"parameter timer.declare_timer: the timer {each.name!r} is declared twice")
            interval = each.interval / 1000 or _TICK
            self.tickers[each.name] = Ticker(self.node, interval, [each.route], "timer", {_EXECUTED: each.name})

    async def open(self) -> None:
        """Begin with those that are enabled."""
        for each in self.declare_timer:
            if each.enabled:
                self.tickers[each.name].start()

    async def stop(self) -> None:
        """Run no more routes."""
        for ticker in self.tickers.values():
            ticker.stop()

    @native(timer_name, "int")
    @function
    def timer_enable(self, run: Run, timer: str, on: int) -> int:
        """Let a timer run its route from one interval on, or with 0 no more; -1 for one that there is not."""
        ticker = self.tickers.get(timer)
        if ticker is None:
            self.node.log.error("timer_enable: there is no timer %r", timer)
            return -1
        if on:
            ticker.start()
        else:
            ticker.stop()
        return 1

    # ---- for @timer.executed and @timer.timer.NAME.enabled

    def executed(self, run: Run) -> str | None:
        """The timer that runs this route; None for none."""
        found = run.state.get(_EXECUTED)
        return None if found is None else str(found)

    def is_enabled(self, timer: str) -> bool:
        """Whether a timer is on."""
        return timer in self.tickers and self.tickers[timer].enabled


MODULE = Timer
