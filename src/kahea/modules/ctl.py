"""Module ctl: management over BINRPC, the protocol of `kamcmd` (`kahea.routing.rpc.binrpc`).

Where the module is loaded because every module is, it opens nothing: the node has its own control socket then. A socket
that was asked for by name must open; the default one, which nobody named, may fail with a warning.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

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
from kahea.routing.module import ConfigError, Module, Param, rpc
from kahea.routing.rpc import binrpc
from kahea.routing.rpc.serving import MAX_REQUEST, serve_binrpc
from kahea.routing.rpc.sessions import BinrpcSession

if TYPE_CHECKING:
    from kahea.routing.node import Node

log = logging.getLogger("kahea.rpc")

_NO_BUFFER = "an answer is made whole, however long it is"


def _no_fifo(value: str) -> str:
    raise ValueError("the old FIFO protocol is not supported: kamctl and scripts use the module jsonrpcs")


class Ctl(Module):
    """Management over BINRPC, the protocol of `kamcmd`."""

    name = "ctl"

    binrpc: Param[list[ServiceAddress]] = Param(
        [],
        "Where to listen: `unix:path`, `unixd:path` (datagrams), `tcp:host:port`, `udp:host:port`; by default "
        "`kamailio_ctl` in the run directory.",
        many=True,
        check=parse_service,
    )
    binrpc_buffer_size = Param(1024, "Bytes for printing one element.", inert=_NO_BUFFER)
    binrpc_max_body_size = Param(32, "Kilobytes of an answer.", inert=_NO_BUFFER)
    binrpc_struct_max_body_size = Param(8, "Kilobytes of an answer's structures.", inert=_NO_BUFFER)
    mode = Param(0o600, "Permissions of Unix sockets.")
    user = Param("", "Owner of Unix sockets, by name or number.", check=known_user)
    group = Param("", "Group of Unix sockets, by name or number.", check=known_group)
    fifo = Param("", "Where to take the old FIFO protocol.", many=True, check=_no_fifo)
    autoconversion = Param(0, "1: a command that wants a number takes a text that is one.")

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._streams: list[StreamServer] = []
        self._datagrams: list[DatagramServer] = []

    async def open(self) -> None:
        """Listen, unless the network is a simulation's. Raises ConfigError."""
        if self.node.simulated:
            return
        access = Access(self.mode, user_id(self.user), group_id(self.group))
        if self.binrpc:
            for address in self.binrpc:
                try:
                    await self._listen(address, access)
                except BindError as error:
                    raise ConfigError(f"parameter ctl.binrpc: {error}") from error
        elif self.node.asked_for(self.name):
            path = Path(self.node.settings.rundir) / "kamailio_ctl"
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                await self._listen(ServiceAddress(datagram=False, path=str(path)), access)
            except (BindError, OSError) as error:
                log.warning("ctl: no management by kamcmd: %s; set the parameter binrpc to another address", error)

    async def _listen(self, address: ServiceAddress, access: Access) -> None:
        if address.datagram:
            datagrams = DatagramServer(address, access, self._on_datagram)
            await datagrams.open()
            self._datagrams.append(datagrams)
        else:
            streams = StreamServer(address, access, self._session)
            await streams.open()
            self._streams.append(streams)

    async def stop(self) -> None:
        """Close all sockets."""
        for server in self._servers():
            server.close()

    def _servers(self) -> list[StreamServer | DatagramServer]:
        return [*self._streams, *self._datagrams]

    def _session(self, stream: Stream) -> BinrpcSession:
        return BinrpcSession(self.node, stream, exact=not self.autoconversion)

    def _on_datagram(self, data: bytes, answer: Answer) -> None:
        try:
            head = binrpc.header(data)
            if head is None or len(data) != head.size + head.length or len(data) > MAX_REQUEST:
                raise binrpc.PacketError("not a whole packet")
        except binrpc.PacketError:
            answer(binrpc.fault(b"\0", 400, "bad request: corrupted packet"))
            return
        serve_binrpc(self.node, head, data[head.size :], answer, exact=not self.autoconversion)

    @rpc("ctl.listen")
    def listen(self) -> list[str]:
        """The sockets that commands are taken on: protocol, transport, address and port of each."""
        found = []
        for server in self._servers():
            address = server.address
            found += ["binrpc", address.kind, address.path or address.host, str(address.port or "")]
        return found

    @rpc("ctl.connections")
    def connections(self) -> int:
        """How many connections there are."""
        return sum(len(server.streams) for server in self._streams)

    @rpc("ctl.who")
    def who(self) -> list[str]:
        """The connections: protocol, transport, the peer's address and port, ours and our port."""
        found = []
        for server in self._streams:
            address = server.address
            for stream in server.streams:
                ours = (address.path or address.host, str(address.port or ""))
                found += ["binrpc", address.kind, *stream.peer, *ours]
        return found


MODULE = Ctl
