"""Events for applications, and what they answer, over TCP (Kamailio's module evapi).

| file | what |
|---|---|
| `clients.py` | one connection: netstrings, what is kept for it |
| here | the functions, `$evapi(...)`, the event routes |

What is said goes to the applications that are connected then; nothing is kept for those to come. A transaction that
waits for an answer which nobody gives ends by its own timer (`tm.fr_timer`): the caller is told 408.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from kahea.modules.evapi.clients import Client
from kahea.net.service import Access, ServiceAddress, Stream, StreamServer, parse_service
from kahea.net.sockets import BindError
from kahea.routing.checks import between
from kahea.routing.generation import event_message
from kahea.routing.module import ConfigError, Module, Param, Value, function, native, variable, variable_setter
from kahea.routing.pv.errors import PvError
from kahea.routing.run import EVENT_ROUTE, REQUEST_ROUTE, Run
from kahea.routing.text import text, wire

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.pv import Format

log = logging.getLogger("kahea.evapi")

NEW, CLOSED, MESSAGE = "evapi:connection-new", "evapi:connection-closed", "evapi:message-received"

#: Characters of a tag.
MAX_TAG: Final = 63
#: Applications at once, whatever the parameter says.
MOST_CLIENTS: Final = 10_000

_STATE: Final = "evapi.event"
_ONE_LOOP: Final = "one event loop serves all applications"


class Event(NamedTuple):
    """What an event route is about."""

    client: Client
    message: str | None


def _address(value: str) -> str:
    _service(value)
    return value


def _service(value: str) -> ServiceAddress:
    """Read `host:port`. Raises ValueError."""
    return parse_service(f"tcp:{value}")


class Evapi(Module):
    """Events for applications over TCP, and what they answer."""

    name = "evapi"
    events: ClassVar[Mapping[str, str]] = {
        NEW: "When an application has connected: `$evapi(srcaddr)`, `$evapi(srcport)`, `$evapi(conidx)`.",
        CLOSED: "When an application ended its connection, or was cut off.",
        MESSAGE: "With each message of an application: `$evapi(msg)`.",
    }
    needs = ("tmx",)

    bind_addr = Param("127.0.0.1:8448", "Where applications connect to: `host:port`.", check=_address)
    netstring_format = Param(1, "1 frames messages as netstrings, 0 sends and takes them as they are.")
    max_clients = Param(8, "How many applications may be connected at once.", check=between(1, MOST_CLIENTS))
    event_callback = Param("", "The script's function for events, in place of the event routes.")
    workers = Param(1, "Processes that work on messages.", inert=_ONE_LOOP)
    wait_idle = Param(500, "How long a process waits for work.", inert=_ONE_LOOP)
    wait_increase = Param(3, "How waiting for work grows.", inert=_ONE_LOOP)
    context_mlimit = Param(0, "The memory after which a process starts afresh.", inert=_ONE_LOOP)
    send_task_timeout = Param(0, "How long a task waits for the process that sends.", inert=_ONE_LOOP)
    send_data_timeout = Param(0, "How long sending may take.", inert="an application that does not read is cut off")

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.clients: dict[int, Client] = {}
        self._server: StreamServer | None = None

    # ---- life

    async def open(self) -> None:
        """Listen, where the configuration names the module."""
        if self.node.simulated or not self.node.asked_for(self.name):
            return
        server = StreamServer(_service(self.bind_addr), Access(), self._connected, limit=self.max_clients, idle=0)
        try:
            await server.open()
        except BindError as error:
            raise ConfigError(f"parameter evapi.bind_addr: {error}") from error
        self._server = server

    async def stop(self) -> None:
        """Close all connections; no script is told."""
        for client in list(self.clients.values()):
            client.closed = True
        if self._server is not None:
            self._server.close()

    def _connected(self, stream: Stream) -> Client:
        index = next(n for n in range(MOST_CLIENTS + 1) if n not in self.clients)
        client = Client(
            stream, index, bool(self.netstring_format), self.node.pool.run, self._received, self._disconnected
        )
        self.clients[index] = client
        self.node.pool.run(self._tell, NEW, client)
        return client

    def _disconnected(self, client: Client) -> None:
        self._forget(client)
        self.node.pool.run(self._tell, CLOSED, client)

    def _forget(self, client: Client) -> None:
        if self.clients.get(client.index) is client:
            del self.clients[client.index]

    def _received(self, client: Client, message: bytes) -> None:
        self._tell(MESSAGE, client, text(message))

    def _tell(self, event: str, client: Client, message: str | None = None) -> None:
        """Run the route of an event; in a worker."""
        routes = self.node.routes
        route = routes.find(self.event_callback) if self.event_callback else routes.event(event)
        if route is None:
            if self.event_callback:
                log.error("the script has no %s for %s", self.event_callback, event)
            return
        run = Run(self.node, event_message(), EVENT_ROUTE, event)
        run.generation = routes
        run.state[_STATE] = Event(client, message)
        self.node.execute(run, route)

    # ---- saying something

    def _send(self, data: str, clients: Iterable[Client]) -> int:
        if not data:
            self.node.log.error("evapi: there is nothing to send")
            return -1
        message = wire(data)
        for client in list(clients):
            client.send(message)
        return 1

    def _tagged(self, tag: str, *, first: bool) -> list[Client]:
        found = [client for _, client in sorted(self.clients.items()) if tag and client.tag == tag]
        return found[:1] if first else found

    @native("str", name="evapi_relay")
    @function
    def relay(self, run: Run, data: str) -> int:
        """Send a message to every application; 1 also if there is none."""
        return self._send(data, self.clients.values())

    @native("str", "str", name="evapi_multicast")
    @function
    def relay_multicast(self, run: Run, data: str, tag: str) -> int:
        """Send a message to the applications with a tag; 1 also if there is none."""
        return self._send(data, self._tagged(tag, first=False))

    @native("str", "str", name="evapi_unicast")
    @function
    def relay_unicast(self, run: Run, data: str, tag: str) -> int:
        """Send a message to the first application with a tag; 1 also if there is none."""
        return self._send(data, self._tagged(tag, first=True))

    # ---- and waiting for the answer

    def _suspended(self, run: Run, data: str | Format, clients: Iterable[Client]) -> int:
        """Suspend the transaction, then send: only then `$T(id_index)` and `$T(id_label)` in the data have values."""
        tmx = self.node.module("tmx")
        if tmx.t_suspend(run) < 0:
            self.node.log.error("evapi: the transaction can't be suspended")
            return -1
        result = self._send(data if isinstance(data, str) else data.render(run), clients)
        if result < 0 and run.transaction is not None:
            tmx.take_up(run.transaction)
        return result

    @native("format", name="evapi_async_relay", routes=REQUEST_ROUTE)
    def async_relay_native(self, run: Run, data: Format) -> int:
        """As async_relay(); the message is made when the transaction is suspended."""
        return self._suspended(run, data, self.clients.values())

    @function
    def async_relay(self, run: Run, data: str) -> int:
        """Suspend the transaction, and send a message to every application; `t_continue` goes on with it."""
        return self._suspended(run, data, self.clients.values())

    @native("format", "str", name="evapi_async_multicast", routes=REQUEST_ROUTE)
    def async_multicast_native(self, run: Run, data: Format, tag: str) -> int:
        """As async_multicast(); the message is made when the transaction is suspended."""
        return self._suspended(run, data, self._tagged(tag, first=False))

    @function
    def async_multicast(self, run: Run, data: str, tag: str) -> int:
        """As async_relay(), to the applications with a tag."""
        return self._suspended(run, data, self._tagged(tag, first=False))

    @native("format", "str", name="evapi_async_unicast", routes=REQUEST_ROUTE)
    def async_unicast_native(self, run: Run, data: Format, tag: str) -> int:
        """As async_unicast(); the message is made when the transaction is suspended."""
        return self._suspended(run, data, self._tagged(tag, first=True))

    @function
    def async_unicast(self, run: Run, data: str, tag: str) -> int:
        """As async_relay(), to the first application with a tag."""
        return self._suspended(run, data, self._tagged(tag, first=True))

    # ---- the application of an event

    @native("str", name="evapi_close", least=0)
    def close_native(self, run: Run, event: str = "") -> int:
        """As close(); the word that Kamailio takes besides says nothing more."""
        del event
        return self.close(run)

    @function
    def close(self, run: Run) -> int:
        """Close the connection that the event is about; -1 outside of events."""
        event = _event(run)
        if event is None:
            return -1
        event.client.close(self.node.call_later)
        self._forget(event.client)
        return 1

    @native("str", name="evapi_set_tag")
    @function
    def set_tag(self, run: Run, tag: str) -> int:
        """Give the application that the event is about a tag of 1 to 63 characters; -1 outside of events."""
        event = _event(run)
        if event is None:
            return -1
        if not 1 <= len(tag) <= MAX_TAG:
            self.node.log.error("evapi_set_tag: a tag has 1 to %d characters", MAX_TAG)
            return -1
        event.client.tag = tag
        return 1

    @variable("evapi", takes_name=True)
    def of_event(self, run: Run, name: str, index: object) -> Value:
        """What the event is about: `msg`, `srcaddr`, `srcport`, `conidx`; null outside of events."""
        if name not in ("msg", "srcaddr", "srcport", "conidx"):
            raise PvError(f"$evapi has no {name!r}; there are: msg, srcaddr, srcport, conidx")
        event = _event(run)
        if event is None:
            return None
        client = event.client
        return {"msg": event.message, "srcaddr": client.host, "srcport": client.port, "conidx": client.index}[name]

    @variable_setter("evapi")
    def set_of_event(self, run: Run, name: str, index: object, value: Value) -> None:
        """Nothing: Kamailio takes an assignment, and it has no effect there."""
        raise PvError("it says what the event is about")


def _event(run: Run) -> Event | None:
    found = run.state.get(_STATE)
    return found if isinstance(found, Event) else None


MODULE = Evapi
