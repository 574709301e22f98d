"""The listener that a message came by, or is to leave by, and where it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.net.address import PROTO_IDS, Address, Listener
from kahea.routing.module import Module, function, native
from kahea.routing.text import wire

if TYPE_CHECKING:
    from kahea.routing.run import Run
    from kahea.sip.message import Message


class Sockets(Module):
    """Choosing listeners. A listener that is not found is warned of, and nothing changes, as in Kamailio."""

    def _by_address(self, address: str) -> Listener | None:
        found = self.node.find_listener(address) if address else None
        # find_listener() knows names too, which have functions of their own here.
        if found is not None and found.name == address:
            found = None
        return self._warned(address, found)

    def _by_name(self, name: str) -> Listener | None:
        wanted = name.lower()
        found = next((x for x in self.node.listeners if name and x.name.lower() == wanted), None)
        return self._warned(name, found)

    def _warned(self, wanted: str, found: Listener | None) -> Listener | None:
        if found is None and wanted:
            self.node.log.warning("there is no listener %r", wanted)
        return found

    @native("str")
    @function
    def set_send_socket(self, run: Run, address: str) -> int:
        """Send from the listener with this address ("udp:192.0.2.1:5060")."""
        listener = self._by_address(address)
        if listener is not None:
            run.msg.send_sock = listener
        return 1

    @native("str")
    @function
    def set_send_socket_name(self, run: Run, name: str) -> int:
        """Send from the listener of this name."""
        listener = self._by_name(name)
        if listener is not None:
            run.msg.send_sock = listener
        return 1

    @native("str")
    @function
    def set_recv_socket(self, run: Run, address: str) -> int:
        """Treat the message as received by the listener with this address."""
        listener = self._by_address(address)
        if listener is not None:
            _receive_by(run.msg, listener)
        return 1

    @native("str")
    @function
    def set_recv_socket_name(self, run: Run, name: str) -> int:
        """Treat the message as received by the listener of this name."""
        listener = self._by_name(name)
        if listener is not None:
            _receive_by(run.msg, listener)
        return 1

    @native("str")
    @function
    def is_socket_name(self, run: Run, name: str) -> int:
        """Whether a listener has this name, in any case."""
        wanted = name.lower()
        return 1 if name and any(x.name.lower() == wanted for x in self.node.listeners) else -1

    @native("str")
    @function
    def set_source_address(self, run: Run, address: str) -> int:
        """Treat the message as sent from "[proto:]host[:port]" (any proto); -1 for an unknown host."""
        source = self._source(address)
        if source is None:
            self.node.log.error("set_source_address: %r can't be resolved", address)
            return -1
        msg = run.msg
        msg.src_ip = source.ip_bytes
        msg.src_port = source.port
        msg.source = source
        return 1

    def _source(self, address: str) -> Address | None:
        proto, _, rest = address.partition(":")
        if proto.lower() in PROTO_IDS:
            address = rest
        if not address:
            return None
        bracket = address.startswith("[")
        host, _, port = address.rpartition(":") if address[-1:] != "]" and ":" in address else (address, "", "0")
        if not port.isdigit() or int(port) > 65535:
            return None
        try:
            return Address.of(host, int(port))
        except ValueError:
            if bracket or not host:
                return None
        found = self.node.resolve(wire(f"sip:{host}:{port}" if int(port) else f"sip:{host}"))
        return Address.of(found[0].address.ip, int(port)) if found else None


def _receive_by(msg: Message, listener: Listener) -> None:
    """The message came to `listener`, for replies and variables; what is forwarded leaves as before."""
    if "arrived_on" not in msg.facets:
        msg.facets["arrived_on"] = msg.listener
    msg.listener = listener
    msg.proto = listener.proto
    msg.dst_ip = listener.address.ip_bytes
    msg.dst_port = listener.address.port
