"""The relays as rtpengine's control protocol knows them, and which one has which call."""

from __future__ import annotations

import hashlib
import logging
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from kahea.connectors.bencode import BencodeError, dump_pairs, load
from kahea.connectors.errors import Refused, Unavailable
from kahea.connectors.relay_sets import Member, Patience, RelaySet, RelaySets

#: Calls that are remembered; with more, the oldest are forgotten.
MAX_CALLS: Final = 200_000
#: The most relays that are asked for one command.
MAX_ASKED: Final = 30

_PING: Final = dump_pairs([(b"command", b"ping")])


class NotDone(Refused):
    """A relay answered, but did not do what it was told."""

    def __init__(self, member: Member, why: str) -> None:
        super().__init__(f"relay {member.url}: {why}")
        self.member = member


class Call(NamedTuple):
    """What a relay knows a call by: its Call-ID, and a branch or b""."""

    call_id: bytes
    branch: bytes


@dataclass(frozen=True, slots=True)
class Policy:
    """How a relay is chosen, by the parameters of these names."""

    hash_algo: int
    allow_op: int
    aggressive: bool
    limit: int


class Calls:
    """Which relay of a set has a call, for as long as an entry lasts."""

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._found: dict[tuple[Call, int], tuple[Member, float]] = {}

    def __len__(self) -> int:
        self._purge()
        return len(self._found)

    def find(self, call: Call, number: int) -> Member | None:
        """The relay that has a call, of the set with that number."""
        found = self._found.get((call, number))
        return found[0] if found is not None and found[1] > self._clock() else None

    def add(self, call: Call, member: Member) -> None:
        """Remember who has a call."""
        self._purge()
        if len(self._found) >= MAX_CALLS:
            del self._found[next(iter(self._found))]
        self._found.pop((call, member.set_id), None)
        self._found[call, member.set_id] = member, self._clock() + self._seconds

    def forget(self, call: Call, number: int) -> None:
        """Forget a call that has ended."""
        self._found.pop((call, number), None)

    def _purge(self) -> None:
        """Entries stand in the order in which they end."""
        now = self._clock()
        for key in list(self._ended(now)):
            del self._found[key]

    def _ended(self, now: float) -> Iterator[tuple[Call, int]]:
        for key, (_, until) in self._found.items():
            if until > now:
                return
            yield key


class Engines(RelaySets):
    """All sets of relays."""

    def __init__(
        self, clock: Callable[[], float], patience: Callable[[], Patience], policy: Callable[[], Policy], calls: Calls
    ) -> None:
        super().__init__(clock, patience, logging.getLogger("kahea.rtpengine"))
        self._policy = policy
        self.calls = calls

    async def test(self, member: Member) -> None:
        """Ping a relay. Raises Unavailable."""
        try:
            answer = load(await self.send(member, _PING))
        except BencodeError as error:
            raise Unavailable(f"it answers a ping with what can't be read: {error}") from error
        if not isinstance(answer, dict) or answer.get(b"result") != b"pong":
            raise Unavailable("it answers a ping with something else")

    async def ping(self, member: Member) -> bool:
        """Whether a relay answers; one that does not is left alone for a while."""
        try:
            await self.test(member)
        except Unavailable as error:
            if member.asked_again_at is not None:
                self.disable(member, error)
            return False
        return True

    async def try_to_enable(self, member: Member) -> bool:
        """Enable a relay if it answers; else it is no longer disabled for good."""
        member.asked_again_at = 0.0
        found = await self.ping(member)
        if found:
            self.enable(member)
        return found

    async def ask(self, chosen: RelaySet, call: Call, command: bytes, *, ends: bool) -> tuple[Member, dict[bytes, Any]]:
        """A relay's answer, and which one that is. `ends`: the command ends the call.

        A call that a relay has is not given to another. Raises Unavailable where none answers, NotDone for an error.
        """
        bound = self.calls.find(call, chosen.number)
        if bound is not None:
            member, answer = bound, await self._ask_bound(bound, command)
        else:
            member, answer = await self._ask_any(chosen, call, command)
        if ends:
            self.calls.forget(call, chosen.number)
        elif bound is None:
            self.calls.add(call, member)
        return member, answer

    async def _ask_bound(self, member: Member, command: bytes) -> dict[bytes, Any]:
        allowed = self._policy().allow_op
        if self.is_due(member):
            await self.test_each([member])
        if member.disabled and not (allowed == 1 or (allowed == 2 and member.asked_again_at is None)):
            raise Unavailable(f"relay {member.url}, which has the call, is disabled")
        answer = await self._command(member, command)
        if answer is None:
            raise Unavailable(f"relay {member.url}, which has the call, has too much to do")
        return answer

    async def _ask_any(self, chosen: RelaySet, call: Call, command: bytes) -> tuple[Member, dict[bytes, Any]]:
        policy = self._policy()
        number = hash_of(call.call_id, policy.hash_algo)
        failed: list[Member] = []
        while len(failed) < policy.limit:
            member = await self.choose(chosen, number, failed, last_resort=policy.aggressive)
            try:
                answer = await self._command(member, command)
            except Unavailable:
                answer = None
            if answer is not None:
                return member, answer
            failed.append(member)
        raise Unavailable(f"{policy.limit} relays did not answer")

    async def _command(self, member: Member, command: bytes) -> dict[bytes, Any] | None:
        """A relay's answer; None where it has too much to do. Raises Unavailable, NotDone."""
        try:
            data = await self.send(member, command)
        except Unavailable as error:
            self.disable(member, error)
            raise
        try:
            answer = load(data)
        except BencodeError as error:
            raise NotDone(member, f"its answer can't be read: {error}") from error
        result = answer.get(b"result") if isinstance(answer, dict) else None
        if result == b"load limit":
            self.log.warning("relay %s has too much to do", member.url)
            return None
        if result != b"ok":
            reason = answer.get(b"error-reason", b"no reason") if isinstance(answer, dict) else b"no dictionary"
            raise NotDone(member, f"error: {reason!r}")
        if b"warning" in answer:
            self.log.warning("relay %s: %r", member.url, answer[b"warning"])
        assert isinstance(answer, dict)
        return answer


def hash_of(call_id: bytes, algorithm: int) -> int:
    """The number that a call's relay follows from: 0 the sum of its bytes, 1 SHA-1, 2 CRC-32."""
    if algorithm == 2:
        return zlib.crc32(call_id)
    if algorithm == 1:
        digest = hashlib.sha1(call_id, usedforsecurity=False).digest()
        return sum(byte - 256 if byte > 127 else byte for byte in digest) & 0xFFFFFFFF
    return sum(call_id) & 0xFF
