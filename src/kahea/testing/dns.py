"""Names on the virtual network: what the nodes' resolvers are answered, after a while of virtual time."""

from __future__ import annotations

import asyncio

from kahea.net.dns_records import KINDS, Answer, Mx, Naptr, Record, Srv


class VirtualDns:
    """The zone that all nodes of a simulation ask. A name that was not added does not exist."""

    def __init__(self) -> None:
        #: Seconds that an answer takes.
        self.delay = 0.01
        #: Every question that was asked: name and type.
        self.asked: list[tuple[str, str]] = []
        self._answers: dict[tuple[str, str], Answer] = {}

    def add(self, name: str, kind: str, *records: str, ttl: float = 300) -> None:
        """Add records of a type, written as in a zone file: `add("example.com", "A", "10.0.0.2")`,
        `add("_sip._udp.example.com", "SRV", "10 1 5060 host.example.com")`. Raises ValueError.
        """
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is no type that a node asks for; {', '.join(sorted(KINDS))} are")
        key = name.lower().rstrip("."), kind
        before = self._answers.get(key, Answer()).records
        self._answers[key] = Answer((*before, *(_record(kind, text) for text in records)), ttl)

    def fail(self, name: str, kind: str, error: str = "the name server is silent") -> None:
        """Let a question fail."""
        self._answers[name.lower().rstrip("."), kind] = Answer(error=error)

    def remove(self, name: str, kind: str) -> None:
        """Take a name's records of a type away."""
        self._answers.pop((name.lower().rstrip("."), kind), None)

    # -- asked by the resolvers

    async def ask(self, name: str, kind: str) -> Answer:
        """One question of a node."""
        self.asked.append((name, kind))
        await asyncio.sleep(self.delay)
        return self._answers.get((name, kind), Answer())

    async def close(self) -> None:
        """Nothing is kept open."""


def _record(kind: str, text: str) -> Record:
    words = text.split()
    try:
        if kind == "SRV":
            priority, weight, port, target = words
            return Srv(int(priority), int(weight), int(port), target.rstrip("."))
        if kind == "NAPTR":
            order, preference, flags, service, regexp, replacement = (w.strip('"') for w in words)
            return Naptr(int(order), int(preference), flags, service, regexp, replacement.rstrip("."))
        if kind == "MX":
            preference, exchange = words
            return Mx(int(preference), exchange.rstrip("."))
    except ValueError as error:
        raise ValueError(f"{text!r} is no {kind} record") from error
    return text
