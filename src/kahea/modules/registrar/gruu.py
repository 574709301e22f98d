"""GRUUs (RFC 5627): the URIs that a registrar makes for one instance of a user agent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.modules.usrloc.contact import bare_instance
from kahea.modules.usrloc.notation import aor_hash, reverse_hex

if TYPE_CHECKING:
    from kahea.modules.usrloc.contact import Contact


class Gruus:
    """What GRUUs are made of for one AOR."""

    __slots__ = ("hashed", "host", "user_and_host")

    def __init__(self, aor: bytes, host: bytes, use_domain: bool) -> None:
        self.user_and_host = aor if use_domain else aor + b"@" + host
        self.host = host
        self.hashed = reverse_hex(aor_hash(aor))

    def of(self, contact: Contact) -> bytes:
        """The Contact parameters with the public and the temporary GRUU."""
        return b';pub-gruu="sip:%b;gr=%b";temp-gruu="sip:%b-%b@%b;gr"' % (
            self.user_and_host,
            bare_instance(contact.instance),
            contact.ruid,
            self.hashed,
            self.host,
        )
