"""Listeners declared `virtual`: their addresses are this node's only while the host has them.

A cluster's address belongs to one host at a time. A node listens on it always (`ip_free_bind`), but counts it as its
own, and finds it when a script looks for a listener by address, only while the host has it. What it advertises, and
its name, stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kahea.net.address import Listener


class VirtualListeners:
    """Which listeners are virtual, and which of their addresses the host has. `changed` is called when that may have
    changed."""

    def __init__(self, changed: Callable[[], object]) -> None:
        self._changed = changed
        self._listeners: set[Listener] = set()
        self._host: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def __contains__(self, listener: Listener) -> bool:
        """Whether a listener was declared virtual."""
        return listener in self._listeners

    def add(self, listener: Listener) -> None:
        """This one was."""
        self._listeners.add(listener)

    def absent(self, listener: Listener) -> bool:
        """Whether a listener's address is one that the host does not have now."""
        return listener in self._listeners and listener.address.ip not in self._host

    def host_has(self, addresses: Iterable[str]) -> None:
        """The host has these addresses now, and no others; they are written as `Address.ip`."""
        self._host = frozenset(addresses)
        self._changed()


__all__ = ["VirtualListeners"]
