"""The state of one registration with another server, and of all: no I/O, the time is passed in as Unix seconds.

| flag | |
|---|---|
| 1 | disabled: nothing is sent |
| 2 | a REGISTER is under way |
| 4 | the registrar has the contact, until `timer_expires` |
| 8 | the REGISTER under way answers a challenge |
| 16 | something was sent since it was loaded |

They are Kamailio's. Unlike there, a registration counts while it is refreshed, and no REGISTER is sent as long as one
is under way (RFC 3261 §10.2).
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from kahea.modules.uac.account import Account
from kahea.routing.text import wire
from kahea.routing.transformations.strings import core_hash
from kahea.sip.errors import ParseError
from kahea.sip.message import H_CONTACT, H_MINEXPIRES, Message
from kahea.sip.uri import parse_uri

DISABLED: Final = 1
UNDER_WAY: Final = 2
ONLINE: Final = 4
ANSWERING: Final = 8
SENT: Final = 16

#: A registration is refreshed this many seconds before the last look at it that would do.
MARGIN: Final = 3
#: The longest time that a registrar can make us ask for, in seconds.
MAX_EXPIRES: Final = 2**31 - 1
#: Kamailio's first CSeq.
FIRST_CSEQ: Final = 10

#: What a registration is looked up by in management.
ATTRIBUTES: Final = ("l_uuid", "l_username", "r_username", "auth_username")


class Status(enum.IntEnum):
    """What `uac_reg_status` says."""

    ONLINE = 1
    UNDER_WAY = -2
    DISABLED = -3
    WAITING = -99


@dataclass(slots=True, eq=False)
class Registration:
    """One registration. `expires` is what is asked for, which a registrar may have raised."""

    account: Account
    reg_init: int  # when it was loaded
    reg_delay: int  # seconds from then on before the first REGISTER
    flags: int = 0
    timer_expires: int = 0  # when it ends, or is to be tried again
    expires: int = 0
    callid: str = ""
    tag: str = ""
    cseq: int = FIRST_CSEQ
    #: Counts what was sent, so that a reply to what no longer matters is known.
    attempt: int = 0
    #: Whether what is under way takes the contact away.
    leaving: bool = False

    def status(self, now: int) -> Status:
        """What it is worth now."""
        if self.flags & ONLINE and self.timer_expires > now:
            return Status.ONLINE
        if self.flags & DISABLED:
            return Status.DISABLED
        return Status.UNDER_WAY if self.flags & UNDER_WAY else Status.WAITING

    def is_due(self, now: int, interval: int) -> bool:
        """Whether to send a REGISTER now, if the next look is `interval` seconds away."""
        if self.flags & (DISABLED | UNDER_WAY) or self.expires <= 0:
            return False
        if not self.flags & SENT and self.reg_init + self.reg_delay > now:
            return False
        return self.timer_expires <= now + interval + MARGIN

    def begin(self, *, keep_callid: bool, leaving: bool = False) -> int:
        """A REGISTER is sent, in the Call-ID of the one before if that is kept; the number of the attempt."""
        self.flags = (self.flags | UNDER_WAY | SENT) & ~ANSWERING
        self.leaving = leaving
        if keep_callid and self.callid:
            self.cseq += 1
        else:
            self.callid = self.tag = ""
            self.cseq = FIRST_CSEQ
        self.attempt += 1
        return self.attempt

    def answer(self) -> int:
        """It is sent again with credentials; the number of the attempt."""
        self.flags |= ANSWERING
        self.cseq += 1
        self.attempt += 1
        return self.attempt

    def registered(self, seconds: int, now: int) -> None:
        """The registrar has the contact for so many seconds."""
        self._over()
        self.flags |= ONLINE
        self.timer_expires = now + seconds

    def not_listed(self, now: int) -> None:
        """The registrar said yes, but the contact is not among those that it has: try again at the next look."""
        self._lost(now)

    def too_brief(self, least: int, now: int) -> None:
        """The registrar wants longer registrations: ask for `least` seconds, or twice as many as before."""
        self._lost(now)
        self.expires = min(least if least > self.expires else self.expires * 2, MAX_EXPIRES)

    def failed(self, now: int, retry: int) -> None:
        """It failed: try again in `retry` seconds, with 0 never."""
        self._lost(now + retry)
        if not retry:
            self.flags |= DISABLED

    def left(self, now: int) -> None:
        """The contact was taken away, or nobody knows: disabled until it is enabled."""
        self._lost(now)
        self.flags |= DISABLED

    def enable(self, now: int) -> None:
        """Register at the next look."""
        self.flags &= ~DISABLED
        self.timer_expires = now + 1

    def disable(self, now: int) -> None:
        """Send nothing any more; what the registrar has ends by itself."""
        self.flags |= DISABLED
        self.timer_expires = now + 1

    def _lost(self, until: int) -> None:
        """There is no registration, until a REGISTER in a Call-ID of its own may make one."""
        self._over()
        self.flags &= ~ONLINE
        self.callid = ""
        self.timer_expires = until

    def _over(self) -> None:
        self.flags &= ~(UNDER_WAY | ANSWERING)


def granted(reply: Message, account: Account, asked: int) -> int | None:
    """The seconds that a 2xx grants the account's contact, known by its user; `asked` where it does not say.

    None if the contact is not among those of the reply. Raises ParseError for a reply without a Contact, or a bad one.
    """
    if reply.header(H_CONTACT) is None:
        raise ParseError("No Contact")
    user = parse_uri(wire(account.contact)).user
    for contact in reply.name_addrs(H_CONTACT):
        if parse_uri(contact.uri).user == user:
            own = _seconds(contact.param(b"expires"))
            if own is None:
                own = reply.expires if reply.expires >= 0 else asked
            return min(own, MAX_EXPIRES)
    return None


def least_expires(reply: Message) -> int:
    """What a 423 wants in its Min-Expires, 0 if it does not say."""
    header = reply.header(H_MINEXPIRES)
    return 0 if header is None else _seconds(header.body) or 0


def _seconds(value: bytes | None) -> int | None:
    return int(value) if value is not None and value.isdigit() and len(value) <= 10 else None


class Registrations:
    """All of them, by their accounts' `l_uuid`. `size` slots are only for the order in which they are shown."""

    def __init__(self, size: int, random_delay: int) -> None:
        self._size = size
        self._random_delay = random_delay
        self._by_uuid: dict[str, Registration] = {}
        self._by_user: dict[str, dict[str, Registration]] = {}

    def add(self, account: Account, now: int) -> Registration:
        """Begin anew with an account, in the place of one with the same `l_uuid`."""
        delay = account.reg_delay
        if not delay and self._random_delay:
            delay = random.randint(1, self._random_delay)
        made = Registration(account, now, delay, account.flags & DISABLED, expires=account.expires)
        self.remove(account.l_uuid)
        self._by_uuid[account.l_uuid] = made
        self._by_user.setdefault(account.l_username, {})[account.l_uuid] = made
        return made

    def remove(self, uuid: str) -> bool:
        """Forget one; False if it is not known."""
        gone = self._by_uuid.pop(uuid, None)
        if gone is None:
            return False
        user = gone.account.l_username
        del self._by_user[user][uuid]
        if not self._by_user[user]:
            del self._by_user[user]
        return True

    def named(self, uuid: str) -> Registration | None:
        """The one of that `l_uuid`."""
        return self._by_uuid.get(uuid)

    def local(self, user: str, domain: str | None) -> Registration | None:
        """The latest added for a local user, of a domain if that is given."""
        found = reversed(self._by_user.get(user, {}).values())
        return next((each for each in found if domain in (None, each.account.l_domain)), None)

    def filtered(self, attribute: str, value: str) -> Registration | None:
        """The first with this value of one of ATTRIBUTES."""
        if attribute == "l_uuid":
            return self.named(value)
        return next((each for each in self if getattr(each.account, attribute) == value), None)

    def due(self, now: int, interval: int) -> list[Registration]:
        """Those to send a REGISTER for (see `Registration.is_due`)."""
        return [each for each in self._by_uuid.values() if each.is_due(now, interval)]

    def count(self, fits: Callable[[Registration], bool]) -> int:
        """How many of them fit."""
        return sum(map(fits, self._by_uuid.values()))

    def __len__(self) -> int:
        return len(self._by_uuid)

    def __iter__(self) -> Iterator[Registration]:
        """As Kamailio's hash table has them: by slot, of each the latest first."""
        latest_first = list(reversed(self._by_uuid.values()))
        return iter(sorted(latest_first, key=self._slot))

    def _slot(self, registration: Registration) -> int:
        return core_hash(wire(registration.account.l_uuid).decode("latin-1")) % self._size


__all__ = [
    "ANSWERING",
    "ATTRIBUTES",
    "DISABLED",
    "FIRST_CSEQ",
    "ONLINE",
    "SENT",
    "UNDER_WAY",
    "Registration",
    "Registrations",
    "Status",
    "granted",
    "least_expires",
]
