"""Timers of a transaction in AVPs (`fr_timer_avp`, `fr_inv_timer_avp`), as old configurations set them: in seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.routing.module import ConfigError
from kahea.routing.pv import PvError
from kahea.routing.run import EVENT_ROUTE, Run

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.pv import Pv
    from kahea.tm.transaction import Transaction


class AvpTimers:
    """`created` is told of each transaction; `t_set_fr()` comes after it and has the last word. Raises ConfigError."""

    def __init__(self, node: Node, fr: str, fr_inv: str) -> None:
        self._node = node
        self._fr = _avp(node, "fr_timer_avp", fr)
        self._fr_inv = _avp(node, "fr_inv_timer_avp", fr_inv)

    def created(self, t: Transaction) -> None:
        """Set its timers."""
        run = Run(self._node, t.request, EVENT_ROUTE, "", t)
        t.fr = _seconds(self._fr, run) or t.fr
        t.fr_inv = _seconds(self._fr_inv, run) or t.fr_inv


def _avp(node: Node, parameter: str, text: str) -> Pv | None:
    if not text:
        return None
    try:
        found = node.variables.compile(text)
    except PvError as error:
        raise ConfigError(f"parameter tm.{parameter}: {error}") from error
    if found.name != "avp":
        raise ConfigError(f"parameter tm.{parameter}: {text!r} is no AVP")
    return found


def _seconds(avp: Pv | None, run: Run) -> int:
    """The value, 0 for none that is a number above 0."""
    value = None if avp is None else avp.get(run)
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0
    return max(0, value or 0)
