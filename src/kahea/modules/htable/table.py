"""One hash table: its definition, its items, and when they end.

There are no slots: a dictionary needs none. Which slot Kamailio would have for an item is worked out where it shows:
in the order of iterators and dumps.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from kahea.routing.attributes import attribute_number, iter_attributes
from kahea.routing.module import Value
from kahea.routing.pv.chain import narrow
from kahea.routing.transformations.strings import core_hash

log = logging.getLogger("kahea.htable")

SMALLEST, LARGEST = 2, 31  # sizes, as powers of 2
SMALLEST_TAKEN = 3

Scalar = int | str

#: What one table holds at the most, since names and values often come from messages. In Kamailio the bound is its
#: shared memory.
MAX_ITEMS = 1_000_000
MAX_CHARACTERS = 256 << 20
_TOLD_EVERY = 10_000  # items that a full table refused


@dataclass(frozen=True, slots=True)
class Definition:
    """A table as the parameter `htable` defines it. `size` is a power of 2, `autoexpire` is in seconds."""

    name: str
    size: int = SMALLEST_TAKEN
    autoexpire: int = 0
    dbtable: str = ""
    cols: tuple[str, ...] = ()
    dbmode: int = 0
    initval: int | None = None
    updateexpire: int = 1
    dmqreplicate: int = 0


_NUMBERS = ("size", "autoexpire", "dbmode", "initval", "updateexpire", "dmqreplicate")


def parse_definition(given: str) -> Definition:
    """Read `name=>size=4;autoexpire=7200;dbtable=t;...`. Raises ValueError."""
    name, arrow, rest = given.partition("=>")
    if not arrow or not name.strip():
        raise ValueError(f"expected name=>size=number;..., not {given!r}")
    values: dict[str, object] = {}
    for key, value in iter_attributes(rest):
        if key in _NUMBERS:
            values[key] = attribute_number(key, value)
        elif key == "dbtable":
            values[key] = value
        elif key == "cols":
            columns = tuple(column.strip() for column in value.split(","))
            if len(columns) < 2 or not all(columns):
                raise ValueError(f"cols takes two columns or more, not {value!r}")
            values[key] = columns
        else:
            raise ValueError(f"a table has no attribute {key!r}")
    size = int(str(values.get("size", SMALLEST_TAKEN)))
    values["size"] = SMALLEST_TAKEN if size < SMALLEST else min(size, LARGEST)
    return Definition(name.strip(), **values)  # type: ignore[arg-type]


def _length(value: Scalar) -> int:
    return len(value) if isinstance(value, str) else 0


class Item:
    """A value and when it ends, in Unix time; 0 for never. `hash` is that of its name."""

    __slots__ = ("ends", "hash", "value")

    def __init__(self, name: str, value: Scalar, ends: int) -> None:
        self.value = value
        self.ends = ends
        self.hash = core_hash(narrow(name))


class Table:
    """The items of one table. `clock` gives Unix time in whole seconds."""

    def __init__(self, definition: Definition, clock: Callable[[], int]) -> None:
        self.definition = definition
        self.name = definition.name
        self.slots = 1 << definition.size
        self.items: dict[str, Item] = {}
        self._characters = 0
        self._refused = 0
        self._clock = clock

    def _live(self, key: str) -> Item | None:
        """An item that has not ended."""
        item = self.items.get(key)
        return None if item is None or self.has_ended(item) else item

    def has_ended(self, item: Item) -> bool:
        """Whether an item is there only until the next sweep."""
        return 0 < item.ends <= self._clock()

    def _end(self) -> int:
        seconds = self.definition.autoexpire
        return self._clock() + seconds if seconds else 0

    def get(self, key: str) -> Value:
        """A value; the initial one, or None, if there is none."""
        item = self._live(key)
        return self.definition.initval if item is None else item.value

    def set(self, key: str, value: Scalar) -> bool:
        """Set a value, which then ends after `autoexpire` seconds; with `updateexpire` 0, as it would have. False, and
        a line in the log, if the table is full."""
        item = self._live(key)
        if item is None:
            self.remove(key)  # it has ended
            if len(self.items) >= MAX_ITEMS or not self._has_room(len(key) + _length(value)):
                return self._refuse(key)
            self.items[key] = Item(key, value, self._end())
            return True
        if not self._has_room(_length(value) - _length(item.value)):
            return self._refuse(key)
        item.value = value
        if self.definition.updateexpire:
            item.ends = self._end()
        return True

    def _has_room(self, more: int) -> bool:
        """Whether so many characters more have room, which they then take."""
        if more > 0 and self._characters + more > MAX_CHARACTERS:
            return False
        self._characters += more
        return True

    def _refuse(self, key: str) -> bool:
        if not self._refused % _TOLD_EVERY:
            log.error("htable %s is full: %r is not set, as %d before it", self.name, key, self._refused)
        self._refused += 1
        return False

    def add(self, key: str, by: int) -> int | None:
        """Add to a number, or to the initial value; the sum, or None if there is no number."""
        value = self.get(key)
        if not isinstance(value, int) or not self.set(key, value + by):
            return None
        return value + by

    def remove(self, key: str) -> bool:
        """Remove an item; False if there is none."""
        item = self.items.pop(key, None)
        if item is None:
            return False
        self._characters -= len(key) + _length(item.value)
        return True

    def remaining(self, key: str) -> int:
        """Seconds until an item ends: below 0 if it only waits for the next sweep, 0 for never and for no item."""
        item = self.items.get(key)
        return 0 if item is None or not item.ends else item.ends - self._clock()

    def set_remaining(self, key: str, seconds: int) -> None:
        """Let an item end after so many seconds, for 0 or less never. Tables without `autoexpire` keep theirs."""
        item = self.items.get(key)
        if item is not None and self.definition.autoexpire:
            item.ends = self._clock() + seconds if seconds > 0 else 0

    def sweep(self) -> list[tuple[str, Scalar]]:
        """Remove what has ended, and return it, in the order of slots."""
        if not self.definition.autoexpire:
            return []
        now = self._clock()
        ended = self._in_order(key for key, item in self.items.items() if 0 < item.ends <= now)
        records = [(key, self.items[key].value) for key in ended]
        for key in ended:
            self.remove(key)
        return records

    def ordered(self) -> list[str]:
        """All names in the order of Kamailio's slots, and of hashes in each."""
        return self._in_order(self.items)

    def _in_order(self, keys: Iterable[str]) -> list[str]:
        mask, items = self.slots - 1, self.items
        return sorted(keys, key=lambda key: (items[key].hash & mask, items[key].hash))

    def slot_of(self, key: str) -> int:
        """The slot that Kamailio would have for a name."""
        return core_hash(narrow(key)) & (self.slots - 1)

    def by_slot(self) -> Iterator[tuple[int, list[str]]]:
        """The slots that are not empty, each with its names."""
        found: dict[int, list[str]] = {}
        for key in self.ordered():
            found.setdefault(self.items[key].hash & (self.slots - 1), []).append(key)
        yield from found.items()
