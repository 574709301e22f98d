"""The node: one engine of SIP routing, without sockets and without a clock of its own.

It is told of datagrams and of time, runs the script's routes, and sends through its listeners. The process around it
(`kahea run`) and the simulation around it (`kahea.testing`) differ only in what clock and what listeners they give it.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from kahea.connectors.options import SLOW
from kahea.net.address import P_UDP, Address, Listener, write_ipv6
from kahea.net.connections import ConnectionTable
from kahea.routing import stateless
from kahea.routing.blocking import Blocking
from kahea.routing.dispatch import Dispatcher
from kahea.routing.generation import Generation, Route, event_message
from kahea.routing.latency import time_routes
from kahea.routing.module import ConfigError, Module
from kahea.routing.myself import Myself
from kahea.routing.parsing import tell_parsers
from kahea.routing.pv import PvError, VariableTable
from kahea.routing.received import RECEIVED_EVENT, Received
from kahea.routing.registry import Registry, explain
from kahea.routing.run import (
    BRANCH_FAILURE_ROUTE,
    EVENT_ROUTE,
    FAILURE_ROUTE,
    ONSEND_ROUTE,
    Run,
)
from kahea.routing.runtime import expose_parameters
from kahea.routing.settings import Configuration
from kahea.routing.statistics import Statistics, declare_tcp
from kahea.routing.targets import Targets
from kahea.routing.verbosity import level_of
from kahea.routing.virtual import VirtualListeners
from kahea.routing.warning import noisy_feedback
from kahea.sip.errors import ParseError
from kahea.sip.message import H_CALLID, H_CSEQ, H_FROM, H_TO, H_VIA, M_ACK, M_CANCEL, Message, parse
from kahea.sip.status import reason as reason_phrase
from kahea.sip.uri import refused_uris
from kahea.tm.forward import restore, save
from kahea.tm.hooks import Destination
from kahea.tm.layer import TransactionLayer
from kahea.tm.wheel import CallTimer, Wheel

if TYPE_CHECKING:
    from kahea.net.resolver import Resolver
    from kahea.routing.libraries import LibraryFactory
    from kahea.routing.reload import Reloader
    from kahea.routing.tracing import Tracer
    from kahea.tm.transaction import Branch, Transaction

log = logging.getLogger("kahea.node")
script_log = logging.getLogger("kahea.script")


_TOO_LARGE = os.strerror(errno.EMSGSIZE)

#: What every reply repeats of its request (RFC 3261 §8.2.6.2).
REPEATED = frozenset({H_VIA, H_FROM, H_TO, H_CALLID, H_CSEQ})


class Sending(NamedTuple):
    """What an onsend route sees of a message that is about to be sent."""

    listener: Listener
    address: Address
    data: bytes


class Engine(Protocol):
    """A script language: turns the node's script into a generation of routes."""

    def load(self) -> Generation:
        """Read the script anew. Raises ConfigError, leaving what runs as it is."""


class Node(Dispatcher):
    """See the module's docstring; `docs/architecture.md` lists what modules use of it.

    `clock()` gives seconds for intervals, `wall()` Unix time. Both are only ever called, never waited on.
    """

    def __init__(
        self,
        configuration: Configuration | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        on_earlier: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(wall)
        self.configuration = configuration or Configuration()
        self.settings = self.configuration.settings
        # Of the whole process, as are the addresses that it remembers.
        write_ipv6(self.settings.ipv6_hex_style)
        self.now = clock
        self.log = script_log
        self.started = wall()
        self.statistics = Statistics()
        self.forwarded_replies = 0
        #: Ends the process at once, for scripts that ask for it to debug.
        self.abort: Callable[[], object] = os.abort
        #: ACKs to our own stateless replies.
        self.own_acks = 0
        self._declare_statistics()
        self.listeners: list[Listener] = []
        self.resolver: Resolver | None = None
        self.wheel = Wheel(clock(), on_earlier=on_earlier)
        self.attach(TransactionLayer(self, self.wheel, clock))
        self.blocking = Blocking(self)
        self.variables = VariableTable()
        self.accept_aliases = bool(self.settings.tcp_accept_aliases)
        self.strict = self.settings.strict_messages
        self.close_failed = not self.settings.tcp_script_mode
        self.myself: Myself = Myself(self)
        self.virtual = VirtualListeners(self.myself.forget)
        self.targets = Targets(self)
        self.routes = Generation.empty()
        self._incoming: Callable[[bytes], bytes] | None = None
        self._outgoing: Callable[[bytes], bytes] | None = None
        self._look_for_received = False
        #: Told of each step of the script, where that is watched; set before the script is loaded.
        self.tracer: Tracer | None = None
        #: Makes the library of some scripts, by their language in the words of `cfgengine`; the engines set it.
        self.languages: Mapping[str, LibraryFactory] = {}
        #: Reloads the script; whoever loaded it sets it.
        self.reloader: Reloader | None = None
        #: Told of ACKs to our own stateless replies; the `sl` module sets it.
        self.on_sl_ack: Callable[[Message], object] | None = None
        #: Asked about responses to nobody here, before they are forwarded; True for "it is mine" (keepalives).
        self.stray_replies: list[Callable[[Message], bool]] = []
        #: Asked about requests that are no SIP, such as HTTP; True for "it is mine".
        self.foreign_requests: list[Callable[[Message], bool]] = []
        #: Told the ids of stream connections that are gone.
        self.connection_watchers: list[Callable[[int], object]] = []
        #: Whether the network is a simulation's: services beside SIP then open no sockets of the host.
        self.simulated = False
        #: The address of this host from which its routes lead to another, "" if it can't be told (`mhomed`).
        self.route_source: Callable[[Address], str] = lambda _address: ""
        #: Sends this process a signal; the process around the node sets it, a simulation has none.
        self.signal: Callable[[int], object] | None = None
        #: Told of transactions that a route left open; the `tm` module sets it.
        self.on_left_open: Callable[[Run], object] | None = None
        self.unsent_branches_wait = self.silent_timeouts = False
        self.registry = Registry(self, self.configuration.load)
        for module, given in self.configuration.modules.items():
            for name, value in given:
                self.registry.set_parameter(module, name, value)
        for instance in self.registry.modules.values():
            for variable in instance.variables():
                self.variables.register(variable)

    # ---- life

    def _tell_layer(self) -> None:
        """Give the transactions the global parameters that concern them."""
        settings, s = self.settings, self.layer.settings
        s.force_rport = bool(settings.force_rport)
        s.reply_to_via = bool(settings.reply_to_via)
        s.local_rport = bool(settings.local_rport)
        s.use_dns_failover = bool(settings.use_dns_failover)
        s.max_branches = min(max(settings.max_branches, 1), 30)
        s.udp_mtu = settings.udp_mtu
        s.server = self.targets.server_line
        s.warning = noisy_feedback if settings.sip_warning else None
        self.blocking.changed()

    def start(self) -> None:
        """Start the modules, in order of dependence. Raises ConfigError."""
        tell_parsers(self.settings)
        SLOW.limit, SLOW.level = self.settings.latency_limit_db, level_of(self.settings.latency_log)
        self._tell_layer()
        try:
            self.variables.format(self.settings.log_prefix)
        except PvError as error:
            raise ConfigError(f"log_prefix: {error}") from error
        for instance in self.registry.modules.values():
            instance.start()
            expose_parameters(self.configuration.runtime, instance)

    async def open(self) -> None:
        """Let the modules connect and load."""
        for instance in self.registry.modules.values():
            await instance.open()

    async def stop(self) -> None:
        """Let the modules flush and release, last started first."""
        for instance in reversed(self.registry.modules.values()):
            try:
                await instance.stop()
            except Exception:
                log.exception("module %s did not stop cleanly", instance.name)

    def add_listener(self, listener: Listener, *, virtual: bool = False) -> None:
        """Make a bound socket known; the first of a protocol is the default for sending. Of a `virtual` one the address
        is this node's only while the host has it."""
        self.listeners.append(listener)
        if virtual:
            self.virtual.add(listener)
        table = getattr(listener, "table", None)
        if isinstance(table, ConnectionTable):
            declare_tcp(self.statistics, table)
        self.myself.forget()
        self.targets.forget()
        self.layer.places.clear()
        listener.outgoing = self._outgoing

    def use(self, generation: Generation) -> None:
        """Swap in a generation of routes; transactions under way keep the one they began with."""
        time_routes(generation, self.settings)
        self.routes = generation
        self.layer.onsend = generation.onsend is not None
        self.layer.onsend_reply = self.layer.onsend and self.settings.onsend_route_reply
        self._look_for_received = bool(self.settings.received_route_mode) and generation.received is not None
        self.first_look = self._look if self._look_for_received or self._incoming is not None else None

    def intercept(self, incoming: Callable[[bytes], bytes], outgoing: Callable[[bytes], bytes]) -> None:
        """Change each message that is received before it is parsed, and each that is sent. Called before the start."""
        self._incoming, self._outgoing = incoming, outgoing
        for listener in self.listeners:
            listener.outgoing = outgoing
        self.use(self.routes)

    # ---- looking things up

    def module(self, name: str) -> Any:
        """A loaded module's instance, or None."""
        return self.registry.modules.get(name)

    def need(self, name: str) -> Module:
        """A module that must be loaded. Raises ConfigError."""
        found = self.registry.modules.get(name)
        if found is None:
            raise ConfigError(f"module {name!r} is needed and not loaded")
        return found

    def asked_for(self, name: str) -> bool:
        """Whether the configuration names a module, rather than having it loaded because every module is."""
        given = self.configuration
        return name in given.modules or name in (given.load or ())

    def listener(self, proto: int, family: int) -> Listener | None:
        """The first listener of a protocol and address family, or None."""
        return self.targets.default_listener(proto, family)

    def find_listener(self, spec: str) -> Listener | None:
        """A listener by `proto:host:port` (as declared or advertised) or by name, or None; not by the address of a
        virtual one while the host does not have it."""
        return self.targets.find_listener(spec)

    def _declare_statistics(self) -> None:
        earlier = refused_uris()
        core: dict[str, tuple[Callable[[], int], str]] = {
            "rcv_requests": (lambda: self.received_requests, "Requests received."),
            "rcv_replies": (lambda: self.received_replies, "Replies received."),
            "fwd_requests": (lambda: self.forwarded_requests, "Requests forwarded without a transaction."),
            "fwd_replies": (lambda: self.forwarded_replies, "Replies forwarded without a transaction."),
            "drop_requests": (lambda: self.dropped_requests, "Requests that concern no script: ACKs to own replies."),
            "drop_replies": (lambda: self.dropped_replies, "Replies that the script dropped."),
            "err_requests": (lambda: self.bad_requests, "Malformed requests."),
            "err_replies": (lambda: self.bad_replies, "Malformed replies."),
            "bad_msg_hdr": (lambda: self.bad_messages, "Messages with malformed headers."),
            "bad_URIs_rcvd": (lambda: refused_uris() - earlier, "Texts read as URIs that are none."),
            "overload": (lambda: self.refused_runs, "Requests refused since too many were being handled."),
        }
        for name, (read, doc) in core.items():
            self.statistics.declare("core", name, read, doc=doc)
        self.statistics.declare("dns", "failed_dns_request", lambda: getattr(self.resolver, "failed", 0), resets=False)
        self.statistics.declare("dns", "slow_dns_request", lambda: getattr(self.resolver, "slow", 0), resets=False)
        for name in self.tally.names():
            self.statistics.declare("core", name, partial(self.tally.value, name))

    def count(self, group: str, name: str, by: int = 1) -> None:
        """Add to a statistic."""
        self.statistics.count(group, name, by)

    # ---- time

    def call_later(self, seconds: float, callback: Callable[..., object], *args: Any) -> CallTimer:
        """Call back on the node's clock, in the hub; an error of it is logged. The timer has `cancel()`."""
        timer = CallTimer(self._guarded, (callback, args))
        self.wheel.schedule(timer, self.now() + seconds)
        return timer

    def _guarded(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            callback(*args)
        except Exception:
            log.exception("a timer failed")

    def next_deadline(self) -> float | None:
        """When `advance` is due next, on the node's clock, or None."""
        return self.wheel.next_deadline()

    def advance(self, now: float) -> int:
        """Fire the timers that are due; returns how many."""
        try:
            return self.wheel.advance(now)
        except Exception:
            log.exception("a timer failed")
            return 0

    # ---- messages in

    def on_batch_end(self) -> None:
        """All datagrams of a batch were handed in."""

    def on_connection_closed(self, listener: Listener, connection_id: int, peer: Address, reason: str) -> None:
        """A stream connection is gone: whoever keeps something for it is told."""
        log.debug("%s: connection %d with %s closed: %s", listener.uri, connection_id, peer.ip, reason)
        for watcher in self.connection_watchers:
            watcher(connection_id)

    def on_send_error(self, listener: Listener, address: Address, data: bytes, reason: str) -> None:
        """A stream could not deliver: the branch that sent this tries its next destination."""
        log.info("can't send to %s:%d over %s: %s", address.ip, address.port, listener.proto_name, reason)
        try:
            msg = parse(data)
            if not msg.is_request:
                t = self.layer.lookup(msg) if self.blocking.is_on else None
                if t is not None:
                    self.blocking.not_sent(listener, address, t.request, reply=True)
                return
            branch = self.layer.match(msg) if msg.method_id != M_CANCEL else None
        except ParseError:
            return
        if branch is not None and branch.request == data:
            # A datagram that is too large says nothing of where it was to go.
            if self.blocking.is_on and reason != _TOO_LARGE:
                self.blocking.not_sent(listener, address, branch.transaction.request, reply=False)
            if not self.unsent_branches_wait:
                self.layer.send_failed(branch)

    def on_unframed(self, listener: Listener, head: bytes, source: Address, connection_id: int, reason: str) -> None:
        """A stream's message whose Content-Length is wrong: answered like any malformed request."""
        if not self.strict:
            return
        try:
            msg = parse(head)
        except ParseError:
            return
        at = listener.address
        msg.set_origin(
            source.ip_bytes, source.port, at.ip_bytes, at.port, listener.proto, source, listener, connection_id,
            self.wall(), 0,
        )  # fmt: skip
        if msg.is_request:
            log.info("malformed request from %s:%d: %s", source.ip, source.port, reason)
            self.refuse(msg, ParseError("Bad Content-Length"))

    def take_foreign(self, msg: Message) -> bool:
        """Whether a module takes a request that is not valid SIP."""
        return any(take(msg) for take in self.foreign_requests)

    def refuse(self, msg: Message, error: ParseError) -> None:
        """Answer a malformed request as RFC 3261 calls for, with what it has for an answer (`strict_messages`)."""
        if msg.method_id == M_ACK or not isinstance(msg.listener, Listener) or not isinstance(msg.source, Address):
            return
        reason = error.reason.encode("utf-8", "surrogateescape")
        try:
            data = msg.build_reply(error.status, reason, self.sl_tag(msg), b"", b"", self._server(msg))
        except ParseError:
            # It lacks what every reply repeats: whatever of that is there (RFC 3261 §8.2.6.2).
            kept = [msg.raw[h.start : h.end] for h in msg.headers() if h.kind in REPEATED]
            line = b"SIP/2.0 %d %b\r\n" % (error.status, reason)
            data = b"".join([line, *kept, self._server(msg), b"Content-Length: 0\r\n\r\n"])
        try:
            destination = self.reply_destination(msg)
        except ParseError:
            # Its Via can't be read: back to where it came from.
            destination = Destination(msg.listener, msg.source, msg.connection_id)
        destination.listener.send(data, destination.address, destination.connection_id)

    def is_new(self, msg: Message) -> bool:
        return msg.method_id not in (M_ACK, M_CANCEL) and not msg.to.tag and self.layer.lookup(msg) is None

    # ---- routes

    def run_event(self, name: str, msg: Message | None = None, **context: Any) -> Run | None:
        """Run the event route of that name in a worker, if the script has one; its Run, or None.

        Without a message it gets a made-up one (Kamailio's faked message).
        """
        route = self.routes.event(name)
        if route is None:
            return None
        return self._run_event(route, name, msg, context)

    def call_route(self, name: str, event: str, msg: Message | None = None, **context: Any) -> Run | None:
        """Run a script function that a module's parameter names (`event_callback` and its kin) for an event."""
        route = self.routes.find(name)
        if route is None:
            script_log.error("the script has no %s for %s", name, event)
            return None
        return self._run_event(route, event, msg, context)

    def _run_event(self, route: Route, name: str, msg: Message | None, context: dict[str, Any]) -> Run:
        run = Run(self, msg or event_message(), EVENT_ROUTE, name)
        run.generation = self.routes
        for key, value in context.items():
            setattr(run, key, value)
        self.pool.run(self.execute, run, route)
        return run

    # ---- tm.hooks.Hooks

    def _generation(self, t: Transaction) -> Generation:
        return t.generation if t.generation is not None else self.routes

    def run_failure_route(self, name: str, t: Transaction, branch: Branch) -> None:
        """The failure route, on the request as it was forwarded, with the failed branch's target."""
        self._run_on_request(FAILURE_ROUTE, name, t, branch)

    def run_branch_failure_route(self, name: str, t: Transaction, branch: Branch) -> None:
        """`event_route[tm:branch-failure:NAME]` for one failed branch."""
        self._run_on_request(BRANCH_FAILURE_ROUTE, name, t, branch)

    def _look(self, listener: Listener, data: bytes, source: Address, connection_id: int) -> bytes | None:
        """What is parsed of what was received, None if that is dropped."""
        if self._incoming is not None:
            data = self._incoming(data)
        asks = self._look_for_received
        return data if not asks or self._ask_received_route(listener, data, source, connection_id) else None

    def _ask_received_route(self, listener: Listener, data: bytes, source: Address, connection_id: int) -> bool:
        """`event_route[core:msg-received]`, which knows what was received by `$rcv(...)` alone; False drops it."""
        route = self.routes.received
        if route is None:
            return True
        run = Run(self, event_message(), EVENT_ROUTE, RECEIVED_EVENT)
        run.state[RECEIVED_EVENT] = Received(listener, data, source, connection_id)
        self.execute(run, route)
        return not run.drop

    def run_onsend_route(
        self,
        msg: Message,
        t: Transaction | None,
        branch: Branch | None,
        listener: Listener,
        address: Address,
        data: bytes,
    ) -> bool:
        """The onsend route for a message that is about to be sent (`$snd(...)`, `$sndto(...)`); False keeps it here."""
        run = Run(self, msg, ONSEND_ROUTE, "", t, branch)
        route = run.generation.onsend
        if route is not None:
            msg.facets["onsend"] = Sending(listener, address, data)
            self.execute(run, route)
            del msg.facets["onsend"]
        return not run.drop

    def _run_on_request(self, kind: int, name: str, t: Transaction, branch: Branch) -> None:
        generation = self._generation(t)
        route = generation.event(f"tm:branch-failure:{name}") if kind == BRANCH_FAILURE_ROUTE else None
        if route is None:
            route = generation.find(name, "failure")
        if route is None:
            return
        msg = t.request
        if t.saved is not None:
            restore(msg, t.saved)
        if branch.uri:
            msg.set_uri(branch.uri)
        msg.dst_uri = branch.dst_uri
        msg.path = branch.path
        msg.bflags = branch.flags
        msg.sflags = 0
        msg.uri_fresh = False
        msg.faked = True
        run = Run(self, msg, kind, name, t, branch, branch.status)
        run.generation = generation
        run.reply = branch.reply
        self.execute(run, route)
        if run.failed and t.status < 200 and not t.is_pending:
            self.layer.reply(t, 500, b"Server Internal Error")
        if t.saved is not None:
            # Flags set here stay; header edits were for the branches that this route made.
            t.saved.flags = msg.flags

    def transaction_event(self, name: str, t: Transaction, msg: Message) -> None:
        """An event route of tm, if the script has one."""
        self.run_event(name, msg, transaction=t)

    def destinations(
        self, uri: bytes, send_sock: object | None, connection_id: int, received_on: object | None
    ) -> Sequence[Destination]:
        """Where a URI is sent, in order (RFC 3263); empty if nowhere. May wait."""
        return self.targets.of_uri(uri, send_sock, connection_id, received_on)

    def lacks_listener(self, uri: bytes) -> bool:
        """Whether there is no listener for the protocol that a URI calls for."""
        return self.targets.lacks_listener(uri)

    def stream_instead(self, msg: Message, address: Address) -> Destination | None:
        """The stream destination for a request too large for a datagram, None to send it as it is."""
        proto = msg.facets.get("udp_mtu_try_proto", self.settings.udp_mtu_try_proto)
        if not isinstance(proto, int) or proto in (0, P_UDP):
            return None
        stream = self.targets.default_listener(proto, address.family)
        return None if stream is None else Destination(stream, address)

    def forward_stateless(self, msg: Message) -> bool:
        """Forward a request outside of any transaction."""
        return self.forward_to(msg, None) > 0

    def reply_destination(self, msg: Message) -> Destination:
        """Where replies to a request go (RFC 3261 §18.2.2, RFC 3581)."""
        return Destination(*self.layer.reply_destination(msg))

    # ---- stateless

    def forward_reply(self, msg: Message) -> bool:
        """Forward a response that belongs to no transaction by its second Via (RFC 3261 §16.11)."""
        if any(take(msg) for take in self.stray_replies):
            return True
        via = msg.via2
        if via is None:
            return False
        if self.settings.check_via and not self.is_myself(msg.via1.host, msg.via1.port):
            log.info("a reply is not ours: it came by %s", msg.via1.host.decode("ascii", "replace"))
            return False
        destination = self.targets.of_via(via, msg.via1.param(b"i"))
        if destination is None:
            return False
        data = msg.build_response(destination.listener.proto != P_UDP)
        if self.layer.onsend_reply:
            return self.pool.run(self._forward_looked_at, msg, destination, data)
        return self._forward_data(destination, data)

    def _forward_looked_at(self, msg: Message, destination: Destination, data: bytes) -> None:
        if self.run_onsend_route(msg, None, None, destination.listener, destination.address, data):
            self._forward_data(destination, data)

    def _forward_data(self, destination: Destination, data: bytes) -> bool:
        self.forwarded_replies += 1
        return destination.listener.send(data, destination.address, destination.connection_id)

    def sl_tag(self, msg: Message) -> bytes:
        """The To tag of stateless replies: the node's own, so that ACKs to them are known (see `tag_prefix`)."""
        return stateless.sl_tag(self, msg)

    def take_alias(self, msg: Message) -> None:
        """`;alias` in a Via: requests to that address may go back on its connection (RFC 5923, tcp_accept_aliases)."""
        table = getattr(msg.listener, "table", None)
        if table is not None:
            table.add_alias(msg.connection_id, msg.via1.port or 5060)

    def take_own_ack(self, msg: Message) -> None:
        """An ACK that ends a stateless failure reply of ours (RFC 3261 §8.2.7): it concerns no script."""
        self.own_acks += 1
        if self.on_sl_ack is not None:
            self.on_sl_ack(msg)

    def explain(self, error: BaseException) -> None:
        """Add to an error of a script what may help."""
        explain(error)

    def left_open(self, run: Run) -> None:
        """A request route ended with a transaction that it neither answered nor forwarded."""
        if self.on_left_open is not None:
            self.on_left_open(run)

    def _server(self, msg: Message) -> bytes:
        warning = self.layer.settings.warning
        return self.targets.server_line + (warning(msg) if warning is not None else b"")

    def reply(self, msg: Message, status: int, reason: str | None = None) -> int:
        """A stateless reply (RFC 3261 §8.2.7); > 0 if sent."""
        phrase = reason.encode("utf-8", "surrogateescape") if reason else reason_phrase(status)
        try:
            return 1 if stateless.reply(self, msg, status, phrase) else -1
        except ParseError as error:
            log.info("can't reply: %s", error)
            return -1

    def send(self, listener: Listener, data: bytes, address: Address, connection_id: int = 0) -> bool:
        """Send bytes."""
        return listener.send(data, address, connection_id)

    def resolve(self, uri: str | bytes, sock: Listener | None = None) -> Sequence[Destination]:
        """The destinations of a URI in order; may wait."""
        data = uri if isinstance(uri, bytes) else uri.encode("utf-8", "surrogateescape")
        return self.targets.of_uri(data, sock, 0, None)

    def save_message(self, run: Run) -> None:
        """Keep the message as it is now for the later routes of its transaction (`t_flush_flags` and the like)."""
        if run.transaction is not None and run.msg is run.transaction.request:
            run.transaction.saved = save(run.msg)
