"""A DNS server on the loopback interface for tests: answers from a table, and misbehaves on request.

    server = await DnsServer.start({("example.com", "A"): ["192.0.2.1"]})
    resolver = Resolver(nameservers=[server.address])

Keys are a name and a type; values are records as in a zone file. A name that has no record of any type is
NXDOMAIN; one that has none of the type asked for gets an empty answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

Zone = Mapping[tuple[str, str], Sequence[str]]


class DnsServer(asyncio.DatagramProtocol):
    """Answers over UDP. `asked` counts the questions by (name, type).

    Names in `silent` get no answer, those in `failing` SERVFAIL, and those in `held` theirs once `release` is
    called.
    """

    def __init__(self, zone: Zone, ttl: int) -> None:
        self.ttl = ttl
        self.zone: dict[tuple[str, str], list[str]] = {}
        self.asked: Counter[tuple[str, str]] = Counter()
        self.order: list[tuple[str, str]] = []
        self.silent: set[str] = set()
        self.failing: set[str] = set()
        self.held: set[str] = set()
        self._waiting: list[tuple[dns.message.Message, tuple[str, int]]] = []
        self._transport: asyncio.DatagramTransport | None = None
        for (name, kind), records in zone.items():
            self.add(name, kind, *records)

    @classmethod
    async def start(cls, zone: Zone, *, ttl: int = 300, ip: str = "127.0.0.1", port: int = 0) -> DnsServer:
        """Bind, on a free port by default, and begin to answer."""
        loop = asyncio.get_running_loop()
        _, server = await loop.create_datagram_endpoint(lambda: cls(zone, ttl), local_addr=(ip, port))
        return server

    def add(self, name: str, kind: str, *records: str) -> None:
        """Add records to the table."""
        self.zone.setdefault((name.lower().rstrip("."), kind), []).extend(records)

    @property
    def address(self) -> str:
        """`host:port`."""
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")[:2]
        return f"{host}:{port}"

    def close(self) -> None:
        """Stop answering."""
        if self._transport is not None:
            self._transport.close()

    def release(self) -> None:
        """Answer what was held."""
        self.held.clear()
        waiting, self._waiting = self._waiting, []
        for query, source in waiting:
            self._send(self._answer(query), source)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        name, kind = self._question(query)
        self.asked[name, kind] += 1
        self.order.append((name, kind))
        if name in self.silent:
            return
        if name in self.held:
            self._waiting.append((query, addr))
            return
        self._send(self._answer(query), addr)

    @staticmethod
    def _question(query: dns.message.Message) -> tuple[str, str]:
        question = query.question[0]
        return question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)

    def _answer(self, query: dns.message.Message) -> dns.message.Message:
        name, kind = self._question(query)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if name in self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
            return response
        for _ in range(8):
            alias = self.zone.get((name, "CNAME"))
            if not alias or kind == "CNAME":
                break
            response.answer.append(self._rrset(name, "CNAME", alias))
            name = alias[0].lower().rstrip(".")
        records = self.zone.get((name, kind))
        if records:
            response.answer.append(self._rrset(name, kind, records))
        elif not any(known == name for known, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response

    def _rrset(self, name: str, kind: str, records: Sequence[str]) -> dns.rrset.RRset:
        return dns.rrset.from_text_list(name + ".", self.ttl, dns.rdataclass.IN, kind, list(records))

    def _send(self, response: dns.message.Message, to: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(response.to_wire(want_shuffle=False), to)
