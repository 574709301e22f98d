"""What generated code calls: conversions between text and numbers, arithmetic, and loud endings.

Numbers have 64 bits and wrap, as in Kamailio since 5.7 (5.6 has 32).
"""

from __future__ import annotations

import logging
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final

from kahea.routing.module import Value
from kahea.routing.pv.values import INT_MAX, INT_MIN
from kahea.routing.regex import RegexError, compile_posix
from kahea.routing.run import CORE_ONREPLY_ROUTE
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError

if TYPE_CHECKING:
    from kahea.routing.generation import Route
    from kahea.routing.node import Sending
    from kahea.routing.run import Run

log = logging.getLogger("kahea.script")

DEPTH: Final = "native.depth"
NO_ROUTE: Final = -10  # the code of a route that is not there
INET: Final = 2
INET6: Final = 10
_BITS: Final = 64
_SPAN: Final = 1 << _BITS
_LONGEST: Final = 66  # characters of a number


class Undefined(ArithmeticError):
    """An expression that has no value: a division by zero, a bad regular expression."""


def text_of(value: Value) -> str:
    """A value as text; $null is empty."""
    if value.__class__ is str:
        return value
    return "" if value is None else str(int(value))


def number_of(value: Value) -> int:
    """A value as a number: $null is 0, and so is text that is none, with a line in the log."""
    if value.__class__ is int:
        return value
    if value is None or value == "":
        return 0
    return parse_number(value) if isinstance(value, str) else int(value)


def parse_number(text: str) -> int:
    """The number that a whole text is: decimal with a sign, or `0x...`; 0 for any other."""
    if text.isascii() and len(text) < _LONGEST:
        digits = text[1:] if text[0] in "+-" else text
        if digits.isdigit():
            found = int(text)
            if INT_MIN <= found <= INT_MAX:
                return found
        elif digits[:2] in ("0x", "0X") and digits is text:
            try:
                return wrapped(int(digits[2:].replace("_", "x"), 16))
            except ValueError:
                pass  # told of below
    log.warning("%r is used as a number and is none", text)
    return 0


def wrapped(number: int) -> int:
    """A number brought back into 64 bits."""
    if INT_MIN <= number <= INT_MAX:
        return number
    return (number - INT_MIN) % _SPAN + INT_MIN


def divided(left: int, right: int) -> int:
    """The quotient, towards zero. Raises Undefined."""
    if right == 0:
        raise Undefined("division by zero")
    quotient = abs(left) // abs(right)
    return wrapped(quotient if (left < 0) == (right < 0) else -quotient)


def remainder(left: int, right: int) -> int:
    """The remainder, with the sign of the dividend. Raises Undefined."""
    if right == 0:
        raise Undefined("modulo by zero")
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def shifted_left(left: int, right: int) -> int:
    """As the machine shifts: by the count's lowest six bits."""
    return wrapped(left << (right & _BITS - 1))


def shifted_right(left: int, right: int) -> int:
    """The same to the right, keeping the sign."""
    return left >> (right & _BITS - 1)


def added(left: Value, right: Value) -> Value:
    """`+`, whose left side says what it is: a sum of numbers, or text and text."""
    if left.__class__ is int:
        return wrapped(left + number_of(right))
    return text_of(left) + text_of(right)


def equal(left: Value, right: Value) -> bool:
    """`==` of two variables: the left one says how, or the right one if it is $null."""
    if left.__class__ is str:
        return left == text_of(right)
    if left is None:
        if right.__class__ is int:
            return right == 0
        return not right
    return left == number_of(right)


def matches(value: str, pattern: str) -> bool:
    """`=~` with a pattern known only now. Raises Undefined."""
    try:
        return compile_posix(pattern, ignore_case=True).search(value) is not None
    except RegexError as error:
        raise Undefined(f"bad regular expression {pattern!r}: {error}") from error


def text_length(text: str) -> int:
    """The length of a text in bytes."""
    return len(text) if text.isascii() else len(wire(text))


# ---- words of the language


def method_of(run: Run) -> str:
    """`method`: of a request; in a reply that of CSeq."""
    msg = run.msg
    return text(msg.method if msg.is_request else msg.cseq_method)


def status_of(run: Run) -> str:
    """`status`: of a reply, as text."""
    msg = run.msg
    return "" if msg.is_request else str(msg.status)


def uri_of(run: Run) -> str:
    """`uri`: the Request-URI."""
    return text(run.msg.uri) if run.msg.is_request else ""


def from_uri_of(run: Run) -> str:
    """`from_uri`."""
    try:
        return text(run.msg.from_.uri)
    except ParseError:
        return ""


def to_uri_of(run: Run) -> str:
    """`to_uri`."""
    try:
        return text(run.msg.to.uri)
    except ParseError:
        return ""


def msg_len_of(run: Run) -> int:
    """`msg:len`: the size of the message as received."""
    return len(run.msg.raw)


def af_of(run: Run) -> int:
    """`af`: 2 for IPv4, 10 for IPv6."""
    return INET6 if b":" in run.msg.src_ip else INET


def _sending(run: Run) -> Sending:
    """What an onsend_route is about to send."""
    sending: Sending = run.msg.facets["onsend"]  # type: ignore[assignment]
    return sending


def snd_ip_of(run: Run) -> bytes:
    """`snd_ip`: the address sent from."""
    return _sending(run).listener.address.ip_bytes


def snd_port_of(run: Run) -> int:
    """`snd_port`: the port sent from."""
    return _sending(run).listener.address.port


def snd_proto_of(run: Run) -> int:
    """`snd_proto`, `to_proto`: the transport."""
    return _sending(run).listener.proto


def snd_af_of(run: Run) -> int:
    """`snd_af`, `to_af`: 2 for IPv4, 10 for IPv6."""
    return INET6 if b":" in _sending(run).address.ip_bytes else INET


def to_ip_of(run: Run) -> bytes:
    """`to_ip`: the address sent to."""
    return _sending(run).address.ip_bytes


def to_port_of(run: Run) -> int:
    """`to_port`: the port sent to."""
    return _sending(run).address.port


def in_network(address: bytes, network: IPv4Network | IPv6Network) -> bool:
    """Whether an address of the message is in a network."""
    return ip_address(address.decode()) in network


def same_address(run: Run, address: bytes, wanted: str) -> bool:
    """Whether an address of the message is the one, or in the network, that a text holds now."""
    try:
        return ip_address(address.decode()) in ip_network(wanted.strip("[]"), strict=False)
    except ValueError:
        return address_has_name(run, address, wanted)


def address_has_name(run: Run, address: bytes, name: str) -> bool:
    """Whether a host's name resolves to the address. May wait."""
    del run, address, name
    return False


def bounded(route: Route, limit: int) -> Route:
    """A route that may come to call itself, with an end to it (`max_recursive_level`)."""

    def enter(run: Run) -> object:
        depth: int = run.state.get(DEPTH, 0) + 1  # type: ignore[operator]
        if depth >= limit:  # the main route is the first level
            run.node.log.error("routes call each other more than %d deep", limit)
            return -1
        run.state[DEPTH] = depth
        try:
            return route(run)
        finally:
            run.state[DEPTH] = depth - 1

    return enter


def ended_by_zero(run: Run) -> None:
    """The script ends with 0, by a function or by `return`: what a reply_route drops the reply for."""
    if run.kind == CORE_ONREPLY_ROUTE:
        run.drop = True


def of_reply(run: Run, code: int | None) -> int | None:
    """The value of the node's reply_route, which drops the reply unless it is true; `exit` gives none."""
    if code is not None and code <= 0:
        run.drop = True
    return code


def route_named(run: Run, routes: dict[str, Route], name: str) -> object:
    """`route($var(x))`: the route that a text names now."""
    route = routes.get(name) if name else None  # the main route has no name
    if route is None:
        run.node.log.error("there is no route[%s]", name)
        return NO_ROUTE
    return route(run)


def undefined(run: Run, error: Undefined, where: str) -> None:
    """An expression could not be evaluated; the statement does nothing."""
    run.node.log.error("%s: %s", where, error)


def runaway(run: Run, limit: int, where: str) -> None:
    """A loop reached `max_while_loops`."""
    run.node.log.error("%s: more than %d loops: the script goes on after it", where, limit)


EXPORTED: Final = (
    "Undefined",
    "added",
    "address_has_name",
    "af_of",
    "divided",
    "ended_by_zero",
    "equal",
    "from_uri_of",
    "in_network",
    "matches",
    "method_of",
    "msg_len_of",
    "number_of",
    "of_reply",
    "remainder",
    "route_named",
    "runaway",
    "same_address",
    "shifted_left",
    "shifted_right",
    "snd_af_of",
    "snd_ip_of",
    "snd_port_of",
    "snd_proto_of",
    "status_of",
    "text",
    "text_length",
    "text_of",
    "to_ip_of",
    "to_port_of",
    "to_uri_of",
    "undefined",
    "uri_of",
    "wrapped",
)
