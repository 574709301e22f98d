"""Who has subscribed to what, and what waits to be sent to each; no socket is seen here."""

from __future__ import annotations

import asyncio
import fnmatch
import re
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

#: Patterns in one subscription, and characters in each.
MAX_PATTERNS: Final = 32
MAX_PATTERN: Final = 64
_PATTERN: Final = re.compile(r"[a-z0-9_.*-]+")


class Client:
    """One application. What it is told waits in a queue of `most` messages, each sent in turn by the transport; events
    that find it full are lost, and counted in the next one that does not."""

    def __init__(self, peer: str, most: int) -> None:
        self.peer = peer
        self.sent = 0
        self.lost = 0
        self.lost_now = 0
        self.patterns: tuple[str, ...] = ()
        self._most = most
        self._queue: deque[bytes] = deque()
        self._filled = asyncio.Event()
        self._wanted: re.Pattern[str] | None = None

    def subscribe(self, patterns: list[str]) -> None:
        """Want the events whose names match one of these: `call.*`. They take the place of those before. Raises
        ValueError."""
        if len(patterns) > MAX_PATTERNS:
            raise ValueError(f"more than {MAX_PATTERNS} patterns")
        for pattern in patterns:
            if len(pattern) > MAX_PATTERN or _PATTERN.fullmatch(pattern) is None:
                raise ValueError(f"{pattern[:MAX_PATTERN]!r} is no name of an event, which may end with *")
            if "*" in pattern[:-1]:
                raise ValueError(f"{pattern!r} has * within it")
        self.patterns = tuple(patterns)
        self._wanted = re.compile("|".join(fnmatch.translate(p) for p in patterns)) if patterns else None

    def wants(self, name: str) -> bool:
        """Whether it subscribed to an event."""
        return self._wanted is not None and self._wanted.match(name) is not None

    def put(self, message: bytes) -> bool:
        """Have a message sent; False if the queue is full."""
        if len(self._queue) >= self._most:
            return False
        self._queue.append(message)
        self._filled.set()
        return True

    async def next(self) -> bytes:
        """The next message to send, when there is one."""
        while not self._queue:
            self._filled.clear()
            await self._filled.wait()
        self.sent += 1
        return self._queue.popleft()


class Stream:
    """All clients. `wall` gives the time of an event, in seconds since 1970."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self.clients: dict[Client, None] = {}
        self.published = 0
        self._wall = wall
        self._wants: dict[str, bool] = {}

    def add(self, client: Client) -> None:
        """An application has come."""
        self.clients[client] = None

    def remove(self, client: Client) -> None:
        """It is gone."""
        self.clients.pop(client, None)
        self._wants.clear()

    def subscribe(self, client: Client, patterns: list[str]) -> None:
        """See `Client.subscribe`."""
        client.subscribe(patterns)
        self._wants.clear()

    def wants(self, name: str) -> bool:
        """Whether anybody subscribed to an event, whose name is one of a few: asked before it is made."""
        known = self._wants.get(name)
        if known is None:
            known = self._wants[name] = any(client.wants(name) for client in self.clients)
        return known

    def publish(self, name: str, what: dict[str, Any]) -> int:
        """Tell those who subscribed; how many."""
        told = 0
        self.published += 1
        event = {"event": name, "number": self.published, "time": round(self._wall(), 3), **what}
        plain: bytes | None = None
        for client in self.clients:
            if not client.wants(name):
                continue
            if client.lost_now:
                message = _notification({**event, "lost": client.lost_now})
            else:
                message = plain = plain or _notification(event)
            if client.put(message):
                client.lost_now = 0
                told += 1
            else:
                client.lost += 1
                client.lost_now += 1
        return told


def _notification(event: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "method": "event", "params": event})
