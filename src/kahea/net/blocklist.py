"""Destinations that are left alone for a while, since something failed there.

An entry is for a protocol, an address and a port, and knows by which events it came. It goes when its time is over.
How much there may be is bounded in bytes as Kamailio counts them, so that its settings keep their meaning.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from kahea.net.address import Address

#: What puts a destination on the list, as bits: nothing was sent, no connection, silence, a 503, an order.
SEND, CONNECT, TIMEOUT, UNAVAILABLE, ORDERED = 2, 4, 16, 32, 64
#: As a flag: it stays when the list is emptied.
KEPT: Final = 128
#: The protocol of an entry that is for each of them.
ANY_PROTO: Final = 0

#: Bytes of an entry, by the family of its address.
_BYTES: Final = {4: 24, 6: 36}


@dataclass(slots=True)
class Entry:
    """One destination. `ends` is on the list's clock."""

    proto: int
    address: Address
    flags: int
    ends: float


class Blocklist:
    """The destinations, those that were added first coming first. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float], most_bytes: int) -> None:
        self._clock = clock
        self.most_bytes = most_bytes
        self._entries: dict[tuple[int, Address], Entry] = {}
        self._bytes = 0
        #: No entry ends before.
        self._earliest = math.inf

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """How much there is; what is over and was not met since counts."""
        return self._bytes

    def add(self, proto: int, address: Address, flags: int, seconds: float) -> bool:
        """Put a destination on the list, or let it stay so long from now; False if there is no room for it."""
        key = proto, address
        ends = self._clock() + seconds
        self._earliest = min(self._earliest, ends)
        entry = self._entries.get(key)
        if entry is not None:
            entry.flags |= flags
            entry.ends = ends
            return True
        if not self._has_room(address):
            # Looked through only where that may help: a full list is asked for room again and again.
            if self._clock() >= self._earliest:
                self._drop_ended()
            if not self._has_room(address):
                return False
        self._entries[key] = Entry(proto, address, flags, ends)
        self._bytes += _BYTES[address.family]
        return True

    def _has_room(self, address: Address) -> bool:
        return self._bytes + _BYTES[address.family] <= self.most_bytes

    def remove(self, proto: int, address: Address) -> bool:
        """Take a destination off the list; False if it is not on it."""
        entry = self._entries.pop((proto, address), None)
        if entry is None:
            return False
        self._bytes -= _BYTES[address.family]
        return entry.ends > self._clock()

    def find(self, proto: int, address: Address) -> Entry | None:
        """The entry that is for a destination and has flags, or None."""
        if not self._entries:
            return None
        for key in ((proto, address), (ANY_PROTO, address)):
            entry = self._entries.get(key)
            if entry is not None and entry.ends <= self._clock():
                self.remove(*key)
            elif entry is not None and entry.flags:
                return entry
        return None

    def entries(self) -> Iterator[Entry]:
        """All that are not over."""
        self._drop_ended()
        yield from list(self._entries.values())

    def left(self, entry: Entry) -> int:
        """Whole seconds that an entry still has."""
        return int(entry.ends - self._clock())

    def _drop_ended(self) -> None:
        now = self._clock()
        for key in [key for key, entry in self._entries.items() if entry.ends <= now]:
            self.remove(*key)
        self._earliest = min((entry.ends for entry in self._entries.values()), default=math.inf)

    def clear(self) -> None:
        """Take all off the list but what is to stay."""
        self._drop_ended()
        for key in [key for key, entry in self._entries.items() if not entry.flags & KEPT]:
            self.remove(*key)
