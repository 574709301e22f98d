"""Sets of media relays: which one a call is given to, by weights, and those that are left alone for a while.

A relay that does not answer is disabled; from some time on it is tested anew by whoever needs it. Tests that are under
way are shared by all who wait for them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from kahea.connectors.errors import Unavailable
from kahea.connectors.media_relay import Relay, parse_place


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for relays: a command is sent `tries` times, `seconds` apart; one that stays without an answer
    is left alone for `disabled` seconds."""

    tries: int
    seconds: float
    disabled: float


@dataclass(slots=True, eq=False)
class Member:
    """A relay of a set. `asked_again_at` is the time from which a disabled one is tested anew, None for never: somebody
    disabled it. `abilities` has what a test found it can do; a `hidden` one is no longer configured."""

    url: str
    weight: int
    index: int
    set_id: int
    relay: Relay
    hidden: bool = False
    tested: bool = False
    disabled: bool = False
    asked_again_at: float | None = 0.0
    abilities: frozenset[int] = frozenset()
    testing: asyncio.Task[None] | None = None


@dataclass(slots=True)
class RelaySet:
    """The relays that share the calls given to a set."""

    number: int
    members: list[Member] = field(default_factory=list)


class RelaySets:
    """All sets. A subclass says how a relay is tested."""

    def __init__(self, clock: Callable[[], float], patience: Callable[[], Patience], log: logging.Logger) -> None:
        self.clock = clock
        self.patience = patience
        self.log = log
        self.sets: dict[int, RelaySet] = {}

    async def test(self, member: Member) -> None:
        """See whether a relay can be used, and note what it can do. Raises Unavailable."""
        raise NotImplementedError

    # ---- members

    def __iter__(self) -> Iterator[Member]:
        return (member for _, each in sorted(self.sets.items()) for member in each.members)

    def add(self, number: int, url: str, weight: int, *, source: str = "", tos: int = -1) -> Member:
        """Add a relay to a set, which is made if it is new. Raises ValueError for a URL of none."""
        relay = Relay(parse_place(url), source=source, tos=tos)
        member = Member(url, weight, sum(1 for _ in self), number, relay)
        self.sets.setdefault(number, RelaySet(number)).members.append(member)
        return member

    def find(self, url: str) -> list[Member]:
        """The relays of a URL, in all sets."""
        return [member for member in self if member.url == url]

    def disable_for_good(self, member: Member) -> None:
        """Disable a relay until somebody enables it."""
        member.disabled, member.asked_again_at = True, None

    def enable(self, member: Member) -> None:
        """Enable a relay."""
        member.disabled, member.asked_again_at = False, 0.0

    def disable(self, member: Member, error: Unavailable) -> None:
        """Leave a relay alone for a while."""
        seconds = self.patience().disabled
        self.log.error("relay %s is left alone for %g s: %s", member.url, seconds, error)
        if member.asked_again_at is not None:
            member.asked_again_at = self.clock() + seconds
        member.disabled = True
        # Its name may stand for another address by the time it is tested.
        member.relay.close()

    def seconds_alone(self, member: Member) -> int:
        """For how many seconds a relay is left alone yet; -1 for good."""
        if member.asked_again_at is None:
            return -1
        return max(0, round(member.asked_again_at - self.clock())) if member.disabled else 0

    def close(self) -> None:
        """Close all sockets."""
        for member in self:
            if member.testing is not None:
                member.testing.cancel()
            member.relay.close()

    # ---- tests

    async def test_all(self) -> None:
        """See which relays are there."""
        await self.test_each(self)

    async def test_each(self, members: Iterable[Member]) -> None:
        """Test these, at once."""
        await asyncio.gather(*(self._test_shared(member) for member in members))

    async def _test_shared(self, member: Member) -> None:
        if member.testing is None or member.testing.done():
            member.testing = asyncio.ensure_future(self._test_one(member))
        await asyncio.shield(member.testing)

    async def _test_one(self, member: Member) -> None:
        try:
            await self.test(member)
        except Unavailable as error:
            self.disable(member, error)
        else:
            if member.disabled and member.asked_again_at is not None:
                self.log.warning("relay %s is used again", member.url)
                self.enable(member)
        member.tested = True

    # ---- commands

    def send(self, member: Member, command: bytes) -> Awaitable[bytes]:
        """The answer of a relay. Raises Unavailable."""
        patience = self.patience()
        return member.relay.ask(command, patience.tries, patience.seconds)

    def is_due(self, member: Member) -> bool:
        """Whether a disabled relay is to be tested anew."""
        return member.disabled and member.asked_again_at is not None and member.asked_again_at <= self.clock()

    async def choose(self, chosen: RelaySet, number: int, failed: Collection[Member], *, last_resort: bool) -> Member:
        """The relay of a set for a number that stands for a call, none of those that failed. Raises Unavailable.

        `last_resort`: where all are disabled they are tested, though it is not time yet.
        """
        candidates = [member for member in chosen.members if member not in failed]
        await self.test_each(member for member in candidates if not member.tested or self.is_due(member))
        if len(chosen.members) == 1 and candidates and not candidates[0].disabled:
            return candidates[0]
        total = _weight(candidates)
        if not total and last_resort:
            await self.test_each(m for m in candidates if m.disabled and m.asked_again_at is not None)
            total = _weight(candidates)
        if not total:
            raise Unavailable("no relay is available")
        rest = number % total
        for member in candidates:
            if not member.disabled:
                rest -= max(member.weight, 0)
                if rest < 0:
                    return member
        raise AssertionError("weights changed while nothing waited")


def _weight(members: Iterable[Member]) -> int:
    return sum(max(member.weight, 0) for member in members if not member.disabled)


__all__ = ["Member", "Patience", "RelaySet", "RelaySets"]
