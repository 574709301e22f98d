"""The relays as rtpproxy's protocol knows them: what they can do, and commands that another takes over."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Final

from kahea.connectors.errors import Unavailable
from kahea.connectors.relay_sets import Member, Patience, RelaySet, RelaySets

# Parts of the protocol that a relay may know, by their dates.
_PROTOCOL: Final = 20040107
_STREAMS: Final = 20050322
REPACKETIZING: Final = 20071116
CODECS: Final = 20081102

_NUMBER: Final = re.compile(rb"\s*([+-]?\d{1,18})")


def leading_number(answer: bytes) -> int:
    """The number that an answer begins with, 0 for none."""
    found = _NUMBER.match(answer)
    return int(found[1]) if found else 0


class Proxies(RelaySets):
    """All sets of relays.

    A call's relay follows from its Call-ID and the weights, so that all of its messages find the same one.
    """

    def __init__(self, clock: Callable[[], float], patience: Patience) -> None:
        super().__init__(clock, lambda: patience, logging.getLogger("kahea.rtpproxy"))

    async def test(self, member: Member) -> None:
        """Ask for the protocol and for the parts of it that a relay knows. Raises Unavailable."""
        version = leading_number(await self.send(member, b"V"))
        if version != _PROTOCOL or not await self._can(member, _STREAMS):
            raise Unavailable(f"its protocol {version} is not supported")
        member.abilities = frozenset([part for part in (REPACKETIZING, CODECS) if await self._can(member, part)])

    async def _can(self, member: Member, part: int) -> bool:
        return leading_number(await self.send(member, b"VF %d" % part)) == 1

    async def ask(self, chosen: RelaySet, call_id: bytes, command: Callable[[Member], bytes]) -> tuple[Member, bytes]:
        """A relay's answer to what `command` says to it, and which one that is. Raises Unavailable.

        Where a relay stays silent the next is asked, each once. Where all are disabled, they are tested before a call
        is given up, but for a relay alone in its set.
        """
        failed: list[Member] = []
        number = sum(call_id) & 0xFF
        while True:
            member = await self.choose(chosen, number, failed, last_resort=len(chosen.members) > 1)
            data = command(member)
            try:
                return member, await self.send(member, data)
            except Unavailable as error:
                self.disable(member, error)
                failed.append(member)
