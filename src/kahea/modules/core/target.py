"""Where a request goes: the Request-URI, the destination URI, other routes of the script, forwarding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.routing.module import Module, function
from kahea.routing.text import wire
from kahea.sip.errors import ParseError
from kahea.sip.uri import Uri, parse_uri

if TYPE_CHECKING:
    from kahea.routing.run import Run


class Targeting(Module):
    """Rewriting the Request-URI and choosing the next hop."""

    @function(group="")
    def seturi(self, run: Run, uri: str) -> bool:
        """Set the Request-URI; taken as it is, as in Kamailio."""
        run.msg.set_uri(wire(uri))
        return True

    @function(group="")
    def setuser(self, run: Run, user: str) -> bool:
        """Set the user of the Request-URI; an empty one removes user and password. Of tel, the number."""
        uri = self._uri(run)
        if uri is None:
            return False
        if uri.scheme in (b"tel", b"tels"):
            run.msg.set_uri(uri.scheme + b":" + wire(user) + (b";" + uri.params if uri.params else b""))
        elif user:
            run.msg.set_uri(uri.replaced(user=wire(user)))
        else:
            run.msg.set_uri(uri.replaced(user=b"", password=b""))
        return True

    @function(group="")
    def sethost(self, run: Run, host: str) -> bool:
        """Set the host of the Request-URI, all else kept; a tel URI becomes sip with user=phone."""
        uri = self._uri(run)
        if uri is None or not host:
            return False
        if uri.scheme in (b"tel", b"tels"):
            user = uri.user + (b";" + uri.params if uri.params else b"")
            scheme = b"sip:" if uri.scheme == b"tel" else b"sips:"
            run.msg.set_uri(scheme + user + b"@" + wire(host) + b";user=phone")
        else:
            run.msg.set_uri(uri.replaced(host=wire(host)))
        return True

    def _uri(self, run: Run) -> Uri | None:
        if not run.msg.is_request:
            return None
        try:
            uri = parse_uri(run.msg.uri)
        except ParseError:
            self.node.log.error("the Request-URI %r can't be parsed", run.msg.uri)
            return None
        if uri.is_sip or uri.scheme in (b"tel", b"tels"):
            return uri
        self.node.log.error("a %s URI has no user and host to set", uri.scheme.decode("latin-1"))
        return None

    @function(group="")
    def setdsturi(self, run: Run, uri: str) -> bool:
        """Set the destination URI (`$du`), the next hop that overrides the Request-URI; "" resets it."""
        run.msg.dst_uri = wire(uri) if uri else None
        return True

    @function(group="")
    def resetdsturi(self, run: Run) -> bool:
        """Forget the destination URI."""
        run.msg.dst_uri = None
        return True

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
