"""SQLite by Kamailio's URLs. The work is the connectors'; here are the parameters of Kamailio's module."""

from __future__ import annotations

from kahea.connectors.options import SQLITE
from kahea.routing.module import Module, Param

_MODES = ("DELETE", "TRUNCATE", "PERSIST", "MEMORY", "WAL", "OFF")


def _mode(value: str) -> tuple[str, str]:
    path, _, mode = value.rstrip("; ").rpartition("=")
    if not path or mode.strip().upper() not in _MODES:
        raise ValueError(f"{value!r} is not PATH=MODE, with one of {', '.join(_MODES)}")
    return path.strip(), mode.strip().upper()


def _timeout(value: str) -> tuple[str, int]:
    path, _, milliseconds = value.rstrip("; ").rpartition("=")
    if not path or not milliseconds.strip().isdigit():
        raise ValueError(f"{value!r} is not PATH=MILLISECONDS")
    return path.strip(), int(milliseconds)


class DbSqlite(Module):
    """SQLite databases; they need no module to be loaded, which is for what this one can be told."""

    name = "db_sqlite"
    db_set_readonly: Param[list[str]] = Param([], "The path of a database that is never written to.", many=True)
    db_set_journal_mode: Param[list[tuple[str, str]]] = Param(
        [], "The journal mode of a database: `PATH=MODE`. Otherwise it is WAL.", many=True, check=_mode
    )
    db_set_busy_timeout: Param[list[tuple[str, int]]] = Param(
        [], "How long to wait for a database that others have locked: `PATH=MILLISECONDS`.", many=True, check=_timeout
    )

    def start(self) -> None:
        """Tell the connector, before anything connects."""
        SQLITE.readonly.update(self.db_set_readonly)
        SQLITE.journal_modes.update(self.db_set_journal_mode)
        SQLITE.busy_timeouts.update(self.db_set_busy_timeout)


MODULE = DbSqlite
