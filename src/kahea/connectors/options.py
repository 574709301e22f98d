"""What Kamailio's database modules are told, for the connectors: by the parameters of `db_sqlite`, `db_mysql` and kin.

They are the process's, as the drivers are.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, Final

log = logging.getLogger("kahea.sql")


@dataclass(slots=True)
class SqliteOptions:
    """By the path of the file, as it stands in the URL."""

    readonly: set[str] = field(default_factory=set)
    journal_modes: dict[str, str] = field(default_factory=dict)
    #: Milliseconds.
    busy_timeouts: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class MysqlOptions:
    """Whether scripts are told of an UPDATE how many rows it found, rather than changed."""

    found_rows: bool = False


@dataclass(slots=True)
class TextOptions:
    """Whether files that changed are read again (`mode` 1), what stands between fields, whether an empty text is one,
    and the most rows of a table."""

    mode: int = 0
    delimiter: str = ":"
    empty_text: bool = False
    most_rows: int = 100_000


@dataclass(slots=True)
class SlowStatements:
    """When a statement counts as slow (microseconds, 0 for never), and the level of `logging` to tell of it."""

    limit: int = 0
    level: int = logging.ERROR

    def look_at(self, statement: str, seconds: float) -> None:
        """Tell of a statement that took so long, if that is slow."""
        took = int(seconds * 1e6)
        if 0 < self.limit < took:
            log.log(self.level, "a statement took %d us: %.60s", took, " ".join(statement.split()))


SLOW: Final = SlowStatements()
SQLITE: Final = SqliteOptions()
MYSQL: Final = MysqlOptions()
TEXT: Final = TextOptions()
#: Keyword arguments of the drivers' `connect`, by SQLAlchemy's name of the database.
CONNECT: Final[dict[str, dict[str, Any]]] = {"mysql": {}, "postgresql": {}}
