"""The process around a node: its event loop, sockets, clock and signals. Nothing here knows SIP.

Life of a server, in order:

1. The node and its modules are made, given their parameters and started, and the script is read. What is
   wrong with any of it raises ConfigError, before the first socket is bound.
2. The modules open what they need (databases); then the listeners, and traffic flows.
3. SIGHUP, or a change of the script's files where they are watched: script and settings are read anew.
4. SIGTERM or SIGINT: new requests outside of dialogs are answered by 503, transactions get `exit_timeout`
   seconds to finish, then everything is closed. A second signal ends the wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final

import uvloop

from kahea.admin.control import ControlSocket
from kahea.admin.metrics import MetricsServer
from kahea.cli import memory, process
from kahea.cli.listening import Bind, binds, reverse_names
from kahea.engines import engine_for
from kahea.net.address import P_TLS, P_UDP, Listener
from kahea.net.connections import ConnectionTable
from kahea.net.host_addresses import AddressWatch
from kahea.net.resolver import Resolver
from kahea.net.sockets import BindError, SocketOptions, route_source
from kahea.net.tcp import TcpListener
from kahea.net.tcp_limits import TcpLimits
from kahea.net.tls import TlsListener, TlsNode
from kahea.net.udp import UdpListener
from kahea.routing.node import Node
from kahea.routing.reload import Reloader
from kahea.routing.run import can_wait, wait
from kahea.routing.settings import ConfigError, Configuration, Settings
from kahea.routing.tracing import Tracer

if TYPE_CHECKING:
    from kahea.cli.tracing import Trace
    from kahea.cli.watching import Watcher

log = logging.getLogger("kahea.server")

#: How often a stopping server looks whether its transactions are done, in seconds.
STOP_CHECK: Final = 0.05
#: How often a reload looks whether the one before it is done, in seconds.
RELOAD_CHECK: Final = 0.05
#: How long the reverse names of our addresses may take to be found.
NAMES_TIMEOUT: Final = 2.0


class Ticker:
    """Drives a node's timers by the event loop: one loop timer, always at the node's next deadline."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None
        self._node: Node | None = None

    def drive(self, node: Node) -> None:
        """Begin with this node."""
        self._node = node
        self.rearm()

    def rearm(self) -> None:
        """The next deadline may have come nearer."""
        if self._node is None:
            return
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        deadline = self._node.next_deadline()
        if deadline is not None:
            # The loop counts whole milliseconds from a little before now: one more, or it fires early, and again.
            delay = int(max(deadline - self._node.now(), 0.0) * 1000) + 2
            self._handle = self._loop.call_later(delay / 1000, self._fire)

    def _fire(self) -> None:
        assert self._node is not None
        self._handle = None
        self._node.advance(self._node.now())
        self.rearm()

    def stop(self) -> None:
        """Fire no more."""
        if self._handle is not None:
            self._handle.cancel()
        self._node = self._handle = None


class Server:
    """One node with its sockets. `start`, then `wait` for a signal, then `stop`."""

    def __init__(
        self,
        configuration: Configuration,
        read: Callable[[], Configuration] | None = None,
        *,
        watch: bool = False,
        trace: Trace | None = None,
    ) -> None:
        """`read` reads the configuration anew, for a reload; `watch` reloads when the script's files change; `trace` is
        told of the script's steps."""
        self.configuration = configuration
        self.listeners: list[Listener] = []
        self._loop = asyncio.get_running_loop()
        self._ticker = Ticker(self._loop)
        self._signals = 0
        self._signalled = asyncio.Event()
        self.node = Node(configuration, clock=time.monotonic, wall=time.time, on_earlier=self._ticker.rearm)
        self.node.route_source = route_source
        self.node.signal = lambda number: os.kill(os.getpid(), number)
        self.resolver = Resolver(configuration.settings)
        self.node.resolver = self.resolver
        if trace is not None:
            trace.watch(Tracer.of(self.node))
        self._admin: list[ControlSocket | MetricsServer] = []
        self._addresses = AddressWatch(self.node.virtual.host_has)
        self._read = read
        self._watcher: Watcher | None = None
        self._reload_waits = False
        if watch:
            from kahea.cli.watching import Watcher

            self._watcher = Watcher(self.reload)

    @property
    def settings(self) -> Settings:
        """The global parameters."""
        return self.configuration.settings

    async def start(self) -> None:
        """Bring everything up. Raises ConfigError."""
        engine = engine_for(self.node)
        process.limit(self.settings)
        wanted = binds(self.settings)
        for bind, listener in zip(wanted, make_listeners(self.settings, wanted), strict=True):
            self.listeners.append(listener)
            self.node.add_listener(listener, virtual=bind.virtual)
        self.resolver.serve(self.listeners)
        if self.settings.auto_aliases:
            for name in await self._reverse_names(wanted):
                self.node.myself.add_alias(name)
        if self.node.virtual:
            try:
                self._addresses.open(self._loop)
            except OSError as error:
                raise ConfigError(f"virtual listeners: this host's addresses: {error.strerror}") from error
        self.node.start()
        if any(isinstance(one, TlsListener) for one in self.listeners) and self.node.module("tls") is None:
            log.warning("nobody can connect by TLS, since the module tls is not loaded")
        self.node.reloader = Reloader(self.node, engine, self._read_aside if self._read is not None else None)
        self.node.reloader.start()
        process.become(self.settings)
        await self.node.open()
        memory.spare(self.node.call_later, self.node.layer.__len__)
        self._ticker.drive(self.node)
        for listener in self.listeners:
            try:
                listener.open(self._loop, self.node)  # type: ignore[attr-defined]
            except BindError as error:
                raise ConfigError(str(error)) from error
        control = ControlSocket(self.node, self.settings.control_socket)
        metrics = MetricsServer(self.node, self.settings.metrics)
        for one in (control, metrics):
            await one.open()
            self._admin.append(one)
        if self._watcher is not None:
            self._watcher.start(self.node)

    def _read_aside(self) -> Configuration:
        """Read the configuration in a thread: a cfg of some thousand lines takes longer than messages should wait."""
        assert self._read is not None
        if not can_wait():
            return self._read()
        configuration: Configuration = wait(self._loop.run_in_executor(None, self._read))
        return configuration

    def reload(self) -> None:
        """Read script and settings anew, where that may wait; a failure is in the log, and changes nothing.

        One that waits for another to end will read what is there then: more need not wait.
        """
        if self._reload_waits:
            return

        def work() -> None:
            reloader = self.node.reloader
            assert reloader is not None
            self._reload_waits = reloader.busy
            while reloader.busy:
                wait(asyncio.sleep(RELOAD_CHECK))
            self._reload_waits = False
            with contextlib.suppress(ConfigError):
                reloader.reload()

        self.node.pool.run(work)

    async def _reverse_names(self, wanted: list[Bind]) -> list[str]:
        """The names of our addresses, unless the resolver keeps us waiting."""
        work = self._loop.run_in_executor(None, reverse_names, wanted)
        try:
            return await asyncio.wait_for(work, NAMES_TIMEOUT)
        except TimeoutError:
            log.warning("auto_aliases: no answer for the names of our addresses in %g s", NAMES_TIMEOUT)
            return []

    def watch_signals(self) -> None:
        """Take SIGTERM and SIGINT as the wish to stop, and SIGHUP, once all is up, as that to reload."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._on_signal)
        self._loop.add_signal_handler(signal.SIGHUP, self._on_hangup)

    def _on_hangup(self) -> None:
        if self.node.reloader is not None:
            self.reload()

    def _on_signal(self) -> None:
        self._signals += 1
        self._signalled.set()

    async def wait(self) -> None:
        """Serve until a signal asks to stop."""
        await self._signalled.wait()

    async def drain(self, limit: float) -> int:
        """Take no new calls, and wait for those under way; how many transactions did not finish in time."""
        self.node.draining = True
        signals = self._signals
        end = self._loop.time() + limit
        while (left := self.unfinished()) and self._loop.time() < end and self._signals == signals:
            await asyncio.sleep(STOP_CHECK)
        return left

    def unfinished(self) -> int:
        """Transactions that still have something to do but absorb retransmissions."""
        layer = self.node.layer
        return len(layer) - layer.waiting

    async def stop(self) -> None:
        """Close sockets, timers and modules, whatever was reached of the start."""
        for one in (*self._admin, self._addresses):
            one.close()
        for listener in self.listeners:
            if listener.is_open:  # type: ignore[attr-defined]
                listener.flush()
                listener.close()  # type: ignore[attr-defined]
        self._ticker.stop()
        if self._watcher is not None:
            await self._watcher.stop()
        await self.node.stop()
        await self.resolver.close()


def make_listeners(settings: Settings, wanted: list[Bind]) -> list[Listener]:
    """The listeners, unbound, with the options that the settings name."""
    options = SocketOptions(
        tos=settings.tos,
        pmtu_discovery=settings.pmtu_discovery,
        ip_free_bind=settings.ip_free_bind,
        receive_buffer=settings.maxbuffer,
        send_buffer=settings.maxsndbuffer,
        mcast_loopback=settings.mcast_loopback,
        mcast_ttl=settings.mcast_ttl,
        bind_ipv6_link_local=settings.bind_ipv6_link_local == 1,
        gather=settings.udp_gather_time / 1000,
    )
    limits = TcpLimits(**{f.name: getattr(settings, f.name) for f in fields(TcpLimits)})
    table = ConnectionTable(limits)
    tls = TlsNode()
    made: list[Listener] = []
    for one in wanted:
        common: dict[str, Any] = {
            "name": one.name,
            "advertised_host": one.advertised_host,
            "advertised_port": one.advertised_port,
            "agname": one.agname,
            "options": replace(options, mcast=one.mcast, vrf=one.vrf),
        }
        if one.proto == P_UDP:
            made.append(UdpListener(one.address, **common))
        elif one.proto == P_TLS:
            made.append(TlsListener(one.address, table, tls, **common))
        else:
            made.append(TcpListener(one.address, table, **common))
    return made


async def serve(server: Server, announce: Callable[[Server], None]) -> int:
    """Run a server until a signal; `announce` is called when it answers. Raises ConfigError."""
    server.watch_signals()
    try:
        await server.start()
        # What lives now lives on: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        # What a call makes is freed by its reference counts; a collection is for the rare cycle of a script.
        # The older generations are looked at soon enough that a script's cycles do not pile up there, call by call.
        gc.set_threshold(50_000, 10, 10)
        announce(server)
        await server.wait()
        log.info("stopping")
        left = await server.drain(server.settings.exit_timeout)
        if left:
            log.warning("stopped with %d transactions under way", left)
        layer = server.node.layer
        log.info("%d transactions were made, %d are left", layer.created, len(layer))
    finally:
        await server.stop()
    return 0


def run(
    configuration: Configuration,
    announce: Callable[[Server], None],
    read: Callable[[], Configuration] | None = None,
    *,
    watch: bool = False,
    trace: Trace | None = None,
) -> int:
    """`serve` in an event loop of its own; the process's exit code. See `Server` for the others."""

    async def main() -> int:
        return await serve(Server(configuration, read, watch=watch, trace=trace), announce)

    return uvloop.run(main())
