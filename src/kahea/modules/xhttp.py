"""Module xhttp: HTTP requests that arrive on the TCP ports of SIP, answered by the script.

A request is given to `event_route[xhttp:request]` as a message like any other, with a Via of the sender on top, so that
`$rm`, `$hdr(name)`, `$rb` and `$si` have their meaning. Requests without Content-Length need `tcp_accept_no_cl`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, ClassVar, Final

from kahea.net.address import P_UDP, Address, Listener
from kahea.routing.module import Module, Param, Value, function, native, variable
from kahea.routing.pv.chain import Transformation
from kahea.routing.regex import compile_posix
from kahea.routing.run import REQUEST_ROUTE, Run
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.message import Message, parse

log = logging.getLogger("kahea.http")

if TYPE_CHECKING:
    from kahea.net.tcp import TcpListener
    from kahea.routing.node import Node

EVENT: Final = "xhttp:request"
_FACET: Final = "xhttp"


def _pattern(value: str) -> str:
    try:
        compile_posix(value)
    except ValueError as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return value


#: The parts of `$hu`, which stands as the client sent it.
TRANSFORMATIONS: Final = (
    Transformation("url.path", lambda url: url.partition("?")[0], doc="A URL up to its query."),
    Transformation("url.querystring", lambda url: url.partition("?")[2], doc="A URL's query, without its mark."),
)


class Exchange:
    """One HTTP request, and whether it was answered."""

    def __init__(self, version: bytes, *, close: bool, head: bool) -> None:
        self.version = version
        self.close = close
        self.head = head
        self.answered = False


class Xhttp(Module):
    """HTTP requests on the TCP ports of SIP, answered by the script."""

    name = "xhttp"
    events: ClassVar = {EVENT: "An HTTP request has arrived; it waits for `xhttp_reply()`."}

    url_skip = Param("", "Requests whose URL this matches are left without an answer.", check=_pattern)
    url_match = Param("", "Requests whose URL this does not match are left without an answer.", check=_pattern)
    event_callback = Param("", "The script's function for requests, in place of event_route[xhttp:request].")

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        for transformation in TRANSFORMATIONS:
            node.variables.register_transformation(transformation)

    def start(self) -> None:
        """Take what is no SIP."""
        self.node.foreign_requests.append(self.take)

    def take(self, msg: Message) -> bool:
        """A request that is no SIP: False if it is no HTTP either, or the script has no route for it."""
        if not msg.version.startswith(b"HTTP/1.") and msg.version != b"HTTP/2.0":
            return False
        if msg.proto == P_UDP or not (self.event_callback or self.node.routes.event(EVENT)):
            return False
        url = text(msg.original_uri)
        if (self.url_skip and compile_posix(self.url_skip).search(url)) or (
            self.url_match and not compile_posix(self.url_match).search(url)
        ):
            log.debug("%s %s is left without an answer", text(msg.method), url)
            return True
        try:
            request = self._as_message(msg)
        except ParseError as error:
            log.info("bad HTTP request from %s:%d: %s", msg.src_ip.decode(), msg.src_port, error)
            return True
        if self.event_callback:
            self.node.call_route(self.event_callback, EVENT, request)
        else:
            self.node.run_event(EVENT, request)
        return True

    def _as_message(self, msg: Message) -> Message:
        """The request with a Via of its sender. Raises ParseError."""
        end = msg.raw.index(b"\n") + 1
        via = b"Via: " + _via(msg) + b"\r\n"
        made = parse(msg.raw[:end] + via + msg.raw[end:])
        made.set_origin(
            msg.src_ip, msg.src_port, msg.dst_ip, msg.dst_port, msg.proto,
            msg.source, msg.listener, msg.connection_id, msg.received_at, msg.id,
        )  # fmt: skip
        connection = made.header_named(b"Connection")
        asked = connection.body.lower() if connection is not None else b""
        close = asked == b"close" or (made.version == b"HTTP/1.0" and asked != b"keep-alive")
        made.facets[_FACET] = Exchange(made.version, close=close, head=made.method == b"HEAD")
        return made

    @function
    @native("int", "str", "str", "str", routes=REQUEST_ROUTE)
    def xhttp_reply(self, run: Run, code: int, reason: str, content_type: str, body: str) -> int:
        """Answer the HTTP request; -1 outside of one, a second time, or for a bad status."""
        return 1 if self.reply(run.msg, code, reason, content_type, wire(body)) else -1

    def reply(self, msg: Message, code: int, reason: str, content_type: str, body: bytes) -> bool:
        """Answer an HTTP request. False outside of one, a second time, for a bad status, or a connection gone."""
        exchange = msg.facets.get(_FACET)
        if not isinstance(exchange, Exchange) or exchange.answered:
            self.node.log.error("xhttp_reply: no HTTP request waits for an answer")
            return False
        if not 100 <= code <= 699 or "\r" in reason or "\n" in reason:
            self.node.log.error("xhttp_reply: bad status %d %r", code, reason)
            return False
        exchange.answered = True
        lines = [
            b"%b %d %b\r\n" % (exchange.version, code, wire(reason)),
            b"Sia: " + _via(msg) + b"\r\n",
            *msg.reply_edits,
            b"Content-Type: %b\r\n" % wire(content_type) if content_type else b"",
            self.node.targets.server_line,
            # A request for the headers alone tells how long the body would be (RFC 9110 §9.3.2).
            b"Content-Length: %d\r\n\r\n" % len(body),
            b"" if exchange.head else body,
        ]
        listener: TcpListener = msg.listener  # type: ignore[assignment]
        assert isinstance(listener, Listener)
        assert isinstance(msg.source, Address)
        sent = listener.send(b"".join(lines), msg.source, msg.connection_id)
        table = getattr(listener, "table", None)
        if exchange.close and table is not None:
            table.close(msg.connection_id, "end of the HTTP exchange")
        return sent

    @function
    def get_hu(self, run: Run) -> Value:
        """The URL of the HTTP request."""
        return self.url(run, "", None)

    @variable("hu")
    def url(self, run: Run, name: str, index: object) -> Value:
        """The URL of the HTTP request; null outside of one."""
        return text(run.msg.original_uri) if _FACET in run.msg.facets else None


def _via(msg: Message) -> bytes:
    """Where a request came from, as a Via's value."""
    assert isinstance(msg.listener, Listener)
    host = b"[%b]" % msg.src_ip if b":" in msg.src_ip else msg.src_ip
    return b"SIP/2.0/%b %b:%d" % (msg.listener.proto_name.upper().encode(), host, msg.src_port)


MODULE = Xhttp
