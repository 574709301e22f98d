"""The table of users' documents, in Kamailio's layout (5.6). Imported only where rules are asked for."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, String, Table, UniqueConstraint, select

from kahea.connectors.sql import Database
from kahea.connectors.versions import Versions

VERSION: Final = 4

#: The kind of document that rules are.
RULES: Final = 2


class Documents:
    """Users' documents of a database. Its coroutines raise DatabaseError."""

    def __init__(self, url: str, name: str, version_table: str) -> None:
        """Raises BadUrl."""
        self.database = Database(url)
        self._versions = Versions(version_table)
        self._table = _table(name)

    async def prepare(self) -> None:
        """Make the table where it is missing (SQLite), and check its version."""
        if self.database.dialect == "sqlite":
            made = [(self._table, VERSION)]
            await self.database.call(lambda connection: self._versions.create_missing(connection, made))
        await self._versions.check(self.database, self._table.name, VERSION)

    async def rules(self, user: str, domain: str) -> bytes | None:
        """A user's rules, None if there are none."""
        c = self._table.c
        query = select(c.doc).where(c.username == user, c.domain == domain, c.doc_type == RULES).order_by(c.id).limit(1)
        rows = await self.database.fetch(query)
        if not rows:
            return None
        document = rows[0].doc
        return document if isinstance(document, bytes) else str(document).encode("utf-8", "surrogateescape")

    async def close(self) -> None:
        """Let go of the connections."""
        await self.database.close()


def _table(name: str) -> Table:
    return Table(
        name,
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("username", String(64), nullable=False),
        Column("domain", String(64), nullable=False),
        Column("doc", LargeBinary, nullable=False),
        Column("doc_type", Integer, nullable=False),
        Column("etag", String(128), nullable=False),
        Column("source", Integer, nullable=False),
        Column("doc_uri", String(255), nullable=False),
        Column("port", Integer, nullable=False),
        UniqueConstraint("doc_uri", name=f"{name}_doc_uri_idx"),
        Index(f"{name}_account_doc_type_idx", "username", "domain", "doc_type"),
        Index(f"{name}_account_doc_type_uri_idx", "username", "domain", "doc_type", "doc_uri"),
        Index(f"{name}_account_doc_uri_idx", "username", "domain", "doc_uri"),
    )


__all__ = ["RULES", "VERSION", "Documents"]
