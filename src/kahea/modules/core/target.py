"""Where a request goes: the destination URI, other routes of the script, forwarding without a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.modules.core.forms import core_native
from kahea.net.address import PROTO_NAMES, is_ip
from kahea.routing.module import Module, function, native
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.routing.run import Run

#: What stands for the Request-URI's own in forward().
URI_HOST = "uri:host"
URI_PORT = "uri:port"


class Targeting(Module):
    """Choosing the next hop."""

    @native("str", name="setdsturi", module="kex")
    def setdsturi_native(self, run: Run, uri: str) -> bool:
        """As `setdsturi`; the Request-URI becomes one that is yet to be tried, as with `$du = ...`."""
        run.msg.dst_uri = wire(uri) if uri else None
        return True

    @function(group="")
    def setdsturi(self, run: Run, uri: str) -> bool:
        """Set the destination URI (`$du`), the next hop that overrides the Request-URI; "" resets it.

        A Request-URI that was tried already is not tried again for that (in a failure route); with `$du` it is.
        """
        tried = not run.msg.uri_fresh
        self.setdsturi_native(run, uri)
        if tried:
            run.msg.uri_fresh = False
        return True

    @native(module="kex")
    @function(group="")
    def resetdsturi(self, run: Run) -> bool:
        """Forget the destination URI."""
        run.msg.dst_uri = None
        return True

    @native(module="kex")
    @function(group="")
    def isdsturiset(self, run: Run) -> bool:
        """Whether a destination URI is set."""
        return bool(run.msg.dst_uri)

    @function(group="")
    def forward(self, run: Run) -> int:
        """Forward statelessly to the destination URI or the Request-URI (RFC 3261 §16.11)."""
        return self.node.forward(run)

    @function(group="")
    def forward_uri(self, run: Run, uri: str) -> int:
        """Forward statelessly to the hop that `uri` names; the Request-URI stays."""
        return self.node.forward(run, uri)

    @core_native("forward", takes=("text", "text"), least=0)
    def forward_native(self, run: Run, host: str = "", port: str = "") -> int:
        """Forward statelessly: to the destination URI or the Request-URI, or to a host and port.

        `uri:host` and `uri:port` stand for those of the Request-URI, and for its transport. To a host that is named,
        the request goes by the protocol that it came by.
        """
        return self._forward_to(run, host, port, "") if host else self.node.forward(run)

    @core_native("forward_udp", takes=("text", "text"), least=1)
    def forward_udp(self, run: Run, host: str, port: str = "") -> int:
        """As forward(host, port), over UDP."""
        return self._forward_to(run, host, port, "udp")

    @core_native("forward_tcp", takes=("text", "text"), least=1)
    def forward_tcp(self, run: Run, host: str, port: str = "") -> int:
        """As forward(host, port), over TCP."""
        return self._forward_to(run, host, port, "tcp")

    @core_native("forward_tls", takes=("text", "text"), least=1)
    def forward_tls(self, run: Run, host: str, port: str = "") -> int:
        """As forward(host, port), over TLS."""
        return self._forward_to(run, host, port, "tls")

    @core_native("forward_sctp", takes=("text", "text"), least=1)
    def forward_sctp(self, run: Run, host: str, port: str = "") -> int:
        """As forward(host, port), over SCTP."""
        return self._forward_to(run, host, port, "sctp")

    def _forward_to(self, run: Run, host: str, port: str, proto: str) -> int:
        msg = run.msg
        if not msg.is_request:
            return -1
        if host == URI_HOST or port == URI_PORT:
            try:
                uri = parse_uri(msg.uri)
            except ParseError:
                self.node.log.error("forward: the Request-URI %r can't be parsed", msg.uri)
                return -1
            proto = proto or text(uri.transport) or ("tls" if uri.scheme == b"sips" else "udp")
            host = text(uri.host) if host == URI_HOST else host
            port = str(uri.port or "") if port == URI_PORT else port
        if is_ip(host) == 6 and not host.startswith("["):
            host = f"[{host}]"
        at = f"{host}:{port}" if port else host
        return self.node.forward(run, f"sip:{at};transport={proto or PROTO_NAMES[msg.proto]}")

    @function(group="")
    def route(self, run: Run, name: str) -> int:
        """Run another route of the script in place; -1 if there is none of this name, else its code."""
        found = run.generation.find(name)
        if found is None:
            self.node.log.error("there is no route %r", name)
            return -1
        code = found(run)
        return code if isinstance(code, int) else 1

    @function(group="")
    def set_drop(self, run: Run) -> None:
        """Drop the message (or the branch, the reply) when the route ends."""
        run.drop = True
