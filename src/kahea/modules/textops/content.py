"""Content types as Kamailio compares them, and the message's body by its type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.sip.body import ContentType, parse_content_type
from kahea.sip.errors import ParseError
from kahea.sip.message import H_CONTENTTYPE

if TYPE_CHECKING:
    from kahea.sip.message import Message

#: The types that Kamailio tells apart. It takes all others for one and the same.
_MAINS = frozenset({b"text", b"message", b"application", b"multipart"})
_SUBS = frozenset(
    b"plain cpim sdp isup related mixed external-body cpl+xml "
    b"xpidf+xml pidf+xml rlmi+xml lpidf+xml watcherinfo+xml".split()
)
_OTHER = b""
SDP = (b"application", b"sdp")

Mime = tuple[bytes, bytes]


def mime_of(value: bytes) -> Mime | None:
    """A content type as Kamailio knows it, None for what is none."""
    try:
        found = parse_content_type(value)
    except ParseError:
        return None
    if b"," in value or found.main == b"*" or found.sub == b"*":
        return None
    return _known(found)


def _known(found: ContentType) -> Mime:
    return (
        found.main if found.main in _MAINS else _OTHER,
        found.sub if found.sub in _SUBS else _OTHER,
    )


def has_body(msg: Message) -> bool:
    """Whether there is a body, by Content-Length and in truth."""
    return msg.content_length > 0 and msg.body_end > msg.body_start


def message_mime(msg: Message) -> Mime | None:
    """The type of the message's body, application/sdp where it does not say; None if it can't be read."""
    if msg.header(H_CONTENTTYPE) is None:
        return SDP
    return mime_of(msg.content_type)


def boundary_of(msg: Message) -> bytes | None:
    """The boundary of a multipart body; None for another body, or without a boundary."""
    found = _type_of(msg)
    if found is None or not found.is_multipart:
        return None
    return found.params.get(b"boundary") or None


def is_mixed(msg: Message) -> bool:
    """Whether the body is multipart/mixed."""
    found = _type_of(msg)
    return found is not None and (found.main, found.sub) == (b"multipart", b"mixed")


def _type_of(msg: Message) -> ContentType | None:
    try:
        return parse_content_type(msg.content_type)
    except ParseError:
        return None


def unhexed(digits: str) -> bytes | None:
    """Bytes written as pairs of hexadecimal digits, with spaces between pairs; None for anything else."""
    if not digits.isascii() or set(digits) - set("0123456789abcdefABCDEF \t\r\n"):
        return None
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return None
