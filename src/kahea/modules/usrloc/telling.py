"""Changes of a table told to other modules, on their way to where they are kept."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from kahea.modules.usrloc.contact import Contact
    from kahea.modules.usrloc.domain import _Writer

log = logging.getLogger("kahea.usrloc")

#: Told the kind of a change (INSERT, UPDATE, DELETE), the table's name, and the contact as it is after it.
OnChange = Callable[[int, str, "Contact"], None]


class Telling:
    """Stands before a table's writer, if it has one."""

    def __init__(self, table: str, writer: _Writer | None, told: list[OnChange]) -> None:
        self._table = table
        self._writer = writer
        self._told = told

    def write(self, kind: int, contact: Contact) -> asyncio.Future[None] | None:
        """Tell of a change, and have it kept."""
        for tell in self._told:
            try:
                tell(kind, self._table, contact)
            except Exception:
                log.exception("a watcher of locations failed")
        return self._writer.write(kind, contact) if self._writer is not None else None
