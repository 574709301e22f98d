"""Events of calls and registrations for applications, over a WebSocket, and what they may do (no module of Kamailio's).

| file | what |
|---|---|
| `stream.py` | who has subscribed to what, and what waits for each |
| `calls.py`, `registrations.py` | the events of calls and of registrations |
| `server.py` | the WebSocket |
| here | parameters, what clients may ask for, the functions of scripts |
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kahea.modules.event_stream.calls import Calls, describe, transaction_id
from kahea.modules.event_stream.registrations import Registrations
from kahea.modules.event_stream.stream import Client, Stream
from kahea.net.service import ServiceAddress, parse_service
from kahea.routing.checks import between
from kahea.routing.module import ConfigError, Module, Param, RpcError, function, native, rpc
from kahea.routing.rpc import jsonrpc
from kahea.routing.rpc.serving import carry_out
from kahea.routing.run import REQUEST_ROUTE, Run, can_wait, wait
from kahea.sip.errors import ParseError

if TYPE_CHECKING:
    from kahea.modules.event_stream.server import EventServer
    from kahea.routing.node import Node

WAITING: Final = "call.waiting"
#: Names of events that scripts publish.
_NAME: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+){0,4}")
_INVALID_PARAMS: Final = -32602
_METHOD_NOT_FOUND: Final = -32601
_COUNT: Final = between(1, 1_000_000)


def _address(value: str) -> str:
    if value:
        address = parse_service(f"tcp:{value.removeprefix('tcp:')}")
        if address.kind != "tcp":
            raise ValueError("must be [host:]port")
    return value


def _path(value: str) -> str:
    if re.fullmatch(r"/[A-Za-z0-9/_.~-]*", value) is None:
        raise ValueError("must begin with / and have letters, digits and / _ . ~ - only")
    return value


class EventStream(Module):
    """Events of calls and registrations for applications, over a WebSocket, and what they may do."""

    name = "event_stream"
    needs = ("tm", "http_router")

    listen = Param("", "Where to listen: [host:]port. Without it there is no stream.", check=_address)
    path = Param("/events", "The path of the WebSocket.", check=_path)
    token = Param("", "What clients send as `Authorization: Bearer`. Only loopback addresses may do without.")
    origins = Param("", "Origins, separated by commas, whose pages may connect from a browser.")
    commands = Param("tm.,ul.,uac.,stats.", "RPC commands that clients may use: names, or beginnings with their dot.")
    max_clients = Param(100, "Connections at a time.", check=_COUNT)
    max_queue = Param(1000, "Messages that may wait for one client; further events are lost to it.", check=_COUNT)
    max_waiting = Param(1000, "Calls that may wait for an application at a time.", check=_COUNT)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.stream = Stream(node.wall)
        self._server: EventServer | None = None
        self._waiting: dict[str, asyncio.Future[bytes]] = {}
        self._allowed: tuple[str, ...] = ()

    def start(self) -> None:
        """Check the parameters, and watch calls and registrations."""
        self._allowed = tuple(name.strip() for name in self.commands.split(",") if name.strip())
        if not self.listen:
            return
        if not self.token and not _is_loopback(self._where().host):
            raise ConfigError("parameter event_stream.listen: without a token, only on a loopback address")
        self.node.layer.on_created.append(Calls(self.stream).created)
        usrloc: Any = self.node.module("usrloc")
        if usrloc is not None:
            usrloc.watch(Registrations(self.stream, self.node.wall).changed)

    def _where(self) -> ServiceAddress:
        return parse_service(f"tcp:{self.listen.removeprefix('tcp:')}")

    async def open(self) -> None:
        """Listen."""
        if not self.listen:
            return
        from kahea.modules.event_stream.server import Door, EventServer

        origins = frozenset(name.strip() for name in self.origins.split(",") if name.strip())
        door = Door(self.path, self.max_clients, self.max_queue, self.token, origins)
        where = self._where()
        server = EventServer(self.stream, door, self.handle)
        try:
            await server.open(where.host, where.port)
        except OSError as error:
            raise ConfigError(f"parameter event_stream.listen: {where}: {error.strerror or error}") from error
        self._server = server

    async def stop(self) -> None:
        """Let go of the clients, and of the calls that wait for them."""
        for waiting in self._waiting.values():
            waiting.cancel()
        if self._server is not None:
            await self._server.close()

    # ---- what clients ask for

    async def handle(self, client: Client, document: bytes) -> bytes:
        """Carry out one document of a client; the answer, or b"" for none."""
        try:
            request = jsonrpc.parse(document)
        except jsonrpc.RequestError as error:
            return jsonrpc.failure(error.id, error.code, str(error))
        answer = await self._answer(client, request)
        return answer if request.id is not jsonrpc.NO_ID else b""

    async def _answer(self, client: Client, request: jsonrpc.Request) -> bytes:
        try:
            if request.method == "subscribe":
                return jsonrpc.answer(request.id, self._subscribe(client, request.params))
            if request.method == "route":
                return jsonrpc.answer(request.id, self._route(request.params))
        except RpcError as error:
            return jsonrpc.failure(request.id, error.code, str(error))
        if not request.method.startswith(self._allowed):
            return jsonrpc.failure(request.id, _METHOD_NOT_FOUND, "Method not found, or not allowed here")
        done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def reply(data: bytes, status: int, reason: str) -> None:
            if not done.done():
                done.set_result(data)

        carry_out(self.node, request, reply, pretty=False)
        return await done

    def _subscribe(self, client: Client, params: list[object]) -> dict[str, Any]:
        """`subscribe(pattern...)`: the events of these names, in place of those before."""
        patterns = params[0] if len(params) == 1 and isinstance(params[0], list) else params
        assert isinstance(patterns, list)
        names = [p for p in patterns if isinstance(p, str)]
        if len(names) != len(patterns):
            raise RpcError(_INVALID_PARAMS, "subscribe takes names of events")
        try:
            self.stream.subscribe(client, names)
        except ValueError as error:
            raise RpcError(_INVALID_PARAMS, f"subscribe: {error}") from error
        return {"events": names}

    def _route(self, params: list[object]) -> dict[str, Any]:
        """`route(transaction, answer)`: where a call goes that waits for an application to say so."""
        if len(params) != 2 or not isinstance(params[0], str) or not isinstance(params[1], dict):
            raise RpcError(_INVALID_PARAMS, "route takes a transaction and an answer")
        waiting = self._waiting.get(params[0])
        if waiting is None or waiting.done():
            raise RpcError(404, "no call waits under this name")
        document = msgspec.json.encode(params[1])
        try:
            self._router().check_answer(document)
        except ValueError as error:
            raise RpcError(_INVALID_PARAMS, f"route: {error}") from error
        waiting.set_result(document)
        return {}

    def _router(self) -> Any:
        return self.node.module("http_router")

    # ---- what scripts ask for

    @function
    @native("str", "str", name="event_stream_publish")
    def publish(self, run: Run, name: str, data: str) -> int:
        """Tell subscribers of an event of the script's own; `data` is JSON, or text that is sent as a string.

        How many were told; -1 for what is no name.
        """
        if len(name) > 64 or _NAME.fullmatch(name) is None:
            self.node.log.error("event_stream.publish: %r is no name of an event", name)
            return -1
        if not self.stream.wants(name):
            return 0
        value: object
        try:
            value = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            value = data.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return self.stream.publish(name, {"data": value})

    @function
    @native("int", name="event_stream_ask", routes=REQUEST_ROUTE)
    def ask(self, run: Run, timeout: int) -> int:
        """Let an application say where this request goes: it is told by `call.waiting`, and answers by `route`.

        1: its routes are set, to be relayed; -1: it refused, and the reply has been sent; -2: nobody answered in
        `timeout` milliseconds, nobody listens, or too many calls wait already.
        """
        tm: Any = self.node.module("tm")
        if run.transaction is None and tm.t_newtran(run) <= 0:
            return -2
        t = run.transaction
        assert t is not None
        name = transaction_id(t)
        if not can_wait() or not self.stream.wants(WAITING) or name in self._waiting:
            return -2
        if len(self._waiting) >= self.max_waiting:
            self.node.log.warning("event_stream.ask: %d calls wait for an application already", len(self._waiting))
            return -2
        try:
            call = {"transaction": name, **describe(run.msg)}
        except ParseError as error:
            self.node.log.error("event_stream.ask: %s", error)
            return -2
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[name] = answered
        try:
            if not self.stream.publish(WAITING, {"call": call, "timeout": timeout}):
                return -2
            document = wait(asyncio.wait_for(answered, max(timeout, 0) / 1000))
        except (TimeoutError, asyncio.CancelledError):
            return -2
        finally:
            del self._waiting[name]
        followed: int = self._router().follow(run, document)
        return followed

    @rpc("event_stream.clients")
    def clients(self) -> list[dict[str, Any]]:
        """The applications that are connected."""
        return [
            {"peer": c.peer, "events": " ".join(c.patterns), "sent": c.sent, "lost": c.lost}
            for c in self.stream.clients
        ]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


MODULE = EventStream
