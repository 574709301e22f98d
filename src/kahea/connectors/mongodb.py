"""MongoDB for modules: commands and cursors by pymongo's asynchronous client, bounded in time and number.

Everything here is awaited. What goes wrong is `Unavailable` where a later try may succeed, `Refused` where the server
answered and said no. pymongo takes 0.15 s to import, so modules import this file once they have a server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from bson import CodecOptions
from bson.codec_options import DatetimeConversion
from bson.errors import BSONError
from pymongo import AsyncMongoClient
from pymongo.errors import (
    AutoReconnect,
    ConfigurationError,
    InvalidURI,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)
from pymongo.monitoring import ConnectionPoolListener
from pymongo.uri_parser import parse_uri

from kahea.connectors.errors import BadUrl, Refused, Unavailable
from kahea.connectors.pools import POOLS

log = logging.getLogger("kahea.mongodb")

T = TypeVar("T")

#: A document as pymongo has it.
Document = Mapping[str, Any]

#: Times of any year, and texts that are no UTF-8: what others have written must not stop us from reading.
_CODEC: Final[CodecOptions[dict[str, Any]]] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_MS, unicode_decode_error_handler="surrogateescape"
)
_AWAY: Final = (AutoReconnect, NetworkTimeout, ServerSelectionTimeoutError, WaitQueueTimeoutError, OSError)


class _Open(ConnectionPoolListener):
    """Counts the connections that are open."""

    def __init__(self) -> None:
        self.count = 0

    def connection_created(self, event: Any) -> None:  # noqa: ARG002
        self.count += 1

    def connection_closed(self, event: Any) -> None:  # noqa: ARG002
        self.count -= 1

    def _ignore(self, event: Any) -> None:
        """Of no interest."""

    pool_created = pool_ready = pool_cleared = pool_closed = _ignore
    connection_ready = connection_check_out_started = connection_check_out_failed = _ignore
    connection_checked_out = connection_checked_in = _ignore


class MongoPool:
    """A server, or what a connection string names. Made in a running event loop, without connecting.

    `size` is the most connections, `waiting` the most calls under way; times are in seconds: how long a server is
    looked for, and how long a call may take in all. What the connection string says of them (`maxPoolSize`,
    `serverSelectionTimeoutMS`, `connectTimeoutMS`) counts more.
    """

    def __init__(self, uri: str, *, size: int, connect_timeout: float, timeout: float, waiting: int) -> None:
        """Raises BadUrl."""
        check_uri(uri)
        self._timeout = timeout
        self._most = waiting
        self._under_way = self._calls = self._failures = 0
        self._up: bool | None = None
        self._error = ""
        self._open = _Open()
        milliseconds = int(connect_timeout * 1000)
        options: dict[str, Any] = {
            "maxPoolSize": size, "serverSelectionTimeoutMS": milliseconds, "connectTimeoutMS": milliseconds,
        }  # fmt: skip
        try:
            given = parse_uri(uri, validate=True)["options"]
            self._client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
                uri,
                event_listeners=[self._open],
                appname="kahea",
                **{name: value for name, value in options.items() if name not in given},
            )
        except (PyMongoError, ValueError) as error:
            raise BadUrl(f"{_plain(uri)}: {error}") from error
        self.size = self._client.options.pool_options.max_pool_size or size
        self._url = _plain(uri)
        POOLS.add(self)

    def describe(self) -> dict[str, Any]:
        """See `pools.Pool`."""
        busy = min(self._under_way, self._open.count)
        return {
            "url": self._url,
            "state": "unused" if self._up is None else "up" if self._up else "down",
            "size": self.size,
            "open": self._open.count,
            "busy": busy,
            "waiting": self._under_way - busy,
            "calls": self._calls,
            "failures": self._failures,
            "error": self._error,
        }

    async def command(self, database: str, command: Document) -> Document:
        """The answer to a command. Raises Unavailable and Refused."""

        async def work() -> Document:
            return await self._client[database].command(dict(command), codec_options=_CODEC)

        return await self._bounded(work())

    async def find(self, database: str, collection: str, wanted: Document, limit: int) -> Cursor:
        """The documents of a collection that a filter lets through, at most so many, 0 for all. Raises Unavailable and
        Refused."""
        command = {"find": collection, "filter": wanted, "limit": limit}

        async def work() -> AsyncIterator[Document]:
            return await self._client[database].cursor_command(command, codec_options=_CODEC)

        return Cursor(self, await self._bounded(work()))

    async def close(self) -> None:
        """Release the connections."""
        POOLS.discard(self)
        await self._client.close()

    async def _bounded(self, work: Coroutine[Any, Any, T]) -> T:
        if self._under_way >= self._most:
            self._failures += 1
            work.close()
            raise Unavailable(f"{self._url}: {self._most} calls are under way already")
        self._under_way += 1
        self._calls += 1
        try:
            async with asyncio.timeout(self._timeout):
                found = await work
        except TimeoutError:
            self._failures += 1
            self._error = f"{self._url}: no answer in {self._timeout:g} s"
            raise Unavailable(self._error) from None
        except _AWAY as error:
            raise self._down(error) from error
        except (PyMongoError, BSONError, ValueError, TypeError, OverflowError, RecursionError) as error:
            self._failures += 1
            details = error.details if isinstance(error, OperationFailure) else None
            raise Refused(str((details or {}).get("errmsg") or error)) from error
        finally:
            self._under_way -= 1
        if self._up is False:
            log.warning("%s is back", self._url)
        self._up = True
        return found

    def _down(self, error: BaseException) -> Unavailable:
        self._failures += 1
        self._error = f"{self._url}: {str(error)[:300]}"
        if self._up is not False:
            self._up = False
            log.error("mongodb down: %s", self._error)
        return Unavailable(self._error)


class Cursor:
    """Documents one after the other. One that is forgotten is ended at the server, too."""

    def __init__(self, pool: MongoPool, documents: AsyncIterator[Document]) -> None:
        self._pool = pool
        self._documents = documents

    async def next(self) -> Document | None:
        """The next document; None after the last. Raises Unavailable and Refused."""

        async def work() -> Document | None:
            return await anext(self._documents, None)

        return await self._pool._bounded(work())


def check_uri(uri: str) -> None:
    """Raises BadUrl for what is no connection string that can be used without waiting."""
    if uri.startswith("mongodb+srv:"):
        raise BadUrl("mongodb+srv asks DNS while the server starts: name the servers with mongodb://")
    try:
        parse_uri(uri, validate=True)
    except (InvalidURI, ConfigurationError, ValueError) as error:
        raise BadUrl(f"not a connection string of MongoDB: {error}") from error


def _plain(uri: str) -> str:
    """The connection string for logs, without its password."""
    parts = urlsplit(uri)
    return f"mongodb://{parts.netloc.rpartition('@')[2]}{parts.path}"


__all__ = ["Cursor", "Document", "MongoPool", "check_uri"]
