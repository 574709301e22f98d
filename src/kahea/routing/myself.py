"""What counts as this node: its listeners, what they advertise, and the aliases (Kamailio's `myself`)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from kahea.net.address import P_TLS, P_WSS, PROTO_IDS, is_ip
from kahea.routing.dispatch import Asked
from kahea.routing.module import ConfigError
from kahea.routing.text import text

if TYPE_CHECKING:
    from kahea.routing.node import Node

_ALIAS = re.compile(r"^(?:(udp|tcp|tls|sctp|ws|wss):)?(\[[^\]]+\]|[^:\s]+)(?::(\d{1,5}|\*))?$", re.IGNORECASE)


def default_port(proto: int) -> int:
    """5061 for TLS, else 5060."""
    return 5061 if proto in (P_TLS, P_WSS) else 5060


def parse_alias(spec: str) -> tuple[str, int, int]:
    """`[proto:]host[:port]` as (host, port, proto), 0 for any. Raises ConfigError."""
    found = _ALIAS.match(spec.strip())
    if found is None:
        raise ConfigError(f"alias {spec!r} is not [proto:]host[:port]")
    proto, host, port = found.groups()
    return canonical(host), int(port) if port and port != "*" else 0, PROTO_IDS[proto.lower()] if proto else 0


def canonical(host: str) -> str:
    """A host name in lower case; an IPv6 literal without brackets, in its shortest form."""
    host = host.strip("[]").lower().rstrip(".")
    if ":" in host and is_ip(host):
        return ipaddress.IPv6Address(host).compressed
    return host


class Myself(Asked):
    """Answers `check`; what was asked recently is remembered."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._node = node
        self._entries: set[tuple[str, int, int]] | None = None
        self._extra: set[tuple[str, int, int]] = set()
        self._domains: list[tuple[str, int, int]] = []
        self._hosts: list[Callable[[str], bool]] = []

    def forget(self) -> None:
        """Listeners or aliases changed."""
        self._entries = None
        self.forget_asked()

    def add_alias(self, spec: str) -> None:
        """One more alias. Raises ConfigError."""
        self._extra.add(parse_alias(spec))
        self.forget()

    def add_subdomains(self, spec: str) -> None:
        """A domain that is this node with everything below it. Raises ConfigError."""
        self._domains.append(parse_alias(spec))
        self.forget()

    def add_hosts(self, known: Callable[[str], bool]) -> None:
        """More hosts, on any port and protocol: those that `known` says yes to, given a host as it is written. When it
        comes to know others, `forget` must be called."""
        self._hosts.append(known)
        self.forget()

    def aliases(self) -> list[tuple[str, int, int]]:
        """(host, port, proto) of every alias, 0 for any."""
        return [*map(parse_alias, self._node.settings.alias), *self._extra]

    def _build(self) -> set[tuple[str, int, int]]:
        entries = set(self.aliases())
        for listener in self._node.listeners:
            if not self._node.virtual.absent(listener):
                entries.add((canonical(listener.address.ip), listener.address.port, listener.proto))
            if listener.advertised_host:
                port = listener.advertised_port or listener.address.port
                entries.add((canonical(listener.advertised_host.decode("ascii", "replace")), port, listener.proto))
        return entries

    def work_out(self, host: str | bytes, port: int, proto: int) -> bool:
        """The answer to `check`."""
        if self._entries is None:
            self._entries = self._build()
        if self._hosts:
            written = text(host) if isinstance(host, bytes) else host
            if any(known(written) for known in self._hosts):
                return True
        name = canonical(host.decode("utf-8", "replace") if isinstance(host, bytes) else host)
        return any(
            name == h and (not p or not port or p == port) and (not q or not proto or q == proto)
            for h, p, q in self._entries
        ) or any(
            (name == h or name.endswith(f".{h}"))
            and (not p or not port or p == port)
            and (not q or not proto or q == proto)
            for h, p, q in self._domains
        )
