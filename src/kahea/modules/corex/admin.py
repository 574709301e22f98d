"""Parameters of corex that concern the whole node, and its RPC commands."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from kahea.modules.corex.dns import Entry, parse_entry, pin
from kahea.net.address import PROTO_NAMES
from kahea.routing.memory import NO_POOLS
from kahea.routing.module import ConfigError, Module, Param, RpcError, rpc
from kahea.routing.verbosity import HIGHEST, LOWEST, set_debug

if TYPE_CHECKING:
    from collections.abc import Callable


def _not_yet(why: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value:
            raise ValueError(f"not supported yet: {why}")
        return value

    return check


class Administration(Module):
    """Aliases, and a look at listeners and settings."""

    alias_subdomains = Param(
        "", 'A domain that is this node with all its subdomains: "[proto:]domain[:port]".', many=True
    )
    dns_cache = Param(
        "",
        'A record for the DNS cache: "type=A;name=..;addr=..;ttl=..;flags=2".',
        many=True,
        check=parse_entry,
    )
    dns_file = Param(
        "", "A file of records.", check=_not_yet("Kamailio 5.6 has no such parameter; give each record in dns_cache")
    )
    evcb_reply_out = Param(
        "",
        "Script function for a reply that is sent.",
        check=_not_yet("event_route[corex:reply-out] does not run here"),
    )

    def start(self) -> None:
        """Make domains and DNS records known. Raises ConfigError."""
        for spec in self.alias_subdomains or ():
            self.node.myself.add_subdomains(spec)
        records: list[Entry] = self.dns_cache or []  # type: ignore[assignment]
        if records:
            resolver = self.node.resolver
            if resolver is None:
                raise ConfigError("parameter corex.dns_cache: this node has no resolver")
            for ttl, name, kind in pin(resolver, records):
                self.node.call_later(ttl, resolver.unpin, name, kind)

    @rpc("corex.debug")
    def rpc_debug(self, level: int | None = None) -> dict[str, int]:
        """The global `debug`, or its change to a new value."""
        old = self.node.settings.debug
        if level is None:
            return {"debug": old}
        if not LOWEST <= level <= HIGHEST:
            raise RpcError(400, f"debug goes from {LOWEST} to {HIGHEST}")
        set_debug(self.node, level)
        return {"old": old, "new": level}

    @rpc("corex.list_sockets")
    def rpc_list_sockets(self) -> list[dict[str, object]]:
        """The listeners."""
        return [
            {
                "PROTO": x.proto_name,
                "NAME": x.address.ip,
                "ADDRLIST": {"ADDR": x.address.ip},
                "PORT": str(x.address.port),
                "MCAST": "yes" if ip_address(x.address.ip).is_multicast else "no",
                "MHOMED": "no",
                "VIRTUAL": "yes" if x in self.node.virtual else "no",
                "SOCKNAME": x.name or "-",
                "ADVERTISE": x.advertised_host.decode("ascii", "replace") or "-",
            }
            for x in self.node.listeners
        ]

    @rpc("corex.list_aliases")
    def rpc_list_aliases(self) -> list[dict[str, object]]:
        """The aliases: names that are this node besides its listeners' addresses."""
        return [
            {"PROTO": PROTO_NAMES.get(proto, "*"), "ADDR": host, "PORT": port}
            for host, port, proto in self.node.myself.aliases()
        ]

    # ---- pools of memory, which do not exist here

    @rpc("corex.shm_status")
    def rpc_shm_status(self) -> None:
        """Write the state of shared memory to the log: there is none."""
        raise RpcError(500, NO_POOLS)

    @rpc("corex.shm_summary")
    def rpc_shm_summary(self) -> None:
        """Write what uses shared memory to the log: there is none."""
        raise RpcError(500, NO_POOLS)

    @rpc("corex.pkg_summary")
    def rpc_pkg_summary(self, *which: str) -> None:
        """Write what uses a process's private memory to the log: there is none."""
        raise RpcError(500, NO_POOLS)

    @rpc("shm.info")
    def rpc_shm_info(self) -> None:
        """The allocator of shared memory: there is none."""
        raise RpcError(500, NO_POOLS)

    @rpc("shm.stats")
    def rpc_shm_stats(self) -> None:
        """The use of shared memory: there is none."""
        raise RpcError(500, NO_POOLS)

    @rpc("shm.report")
    def rpc_shm_report(self, *which: str) -> None:
        """The chunks of shared memory: there are none."""
        raise RpcError(500, NO_POOLS)
