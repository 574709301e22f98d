"""What holds of a transaction layer whatever arrives, in any order, at any time."""

from __future__ import annotations

from collections import defaultdict

from kahea.testing import Simulation, SipMessage, UserAgent, VirtualNode


def check_answers(caller: UserAgent) -> None:
    """Each request has one final answer: for an INVITE one failure at most, besides any number of 2xx."""
    finals: dict[tuple[str, str], set[str]] = defaultdict(set)
    answered: set[tuple[str, str]] = set()
    for message in caller.received:
        if message.is_request or message.status < 200:
            continue
        key = (message.branch, message.method)
        if message.method == "INVITE" and message.status < 300:
            answered.add(key)
            continue
        new = str(message) not in finals[key]
        assert not (new and message.method == "INVITE" and key in answered), f"a failure after a 2xx:\n{message}"
        finals[key].add(str(message))
        assert len(finals[key]) == 1, f"two final answers to {key}:\n" + "\n".join(finals[key])


def check_quiet(simulation: Simulation) -> None:
    """Nothing raised."""
    assert simulation.errors == []


def check_freed(simulation: Simulation, node: VirtualNode) -> None:
    """When all timers have run, nothing is left of any transaction."""
    simulation.finish(within=2000)
    layer = node.node.layer
    tables = {name: len(getattr(layer, name)) for name in ("by_label", "requests")}
    assert not any(tables.values()), f"left in the tables: {tables}"
    assert layer.waiting == 0
    assert node.node.pool.in_flight == 0


def mangled(message: SipMessage, cut: int) -> bytes:
    """A message that lost its end, as a torn datagram."""
    data = message.encode()
    return data[: cut % len(data)]
