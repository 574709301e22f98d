"""Hash tables for scripts (Kamailio's module htable): `$sht(table=>name)`, kept by the node.

| file | what |
|---|---|
| `table.py` | one table, its items and their ends |
| `matching.py` | choosing items by name or value |
| `storage.py` | tables in a database |
| `base.py` | parameters, start and stop, sweeping, events |
| `variables.py` | `$sht` and its kin |
| `functions.py` | the functions of scripts |
| `iterators.py` | walking over a table |
| here | the management commands |
"""

from __future__ import annotations

import time
from collections.abc import Coroutine
from typing import Any, ClassVar

from kahea.connectors.errors import DatabaseError
from kahea.modules.htable.iterators import TableIterators
from kahea.modules.htable.storage import Storage
from kahea.modules.htable.table import Scalar, Table
from kahea.routing.module import RpcError, rpc
from kahea.routing.pv.values import decimal
from kahea.routing.run import can_wait, wait

SET = "Ok. Key set to new value."
TEXT_FLAG = 2  # of a value that is a text, as Kamailio shows it


class Htable(TableIterators):
    """Hash tables for scripts, kept by the node: `$sht(table=>name)`."""

    name = "htable"
    events: ClassVar = {
        "htable:mod-init": "The tables are loaded; it comes before the first message.",
        "htable:expired:TABLE": "An item of that table has ended: `$shtrecord(key)`, `$shtrecord(value)`.",
    }

    def _rpc_table(self, name: object) -> Table:
        found = self.tables.get(str(name))
        if found is None:
            raise RpcError(500, "No such htable")
        return found

    def _need(self, *given: object, what: str) -> None:
        if any(each is None for each in given):
            raise RpcError(500, what)

    @rpc("htable.get")
    def rpc_get(self, table: str | None = None, name: str | None = None) -> dict[str, Any]:
        """One item of a table."""
        self._need(table, name, what="Not enough parameters (htable name and key name)")
        found = self._rpc_table(table)
        item = found.items.get(str(name))
        if item is None or found.has_ended(item):
            raise RpcError(500, "Key name doesn't exist in htable.")
        ends = "NEVER"
        if item.ends:
            ends = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(item.ends))
        flags = 0 if isinstance(item.value, int) else TEXT_FLAG
        return {"item": {"name": str(name), "value": item.value, "flags": flags, "expire": ends}}

    @rpc("htable.delete")
    def rpc_delete(self, table: str | None = None, name: str | None = None) -> str:
        """Remove an item."""
        self._need(table, name, what="Not enough parameters (htable name and key name)")
        if not self._rpc_table(table).remove(str(name)):
            raise RpcError(404, "Key not found in htable.")
        return "Ok. Key deleted."

    def _rpc_set(self, table: object, name: object, value: Scalar, seconds: object = None) -> str:
        found = self._rpc_table(table)
        if not found.set(str(name), value):
            raise RpcError(500, f"htable {found.name} is full")
        if seconds is not None:
            found.set_remaining(str(name), _number(seconds))
        return SET

    @rpc("htable.sets")
    def rpc_sets(self, table: str | None = None, name: str | None = None, value: str | int | None = None) -> str:
        """Set an item to a text."""
        self._need(table, name, value, what="Not enough parameters (htable name, key name and value)")
        return self._rpc_set(table, name, str(value))

    @rpc("htable.seti")
    def rpc_seti(self, table: str | None = None, name: str | None = None, value: str | int | None = None) -> str:
        """Set an item to a number."""
        self._need(table, name, value, what="Not enough parameters (htable name, key name and value)")
        return self._rpc_set(table, name, _number(value))

    @rpc("htable.setxs")
    def rpc_setxs(self, table: str, name: str, value: str | int, seconds: int | str) -> str:
        """Set an item to a text that ends after so many seconds."""
        return self._rpc_set(table, name, str(value), seconds)

    @rpc("htable.setxi")
    def rpc_setxi(self, table: str, name: str, value: int | str, seconds: int | str) -> str:
        """Set an item to a number that ends after so many seconds."""
        return self._rpc_set(table, name, _number(value), seconds)

    @rpc("htable.setex")
    def rpc_setex(self, table: str, name: str, seconds: int | str) -> str:
        """Let an item end after so many seconds."""
        self._rpc_table(table).set_remaining(str(name), _number(seconds))
        return "Ok"

    @rpc("htable.dump")
    def rpc_dump(self, table: str | None = None) -> list[dict[str, Any]]:
        """All items of a table, by the slots that Kamailio would have."""
        self._need(table, what="No htable name given")
        found = self._rpc_table(table)
        return [
            {"entry": slot, "size": len(names), "slot": [_described(found, name) for name in names]}
            for slot, names in found.by_slot()
        ]

    @rpc("htable.flush")
    def rpc_flush(self, table: str | None = None) -> str:
        """Remove all items of a table."""
        self._need(table, what="No htable name given")
        self._rpc_table(table).items.clear()
        return "Ok. Htable flushed."

    def _rpc_storage(self, table: Table) -> Storage:
        storage = self.storage_of(table)
        if storage is None:
            raise RpcError(500, "No database htable")
        return storage

    def _wait(self, work: Coroutine[Any, Any, Any]) -> None:
        if not can_wait():
            work.close()
            raise RpcError(500, "can't wait for a database here")
        try:
            wait(work)
        except DatabaseError as error:
            raise RpcError(500, str(error)) from error

    @rpc("htable.reload")
    def rpc_reload(self, table: str | None = None) -> str:
        """Load a table from the database, in place of what it holds."""
        self._need(table, what="No htable name given")
        found = self._rpc_table(table)
        storage = self._rpc_storage(found)
        fresh = Table(found.definition, self._now)
        self._wait(storage.load(fresh, self._now()))
        found.items = fresh.items
        return "Ok. Htable reloaded."

    @rpc("htable.store")
    def rpc_store(self, table: str | None = None) -> str:
        """Write a table to the database, in place of what that holds."""
        self._need(table, what="No htable name given")
        found = self._rpc_table(table)
        self._wait(self._rpc_storage(found).store(found))
        return "Ok. Htable successfully stored to DB."

    @rpc("htable.listTables")
    def rpc_list_tables(self) -> list[dict[str, Any]]:
        """The tables, the last defined first."""
        return [
            {
                "name": each.name,
                "dbtable": each.dbtable,
                "dbmode": each.dbmode,
                "expire": each.autoexpire,
                "updateexpire": each.updateexpire,
                "size": 1 << each.size,
                "dmqreplicate": each.dmqreplicate,
            }
            for each in reversed([table.definition for table in self.tables.values()])
        ]

    @rpc("htable.stats")
    def rpc_stats(self) -> list[dict[str, Any]]:
        """How many items the tables have, and the fewest and most in one slot, the last defined table first."""
        out = []
        for table in reversed(self.tables.values()):
            counts = [len(names) for _, names in table.by_slot()]
            least = min(counts, default=0) if len(counts) == table.slots else 0
            out.append(
                {
                    "name": table.name,
                    "slots": table.slots,
                    "all": len(table.items),
                    "min": least,
                    "max": max(counts, default=0),
                }
            )
        return out

    @rpc("htable.dmqsync")
    def rpc_dmqsync(self) -> str:
        """Ask other nodes for their items: there is no module dmq yet."""
        raise RpcError(500, "HTable DMQ mode not enabled")

    @rpc("htable.dmqresync")
    def rpc_dmqresync(self) -> str:
        """Ask other nodes for their items: there is no module dmq yet."""
        raise RpcError(500, "HTable DMQ mode not enabled")


def _described(table: Table, name: str) -> dict[str, Any]:
    value = table.items[name].value
    return {"name": name, "value": value, "type": "int" if isinstance(value, int) else "str"}


def _number(given: object) -> int:
    number = given if isinstance(given, int) else decimal(str(given))
    if number is None:
        raise RpcError(500, "Not enough parameters (htable name, key name and value)")
    return number


MODULE = Htable
