"""Sending bytes of the script's own, outside of any transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.net.address import Listener
from kahea.routing.module import Module, function
from kahea.routing.text import wire
from kahea.sip.errors import ParseError
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.routing.run import Run


class Sending(Module):
    """Raw sending, and forwarding as a user agent."""

    @function
    def send_data(self, run: Run, uri: str, data: str) -> int:
        """Send `data` as it is to where a SIP URI leads; -1 if that is nowhere."""
        return self._send(uri, data, None)

    @function
    def sendx(self, run: Run, uri: str, sock: str, data: str) -> int:
        """As send_data(), from the listener `sock`; from the usual one, with a warning, if there is none."""
        listener = self.node.find_listener(sock) if sock else None
        if listener is None and sock:
            self.node.log.warning("sendx: there is no listener %r", sock)
        return self._send(uri, data, listener)

    def _send(self, uri: str, data: str, listener: Listener | None) -> int:
        target = wire(uri)
        try:
            parse_uri(target)
        except ParseError:
            self.node.log.error("send_data: %r is no URI", uri)
            return -1
        found = self.node.resolve(target, listener)
        if not found:
            return -1
        to = found[0]
        return 1 if self.node.send(to.listener, wire(data), to.address, to.connection_id) else -1

    @function
    def forward_uac(self, run: Run) -> int:
        """Not supported yet: -1, with an error in the log."""
        return self._no_uac("forward_uac")

    @function
    def forward_uac_branch(self, run: Run, branch: int) -> int:
        """Not supported yet: -1, with an error in the log."""
        return self._no_uac("forward_uac_branch")

    @function
    def forward_uac_uri(self, run: Run, uri: str) -> int:
        """Not supported yet: -1, with an error in the log."""
        return self._no_uac("forward_uac_uri")

    @function
    def forward_uac_uri_branch(self, run: Run, uri: str, branch: int) -> int:
        """Not supported yet: -1, with an error in the log."""
        return self._no_uac("forward_uac_uri_branch")

    def _no_uac(self, name: str) -> int:
        self.node.log.error("corex.%s is not supported yet", name)
        return -1
