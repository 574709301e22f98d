"""Event packages (RFC 6665 §7.2): what the documents of one are, how several become one, and who may see them.

Other modules make packages and hand them to `presence.add_event`, as Kamailio's modules do through its API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from kahea.modules.presence.subscription import ACTIVE
from kahea.sip.errors import ParseError
from kahea.sip.params import is_token, iter_params

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What follows the name of the package that tells of a package's watchers (RFC 3857 §4.1).
WINFO: Final = ".winfo"


class Decision(NamedTuple):
    """What a presentity's rules say of a watcher: a subscription's status, and why."""

    status: int
    reason: str = ""


class RulesError(Exception):
    """A presentity's rules can't be read."""


class Rules(Protocol):
    """What a presentity lets its watchers see."""

    def decide(self, watcher: str, before: int) -> Decision:
        """What holds for a watcher whose status was `before`, 0 if it had none."""

    def view(self, state: bytes, watcher: str) -> bytes:
        """What of a state a watcher may see."""


class Document(NamedTuple):
    """A published document; one that is `removed` is about to go."""

    body: bytes
    removed: bool = False


class EventPackage:
    """One event package. Its methods may wait, as they are called in runs.

    `name` is the package's, with the parameters that belong to it (`dialog;sla`). `content_type` is that of its
    documents, `default_expires` the seconds of a request that says none.
    """

    #: Whether watchers need the presentity's leave; then `without_rules` holds where it has no rules.
    authorizes = False
    without_rules = Decision(ACTIVE)
    #: Whether a publication keeps its entity-tag when it is modified.
    keeps_etag = False

    def __init__(self, name: str, content_type: str, default_expires: int = 3600) -> None:
        self.name = name
        self.content_type = content_type
        self.default_expires = default_expires

    def accepts(self, body: bytes) -> bool:
        """Whether a body can be published."""
        return bool(body)

    def rules_of(self, presentity: str) -> Rules | None:
        """A presentity's rules, None if it has none. Raises DatabaseError, RulesError."""
        return None

    def merge(self, presentity: str, documents: Sequence[Document]) -> bytes:
        """The state that several publications make, newest first; b"" for none."""
        return next((document.body for document in documents if not document.removed), b"")


class WatcherInfo(EventPackage):
    """Who watches the presentities of another package (RFC 3857)."""

    def __init__(self, watched: EventPackage) -> None:
        super().__init__(watched.name + WINFO, "application/watcherinfo+xml", watched.default_expires)
        self.watched = watched

    def accepts(self, body: bytes) -> bool:
        """Nobody can publish who watches."""
        return False


class Event(NamedTuple):
    """An Event header: its package with the parameters that are part of its name, and its id."""

    name: str
    id: str = ""


def parse_event(value: bytes) -> Event:
    """Read an Event header's value (RFC 6665 §8.4). Raises ParseError."""
    head, semicolon, rest = value.partition(b";")
    kind = head.strip()
    if not is_token(kind):
        raise ParseError("Bad Event", 400)
    if semicolon and rest.strip()[:1] in (b"", b";"):
        raise ParseError("Bad Event", 400)
    name, identifier = kind.lower(), b""
    for key, given in iter_params(rest):
        if key.lower() == b"id" and given:
            identifier = given
        else:
            name += b";" + key.lower() + (b"=" + given if given is not None else b"")
    return Event(name.decode("utf-8", "surrogateescape"), identifier.decode("utf-8", "surrogateescape"))


__all__ = [
    "WINFO",
    "Decision",
    "Document",
    "Event",
    "EventPackage",
    "Rules",
    "RulesError",
    "WatcherInfo",
    "parse_event",
]
