"""Where a message goes: the listener, address and connection for a URI, a Via, or the reply to a request."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kahea.net.address import P_NONE, P_TCP, P_TLS, P_UDP, P_WS, P_WSS, PROTO_IDS, Address, Listener, is_ip
from kahea.net.dns_records import ResolveError
from kahea.routing.run import can_wait, wait
from kahea.sip.errors import ParseError
from kahea.sip.message import Via
from kahea.sip.uri import Uri, parse_uri
from kahea.tm.hooks import Destination

if TYPE_CHECKING:
    from kahea.routing.node import Node

log = logging.getLogger("kahea.node")

#: By what a sips URI names, what it means (RFC 5630 §3.1.4); anything else it can't.
_SECURE = {P_NONE: P_TLS, P_TCP: P_TLS, P_TLS: P_TLS, P_WS: P_WSS, P_WSS: P_WSS}


class Targets:
    """The node's knowledge of destinations. What needs no DNS is answered at once, from a bounded cache."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._defaults: dict[tuple[int, int], Listener | None] = {}
        self._known: dict[tuple[bytes, int, int, object, object], Sequence[Destination]] = {}
        settings = node.settings
        self.server_line = settings.server_header.encode() + b"\r\n" if settings.server_signature else b""

    def forget(self) -> None:
        """The listeners changed."""
        self._defaults.clear()
        self._known.clear()

    # ---- listeners

    def default_listener(self, proto: int, family: int) -> Listener | None:
        """The first listener of a protocol and address family."""
        key = (proto, family)
        if key not in self._defaults:
            self._defaults[key] = next(
                (x for x in self._node.listeners if x.proto == proto and x.address.family == family), None
            )
        return self._defaults[key]

    def find_listener(self, spec: str, *, absent: bool = False) -> Listener | None:
        """By name, or by `[proto:]host[:port]` as bound or advertised; without a protocol, UDP first. With `absent`,
        also by the address of a virtual one while the host does not have it."""
        for listener in self._node.listeners:
            if listener.name and listener.name == spec:
                return listener
        proto_name, _, rest = spec.partition(":")
        proto = PROTO_IDS.get(proto_name.lower(), 0)
        if not proto:
            rest = spec
        host, _, port_text = rest.rpartition(":") if not rest.endswith("]") and ":" in rest else (rest, "", "")
        if port_text and not port_text.isdigit():
            return None
        port = int(port_text) if port_text else 0
        wanted = host.strip("[]").lower()
        if is_ip(wanted):
            wanted = Address.of(wanted, 0).ip
        for listener in self._node.listeners:
            if proto and listener.proto != proto:
                continue
            advertised = listener.advertised_host.decode("ascii", "replace").lower()
            if wanted == listener.address.ip and port in (0, listener.address.port):
                if absent or not self._node.virtual.absent(listener):
                    return listener
            elif advertised and wanted == advertised and port in (0, listener.advertised_port or listener.address.port):
                return listener
        return None

    def sender(
        self, proto: int, address: Address, forced: object | None, received_on: object | None
    ) -> Listener | None:
        """The listener to send from: the forced one; else, with `mhomed`, that of the address from which the host's
        routes lead there; else the one the message came on; else the first that fits."""
        family = address.family
        if isinstance(forced, Listener) and forced.proto == proto and forced.address.family == family:
            return forced
        if self._node.settings.mhomed:
            source = self._node.route_source(address)
            for listener in self._node.listeners:
                if listener.proto == proto and listener.address.ip == source:
                    return listener
        if isinstance(received_on, Listener) and received_on.proto == proto and received_on.address.family == family:
            return received_on
        return self.default_listener(proto, family)

    # ---- URIs

    def of_uri(
        self, uri: bytes, forced: object | None, connection_id: int, received_on: object | None
    ) -> Sequence[Destination]:
        """RFC 3263 for a SIP URI; empty for what can't be reached. Waits if a name must be resolved."""
        try:
            parsed = parse_uri(uri)
        except ParseError as error:
            log.info("no destination in %r: %s", uri, error)
            return ()
        if not parsed.is_sip:
            log.info("no destination for a %s URI", parsed.scheme.decode("ascii", "replace"))
            return ()
        proto = self._protocol(parsed, forced)
        if proto < 0:
            log.info("no destination: transport %s is not for sips", parsed.transport.decode("ascii", "replace"))
            return ()
        host = parsed.param(b"maddr") or parsed.host
        key = (host, parsed.port, proto, forced, received_on)
        known = self._known.get(key)
        if known is None:
            if is_ip(host):
                known = self._literal(host, parsed.port, proto, forced, received_on)
            else:
                return self._resolved(parsed, host, proto, forced, received_on)
            if self._node.settings.mhomed:
                known = list(known)  # a list is kept by nobody: the host's routes may change
            else:
                if len(self._known) > 10_000:
                    self._known.clear()
                self._known[key] = known
        if connection_id and known:
            first = known[0]
            return [Destination(first.listener, first.address, connection_id), *known[1:]]
        return known

    def lacks_listener(self, uri: bytes) -> bool:
        """Whether a URI calls for a protocol that no listener has: why `of_uri` found nothing."""
        try:
            proto = self._protocol(parse_uri(uri), None)
        except ParseError:
            return False
        return proto > 0 and all(listener.proto != proto for listener in self._node.listeners)

    @staticmethod
    def _protocol(uri: Uri, forced: object | None) -> int:
        """The URI's protocol; 0 if it leaves the choice open, as with a transport that nobody knows, and -1 if it
        contradicts itself."""
        name = uri.transport
        proto = PROTO_IDS.get(name.decode("ascii", "replace"), 0) if name else 0
        if uri.scheme == b"sips":
            proto = _SECURE.get(proto, -1)
        if proto == 0 and isinstance(forced, Listener):
            proto = forced.proto
        return proto

    def _literal(
        self, host: bytes, port: int, proto: int, forced: object | None, received_on: object | None
    ) -> Sequence[Destination]:
        proto = proto or P_UDP
        address = Address.of(host, port or (5061 if proto in (P_TLS, P_WSS) else 5060))
        listener = self.sender(proto, address, forced, received_on)
        if listener is None:
            log.info("no listener of protocol %d to reach %s", proto, host.decode("ascii", "replace"))
            return ()
        return (Destination(listener, address),)

    def _resolved(
        self, uri: Uri, host: bytes, proto: int, forced: object | None, received_on: object | None
    ) -> Sequence[Destination]:
        resolver = self._node.resolver
        name = host.decode("ascii", "replace")
        if resolver is None:
            log.info("%s can't be resolved: this node has no resolver", name)
            return ()
        transport = next((text for text, number in PROTO_IDS.items() if number == proto), None) if proto else None
        try:
            answers = resolver.known(host, uri.port, transport, uri.scheme)
            if answers is None:
                if not can_wait():
                    log.info("%s can't be resolved where nothing may wait", name)
                    return ()
                answers = wait(resolver.resolve(host, uri.port, transport, uri.scheme))
        except ResolveError as error:
            log.info("%s: %s", name, error)
            return ()
        found: list[Destination] = []
        for answer in answers:
            listener = self.sender(answer.proto, answer.address, forced, received_on)
            if listener is not None:
                found.append(Destination(listener, answer.address))
        return found

    # ---- replies

    def of_via(self, via: Via, connection: bytes | None = None) -> Destination | None:
        """Where a response goes whose next Via this is; None if it can't be told without DNS or listener.

        `connection` is the `i` parameter of our own Via above it: the connection that the request came on.
        """
        proto = PROTO_IDS.get(via.transport.decode("ascii", "replace").lower(), 0)
        host = via.received or via.host
        if not is_ip(host):
            found = self.of_uri(b"sip:%b:%d;transport=%b" % (host, via.port or 5060, via.transport), None, 0, None)
            return found[0] if found else None
        port = via.port
        if via.rport:
            port = int(via.rport) if via.rport.isdigit() and 0 < int(via.rport) < 65536 else port
        address = Address.of(host, port or (5061 if proto in (P_TLS, P_WSS) else 5060))
        listener = self.default_listener(proto, address.family)
        if listener is None:
            return None
        try:
            connection_id = int(connection, 16) if connection else 0
        except ValueError:
            connection_id = 0
        return Destination(listener, address, connection_id)
