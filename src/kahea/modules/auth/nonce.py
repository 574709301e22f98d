"""Nonces: made without being remembered, checked by what they carry, and counted where that is wanted.

A nonce is base64 of: when it was made (4 bytes), its number (6), a MAC of both (14); then, where the request's own
properties are to be checked, a MAC of those (9). The MACs are HMAC-SHA-256, cut; RFC 7616 §5.4 leaves the form open.
"""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from kahea.sip.errors import ParseError

if TYPE_CHECKING:
    from kahea.sip.message import Message

# Properties of a request, as the parameters auth_checks_* name them.
CHECK_URI: Final = 1
CHECK_CALLID: Final = 2
CHECK_FROM_TAG: Final = 4
CHECK_SOURCE: Final = 8

#: The largest nonce count that is followed; beyond it a new nonce is needed.
MAX_COUNT: Final = 255

_STAMP: Final = 4
_NUMBER: Final = 6
_HEAD: Final = _STAMP + _NUMBER
_MAC: Final = 14
_OF_REQUEST: Final = 9


class Verdict(enum.Enum):
    """What a nonce is worth."""

    GOOD = "good"
    STALE = "stale"
    REUSED = "reused"
    BAD = "bad"


class Secrets(NamedTuple):
    """The keys of both MACs."""

    nonce: bytes
    request: bytes


def secrets_of(phrase: str) -> Secrets:
    """The keys that a phrase gives, its first half and its second; random ones without a phrase."""
    if not phrase:
        return Secrets(secrets.token_bytes(32), secrets.token_bytes(32))
    data = phrase.encode("utf-8", "surrogateescape")
    half = (len(data) + 1) // 2
    return Secrets(data[:half], data[half:] or data[:half])


class Window:
    """What is known of the last `size` nonces by number, a byte for each. Older ones count as never seen again."""

    def __init__(self, size: int) -> None:
        self._seen = bytearray(size)
        self.next = 0

    def take(self) -> int:
        """The number of a new nonce, whose byte is 0."""
        number = self.next
        self.next += 1
        self._seen[number % len(self._seen)] = 0
        return number

    def knows(self, number: int) -> bool:
        """Whether the number was given out by this process, and not too long ago."""
        return self.next - len(self._seen) <= number < self.next

    def __getitem__(self, number: int) -> int:
        return self._seen[number % len(self._seen)]

    def __setitem__(self, number: int, value: int) -> None:
        self._seen[number % len(self._seen)] = value


class Nonces:
    """Makes and checks nonces. `life` and `drift` are in seconds; `counts` and `once` have the numbers of nonces that
    are followed by their nonce counts, and as used or not; None for none."""

    def __init__(
        self,
        keys: Secrets,
        wall: Callable[[], float],
        life: int,
        drift: int,
        counts: Window | None,
        once: Window | None,
    ) -> None:
        self._keys = keys
        self._wall = wall
        self._life = life
        self._drift = drift
        self._counts = counts
        self._once = once

    def make(self, msg: Message, checks: int) -> bytes:
        """A nonce for the answer to a request, of which `checks` names the properties that bind it."""
        number = 0
        for window in (self._counts, self._once):
            if window is not None:
                number = window.take()
        head = int(self._wall()).to_bytes(_STAMP, "big") + number.to_bytes(_NUMBER, "big")
        whole = head + _mac(self._keys.nonce, head, _MAC)
        if checks:
            whole += self._of_request(msg, checks)
        return base64.b64encode(whole)

    def check(self, nonce: bytes, msg: Message, checks: int, count: bytes) -> Verdict:
        """What the nonce of credentials is worth, which is counted; `count` is their nonce count, b"" without one."""
        try:
            whole = base64.b64decode(nonce, validate=True)
        except binascii.Error:
            return Verdict.BAD
        head, mac, rest = whole[:_HEAD], whole[_HEAD : _HEAD + _MAC], whole[_HEAD + _MAC :]
        if not hmac.compare_digest(mac, _mac(self._keys.nonce, head, _MAC)):
            return Verdict.BAD
        now = int(self._wall())
        made = int.from_bytes(head[:_STAMP], "big")
        if made > now + self._drift or made + self._life < now:
            return Verdict.STALE
        number = int.from_bytes(head[_STAMP:], "big")
        if self._counts is not None and count:
            return self._counted(self._counts, number, count)
        if self._once is not None:
            return self._used(self._once, number)
        if checks and not hmac.compare_digest(rest, self._of_request(msg, checks)):
            return Verdict.STALE
        return Verdict.GOOD

    @staticmethod
    def _counted(window: Window, number: int, count: bytes) -> Verdict:
        try:
            given = int(count, 16) if len(count) == 8 else -1
        except ValueError:
            given = -1
        if given < 0:
            return Verdict.BAD
        if not window.knows(number) or given > MAX_COUNT or given <= window[number]:
            return Verdict.STALE
        window[number] = given
        return Verdict.GOOD

    @staticmethod
    def _used(window: Window, number: int) -> Verdict:
        if not window.knows(number):
            return Verdict.STALE
        if window[number]:
            return Verdict.REUSED
        window[number] = 1
        return Verdict.GOOD

    def _of_request(self, msg: Message, checks: int) -> bytes:
        parts = []
        try:
            if checks & CHECK_URI:
                parts.append(msg.original_uri)
            if checks & CHECK_CALLID:
                parts.append(msg.callid)
            if checks & CHECK_FROM_TAG:
                parts.append(msg.from_.tag or b"")
        except ParseError:
            parts.append(b"\n")
        if checks & CHECK_SOURCE:
            parts.append(msg.src_ip)
        return _mac(self._keys.request, b"\n".join(parts), _OF_REQUEST)


def _mac(key: bytes, data: bytes, size: int) -> bytes:
    return hmac.digest(key, data, hashlib.sha256)[:size]
