"""What management is told of connections to outside services: every pool puts itself on one list."""

from __future__ import annotations

from typing import Any, Final, Protocol
from weakref import WeakSet


class Pool(Protocol):
    """Connections to one service."""

    def describe(self) -> dict[str, Any]:
        """Its `url` without a password, `state` (`up`, `down`, or `unused` until the first attempt), `size` (the most
        connections), `open`, `busy`, `waiting` (calls that wait for one), `calls`, `failures`, the last `error`."""


#: Those of the process. A pool that is closed, or that nobody has any more, is not among them.
POOLS: Final[WeakSet[Any]] = WeakSet()


def describe_pools() -> list[dict[str, Any]]:
    """All pools, in the order of their URLs."""
    return sorted((pool.describe() for pool in list(POOLS)), key=lambda described: str(described["url"]))


__all__ = ["POOLS", "Pool", "describe_pools"]
