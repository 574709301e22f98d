"""The table of accounts with other servers, in the layout of Kamailio's uacreg. It is only read."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from kahea.connectors.errors import BadUrl
from kahea.modules.uac.account import COLUMNS, Account, read_account
from kahea.routing.module import ConfigError

if TYPE_CHECKING:
    from kahea.connectors.sql import Database

log = logging.getLogger("kahea.uac")

#: The version of the table `uacreg`.
VERSION: Final = 5
#: Rows that are read at a time.
_PAGE: Final = 1000


class Store:
    """Accounts by row; `contact_addr` is for those without one of their own. Made without I/O. Raises ConfigError."""

    def __init__(self, url: str, table: str, version_table: str, contact_addr: str) -> None:
        from kahea.connectors.sql import Database

        self._table = table
        self._version_table = version_table
        self._contact_addr = contact_addr
        self._checked = False
        try:
            self._database: Database = Database(url)
        except BadUrl as error:
            raise ConfigError(f"parameter uac.reg_db_url: {error}") from error

    async def close(self) -> None:
        """Release the connections."""
        await self._database.close()

    async def load(self) -> list[Account]:
        """All accounts; rows that are none are left out, and told of in the log. Raises DatabaseError."""
        await self._check()
        accounts: list[Account] = []
        async for page in self._database.pages(self._query(), _PAGE):
            accounts += self._accounts(page)
        return accounts

    async def fetch(self, uuid: str) -> Account | None:
        """The account of that `l_uuid`, None if there is none. Raises DatabaseError."""
        from sqlalchemy import column

        await self._check()
        rows = await self._database.fetch(self._query().where(column("l_uuid") == uuid).limit(1))
        return next(iter(self._accounts(rows)), None)

    def _query(self) -> Any:
        from sqlalchemy import column, select, table

        return select(*map(column, COLUMNS)).select_from(table(self._table)).order_by(column("id"))

    def _accounts(self, rows: Sequence[Any]) -> list[Account]:
        accounts = []
        for row in rows:
            values = dict(zip(COLUMNS, row, strict=True))
            try:
                accounts.append(read_account(values, self._contact_addr))
            except ValueError as error:
                log.error("%s: the row with l_uuid %r is left out: %s", self._table, values["l_uuid"], error)
        return accounts

    async def _check(self) -> None:
        if not self._checked:
            from kahea.connectors.versions import Versions

            await Versions(self._version_table).check(self._database, self._table, VERSION)
            self._checked = True


__all__ = ["Store"]
