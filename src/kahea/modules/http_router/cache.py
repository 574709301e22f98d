"""Answers kept for as long as the service allows (RFC 9111, RFC 5861)."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")

#: No answer is kept longer, in seconds.
LONGEST: Final = 86_400
_DIRECTIVE: Final = re.compile(r"""\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:=(?:"([^"]*)"|([^\s,"]*)))?\s*(?:,|$)""")


class Allowance(NamedTuple):
    """For how many seconds an answer is fresh, and how much longer it may do if the service fails."""

    fresh: float
    stale: float


def allowance(headers: Mapping[str, str]) -> Allowance:
    """What the answer's headers allow: nothing without an explicit lifetime, since a route is not guessed at.

    Names in `headers` are in lower case. Every caller shares the cache, so `private` forbids it and `s-maxage` counts.
    """
    said = directives(headers.get("cache-control", ""))
    if said is None or said.keys() & {"no-store", "no-cache", "private"}:
        return Allowance(0, 0)
    lifetime = _seconds(said["s-maxage"] if "s-maxage" in said else said.get("max-age", ""))
    fresh = max(0, lifetime - _seconds(headers.get("age", "")))
    forbidden = said.keys() & {"must-revalidate", "proxy-revalidate", "s-maxage"}
    return Allowance(fresh, 0 if forbidden else _seconds(said.get("stale-if-error", "")))


def directives(header: str) -> dict[str, str] | None:
    """The directives of Cache-Control, the first of each name; None where it is malformed."""
    found: dict[str, str] = {}
    at = 0
    header = header.strip()
    while at < len(header):
        match = _DIRECTIVE.match(header, at)
        if match is None:
            return None
        found.setdefault(match[1].lower(), match[2] or match[3] or "")
        at = match.end()
    return found


def _seconds(value: str) -> int:
    return min(int(value), LONGEST) if re.fullmatch(r"[0-9]{1,9}", value) else 0


class _Kept(NamedTuple, Generic[T]):
    value: T
    fresh_until: float
    stale_until: float


class Cache(Generic[T]):
    """At most `size` answers, the longest unused given up first. Times are of the caller's clock."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._kept: OrderedDict[bytes, _Kept[T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def fresh(self, key: bytes, now: float) -> T | None:
        """The answer, if it is still good."""
        kept = self._kept.get(key)
        if kept is None or now >= kept.fresh_until:
            return None
        self._kept.move_to_end(key)
        return kept.value

    def stale(self, key: bytes, now: float) -> T | None:
        """The answer, if it may do since the service fails."""
        kept = self._kept.get(key)
        if kept is None or now >= kept.stale_until:
            return None
        return kept.value

    def keep(self, key: bytes, value: T, allowed: Allowance, now: float) -> None:
        """Keep an answer for as long as is allowed; one that may not be kept ends what was there."""
        self._kept.pop(key, None)
        if allowed.fresh <= 0 or self.size <= 0:
            return
        fresh = now + allowed.fresh
        self._kept[key] = _Kept(value, fresh, fresh + allowed.stale)
        while len(self._kept) > self.size:
            self._kept.popitem(last=False)

    def clear(self) -> int:
        """Forget all; how many there were."""
        count = len(self._kept)
        self._kept.clear()
        return count
