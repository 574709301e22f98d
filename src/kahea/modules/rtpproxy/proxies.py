"""The relays in their sets: which of them a call is given to, what they can do, and those that are left alone.

A call's relay follows from its Call-ID and the weights, so that all of its messages find the same one. A relay that
does not answer is disabled for a while, and the command goes to another of the set.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from kahea.connectors.errors import Unavailable
from kahea.connectors.media_relay import Relay, parse_place

log = logging.getLogger("kahea.rtpproxy")

# Parts of the protocol that a relay may know, by their dates.
_PROTOCOL: Final = 20040107
_STREAMS: Final = 20050322
_REPACKETIZING: Final = 20071116
_CODECS: Final = 20081102

_NUMBER: Final = re.compile(rb"\s*([+-]?\d{1,18})")


def leading_number(answer: bytes) -> int:
    """The number that an answer begins with, 0 for none."""
    found = _NUMBER.match(answer)
    return int(found[1]) if found else 0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for relays: a command is sent `tries` times, `seconds` apart; one that stays without an answer
    is left alone for `disabled` seconds."""

    tries: int
    seconds: float
    disabled: float


@dataclass(slots=True, eq=False)
class Proxy:
    """A relay of a set. `asked_again_at` is the node's time from which a disabled one is tried anew, None for never."""

    url: str
    weight: int
    index: int
    set_id: int
    relay: Relay
    tested: bool = False
    disabled: bool = False
    asked_again_at: float | None = 0.0
    repacketizes: bool = False
    takes_codecs: bool = False
    testing: asyncio.Task[None] | None = None


@dataclass(slots=True)
class ProxySet:
    """The relays that share the calls given to a set."""

    number: int
    proxies: list[Proxy] = field(default_factory=list)


class Proxies:
    """All sets."""

    def __init__(self, clock: Callable[[], float], patience: Patience) -> None:
        self._clock = clock
        self._patience = patience
        self.sets: dict[int, ProxySet] = {}

    def __iter__(self) -> Iterator[Proxy]:
        return (proxy for _, each in sorted(self.sets.items()) for proxy in each.proxies)

    def add(self, number: int, url: str, weight: int) -> None:
        """Add a relay to a set, which is made if it is new. Raises ValueError for a URL of none."""
        relay = Relay(parse_place(url))
        members = self.sets.setdefault(number, ProxySet(number))
        members.proxies.append(Proxy(url, weight, sum(1 for _ in self), number, relay))

    def enable(self, url: str, *, on: bool) -> bool:
        """Enable or disable every relay of a URL, until this is asked anew; False if there is none."""
        found = [proxy for proxy in self if proxy.url == url]
        for proxy in found:
            proxy.disabled = not on
            proxy.asked_again_at = 0.0 if on else None
        return bool(found)

    def close(self) -> None:
        """Close all sockets."""
        for proxy in self:
            if proxy.testing is not None:
                proxy.testing.cancel()
            proxy.relay.close()

    # ---- testing relays

    async def test_all(self) -> None:
        """See which relays are there."""
        await self._test(self)

    async def _test(self, proxies: Iterable[Proxy]) -> None:
        await asyncio.gather(*(self._test_one(proxy) for proxy in proxies))

    async def _test_one(self, proxy: Proxy) -> None:
        """Test a relay; who comes while that is under way waits for its end."""
        if proxy.testing is None or proxy.testing.done():
            proxy.testing = asyncio.ensure_future(self._find_abilities(proxy))
        await asyncio.shield(proxy.testing)

    async def _find_abilities(self, proxy: Proxy) -> None:
        try:
            version = leading_number(await self._send(proxy, b"V"))
            if version != _PROTOCOL or not await self._can(proxy, _STREAMS):
                raise Unavailable(f"its protocol {version} is not supported")
            proxy.repacketizes = await self._can(proxy, _REPACKETIZING)
            proxy.takes_codecs = await self._can(proxy, _CODECS)
        except Unavailable as error:
            self._disable(proxy, error)
        else:
            if proxy.disabled and proxy.asked_again_at is not None:
                log.warning("relay %s is used again", proxy.url)
                proxy.disabled, proxy.asked_again_at = False, 0.0
        proxy.tested = True

    async def _can(self, proxy: Proxy, part: int) -> bool:
        return leading_number(await self._send(proxy, b"VF %d" % part)) == 1

    def _send(self, proxy: Proxy, command: bytes) -> Awaitable[bytes]:
        return proxy.relay.ask(command, self._patience.tries, self._patience.seconds)

    def _disable(self, proxy: Proxy, error: Unavailable) -> None:
        log.error("relay %s is left alone for %g s: %s", proxy.url, self._patience.disabled, error)
        if proxy.asked_again_at is not None:
            proxy.asked_again_at = self._clock() + self._patience.disabled
        proxy.disabled = True

    # ---- commands

    async def ask(self, members: ProxySet, call_id: bytes, command: Callable[[Proxy], bytes]) -> tuple[Proxy, bytes]:
        """A relay's answer to what `command` says to it, and which one that is. Raises Unavailable.

        Where a relay stays silent the next is asked, each once.
        """
        failed: list[Proxy] = []
        while True:
            proxy = await self._choose(members, call_id, failed)
            data = command(proxy)
            try:
                return proxy, await self._send(proxy, data)
            except Unavailable as error:
                self._disable(proxy, error)
                failed.append(proxy)

    async def _choose(self, members: ProxySet, call_id: bytes, failed: Collection[Proxy]) -> Proxy:
        """The relay for a call. Raises Unavailable where there is none."""
        candidates = [proxy for proxy in members.proxies if proxy not in failed]
        await self._test(proxy for proxy in candidates if not proxy.tested or self._is_due(proxy))
        if len(members.proxies) == 1 and candidates and not candidates[0].disabled:
            return candidates[0]
        total = _weight(candidates)
        if not total and len(members.proxies) > 1:
            # Better to wait for those that were silent than to give the call up.
            await self._test(proxy for proxy in candidates if proxy.disabled and proxy.asked_again_at is not None)
            total = _weight(candidates)
        if not total:
            raise Unavailable("no relay is available")
        rest = (sum(call_id) & 0xFF) % total
        for proxy in candidates:
            if not proxy.disabled:
                rest -= max(proxy.weight, 0)
                if rest < 0:
                    return proxy
        raise AssertionError("weights changed while nothing waited")

    def _is_due(self, proxy: Proxy) -> bool:
        return proxy.disabled and proxy.asked_again_at is not None and proxy.asked_again_at <= self._clock()


def _weight(proxies: Iterable[Proxy]) -> int:
    return sum(max(proxy.weight, 0) for proxy in proxies if not proxy.disabled)
