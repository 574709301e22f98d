"""Signs of a NAT between a user agent and this server: the tests of nat_uac_test."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from kahea.modules.nathelper.contact import contact_of
from kahea.modules.nathelper.session import ADDRESS
from kahea.net.address import P_WS, P_WSS
from kahea.sip.body import find_part
from kahea.sip.errors import ParseError
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.sip.message import Message

_PRIVATE: Final = tuple(
    map(
        ipaddress.IPv4Network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "192.0.0.0/29"),
    )
)
_RESERVED: Final = (*_PRIVATE, ipaddress.IPv4Network("192.0.0.0/24"))


def is_private(host: bytes | str, *, reserved: bool) -> bool | None:
    """Whether an IPv4 address is one that no public network has; None for what is no IPv4 address."""
    try:
        address = ipaddress.IPv4Address(host if isinstance(host, str) else host.decode("ascii"))
    except ValueError:
        return None
    return any(address in network for network in (_RESERVED if reserved else _PRIVATE))


def _ip(address: bytes) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Raises ValueError for what is none."""
    return ipaddress.ip_address(address.decode("latin-1"))


class Signs:
    """The signs that one message gives; each raises ParseError where what it looks at is malformed."""

    def __init__(self, msg: Message, *, reserved: bool) -> None:
        self._msg = msg
        self._reserved = reserved

    def any(self, flags: int) -> bool:
        """Whether one of the signs whose bits are set is there; what can't be read is none."""
        for bit, sign in _SIGNS.items():
            if flags & bit:
                try:
                    if sign(self):
                        return True
                except ParseError:
                    continue
        return False

    def _private(self, host: bytes) -> bool:
        return bool(is_private(host, reserved=self._reserved))

    def private_contact(self) -> bool:
        """The Contact has a private address."""
        contact = contact_of(self._msg)
        return contact is not None and self._private(parse_uri(contact.uri).host)

    def other_address(self) -> bool:
        """The topmost Via has another address than the message came from."""
        return self._msg.via1.host.strip(b"[]") != self._msg.src_ip

    def private_via(self) -> bool:
        """The topmost Via has a private address."""
        return self._private(self._msg.via1.host)

    def private_media(self) -> bool:
        """A stream of the SDP has a private address. As in Kamailio, one on hold (0.0.0.0) or without an address hides
        those after it."""
        for address in self._media()[1]:
            if address in (b"", b"0.0.0.0"):
                return False
            if self._private(address):
                return True
        return False

    def other_port(self) -> bool:
        """The topmost Via has another port than the message came from."""
        return (self._msg.via1.port or 5060) != self._msg.src_port

    def private_source(self) -> bool:
        """The message came from a private address."""
        return self._private(self._msg.src_ip)

    def websocket(self) -> bool:
        """The message came over a WebSocket."""
        return self._msg.proto in (P_WS, P_WSS)

    def contact_s_other_port(self) -> bool:
        """The Contact has another port than the message came from."""
        contact = contact_of(self._msg)
        return contact is not None and (parse_uri(contact.uri).port or 5060) != self._msg.src_port

    def other_media(self) -> bool:
        """The SDP's session has another address than the message came from; the streams' own do not matter."""
        session, streams = self._media()
        try:
            return bool(streams) and _ip(session) != _ip(self._msg.src_ip)
        except ValueError:
            return False

    def other_target(self) -> bool:
        """A request's Request-URI and next hop are different places, or a reply's second Via and its sender."""
        msg = self._msg
        if msg.is_request:
            if msg.dst_uri is None:
                return False
            wanted, real = parse_uri(msg.uri), parse_uri(msg.dst_uri)
            return wanted.host != real.host or (wanted.port or 5060) != (real.port or 5060)
        via = msg.via2
        if via is None:
            return False
        host, port = via.received or via.host, int(via.rport or 0) or via.port
        return host != via.host or (port or 5060) != (via.port or 5060)

    def _media(self) -> tuple[bytes, list[bytes]]:
        """The addresses of the SDP's session and of its streams, where a stream without one of its own has the
        session's; as they are written, empty where there is none. Raises ParseError for a line that lacks its
        address."""
        kind = self._msg.content_type
        sdp = find_part(self._msg.body, kind, b"application/sdp") if kind else None
        session = b""
        streams: list[bytes] = []
        own = True
        if sdp is None or not sdp.startswith(b"v=") or b"\no=" not in sdp:
            return session, streams
        for line in sdp.split(b"\n"):
            if line.startswith(b"m="):
                streams.append(session)
                own = False
            elif line.startswith((b"c=", b"o=")):
                found = ADDRESS.search(line)
                if found is None:
                    raise ParseError("No Address In SDP")
                if line.startswith(b"o="):
                    continue
                if not streams:
                    session = session or found[2]
                elif not own:
                    streams[-1] = found[2]
                    own = True
        return session, streams


_SIGNS: Final[dict[int, Callable[[Signs], bool]]] = {
    1: Signs.private_contact,
    2: Signs.other_address,
    4: Signs.private_via,
    8: Signs.private_media,
    16: Signs.other_port,
    32: Signs.private_source,
    64: Signs.websocket,
    128: Signs.contact_s_other_port,
    256: Signs.other_media,
    512: Signs.other_target,
}
