"""Sending bytes of the script's own, outside of any transaction."""

from __future__ import annotations

from typing import Any

from kahea.net.address import P_UDP, Listener
from kahea.routing.module import Module, function, native
from kahea.routing.run import CORE_ONREPLY_ROUTE, FAILURE_ROUTE, REQUEST_ROUTE, Run
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.message import H_VIA, Message, parse
from kahea.sip.uri import parse_uri
from kahea.tm.forward import stateless_branch, via_line


class Sending(Module):
    """Raw sending, and forwarding as a user agent."""

    @native("str", "str")
    @function
    def send_data(self, run: Run, uri: str, data: str) -> int:
        """Send `data` as it is to where a SIP URI leads; -1 if that is nowhere."""
        return self._send(uri, data, None)

    @native("str", "str", "str")
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

    @native("str", name="send_udp", least=0, routes=REQUEST_ROUTE | FAILURE_ROUTE)
    def send_udp(self, run: Run, hostport: str = "") -> int:
        """Send the request as it was received to `host[:port]`, or to where it would go, over UDP. No Via is added."""
        return self._send_received(run, hostport, "udp")

    @native("str", name="send_tcp", least=0, routes=REQUEST_ROUTE | FAILURE_ROUTE)
    def send_tcp(self, run: Run, hostport: str = "") -> int:
        """As send_udp(), over TCP."""
        return self._send_received(run, hostport, "tcp")

    def _send_received(self, run: Run, hostport: str, proto: str) -> int:
        msg = run.msg
        target = wire(f"sip:{hostport}") if hostport else msg.dst_uri or msg.uri
        try:
            uri = parse_uri(target)
        except ParseError:
            self.node.log.error("send_%s: %r is no address", proto, text(target))
            return -1
        kept = [p for p in uri.params.split(b";") if p and not p.lower().startswith(b"transport=")]
        target = uri.replaced(params=b";".join([*kept, b"transport=" + proto.encode()]))
        found = self.node.destinations(target, msg.send_sock, 0, msg.listener)
        if not found:
            return -1
        to = found[0]
        return 1 if self.node.send(to.listener, msg.raw, to.address, to.connection_id) else -1

    @native(name="forward_reply", routes=CORE_ONREPLY_ROUTE)
    def forward_reply(self, run: Run) -> int:
        """Forward the reply in hand by its next Via, now."""
        return 1 if not run.msg.is_request and self.node.forward_reply(run.msg) else -1

    # ---- as a user agent: with our Via alone, so that the replies end here

    @function
    def forward_uac(self, run: Run) -> int:
        """Forward the request with our Via as its only one, to where it would go."""
        return self._forward_alone(run, "", None)

    @native("int", name="forward_uac", least=0, routes=REQUEST_ROUTE)
    def forward_uac_native(self, run: Run, branch: int | None = None) -> int:
        """As forward_uac_branch(), the index optional."""
        return self._forward_alone(run, "", branch)

    @function
    def forward_uac_branch(self, run: Run, branch: int) -> int:
        """As forward_uac(), with this index at the end of the Via's branch."""
        return self._forward_alone(run, "", branch)

    @function
    def forward_uac_uri(self, run: Run, uri: str) -> int:
        """As forward_uac(), to where `uri` leads."""
        return self._forward_alone(run, uri, None)

    @native("str", "int", name="forward_uac_uri", least=1, routes=REQUEST_ROUTE)
    def forward_uac_uri_native(self, run: Run, uri: str, branch: int | None = None) -> int:
        """As forward_uac_uri_branch(), the index optional."""
        return self._forward_alone(run, uri, branch)

    @function
    def forward_uac_uri_branch(self, run: Run, uri: str, branch: int) -> int:
        """As forward_uac_branch(), to where `uri` leads."""
        return self._forward_alone(run, uri, branch)

    def _forward_alone(self, run: Run, uri: str, branch: int | None) -> int:
        msg = run.msg
        if not msg.is_request:
            return -1
        target = wire(uri) if uri else msg.dst_uri or msg.uri
        try:
            found = self.node.destinations(target, msg.send_sock, 0, msg.listener)
            if not found:
                self.node.log.error("forward_uac: %r leads nowhere", text(target))
                return -1
            to = found[0]
            data = self._alone(msg, to.listener, branch)
        except ParseError as error:
            self.node.log.error("forward_uac: %s", error)
            return -1
        return 1 if self.node.send(to.listener, data, to.address, to.connection_id) else -1

    def _alone(self, msg: Message, listener: Listener, branch: int | None) -> bytes:
        """The request with its edits, and no Via but ours."""
        edits = msg.edits_snapshot()
        try:
            callbacks: Any = msg.facets.get("before_send", ())
            for complete in callbacks:
                complete(msg, listener)
            for header in msg.headers_of(H_VIA):
                msg.remove_header(header)
            bare = parse(msg.rebuild())
        finally:
            msg.edits_restore(edits)
        index = b"" if branch is None else b".%d" % branch
        via = via_line(listener, stateless_branch(msg) + index, None, self.node.layer.settings.local_rport)
        return bare.build_request(bare.uri, via, b"", listener.proto != P_UDP)
