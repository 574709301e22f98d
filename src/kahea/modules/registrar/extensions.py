"""What a REGISTER says of extensions: option tags, Path (RFC 3327), outbound (RFC 5626).

Functions here raise `Refused`, with the answer that Kamailio gives, or ParseError of the parts that they
read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kahea.modules.registrar import refusal
from kahea.modules.registrar.refusal import Refused
from kahea.sip.errors import ParseError
from kahea.sip.message import H_PATH, H_REQUIRE, H_SUPPORTED, parse_name_addrs
from kahea.sip.uri import parse_uri, unescape

if TYPE_CHECKING:
    from kahea.sip.message import Message

#: Octets of all Path values.
MAX_PATH: Final = 256


def breaks_lines(value: bytes) -> bool:
    """Whether a value would break the line of a message that it is put into."""
    return b"\n" in value or b"\r" in value


def has_option(msg: Message, kind: int, option: bytes) -> bool:
    """Whether an option tag stands in Supported or Require headers."""
    header = msg.header(kind)
    if header is None:
        return False
    return any(any(tag.strip().lower() == option for tag in each.body.split(b",")) for each in msg.headers_of(kind))


def supports(msg: Message, option: bytes) -> bool:
    """Whether the client says that it supports an option."""
    return has_option(msg, H_SUPPORTED, option)


def requires(msg: Message, option: bytes) -> bool:
    """Whether the client requires an option."""
    return has_option(msg, H_REQUIRE, option)


def path_of(msg: Message) -> bytes:
    """The Path values as one list; b"" without any. Raises Refused."""
    if msg.header(H_PATH) is None:
        return b""
    path = b",".join(header.body for header in msg.headers_of(H_PATH))
    if len(path) > MAX_PATH:
        raise Refused(refusal.BAD_PATH)
    try:
        hops = parse_name_addrs(path)
        if not parse_uri(hops[0].uri).lr:
            raise Refused(refusal.BAD_PATH)
    except ParseError as error:
        raise Refused(refusal.BAD_PATH) from error
    if any(b":" not in hop.uri for hop in hops):
        raise Refused(refusal.BAD_PATH)
    return path


def path_received(path: bytes, name: bytes) -> bytes:
    """What the first Path URI says of where the request came from: its `received` parameter, unescaped.

    Raises Refused.
    """
    if not path:
        return b""
    found = parse_uri(parse_name_addrs(path)[0].uri).param(name)
    received = unescape(found) if found else b""
    if breaks_lines(received):
        raise Refused(refusal.BAD_PATH)
    return received


def edge_supports_outbound(msg: Message) -> bool:
    """Whether the first hop is ours, or says in its Path that it does outbound (RFC 5626 §6)."""
    if msg.via2 is None:
        return True
    try:
        hops = msg.name_addrs(H_PATH)
        return bool(hops) and parse_uri(hops[0].uri).param(b"ob") is not None
    except ParseError:
        return False
