"""Module path: puts this server into the Path of a REGISTER, so that requests come back through it.

RFC 3327. What the header says depends on the listener that the request leaves by; it is written when that is
known, through the facet "before_send" of the message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kahea.net.address import P_UDP, PROTO_NAMES, Listener
from kahea.routing.module import ConfigError, Module, Param, function, native
from kahea.routing.run import REQUEST_ROUTE
from kahea.routing.text import wire
from kahea.sip.message import H_PATH
from kahea.sip.uri import unescape

if TYPE_CHECKING:
    from collections.abc import Callable

    from kahea.routing.run import Run
    from kahea.sip.message import Message
    from kahea.sip.uri import Uri

FACET: Final = "path.waiting"

#: Path headers that one message may wait for: a script that adds them in a loop is at fault.
MAX_WAITING: Final = 16


@dataclass(frozen=True, slots=True)
class PathHeader:
    """A Path header but for the listener. `address` stands in its place, if given."""

    user: bytes
    tail: bytes  # from `;lr` to the closing bracket
    address: bytes = b""
    names: bool = False  # name the listener in `sn`
    double: bool = False  # one for the listener it leaves by, and one for the one it came to

    def lines(self, received: Listener, sending: Listener) -> bytes:
        """The header lines, with CRLF."""
        if not self.double:
            return self._line(sending, b"")
        return self._line(sending, b";r2=on") + self._line(received, b";r2=on")

    def _line(self, listener: Listener, r2: bytes) -> bytes:
        user = self.user + b"@" if self.user else b""
        place = self.address or listener.via_host
        if listener.proto != P_UDP:
            place += b";transport=" + listener.proto_name.encode()
        if self.names and listener.name:
            place += b";sn=" + wire(listener.name)
        return b"Path: <sip:" + user + place + self.tail + r2 + b">\r\n"


def _write(msg: Message, header: PathHeader, sending: Listener) -> None:
    """Before the Path headers that are there, else after all headers; several in the order of their calls."""
    received = msg.listener if isinstance(msg.listener, Listener) else sending
    lines = header.lines(received, sending)
    there = msg.header(H_PATH)
    if there is None:
        msg.append_header(lines)
    else:
        msg.insert(there.start, lines)


def complete(msg: Message, sending: Listener) -> None:
    """Write the headers of a request that is about to leave by `sending`."""
    waiting = msg.facets.get(FACET)
    if isinstance(waiting, tuple):
        for header in waiting:
            _write(msg, header, sending)


class Path(Module):
    """Path headers (RFC 3327)."""

    name = "path"
    use_received = Param(0, "1: loose_route() sends to what the own Route's parameter `received` says.")
    received_format = Param(0, "The `received` parameter is 0: an escaped URI; 1: ip~port~protocol.")
    received_name = Param("received", "Name of that parameter.")
    enable_r2 = Param(0, "1: two Path headers, for the listeners that the request leaves by and came to.")
    sockname_mode = Param(0, "1: name the listener in the parameter `sn`.")

    def start(self) -> None:
        """Bind to rr, where `use_received` needs it."""
        if not self.use_received:
            return
        rr = self.node.module("rr")
        if rr is None:
            raise ConfigError("parameter path.use_received needs module rr")
        callbacks: list[Callable[[Message, Uri], None]] = rr.route_callbacks
        callbacks.append(self._follow)

    # ---- functions
    #
    # Natively, each of the first has the others' arguments as optional ones.

    @function
    def add_path(self, run: Run) -> int:
        """Add a Path header with this server's address."""
        return self._add(run, "", "", received=False)

    @native("str", "str", name="add_path", least=0, routes=REQUEST_ROUTE)
    def add_path_native(self, run: Run, user: str = "", params: str = "") -> int:
        """As add_path_user_params(), all optional."""
        return self._add(run, user, params, received=False)

    @native("str", "str", name="add_path_received", least=0, routes=REQUEST_ROUTE)
    def add_path_received_native(self, run: Run, user: str = "", params: str = "") -> int:
        """As add_path_received_user_params(), all optional."""
        return self._add(run, user, params, received=True)

    @native("str", "str", "str", name="add_path_advertised_address", least=1, routes=REQUEST_ROUTE)
    def add_path_advertised_native(self, run: Run, address: str, user: str = "", params: str = "") -> int:
        """As add_path_advertised_address_user_params(), the last two optional."""
        return self._add_advertised(run, address, user, params, received=False)

    @native("str", "str", "str", name="add_path_received_advertised_address", least=1, routes=REQUEST_ROUTE)
    def add_path_received_advertised_native(self, run: Run, address: str, user: str = "", params: str = "") -> int:
        """As add_path_received_advertised_address_user_params(), the last two optional."""
        return self._add_advertised(run, address, user, params, received=True)

    @function
    def add_path_user(self, run: Run, user: str) -> int:
        """Add a Path header with a user part."""
        return self._add(run, user, "", received=False)

    @function
    def add_path_user_params(self, run: Run, user: str, params: str) -> int:
        """Add a Path header with a user part and URI parameters (`a=1;b=2`)."""
        return self._add(run, user, params, received=False)

    @function
    def add_path_received(self, run: Run) -> int:
        """Add a Path header that tells where the request came from."""
        return self._add(run, "", "", received=True)

    @function
    def add_path_received_user(self, run: Run, user: str) -> int:
        """As add_path_received(), with a user part."""
        return self._add(run, user, "", received=True)

    @function
    def add_path_received_user_params(self, run: Run, user: str, params: str) -> int:
        """As add_path_received(), with a user part and URI parameters."""
        return self._add(run, user, params, received=True)

    @function
    def add_path_advertised_address(self, run: Run, address: str) -> int:
        """Add a Path header with `address` (host, or host:port) for this server's; -1 if it is empty."""
        return self._add_advertised(run, address, "", "", received=False)

    @function
    def add_path_advertised_address_user(self, run: Run, address: str, user: str) -> int:
        """As add_path_advertised_address(), with a user part."""
        return self._add_advertised(run, address, user, "", received=False)

    @function
    def add_path_advertised_address_user_params(self, run: Run, address: str, user: str, params: str) -> int:
        """As add_path_advertised_address(), with a user part and URI parameters."""
        return self._add_advertised(run, address, user, params, received=False)

    @function
    def add_path_received_advertised_address(self, run: Run, address: str) -> int:
        """As add_path_advertised_address(), telling where the request came from."""
        return self._add_advertised(run, address, "", "", received=True)

    @function
    def add_path_received_advertised_address_user(self, run: Run, address: str, user: str) -> int:
        """As add_path_received_advertised_address(), with a user part."""
        return self._add_advertised(run, address, user, "", received=True)

    @function
    def add_path_received_advertised_address_user_params(self, run: Run, address: str, user: str, params: str) -> int:
        """As add_path_received_advertised_address(), with a user part and URI parameters."""
        return self._add_advertised(run, address, user, params, received=True)

    # ---- how

    def _add_advertised(self, run: Run, address: str, user: str, params: str, *, received: bool) -> int:
        if not address:
            self.node.log.error("add_path: no address to advertise")
            return -1
        return self._add(run, user, params, received=received, address=wire(address))

    def _add(self, run: Run, user: str, params: str, *, received: bool, address: bytes = b"") -> int:
        msg = run.msg
        tail = b";lr"
        if received:
            tail += b";%b=%b" % (wire(self.received_name), self._source(msg))
        if params:
            tail += b";" + wire(params)
        header = PathHeader(wire(user), tail, address, bool(self.sockname_mode), bool(self.enable_r2))
        if len(self.node.listeners) == 1:
            _write(msg, header, self.node.listeners[0])
            return 1
        facets = msg.facets
        waiting = facets.get(FACET, ())
        assert isinstance(waiting, tuple)
        if len(waiting) >= MAX_WAITING:
            self.node.log.error("add_path: more than %d Path headers", MAX_WAITING)
            return -1
        facets[FACET] = (*waiting, header)
        callbacks: list[object] = facets.setdefault("before_send", [])  # type: ignore[assignment]
        if complete not in callbacks:
            callbacks.append(complete)
        return 1

    def _source(self, msg: Message) -> bytes:
        """Where a request came from, in the format of `received_format`."""
        host = b"[" + msg.src_ip + b"]" if b":" in msg.src_ip else msg.src_ip
        if self.received_format == 1:
            return b"%b~%d~%d" % (host, msg.src_port, msg.proto)
        uri = b"sip:%b:%d" % (host, msg.src_port)
        if msg.proto != P_UDP:
            uri += b"%3Btransport%3D" + PROTO_NAMES[msg.proto].encode()
        return uri

    def _follow(self, msg: Message, route: Uri) -> None:
        """Send to what our own Route says of where the registration came from."""
        given = route.param(wire(self.received_name))
        if given:
            msg.dst_uri = unescape(given)


MODULE = Path
