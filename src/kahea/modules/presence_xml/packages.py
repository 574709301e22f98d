"""The event packages of presence_xml."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from kahea.modules.presence.events import Decision, Document, EventPackage
from kahea.modules.presence.subscription import ACTIVE, PENDING
from kahea.modules.presence_xml.documents import read
from kahea.modules.presence_xml.pidf import available, merge, most_important

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kahea.modules.presence_xml.rules import XcapRules

log = logging.getLogger("kahea.presence")


def _is_xml(body: bytes) -> bool:
    try:
        read(body)
    except ValueError as error:
        log.info("a document is refused: %s", error)
        return False
    return True


class SingleBody(NamedTuple):
    """How one of several documents is chosen: by what an element says, the important last."""

    element: str
    priorities: tuple[str, ...]


class PresenceEvent(EventPackage):
    """Presence (RFC 3856)."""

    authorizes = True

    def __init__(
        self,
        default_expires: int,
        rules_of: Callable[[str], XcapRules | None] | None,
        *,
        single: SingleBody | None = None,
        dummy: bool = False,
    ) -> None:
        """`rules_of` looks a presentity's rules up; without it every watcher may see everything.

        `single` chooses one of several documents, which are else merged; with `dummy`, who has published nothing is
        available.
        """
        super().__init__("presence", "application/pidf+xml", default_expires)
        self._rules_of = rules_of
        self._single = single
        self._dummy = dummy
        self.without_rules = Decision(ACTIVE if rules_of is None else PENDING)

    def accepts(self, body: bytes) -> bool:
        """Whether a body is XML within bounds."""
        return _is_xml(body)

    def rules_of(self, presentity: str) -> XcapRules | None:
        """A user's rules. Raises DatabaseError, RulesError."""
        return None if self._rules_of is None else self._rules_of(presentity)

    def merge(self, presentity: str, documents: Sequence[Document]) -> bytes:
        """See `pidf`."""
        state = merge(documents) if self._single is None else most_important(documents, *self._single)
        return available(presentity) if not state and self._dummy else state


class XcapDiff(EventPackage):
    """Changes of a user's documents (RFC 5875); the latest that was published counts."""

    def __init__(self, default_expires: int) -> None:
        super().__init__("xcap-diff", "application/xcap-diff+xml", default_expires)

    def accepts(self, body: bytes) -> bool:
        """Whether a body is XML within bounds."""
        return _is_xml(body)


__all__ = ["PresenceEvent", "SingleBody", "XcapDiff"]
