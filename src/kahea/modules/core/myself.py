"""KSR.is_myself() and its siblings: whether a URI or address is this server's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kahea.net.address import PROTO_IDS
from kahea.routing.common import is_myself_ruri
from kahea.routing.module import Module, function, native
from kahea.routing.text import wire
from kahea.sip.errors import ParseError
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kahea.routing.run import Run


class Myself(Module):
    """Matching against listeners, advertised addresses and aliases.

    A URI matches by its host, by its port if it has one, and by its transport if it names one.
    """

    def compiled(self) -> Mapping[str, Callable[..., Any]]:
        """Nearly every script asks whether a request is for this server."""
        return {**super().compiled(), "is_myself_ruri": is_myself_ruri}

    def _is_my_uri(self, uri: bytes | None) -> bool:
        if not uri:
            return False
        try:
            parsed = parse_uri(uri)
        except ParseError:
            return False
        if not parsed.is_sip:
            return False
        transport = parsed.transport
        proto = PROTO_IDS.get(transport.decode("latin-1"), 0) if transport else 0
        return self.node.is_myself(parsed.host, parsed.port, proto)

    @native("str", module="kex")
    @native("str", name="is_myhost", module="kex")
    @function(group="")
    def is_myself(self, run: Run, uri: str) -> bool:
        """Whether a SIP URI, or a bare host, is this server's own."""
        if uri[:4].lower() == "sip:" or uri[:5].lower() == "sips:":
            return self._is_my_uri(wire(uri))
        return uri != "" and self.node.is_myself(uri)

    @function(group="")
    def is_myself_ruri(self, run: Run) -> bool:
        """Whether the Request-URI is this server's own; False in a reply."""
        return is_myself_ruri(run)

    @function(group="")
    def is_myself_duri(self, run: Run) -> bool:
        """Whether the destination URI `$du` is this server's own; False if none is set."""
        return self._is_my_uri(run.msg.dst_uri)

    @function(group="")
    def is_myself_nhuri(self, run: Run) -> bool:
        """Whether the next hop is this server: the destination URI if set, else the Request-URI."""
        msg = run.msg
        return self._is_my_uri(msg.dst_uri or (msg.uri if msg.is_request else None))

    @function(group="")
    def is_myself_furi(self, run: Run) -> bool:
        """Whether the URI of From is this server's own."""
        try:
            return self._is_my_uri(run.msg.from_.uri)
        except ParseError:
            return False

    @function(group="")
    def is_myself_turi(self, run: Run) -> bool:
        """Whether the URI of To is this server's own."""
        try:
            return self._is_my_uri(run.msg.to.uri)
        except ParseError:
            return False

    @function(group="")
    def is_myself_suri(self, run: Run) -> bool:
        """Whether the message came from this server: source address, port and transport."""
        msg = run.msg
        return self.node.is_myself(msg.src_ip, msg.src_port, msg.proto)

    @function(group="")
    def is_myself_srcip(self, run: Run) -> bool:
        """Whether the message came from an IP address of this server, whatever the port."""
        return self.node.is_myself(run.msg.src_ip)
