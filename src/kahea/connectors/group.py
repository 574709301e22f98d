"""Group commit: what many runs hand in while one commit is under way goes out together in the next.

A commit costs the same for one row as for a hundred (an fsync and a few hundred microseconds of SQLAlchemy),
so this is what keeps a write per request affordable.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from kahea.connectors.errors import DatabaseError, Refused, Unavailable

log = logging.getLogger("kahea.sql")

T = TypeVar("T")


class GroupWriter(Generic[T]):
    """Writes operations in order, those that wait together in one commit.

    `commit` writes all it is given or raises DatabaseError. `limit` bounds the operations that wait, `batch`
    those of one commit.
    """

    def __init__(
        self, commit: Callable[[Sequence[T]], Awaitable[object]], *, limit: int = 100_000, batch: int = 2_000
    ) -> None:
        self._commit = commit
        self._limit = limit
        self._batch = batch
        self._waiting: list[tuple[T, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None
        self.commits = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, operation: T) -> asyncio.Future[None]:
        """Hand in an operation; the future is done when it is committed, or has its DatabaseError."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if len(self._waiting) >= self._limit:
            future.set_exception(Unavailable(f"{self._limit} writes are waiting already"))
            return future
        self._waiting.append((operation, future))
        if self._task is None:
            self._task = asyncio.ensure_future(self._drain())
        return future

    async def flush(self) -> None:
        """Wait until all that was handed in is written or has failed."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _drain(self) -> None:
        batch: list[tuple[T, asyncio.Future[None]]] = []
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._batch], self._waiting[self._batch :]
                await self._write(batch)
        except asyncio.CancelledError:
            _settle(batch + self._waiting, Unavailable("the server stops"))
            self._waiting = []
            raise
        finally:
            self._task = None

    async def _write(self, batch: list[tuple[T, asyncio.Future[None]]]) -> None:
        self.commits += 1
        error: DatabaseError | None = None
        try:
            await self._commit([operation for operation, _ in batch])
        except Refused as refused:
            # One of them is at fault: the others must not suffer for it.
            if len(batch) > 1:
                half = len(batch) // 2
                await self._write(batch[:half])
                await self._write(batch[half:])
                return
            error = refused
        except DatabaseError as failed:
            error = failed
        except Exception as unexpected:
            log.exception("a commit failed unexpectedly")
            error = Unavailable(f"{type(unexpected).__name__}: {unexpected}")
        _settle(batch, error)


def _settle(batch: list[tuple[T, asyncio.Future[None]]], error: DatabaseError | None) -> None:
    for _, future in batch:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
            future.exception()  # seen: nobody need await it


__all__ = ["GroupWriter"]
