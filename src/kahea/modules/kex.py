"""What Kamailio has around its core: the log level at run time, unique ids, statistics by RPC."""

from __future__ import annotations

import secrets
from itertools import count
from typing import TYPE_CHECKING

from kahea.routing.memory import MEMORY, NO_POOLS
from kahea.routing.module import Module, RpcError, Value, function, native, rpc, variable
from kahea.routing.verbosity import set_debug

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.pv import Pv
    from kahea.routing.run import Run


class Kex(Module):
    """The log level at run time, unique ids, statistics by RPC; commands on pools of memory say that there are none."""

    name = "kex"

    def start(self) -> None:
        """Declare the statistics of memory, which is the process's: there is none that processes share."""
        statistics = self.node.statistics
        for name, (read, doc) in MEMORY.items():
            statistics.declare("shmem", name, read, resets=False, doc=doc)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._configured: int | None = None
        self._ids = count(1)
        self._stem = ""

    @native("int")
    @function
    def setdebug(self, run: Run, level: int) -> int:
        """Set the log level of this node until `resetdebug`."""
        if self._configured is None:
            self._configured = self.node.settings.debug
        set_debug(self.node, level)
        return 1

    @native()
    @function
    def resetdebug(self, run: Run) -> int:
        """Go back to the log level that the configuration has."""
        if self._configured is not None:
            set_debug(self.node, self._configured)
            self._configured = None
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

    def _chosen(self, wanted: tuple[str, ...]) -> list[tuple[str, str]]:
        """The statistics that are asked for: `all`, those of `group:`, or of a name, which may be several."""
        if not wanted:
            raise RpcError(400, "Please provide which stats to retrieve")
        every = list(self.node.statistics)
        return [key for word in wanted for key in every if _matches(key, word)]

    def _values(self, wanted: tuple[str, ...]) -> dict[tuple[str, str], int]:
        return {(group, name): self.node.statistics.value(group, name) for group, name in self._chosen(wanted)}

    @rpc("stats.get_statistics")
    def stats_get_statistics(self, *wanted: str) -> list[str]:
        """Statistics as lines `group:name = value`."""
        return [f"{group}:{name} = {value}" for (group, name), value in self._values(wanted).items()]

    @rpc("stats.fetch")
    def stats_fetch(self, *wanted: str) -> dict[str, str]:
        """Statistics as texts by `group.name`."""
        return {f"{group}.{name}": str(value) for (group, name), value in self._values(wanted).items()}

    @rpc("stats.fetchn")
    def stats_fetchn(self, *wanted: str) -> dict[str, int]:
        """Statistics as numbers by `group.name`."""
        return {f"{group}.{name}": value for (group, name), value in self._values(wanted).items()}

    @rpc("stats.reset_statistics")
    def stats_reset_statistics(self, *wanted: str) -> None:
        """Count from zero again, those that can."""
        for group, name in self._chosen(wanted):
            self.node.statistics.reset(group, name)

    @rpc("stats.clear_statistics")
    def stats_clear_statistics(self, *wanted: str) -> list[str]:
        """Statistics as lines `group:name = value`, which then count from zero again."""
        lines = self.stats_get_statistics(*wanted)
        self.stats_reset_statistics(*wanted)
        return lines

    # Memory

    @rpc("mod.stats")
    def mod_stats(self, *which: str) -> None:
        """Memory by module, which nobody keeps apart."""
        raise RpcError(500, NO_POOLS)

    @rpc("mod.mem_stats")
    def mod_mem_stats(self, *which: str) -> None:
        """Memory by module, which nobody keeps apart."""
        raise RpcError(500, NO_POOLS)

    @rpc("mod.mem_statsx")
    def mod_mem_statsx(self, *which: str) -> None:
        """Memory by module, which nobody keeps apart."""
        raise RpcError(500, NO_POOLS)

    @rpc("pkg.stats")
    def pkg_stats(self, *which: str) -> None:
        """Private memory by process: there is one process, and no such pool."""
        raise RpcError(500, NO_POOLS)

    @rpc("pkg.info")
    def pkg_info(self) -> None:
        """The allocator of private memory, which does not exist here."""
        raise RpcError(500, NO_POOLS)


def _matches(key: tuple[str, str], word: str) -> bool:
    group, name = key
    return word in ("all", f"{group}:", name, f"{group}:{name}", f"{group}.{name}")


MODULE = Kex
