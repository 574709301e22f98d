"""The module: its parameters, its transports, and what it gives to scripts."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kahea.modules.jsonrpcs.fifo import Answers, Fifo
from kahea.net.service import (
    Access,
    Answer,
    DatagramServer,
    ServiceAddress,
    Stream,
    StreamServer,
    group_id,
    known_group,
    known_user,
    parse_service,
    user_id,
)
from kahea.net.sockets import BindError
from kahea.routing.module import ConfigError, Module, Param, Value, function, native, rpc, variable
from kahea.routing.pv.errors import PvError
from kahea.routing.rpc import jsonrpc
from kahea.routing.rpc.serving import carry_out, serve_jsonrpc
from kahea.routing.rpc.sessions import JsonSession
from kahea.routing.run import REQUEST_ROUTE, Run
from kahea.routing.text import text, wire

if TYPE_CHECKING:
    from kahea.routing.node import Node

log = logging.getLogger("kahea.rpc")

HTTP: Final = 1
FIFO: Final = 2
DATAGRAM: Final = 4
TCP: Final = 8
ALL: Final = HTTP | FIFO | DATAGRAM | TCP

_FIFO_NAME: Final = "kamailio_rpc.fifo"
_DGRAM_SOCKET: Final = "kamailio_rpc.sock"
_STATE: Final = "jsonrpcs.response"


def _transport(value: int) -> int:
    if not 0 <= value <= ALL:
        raise ValueError(f"a sum of 1 (HTTP), 2 (FIFO), 4 (datagrams), 8 (TCP), or 0 for all: not {value}")
    return value


def _tcp(value: str) -> str:
    if value and not value.startswith("tcp:"):
        value = f"tcp:{value}"
    if value:
        parse_service(value)
    return value


def _datagram(value: str) -> str:
    if value.startswith("udp:"):
        parse_service(value)
    return value


class Jsonrpcs(Module):
    """Management by JSON-RPC: over HTTP, a FIFO, datagrams and TCP, and from scripts."""

    name = "jsonrpcs"

    pretty_format = Param(1, "1: answers are broken into lines.")
    transport = Param(6, "Sum of 1 (HTTP), 2 (FIFO), 4 (datagrams), 8 (TCP); 0 for all.", check=_transport)
    fifo_name = Param("", f"The FIFO; {_FIFO_NAME} in the run directory by default.")
    fifo_mode = Param(0o660, "Permissions of the FIFO.")
    fifo_user = Param("", "Owner of the FIFO, by name or number.", check=known_user)
    fifo_group = Param("", "Group of the FIFO, by name or number.", check=known_group)
    fifo_reply_dir = Param("/tmp/", "Directory of the FIFOs that answers go to.")
    dgram_socket = Param(
        "",
        f"Path of a Unix socket, or udp:host:port; {_DGRAM_SOCKET} in the run directory by default.",
        check=_datagram,
    )
    dgram_mode = Param(0o660, "Permissions of the Unix socket.")
    dgram_user = Param("", "Owner of the Unix socket, by name or number.", check=known_user)
    dgram_group = Param("", "Group of the Unix socket, by name or number.", check=known_group)
    dgram_timeout = Param(2000, "Milliseconds for which an answer waits for room at the peer.")
    dgram_workers = Param(1, "Processes for datagrams.", inert="a node is one process, and commands may wait in it")
    tcp_socket = Param("", "Where to take TCP connections: tcp:host:port.", check=_tcp)

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._fifo: Fifo | None = None
        self._answers: Answers | None = None
        self._datagrams: DatagramServer | None = None
        self._tcp: StreamServer | None = None

    def start(self) -> None:
        """HTTP comes by xhttp. Raises ConfigError."""
        if self.transport == HTTP and self.node.module("xhttp") is None:
            raise ConfigError("parameter jsonrpcs.transport: HTTP needs the module xhttp")

    def _has(self, transport: int) -> bool:
        return self.transport == 0 or bool(self.transport & transport)

    # ---- transports

    async def open(self) -> None:
        """Open what was asked for; a default place may fail with a warning. Raises ConfigError."""
        if self.node.simulated or not self.node.asked_for(self.name):
            return
        for transport, named, begin in (
            (FIFO, self.fifo_name, self._open_fifo),
            (DATAGRAM, self.dgram_socket, self._open_datagrams),
            (TCP, self.tcp_socket, self._open_tcp),
        ):
            if not self._has(transport):
                continue
            try:
                await begin()
            except (BindError, OSError) as error:
                if named:
                    raise ConfigError(f"module jsonrpcs: {error}") from error
                log.warning("jsonrpcs: no management there: %s", error)

    def _place(self, name: str) -> Path:
        """A path that may be relative to the run directory, which is made. Raises OSError."""
        path = Path(self.node.settings.rundir) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    async def _open_fifo(self) -> None:
        access = Access(self.fifo_mode, user_id(self.fifo_user), group_id(self.fifo_group))
        fifo = Fifo(self._place(self.fifo_name or _FIFO_NAME), access, self._on_document)
        fifo.open()
        self._fifo = fifo
        self._answers = Answers(Path(self.fifo_reply_dir))

    async def _open_datagrams(self) -> None:
        given = self.dgram_socket or _DGRAM_SOCKET
        if given.startswith("udp:"):
            address = parse_service(given)
        else:
            address = ServiceAddress(datagram=True, path=str(self._place(given.removeprefix("unix:"))))
        access = Access(self.dgram_mode, user_id(self.dgram_user), group_id(self.dgram_group))
        server = DatagramServer(address, access, self._on_datagram)
        server.timeout = self.dgram_timeout / 1000
        await server.open()
        self._datagrams = server

    async def _open_tcp(self) -> None:
        if self.tcp_socket:
            server = StreamServer(parse_service(self.tcp_socket), Access(), self._session)
            await server.open()
            self._tcp = server

    async def stop(self) -> None:
        """Close all transports."""
        for transport in (self._fifo, self._answers, self._datagrams, self._tcp):
            if transport is not None:
                transport.close()

    @property
    def _pretty(self) -> bool:
        return bool(self.pretty_format)

    def _session(self, stream: Stream) -> JsonSession:
        return JsonSession(self.node, stream)

    def _on_datagram(self, data: bytes, answer: Answer) -> None:
        serve_jsonrpc(self.node, data, lambda document, _code, _reason: answer(document), pretty=self._pretty)

    def _on_document(self, data: bytes) -> None:
        """A document from the FIFO."""
        answers = self._answers
        assert answers is not None
        try:
            request = jsonrpc.parse(data)
        except jsonrpc.RequestError as error:
            log.info("jsonrpcs: %s", error)
            return

        def reply(document: bytes, _code: int, _reason: str) -> None:
            if request.reply_name:
                answers.send(request.reply_name, document)

        carry_out(self.node, request, reply, pretty=self._pretty)

    # ---- scripts

    @function
    @native(name="jsonrpc_dispatch", routes=REQUEST_ROUTE)
    def dispatch(self, run: Run) -> int:
        """Carry out the command in the body of the HTTP request, and answer it; -1 if that could not be sent."""
        xhttp = self.node.module("xhttp")
        if xhttp is None or not self._has(HTTP):
            self.node.log.error("jsonrpc_dispatch: HTTP is no transport of jsonrpcs (parameter transport)")
            return -1
        msg = run.msg
        sent: list[bool] = []

        def reply(document: bytes, code: int, reason: str) -> None:
            sent.append(xhttp.reply(msg, code, reason.partition("\n")[0], "application/json", document))

        serve_jsonrpc(self.node, msg.body, reply, pretty=self._pretty)
        return 1 if sent == [True] else -1

    @function
    @native("str", name="jsonrpc_exec")
    def exec(self, run: Run, command: str) -> int:
        """Carry out a command, given as a JSON-RPC document: its answer is in $jsonrpl; -1 if it is none."""
        document = wire(command)
        try:
            request = jsonrpc.parse(document)
        except jsonrpc.RequestError as error:
            self.node.log.error("jsonrpc_exec: %s", error)
            return -1
        carry_out(self.node, request, lambda *answer: run.state.__setitem__(_STATE, answer), pretty=self._pretty)
        return 1

    @function
    def execx(self, run: Run, command: str) -> int:
        """`exec`, for languages in which that is a reserved word."""
        return self.exec(run, command)

    @function
    def response(self, run: Run) -> Value:
        """The answer to the last command of this run; null if there was none."""
        return self.answer(run, "body", None)

    @variable("jsonrpl", takes_name=True)
    def answer(self, run: Run, name: str, index: object) -> Value:
        """Of the answer to this run's last command: `code` (as in HTTP), `text` (the phrase for it), `body`."""
        answer: Any = run.state.get(_STATE)
        if name not in ("code", "text", "body"):
            raise PvError(f"$jsonrpl has code, text and body, not {name!r}")
        if answer is None:
            return None
        document, code, reason = answer
        return code if name == "code" else reason if name == "text" else text(document)

    @rpc("jsonrpc.echo")
    def echo(self, *words: str) -> list[str]:
        """What it was given, as text."""
        return list(words)
