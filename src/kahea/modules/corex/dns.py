"""Records given to the DNS cache by hand, in the parameter `dns_cache`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kahea.net.address import is_ip
from kahea.net.dns_records import Record, ResolveError, Srv, dns_name
from kahea.net.resolver import Resolver

UNRESOLVABLE: Final = 1
PERMANENT: Final = 2
_NUMBERS: Final = ("ttl", "priority", "weight", "port", "flags")


@dataclass(frozen=True, slots=True)
class Entry:
    """One record; `ttl` in seconds, 0 for one that stays."""

    name: str
    kind: str
    record: Record | None  # None: the name is known not to resolve
    ttl: int


def parse_entry(text: str) -> Entry:
    """An entry from "type=A;name=..;addr=..;ttl=..;flags=.."; raises ValueError."""
    given = {}
    for piece in filter(None, (p.strip() for p in text.split(";"))):
        name, equals, value = piece.partition("=")
        if not equals or name not in ("type", "name", "addr", *_NUMBERS):
            raise ValueError(f"{piece!r} is no attribute of a DNS record")
        given[name] = value
    numbers = {}
    for name in _NUMBERS:
        value = given.get(name, "0")
        if not (value.isascii() and value.isdigit()):
            raise ValueError(f"{name} is a number, not {value!r}")
        numbers[name] = int(value)
    kind, addr = given.get("type", "").upper(), given.get("addr", "")
    try:
        name = dns_name(given.get("name", ""))
        record = None if numbers["flags"] & UNRESOLVABLE else _record(kind, addr, numbers)
    except ResolveError as error:
        raise ValueError(str(error)) from error
    return Entry(name, kind, record, 0 if numbers["flags"] & PERMANENT else numbers["ttl"])


def _record(kind: str, addr: str, numbers: dict[str, int]) -> Record:
    if kind == "SRV":
        return Srv(numbers["priority"], numbers["weight"], numbers["port"], dns_name(addr))
    if kind not in ("A", "AAAA"):
        raise ValueError(f"type is A, AAAA or SRV, not {kind!r}")
    if is_ip(addr) != (4 if kind == "A" else 6):
        raise ValueError(f"{addr!r} is no address for a record of type {kind}")
    return addr


def pin(resolver: Resolver, entries: Iterable[Entry]) -> list[tuple[int, str, str]]:
    """Give the records to the resolver; what is to be taken back after its time: (ttl, name, kind)."""
    records: dict[tuple[str, str], list[Record]] = {}
    ends: dict[tuple[str, str], int] = {}
    for entry in entries:
        key = entry.name, entry.kind
        found = records.setdefault(key, [])
        if entry.record is not None:
            found.append(entry.record)
        if entry.ttl:
            ends[key] = min(entry.ttl, ends.get(key, entry.ttl))
    for (name, kind), found in records.items():
        resolver.pin(name, kind, found)
    return [(ttl, name, kind) for (name, kind), ttl in ends.items()]
