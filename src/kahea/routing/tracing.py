"""Watching a script run, step by step: what a traced run, a breakpoint or a debugger is told.

Routes are compiled to tell of their steps only where a node has a `Tracer` when its script is loaded; else there is
nothing in them that asks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.pv import Pv
    from kahea.routing.run import Run


class Step(NamedTuple):
    """One action of a script, about to be carried out.

    `route` is its route as the script names it, `action` the name of the function or statement, `code` Kamailio's
    number for it. `reads` are the variables whose values it takes, `writes` the one that it sets. `inside` says that it
    is a part of a statement, a function called in a condition; `leaves_code` that its return code is in `$rc` after it.
    """

    route: str
    file: str
    line: int
    action: str
    code: int
    reads: tuple[Pv, ...] = ()
    writes: Pv | None = None
    inside: bool = False
    leaves_code: bool = False


@dataclass(slots=True)
class Tracer:
    """Tells its watchers: `on_step(run, step)` before a step, where they may wait; `on_end(run, route)` after a
    route."""

    on_step: list[Callable[[Run, Step], object]] = field(default_factory=list)
    on_end: list[Callable[[Run, str], object]] = field(default_factory=list)

    @classmethod
    def of(cls, node: Node) -> Tracer:
        """The node's tracer, which it has from now on."""
        if node.tracer is None:
            node.tracer = cls()
        return node.tracer

    def step(self, run: Run, step: Step) -> None:
        """A step is about to be carried out."""
        for watcher in self.on_step:
            watcher(run, step)

    def end(self, run: Run, route: str) -> None:
        """A route ended, however it did."""
        for watcher in self.on_end:
            watcher(run, route)
