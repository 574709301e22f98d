"""Events of registrations: contacts added, renewed, removed, and those that end by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kahea.modules.event_stream.calls import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from kahea.modules.event_stream.stream import Stream

ADDED: Final = "registration.added"
RENEWED: Final = "registration.renewed"
REMOVED: Final = "registration.removed"
EXPIRED: Final = "registration.expired"

#: By usrloc's kinds of change.
_NAMES: Final = (ADDED, RENEWED, REMOVED)


class Registrations:
    """Watches the location tables. `wall` gives Unix time."""

    def __init__(self, stream: Stream, wall: Callable[[], float]) -> None:
        self._stream = stream
        self._wall = wall

    def changed(self, kind: int, table: str, contact: Any) -> None:
        """A contact has changed, as usrloc tells."""
        if not self._stream.clients:
            return
        now = self._wall()
        name = _NAMES[kind]
        if name == REMOVED and not contact.is_valid(now):
            name = EXPIRED
        if self._stream.wants(name):
            self._stream.publish(name, {"registration": _describe(table, contact, now)})


def _describe(table: str, contact: Any, now: float) -> dict[str, Any]:
    return {
        "table": table,
        "aor": clean(contact.aor),
        "contact": clean(contact.uri),
        "received": clean(contact.received),
        "path": clean(contact.path),
        "user_agent": clean(contact.user_agent),
        "ruid": clean(contact.ruid),
        "expires_in": max(0, int(contact.expires - now)) if contact.expires else 0,
    }
