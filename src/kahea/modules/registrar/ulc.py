"""`$ulc(profile=>attribute)`: contacts that a script fetched, kept with the message under a name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from kahea.modules.usrloc.contact import Contact
from kahea.modules.usrloc.notation import socket_text
from kahea.routing.module import Value
from kahea.routing.pv import Bound, PvError
from kahea.routing.text import text

if TYPE_CHECKING:
    from kahea.routing.run import Run
    from kahea.sip.message import Message

FACET: Final = "registrar.ulc"

#: Profiles of one message: their names come from scripts.
MAX_PROFILES: Final = 64


class Profile:
    """What was fetched under one name: copies, so that they stay as they were."""

    __slots__ = ("advertised", "aor", "contacts", "domain")

    def __init__(self, domain: str, aor: bytes, contacts: Iterable[Contact], advertised: bool) -> None:
        self.domain = domain
        self.aor = aor
        self.contacts = [contact.copy() for contact in contacts]
        self.advertised = advertised


def profiles_of(msg: Message) -> dict[str, Profile]:
    """The profiles of a message."""
    found: dict[str, Profile] = msg.facets.setdefault(FACET, {})  # type: ignore[assignment]
    return found


def _signed(value: int) -> int:
    """As Kamailio shows 32 bits: with a sign."""
    return value - (1 << 32) if value & (1 << 31) else value


#: Of the record.
RECORD: Final[dict[str, Callable[[Profile], Value]]] = {
    "aor": lambda p: text(p.aor),
    "domain": lambda p: p.domain,
    "aorhash": lambda _p: 0,  # as Kamailio 5.6 answers
    "count": lambda p: len(p.contacts),
}
#: Of a contact.
CONTACT: Final[dict[str, Callable[[Contact, Profile], Value]]] = {
    "addr": lambda c, _p: text(c.uri),
    "path": lambda c, _p: text(c.path),
    "received": lambda c, _p: text(c.received),
    "expires": lambda c, _p: c.expires,
    "callid": lambda c, _p: text(c.callid),
    "regid": lambda c, _p: c.reg_id,
    "q": lambda c, _p: c.q,
    "cseq": lambda c, _p: c.cseq,
    "flags": lambda c, _p: c.flags,
    "cflags": lambda c, _p: c.cflags,
    "user_agent": lambda c, _p: text(c.user_agent),
    "socket": lambda c, p: socket_text(c.sock, p.advertised) or None,
    "modified": lambda c, _p: c.modified,
    "methods": lambda c, _p: _signed(c.methods),
    "ruid": lambda c, _p: text(c.ruid),
    "instance": lambda c, _p: text(c.instance) or None,
    "conid": lambda c, _p: c.connection_id if c.connection_id > 0 else None,
    "server_id": lambda c, _p: c.server_id,
}


def read(msg: Message, profile: str, attribute: str, index: int) -> Value:
    """An attribute; None if there is no such profile, attribute or contact.

    Negative indexes mean the first.
    """
    found = profiles_of(msg).get(profile)
    if found is None:
        return None
    of_record = RECORD.get(attribute)
    at = max(0, index)
    if at >= len(found.contacts):
        return None
    if of_record is not None:
        return of_record(found)
    of_contact = CONTACT.get(attribute)
    return None if of_contact is None else of_contact(found.contacts[at], found)


def bind(inner: Value, index: object) -> Bound:
    """`$ulc(inner)` or `$(ulc(inner)[index])`, compiled. Raises PvError for a name that is none."""
    profile, arrow, attribute = str(inner).partition("=>")
    profile, attribute = profile.strip(), attribute.strip()
    if not arrow or not profile:
        raise PvError(f"$ulc({inner}): want profile=>attribute")
    if attribute not in RECORD and attribute not in CONTACT:
        raise PvError(f"$ulc({inner}): there is no attribute {attribute!r}")
    at = index if isinstance(index, int) else 0

    def get(run: Run) -> Value:
        return read(run.msg, profile, attribute, at)

    def put(run: Run, value: Value) -> None:
        raise PvError(f"$ulc({inner}) is read-only")

    # Kamailio starts with scripts that assign to it, and changes nothing.
    return Bound(get, put)
