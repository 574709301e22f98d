"""The node's statistics by group and name: what is counted, and what is read where it is kept anyway."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kahea.net.connections import ConnectionTable

Read = Callable[[], int]


@dataclass(slots=True)
class Statistic:
    """One statistic. `read` gives its value, if it is not `counted` here; a reset takes away what it was then."""

    read: Read | None
    resets: bool
    doc: str
    counted: int = 0
    zero: int = 0

    @property
    def value(self) -> int:
        """The value since the last reset."""
        return (self.counted if self.read is None else self.read()) - self.zero

    def add(self, by: int) -> None:
        """Add to it, unless it is what somebody else keeps and no reset changes."""
        if self.read is None:
            self.counted += by
        elif self.resets:
            self.zero -= by

    def reset(self) -> bool:
        """Count from zero again; False if it can't be reset."""
        if self.resets:
            self.zero += self.value
        return self.resets


class Statistics:
    """See the module's docstring. Names are Kamailio's, and so are the groups: mostly the names of modules."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, Statistic]] = {}

    def declare(self, group: str, name: str, read: Read | None = None, *, resets: bool = True, doc: str = "") -> None:
        """Make a statistic known; with `read`, one that is kept elsewhere. One that is known already stays as it is."""
        self._groups.setdefault(group, {}).setdefault(name, Statistic(read, resets, doc))

    def count(self, group: str, name: str, by: int = 1) -> None:
        """Add to a statistic, which is made if it is not known."""
        try:
            self._groups[group][name].add(by)
        except KeyError:
            self.declare(group, name)
            self._groups[group][name].add(by)

    def find(self, group: str, name: str) -> Statistic | None:
        """A statistic, or None."""
        return self._groups.get(group, {}).get(name)

    def named(self, name: str) -> Statistic | None:
        """The statistic of a name in whatever group comes first that has one, or None."""
        return next((group[name] for group in self._groups.values() if name in group), None)

    def value(self, group: str, name: str) -> int:
        """The value of a statistic, 0 if it is not known."""
        found = self.find(group, name)
        return 0 if found is None else found.value

    def reset(self, group: str, name: str) -> bool:
        """Count from zero again; False if it is not known, or can't be reset."""
        found = self.find(group, name)
        return found is not None and found.reset()

    def groups(self) -> list[str]:
        """The groups, sorted."""
        return sorted(self._groups)

    def names(self, group: str) -> list[str]:
        """The names of a group, sorted."""
        return sorted(self._groups.get(group, ()))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Group and name of each, sorted."""
        for group in self.groups():
            for name in self.names(group):
                yield group, name


def declare_tcp(statistics: Statistics, table: ConnectionTable) -> None:
    """Declare what is known of stream connections."""
    for each in fields(table.counts):
        statistics.declare("tcp", each.name, partial(getattr, table.counts, each.name))
    statistics.declare("tcp", "current_opened_connections", lambda: len(table), resets=False)
    statistics.declare("tcp", "current_write_queue_size", lambda: table.queued, resets=False)
