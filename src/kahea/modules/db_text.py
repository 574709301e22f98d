"""Databases of text files, by the URL `text:///directory`. The work is the connectors'; here is what they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kahea.connectors.errors import BadUrl, DatabaseError
from kahea.connectors.options import TEXT
from kahea.routing.checks import between
from kahea.routing.module import ConfigError, Module, Param, RpcError, rpc
from kahea.routing.run import can_wait, wait

if TYPE_CHECKING:
    from kahea.connectors.raw import RawDatabase
    from kahea.routing.node import Node


def _delimiter(value: str) -> str:
    if len(value) != 1 or value in "\\\n":
        raise ValueError("one character, which is no backslash")
    return value


class DbText(Module):
    """Databases of text files, a directory each; what changes is written back when the server stops."""

    name = "db_text"
    db_mode = Param(0, "1 reads a file again that has changed; what was not written back is lost.", check=between(0, 1))
    db_delim = Param(":", "What stands between two fields.", check=_delimiter)
    default_connection = Param("", "The database of `db_text.query`: `text:///directory`.")
    emptystring = Param(0, "1 takes an empty text for one, and not for NULL.", check=between(0, 1))
    file_buffer_size = Param(16384, "How much is read at a time.", inert="files are read whole")
    max_result_rows = Param(100_000, "The most rows of a table; a longer file is none.", check=between(1, 1 << 31))

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._database: RawDatabase | None = None

    def start(self) -> None:
        """Tell the connector, before anything connects. Raises ConfigError."""
        TEXT.mode, TEXT.delimiter, TEXT.empty_text = self.db_mode, self.db_delim, bool(self.emptystring)
        TEXT.most_rows = self.max_result_rows
        if self.default_connection:
            from kahea.connectors.raw import RawDatabase

            try:
                self._database = RawDatabase(self.default_connection, pool_size=1, timeout=5.0, waiting=10)
            except BadUrl as error:
                raise ConfigError(f"parameter db_text.default_connection: {error}") from error

    async def stop(self) -> None:
        """Let go of the directory."""
        if self._database is not None:
            await self._database.close()

    def _wait(self, work: Any) -> Any:
        if not can_wait():
            work.close()
            raise RpcError(500, "the command must run where it may wait")
        try:
            return wait(work)
        except (DatabaseError, OSError) as error:
            raise RpcError(500, str(error)) from error

    @rpc("db_text.dump")
    def dump(self) -> str:
        """Write the tables that changed back to their files."""
        from kahea.connectors.text_files import dump_all

        self._wait(dump_all())
        return "Dump OK"

    @rpc("db_text.query")
    def query(self, statement: str) -> list[str]:
        """The rows of a statement in SQL, a text each, after the names of its columns; their number comes last."""
        if self._database is None:
            raise RpcError(500, "default_connection is not set")
        found = self._wait(self._database.query(statement))
        rows = [self.db_delim.join("" if cell is None else str(cell) for cell in row) for row in found.rows]
        return [self.db_delim.join(found.columns), *rows, f"total rows {len(rows)} / {len(rows)}"]


MODULE = DbText
