"""Contacts of user agents behind a NAT: rewritten to where they really are, or told by a parameter of their URI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from kahea.net.address import P_UDP, PROTO_NAMES
from kahea.sip.errors import ParseError
from kahea.sip.message import H_CONTACT, Message, NameAddr
from kahea.sip.uri import Uri, parse_uri

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Protocols that an alias may name: UDP, TCP, TLS, SCTP, WS, WSS.
_PROTOCOLS: Final = range(1, 7)


class Place(NamedTuple):
    """An address, a port and a protocol's number."""

    host: bytes
    port: int
    proto: int

    @property
    def hostport(self) -> bytes:
        """As in a URI."""
        return b"%b:%d" % (self.host, self.port)

    @property
    def uri(self) -> bytes:
        """As a URI, whose transport is left out for UDP."""
        transport = b"" if self.proto == P_UDP else b";transport=" + PROTO_NAMES[self.proto].encode()
        return b"sip:" + self.hostport + transport

    @property
    def alias(self) -> bytes:
        """As the value of an alias."""
        return b"%b~%d~%d" % (self.host, self.port, self.proto)


def source(msg: Message) -> Place:
    """Where a message came from."""
    host = b"[%b]" % msg.src_ip if b":" in msg.src_ip else msg.src_ip
    return Place(host, msg.src_port, msg.proto)


def parse_alias(value: bytes) -> Place:
    """Read `host~port~protocol`; that there is no such port is found when somebody sends there. Raises ParseError."""
    host, *numbers = value.split(b"~")
    if not host or len(numbers) != 2 or not all(n.isdigit() and len(n) < 6 for n in numbers):
        raise ParseError("Bad Alias")
    port, proto = map(int, numbers)
    if proto not in _PROTOCOLS:
        raise ParseError("Bad Alias")
    return Place(host, port, proto)


def contact_of(msg: Message) -> NameAddr | None:
    """The contact that a function of Kamailio's nathelper takes: the last of the first header; None without one. Raises
    ParseError for one that is no SIP URI."""
    header = msg.header(H_CONTACT)
    if header is None:
        return None
    found = [each for each in msg.name_addrs(H_CONTACT) if each.start < header.end]
    if not found or not parse_uri(found[-1].uri).is_sip:
        raise ParseError("Bad Contact")
    return found[-1]


def replace(msg: Message, contact: NameAddr, uri: bytes, *, brackets: bool) -> None:
    """Give a contact another URI; `brackets` puts angle brackets around it if it had none."""
    bare = brackets and msg.raw[contact.uri_start - 1 : contact.uri_start] != b"<"
    msg.replace(contact.uri_start, contact.uri_end - contact.uri_start, b"<%b>" % uri if bare else uri)


def rewritten(uri: Uri, place: Place) -> bytes:
    """The URI with another host and port."""
    return uri.replaced(host=place.host, port=place.port)


def with_alias_first(uri: Uri, name: bytes, place: Place) -> bytes:
    """The URI with an alias before its other parameters."""
    alias = name + b"=" + place.alias
    return uri.replaced(params=alias + b";" + uri.params if uri.params else alias)


def with_alias_last(uri: Uri, name: bytes, place: Place) -> bytes:
    """The URI with an alias after its other parameters."""
    alias = name + b"=" + place.alias
    return uri.replaced(params=uri.params + b";" + alias if uri.params else alias)


def without(uri: Uri, name: bytes, *, last: bool = False) -> tuple[bytes | None, bytes]:
    """The value of a parameter, None without it, and the URI without it: the first of that name, or the last."""
    params = uri.params.split(b";") if uri.params else []
    order: Iterable[int] = reversed(range(len(params))) if last else range(len(params))
    for n in order:
        key, _, value = params[n].partition(b"=")
        if key == name:
            left = b";".join(params[:n] + params[n + 1 :])
            return value, uri.replaced(params=left)
    return None, uri.raw


def add_received(msg: Message, place: Place, *, to_uri: bool) -> None:
    """Tell a registrar further on where the request came from, by a parameter of every contact or of its URI. Raises
    ParseError."""
    if msg.header(H_CONTACT) is None:
        return
    for contact in msg.name_addrs(H_CONTACT):
        if contact.uri == b"*":
            continue
        if to_uri:
            msg.insert(contact.uri_end, b";received=" + place.uri)
        else:
            msg.insert(contact.end, b';received="%b"' % place.uri)
