"""Runs of module functions without a network: a node, a message, and `KSR` calls over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from databases import mariadb, postgres, redis

from kahea.net.address import P_UDP, Address, Listener
from kahea.routing.node import Node
from kahea.routing.run import CORE_ONREPLY_ROUTE, REQUEST_ROUTE, Run, current
from kahea.routing.settings import Configuration
from kahea.sip.message import Message, parse


class Bench:
    """A node with modules, and a message at a time to try their functions on."""

    def __init__(self, modules: list[str], params: dict[str, dict[str, int | str]] | None = None) -> None:
        configuration = Configuration(load=modules)
        for module, given in (params or {}).items():
            for name, value in given.items():
                configuration.set_module(module, name, value)
        self.node = Node(configuration, clock=lambda: 1000.0, wall=lambda: 1_700_000_000.0)
        self.listener = Listener(P_UDP, Address.of("127.0.0.1", 5060))
        self.node.add_listener(self.listener)
        self.node.start()
        self.ksr = self.node.registry.ksr()
        self.run: Run | None = None

    def take(self, data: bytes, kind: int | None = None) -> Run:
        """Begin a run with this message: of the request route, or for a response of the reply route."""
        msg = parse(data)
        msg.src_ip = msg.dst_ip = b"127.0.0.1"
        msg.src_port, msg.dst_port, msg.proto = 5999, 5060, P_UDP
        msg.listener = self.listener
        if kind is None:
            kind = REQUEST_ROUTE if msg.is_request else CORE_ONREPLY_ROUTE
        self.run = current.run = Run(self.node, msg, kind)
        return self.run

    @property
    def msg(self) -> Message:
        """The message of the run, which may not be the one it began with."""
        assert self.run is not None
        return self.run.msg

    def call(self, path: str, *args: Any) -> Any:
        """Call `KSR.<path>`."""
        target: Any = self.ksr
        for part in path.split("."):
            target = getattr(target, part)
        return target(*args)

    def result(self, data: bytes, path: str, *args: Any) -> bytes:
        """The message after one call that must succeed."""
        self.take(data)
        assert self.call(path, *args) > 0
        return self.msg.rebuild()


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    """Makes a `Bench` with the modules named; leaves no run behind."""
    yield lambda *modules, **params: Bench(list(modules), params)
    current.run = None


__all__ = ["mariadb", "postgres", "redis"]
