"""What Kamailio has around its core: the log level at run time, unique ids, statistics by RPC."""

from __future__ import annotations

import logging
import secrets
from itertools import count
from typing import TYPE_CHECKING

from kahea.routing.module import Module, RpcError, Value, function, native, rpc, variable

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.pv import Pv
    from kahea.routing.run import Run

#: The level of `logging` that shows what a value of `debug` asks for.
_LEVELS = {-1: logging.ERROR, 0: logging.WARNING, 1: 25, 2: logging.INFO, 3: logging.DEBUG}

Statistics = dict[tuple[str, str], int]


class Kex(Module):
    """Kamailio's module kex. Its RPC commands on memory have nothing to tell here, and are left out."""

    name = "kex"

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._configured: int | None = None
        self._ids = count(1)
        self._stem = ""
        self._baseline: Statistics = {}

    @native("int")
    @function
    def setdebug(self, run: Run, level: int) -> int:
        """Set the log level of this node until `resetdebug`."""
        settings = self.node.settings
        if self._configured is None:
            self._configured = settings.debug
        settings.debug = level
        shown = _LEVELS[min(level, 3)] if level >= -1 else logging.CRITICAL
        logging.getLogger("kahea").setLevel(shown)
        return 1

    @native()
    @function
    def resetdebug(self, run: Run) -> int:
        """Go back to the log level that the configuration has."""
        if self._configured is not None:
            self.node.settings.debug = self._configured
            self._configured = None
            logging.getLogger("kahea").setLevel(logging.NOTSET)
        return 1

    @native("pv", "str")
    @native("pv", "str", name="avp_printf")
    def pv_printf(self, run: Run, target: Pv, what: str) -> bool:
        """Set a variable to a text with variables in it; -1 if it can't be set."""
        return target.set(run, what)

    @variable("sruid")
    def sruid(self, run: Run, name: str, index: object) -> Value:
        """An id that no other node and no other reading of this variable has."""
        if not self._stem:
            self._stem = f"srid-{int(self.node.wall()):08x}-{secrets.token_hex(4)}"
        return f"{self._stem}-{next(self._ids):x}"

    # Statistics

    def _chosen(self, wanted: tuple[str, ...]) -> Statistics:
        """The statistics that are asked for: `all`, `group:`, `name`, `group:name`, `group.name`."""
        if not wanted:
            raise RpcError(400, "which statistics? all, a group with a colon, or a name")
        every = self.node.statistics()
        found: Statistics = {}
        for word in wanted:
            matching = {key: value for key, value in every.items() if _matches(key, word)}
            if not matching and word != "all" and not word.endswith(":"):
                raise RpcError(404, f"there is no statistic {word!r}")
            found.update(matching)
        return {key: value - self._baseline.get(key, 0) for key, value in sorted(found.items())}

    def _reset(self, found: Statistics) -> None:
        for key in found:
            if key in self.node.counters:
                self.node.counters[key] = 0
        current = self.node.statistics()
        self._baseline.update({key: current.get(key, 0) for key in found})

    @rpc("stats.get_statistics")
    def stats_get_statistics(self, *wanted: str) -> list[str]:
        """Statistics as lines `group:name = value`."""
        return [f"{group}:{name} = {value}" for (group, name), value in self._chosen(wanted).items()]

    @rpc("stats.fetch")
    def stats_fetch(self, *wanted: str) -> dict[str, str]:
        """Statistics as texts by `group.name`."""
        return {f"{group}.{name}": str(value) for (group, name), value in self._chosen(wanted).items()}

    @rpc("stats.fetchn")
    def stats_fetchn(self, *wanted: str) -> dict[str, int]:
        """Statistics as numbers by `group.name`."""
        return {f"{group}.{name}": value for (group, name), value in self._chosen(wanted).items()}

    @rpc("stats.reset_statistics")
    def stats_reset_statistics(self, *wanted: str) -> None:
        """Count from zero again."""
        self._reset(self._chosen(wanted))

    @rpc("stats.clear_statistics")
    def stats_clear_statistics(self, *wanted: str) -> list[str]:
        """Statistics as lines `group:name = value`, which then count from zero again."""
        found = self._chosen(wanted)
        self._reset(found)
        return [f"{group}:{name} = {value}" for (group, name), value in found.items()]


def _matches(key: tuple[str, str], word: str) -> bool:
    group, name = key
    return word in ("all", f"{group}:", name, f"{group}:{name}", f"{group}.{name}")


MODULE = Kex
