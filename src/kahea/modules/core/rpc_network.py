"""Management commands about listeners, aliases and TCP connections: `core.*`, with Kamailio's field names."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from kahea.net.address import PROTO_NAMES, Listener
from kahea.net.tcp import TcpListener
from kahea.routing.module import Module, RpcError, rpc

if TYPE_CHECKING:
    from kahea.net.connections import ConnectionTable


class NetworkCommands(Module):
    """About the network."""

    @rpc("core.sockets_list")
    def rpc_sockets_list(self) -> list[dict[str, dict[str, str]]]:
        """The listeners; each address twice where no names were looked up for them (`auto_aliases`), as in Kamailio."""
        return [{"socket": self._socket(one)} for one in self.node.listeners]

    def _socket(self, one: Listener) -> dict[str, str]:
        shown = {"proto": one.proto_name, "address": one.address.ip}
        if not self.node.settings.auto_aliases:
            shown["ipaddress"] = one.address.ip
        virtual = "yes" if one in self.node.virtual else "no"
        mcast = "yes" if ip_address(one.address.ip).is_multicast else "no"
        return shown | {"port": str(one.address.port), "mcast": mcast, "mhomed": "no", "virtual": virtual}

    @rpc("core.aliases_list")
    def rpc_aliases_list(self) -> dict[str, object]:
        """The names that are this node besides its listeners' addresses."""
        return {
            "myself_callbacks": "no",
            "aliases": [
                {"alias": {"proto": PROTO_NAMES.get(proto, "*"), "address": host, "port": port or "*"}}
                for host, port, proto in self.node.myself.aliases()
            ],
        }

    def _table(self) -> ConnectionTable:
        """The connections of all TCP listeners. Raises RpcError where there are none."""
        for listener in self.node.listeners:
            if isinstance(listener, TcpListener):
                return listener.table
        raise RpcError(500, "tcp support disabled")

    @rpc("core.tcp_info")
    def rpc_tcp_info(self) -> dict[str, int]:
        """How many TCP connections there are and may be."""
        table = self._table()
        return {
            "readers": 1,
            "max_connections": table.limits.tcp_max_connections,
            "max_tls_connections": table.limits.tls_max_connections,
            "opened_connections": len(table),
            "opened_tls_connections": table.secure,
            "write_queued_bytes": table.queued,
        }

    @rpc("core.tcp_list")
    def rpc_tcp_list(self) -> list[dict[str, object]]:
        """The TCP connections: `timeout` is the seconds until an idle one is closed, `lifetime` what it starts from."""
        return [
            {
                "id": one.id,
                "type": one.listener.proto_name.upper(),
                "state": "CONN_OK" if one.is_open else "CONN_CONNECT",
                "timeout": one.timeout,
                "lifetime": int(one.lifetime),
                "ref_count": 1,
                "src_ip": one.peer.ip,
                "src_port": one.peer.port,
                "dst_ip": one.listener.address.ip,
                "dst_port": one.listener.address.port,
            }
            for one in self._table()
        ]

    @rpc("core.tcp_options")
    def rpc_tcp_options(self) -> dict[str, int]:
        """The settings of TCP."""
        limits = self._table().limits
        return {
            "connect_timeout": int(limits.tcp_connect_timeout),
            "send_timeout": int(limits.tcp_send_timeout),
            "connection_lifetime": int(limits.tcp_connection_lifetime),
            "max_connections(soft)": limits.tcp_max_connections,
            "max_tls_connections(soft)": limits.tls_max_connections,
            "no_connect": int(limits.tcp_no_connect),
            "fd_cache": 0,
            "async": 1,
            "connect_wait": 1,
            "conn_wq_max": limits.tcp_conn_wq_max,
            "wq_max": limits.tcp_wq_max,
            "defer_accept": limits.tcp_defer_accept,
            "delayed_ack": int(limits.tcp_delayed_ack),
            "syncnt": limits.tcp_syncnt,
            "linger2": limits.tcp_linger2,
            "keepalive": int(limits.tcp_keepalive),
            "keepidle": limits.tcp_keepidle,
            "keepintvl": limits.tcp_keepintvl,
            "keepcnt": limits.tcp_keepcnt,
            "crlf_ping": int(limits.tcp_crlf_ping),
            "accept_aliases": int(limits.tcp_accept_aliases),
            "alias_flags": 0,
            "new_conn_alias_flags": 0,
        }

    @rpc("core.udp4_raw_info")
    def rpc_udp4_raw_info(self) -> dict[str, int]:
        """Sending through raw sockets, which is off: it is not built here."""
        return {"udp4_raw": 0, "udp4_raw_mtu": 0, "udp4_raw_ttl": 0}
