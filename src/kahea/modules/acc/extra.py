"""What is accounted beside the fixed attributes: variables by name, and the legs of a call."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kahea.routing.module import ConfigError, Value
from kahea.routing.pv import Pv, PvError

if TYPE_CHECKING:
    from kahea.routing.pv import VariableTable
    from kahea.routing.pv.table import Get
    from kahea.routing.run import Run

_NAME: Final = re.compile(r"\s*([^\s=;]+)\s*=\s*")
_END: Final = re.compile(r"\s*(?:;\s*|$)")
#: The most legs of one call.
_MOST_LEGS: Final = 16


def _definitions(parameter: str, text: str, table: VariableTable) -> list[tuple[str, Pv]]:
    """`name=$variable;...` as pairs. Raises ConfigError."""
    found: list[tuple[str, Pv]] = []
    at = 0
    while at < len(text):
        name = _NAME.match(text, at)
        if name is None:
            raise ConfigError(f"parameter acc.{parameter}: expected name=$variable at character {at + 1} of {text!r}")
        try:
            pv, at = table.compile_at(text, name.end())
        except PvError as error:
            raise ConfigError(f"parameter acc.{parameter}: {error}") from error
        end = _END.match(text, at)
        if end is None:
            raise ConfigError(f"parameter acc.{parameter}: expected ; at character {at + 1} of {text!r}")
        found.append((name[1], pv))
        at = end.end()
    return found


class Extra:
    """The variables of `log_extra` or `db_extra`."""

    def __init__(self, parameter: str, text: str, table: VariableTable) -> None:
        found = _definitions(parameter, text, table)
        self.names = [name for name, _ in found]
        self._pvs = [pv for _, pv in found]

    def getters(self) -> list[tuple[str, Get]]:
        """Each name with the function of a run that gives its value."""
        return [(name, pv.get) for name, pv in zip(self.names, self._pvs, strict=True)]

    def values(self, run: Run) -> list[Value]:
        """Their values, in order."""
        return [pv.get(run) for pv in self._pvs]


class Legs:
    """The AVPs of `multi_leg_info`, of which each value stands for one leg."""

    def __init__(self, text: str, table: VariableTable) -> None:
        found = _definitions("multi_leg_info", text, table)
        for name, pv in found:
            if pv.name != "avp":
                raise ConfigError(f"parameter acc.multi_leg_info: {name} must be an AVP, not {pv.text}")
        self.names = [name for name, _ in found]
        self._avps = [pv.text[1:].removeprefix("(").removesuffix(")") if pv.text[1] == "(" else pv.text[1:]
                      for _, pv in found]  # fmt: skip
        self._table = table

    def values(self, run: Run) -> list[list[Value]]:
        """The values of each leg, the newest first; empty if there is none."""
        legs: list[list[Value]] = []
        while len(legs) < _MOST_LEGS:
            leg = [self._table.compile(f"$({avp}[{len(legs)}])").get(run) for avp in self._avps]
            if all(value is None for value in leg):
                break
            legs.append(leg)
        return legs
