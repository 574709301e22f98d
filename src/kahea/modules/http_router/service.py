"""Asking the service: within a time, again where that helps, not at all while it is broken, and from the cache."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from kahea.modules.http_router.answer import Answer, parse_answer
from kahea.modules.http_router.breaker import Breaker
from kahea.modules.http_router.cache import Cache, allowance

#: HTTP statuses after which the same question may have an answer a moment later.
TRANSIENT: Final = frozenset((429, 502, 503, 504))
#: The pause before the second attempt, in seconds; each later one is twice as long, and up to half of it is chance.
FIRST_PAUSE: Final = 0.05


class Response(NamedTuple):
    """An HTTP response; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class FetchError(Exception):
    """There is no response, or none that can be used; the text says why."""


#: `(body, headers, seconds)`: post a document. Raises FetchError.
Fetch = Callable[[bytes, Mapping[str, str], float], Awaitable[Response]]


class Outcome(NamedTuple):
    """What came of a question: an answer, or why there is none; both where an older answer stands in."""

    answer: Answer | None
    why: str


@dataclass(slots=True)
class Counts:
    """What has happened, in questions but for `attempts`."""

    asked: int = 0
    attempts: int = 0
    answered: int = 0
    from_cache: int = 0
    stale: int = 0
    failed: int = 0
    timed_out: int = 0
    refused_broken: int = 0
    refused_busy: int = 0


@dataclass(slots=True)
class Service:
    """One URL. `timeout` is for a whole question, in seconds; of questions in flight there are at most `most`."""

    fetch: Fetch
    clock: Callable[[], float]
    timeout: float
    retries: int
    most: int
    breaker: Breaker
    cache: Cache[Answer]
    in_flight: int = 0
    counts: Counts = field(default_factory=Counts)

    async def ask(self, body: bytes, headers: Mapping[str, str], key: bytes | None) -> Outcome:
        """Put a question. `key` is what it shares with others that have the same answer, None if that is not known."""
        self.counts.asked += 1
        now = self.clock()
        if key is not None and (kept := self.cache.fresh(key, now)) is not None:
            self.counts.from_cache += 1
            return Outcome(kept, "")
        if self.in_flight >= self.most:
            self.counts.refused_busy += 1
            return self._instead(key, f"{self.in_flight} questions wait for an answer already")
        if not self.breaker.allows(now):
            self.counts.refused_broken += 1
            return self._instead(key, "the service has failed repeatedly and is left alone for a while")
        self.in_flight += 1
        try:
            async with asyncio.timeout(self.timeout):
                return await self._attempts(body, headers, key)
        except TimeoutError:
            self.counts.timed_out += 1
            return self._failed(key, f"no answer in {self.timeout:g} s")
        except FetchError as error:
            return self._failed(key, str(error))
        finally:
            self.in_flight -= 1

    async def _attempts(self, body: bytes, headers: Mapping[str, str], key: bytes | None) -> Outcome:
        """Ask until there is an answer or a refusal. Raises FetchError, TimeoutError."""
        pause = FIRST_PAUSE
        for left in range(self.retries, -1, -1):
            self.counts.attempts += 1
            try:
                response = await self.fetch(body, headers, self.timeout)
            except FetchError as error:
                failure = str(error)
            else:
                if response.status not in TRANSIENT:
                    return self._judged(response, key)
                failure = f"HTTP status {response.status}"
                pause = max(pause, _retry_after(response.headers))
            if left:
                await asyncio.sleep(pause * (1 + random.random() / 2))
                pause *= 2
        raise FetchError(failure)

    def _judged(self, response: Response, key: bytes | None) -> Outcome:
        """What a response means. Raises FetchError for one that a working service does not give."""
        if response.status >= 500:
            raise FetchError(f"HTTP status {response.status}")
        if not 200 <= response.status <= 299:
            # It works; it does not like the question.
            self.breaker.succeeded()
            self.counts.failed += 1
            return Outcome(None, f"HTTP status {response.status}")
        try:
            answer = parse_answer(response.body)
        except ValueError as error:
            raise FetchError(f"not an answer: {error}") from error
        self.breaker.succeeded()
        self.counts.answered += 1
        if key is not None:
            self.cache.keep(key, answer, allowance(response.headers), self.clock())
        return Outcome(answer, "")

    def _failed(self, key: bytes | None, why: str) -> Outcome:
        self.breaker.failed(self.clock())
        return self._instead(key, why)

    def _instead(self, key: bytes | None, why: str) -> Outcome:
        """An older answer where the service allowed that, or none."""
        if key is not None and (kept := self.cache.stale(key, self.clock())) is not None:
            self.counts.stale += 1
            return Outcome(kept, why)
        self.counts.failed += 1
        return Outcome(None, why)


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds, 0 without a number; the time for the whole question bounds it."""
    value = headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 6 else 0.0
