"""Counters of scripts, and the RPC commands that read and reset all statistics (Kamailio's module counters)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.routing.module import Module, Param, RpcError, function, native, rpc
from kahea.routing.run import FAILURE_ROUTE, ONSEND_ROUTE, REPLY_ROUTES, REQUEST_ROUTE

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.run import Run
    from kahea.routing.statistics import Statistic

DEFAULT_DOC = "custom script counter"
_ROUTES = REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | ONSEND_ROUTE


def parse_counter(given: str) -> tuple[str, str, str]:
    """`[group.]name[ description]` or `[group.]name[:description]`, as group, name and description."""
    ends = [at for at in (given.find(" "), given.find(":")) if at >= 0]
    end = min(ends, default=len(given))
    group, _, name = given[:end].rpartition(".")
    if not name:
        raise ValueError(f"{given!r} names no counter")
    return group, name, given[end + 1 :].strip() or DEFAULT_DOC


def counter(node: Node, text: str) -> str:
    """A counter's name, which must be declared if it has a script's group. Raises ValueError."""
    module: Counters = node.module("counters")
    group, name = module.key(text)
    declared = module.declared()
    if any(each == group for each, _ in declared) and (group, name) not in declared:
        raise ValueError(f"there is no counter {group}.{name}: declare it by the parameter script_counter")
    return text


class Counters(Module):
    """Counters that scripts declare."""

    name = "counters"

    script_cnt_grp_name = Param("script", "The group of counters that name none.")
    script_counter: Param[list[tuple[str, str, str]]] = Param(
        [], "A counter: `[group.]name`, and a description behind a space or a colon.", many=True, check=parse_counter
    )

    def start(self) -> None:
        """Declare the counters."""
        for (group, name), doc in self.declared().items():
            self.node.statistics.declare(group, name, doc=doc)

    def declared(self) -> dict[tuple[str, str], str]:
        """The script's counters with their descriptions."""
        return {(group or self.script_cnt_grp_name, name): doc for group, name, doc in self.script_counter}

    def key(self, text: str) -> tuple[str, str]:
        """Group and name of `[group.]name`."""
        group, _, name = text.rpartition(".")
        return group or self.script_cnt_grp_name, name

    def _add(self, text: str, by: int) -> int:
        group, name = self.key(text)
        if self.node.statistics.find(group, name) is None:
            self.node.log.error("there is no counter %s.%s", group, name)
            return -1
        self.node.statistics.count(group, name, by)
        return 1

    @function
    @native(counter, name="cnt_inc", routes=_ROUTES)
    def inc(self, run: Run, name: str) -> int:
        """Add 1 to `[group.]name`; -1 if there is no such counter."""
        return self._add(name, 1)

    @function
    @native(counter, "int", name="cnt_add", routes=_ROUTES)
    def add(self, run: Run, name: str, by: int) -> int:
        """Add a number to `[group.]name`; -1 if there is no such counter."""
        return self._add(name, by)

    @function
    @native(counter, name="cnt_reset", routes=_ROUTES)
    def reset(self, run: Run, name: str) -> int:
        """Let `[group.]name` begin at 0 again; -1 if there is no such counter."""
        group, name = self.key(name)
        if self.node.statistics.find(group, name) is None:
            self.node.log.error("there is no counter %s.%s", group, name)
            return -1
        self.node.statistics.reset(group, name)
        return 1

    # ---- RPC

    def _find(self, group: str, name: str) -> Statistic:
        found = self.node.statistics.find(group, name)
        if found is None:
            raise RpcError(400, f"non-existent counter {group}.{name}")
        return found

    @rpc("cnt.get")
    def cnt_get(self, group: str, name: str) -> int:
        """The value of a counter."""
        return self._find(group, name).value

    @rpc("cnt.get_raw")
    def cnt_get_raw(self, group: str, name: str) -> int:
        """What was counted; 0 for a statistic that is read elsewhere."""
        return self._find(group, name).counted

    @rpc("cnt.reset")
    def cnt_reset(self, group: str, name: str) -> None:
        """Let a counter begin at 0 again, if it can."""
        self._find(group, name)
        self.node.statistics.reset(group, name)

    @rpc("cnt.list_groups")
    def cnt_list_groups(self) -> list[str]:
        """The groups of counters."""
        return self.node.statistics.groups()

    @rpc("cnt.grps_list")
    def cnt_grps_list(self) -> list[str]:
        """The groups of counters."""
        return self.node.statistics.groups()

    @rpc("cnt.list_vars")
    def cnt_list_vars(self, group: str) -> list[str]:
        """The names of a group's counters."""
        return self.node.statistics.names(group)

    @rpc("cnt.var_list")
    def cnt_var_list(self, group: str) -> list[str]:
        """The names of a group's counters."""
        return self.node.statistics.names(group)

    @rpc("cnt.get_vars")
    def cnt_get_vars(self, group: str) -> dict[str, int]:
        """A group's counters and their values."""
        statistics = self.node.statistics
        return {name: statistics.value(group, name) for name in statistics.names(group)}

    @rpc("cnt.grp_get_all")
    def cnt_grp_get_all(self, group: str) -> dict[str, int]:
        """A group's counters and their values."""
        return self.cnt_get_vars(group)

    @rpc("cnt.help")
    def cnt_help(self, group: str, name: str) -> str:
        """What a counter counts."""
        return self._find(group, name).doc


MODULE = Counters
