"""The dialect that makes an engine of SQLAlchemy's of a `redis://` URL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL
from sqlalchemy.engine.default import DefaultDialect, DefaultExecutionContext
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import AsyncAdaptedQueuePool

from kahea.connectors.errors import Refused
from kahea.connectors.redis import Place
from kahea.connectors.redis_tables.driver import Driver, Link, OperationalError
from kahea.connectors.redis_tables.schema import SCHEMAS


class _Context(DefaultExecutionContext):
    def create_server_side_cursor(self) -> Any:
        return self._dbapi_connection.cursor(server_side=True)


class RedisDialect(DefaultDialect):
    """Tables in Redis."""

    name = "redis"
    driver = "kahea"
    is_async = True
    has_terminate = True
    supports_statement_cache = True
    supports_server_side_cursors = True
    postfetch_lastrowid = False
    default_paramstyle = "qmark"
    execution_ctx_cls = _Context
    poolclass = AsyncAdaptedQueuePool

    @classmethod
    def import_dbapi(cls) -> Any:
        """The driver."""
        return Driver

    def create_connect_args(self, url: URL) -> Any:
        """Where the server is. Kamailio sends a password without the user, so that is done here as well."""
        number = url.database or "0"
        if not number.isdecimal() or "," in (url.host or ""):
            raise ArgumentError("expected redis://[user:password@]host:port/number")
        place = Place(url.host or "127.0.0.1", url.port or 6379, database=int(number), password=url.password or "")
        return [place], {}

    def do_ping(self, dbapi_connection: Any) -> bool:
        """Whether Redis answers."""
        dbapi_connection.ping()
        return True

    def do_terminate(self, dbapi_connection: Any) -> None:
        """Close a connection in whatever state."""
        dbapi_connection.terminate()

    def is_disconnect(self, e: Any, connection: Any, cursor: Any) -> bool:
        """Whether an error means that the connection is gone."""
        return isinstance(e, OperationalError)

    def has_table(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> bool:
        """Whether there is a table's file: Redis itself knows no tables."""
        try:
            SCHEMAS.layout(table_name)
        except Refused:
            return False
        return True

    def get_driver_connection(self, connection: Any) -> Any:
        """The connection below."""
        assert isinstance(connection, Link)
        return connection.connection


__all__ = ["RedisDialect"]
