"""What a REGISTER says: its AOR, its contacts and how long they last, its Path (RFC 3261 §10.2, RFC 3327).

Functions here raise `Refused`, with the answer that Kamailio gives, or ParseError of the parts that they
read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kahea.modules.registrar import refusal
from kahea.modules.registrar.refusal import Refused
from kahea.modules.usrloc.contact import ALL_METHODS
from kahea.sip.errors import ParseError
from kahea.sip.message import (
    H_ALLOW,
    H_CONTACT,
    H_EXPIRES,
    H_PATH,
    H_REQUIRE,
    H_SUPPORTED,
    parse_name_addrs,
)
from kahea.sip.uri import Uri, parse_uri, unescape

if TYPE_CHECKING:
    from kahea.sip.message import Message, NameAddr

#: Octets of an AOR (user@host as received), a Call-ID, a received URI and all Path values.
MAX_AOR: Final = 255
MAX_CALLID: Final = 255
MAX_RECEIVED: Final = 255
MAX_PATH: Final = 256
#: Seconds; Kamailio's 32 bit times turn more than this into the past.
MAX_EXPIRES: Final = 2**31 - 1

_Q: Final = re.compile(rb"(?:0+(?:\.\d+)?|\.\d+|0*1(?:\.0+)?)\Z")
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")

_METHOD_NAMES: Final = (
    b"INVITE", b"CANCEL", b"ACK", b"BYE", b"INFO", b"REGISTER", b"SUBSCRIBE", b"NOTIFY", b"MESSAGE",
    b"OPTIONS", b"PRACK", b"UPDATE", b"REFER", b"PUBLISH", b"KDMQ", b"GET", b"POST", b"PUT", b"DELETE",
)  # fmt: skip
METHOD_BITS: Final = {name: 1 << i for i, name in enumerate(_METHOD_NAMES)}
OTHER_METHOD: Final = 1 << len(_METHOD_NAMES)


def breaks_lines(value: bytes) -> bool:
    """Whether a value would break the line of a message that it is put into."""
    return b"\n" in value or b"\r" in value


def unescaped_user(uri: Uri) -> bytes:
    """The user part with its escapes undone. Raises Refused."""
    user = uri.user
    if b"%" in user:
        if _BAD_ESCAPE.search(user):
            raise Refused(refusal.BAD_ESCAPE)
        user = unescape(user)
    return user


class AorRules:
    """How an AOR is made from a URI: the parameters of both modules."""

    __slots__ = ("case_sensitive", "realm_prefix", "use_domain")

    def __init__(self, use_domain: bool, case_sensitive: bool, realm_prefix: bytes) -> None:
        self.use_domain = use_domain
        self.case_sensitive = case_sensitive
        self.realm_prefix = realm_prefix

    def aor(self, uri: Uri) -> bytes:
        """The AOR that a URI names. Raises Refused."""
        user = uri.user
        if len(uri.raw) > MAX_AOR and len(user) + len(uri.host) + 1 > MAX_AOR:
            raise Refused(refusal.AOR_TOO_LONG)
        if b"%" in user:
            user = unescaped_user(uri)
        if breaks_lines(user):
            raise Refused(refusal.BAD_AOR)
        if not self.case_sensitive:
            user = user.lower()
        if not self.use_domain:
            return user
        host = uri.host.lower()
        if self.realm_prefix and host.startswith(self.realm_prefix) and len(host) > len(self.realm_prefix):
            host = host[len(self.realm_prefix) :]
        return user + b"@" + host if user else host

    def parse(self, data: bytes) -> bytes:
        """The AOR of a URI's text. Raises Refused."""
        try:
            return self.aor(parse_uri(data))
        except ParseError as error:
            raise Refused(refusal.BAD_AOR) from error


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


def contacts_of(msg: Message) -> list[NameAddr]:
    """The Contact values in the order in which Kamailio takes them. Raises Refused.

    That is header by header, but within one header from its last value to its first.
    """
    try:
        values = msg.name_addrs(H_CONTACT)
    except ParseError as error:
        raise Refused(refusal.BAD_CONTACT) from error
    if len(values) == 1:
        return values
    ordered: list[NameAddr] = []
    for header in msg.headers_of(H_CONTACT):
        ordered += reversed([v for v in values if header.body_start <= v.start < header.body_end])
    return ordered


def header_expires(msg: Message) -> int | None:
    """Seconds of the Expires header; -1 if it says nothing usable, None if there is none. Raises Refused."""
    try:
        seconds = msg.expires
        return seconds if seconds >= 0 else None
    except ParseError:
        pass
    header = msg.header(H_EXPIRES)
    if header is None:
        return None
    body = header.body
    if not body:
        raise Refused(refusal.BAD_EXPIRES)
    if body.isdigit() and len(body) <= 10:
        seconds = int(body)
        return seconds if seconds < 2**32 - 1 else -1
    return -1


def parse_q(value: bytes) -> int:
    """A q-value in thousandths. Raises Refused."""
    if _Q.match(value) is None:
        raise Refused(refusal.BAD_Q)
    whole, _, fraction = value.partition(b".")
    return min(1000, int(whole or b"0") * 1000 + int((fraction + b"000")[:3]))


def method_bit(name: bytes) -> int:
    """The bit of a method in `methods` columns."""
    return METHOD_BITS.get(name.upper(), OTHER_METHOD)


def method_mask(text: bytes) -> int:
    """The bits of a list of methods; -1 for what is no list."""
    mask = 0
    for part in text.split(b","):
        name = part.strip()
        if name:
            if b" " in name or b"\t" in name:
                return -1
            mask |= method_bit(name)
    return mask


def allowed_methods(msg: Message) -> int:
    """The bits of the methods in Allow headers; all if there are none, or they can't be read."""
    if msg.header(H_ALLOW) is None:
        return ALL_METHODS
    mask = 0
    for header in msg.headers_of(H_ALLOW):
        found = method_mask(header.body)
        if found <= 0:
            return ALL_METHODS
        mask |= found
    return mask


def contact_methods(value: NameAddr, allowed: int) -> int:
    """The bits of a contact's own `methods` parameter, else those of Allow. Raises Refused."""
    listed = value.param(b"methods")
    if listed is None:
        return allowed
    mask = method_mask(listed)
    if mask < 0:
        raise Refused(refusal.BAD_MESSAGE)
    return mask


def contact_q(value: NameAddr, default: int) -> int:
    """A contact's q in thousandths. Raises Refused."""
    given = value.param(b"q")
    return parse_q(given) if given else default


def contact_instance(value: NameAddr) -> bytes:
    """A contact's instance id (RFC 5627, RFC 5626), as written."""
    return value.param(b"+sip.instance") or b""


def contact_reg_id(value: NameAddr) -> int:
    """A contact's reg-id (RFC 5626), 0 if it has none. Raises Refused."""
    given = value.param(b"reg-id")
    if not given:
        return 0
    if not given.isdigit() or len(given) > 9 or int(given) == 0:
        raise Refused(refusal.BAD_REG_ID)
    return int(given)


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
