"""How a message travels: rport, advertised address, connection aliases and what its connections may do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kahea.modules.core.forms import core_native
from kahea.net.address import P_TCP, P_TLS, P_WS, P_WSS, PROTO_IDS
from kahea.routing.common import ReplyPath, force_rport
from kahea.routing.module import Module, function, native
from kahea.routing.text import wire
from kahea.sip.errors import ParseError

if TYPE_CHECKING:
    from kahea.routing.run import Run
    from kahea.sip.message import Message

#: Bits of `msg.facets["send_flags"]`, for whoever sends this request on or answers it over a connection.
FORWARD_CLOSE = 1
FORWARD_NO_CONNECT = 2
REPLY_CLOSE = 4
REPLY_NO_CONNECT = 8

#: The facet that overrides the global `udp_mtu_try_proto` for a message; read where requests are sent.
MTU_PROTO = "udp_mtu_try_proto"


def _mark(msg: Message, bit: int) -> bool:
    facets = msg.facets
    facets["send_flags"] = facets.get("send_flags", 0) | bit  # type: ignore[operator]
    return True


class Transport(Module):
    """Via, advertised addresses and connections."""

    def compiled(self) -> Mapping[str, Callable[..., Any]]:
        """Many scripts ask it for every request."""
        return {
            **super().compiled(),
            "force_rport": force_rport,
            "set_reply_close": ReplyPath(self.node, REPLY_CLOSE).mark,
            "set_reply_no_connect": ReplyPath(self.node, REPLY_NO_CONNECT).mark,
        }

    @core_native("force_rport", "add_rport")
    @function(group="")
    def force_rport(self, run: Run) -> bool:
        """Answer to the source port, and show it in the Via, even if the client did not ask (RFC 3581)."""
        return force_rport(run)

    @core_native("add_local_rport")
    @function(group="")
    def add_local_rport(self, run: Run) -> bool:
        """Put `;rport` into the Via that this server adds."""
        run.msg.add_local_rport = True
        return True

    @core_native("set_advertised_address", takes=("text",))
    @function(group="")
    def set_advertised_address(self, run: Run, host: str) -> int:
        """The host of this message's own Via; "" goes back to the default."""
        run.msg.advertised_host = wire(host) if host else None
        return 1

    @core_native("set_advertised_port", takes=("text",))
    @function(group="")
    def set_advertised_port(self, run: Run, port: str) -> int:
        """The port of this message's own Via; "" goes back to the default. -1 if it is no port number."""
        if not port:
            run.msg.advertised_port = 0
            return 1
        if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
            self.node.log.error("set_advertised_port: %r is no port", port)
            return -1
        run.msg.advertised_port = int(port)
        return 1

    @core_native("add_tcp_alias", "force_tcp_alias", takes=("int",))
    @function(group="")
    def add_tcp_alias(self, run: Run, port: int) -> int:
        """Let requests to the source address and this port use the connection that this message came on.

        Does nothing, successfully, for a datagram; 0 means the port of the top Via.
        """
        msg = run.msg
        return self._alias(msg, port if port > 0 else _via_port(msg))

    @core_native("add_tcp_alias", "force_tcp_alias")
    @function(group="")
    def add_tcp_alias_via(self, run: Run) -> int:
        """As add_tcp_alias() with the port of the top Via (RFC 5923 has the same in mind)."""
        return self._alias(run.msg, _via_port(run.msg))

    def _alias(self, msg: Message, port: int) -> int:
        if msg.proto not in (P_TCP, P_TLS, P_WS, P_WSS):
            return 1
        table = getattr(msg.listener, "table", None)
        if table is None:
            self.node.log.error("connection aliases are not supported by this transport")
            return -1
        return 1 if table.add_alias(msg.connection_id, port) else -1

    @native()
    @function(group="")
    def set_forward_close(self, run: Run) -> bool:
        """Close the connection that this request is forwarded on, once it is sent."""
        return _mark(run.msg, FORWARD_CLOSE)

    @native()
    @function(group="")
    def set_forward_no_connect(self, run: Run) -> bool:
        """Forward this request only over a connection that exists already."""
        return _mark(run.msg, FORWARD_NO_CONNECT)

    @native()
    @function(group="")
    def set_reply_close(self, run: Run) -> bool:
        """Close the connection that replies to this request go out on, once one is sent."""
        return ReplyPath(self.node, REPLY_CLOSE).mark(run)

    @native()
    @function(group="")
    def set_reply_no_connect(self, run: Run) -> bool:
        """Send replies to this request only over a connection that exists already."""
        return ReplyPath(self.node, REPLY_NO_CONNECT).mark(run)

    @core_native("force_send_socket", takes=("socket",))
    def force_send_socket(self, run: Run, socket: str) -> bool:
        """Send this message by a listener of ours, `[proto:]host[:port]`; -1 if there is none such."""
        # Kamailio looks for it when it starts, wherever a virtual address is then.
        listener = self.node.targets.find_listener(socket, absent=True)
        if listener is None:
            self.node.log.error("force_send_socket: there is no listener %s", socket)
            return False
        run.msg.send_sock = listener
        return True

    @core_native("udp_mtu_try_proto", takes=("text",))
    def udp_mtu_try_proto(self, run: Run, proto: str) -> bool:
        """The transport for this request if it is longer than the global `udp_mtu`; UDP for none."""
        number = PROTO_IDS.get(proto.lower())
        if number is None:
            self.node.log.error("udp_mtu_try_proto: %r is no transport", proto)
            return False
        run.msg.facets[MTU_PROTO] = number
        return True


def _via_port(msg: Message) -> int:
    """The port of the top Via, or its transport's default."""
    try:
        port = msg.via1.port
    except ParseError:
        port = 0
    return port or (5061 if msg.proto in (P_TLS, P_WSS) else 5060)
