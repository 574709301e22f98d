"""Names to destinations (RFC 3263) without blocking: the plan of `locate`, answered from the cache or by DNS.

`literal` and `known` never wait; `resolve` and `query` may. What is being asked is not asked twice.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from kahea.net.address import Listener
from kahea.net.dns_cache import DnsCache
from kahea.net.dns_client import AresClient, Client, HostsFile, search_list
from kahea.net.dns_records import KINDS, Answer, Query, Record, ResolveError, dns_name
from kahea.net.dns_settings import DnsDefaults, DnsSettings
from kahea.net.locate import Destination, Means, Plan, Target, literal, locate, protocol

log = logging.getLogger("kahea.net")

MAX_ASKING = 1000  # questions in flight
FRESH = 1.0  # seconds for which a list of destinations is given again without looking anew
MAX_FRESH = 10_000

_Key = tuple[bytes, int, str | None, bytes, tuple[int, ...] | None]
HOSTS = Path("/etc/hosts")


class Resolver:
    """One node's resolver. What it may use of transports and IP families is told by `serve`."""

    def __init__(
        self,
        settings: DnsSettings | None = None,
        *,
        nameservers: Sequence[str] | None = None,
        client: Client | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        hosts: Path | None = HOSTS,
        room: int = 10_000,
    ) -> None:
        """`nameservers` are `ip` or `ip:port`; by default those of the system.

        `hosts` is the hosts file, None for none; `room` bounds the cache's entries; `clock`, `rng` and
        `client` are for tests.
        """
        self.settings: DnsSettings = settings if settings is not None else DnsDefaults()
        self.client: Client = client if client is not None else AresClient(self.settings, nameservers)
        self.cache = DnsCache(self.settings, clock, room)
        self.means = Means()
        self.rng = rng or random.Random()
        #: Questions put to servers that brought no record, and those that took `dns_slow_query_ms` or longer.
        self.failed = self.slow = 0
        self._hosts = HostsFile(hosts, clock)
        self._search: list[str] | None = None
        self._asking: dict[Query, asyncio.Task[Answer]] = {}
        self._clock = clock
        self._fresh: dict[_Key, tuple[float, tuple[Destination, ...]]] = {}

    def serve(self, listeners: Iterable[Listener]) -> None:
        """Tell what this node listens on: destinations of other protocols and families are of no use."""
        found = list(listeners)
        self.means = Means({one.proto for one in found}, {one.address.family for one in found})
        self._fresh.clear()

    # Destinations.

    def literal(
        self, host: bytes, port: int = 0, transport: str | None = None, scheme: bytes = b"sip"
    ) -> Destination | None:
        """The destination of an IP literal, None for a name. Raises ResolveError for an unknown transport."""
        return literal(_target(host, port, transport, scheme))

    def known(
        self,
        host: bytes,
        port: int = 0,
        transport: str | None = None,
        scheme: bytes = b"sip",
        families: tuple[int, ...] | None = None,
    ) -> list[Destination] | None:
        """As `resolve`, from what is known now; None if DNS must be asked."""
        key = (host, port, transport, scheme, families)
        fresh = self._fresh.get(key)
        if fresh is not None and self._clock() < fresh[0]:
            return list(fresh[1])
        target = _target(host, port, transport, scheme)
        errors: list[str] = []
        for name in self._names(target.host):
            plan = self._plan(target, name, families)
            found = self._run_known(plan, errors)
            if found is None:
                return None
            if found:
                self._keep(key, found)
                return found
        raise _nowhere(target.host, errors)

    async def resolve(
        self,
        host: bytes,
        port: int = 0,
        transport: str | None = None,
        scheme: bytes = b"sip",
        families: tuple[int, ...] | None = None,
    ) -> list[Destination]:
        """The destinations of a URI's host in the order to try them; never empty.

        `port` 0 and `transport` None are those that the URI does not give. `families` (4, 6) narrows what the
        node listens on, for one who must send from a certain listener. Raises ResolveError, an OSError.
        """
        known = self.known(host, port, transport, scheme, families)
        if known is not None:
            return known
        target = _target(host, port, transport, scheme)
        errors: list[str] = []
        for name in self._names(target.host):
            found = await self._run(self._plan(target, name, families), errors)
            if found:
                return found
        raise _nowhere(target.host, errors)

    def _keep(self, key: _Key, found: Iterable[Destination]) -> None:
        if self.settings.dns_srv_lb:
            return  # each call draws anew
        if len(self._fresh) >= MAX_FRESH:
            self._fresh.clear()
        self._fresh[key] = (self._clock() + FRESH, tuple(found))

    def _plan(self, target: Target, name: str, families: tuple[int, ...] | None) -> Plan:
        means = self.means
        if families is not None:
            means = Means(means.protos, set(means.families) & set(families))
        target = Target(name, target.port, target.proto, target.secure)
        return locate(target, self.settings, means, self.rng)

    def _run_known(self, plan: Plan, errors: list[str]) -> list[Destination] | None:
        answers: list[Answer] | None = None
        try:
            while True:
                questions = plan.send(answers) if answers is not None else next(plan)
                known = [self._known(question) for question in questions]
                answers = [answer for answer in known if answer is not None]
                if len(answers) < len(known):
                    return None
                errors += [answer.error for answer in answers if answer.error]
        except StopIteration as done:
            found: list[Destination] = done.value
            return found

    async def _run(self, plan: Plan, errors: list[str]) -> list[Destination]:
        answers: list[Answer] | None = None
        try:
            while True:
                questions = plan.send(answers) if answers is not None else next(plan)
                answers = await self._answers(questions)
                errors += [answer.error for answer in answers if answer.error]
        except StopIteration as done:
            found: list[Destination] = done.value
            return found

    def _names(self, host: str) -> list[str]:
        """A host name, completed by the search list if it is a short one."""
        if "." in host or ":" in host or not self.settings.dns_use_search_list:
            return [host]
        if self.cache.is_pinned(host) or self._hosts.find(host, "A") is not None:
            return [host]
        if self._search is None:
            self._search = search_list()
        return [*(f"{host}.{domain}" for domain in self._search), host]

    # Questions.

    async def query(self, name: bytes | str, kind: str) -> tuple[Record, ...]:
        """The records of a name (see `dns_records.Record`), in the server's order; none if there are none.

        Raises ResolveError if it can't be known, ValueError for a type that is not asked for here.
        """
        if kind not in KINDS:
            raise ValueError(f"DNS type {kind!r} is not supported")
        answer = (await self._answers([(dns_name(name), kind)]))[0]
        if answer.error:
            raise ResolveError(f"{name!r}: {answer.error}")
        return answer.records

    def pin(self, name: str, kind: str, records: Iterable[Record]) -> None:
        """Answer a question by these records from now on, without DNS; none: there is no such name."""
        self.cache.pin((dns_name(name), kind), records)
        self._fresh.clear()

    def unpin(self, name: str, kind: str) -> bool:
        """Take a pinned answer back; False if there was none."""
        self._fresh.clear()
        return self.cache.unpin((dns_name(name), kind))

    def clear(self) -> None:
        """Forget all answers that were not pinned."""
        self.cache.clear()
        self._fresh.clear()

    def forget_destinations(self) -> None:
        """Work destinations out anew: what they follow from was changed, answers by hand or settings."""
        self._fresh.clear()

    def _known(self, query: Query) -> Answer | None:
        return self.cache.pinned(query) or self._hosts.find(*query) or self.cache.get(query)

    async def _answers(self, questions: Sequence[Query]) -> list[Answer]:
        """The answers to questions that are asked side by side."""
        known = [self._known(question) for question in questions]
        tasks = [
            self._ask(question) if answer is None else None for question, answer in zip(questions, known, strict=True)
        ]
        waiting = [task for task in tasks if isinstance(task, asyncio.Task)]
        if waiting:
            # A waiter that is cancelled leaves the question to the others.
            await asyncio.wait(waiting)
        answers = []
        for answer, task in zip(known, tasks, strict=True):
            if isinstance(task, asyncio.Task):
                answers.append(Answer(error="cancelled") if task.cancelled() else task.result())
            else:
                answers.append(task or answer or Answer())
        return answers

    def _ask(self, query: Query) -> asyncio.Task[Answer] | Answer:
        task = self._asking.get(query)
        if task is not None:
            return task
        if len(self._asking) >= MAX_ASKING:
            return Answer(error="too many DNS questions are waiting for an answer")
        task = asyncio.get_running_loop().create_task(self._asked(query))
        self._asking[query] = task
        task.add_done_callback(lambda _: self._asking.pop(query, None))
        return task

    async def _asked(self, query: Query) -> Answer:
        asked_at = self._clock()
        answer = await self.client.ask(*query)
        took = (self._clock() - asked_at) * 1000
        limit = self.settings.dns_slow_query_ms
        if 0 < limit <= took:
            self.slow += 1
            log.warning("DNS took %.0f ms for %s %s (dns_slow_query_ms is %d)", took, query[1], query[0], limit)
        if not answer.records:
            self.failed += 1
        self.cache.put(query, answer)
        return answer

    async def close(self) -> None:
        """Give up all questions; whoever waits gets an error."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self.client.close()


def _target(host: bytes, port: int, transport: str | None, scheme: bytes) -> Target:
    secure = scheme.lower() == b"sips"
    text = host.decode("ascii", "replace")
    return Target(text, port, protocol(transport, secure), secure)


def _nowhere(host: str, errors: Sequence[str]) -> ResolveError:
    return ResolveError(f"{host[:64]!r} leads nowhere: {errors[0] if errors else 'no such host or service'}")
