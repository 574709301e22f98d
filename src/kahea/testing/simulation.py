"""The simulation: nodes with real routing scripts, user agents, one virtual network and one virtual clock."""

from __future__ import annotations

import asyncio
import linecache
import logging
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from kahea.engines import configure, engine_for
from kahea.net.resolver import Resolver
from kahea.routing.changes import Changes
from kahea.routing.module import RpcError
from kahea.routing.node import Node
from kahea.routing.reload import Reloader
from kahea.routing.rpc.calls import start
from kahea.routing.settings import Configuration, parse_listen
from kahea.routing.tracing import Tracer
from kahea.testing.clock import Planned, VirtualLoop
from kahea.testing.dns import VirtualDns
from kahea.testing.ladder import ladder
from kahea.testing.listener import VirtualListener
from kahea.testing.network import Network, Packet, split_address
from kahea.testing.useragent import UserAgent

#: What the virtual clock shows at the beginning, in seconds; the calendar shows WALL_START.
CLOCK_START = 1000.0
#: 1 January 2026, 00:00 UTC.
WALL_START = 1_767_225_600.0
#: A timer that asks to be looked at again at once is looked at after this.
_AGAIN = 0.0005


class ScriptFailed(AssertionError):
    """A routing script, or the engine, logged an error during a simulation."""


def _aborted() -> None:
    raise ScriptFailed("the script aborted the server")


class VirtualNode:
    """One node of a simulation; `node` is the engine itself. Make it by `Simulation.node`."""

    def __init__(
        self, simulation: Simulation, name: str, configuration: Configuration, read: Callable[[], Configuration]
    ) -> None:
        self.simulation = simulation
        self._read = read
        self.name = name
        self.node = Node(
            configuration,
            clock=lambda: simulation.now,
            wall=lambda: simulation.wall,
            on_earlier=self._earlier,
        )
        self.resolver = Resolver(
            configuration.settings,
            client=simulation.dns,
            clock=lambda: simulation.now,
            rng=simulation.network.random,
            hosts=None,
        )
        self.node.resolver = self.resolver
        self.node.simulated = True
        self.node.abort = _aborted
        self.listeners: list[VirtualListener] = []
        self.running = False
        self._alarm: Planned | None = None

    @property
    def address(self) -> str:
        """The first listener, as `udp:10.0.0.9:5060`."""
        first = self.listeners[0]
        return f"{first.proto_text}:{first.address.ip}:{first.address.port}"

    @property
    def hostport(self) -> str:
        """The first listener's host and port, as they stand in a URI."""
        first = self.listeners[0].address
        return f"{first.host.decode()}:{first.port}"

    @property
    def transactions(self) -> int:
        """How many transactions it holds now."""
        return len(self.node.layer)

    def module(self, name: str) -> Any:
        """A module's instance, or None."""
        return self.node.module(name)

    def add_listener(self, proto: str, text: str) -> None:
        """Bind a listener (a listen address as in the settings) on the virtual network."""
        spec = parse_listen(text)
        host = f"[{spec.host}]" if ":" in spec.host else spec.host
        _, address = split_address(f"{proto}:{host}:{spec.port}" if spec.port else f"{proto}:{host}")
        listener = VirtualListener(
            self.simulation.network,
            proto,
            address,
            self.node,
            self.name,
            name=spec.name,
            advertised_host=spec.advertise.encode(),
            advertised_port=spec.advertise_port,
            agname=spec.agname,
        )
        self.listeners.append(listener)
        self.node.add_listener(listener, virtual=spec.virtual)

    def has_addresses(self, *addresses: str) -> None:
        """From now on its host has these addresses, for listeners that are `virtual`; at first it has none."""
        self.node.virtual.host_has(addresses)

    def start(self) -> None:
        """Start modules, read the script, bind. Raises ConfigError."""
        self.node.reloader = Reloader(self.node, engine_for(self.node), self._read)
        self.resolver.serve(self.listeners)
        self.node.start()
        self.node.reloader.start()
        self.simulation.await_(self.node.open())
        for listener in self.listeners:
            listener.open()
        self.running = True
        self._earlier()

    def reload(self) -> Changes:
        """Read script and settings anew, as a running server does; what could change at once, and what could not.

        Raises ConfigError, and then the old ones stay.
        """
        assert self.node.reloader is not None
        return self.node.reloader.reload()

    def rollback(self, generation: int = 0) -> Changes:
        """Go back to a generation that is kept, or to the one before. Raises ConfigError."""
        assert self.node.reloader is not None
        return self.node.reloader.rollback(generation)

    def rpc(self, command: str, *parameters: int | float | str) -> Any:
        """What a management command answers, as `kahea ctl` would get it; time passes while it waits. Raises RpcError.

        A node of a simulation opens no sockets of the host for management, whatever its script asks for.
        """
        known = self.node.registry.rpcs.get(command)
        if known is None:
            raise RpcError(500, f"command {command} not found")
        answers: list[tuple[Any, RpcError | None]] = []
        # In the loop, where what it waits for is waited for.
        self.simulation.plan(
            0, start, self.node, known, parameters, lambda result, fault: answers.append((result, fault))
        )
        self.simulation.run_until(lambda: answers)
        if not answers:
            raise RpcError(408, f"command {command} did not end")
        result, fault = answers[0]
        if fault is not None:
            raise fault
        return result

    def down(self) -> None:
        """Take it off the network, as if its host died: nothing is flushed."""
        for listener in self.listeners:
            if listener.is_open:
                listener.close()
        self.running = False
        if self._alarm is not None:
            self._alarm.cancel()

    def stop(self) -> None:
        """Stop it in good order."""
        if self.running:
            self.down()
            self.simulation.await_(self.node.stop())
            self.simulation.await_(self.resolver.close())

    def _earlier(self) -> None:
        if not self.running:
            return
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        deadline = self.node.next_deadline()
        if deadline is not None:
            self._alarm = self.simulation.plan_at(deadline, self._tick)

    def _tick(self) -> None:
        self._alarm = None
        now = self.simulation.now
        self.node.advance(now)
        if not self.running or self._alarm is not None:
            return
        deadline = self.node.next_deadline()
        if deadline is not None:
            self._alarm = self.simulation.plan_at(deadline if deadline > now else now + _AGAIN, self._tick)


class Simulation:
    """Everything of one test. Use it as a context manager, or `close` it.

    `seed` decides all chance on the network. `grace` is how many real seconds a script that waits for
    something outside (an HTTP server, a database) is given before virtual time goes on without it.
    """

    def __init__(self, seed: int = 0, *, grace: float = 0.25, wall: float = WALL_START) -> None:
        self._loop = VirtualLoop(CLOCK_START, grace)
        self._loop.waiting = self._waiting
        self._wall_start = wall
        self.network = Network(self._loop, seed)
        self.dns = VirtualDns()
        self.nodes: list[VirtualNode] = []
        self.uas: dict[str, UserAgent] = {}
        #: What was logged as an error, with tracebacks; `close` raises ScriptFailed if it is not empty.
        self.errors: list[str] = []
        self.closed = False
        self._opening = 0
        self._files: tempfile.TemporaryDirectory[str] | None = None
        self._log = _Errors(self.errors)
        logging.getLogger("kahea").addHandler(self._log)

    def __enter__(self) -> Simulation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(check=error is None)

    # -- making things

    def node(
        self,
        script: str | Path,
        *listen: str,
        name: str = "",
        settings: Mapping[str, Any] | None = None,
        modules: Mapping[str, Mapping[str, Any]] | None = None,
        load_modules: Iterable[str] | None = None,
        toml: str | Path | None = None,
        defines: Mapping[str, str] | None = None,
        language: str = "",
        watch: Callable[[Tracer], object] | None = None,
    ) -> VirtualNode:
        """Start a node with a routing script: a path, or (with a newline in it) the script itself.

        A text that begins with `#!KAMAILIO` is a cfg, any other a script in Python, unless `language` says otherwise by
        the ending of such files (`lua`). A kahea.toml beside a script
        file is read, or the one given as `toml`. `listen` are listen addresses such as `udp:10.0.0.9:5060`; without
        any the settings' own, or udp and tcp of 10.0.0.9. `settings` are global parameters, `modules` parameters by
        module, on top of the file's. `watch` is given what tells of each step of a cfg. Raises ConfigError.
        """
        path = self._script(script, language)

        def read() -> Configuration:
            configuration = configure(path, None if toml is None else Path(toml), listen, defines)
            for key, value in (settings or {}).items():
                configuration.set_global(key, value)
            for module, parameters in (modules or {}).items():
                for key, value in parameters.items():
                    configuration.set_module(module, key, value)
            if load_modules is not None:
                configuration.load = list(load_modules)
            return configuration

        configuration = read()
        made = VirtualNode(self, name or f"node{len(self.nodes) + 1}", configuration, read)
        if watch is not None:
            watch(Tracer.of(made.node))
        for text in configuration.settings.listen or [f"10.0.0.{9 + len(self.nodes)}"]:
            proto = parse_listen(text).proto
            for one in [proto] if proto else ["udp", "tcp"]:
                made.add_listener(one, text)
        made.start()
        self.nodes.append(made)
        return made

    def _script(self, script: str | Path, language: str) -> Path:
        if isinstance(script, Path) or "\n" not in script:
            return Path(script)
        if self._files is None:
            self._files = tempfile.TemporaryDirectory(prefix="kahea-testing-")
        path = (
            Path(self._files.name)
            / f"{len(self.nodes) + 1}"
            / f"script.{language or ('cfg' if script.lstrip().startswith('#!KAMAILIO') else 'py')}"
        )
        path.parent.mkdir(exist_ok=True)
        path.write_text(script)
        linecache.checkcache(str(path))
        return path

    def ua(
        self,
        name: str,
        address: str = "",
        *,
        proxy: str | VirtualNode = "",
        domain: str = "",
        password: str = "",
        inside: str = "",
    ) -> UserAgent:
        """A user agent at an address such as `udp:10.0.0.1:5060`; without one it gets the next of 10.0.1.x.

        Its requests go to `proxy`, by default the simulation's first node. With a `password` it answers challenges.
        One behind a NAT writes `inside`, a host and port, of itself, while it is reached at its address.
        """
        if name in self.uas:
            raise ValueError(f"there is a user agent {name!r} already")
        made = UserAgent(
            self,
            name,
            address or f"udp:10.0.1.{len(self.uas) + 1}:5060",
            proxy=proxy.address if isinstance(proxy, VirtualNode) else proxy,
            domain=domain,
            password=password,
            inside=inside,
        )
        self.uas[name] = made
        return made

    def first_address(self, proto: str) -> str:
        """The first listener of that protocol, of any node."""
        for node in self.nodes:
            for listener in node.listeners:
                if listener.proto_text == proto:
                    return f"{proto}:{listener.address.host.decode()}:{listener.address.port}"
        raise ValueError(f"no node listens on {proto}; say where to send to")

    # -- time

    @property
    def now(self) -> float:
        """The virtual clock, in seconds."""
        return self._loop.time()

    @property
    def elapsed(self) -> float:
        """Seconds since the simulation began."""
        return self._loop.time() - CLOCK_START

    @property
    def wall(self) -> float:
        """Virtual Unix time."""
        return self._wall_start + self.elapsed

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The asyncio loop, in virtual time: for servers that a test runs beside."""
        return self._loop

    def plan(self, seconds: float, work: Callable[..., object], *args: Any) -> Planned:
        """Do something in that many virtual seconds."""
        return self._loop.plan(self.now + seconds, work, *args)

    def plan_at(self, when: float, work: Callable[..., object], *args: Any) -> Planned:
        """Do something when the virtual clock shows `when`."""
        return self._loop.plan(when, work, *args)

    def run(self, seconds: float) -> None:
        """Let that much time pass, with all that happens in it."""
        self._loop.run_to(None, self.now + seconds)

    def run_until(self, goal: Callable[[], object], within: float = 200.0) -> bool:
        """Let time pass until `goal()` is true, at most `within` seconds; whether it came true."""
        return self._loop.run_to(lambda: bool(goal()), self.now + within)

    def settle(self, within: float = 10.0) -> None:
        """Let time pass until no packet is under way and no script is waiting."""
        self.run_until(lambda: not self.network.under_way and not self._waiting(), within)

    def finish(self, within: float = 3600.0) -> None:
        """Let time pass until no packet is under way, no script waits and every transaction of every node is gone.

        Raises AssertionError if some stay.
        """

        def done() -> bool:
            busy = self.network.under_way or self._waiting()
            return not busy and not any(node.transactions for node in self.nodes)

        if not self.run_until(done, within):
            left = {node.name: node.transactions for node in self.nodes if node.transactions}
            raise AssertionError(f"transactions are left after {within:g} s: {left}")

    def await_(self, awaitable: Any) -> Any:
        """Run an awaitable to its end on the simulation's loop, and return its result."""
        self._opening += 1
        try:
            return self._loop.run_until_complete(awaitable)
        finally:
            self._opening -= 1

    def _waiting(self) -> int:
        return self._opening + sum(node.node.pool.in_flight for node in self.nodes)

    # -- looking back

    @property
    def trace(self) -> list[Packet]:
        """All packets so far, with their fates."""
        return self.network.trace

    def ladder(self) -> str:
        """The trace as a diagram."""

        def name_of(packet: Packet, of_source: bool) -> str:
            return self.network.name_of(packet.proto, packet.source if of_source else packet.destination)

        return ladder(self.network.trace, name_of)

    def check(self) -> None:
        """Raise ScriptFailed if an error was logged."""
        if self.errors:
            raise ScriptFailed("\n".join(self.errors))

    # -- the end

    def close(self, check: bool = True) -> None:
        """Stop the nodes and free everything; then `check`."""
        if self.closed:
            return
        self.closed = True
        try:
            for node in self.nodes:
                node.stop()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0))
        finally:
            logging.getLogger("kahea").removeHandler(self._log)
            self._loop.close()
            if self._files is not None:
                self._files.cleanup()
        if check:
            self.check()


class _Errors(logging.Handler):
    """Collects what is logged as an error."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._errors = errors
        self.setFormatter(logging.Formatter("%(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self._errors.append(self.format(record))
