"""Hiding what a Contact says behind this server's address, and finding it again.

Two ways: encode_contact() packs the parts of the URI into the user, contact_param_encode() the whole URI,
in Base64url (RFC 4648 §5, without padding), into a parameter.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from kahea.sip.errors import ParseError
from kahea.sip.message import H_CONTACT, Message, NameAddr, parse_name_addrs
from kahea.sip.uri import parse_uri


def pack(uri: bytes, prefix: bytes, host: bytes, separator: bytes) -> bytes:
    """`sip:prefix*user*password*ip*port*protocol@host` for a URI. Raises ParseError."""
    parsed = parse_uri(uri)
    port = b"%d" % parsed.port if parsed.port else b""
    fields = (prefix, parsed.user, parsed.password, parsed.host, port, parsed.transport)
    return uri[: uri.index(b":") + 1] + separator.join(fields) + b"@" + host


def unpack(uri: bytes, separator: bytes) -> bytes:
    """The URI that `pack` packed, with the parameters of the outer one. Raises ParseError."""
    parsed = parse_uri(uri)
    fields = parsed.user.split(separator)
    if len(fields) != 6:
        raise ParseError("not an encoded contact")
    _, user, password, host, port, transport = fields
    plain = uri[: uri.index(b":") + 1]
    if user:
        plain += user + (b":" + password if password else b"") + b"@"
    plain += host
    if port:
        plain += b":" + port
    if transport:
        plain += b";transport=" + transport
    if parsed.params:
        plain += b";" + parsed.params
    return plain


def wrap(uri: bytes, name: bytes, server: bytes) -> bytes:
    """The server's URI with `uri` in the parameter `name`."""
    return server + b";" + name + b"=" + base64.urlsafe_b64encode(uri).rstrip(b"=")


def unwrap(uri: bytes, name: bytes) -> bytes:
    """The URI in the parameter `name`, or `uri` itself if it has none. Raises ParseError."""
    value = parse_uri(uri).param(name)
    if not value:
        return uri
    try:
        return base64.b64decode(value + b"=" * (-len(value) % 4), b"-_", validate=True)
    except binascii.Error as error:
        raise ParseError(f"parameter is no Base64url: {error}") from error


def first_contacts(msg: Message) -> list[NameAddr]:
    """The values of the first Contact header; offsets count from its body. Raises ParseError."""
    header = msg.header(H_CONTACT)
    return [] if header is None else parse_name_addrs(header.body)


def rewrite(msg: Message, change: Callable[[bytes], bytes], *, brackets: bool) -> None:
    """Replace the URI of each value of the first Contact header, as Kamailio does.

    `brackets` puts angle brackets around one that has none. Raises ParseError before anything is changed.
    """
    header = msg.header(H_CONTACT)
    if header is None:
        return
    raw, end = msg.raw, header.end
    edits = []
    for value in msg.name_addrs(H_CONTACT):
        if value.start >= end:
            break
        if value.uri == b"*":
            continue
        new = change(value.uri)
        if new != value.uri:
            if brackets and raw[value.uri_start - 1 : value.uri_start] != b"<":
                new = b"<" + new + b">"
            edits.append((value.uri_start, value.uri_end - value.uri_start, new))
    for start, length, new in edits:
        msg.replace(start, length, new)
