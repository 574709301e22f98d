"""What scripts are told of contacts that were saved or found, as XAVPs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.routing.text import text

if TYPE_CHECKING:
    from kahea.modules.usrloc.contact import Contact


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
