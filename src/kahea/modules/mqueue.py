"""Queues of keys and values between routes, kept by the node (Kamailio's module mqueue).

What `mq_fetch` took belongs to the run that took it: `$mqk(queue)`, `$mqv(queue)`. In Kamailio it stays for whatever
the same process runs next.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kahea.connectors.errors import BadUrl, DatabaseError
from kahea.routing.attributes import attribute_number, parse_attributes
from kahea.routing.module import ConfigError, Module, Param, RpcError, Value, function, native, rpc, variable
from kahea.routing.pv.values import NULL_TEXT

if TYPE_CHECKING:
    from sqlalchemy import Table

    from kahea.connectors.sql import Database
    from kahea.routing.node import Node
    from kahea.routing.run import Run

log = logging.getLogger("kahea.mqueue")

#: What a queue holds at most, whatever its definition says: items, and characters of keys and values.
MAX_ITEMS: Final = 1_000_000
MAX_CHARACTERS: Final = 256 << 20

ADD_ALL, KEEP_OLDEST, KEEP_NEWEST = 0, 1, 2
#: What `dbmode` says, as Kamailio 5.6.3 does it: its page has 2 and 3 the other way round.
_LOADED: Final = (1, 2)
_STORED: Final = (1, 3)

_STATE: Final = "mqueue"
#: Items lost between two lines in the log.
_TOLD_EVERY: Final = 1000
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Definition:
    """A queue as the parameters define it; `size` 0 is as many items as there is room for."""

    name: str
    size: int = 0
    dbmode: int = 0
    addmode: int = ADD_ALL


def parse_definition(given: str) -> Definition:
    """Read `name=q;size=10;dbmode=1;addmode=2`. Raises ValueError."""
    values = parse_attributes(given, ("name", "size", "dbmode", "addmode"), "a queue")
    name = values.pop("name", "")
    if not name:
        raise ValueError(f"expected name=queue;..., not {given!r}")
    made = Definition(name, **{key: attribute_number(key, value) for key, value in values.items()})
    return _checked(made)


def _checked(given: Definition) -> Definition:
    if given.size < 0:
        raise ValueError(f"queue {given.name}: size can't be negative")
    if given.dbmode not in (0, 1, 2, 3):
        raise ValueError(f"queue {given.name}: dbmode is 0 to 3")
    if given.addmode not in (ADD_ALL, KEEP_OLDEST, KEEP_NEWEST):
        raise ValueError(f"queue {given.name}: addmode is 0 to 2")
    return given


class Item(NamedTuple):
    """What is in a queue."""

    key: str
    value: str


class Queue:
    """One queue, the oldest item first; what is too much for it goes from there."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.name = definition.name
        self._limit = min(definition.size or MAX_ITEMS, MAX_ITEMS)
        #: By key, or by a running number where keys may repeat.
        self._items: dict[str | int, Item] = {}
        self._added = 0
        self._characters = 0
        self._lost = 0

    def __len__(self) -> int:
        return len(self._items)

    def add(self, key: str, value: str) -> None:
        """Add an item as the queue's addmode says; the oldest goes where it is one too many."""
        place: str | int = key
        if self.definition.addmode == ADD_ALL:
            self._added += 1
            place = self._added
        elif key in self._items:
            if self.definition.addmode == KEEP_OLDEST:
                return
            self._remove(key)
        self._items[place] = Item(key, value)
        self._characters += len(key) + len(value)
        while len(self._items) > self._limit or self._characters > MAX_CHARACTERS:
            self.fetch()
            if not self.definition.size:
                if self._lost % _TOLD_EVERY == 0:
                    log.warning("queue %s is full: its oldest items are lost, %d so far", self.name, self._lost)
                self._lost += 1

    def fetch(self) -> Item | None:
        """Take out the oldest item, None if there is none."""
        place = next(iter(self._items), None)
        return None if place is None else self._remove(place)

    def items(self) -> list[Item]:
        """All items, the oldest first."""
        return list(self._items.values())

    def _remove(self, place: str | int) -> Item:
        item = self._items.pop(place)
        self._characters -= len(item.key) + len(item.value)
        return item


class _Named(Param[list[str]]):
    """`mqueue_name`: a queue by name alone, with the size and mode that were set before it."""

    def set(self, module: Module, value: object) -> None:
        """Define the queue."""
        super().set(module, value)
        assert isinstance(module, Mqueue)
        name = str(value).strip()
        try:
            made = _checked(Definition(name, module.mqueue_size, 0, module.mqueue_addmode))
        except ValueError as error:
            raise ConfigError(f"parameter mqueue.mqueue_name: {error}") from error
        module.__dict__.setdefault("mqueue", []).append(made)


class Mqueue(Module):
    """Queues of keys and values between routes of a script."""

    name = "mqueue"

    db_url = Param("", "The database of queues with a dbmode; each has a table of its name.")
    mqueue: Param[list[Definition]] = Param(
        [], "A queue: `name=q;size=10;dbmode=1;addmode=2`.", many=True, check=parse_definition
    )
    mqueue_name = _Named([], "A queue by its name alone.", many=True)
    mqueue_size = Param(0, "The size of the queues that `mqueue_name` names after it; 0 has no limit of its own.")
    mqueue_addmode = Param(0, "How those queues take a key that they have: 0 again, 1 not at all, 2 in its place.")

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.queues: dict[str, Queue] = {}
        self._database: Database | None = None

    # ---- life

    def start(self) -> None:
        """Make the queues."""
        for each in self.mqueue:
            if each.name in self.queues:
                raise ConfigError(f"parameter mqueue.mqueue: the queue {each.name!r} is defined twice")
            self.queues[each.name] = Queue(each)
        if any(each.dbmode for each in self.mqueue):
            if not self.db_url:
                raise ConfigError("parameter mqueue.db_url is needed for queues with a dbmode")
            from kahea.connectors.sql import Database

            try:
                self._database = Database(self.db_url)
            except BadUrl as error:
                raise ConfigError(f"parameter mqueue.db_url: {error}") from error

    async def open(self) -> None:
        """Load the queues that are to be loaded, and take their rows out of the database."""
        if self._database is None:
            return
        from sqlalchemy import delete, select

        for queue in self.queues.values():
            if queue.definition.dbmode not in _LOADED:
                continue
            table = _table(queue.name)
            try:
                async for page in self._database.pages(select(table.c.key, table.c.val).order_by(table.c.id), _PAGE):
                    for key, value in page:
                        queue.add(str(key or ""), str(value or ""))
                await self._database.run([(delete(table), [{}])])
            except DatabaseError as error:
                await self._database.close()
                raise ConfigError(f"queue {queue.name}: the database can't be used: {error}") from error

    async def stop(self) -> None:
        """Write the queues that are to be kept to the database."""
        if self._database is None:
            return
        from sqlalchemy import insert

        for queue in self.queues.values():
            if queue.definition.dbmode not in _STORED or not len(queue):
                continue
            rows = [{"key": item.key, "val": item.value} for item in queue.items()]
            try:
                await self._database.run([(insert(_table(queue.name)), rows)])
            except DatabaseError as error:
                log.error("queue %s could not be written to the database: %s", queue.name, error)
        await self._database.close()

    # ---- functions

    def _queue(self, name: str) -> Queue | None:
        found = self.queues.get(name)
        if found is None:
            self.node.log.error("there is no queue %r", name)
        return found

    @native("str", "str", "str")
    @function
    def mq_add(self, run: Run, queue: str, key: str, value: str) -> int:
        """Add an item to a queue; -1 if there is no such queue."""
        found = self._queue(queue)
        if found is None:
            return -1
        found.add(key, value)
        return 1

    @native("str")
    @function
    def mq_fetch(self, run: Run, queue: str) -> int:
        """Take the oldest item of a queue, for `$mqk(queue)` and `$mqv(queue)`; -2 if it is empty, -1 without one."""
        found = self._queue(queue)
        if found is None:
            return -1
        fetched = _fetched(run)
        fetched.pop(queue, None)
        item = found.fetch()
        if item is None:
            return -2
        fetched[queue] = item
        return 1

    @native("str")
    @function
    def mq_pv_free(self, run: Run, queue: str) -> int:
        """Forget what was fetched from a queue."""
        _fetched(run).pop(queue, None)
        return 1

    @native("str")
    @function
    def mq_size(self, run: Run, queue: str) -> int:
        """How many items a queue has; -1 for none, since 0 would end a route of a cfg, -2 without the queue."""
        found = self._queue(queue)
        return -2 if found is None else len(found) or -1

    # ---- variables

    @variable("mqk", takes_name=True)
    def fetched_key(self, run: Run, name: str, index: object) -> Value:
        """The key of the item that this run fetched from a queue."""
        return self.mqk_get(run, name)

    @variable("mqv", takes_name=True)
    def fetched_value(self, run: Run, name: str, index: object) -> Value:
        """The value of the item that this run fetched from a queue."""
        return self.mqv_get(run, name)

    @variable("mq_size", takes_name=True)
    def size(self, run: Run, name: str, index: object) -> Value:
        """How many items a queue has; null without the queue."""
        found = self._queue(name)
        return None if found is None else len(found)

    def _item(self, run: Run, queue: str) -> Item | None:
        return None if self._queue(queue) is None else _fetched(run).get(queue)

    @function
    def mqk_get(self, run: Run, queue: str) -> Value:
        """The key of the item that this run fetched from a queue, null if there is none."""
        item = self._item(run, queue)
        return None if item is None else item.key

    @function
    def mqk_gete(self, run: Run, queue: str) -> Value:
        """The key of the item that this run fetched from a queue, an empty text if there is none."""
        return _or(self.mqk_get(run, queue), "")

    @function
    def mqk_getw(self, run: Run, queue: str) -> Value:
        """The key of the item that this run fetched from a queue, the text `<null>` if there is none."""
        return _or(self.mqk_get(run, queue), NULL_TEXT)

    @function
    def mqv_get(self, run: Run, queue: str) -> Value:
        """The value of the item that this run fetched from a queue, null if there is none."""
        item = self._item(run, queue)
        return None if item is None else item.value

    @function
    def mqv_gete(self, run: Run, queue: str) -> Value:
        """The value of the item that this run fetched from a queue, an empty text if there is none."""
        return _or(self.mqv_get(run, queue), "")

    @function
    def mqv_getw(self, run: Run, queue: str) -> Value:
        """The value of the item that this run fetched from a queue, the text `<null>` if there is none."""
        return _or(self.mqv_get(run, queue), NULL_TEXT)

    # ---- management

    @rpc("mqueue.get_size")
    def rpc_get_size(self, name: str | None = None) -> dict[str, Any]:
        """How many items a queue has."""
        if name is None:
            raise RpcError(400, "No queue name")
        found = self.queues.get(str(name))
        if found is None:
            raise RpcError(404, "No such queue")
        return {"name": found.name, "size": len(found)}

    @rpc("mqueue.get_sizes")
    def rpc_get_sizes(self) -> list[dict[str, Any]]:
        """How many items the queues have, the last defined first."""
        return [{"name": queue.name, "size": len(queue)} for queue in reversed(self.queues.values())]

    @rpc("mqueue.fetch")
    def rpc_fetch(self, name: str | None = None) -> dict[str, Any]:
        """Take the oldest item out of a queue."""
        if name is None:
            raise RpcError(500, "No queue name")
        found = self.queues.get(str(name))
        if found is None:
            raise RpcError(500, "No such queue")
        item = found.fetch()
        if item is None:
            raise RpcError(404, "Empty queue")
        return {"key": item.key, "val": item.value}


def _fetched(run: Run) -> dict[str, Item]:
    """What a run has fetched, by queue."""
    found = run.state.setdefault(_STATE, {})
    assert isinstance(found, dict)
    return found


def _or(value: Value, instead: str) -> Value:
    return instead if value is None else value


def _table(name: str) -> Table:
    """The table of a queue, in Kamailio's layout."""
    from sqlalchemy import Column, Integer, MetaData, String, Table

    return Table(
        name, MetaData(), Column("id", Integer, primary_key=True), Column("key", String), Column("val", String)
    )


MODULE = Mqueue
