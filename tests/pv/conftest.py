"""A node of two listeners, and runs on crafted messages, for the tests of pseudo-variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kahea.net.address import P_UDP, Address, Listener
from kahea.routing.module import Value
from kahea.routing.node import Node
from kahea.routing.run import REQUEST_ROUTE, Run
from kahea.routing.settings import Configuration
from kahea.sip.message import parse

from .corpus import INVITE


class Bench:
    """A node like the oracle's, and KEMI calls on it."""

    def __init__(self, port: int = 5060, port2: int = 5062, peer: int = 5066) -> None:
        configuration = Configuration()
        configuration.defines.update(GREETING="hello", NUMBER="42")
        configuration.settings.server_id = 7
        configuration.load = ["pv", "kemix"]
        configuration.modules["pv"] = [
            ("shvset", "shared=i:5"),
            ("varset", "preset=s:abc"),
            ("avp_aliases", "email=s:email_addr;tmp=i:100"),
        ]
        self.node = Node(configuration)
        self.node.add_listener(Listener(P_UDP, Address.of("127.0.0.1", port), "main"))
        self.node.add_listener(Listener(P_UDP, Address.of("127.0.0.1", port2), "", b"192.0.2.9", 5099))
        self.node.start()
        self.source = Address.of("127.0.0.1", peer)
        self.functions: dict[str, Callable[..., Any]] = {
            f"{each.module}.{each.name}": each.call
            for module in self.node.registry.modules.values()
            for each in module.functions()
        }

    def run(self, data: bytes = INVITE, listener: int = 0) -> Run:
        """A run of the request route on a message, as if it had just arrived."""
        msg = parse(data)
        at = self.node.listeners[listener]
        msg.set_origin(
            self.source.ip_bytes, self.source.port, at.address.ip_bytes, at.address.port, at.proto,
            self.source, at, 0, self.node.wall(), 1,
        )  # fmt: skip
        run = Run(self.node, msg, REQUEST_ROUTE)
        run.rc = 0
        return run

    def call(self, run: Run, call: list[Any]) -> Any:
        """A KEMI function."""
        return self.functions[call[0]](run, *call[1:])

    def get(self, expression: str, data: bytes = INVITE, **variables: Value) -> Value:
        """The value of a variable on a fresh message, with some `$var`s set; raises PvError."""
        run = self.run(data)
        run.vars.update(variables)
        return self.node.variables.compile(expression).get(run)


@pytest.fixture(scope="module")
def bench() -> Bench:
    """One node for the module's tests."""
    return Bench()
