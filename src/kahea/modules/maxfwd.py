"""Max-Forwards: counted down at each hop, so that a loop ends (RFC 3261 §16.3 item 3 and §16.6 item 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.routing.common import HopCount
from kahea.routing.module import Module, Param, function, native
from kahea.routing.run import BRANCH_ROUTE, FAILURE_ROUTE, REQUEST_ROUTE

if TYPE_CHECKING:
    from collections.abc import Callable

    from kahea.routing.node import Node
    from kahea.routing.run import Run

_ASKING = REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE


def _limit(value: int) -> int:
    if not 1 <= value <= 256:
        raise ValueError("must be between 1 and 256")
    return value


class Maxfwd(Module):
    """Max-Forwards."""

    name = "maxfwd"
    max_limit = Param(70, "The largest value let through; a larger one is lowered to it.", check=_limit)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._hops = HopCount(self.max_limit)

    def start(self) -> None:
        """Take over the parameter."""
        self._hops.limit = self.max_limit

    def compiled(self) -> dict[str, Callable[..., int]]:
        """Every request is counted."""
        return {"process_maxfwd": self._hops.process}

    @native("int", name="mf_process_maxfwd_header", routes=REQUEST_ROUTE)
    @native("int", name="maxfwd_process", routes=REQUEST_ROUTE)
    @native("int", routes=REQUEST_ROUTE)
    @function
    def process_maxfwd(self, run: Run, limit: int) -> int:
        """Count Max-Forwards down, or add it with the value `limit` (0..255) if there is none.

        1: counted down; 2: added; -1: it is 0 already, or `limit` is out of range; -2: it is no number.
        This server is one hop: a second call changes nothing.
        """
        return self._hops.process(run, limit)

    @native("int", name="mf_lowlimit", routes=_ASKING)
    @native("int", name="maxfwd_at_least", routes=_ASKING)
    @native("int", routes=_ASKING)
    @function
    def is_maxfwd_lt(self, run: Run, limit: int) -> int:
        """Whether the received Max-Forwards, as counted down, is below `limit`; -2: none, -3: no number."""
        return self._hops.below(run, limit)


MODULE = Maxfwd
