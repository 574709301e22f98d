"""Addresses, networks and names in groups, and in which of them a peer is.

Which entry is found is as in Kamailio. Of addresses and of names the newest that fits counts, of networks the oldest in
the group; without a group, the networks of the group with the lowest number come first. An entry with port 0 fits any
port. How many entries there are does not matter: each question is answered by at most two look-ups for the
addresses and two for each prefix length in use.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

#: Any group, in the keys of the tables.
_ANY: Final = None
#: Characters of an IPv6 address in brackets, at most.
_LONGEST: Final = 41
_DOTTED: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")


class Ip(NamedTuple):
    """An IP address: its width in bits (32 or 128), and its value."""

    bits: int
    value: int

    def packed(self) -> bytes:
        """In network order."""
        return self.value.to_bytes(self.bits // 8)

    def __str__(self) -> str:
        return socket.inet_ntop(socket.AF_INET if self.bits == 32 else socket.AF_INET6, self.packed())


def parse_ip(text: str) -> Ip | None:
    """An IP literal, IPv6 with or without brackets; None for anything else. Octets are decimal, with zeros before
    them or not."""
    return _parse_ip(text) if len(text) <= _LONGEST else None


@lru_cache(8192)
def _parse_ip(text: str) -> Ip | None:
    try:
        if ":" in text:
            bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
            return Ip(128, int.from_bytes(socket.inet_pton(socket.AF_INET6, bare)))
        if _DOTTED.fullmatch(text) is not None:
            return Ip(32, int.from_bytes(bytes(int(octet) for octet in text.split("."))))
    except (OSError, ValueError):
        pass  # a name
    return None


class Record(NamedTuple):
    """A line of the file, or a row of the table `address`, with numbers where there are to be numbers."""

    group: int
    host: str
    mask: int = 0
    port: int = 0
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One address, network or name. `order` counts the entries of its table."""

    order: int
    group: int
    host: str
    port: int
    tag: str | None
    ip: Ip | None = None
    mask: int = 0

    @property
    def rank(self) -> tuple[int, int]:
        """What networks are ordered by."""
        return self.group, self.order


#: By network and port, the first entry.
_Networks = dict[tuple[int, int], Entry]


class AddressTable:
    """One load of addresses, complete before it is used."""

    def __init__(self, max_subnets: int) -> None:
        self.max_subnets = max_subnets
        self.addresses: list[Entry] = []
        self.networks: list[Entry] = []
        self.names: list[Entry] = []
        #: By group or _ANY, address or name, and port, the newest entry.
        self._exact: dict[tuple[int | None, Ip | str, int], Entry] = {}
        #: By group or _ANY and width, and then by how many bits follow the prefix.
        self._prefixes: dict[tuple[int | None, int], dict[int, _Networks]] = {}

    def add(self, record: Record) -> bool:
        """Add an entry; False if there are too many networks already. Raises ValueError."""
        group, host, mask, port, tag = record
        ip = parse_ip(host)
        if ip is None:
            self._add_exact(self.names, host, Entry(len(self.names), group, host, port, tag))
            return True
        if not 0 <= mask <= ip.bits:
            raise ValueError(f"{mask} is no prefix length of {host}: 0 to {ip.bits}")
        if mask in (0, ip.bits):
            entry = Entry(len(self.addresses), group, str(ip), port, tag, ip, ip.bits)
            self._add_exact(self.addresses, ip, entry)
            return True
        if len(self.networks) >= self.max_subnets:
            return False
        entry = Entry(len(self.networks), group, str(ip), port, tag, ip, mask)
        self.networks.append(entry)
        shift = ip.bits - mask
        key = (ip.value >> shift, port)
        for of_group in (group, _ANY):
            networks = self._prefixes.setdefault((of_group, ip.bits), {}).setdefault(shift, {})
            present = networks.get(key)
            if present is None or entry.rank < present.rank:
                networks[key] = entry
        return True

    def _add_exact(self, entries: list[Entry], what: Ip | str, entry: Entry) -> None:
        entries.append(entry)
        self._exact[entry.group, what, entry.port] = self._exact[_ANY, what, entry.port] = entry

    def find(self, host: str, port: int, group: int | None = None) -> Entry | None:
        """The entry that an address or name and port fit, of a group or of any."""
        ip = parse_ip(host)
        found = self._newest(group, host if ip is None else ip, port)
        return found if found is not None or ip is None else self._network(group, ip, port)

    def _newest(self, group: int | None, what: Ip | str, port: int) -> Entry | None:
        any_port = self._exact.get((group, what, 0))
        of_port = self._exact.get((group, what, port)) if port else None
        if any_port is None or of_port is None:
            return of_port if any_port is None else any_port
        return max(any_port, of_port, key=lambda entry: entry.order)

    def _network(self, group: int | None, ip: Ip, port: int) -> Entry | None:
        best: Entry | None = None
        for shift, networks in self._prefixes.get((group, ip.bits), {}).items():
            prefix = ip.value >> shift
            for wanted in (port, 0) if port else (0,):
                entry = networks.get((prefix, wanted))
                if entry is not None and (best is None or entry.rank < best.rank):
                    best = entry
        return best

    def ordered_networks(self) -> Iterator[Entry]:
        """The networks by group, as they were added."""
        yield from sorted(self.networks, key=lambda entry: entry.rank)
