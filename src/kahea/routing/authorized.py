"""What an auth module leaves on a request that it has verified, for accounting and for taking the credentials out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from kahea.sip.message import Header, Message

_FACET: Final = "authorized"


class Authorized(NamedTuple):
    """Credentials that were right: whose they are, and the header that has them."""

    user: str
    header: Header


def authorize(msg: Message, user: str, header: Header) -> None:
    """Note that a request has proved to be of a user."""
    msg.facets[_FACET] = (*authorizations(msg), Authorized(user, header))


def authorizations(msg: Message) -> tuple[Authorized, ...]:
    """All that a request has proved, in order."""
    found = msg.facets.get(_FACET, ())
    assert isinstance(found, tuple)
    return found
