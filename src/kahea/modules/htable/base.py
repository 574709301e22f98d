"""The module's parameters and tables, their life, and the events of scripts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from kahea.connectors.errors import DatabaseError
from kahea.modules.htable.storage import Storage
from kahea.modules.htable.table import Definition, Scalar, Table, parse_definition
from kahea.routing.generation import event_message
from kahea.routing.locks import Locks
from kahea.routing.module import ConfigError, Module, Param

if TYPE_CHECKING:
    from kahea.routing.node import Node

log = logging.getLogger("kahea.htable")

RECORD_FACET = "htable.record"  # what event_route[htable:expired:...] is about: a name and a value


def _no_dmq(value: int) -> int:
    if value:
        raise ValueError("replication needs module dmq, which is not built yet")
    return value


def _positive(value: int) -> int:
    if value < 1:
        raise ValueError("must be positive")
    return value


class Tables(Module):
    """The tables of a node, loaded at the start and swept from time to time."""

    htable: Param[list[Definition]] = Param(
        [], "A table: `name=>size=4;autoexpire=7200;dbtable=name;...`.", many=True, check=parse_definition
    )
    db_url = Param("", "The database of tables that name a dbtable.")
    key_name_column = Param("key_name", "The column of an item's name.")
    key_type_column = Param("key_type", "The column of a name's type: 0 as it is, 1 one of an array.")
    value_type_column = Param("value_type", "The column of a value's type: 0 text, 1 number.")
    key_value_column = Param("key_value", "The column of an item's value.")
    expires_column = Param("expires", "The column of the time at which an item ends.")
    array_size_suffix = Param("::size", "What the name of an array's size ends in.")
    fetch_rows = Param(100, "How many rows are read at a time.", check=_positive)
    timer_interval = Param(20, "Seconds between sweeps of what has ended.", check=_positive)
    db_expires = Param(0, "1 loads and stores when items end, for tables with autoexpire.")
    enable_dmq = Param(0, "Replication by module dmq.", check=_no_dmq)
    dmq_init_sync = Param(0, "Replication at the start by module dmq.", check=_no_dmq)
    dmq_peer_id = Param("htable", "The name for replication by module dmq.")
    timer_procs = Param(0, "Processes for sweeping: one loop does everything here, whatever this says.")
    event_callback = Param("", "The script function that gets the events, by their names, instead of event routes.")
    event_callback_mode = Param(0, "When htable:mod-init comes: always before the first message here.")

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._tables: dict[str, Table] | None = None
        self._storage: Storage | None = None
        self._stopped = False
        self.locks = Locks(again=True)

    @property
    def tables(self) -> dict[str, Table]:
        """The tables by name, as the parameters define them."""
        if self._tables is None:
            self._tables = {each.name: Table(each, self._now) for each in self.htable}
        return self._tables

    def _now(self) -> int:
        return int(self.node.wall())

    def table(self, name: str) -> Table | None:
        """A table; None, and a line in the log, if there is none of the name."""
        found = self.tables.get(name)
        if found is None:
            self.node.log.error("there is no hash table %r", name)
        return found

    # ---- life

    def start(self) -> None:
        """Check the parameters."""
        names = [each.name for each in self.htable]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ConfigError(f"parameter htable.htable: the table {min(twice)!r} is defined twice")
        if self.db_url:
            columns = (
                self.key_name_column,
                self.key_type_column,
                self.value_type_column,
                self.key_value_column,
                self.expires_column,
            )
            self._storage = Storage(
                self.db_url, columns, self.array_size_suffix, self.fetch_rows, ends=bool(self.db_expires)
            )

    async def open(self) -> None:
        """Load the tables, run `htable:mod-init`, and begin to sweep."""
        for table in self.tables.values():
            if self._storage is not None and table.definition.dbtable:
                try:
                    await self._storage.load(table, self._now())
                except DatabaseError as error:
                    await self._storage.close()
                    raise ConfigError(f"htable {table.name}: the database can't be used: {error}") from error
        self._event("htable:mod-init", None)
        if any(table.definition.autoexpire for table in self.tables.values()):
            self.node.call_later(self.timer_interval, self._sweep)

    async def stop(self) -> None:
        """Write the tables with `dbmode` to the database."""
        self._stopped = True
        if self._storage is None:
            return
        for table in self.tables.values():
            if table.definition.dbmode and table.definition.dbtable:
                try:
                    await self._storage.store(table)
                except DatabaseError as error:
                    log.error("htable %s could not be written to the database: %s", table.name, error)
        await self._storage.close()

    def storage_of(self, table: Table) -> Storage | None:
        """The database that a table belongs to, if any."""
        return self._storage if table.definition.dbtable else None

    def _sweep(self) -> None:
        if self._stopped:
            return
        self.node.call_later(self.timer_interval, self._sweep)
        for table in self.tables.values():
            for record in table.sweep():
                self._event(f"htable:expired:{table.name}", record)

    def _event(self, name: str, record: tuple[str, Scalar] | None) -> None:
        if not self.event_callback and self.node.routes.event(name) is None:
            return
        msg = event_message()
        msg.facets[RECORD_FACET] = record
        if self.event_callback:
            self.node.call_route(self.event_callback, name, msg)
        else:
            self.node.run_event(name, msg)
