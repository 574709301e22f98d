"""When contacts end: buckets by time, so that looking for the expired touches only those that may be."""

from __future__ import annotations

from collections.abc import Iterable

from kahea.modules.usrloc.contact import UNWATCHED, Contact


class Expiry:
    """Contacts by the `width` seconds in which they end.

    A contact that is refreshed stays in its bucket, and is moved on only when that comes due: a refresh costs
    nothing here.
    """

    def __init__(self, width: int) -> None:
        self._width = max(1, width)
        self._buckets: dict[int, set[Contact]] = {}

    def add(self, contact: Contact) -> None:
        """Watch a contact; permanent ones need no watching."""
        if not contact.expires:
            return
        number = contact.bucket = contact.expires // self._width
        bucket = self._buckets.get(number)
        if bucket is None:
            self._buckets[number] = {contact}
        else:
            bucket.add(contact)

    def moved(self, contact: Contact) -> None:
        """The contact ends at another time now."""
        number = contact.bucket
        if number == UNWATCHED:
            self.add(contact)
        elif contact.expires < number * self._width and contact.expires:
            self.remove(contact)
            self.add(contact)

    def remove(self, contact: Contact) -> None:
        """The contact is gone."""
        number = contact.bucket
        if number == UNWATCHED:
            return
        contact.bucket = UNWATCHED
        bucket = self._buckets.get(number)
        if bucket is not None:
            bucket.discard(contact)
            if not bucket:
                del self._buckets[number]

    def due(self, now: int) -> list[Contact]:
        """The contacts that have ended, no longer watched; the caller removes them."""
        current = now // self._width
        ended: list[Contact] = []
        for number in sorted(n for n in self._buckets if n <= current):
            bucket = self._buckets.pop(number)
            self._sort(bucket, now, ended)
        return ended

    def _sort(self, bucket: Iterable[Contact], now: int, ended: list[Contact]) -> None:
        for contact in bucket:
            contact.bucket = UNWATCHED
            if contact.expires and contact.expires <= now:
                ended.append(contact)
            else:
                self.add(contact)
