"""KSR.is_INVITE() and its siblings: what kind of message this is and how it arrived or is to leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kahea.net import address
from kahea.routing.common import LetterTest, MethodTest
from kahea.routing.module import Module, function
from kahea.routing.text import wire
from kahea.sip import message
from kahea.sip.errors import ParseError
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.routing.run import Run

Test = Callable[[Any, "Run"], bool]

#: The letters of is_method_in(), as Kamailio assigns them; INFO has none.
LETTERS = {
    "A": b"ACK",
    "B": b"BYE",
    "C": b"CANCEL",
    "D": b"DELETE",
    "E": b"PRACK",
    "F": b"REFER",
    "G": b"GET",
    "I": b"INVITE",
    "K": b"KDMQ",
    "M": b"MESSAGE",
    "N": b"NOTIFY",
    "O": b"OPTIONS",
    "P": b"PUBLISH",
    "R": b"REGISTER",
    "S": b"SUBSCRIBE",
    "T": b"POST",
    "U": b"UPDATE",
    "V": b"PUT",
}

#: The letters of is_proto().
PROTO_LETTERS = {
    "U": address.P_UDP,
    "T": address.P_TCP,
    "E": address.P_TLS,
    "S": address.P_SCTP,
    "W": address.P_WS,
    "V": address.P_WSS,
}

#: The methods that have a bit of their own in `Message.method_id`.
BITS = {
    name: bit
    for name in (m.decode() for m in (*LETTERS.values(), b"INFO"))
    if (bit := message.method_id(name.encode())) != message.M_OTHER
}
LETTER_BITS = {
    same: BITS[method.decode()]
    for letter, method in LETTERS.items()
    if method.decode() in BITS
    for same in (letter, letter.lower())
}

_BY_TRANSPORT = {name.encode(): proto for name, proto in address.PROTO_IDS.items()}


def method_of(msg: message.Message) -> bytes:
    """The request's method, or that of a reply's CSeq; b"" if the reply has none that can be read."""
    if msg.is_request:
        return msg.method
    try:
        return msg.cseq_method
    except ParseError:
        return b""


def _is_method(name: str) -> Test:
    """A test for one method; replies count by their CSeq."""
    wanted = name.encode()
    bit = message.method_id(wanted)
    if bit != message.M_OTHER:

        def by_id(self: Module, run: Run) -> bool:
            return run.msg.method_id == bit

        test: Test = by_id
    else:

        def by_name(self: Module, run: Run) -> bool:
            return method_of(run.msg) == wanted

        test = by_name
    test.__doc__ = f"Whether this is {name}, or a reply to one."
    return function(name=f"is_{name}", params=(), ret="bool", group="")(test)


def _arrived_by(name: str, *protos: int) -> Test:
    def test(self: Module, run: Run) -> bool:
        return run.msg.proto in protos

    test.__doc__ = f"Whether the message arrived over {name}."
    return function(name=f"is_{name}", params=(), ret="bool", group="")(test)


def _next_hop(msg: message.Message) -> tuple[bytes, bytes]:
    """Transport and host that a request's `$du`, or a reply's second Via, names; b"" for what is open."""
    try:
        if not msg.is_request:
            via = msg.via2
            return (via.transport.lower(), via.host) if via is not None else (b"", b"")
        if msg.dst_uri:
            uri = parse_uri(msg.dst_uri)
            return uri.transport, uri.host
    except ParseError:
        pass  # it goes nowhere that is known
    return b"", b""


def _leaves_by(name: str, *protos: int) -> Test:
    def test(self: Module, run: Run) -> bool:
        return _BY_TRANSPORT.get(_next_hop(run.msg)[0]) in protos

    test.__doc__ = f"Whether the destination URI names {name}; False if it leaves the transport open."
    return function(name=f"to_{name}", params=(), ret="bool", group="")(test)


class Tests(Module):
    """What a message is, and the transports that it comes and goes by."""

    is_INVITE = _is_method("INVITE")
    is_ACK = _is_method("ACK")
    is_BYE = _is_method("BYE")
    is_CANCEL = _is_method("CANCEL")
    is_REGISTER = _is_method("REGISTER")
    is_MESSAGE = _is_method("MESSAGE")
    is_SUBSCRIBE = _is_method("SUBSCRIBE")
    is_PUBLISH = _is_method("PUBLISH")
    is_NOTIFY = _is_method("NOTIFY")
    is_OPTIONS = _is_method("OPTIONS")
    is_INFO = _is_method("INFO")
    is_UPDATE = _is_method("UPDATE")
    is_PRACK = _is_method("PRACK")
    is_REFER = _is_method("REFER")
    is_KDMQ = _is_method("KDMQ")
    is_GET = _is_method("GET")
    is_POST = _is_method("POST")
    is_PUT = _is_method("PUT")
    is_DELETE = _is_method("DELETE")

    is_UDP = _arrived_by("UDP", address.P_UDP)
    is_TCP = _arrived_by("TCP", address.P_TCP)
    is_TLS = _arrived_by("TLS", address.P_TLS)
    is_SCTP = _arrived_by("SCTP", address.P_SCTP)
    is_WS = _arrived_by("WS", address.P_WS)
    is_WSS = _arrived_by("WSS", address.P_WSS)
    is_WSX = _arrived_by("WSX", address.P_WS, address.P_WSS)
    is_TCPX = _arrived_by("TCPX", address.P_TCP, address.P_TLS, address.P_WS, address.P_WSS)

    to_UDP = _leaves_by("UDP", address.P_UDP)
    to_TCP = _leaves_by("TCP", address.P_TCP)
    to_TLS = _leaves_by("TLS", address.P_TLS)
    to_SCTP = _leaves_by("SCTP", address.P_SCTP)
    to_WS = _leaves_by("WS", address.P_WS)
    to_WSS = _leaves_by("WSS", address.P_WSS)
    to_WSX = _leaves_by("WSX", address.P_WS, address.P_WSS)

    def compiled(self) -> Mapping[str, Callable[..., Any]]:
        """Nearly every script asks for the method, more than once."""
        tests = {f"is_{name}": MethodTest(bit).holds for name, bit in BITS.items()}
        return {**super().compiled(), **tests, "is_method_in": LetterTest(LETTER_BITS, self.is_method_in).holds}

    @function(group="")
    def is_method(self, run: Run, names: str) -> bool:
        """Whether the method is one of `names` ("INVITE|ACK", any case); a reply counts by its CSeq."""
        return method_of(run.msg).upper() in wire(names).upper().replace(b" ", b"").split(b"|") if names else False

    @function(group="")
    def is_method_in(self, run: Run, letters: str) -> bool:
        """Whether the method is one of those that `letters` stand for ("IABC": INVITE, ACK, BYE, CANCEL)."""
        method = method_of(run.msg)
        for letter in letters:
            known = LETTERS.get(letter.upper())
            if known is None:
                self.node.log.warning("is_method_in: no method has the letter %r", letter)
            elif known == method:
                return True
        return False

    @function(group="")
    def is_proto(self, run: Run, letters: str) -> bool:
        """Whether the message arrived over one of the transports U, T, E (TLS), S (SCTP), W (WS), V (WSS)."""
        proto = run.msg.proto
        return any(PROTO_LETTERS.get(letter.upper()) == proto for letter in letters)

    @function(group="")
    def is_IPv4(self, run: Run) -> bool:
        """Whether the message arrived over IPv4."""
        return b":" not in run.msg.src_ip

    @function(group="")
    def is_IPv6(self, run: Run) -> bool:
        """Whether the message arrived over IPv6."""
        return b":" in run.msg.src_ip

    @function(group="")
    def to_IPv4(self, run: Run) -> bool:
        """Whether the destination URI's host is an IPv4 address."""
        return address.is_ip(_next_hop(run.msg)[1]) == 4

    @function(group="")
    def to_IPv6(self, run: Run) -> bool:
        """Whether the destination URI's host is an IPv6 address."""
        return address.is_ip(_next_hop(run.msg)[1]) == 6

    @function(group="")
    def is_src_port(self, run: Run, port: int) -> bool:
        """Whether the message came from this port."""
        return run.msg.src_port == port

    @function(group="")
    def is_dst_port(self, run: Run, port: int) -> bool:
        """Whether the message arrived at this port."""
        return run.msg.dst_port == port
