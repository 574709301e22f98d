"""Which addresses send too much (Kamailio's module pike). What to do about them is the script's matter.

Addresses are kept in a tree, a byte to a node, which a request deepens by one node at most: the first byte once it
had a quarter of `reqs_density_per_unit`, the others at once. So a flood from one address is found after a few requests
more than that number, and a flood from all over the network takes no memory to speak of.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from kahea.routing.module import Module, Param, RpcError, function, native, rpc
from kahea.routing.run import REPLY_ROUTES, REQUEST_ROUTE

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.run import Run

log = logging.getLogger("kahea.pike")

FINE, BLOCKED, NEWLY_BLOCKED = 1, -1, -2
MAX_NODES = 500_000  # beyond them the tree grows no more
#: What pike.top lists. No address is ever warm: in Kamailio 5.6 neither.
FILTERS = ("ALL", "HOT", "WARM")


class Branch:
    """A node of the tree. `hits` are those of this time unit, `before` those of the one before."""

    __slots__ = ("before", "blocked", "children", "ends", "hits")

    def __init__(self, ends: float, hits: int) -> None:
        self.children: dict[int, Branch] = {}
        self.ends = ends
        self.hits = hits
        self.before = 0
        self.blocked = False


class Tree:
    """All addresses seen lately. `limit` is the number of requests in a time unit from which an address is blocked, and
    `latency` how many seconds it is kept after its last request."""

    def __init__(self, limit: int, latency: float) -> None:
        self.limit = limit
        self.latency = latency
        self.size = 0
        #: By the length of addresses.
        self._roots = {4: Branch(0.0, 0), 16: Branch(0.0, 0)}

    def hit(self, address: bytes, now: float) -> int:
        """Count a request: FINE, BLOCKED or NEWLY_BLOCKED."""
        node = self._roots[len(address)]
        ends = now + self.latency
        for depth, byte in enumerate(address):
            if depth == 1:
                node.hits += 1
            child = node.children.get(byte)
            if child is None:
                ready = depth != 1 or max(node.hits, node.before) >= self.limit >> 2
                if ready and self.size < MAX_NODES:
                    node.children[byte] = Branch(ends, 1 if depth == 0 else 0)
                    self.size += 1
                return FINE
            node = child
            node.ends = ends
        node.hits += 1
        if node.blocked:
            return BLOCKED
        if node.hits < self.limit:
            return FINE
        node.blocked = True
        return NEWLY_BLOCKED

    def leaves(self) -> Iterator[tuple[bytes, Branch]]:
        """The addresses that are in the tree as a whole."""
        for length, root in self._roots.items():
            stack = [(b"", root)]
            while stack:
                prefix, node = stack.pop()
                if len(prefix) == length:
                    yield prefix, node
                stack += [(prefix + bytes([byte]), child) for byte, child in node.children.items()]

    def next_unit(self) -> list[bytes]:
        """A time unit is over: the addresses that are blocked no more."""
        for root in self._roots.values():
            for first in root.children.values():
                first.before, first.hits = first.hits, 0
        freed = []
        for address, leaf in self.leaves():
            leaf.before, leaf.hits = leaf.hits, 0
            if leaf.blocked and leaf.before < self.limit:
                leaf.blocked = False
                freed.append(address)
        return freed

    def forget(self, now: float) -> None:
        """Remove what had no request for as long as it is kept."""
        for root in self._roots.values():
            self._forget(root, now)

    def _forget(self, node: Branch, now: float) -> None:
        for byte, child in list(node.children.items()):
            if child.children:
                self._forget(child, now)
            if child.ends <= now and not child.children:
                del node.children[byte]
                self.size -= 1


def _level(number: int) -> int:
    """The level of `logging` for one of Kamailio's: -1 an error, 0 a warning, 1 a notice, 2 information."""
    return {0: logging.WARNING, 1: 25, 2: logging.INFO}.get(number, logging.ERROR if number < 0 else logging.DEBUG)


def _positive(value: int) -> int:
    if value < 1:
        raise ValueError("must be positive")
    return value


class Pike(Module):
    """Which addresses send too much."""

    name = "pike"

    sampling_time_unit = Param(2, "Seconds of a time unit.", check=_positive)
    reqs_density_per_unit = Param(30, "Requests in a time unit from which an address is blocked.", check=_positive)
    remove_latency = Param(120, "Seconds for which an address is kept after its last request.", check=_positive)
    pike_log_level = Param(0, "The log level of lines that tell of blocking and unblocking.")

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._stopped = False

    def start(self) -> None:
        """Make the tree."""
        self.tree = Tree(self.reqs_density_per_unit, self.remove_latency)
        self.node.statistics.declare("pike", "blocked_ips", doc="How many times an address was blocked.")

    async def open(self) -> None:
        """Begin to count time units, and to forget."""
        self.node.call_later(self.sampling_time_unit, self._next_unit)
        self.node.call_later(1, self._forget)

    async def stop(self) -> None:
        """Count no more."""
        self._stopped = True

    def _next_unit(self) -> None:
        if self._stopped:
            return
        self.node.call_later(self.sampling_time_unit, self._next_unit)
        for address in self.tree.next_unit():
            self._tell("unblocking", address)

    def _forget(self) -> None:
        if not self._stopped:
            self.node.call_later(1, self._forget)
            self.tree.forget(self.node.now())

    def _tell(self, what: str, address: bytes) -> None:
        if self.pike_log_level <= self.node.settings.debug:
            log.log(_level(self.pike_log_level), "%s %s", what, ip_address(address))

    def _check(self, address: bytes) -> int:
        result = self.tree.hit(address, self.node.now())
        if result == NEWLY_BLOCKED:
            self.node.count("pike", "blocked_ips")
            self._tell("blocking", address)
        return result

    @function
    @native(routes=REQUEST_ROUTE | REPLY_ROUTES)
    def pike_check_req(self, run: Run) -> int:
        """Count this message for its source: 1 fine, -2 the source is blocked from now on, -1 it was before."""
        return self._check(ip_address(run.msg.src_ip.decode()).packed)

    @function
    @native("str", routes=REQUEST_ROUTE | REPLY_ROUTES)
    def pike_check_ip(self, run: Run, address: str) -> int:
        """As `pike_check_req`, for an address; -1 for what is none."""
        try:
            return self._check(ip_address(address.strip("[]")).packed)
        except ValueError:
            self.node.log.error("pike_check_ip: %r is no IP address", address)
            return BLOCKED

    @rpc("pike.top")
    def top(self, which: str = "HOT") -> dict[str, Any]:
        """The addresses that are blocked, or with "ALL" all of them, those that send most first."""
        if which not in FILTERS:
            raise RpcError(500, "Bad argument. Select: ALL, HOT or WARM")
        now = self.node.now()
        rows = [
            {
                "ip_addr": str(ip_address(address)),
                "leaf_hits_prev": leaf.before,
                "leaf_hits_curr": leaf.hits,
                "expires": max(0, round(leaf.ends - now)),
                "status": "HOT" if leaf.blocked else "",
            }
            for address, leaf in self.tree.leaves()
            if which == "ALL" or (which == "HOT" and leaf.blocked)
        ]
        rows.sort(key=lambda row: -(int(row["leaf_hits_prev"]) + int(row["leaf_hits_curr"])))
        return {"max_hits": self.reqs_density_per_unit, "list": rows, "number_of_rows": len(rows)}

    @rpc("pike.list")
    def listing(self, which: str = "HOT") -> dict[str, Any]:
        """The same as `pike.top`."""
        return self.top(which)


MODULE = Pike
