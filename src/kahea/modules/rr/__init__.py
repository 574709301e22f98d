"""Record-Route and Route: staying on the path of a dialog, and following it (RFC 3261 §16.4, §16.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kahea.modules.rr import loose, record
from kahea.modules.rr.loose import LooseRouter
from kahea.modules.rr.record import Recorder
from kahea.net.address import P_TLS, P_UDP, PROTO_IDS, Listener
from kahea.routing.module import ConfigError, Module, Param, Value, function, native, variable
from kahea.routing.pv.errors import PvError
from kahea.routing.regex import RegexError, compile_posix
from kahea.routing.run import BRANCH_ROUTE, FAILURE_ROUTE, REQUEST_ROUTE
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.message import H_ROUTE
from kahea.sip.uri import Uri, parse_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kahea.routing.node import Node
    from kahea.routing.pv import Pv
    from kahea.routing.run import Run
    from kahea.sip.message import Message

DOWNSTREAM, UPSTREAM = 1, 2

#: Where a Record-Route may be added.
_RECORDING = REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE


class RecordRouting(Module):
    """Record routing and loose routing."""

    name = "rr"

    enable_full_lr = Param(0, "1 writes `;lr=on` instead of `;lr`, for clients that lose a bare parameter.")
    append_fromtag = Param(1, "1 puts the initial From tag into Record-Route, for is_direction().")
    enable_double_rr = Param(
        1,
        "1 writes two Record-Routes where a request leaves by another listener than it came; 2 always.",
    )
    add_username = Param(0, "1 puts the Request-URI's user into Record-Route.")
    enable_socket_mismatch_warning = Param(1, "1 warns when the second Record-Route is no listener of ours.")
    custom_user_avp = Param("", "A variable that holds the user to put into Record-Route instead.")
    force_send_socket = Param(0, "1 sends by the listener that a single own Route names, too.")
    ignore_sips = Param(0, "1 writes sip even if the Request-URI is sips.")
    sockname_mode = Param(0, "1 names the listener in the parameter `sn`, and finds it again by that.")
    loose_route_mode = Param(0, "The mode of loose_route(): 1 does not look for strict routers.")

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        #: Called by loose_route() with the message and our own Route, for modules that left something in it.
        self.route_callbacks: list[Callable[[Message, Uri], None]] = []
        self.router = LooseRouter(self, node, self.route_callbacks)
        self.recorder = Recorder(self, self.router, self._username)
        self._user: Pv | None = None

    def compiled(self) -> Mapping[str, Callable[..., Any]]:
        """Every request of a dialog passes one of these."""
        return {"record_route": self.recorder.record_route, "loose_route": self.router.loose_route}

    def start(self) -> None:
        """Hand the parameters on; compile `custom_user_avp`."""
        router, recorder = self.router, self.recorder
        router.double_rr = bool(self.enable_double_rr)
        router.force_socket = bool(self.force_send_socket)
        router.by_names = recorder.names = bool(self.sockname_mode)
        router.mode = self.loose_route_mode
        recorder.double = self.enable_double_rr
        recorder.from_tag = bool(self.append_fromtag)
        recorder.with_user = bool(self.add_username)
        recorder.ignore_sips = bool(self.ignore_sips)
        recorder.lr = b";lr=on" if self.enable_full_lr else b";lr"
        if self.custom_user_avp:
            try:
                self._user = self.node.variables.compile(self.custom_user_avp)
            except PvError as error:
                raise ConfigError(f"parameter rr.custom_user_avp: {error}") from error

    # Record-Route

    @native(routes=_RECORDING)
    @function
    def record_route(self, run: Run) -> int:
        """Add a Record-Route with this server's address; -1 if there is one already."""
        return self.recorder.record_route(run)

    @native("str", name="record_route", routes=_RECORDING)
    @function
    def record_route_params(self, run: Run, params: str) -> int:
        """As record_route(), with URI parameters (";name=value") behind."""
        code = self.recorder.record_route(run)
        if code > 0 and params:
            record.add_params(run, wire(params))
        return code

    @native("str", "str", routes=_RECORDING)
    @function
    def record_route_preset(self, run: Run, address: str, inbound: str) -> int:
        """Add a Record-Route with the given `host[:port][;params]`, and a second if `inbound` is not ""."""
        if inbound and not self.enable_double_rr:
            self.node.log.error("record_route_preset: a second address needs rr.enable_double_rr")
            return -1
        return self.recorder.record(run, record.PRESET, wire(address), wire(inbound))

    @native("str", name="record_route_preset", routes=_RECORDING)
    @function
    def record_route_preset_one(self, run: Run, address: str) -> int:
        """Add one Record-Route with the given `host[:port][;params]`."""
        return self.recorder.record(run, record.PRESET, wire(address), b"")

    @native("str", routes=_RECORDING)
    @function
    def record_route_advertised_address(self, run: Run, address: str) -> int:
        """Add Record-Route with the given `host[:port]` and, where transports differ, one for each."""
        return self.recorder.record(run, record.ADVERTISED, wire(address), b"")

    @native("str", routes=_RECORDING)
    @function
    def add_rr_param(self, run: Run, params: str) -> int:
        """Append URI parameters (";name=value") to Record-Route, whether it is there yet or not."""
        record.add_params(run, wire(params))
        return 1

    @native(routes=REQUEST_ROUTE | FAILURE_ROUTE)
    @function
    def remove_record_route(self, run: Run) -> int:
        """Take back record_route(), with the parameters added to it."""
        if self.recorded(run):
            record.note(run, record.RecordRoute())
        return 1

    def recorded(self, run: Run) -> bool:
        """Whether the message is to get a Record-Route of ours."""
        return record.of(run).style != record.NONE

    def _username(self, run: Run, target: bytes) -> bytes:
        if self._user is not None:
            chosen = self._user.get(run)
            if chosen is not None and chosen != "":
                return wire(str(chosen))
        try:
            return parse_uri(target).user
        except ParseError:
            return b""

    # Route

    @native(routes=REQUEST_ROUTE)
    @function
    def loose_route(self, run: Run) -> int:
        """Follow the Route headers.

        1: the next hop is set, or the Request-URI is the next hop; -1: no Route, or a broken one; -3: an
        initial request whose only Route was this server, to be routed as if it had none.
        """
        return self.router.loose_route(run)

    @native("int", name="loose_route_mode", routes=REQUEST_ROUTE)
    @function(name="loose_route_mode")
    def route_with_mode(self, run: Run, mode: int) -> int:
        """As loose_route(), but with mode 1 a Request-URI that is our own is not a strict router's doing."""
        return self.router.route(run.msg, mode)

    @native(routes=REQUEST_ROUTE)
    @function
    def loose_route_preloaded(self, run: Run) -> int:
        """As loose_route(), but 1 only for an initial request whose Routes were this server's alone."""
        return 1 if self.router.loose_route(run) == loose.PRELOADED else -1

    @native(name="rr_next_hop_route")
    @function
    def next_hop_route(self, run: Run) -> int:
        """Whether loose_route() took the next hop from a Route header behind our own."""
        return 1 if run.msg.facets.get(loose.FACET_NEXT) else -1

    @native("regex", routes=REQUEST_ROUTE)
    @function
    def check_route_param(self, run: Run, pattern: str) -> int:
        """Whether a regular expression is found in the own Route's URI parameters."""
        route = self.router.own_route(run.msg)
        if route is None:
            return -1
        try:
            expression = compile_posix(pattern, ignore_case=True)
        except RegexError as error:
            self.node.log.error("check_route_param: %r: %s", pattern, error)
            return -1
        return 1 if expression.search(text(route.params)) else -1

    @native("text", routes=REQUEST_ROUTE)
    @function
    def is_direction(self, run: Run, direction: str) -> int:
        """Whether the request goes "downstream" (from the dialog's caller) or "upstream"; by `ftag`."""
        wanted = {"downstream": DOWNSTREAM, "upstream": UPSTREAM}.get(direction.lower())
        if wanted is None:
            self.node.log.error("is_direction: %r is neither downstream nor upstream", direction)
            return -6
        return 1 if self.router.direction(run.msg) == wanted else -1

    # Listeners

    def by_name(self, uri: Uri) -> Listener | None:
        """The listener that a Route's parameter `sn` names."""
        name = uri.param(b"sn")
        if not name:
            return None
        wanted = text(name)
        return next((x for x in self.node.listeners if x.name == wanted), None)

    def force_socket(self, msg: Message, uri: Uri, *, second: bool) -> None:
        """Send by the listener whose address a Route gives."""
        listener = self.by_name(uri) if self.sockname_mode else None
        listener = listener or self._by_address(uri)
        if listener is not None:
            msg.send_sock = listener
        elif second and self.enable_socket_mismatch_warning:
            self.node.log.warning("the second Record-Route is no listener of ours: %s", text(uri.raw))

    def _by_address(self, uri: Uri) -> Listener | None:
        transport = uri.transport
        proto = PROTO_IDS.get(text(transport), 0) if transport else P_TLS if uri.scheme == b"sips" else P_UDP
        port = uri.port or (5061 if proto == P_TLS else 5060)
        for listener in self.node.listeners:
            if listener.proto == proto and (
                (listener.address.host == uri.host and listener.address.port == port)
                or (
                    listener.advertised_host == uri.host and (listener.advertised_port or listener.address.port) == port
                )
            ):
                return listener
        return None

    # Variables

    @variable("route_uri")
    def get_route_uri(self, run: Run, name: str, index: int | None) -> Value:
        """The URI of the first Route header."""
        if run.msg.header(H_ROUTE) is None:
            return None
        try:
            return text(loose.route_values(run.msg)[0].uri)
        except (ParseError, IndexError):
            return None

    @variable("fti")
    def get_fti(self, run: Run, name: str, index: int | None) -> Value:
        """The From tag of the dialog's initial request."""
        return _tag(run.msg, from_to=self.router.direction(run.msg) == UPSTREAM)

    @variable("tti")
    def get_tti(self, run: Run, name: str, index: int | None) -> Value:
        """The To tag of the dialog's initial request; None if it has none yet."""
        return _tag(run.msg, from_to=self.router.direction(run.msg) != UPSTREAM)

    @variable("rdir", takes_name=True)
    def get_rdir(self, run: Run, name: str, index: int | None) -> Value:
        """The direction of the request: $rdir(id) is 1 or 2, $rdir(name) "downstream" or "upstream"."""
        direction = self.router.direction(run.msg)
        if name == "id":
            return direction
        return "downstream" if direction == DOWNSTREAM else "upstream"


def _tag(msg: Message, *, from_to: bool) -> Value:
    try:
        tag = msg.to.tag if from_to else msg.from_.tag
    except ParseError:
        return None
    return text(tag) if tag else None


MODULE = RecordRouting
