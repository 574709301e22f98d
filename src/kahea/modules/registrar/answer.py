"""The answer to a REGISTER: every contact of the AOR, and what extensions ask for (RFC 3261 §10.3 item 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kahea.modules.registrar.refusal import FINE, Verdict
from kahea.modules.usrloc.contact import bare_instance, format_q
from kahea.modules.usrloc.notation import aor_hash, reverse_hex

if TYPE_CHECKING:
    from kahea.modules.usrloc.contact import Contact
    from kahea.sip.message import Message

#: Where an answer waits in a message's facets for reg_send_reply().
FACET: Final = "registrar.answer"


class Gruus:
    """What GRUUs (RFC 5627) are made of for one AOR."""

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


def contact_line(contacts: list[Contact] | None, now: int, received_param: bytes, gruus: Gruus | None) -> bytes:
    """The Contact header with all contacts that have not expired, b"" if there are none."""
    if not contacts:
        return b""
    parts = []
    for c in contacts:
        expires = c.expires
        if expires <= now and expires != 0:
            continue
        left = expires - now if expires else 0
        if c.q < 0:
            part = b"<%b>;expires=%d" % (c.uri, left)
        else:
            part = b"<%b>;q=%b;expires=%d" % (c.uri, format_q(c.q), left)
        if c.received and received_param:
            part += b';%b="%b"' % (received_param, c.received)
        if c.instance:
            if gruus is not None:
                part += gruus.of(c)
            part += b';+sip.instance="%b"' % c.instance
            if c.reg_id:
                part += b";reg-id=%d" % c.reg_id
        parts.append(part)
    return b"Contact: " + b", ".join(parts) + b"\r\n" if parts else b""


class Answer:
    """An answer as it comes to be."""

    __slots__ = ("contacts", "extra", "verdict")

    def __init__(self) -> None:
        self.verdict: Verdict = FINE
        self.contacts = b""  # the Contact line
        self.extra: list[bytes] = []  # lines after it, of what was asked for

    def lines(self, retry_after: int) -> list[bytes]:
        """All header lines, in the order in which Kamailio has them."""
        lines = [self.contacts] if self.contacts else []
        lines += self.extra
        verdict = self.verdict
        if verdict.error:
            lines.append(b"P-Registrar-Error: " + verdict.error.encode() + b"\r\n")
        if verdict.status >= 500 and retry_after:
            lines.append(b"Retry-After: %d\r\n" % retry_after)
        return lines

    def keep(self, msg: Message) -> None:
        """Leave this with the message for reg_send_reply()."""
        msg.facets[FACET] = self


def kept(msg: Message) -> Answer | None:
    """The answer that save() left with a message."""
    found = msg.facets.get(FACET)
    return found if isinstance(found, Answer) else None
