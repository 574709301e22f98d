"""Log level and facility by module (`mod_level`, `mod_facility`), over the loggers that modules write to."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from kahea.routing.verbosity import level_of

if TYPE_CHECKING:
    from kahea.routing.node import Node

#: Kamailio's core is all that writes under `kahea` itself and is no module.
CORE = "core"
_CORE_LOGGERS = ("kahea.node", "kahea.server", "kahea.script", "kahea.reload")


def loggers(module: str) -> list[logging.Logger]:
    """What a module writes to."""
    names = _CORE_LOGGERS if module == CORE else (f"kahea.{module}",)
    return [logging.getLogger(name) for name in names]


class Facility(logging.Filter):
    """Sends a logger's records to a syslog facility, unless a record names its own."""

    def __init__(self, facility: str) -> None:
        super().__init__()
        self.facility = facility

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True."""
        if not hasattr(record, "facility"):
            record.facility = self.facility
        return True


class Levels:
    """The modules whose level or facility differs from the node's."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.levels: dict[str, int] = {}
        self.facilities: dict[str, str] = {}
        self._filters: dict[str, Facility] = {}

    def show(self, module: str, *, on: bool) -> None:
        """Bring a module's level into effect, or back to the node's."""
        level = self.levels.get(module)
        for logger in loggers(module):
            logger.setLevel(level_of(level) if on and level is not None else logging.NOTSET)

    def send(self, module: str, *, on: bool) -> None:
        """Bring a module's facility into effect, or back to the node's."""
        old = self._filters.pop(module, None)
        facility = self.facilities.get(module)
        for logger in loggers(module):
            if old is not None:
                logger.removeFilter(old)
            if on and facility is not None:
                self._filters[module] = made = Facility(facility)
                logger.addFilter(made)

    def forget(self) -> None:
        """All back to the node's."""
        for module in list(self.levels):
            self.show(module, on=False)
        for module in list(self._filters):
            self.send(module, on=False)
