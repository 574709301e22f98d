"""What Kamailio's database modules are told, for the connectors: by the parameters of `db_sqlite`, `db_mysql` and kin.

They are the process's, as the drivers are.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, Final


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
class SlowStatements:
    """When a statement counts as slow (microseconds, 0 for never), and the level of `logging` to tell of it."""

    limit: int = 0
    level: int = logging.ERROR


SLOW: Final = SlowStatements()
SQLITE: Final = SqliteOptions()
MYSQL: Final = MysqlOptions()
#: Keyword arguments of the drivers' `connect`, by SQLAlchemy's name of the database.
CONNECT: Final[dict[str, dict[str, Any]]] = {"mysql": {}, "postgresql": {}}
