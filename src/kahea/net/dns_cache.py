"""Answers kept for their time to live, in a bounded number; and those pinned by hand, which never expire."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from kahea.net.dns_records import Answer, Query, Record
from kahea.net.dns_settings import DnsSettings

FAILURE_TTL = 3.0  # seconds: a server that is down is not asked anew by every call


@dataclass(slots=True)
class _Entry:
    answer: Answer
    expires: float
    used: float


class Kept(NamedTuple):
    """What is kept for a question: `left` seconds from now, None for ever; not asked for since `unused` seconds."""

    query: Query
    answer: Answer
    left: float | None
    unused: float


class DnsCache:
    """Answers by question. `clock` gives seconds; `room` bounds the entries that were not pinned."""

    def __init__(self, settings: DnsSettings, clock: Callable[[], float], room: int = 10_000) -> None:
        self.settings = settings
        self.clock = clock
        self.room = room
        self.hits = 0
        self.misses = 0
        self._entries: OrderedDict[Query, _Entry] = OrderedDict()
        self._pinned: dict[Query, Answer] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, query: Query) -> Answer | None:
        """The answer that is kept, be it empty or a recent failure; None if DNS must be asked."""
        entry = self._entries.get(query)
        now = self.clock()
        if entry is None or entry.expires <= now:
            self.misses += 1
            return None
        self.hits += 1
        entry.used = now
        self._entries.move_to_end(query)
        return entry.answer

    def put(self, query: Query, answer: Answer) -> None:
        """Keep an answer for as long as the settings say."""
        if not self.settings.use_dns_cache:
            return
        ttl = self._ttl(answer)
        if ttl > 0:
            self.add(query, answer, ttl)

    def add(self, query: Query, answer: Answer, ttl: float) -> bool:
        """Keep an answer for `ttl` seconds; False if there is no room."""
        if not self._make_room(query):
            return False
        now = self.clock()
        self._entries[query] = _Entry(answer, now + ttl, now)
        self._entries.move_to_end(query)
        return True

    def drop(self, query: Query) -> bool:
        """Forget an answer, a pinned one too; False if there was none."""
        pinned = self._pinned.pop(query, None)
        return self._entries.pop(query, None) is not None or pinned is not None

    def kept(self) -> Iterator[Kept]:
        """All that is kept and has not expired, pinned answers last."""
        now = self.clock()
        for query, entry in self._entries.items():
            if entry.expires > now:
                yield Kept(query, entry.answer, entry.expires - now, now - entry.used)
        for query, answer in self._pinned.items():
            yield Kept(query, answer, None, 0.0)

    def pin(self, query: Query, records: Iterable[Record]) -> None:
        """Answer a question by these records from now on; none: there is no such name."""
        self._pinned[query] = Answer(tuple(records))

    def unpin(self, query: Query) -> bool:
        """Ask DNS again; False if the question was not pinned."""
        return self._pinned.pop(query, None) is not None

    def pinned(self, query: Query) -> Answer | None:
        """The answer pinned for a question."""
        return self._pinned.get(query)

    def is_pinned(self, name: str) -> bool:
        """Whether anything is pinned for a name."""
        return any(pinned == name for pinned, _ in self._pinned)

    def clear(self) -> None:
        """Forget all that was not pinned."""
        self._entries.clear()

    def _ttl(self, answer: Answer) -> float:
        settings = self.settings
        if answer.error:
            return min(FAILURE_TTL, settings.dns_cache_negative_ttl)
        if not answer.records:
            return settings.dns_cache_negative_ttl
        ttl = max(answer.ttl, settings.dns_cache_min_ttl)
        return ttl if settings.dns_cache_max_ttl < 0 else min(ttl, settings.dns_cache_max_ttl)

    def _make_room(self, query: Query) -> bool:
        """Whether there is room for one more: expired entries go, others only if the settings let them."""
        if query in self._entries or len(self._entries) < self.room:
            return True
        now = self.clock()
        for known in [known for known, entry in self._entries.items() if entry.expires <= now]:
            del self._entries[known]
        if len(self._entries) < self.room:
            return True
        if self.settings.dns_cache_del_nonexp:
            self._entries.popitem(last=False)
            return True
        return False
