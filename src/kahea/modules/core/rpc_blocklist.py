"""Management commands about destinations that are left alone: `dst_blocklist.*`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kahea.net.address import P_SCTP, PROTO_NAMES, Address
from kahea.net.blocklist import ANY_PROTO, Entry
from kahea.routing.module import Module, RpcError, rpc

if TYPE_CHECKING:
    from kahea.net.blocklist import Blocklist

_OFF: Final = "dst blocklist support disabled"
#: How an entry for each protocol is shown.
_EACH: Final = "*"
#: The flag by which IPv6 is shown.
_IPV6: Final = 1
_FLAGS: Final = 0xFF


class BlocklistCommands(Module):
    """About the blocklist of destinations."""

    def _blocklist(self) -> Blocklist:
        if not self.node.blocking.is_on:
            raise RpcError(500, _OFF)
        return self.node.blocking.list

    @rpc("dst_blocklist.add")
    def rpc_blocklist_add(self, ip: str, port: int, proto: int, flags: int) -> None:
        """Put a destination on the blocklist: its address, port, protocol (0 each, 1 UDP, 2 TCP, 3 TLS, 4 SCTP), and by
        which events, a sum (2 nothing sent, 4 no connection, 16 silence, 32 a 503, 64 an order; 128 keeps it when the
        list is emptied)."""
        self._blocklist()
        if not ANY_PROTO <= proto <= P_SCTP:
            raise RpcError(400, "Unknown protocol")
        if not 0 <= port <= 65535:
            raise RpcError(400, "Malformed port")
        try:
            address = Address.of(ip, port)
        except ValueError as error:
            raise RpcError(400, "Malformed ip address") from error
        if flags & _IPV6 and address.family != 6:
            raise RpcError(400, "Malformed ip address")
        if not self.node.blocking.add(proto, address, flags & _FLAGS & ~_IPV6):
            raise RpcError(500, "the blocklist is full")

    @rpc("dst_blocklist.debug")
    def rpc_blocklist_debug(self) -> list[str | int]:
        """The blocklist as bare values: protocol, address, port, seconds left and events of each entry."""
        found = self._blocklist()
        shown: list[str | int] = []
        for entry in found.entries():
            name = PROTO_NAMES.get(entry.proto, _EACH)
            shown += [name, entry.address.ip, entry.address.port, found.left(entry), _shown(entry)]
        return shown

    @rpc("dst_blocklist.delete_all")
    def rpc_blocklist_delete_all(self) -> None:
        """Empty the blocklist."""
        self._blocklist().clear()

    @rpc("dst_blocklist.mem_info")
    def rpc_blocklist_mem_info(self) -> tuple[int, int]:
        """Bytes of the blocklist: how many there are, and may be."""
        found = self._blocklist()
        return found.bytes, found.most_bytes

    @rpc("dst_blocklist.view")
    def rpc_blocklist_view(self) -> tuple[dict[str, str | int], ...]:
        """The blocklist."""
        found = self._blocklist()
        return tuple(
            {
                "protocol": PROTO_NAMES.get(entry.proto, _EACH),
                "ip": entry.address.ip,
                "port": entry.address.port,
                "expires in (s)": found.left(entry),
                "flags": _shown(entry),
            }
            for entry in found.entries()
        )


def _shown(entry: Entry) -> int:
    return entry.flags | _IPV6 if entry.address.family == 6 else entry.flags
