"""The WebSocket that applications connect to: JSON-RPC 2.0 both ways (RFC 6455)."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aiohttp import WSMsgType, web

from kahea.modules.event_stream.stream import Client, Stream

if TYPE_CHECKING:
    from collections.abc import Awaitable

log = logging.getLogger("kahea.event_stream")

#: Seconds between pings; a peer that answers none is gone.
HEARTBEAT: Final = 20.0
#: Bytes of one message from a client.
MAX_MESSAGE: Final = 65535
#: Seconds for a client to take the close.
CLOSE_TIMEOUT: Final = 2.0

#: Carries out one document of a client; what is to be answered, b"" for nothing.
Handle = Callable[[Client, bytes], "Awaitable[bytes]"]


@dataclass(frozen=True, slots=True)
class Door:
    """Who may come in: how many, with which token ("": without one), from pages of which origins."""

    path: str
    most: int
    queue: int
    token: str = ""
    origins: frozenset[str] = field(default_factory=frozenset)


class EventServer:
    """Serves a stream. A browser names the page's origin, so that no page that a user looks at can use this unasked."""

    def __init__(self, stream: Stream, door: Door, handle: Handle) -> None:
        self._stream = stream
        self._door = door
        self._handle = handle
        self._runner: web.AppRunner | None = None
        self._sockets: set[web.WebSocketResponse] = set()

    async def open(self, host: str, port: int) -> None:
        """Listen. Raises OSError."""
        app = web.Application()
        app.router.add_get(self._door.path, self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_TIMEOUT)
        await self._runner.setup()
        await web.TCPSite(self._runner, host or None, port).start()

    async def close(self) -> None:
        """Close every connection, and stop."""
        for socket in list(self._sockets):
            with contextlib.suppress(Exception):
                await socket.close(code=1001, message=b"the node stops")
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _refusal(self, request: web.Request) -> web.Response | None:
        origin = request.headers.get("Origin")
        if origin is not None and origin not in self._door.origins:
            return web.Response(status=403, text="this origin is not allowed\n")
        if self._door.token:
            given = request.headers.get("Authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {self._door.token}".encode()):
                return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"}, text="a token is needed\n")
        if len(self._stream.clients) >= self._door.most:
            return web.Response(status=503, text="too many clients\n")
        return None

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if (refused := self._refusal(request)) is not None:
            return refused
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT, max_msg_size=MAX_MESSAGE, timeout=CLOSE_TIMEOUT)
        if not socket.can_prepare(request).ok:
            return web.Response(status=426, headers={"Upgrade": "websocket"}, text="this is a WebSocket\n")
        client = Client(request.remote or "", self._door.queue)
        # Counted before anything waits, or many at once would pass the limit.
        self._stream.add(client)
        self._sockets.add(socket)
        sender: asyncio.Task[None] | None = None
        try:
            await socket.prepare(request)
            sender = asyncio.ensure_future(_send(socket, client))
            async for message in socket:
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    break
                if not await self._take(client, message.data):
                    break
        finally:
            self._stream.remove(client)
            self._sockets.discard(socket)
            if sender is not None:
                sender.cancel()
        return socket

    async def _take(self, client: Client, data: Any) -> bool:
        """One document after another; False for a client that does not read its answers."""
        answer = await self._handle(client, data.encode("utf-8", "replace") if isinstance(data, str) else data)
        if answer and not client.put(answer):
            log.info("%s does not read its answers, and is let go", client.peer)
            return False
        return True


async def _send(socket: web.WebSocketResponse, client: Client) -> None:
    with contextlib.suppress(ConnectionError, RuntimeError):
        while True:
            await socket.send_str((await client.next()).decode())
