"""Publications: documents that say what state a presentity is in, each with an entity-tag (RFC 3903)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from kahea.modules.presence.subscription import uri_of
from kahea.modules.presence.subscriptions import TooMany

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Publications of one presentity, and all that a node keeps in memory: they come from the network.
MAX_OF_ONE: Final = 64
MAX_PUBLICATIONS: Final = 200_000

_ETAG: Final = re.compile(r"a\.[0-9]{1,20}\.[0-9]{1,20}\.[0-9]{1,20}\.([0-9]{1,9})")


class Presentity(NamedTuple):
    """Whose state it is, of which event package."""

    user: str
    domain: str
    event: str

    @property
    def uri(self) -> str:
        """As subscriptions have it."""
        return uri_of(self.user, self.domain)

    def folded(self) -> Presentity:
        """In lower case."""
        return Presentity(self.user.lower(), self.domain.lower(), self.event)


@dataclass(slots=True)
class Publication:
    """One published document. Times are Unix times in whole seconds."""

    presentity: Presentity
    etag: str
    expires: int
    received: int
    body: bytes
    sender: str = ""
    priority: int = 0
    ruid: str = ""


class Change(NamedTuple):
    """What a PUBLISH changes of a publication; an empty body or sender leaves it as it is."""

    etag: str
    expires: int
    received: int
    priority: int
    body: bytes = b""
    sender: str = ""


class Publications(Protocol):
    """Where publications are kept. All of it may wait, and raises DatabaseError."""

    def of(self, presentity: Presentity) -> Sequence[Publication]:
        """A presentity's, in the order in which they count, the least first."""

    def add(self, publication: Publication) -> None:
        """Keep a new one. Raises TooMany."""

    def modify(self, presentity: Presentity, etag: str, change: Change) -> bool:
        """Change the one with that entity-tag; False if there is none."""

    def remove(self, presentity: Presentity, etag: str) -> bool:
        """Forget one; False if there is none."""

    def ended(self, now: int) -> Sequence[Publication]:
        """Those whose time was over by then, a bounded number."""


class Tags:
    """Makes entity-tags and ids that no other server makes, in Kamailio's form."""

    def __init__(self, now: float) -> None:
        # Servers in containers often have the same process id, and start at the same second.
        process = os.getpid() & 0xFFFF | int.from_bytes(os.urandom(2), "big") << 16
        self._stem = f"a.{int(now)}.{process}"
        self._ruid_stem = f"pres-{int(now):x}-{process:x}"
        self._tags, self._ruids = count(1), count(1)

    def first(self) -> str:
        """The entity-tag of a new publication."""
        return f"{self._stem}.{next(self._tags)}.0"

    def after(self, etag: str) -> str:
        """The entity-tag that follows one."""
        known = _ETAG.fullmatch(etag)
        return f"{self._stem}.{next(self._tags)}.{int(known[1]) + 1 if known else 1}"

    def ruid(self) -> str:
        """A unique id of a row."""
        return f"{self._ruid_stem}-{next(self._ruids):x}"


class Memory:
    """Publications in memory alone (`publ_cache` 2)."""

    def __init__(self, order: Sequence[str] = ("received_time",), folds: bool = False) -> None:
        self.folds = folds
        self._order = order
        self._of: dict[Presentity, dict[str, Publication]] = {}
        self._count = 0

    def _key(self, presentity: Presentity) -> Presentity:
        return presentity.folded() if self.folds else presentity

    def every(self) -> list[Publication]:
        """All of them."""
        return [publication for of_one in self._of.values() for publication in of_one.values()]

    def of(self, presentity: Presentity) -> Sequence[Publication]:
        """See `Publications`."""
        return sorted(self._of.get(self._key(presentity), {}).values(), key=self._rank)

    def _rank(self, publication: Publication) -> tuple[Any, ...]:
        values = {"received_time": publication.received, "expires": publication.expires}
        return tuple(values.get(column, getattr(publication, column, 0)) for column in self._order)

    def add(self, publication: Publication) -> None:
        """See `Publications`."""
        key = self._key(publication.presentity)
        if self._count >= MAX_PUBLICATIONS or len(self._of.get(key, ())) >= MAX_OF_ONE:
            raise TooMany("too many publications")
        self._of.setdefault(key, {})[publication.etag] = publication
        self._count += 1

    def modify(self, presentity: Presentity, etag: str, change: Change) -> bool:
        """See `Publications`."""
        of_one = self._of.get(self._key(presentity), {})
        publication = of_one.pop(etag, None)
        if publication is None:
            return False
        publication.etag, publication.expires, publication.received, publication.priority = change[:4]
        publication.body = change.body or publication.body
        publication.sender = change.sender or publication.sender
        of_one[publication.etag] = publication
        return True

    def remove(self, presentity: Presentity, etag: str) -> bool:
        """See `Publications`."""
        key = self._key(presentity)
        of_one = self._of.get(key, {})
        if of_one.pop(etag, None) is None:
            return False
        self._count -= 1
        if not of_one:
            del self._of[key]
        return True

    def ended(self, now: int) -> Sequence[Publication]:
        """See `Publications`."""
        return [publication for publication in self.every() if publication.expires <= now]


__all__ = ["MAX_OF_ONE", "MAX_PUBLICATIONS", "Change", "Memory", "Presentity", "Publication", "Publications", "Tags"]
