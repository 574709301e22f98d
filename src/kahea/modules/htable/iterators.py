"""Walking over the items of a table. An iterator belongs to one run, which has at most four at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.modules.htable.functions import TableFunctions
from kahea.modules.htable.table import Item, Table
from kahea.routing.module import Value, function, native, variable

if TYPE_CHECKING:
    from kahea.routing.run import Run

MAX_ITERATORS = 4
STATE = "htable.iterators"


class Cursor:
    """A place among the names that a table had when the iterator started. Those that went since are passed over."""

    __slots__ = ("_names", "key", "table")

    def __init__(self, table: Table) -> None:
        self.table = table
        self._names = iter(table.ordered())
        self.key: str | None = None

    @property
    def item(self) -> Item | None:
        """The item it stands at."""
        return None if self.key is None else self.table.items.get(self.key)

    def next(self) -> bool:
        """Go on to the next item; False if there is none."""
        self.key = next((name for name in self._names if name in self.table.items), None)
        return self.key is not None


class TableIterators(TableFunctions):
    """Iterators over tables."""

    def _cursors(self, run: Run) -> dict[str, Cursor]:
        found = run.state.get(STATE)
        if not isinstance(found, dict):
            found = run.state[STATE] = {}
        return found

    def _cursor(self, run: Run, name: str) -> Cursor | None:
        cursor = self._cursors(run).get(name)
        if cursor is None:
            self.node.log.error("there is no sht_iterator %r", name)
        return cursor

    def _item(self, run: Run, name: str) -> Item | None:
        cursor = self._cursor(run, name)
        item = None if cursor is None else cursor.item
        if cursor is not None and item is None:
            self.node.log.error("sht_iterator %r stands at no item", name)
        return item

    @function
    @native("str", "str")
    def sht_iterator_start(self, run: Run, name: str, table: str) -> int:
        """Start an iterator over a table, or start it over; -1 if there are four others, or no such table."""
        cursors, found = self._cursors(run), self.table(table)
        if found is None:
            return -1
        if name not in cursors and len(cursors) >= MAX_ITERATORS:
            self.node.log.error("sht_iterator_start: there are %d iterators already", MAX_ITERATORS)
            return -1
        cursors[name] = Cursor(found)
        return 1

    @function
    @native("str")
    def sht_iterator_end(self, run: Run, name: str) -> int:
        """End an iterator; -1 if there is none of the name."""
        if self._cursors(run).pop(name, None) is None:
            self.node.log.error("there is no sht_iterator %r", name)
            return -1
        return 1

    @function
    @native("str")
    def sht_iterator_next(self, run: Run, name: str) -> int:
        """Go on to the next item; -1 past the last one."""
        cursor = self._cursor(run, name)
        return 1 if cursor is not None and cursor.next() else -1

    @function
    @native("str")
    def sht_iterator_rm(self, run: Run, name: str) -> int:
        """Remove the item and go on to the next one; -2 if it was the last, -1 if there is none."""
        cursor = self._cursor(run, name)
        if cursor is None or self._item(run, name) is None or cursor.key is None:
            return -1
        cursor.table.remove(cursor.key)
        return 1 if cursor.next() else -2

    @function
    @native("str", "str")
    def sht_iterator_sets(self, run: Run, name: str, value: str) -> int:
        """Set the item to a text."""
        return self._assign(run, name, value)

    @function
    @native("str", "int")
    def sht_iterator_seti(self, run: Run, name: str, value: int) -> int:
        """Set the item to a number."""
        return self._assign(run, name, value)

    def _assign(self, run: Run, name: str, value: int | str) -> int:
        cursor = self._cursor(run, name)
        if cursor is None or self._item(run, name) is None or cursor.key is None:
            return -1
        return 1 if cursor.table.set(cursor.key, value) else -1

    @function
    @native("str", "int")
    def sht_iterator_setex(self, run: Run, name: str, seconds: int) -> int:
        """Let the item end after so many seconds."""
        cursor = self._cursor(run, name)
        if cursor is None or self._item(run, name) is None or cursor.key is None:
            return -1
        cursor.table.set_remaining(cursor.key, seconds)
        return 1

    @variable("shtitkey", takes_name=True)
    def iterator_key(self, run: Run, name: str, index: object) -> Value:
        """The name of the item at which the iterator stands."""
        cursor = self._cursors(run).get(name)
        return None if cursor is None or cursor.item is None else cursor.key

    @variable("shtitval", takes_name=True)
    def iterator_value(self, run: Run, name: str, index: object) -> Value:
        """The value of the item at which the iterator stands."""
        cursor = self._cursors(run).get(name)
        item = None if cursor is None else cursor.item
        return None if item is None else item.value
