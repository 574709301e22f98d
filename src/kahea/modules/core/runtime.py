"""Settings of the core that may change while the node runs: the groups `core` and `tcp` of `cfg.*`.

What stands here has its effect from the next message, question or connection on. What Kamailio has besides does nothing
here or needs a restart, and asking for its change says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from kahea.net.tcp import TcpListener
from kahea.routing.module import Module
from kahea.routing.runtime import RuntimeValue, RuntimeVariable
from kahea.routing.verbosity import HIGHEST, LOWEST, set_debug

if TYPE_CHECKING:
    from kahea.routing.node import Node

#: Read anew by the resolver for each question, each with its range.
_DNS: Final = {
    "dns_try_ipv6": (0, 1),
    "dns_try_naptr": (0, 1),
    "dns_udp_pref": (-(2**31), 2**31 - 1),
    "dns_tcp_pref": (-(2**31), 2**31 - 1),
    "dns_tls_pref": (-(2**31), 2**31 - 1),
    "dns_retr_time": (-1, 3600),
    "dns_retr_no": (-1, 100),
    "dns_servers_no": (-1, 100),
    "dns_use_search_list": (0, 1),
    "dns_naptr_ignore_rfc": (0, 1),
    "use_dns_cache": (0, 1),
    "dns_cache_flags": (0, 4),
    "use_dns_failover": (0, 1),
    "dns_srv_lb": (0, 1),
    "dns_cache_negative_ttl": (0, 2**31 - 1),
    "dns_cache_min_ttl": (0, 2**31 - 1),
    "dns_cache_max_ttl": (-1, 2**31 - 1),
    "dns_cache_del_nonexp": (0, 1),
}

#: About destinations left alone, each with its range.
_BLOCKLIST: Final = {
    "use_dst_blocklist": (0, 1),
    "dst_blocklist_expire": (0, 2**31 - 1),
    "dst_blocklist_mem": (0, 1 << 20),
    "dst_blocklist_udp_imask": (0, 255),
    "dst_blocklist_tcp_imask": (0, 255),
    "dst_blocklist_tls_imask": (0, 255),
    "dst_blocklist_sctp_imask": (0, 255),
}

#: Of the connection table's limits, each with its range.
_TCP: Final = {
    "connect_timeout": (1, 2**31 - 1),
    "send_timeout": (1, 2**31 - 1),
    "connection_lifetime": (-1, 2**31 - 1),
    "max_connections": (0, 2**31 - 1),
    "max_tls_connections": (0, 2**31 - 1),
    "no_connect": (0, 1),
    "conn_wq_max": (0, 2**31 - 1),
    "wq_max": (0, 2**31 - 1),
    "defer_accept": (0, 3600),
    "delayed_ack": (0, 1),
    "syncnt": (0, 1024),
    "linger2": (0, 3600),
    "keepalive": (0, 1),
    "keepidle": (0, 24 * 3600),
    "keepintvl": (0, 24 * 3600),
    "keepcnt": (0, 1024),
    "crlf_ping": (0, 1),
    "accept_aliases": (0, 1),
    "accept_no_cl": (0, 1),
}

_PROTOCOLS: Final = (0, 1, 2, 3)  # unset, UDP, TCP, TLS: what udp_mtu_try_proto can name here


class RuntimeCore(Module):
    """What of the global parameters may change."""

    def start(self) -> None:
        """Make them known to `cfg.*`."""
        super().start()
        if self.node.configuration.runtime.find("core", "debug") is not None:
            return
        self._expose("core", "debug", (LOWEST, HIGHEST), lambda value: set_debug(self.node, value))
        self._expose("core", "force_rport", (0, 1), self._force_rport)
        self._expose("core", "udp_mtu", (0, 65535), self._udp_mtu)
        self._expose("core", "udp_mtu_try_proto", (_PROTOCOLS[0], _PROTOCOLS[-1]))
        for name, bounds in _BLOCKLIST.items():
            self._expose("core", name, bounds, lambda _value: self.node.blocking.changed())
        for name, bounds in _DNS.items():
            self._expose("core", name, bounds, lambda _value: self._dns_changed())
        for name, bounds in _TCP.items():
            setting = "tls_max_connections" if name == "max_tls_connections" else f"tcp_{name}"
            self._expose("tcp", name, bounds, _tcp_writer(self.node, setting), setting)

    def _expose(
        self,
        group: str,
        name: str,
        bounds: tuple[int, int],
        then: Callable[[int], object] = lambda _value: None,
        setting: str = "",
    ) -> None:
        """One global parameter; `then` sees to the change's effect."""
        settings = self.node.settings
        attribute = setting or name
        kind = type(getattr(settings, attribute))

        def write(value: RuntimeValue) -> None:
            setattr(settings, attribute, kind(value))
            then(int(value))

        self.node.configuration.runtime.expose(
            RuntimeVariable(
                group, name, int, settings.explain(attribute), lambda: int(getattr(settings, attribute)), write, *bounds
            )
        )

    def _force_rport(self, value: int) -> None:
        self.node.layer.settings.force_rport = bool(value)

    def _udp_mtu(self, value: int) -> None:
        self.node.layer.settings.udp_mtu = value

    def _dns_changed(self) -> None:
        """Copies of the settings, and what was found out by the old ones."""
        self.node.layer.settings.use_dns_failover = self.node.settings.use_dns_failover
        if self.node.resolver is not None:
            self.node.resolver.forget_destinations()


def _tcp_writer(node: Node, setting: str) -> Callable[[int], None]:
    """Hands a setting of TCP on to the connections' table and to the listening sockets."""

    def write(value: int) -> None:
        if setting == "tcp_accept_aliases":
            node.accept_aliases = bool(value)
        for listener in node.listeners:
            if isinstance(listener, TcpListener):
                listener.set_limit(setting, value)

    return write
