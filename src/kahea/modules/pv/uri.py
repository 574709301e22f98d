"""Request-URI, its original, destination URI and next hop: `$ru`, `$rU`, `$ou`, `$du`, `$nh(...)` and their
parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kahea.modules.pv.getters import Get, Put, Row, keyed, some, table, text, want_text
from kahea.net.address import PROTO_IDS
from kahea.routing.caller import quiet
from kahea.routing.module import Value, Variable
from kahea.routing.pv import PvError, named, plain
from kahea.routing.pv.reading import HOST, URI, USER, TargetText
from kahea.routing.text import wire
from kahea.sip.errors import ParseError
from kahea.sip.message import Message, Via
from kahea.sip.uri import Uri, counts_as_tel, parse_uri

if TYPE_CHECKING:
    from kahea.routing.run import Run

Source = Callable[["Run"], Uri | None]
_PHONE = {b"sip": "tel", b"sips": "tels"}


def request_uri(run: Run) -> Uri | None:
    """The current Request-URI; None in a reply."""
    msg = run.msg
    return parse_uri(msg.uri) if msg.is_request else None


def _original(run: Run) -> Uri | None:
    msg = run.msg
    return parse_uri(msg.original_uri) if msg.is_request else None


def _destination(run: Run) -> Uri | None:
    dst = run.msg.dst_uri
    return parse_uri(dst) if dst else None


def _ou(run: Run) -> Value:
    return text(run.msg.original_uri) if run.msg.is_request else None


def _du(run: Run) -> Value:
    return some(run.msg.dst_uri)


def _user(source: Source) -> Get:
    def get(run: Run) -> Value:
        uri = source(run)
        return some(uri.user) if uri is not None else None

    return get


def _host(source: Source) -> Get:
    def get(run: Run) -> Value:
        uri = source(run)
        return some(uri.host) if uri is not None else None

    return get


def is_secure(uri: Uri) -> bool:
    """Whether the URI's transport has the port of TLS by default; what `sips` says does not count here."""
    return uri.transport == b"tls"


def port_of(uri: Uri) -> str:
    """The port as text, the default one if it is not there."""
    return str(uri.port or (5061 if is_secure(uri) else 5060))


def proto_of(uri: Uri) -> str:
    """The transport as written, or in capitals the default one."""
    written = uri.param(b"transport")
    return text(written) if written else "UDP"


def _port(source: Source) -> Get:
    def get(run: Run) -> Value:
        uri = source(run)
        return None if uri is None else port_of(uri)

    return get


def _proto(source: Source) -> Get:
    def get(run: Run) -> Value:
        uri = source(run)
        return None if uri is None else proto_of(uri)

    return get


def _length(source: Source, whole: bool) -> Get:
    def get(run: Run) -> Value:
        uri = source(run)
        return None if uri is None else len(uri.raw if whole else uri.user)

    return get


def kind_of(uri: Uri) -> str:
    """The scheme; a SIP URI with `user=phone` counts as a telephone one (`phone2tel`)."""
    return _PHONE[uri.scheme] if counts_as_tel(uri) else text(uri.scheme)


def _scheme(run: Run) -> Value:
    if not run.msg.is_request:
        return None
    try:
        uri = parse_uri(run.msg.uri)
    except ParseError:
        return None
    return kind_of(uri)


# ---- assignments


def _set_ru(run: Run, value: Value) -> None:
    run.msg.set_uri(wire(want_text(value, "$ru")))


def _set_user(run: Run, value: Value) -> None:
    """An empty user, or null, takes the whole userinfo away."""
    user = wire(want_text(value, "$rU") if value is not None else "")
    uri = parse_uri(run.msg.uri)
    run.msg.set_uri(uri.replaced(user=user) if user else uri.replaced(user=b"", password=b""))


def _set_host(run: Run, value: Value) -> None:
    host = wire(want_text(value, "$rd"))
    uri = parse_uri(run.msg.uri)
    if uri.is_sip:
        run.msg.set_uri(uri.replaced(host=host))
        return
    number = uri.raw.partition(b":")[2]
    run.msg.set_uri(b"sip:" + number + b"@" + host + b";user=phone")


def _set_port(run: Run, value: Value) -> None:
    port = str(value) if value is not None else ""
    if port and not (port.isdigit() and port.isascii() and int(port[:6]) <= 65535):
        raise PvError("$rp takes a port")
    uri = parse_uri(run.msg.uri)
    if not uri.is_sip:
        raise PvError(f"a {text(uri.scheme)} URI has no port")
    run.msg.set_uri(uri.replaced(port=int(port or 0)))


def _set_du(run: Run, value: Value) -> None:
    run.msg.dst_uri = wire(want_text(value, "$du")) or None if value is not None else None


def _requests_only(put: Put) -> Put:
    def guard(run: Run, value: Value) -> None:
        if not run.msg.is_request:
            raise PvError("a reply has no Request-URI")
        put(run, value)

    return guard


# ---- next hop


def reply_hop(msg: Message) -> Via:
    """The Via that a reply goes to next; raises ParseError if it has no second one."""
    via = msg.via2
    if via is None:
        raise ParseError("no second Via")
    return via


def via_host(via: Via) -> str:
    """Where a reply goes by a Via: `received` before sent-by (RFC 3261 §18.2.2)."""
    return text(via.received or via.host)


def via_port(via: Via) -> int:
    """Its port: `rport`, sent-by's or the default."""
    rport = via.rport
    if rport and rport.isdigit():
        return int(rport)
    return via.port or (5061 if via.transport.upper() == b"TLS" else 5060)


def via_proto(via: Via) -> str:
    """Its transport in lower case."""
    return text(via.transport).lower()


def via_uri(via: Via) -> str:
    """Where a reply goes by a Via, as a URI."""
    return f"sip:{via_host(via)}:{via_port(via)};transport={via_proto(via)}"


def _next_uri(run: Run) -> bytes:
    msg = run.msg
    return msg.dst_uri or msg.uri


def _next_text(run: Run) -> Value:
    return text(_next_uri(run)) if run.msg.is_request else via_uri(reply_hop(run.msg))


def _next(of_request: Callable[[Uri], Value], of_reply: Callable[[Via], Value]) -> Get:
    def get(run: Run) -> Value:
        if run.msg.is_request:
            return of_request(parse_uri(_next_uri(run)))
        return of_reply(reply_hop(run.msg))

    return get


NEXT_HOP: dict[str, Get] = {
    "u": _next_text,
    "U": _next(lambda uri: some(uri.user), lambda _via: None),
    "d": _next(lambda uri: some(uri.host), via_host),
    "p": _next(port_of, via_port),
    "P": _next(proto_of, via_proto),
}

REPLY_HOP: dict[str, Get] = {
    "duri": lambda run: via_uri(reply_hop(run.msg)),
    "dhost": lambda run: via_host(reply_hop(run.msg)),
    "dport": lambda run: via_port(reply_hop(run.msg)),
    "dproto": lambda run: via_proto(reply_hop(run.msg)),
    "dprotoid": lambda run: PROTO_IDS.get(via_proto(reply_hop(run.msg)), 0),
    "cntvia": lambda run: len(run.msg.vias()),
}


def _of_reply(get: Get) -> Get:
    return lambda run: None if run.msg.is_request else get(run)


_READ_ONLY: tuple[Row, ...] = (
    ("ou", _ou, "The Request-URI as received."),
    ("ouri", _ou, "The Request-URI as received."),
    ("oU", _user(_original), "The user of the original Request-URI."),
    ("oUl", _length(_original, False), "The length of that user."),
    ("od", _host(_original), "The host of the original Request-URI."),
    ("op", _port(_original), "The port of the original Request-URI."),
    ("oP", _proto(_original), "The transport of the original Request-URI."),
    ("rP", _proto(request_uri), "The transport of the Request-URI."),
    ("rz", _scheme, "The scheme of the Request-URI."),
    ("rUl", _length(request_uri, False), "The length of the Request-URI's user."),
    ("rul", _length(request_uri, True), "The length of the Request-URI."),
    ("dd", _host(_destination), "The host of the destination URI."),
    ("dp", _port(_destination), "The port of the destination URI."),
    ("dP", _proto(_destination), "The transport of the destination URI."),
)

VARIABLES: list[Variable] = [
    *table(_READ_ONLY),
    *(plain(name, TargetText(URI).get, _requests_only(_set_ru), "The Request-URI.") for name in ("ru", "ruri")),
    *(
        plain(name, TargetText(USER).get, _requests_only(_set_user), "The user of the Request-URI.")
        for name in ("rU", "ruri.user")
    ),
    *(
        plain(name, TargetText(HOST).get, _requests_only(_set_host), "The host of the Request-URI.")
        for name in ("rd", "ruri.domain")
    ),
    plain("rp", quiet(_port(request_uri)), _requests_only(_set_port), "The port of the Request-URI."),
    *(
        plain(name, _du, _set_du, "The destination URI: the next hop, if it is not the target.")
        for name in ("du", "duri")
    ),
    named(
        "nh",
        keyed("nh", NEXT_HOP),
        doc="The next hop: its URI (u), user (U), host (d), port (p), transport (P).",
    ),
    named("rpl", keyed("rpl", {k: _of_reply(v) for k, v in REPLY_HOP.items()}), doc="Where a reply goes next."),
]
