"""P-Charging-Vector: what it says, and making one (RFC 7315 §5.6)."""

from __future__ import annotations

import os
from typing import Final

from kahea.sip.message import Header, Message

NAME: Final = b"P-Charging-Vector"
#: Parameters by the name that `$pcv()` has for them.
FIELDS: Final = {
    "value": b"icid-value",
    "genaddr": b"icid-generated-at",
    "orig": b"orig-ioi",
    "term": b"term-ioi",
}
#: What sip_p_charging_vector() made, which headers as received don't show.
FACET: Final = "pcv"


def fields(body: bytes) -> dict[bytes, bytes]:
    """The parameters of a header body, as written."""
    found = {}
    for piece in body.split(b";"):
        name, _, value = piece.partition(b"=")
        found[name.strip().lower()] = value.strip()
    return found


def current(msg: Message) -> bytes | None:
    """The body that the message has, or is to have; None if none."""
    made = msg.facets.get(FACET)
    if isinstance(made, bytes):
        return made or None
    header = msg.header_named(NAME)
    return header.body if header is not None else None


def generate(msg: Message, host: bytes) -> None:
    """Append a fresh one, with a random identifier that is unique everywhere."""
    body = b"icid-value=" + os.urandom(16).hex().upper().encode() + b"; icid-generated-at=" + host
    msg.append_header(NAME + b": " + body + b"\r\n")
    msg.facets[FACET] = body


def remove(msg: Message) -> list[Header]:
    """Take out all that were received, and return them."""
    headers = msg.headers_named(NAME)
    for header in headers:
        msg.remove_header(header)
    msg.facets[FACET] = b""
    return headers
