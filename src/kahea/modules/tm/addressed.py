"""Relaying to an address that the script names: what KEMI has one function for, the native language has by protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from kahea.modules.tm.relay import Relay
from kahea.modules.tm.relaying import NO_100
from kahea.net.address import PROTO_IDS, PROTO_NAMES, is_ip
from kahea.routing.literals import whole
from kahea.routing.module import native
from kahea.routing.run import FAILURE_ROUTE, REQUEST_ROUTE, Run
from kahea.sip.message import M_CANCEL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kahea.routing.node import Node
    from kahea.tm.hooks import Destination

_RELAYING: Final = REQUEST_ROUTE | FAILURE_ROUTE


class Proxy(NamedTuple):
    """Where to relay: a protocol, "" for UDP, and `host[:port]`."""

    proto: str
    hostport: str


def number(text: str) -> int | None:
    """A number as the native language writes it, or None."""
    try:
        return int(text, 0)
    except ValueError:
        return None


def proxy(_node: Node, text: str) -> Proxy:
    """`[proto:]host[:port]`. Raises ValueError."""
    proto, _, rest = text.partition(":")
    if proto.lower() in PROTO_IDS:
        text, proto = rest, proto.lower()
    else:
        proto = ""
    if not text or any(c in text for c in " ;<>@"):
        raise ValueError(f"{text!r} is no host, nor host:port")
    return Proxy(proto, text)


def proxy_or_flags(node: Node, text: str) -> Proxy | int:
    """A proxy, or flags. Raises ValueError."""
    flags = number(text)
    return proxy(node, text) if flags is None else flags


def port(_node: Node, text: str) -> int:
    """A port's number. Raises ValueError."""
    found = number(text)
    if found is None or not 0 <= found < 65536:
        raise ValueError(f"{text!r} is no port")
    return found


def protocol(_node: Node, text: str) -> str:
    """The name of a protocol. Raises ValueError."""
    if text.lower() not in PROTO_IDS:
        raise ValueError(f"{text!r} is no protocol")
    return text.lower()


class Addressed(Relay):
    """Relaying, forwarding and replicating to an address; by `host, port` alone, over the request's own protocol."""

    def _at(self, run: Run, host: str, to_port: int, proto: str) -> Sequence[Destination]:
        if is_ip(host) == 6 and not host.startswith("["):
            host = f"[{host}]"
        return self._resolve(run, f"{host}:{to_port}" if to_port else host, proto or PROTO_NAMES[run.msg.proto])

    def _of(self, run: Run, where: Proxy) -> Sequence[Destination]:
        return self._resolve(run, where.hostport, where.proto or "udp")

    # ---- t_relay

    @native("text", port, name="t_relay", routes=_RELAYING)
    def t_relay_host(self, run: Run, host: str, to_port: int) -> int:
        """Relay to a host and port."""
        return self._relay_to(run, self._at(run, host, to_port, ""), 0)

    @native(name="t_relay_to", routes=_RELAYING)
    def t_relay_to(self, run: Run) -> int:
        """As t_relay()."""
        return self.t_relay(run)

    @native(proxy_or_flags, name="t_relay_to", routes=_RELAYING)
    def t_relay_to_one(self, run: Run, where: Proxy | int) -> int:
        """Relay to a proxy, or with flags: 1, no automatic 100; 2, no reply on an error; 4, no failover by DNS.

        Kamailio 5.6 documents the flags alone, and leaves them without effect.
        """
        if isinstance(where, int):
            return self.relaying.relay_to(run, None, where)
        return self._relay_to(run, self._of(run, where), 0)

    @native(proxy, "int", name="t_relay_to", routes=_RELAYING)
    def t_relay_to_both(self, run: Run, where: Proxy, flags: int) -> int:
        """Relay to a proxy, with flags."""
        return self._relay_to(run, self._of(run, where), flags)

    @native(proxy, name="t_relay_to_proxy", routes=_RELAYING)
    def t_relay_to_proxy_native(self, run: Run, where: Proxy) -> int:
        """Relay to a proxy."""
        return self._relay_to(run, self._of(run, where), 0)

    @native(name="t_relay_to_udp", routes=_RELAYING)
    def t_relay_by_udp(self, run: Run) -> int:
        """Relay to where the request would go anyway, over UDP."""
        return self._relay_by(run, "udp")

    @native("text", port, name="t_relay_to_udp", routes=_RELAYING)
    def t_relay_to_udp(self, run: Run, host: str, to_port: int) -> int:
        """Relay to a host and port over UDP."""
        return self._relay_to(run, self._at(run, host, to_port, "udp"), 0)

    @native(name="t_relay_to_tcp", routes=_RELAYING)
    def t_relay_by_tcp(self, run: Run) -> int:
        """Relay to where the request would go anyway, over TCP."""
        return self._relay_by(run, "tcp")

    @native("text", port, name="t_relay_to_tcp", routes=_RELAYING)
    def t_relay_to_tcp(self, run: Run, host: str, to_port: int) -> int:
        """Relay to a host and port over TCP."""
        return self._relay_to(run, self._at(run, host, to_port, "tcp"), 0)

    @native(name="t_relay_to_tls", routes=_RELAYING)
    def t_relay_by_tls(self, run: Run) -> int:
        """Relay to where the request would go anyway, over TLS."""
        return self._relay_by(run, "tls")

    @native("text", port, name="t_relay_to_tls", routes=_RELAYING)
    def t_relay_to_tls(self, run: Run, host: str, to_port: int) -> int:
        """Relay to a host and port over TLS."""
        return self._relay_to(run, self._at(run, host, to_port, "tls"), 0)

    @native(name="t_relay_to_sctp", routes=_RELAYING)
    def t_relay_by_sctp(self, run: Run) -> int:
        """Relay to where the request would go anyway, over SCTP."""
        return self._relay_by(run, "sctp")

    @native("text", port, name="t_relay_to_sctp", routes=_RELAYING)
    def t_relay_to_sctp(self, run: Run, host: str, to_port: int) -> int:
        """Relay to a host and port over SCTP."""
        return self._relay_to(run, self._at(run, host, to_port, "sctp"), 0)

    @native(protocol, whole, name="t_relay_to_avp", routes=REQUEST_ROUTE)
    def t_relay_to_avp(self, run: Run, proto: str, hostport: Callable[[Run], str]) -> int:
        """Relay over a protocol to `host:port`, which an AVP may hold."""
        return self._relay_to(run, self._resolve(run, hostport(run), proto), 0)

    # ---- t_forward_nonack: with a transaction that is there already

    def _forward(self, run: Run, found: Sequence[Destination] | None) -> int:
        if run.transaction is None:
            self.node.log.error("t_forward_nonack: there is no transaction")
            return -1
        if found is None:
            return self.relaying.relay_to(run, None, NO_100)
        return self._relay_to(run, found, NO_100)

    @native(name="t_forward_nonack_uri", routes=REQUEST_ROUTE)
    def t_forward_nonack_uri(self, run: Run) -> int:
        """Forward the transaction's request; -1 without a transaction."""
        return self._forward(run, None)

    @native("text", port, name="t_forward_nonack", routes=REQUEST_ROUTE)
    def t_forward_nonack(self, run: Run, host: str, to_port: int) -> int:
        """Forward the transaction's request to a host and port; -1 without a transaction."""
        return self._forward(run, self._at(run, host, to_port, ""))

    @native("text", port, name="t_forward_nonack_udp", routes=REQUEST_ROUTE)
    def t_forward_nonack_udp(self, run: Run, host: str, to_port: int) -> int:
        """As t_forward_nonack(), over UDP."""
        return self._forward(run, self._at(run, host, to_port, "udp"))

    @native("text", port, name="t_forward_nonack_tcp", routes=REQUEST_ROUTE)
    def t_forward_nonack_tcp(self, run: Run, host: str, to_port: int) -> int:
        """As t_forward_nonack(), over TCP."""
        return self._forward(run, self._at(run, host, to_port, "tcp"))

    @native("text", port, name="t_forward_nonack_tls", routes=REQUEST_ROUTE)
    def t_forward_nonack_tls(self, run: Run, host: str, to_port: int) -> int:
        """As t_forward_nonack(), over TLS."""
        return self._forward(run, self._at(run, host, to_port, "tls"))

    @native("text", port, name="t_forward_nonack_sctp", routes=REQUEST_ROUTE)
    def t_forward_nonack_sctp(self, run: Run, host: str, to_port: int) -> int:
        """As t_forward_nonack(), over SCTP."""
        return self._forward(run, self._at(run, host, to_port, "sctp"))

    @native(protocol, whole, name="t_forward_nonack_to", routes=REQUEST_ROUTE)
    def t_forward_nonack_to(self, run: Run, proto: str, hostport: Callable[[Run], str]) -> int:
        """Forward the transaction's request over a protocol to `host:port`, which an AVP may hold."""
        return self._forward(run, self._resolve(run, hostport(run), proto))

    # ---- t_replicate

    @native(name="t_replicate", routes=REQUEST_ROUTE)
    def t_replicate_native(self, run: Run) -> int:
        """Send a copy of the request to where it would go; its replies go no further."""
        return self._replicate(run, None)

    @native("text", port, name="t_replicate", routes=REQUEST_ROUTE)
    def t_replicate_host(self, run: Run, host: str, to_port: int) -> int:
        """Send a copy to a host and port."""
        return self._copy(run, self._at(run, host, to_port, ""))

    @native("text", port, name="t_replicate_udp", routes=REQUEST_ROUTE)
    def t_replicate_udp(self, run: Run, host: str, to_port: int) -> int:
        """Send a copy over UDP."""
        return self._copy(run, self._at(run, host, to_port, "udp"))

    @native("text", port, name="t_replicate_tcp", routes=REQUEST_ROUTE)
    def t_replicate_tcp(self, run: Run, host: str, to_port: int) -> int:
        """Send a copy over TCP."""
        return self._copy(run, self._at(run, host, to_port, "tcp"))

    @native("text", port, name="t_replicate_tls", routes=REQUEST_ROUTE)
    def t_replicate_tls(self, run: Run, host: str, to_port: int) -> int:
        """Send a copy over TLS."""
        return self._copy(run, self._at(run, host, to_port, "tls"))

    @native("text", port, name="t_replicate_sctp", routes=REQUEST_ROUTE)
    def t_replicate_sctp(self, run: Run, host: str, to_port: int) -> int:
        """Send a copy over SCTP."""
        return self._copy(run, self._at(run, host, to_port, "sctp"))

    @native(protocol, whole, name="t_replicate_to", routes=REQUEST_ROUTE)
    def t_replicate_to(self, run: Run, proto: str, hostport: Callable[[Run], str]) -> int:
        """Send a copy over a protocol to `host:port`, which an AVP may hold."""
        return self._copy(run, self._resolve(run, hostport(run), proto))

    def _copy(self, run: Run, found: Sequence[Destination]) -> int:
        return self._replicate(run, found) if found else -1

    # ---- t_relay_cancel

    @native(name="t_relay_cancel", routes=REQUEST_ROUTE)
    def t_relay_cancel(self, run: Run) -> int:
        """Relay a CANCEL whose INVITE is known: 0, which ends the script, if it was done; 1 if there is none such."""
        msg = run.msg
        if not msg.is_request or msg.method_id != M_CANCEL or self.node.layer.lookup_invite(msg) is None:
            return 1
        return 0 if self.t_relay(run) > 0 else -1
