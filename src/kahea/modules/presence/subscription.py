"""A subscription: whose state it watches, the dialog that it made, and how far it got (RFC 6665 §4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kahea.sip import message as m
from kahea.sip.errors import ParseError
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.net.address import Listener
    from kahea.sip.message import Message

#: A subscription's status, as tables and `pres_auth_status` number it.
ACTIVE: Final = 1
PENDING: Final = 2
TERMINATED: Final = 3
WAITING: Final = 4
STATUS_NAMES: Final = {ACTIVE: "active", PENDING: "pending", TERMINATED: "terminated", WAITING: "waiting"}

#: The reason of an active subscription whose watcher is shown nothing.
POLITE_BLOCK: Final = "polite-block"

#: What names a dialog: Call-ID, the watcher's tag and ours.
Dialog = tuple[str, str, str]


@dataclass(slots=True, eq=False)
class Subscription:
    """One subscription. Texts are those of the table `active_watchers`; `expires` is in Unix time, in whole seconds."""

    presentity: str
    watcher_user: str
    watcher_domain: str
    to_user: str
    to_domain: str
    from_user: str
    from_domain: str
    event: str
    event_id: str
    to_tag: str
    from_tag: str
    callid: str
    remote_cseq: int
    contact: str
    local_contact: str
    record_route: str
    expires: int
    listener: Listener | None = None
    user_agent: str = ""
    status: int = PENDING
    reason: str = ""
    flags: int = 0
    #: The number of the latest NOTIFY, less one, as Kamailio keeps it.
    local_cseq: int = 0
    #: Of the documents that have a version.
    version: int = 1

    @property
    def dialog(self) -> Dialog:
        """What names it."""
        return self.callid, self.from_tag, self.to_tag

    @property
    def watcher(self) -> str:
        """The watcher's URI."""
        return uri_of(self.watcher_user, self.watcher_domain)

    @property
    def is_shown(self) -> bool:
        """Whether the watcher may see the state."""
        return self.status == ACTIVE and self.reason != POLITE_BLOCK


def strict(data: bytes) -> str:
    """Bytes of a message as text that tables and documents have a place for. Raises ParseError."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ParseError("Bad Encoding", 400) from error


def uri_of(user: str, domain: str) -> str:
    """A SIP URI."""
    return f"sip:{user}@{domain}" if user else f"sip:{domain}"


def split_uri(uri: str | bytes) -> tuple[str, str]:
    """User and host of a SIP URI. Raises ParseError."""
    parsed = parse_uri(uri if isinstance(uri, bytes) else uri.encode("utf-8", "surrogateescape"))
    if not parsed.host:
        raise ParseError("Bad URI", 400)
    return strict(parsed.user), strict(parsed.host)


def read_route_set(msg: Message) -> str:
    """The route set that a SUBSCRIBE records (RFC 3261 §12.1.1), as the table keeps it. Raises ParseError."""
    return ",".join(strict(bytes(entry)) for entry in msg.name_addrs(m.H_RECORDROUTE))


def read_contact(msg: Message) -> str:
    """The URI of a SUBSCRIBE's Contact. Raises ParseError."""
    contacts = msg.name_addrs(m.H_CONTACT)
    if not contacts or contacts[0].uri == b"*":
        raise ParseError("No Contact", 400)
    return strict(contacts[0].uri)


__all__ = [
    "ACTIVE",
    "PENDING",
    "POLITE_BLOCK",
    "STATUS_NAMES",
    "TERMINATED",
    "WAITING",
    "Dialog",
    "Subscription",
    "read_contact",
    "read_route_set",
    "split_uri",
    "strict",
    "uri_of",
]
