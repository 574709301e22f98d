"""What scripts are told of contacts that were saved or found, as XAVPs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.routing.lists import Xavps, Xitem
from kahea.routing.text import text

if TYPE_CHECKING:
    from kahea.modules.usrloc.contact import Contact


def insert_at(xavps: Xavps, name: str, fields: Xavps, at: int) -> None:
    """Put an XAVP where its index is `at`, with empty ones before it if there are too few."""
    for _ in range(at - xavps.count(name)):
        xavps.append(name, None)
    item = xavps.find(name, at) if at < xavps.count(name) else None
    if item is None:
        xavps.append(name, fields)
        return
    xavps.items.insert(xavps.items.index(item) + 1, Xitem(item.key, name, fields))


def describe(contact: Contact, now: int, mask: int) -> list[tuple[str, int | str]]:
    """What xavp_rcd says of a contact; bits of `mask` leave parts out."""
    values: list[tuple[str, int | str]] = []
    if not mask & 1:
        values.append(("ruid", text(contact.ruid)))
    if not mask & 2:
        values.append(("contact", text(contact.uri)))
    if not mask & 4:
        values.append(("expires", contact.expires - now))
    if contact.received and not mask & 8:
        values.append(("received", text(contact.received)))
    if contact.path and not mask & 16:
        values.append(("path", text(contact.path)))
    return values
