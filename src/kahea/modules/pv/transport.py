"""Where a message came from, where it arrived, and where it leaves: addresses, sockets, protocols."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from kahea.modules.pv.getters import Get, Row, keyed, table, text, want_text
from kahea.net.address import P_UDP, P_WSS, PROTO_NAMES, Address, Listener
from kahea.routing.module import Value, Variable
from kahea.routing.pv import Bound, PvError, named, plain
from kahea.routing.pv.reading import source_ip
from kahea.routing.pv.table import Index
from kahea.routing.received import RECEIVED_EVENT, Received
from kahea.sip.message import Message

if TYPE_CHECKING:
    from kahea.routing.run import Run

#: Where the node leaves what is about to be sent, for the time of the onsend route: an `OnSend`.
ONSEND_FACET = "onsend"

_FAMILY = {4: 2, 6: 10}  # AF_INET, AF_INET6 of Linux
_FAMILY_NAMES = {4: "IPv4", 6: "IPv6"}


class OnSend(Protocol):
    """What is about to be sent, and between which addresses."""

    listener: Listener
    address: Address
    data: bytes


def bracketed(ip: bytes) -> str:
    """An IP address as it stands in a URI."""
    return f"[{text(ip)}]" if b":" in ip else text(ip)


def proto_name(proto: int) -> str:
    """The protocol in lower case, "" if it is none."""
    return PROTO_NAMES.get(proto, "")


def _uri_proto(proto: int) -> str:
    """As a transport parameter: secure WebSocket is `ws` too (RFC 7118 §5.2.4)."""
    return "ws" if proto == P_WSS else proto_name(proto)


def address_uri(host: str, port: int, proto: int, full: bool) -> str:
    """A URI of an address; without its transport for UDP, unless `full`."""
    tail = f";transport={_uri_proto(proto)}" if full or proto != P_UDP else ""
    return f"sip:{host}:{port}{tail}"


def source_uri(msg: Message, full: bool) -> str:
    """The source address as a URI."""
    return address_uri(bracketed(msg.src_ip), msg.src_port, msg.proto, full)


def source_socket(msg: Message) -> str:
    """The source address as `proto:host:port`."""
    return f"{proto_name(msg.proto)}:{bracketed(msg.src_ip)}:{msg.src_port}"


def received_on(msg: Message) -> Listener | None:
    """The listener that the message arrived on."""
    found = msg.listener
    return found if isinstance(found, Listener) else None


def advertised_host(msg: Message) -> str:
    """The listener's advertised host, or else the address."""
    listener = received_on(msg)
    if listener is not None and listener.advertised_host:
        return text(listener.advertised_host)
    return text(msg.dst_ip)


def advertised_port(msg: Message) -> int:
    """The listener's advertised port, or else its port."""
    listener = received_on(msg)
    if listener is not None and listener.advertised_port:
        return listener.advertised_port
    return msg.dst_port


def _advertised_uri_host(msg: Message) -> str:
    return bracketed(advertised_host(msg).encode("utf-8", "surrogateescape"))


def _received_uri(full: bool) -> Get:
    return lambda run: address_uri(bracketed(run.msg.dst_ip), run.msg.dst_port, run.msg.proto, full)


def _advertised_uri(full: bool) -> Get:
    return lambda run: address_uri(_advertised_uri_host(run.msg), advertised_port(run.msg), run.msg.proto, full)


def _advertised_socket(run: Run) -> Value:
    msg = run.msg
    return f"{proto_name(msg.proto)}:{_advertised_uri_host(msg)}:{advertised_port(msg)}"


def _received_name(run: Run) -> Value:
    listener = received_on(run.msg)
    return listener.name or None if listener is not None else None


def family(msg: Message) -> int:
    """4 or 6."""
    return 6 if b":" in msg.src_ip else 4


# ---- the socket to send from


def send_socket(msg: Message) -> Listener | None:
    """The listener that was forced for sending."""
    found = msg.send_sock
    return found if isinstance(found, Listener) else None


def _of_socket(part: Callable[[Listener], Value], missing: Value = None) -> Get:
    def get(run: Run) -> Value:
        listener = send_socket(run.msg)
        return missing if listener is None else part(listener)

    return get


def _set_socket(run: Run, value: Value) -> None:
    """An unknown socket leaves what was set."""
    if value is None:
        run.msg.send_sock = None
        return
    spec = want_text(value, "$fs")
    if not spec:
        raise PvError("$fs takes a socket, such as udp:192.0.2.1:5060")
    listener = run.node.find_listener(spec)
    if listener is None:
        run.node.log.warning("$fs: there is no listener %s", spec)
        return
    run.msg.send_sock = listener


def _set_socket_name(run: Run, value: Value) -> None:
    if value is None:
        run.msg.send_sock = None
        return
    name = want_text(value, "$fsn")
    listener = next((each for each in run.node.listeners if each.name and each.name == name), None)
    if listener is None:
        run.node.log.warning("$fsn: there is no listener named %s", name)
        return
    run.msg.send_sock = listener


# ---- what is being sent or was received


def _sending(part: Callable[[OnSend], Value]) -> Get:
    def get(run: Run) -> Value:
        info = run.msg.facets.get(ONSEND_FACET)
        return None if info is None else part(info)  # type: ignore[arg-type]

    return get


def _address_keys(which: Callable[[OnSend], Address]) -> dict[str, Get]:
    return {
        "ip": _sending(lambda info: which(info).ip),
        "port": _sending(lambda info: which(info).port),
        "af": _sending(lambda info: _FAMILY[which(info).family]),
        "proto": _sending(lambda info: info.listener.proto),
        "sproto": _sending(lambda info: proto_name(info.listener.proto)),
        "buf": _sending(lambda info: text(info.data)),
        "len": _sending(lambda info: len(info.data)),
    }


_FROM = _address_keys(lambda info: info.listener.address)
_TO = _address_keys(lambda info: info.address)


def _receiving(part: Callable[[Received], Value]) -> Get:
    def get(run: Run) -> Value:
        received = run.state.get(RECEIVED_EVENT) if run.name == RECEIVED_EVENT else None
        return part(received) if isinstance(received, Received) else None

    return get


_RCV: dict[str, Get] = {
    "buf": _receiving(lambda got: text(got.data)),
    "len": _receiving(lambda got: len(got.data)),
    "srcip": _receiving(lambda got: got.source.ip),
    "rcvip": _receiving(lambda got: got.listener.address.ip),
    "scrport": _receiving(lambda got: got.source.port),
    "srcport": _receiving(lambda got: got.source.port),
    "rcvport": _receiving(lambda got: got.listener.address.port),
    "proto": _receiving(lambda got: got.listener.proto),
    "sproto": _receiving(lambda got: proto_name(got.listener.proto)),
    "af": _receiving(lambda got: _FAMILY[got.source.family]),
}

_CONSTANTS: dict[str, Get] = {
    key: (lambda _run, number=number: number)  # type: ignore[misc]
    for key, number in {
        "IPv4": 2, "IPv6": 10, "INET": 2, "INET6": 10, "IP4": 2, "IP6": 10,
        "UDP": 1, "TCP": 2, "TLS": 3, "SCTP": 4, "WS": 5, "WSS": 6,
    }.items()
}  # fmt: skip

_AF: dict[str, Get] = {
    "name": lambda run: _FAMILY_NAMES[family(run.msg)],
    "id": lambda run: _FAMILY[family(run.msg)],
}


def _receivable(variable: str) -> Variable:
    bind = keyed(variable, _RCV)

    def put(run: Run, value: Value) -> None:
        raise PvError(f"${variable} can't be changed: what was received is as it is, and Kamailio 5.6 has it read-only")

    return named(
        variable,
        lambda name, index: Bound(bind(name, index).get, put),
        writable=True,
        doc="In event_route[core:msg-received]: what was received.",
    )


def _lsock(name: Value, _index: Index) -> Bound:
    """`$lsock(matchid/value/field)`: look a listener up by its name (n) or address (l)."""
    parts = str(name).split("/")
    fields: dict[str, Callable[[Run, Listener], Value]] = {
        "n": lambda _run, listener: listener.name or None,
        "l": lambda _run, listener: listener.uri,
        "a": lambda _run, listener: _advertised(listener),
        "i": lambda run, listener: run.node.listeners.index(listener),
    }
    if len(parts) != 3 or parts[0] not in ("n", "l") or parts[2][:1] not in fields:
        raise PvError("$lsock takes n/name/field or l/socket/field; a field is name, listen, advertise or index")
    by_name, wanted, field = parts[0] == "n", parts[1], fields[parts[2][:1]]

    def get(run: Run) -> Value:
        for listener in run.node.listeners:
            if (listener.name if by_name else listener.uri) == wanted:
                return field(run, listener)
        return None

    return Bound(get)


def _advertised(listener: Listener) -> Value:
    if not listener.advertised_host:
        return None
    port = listener.advertised_port or listener.address.port
    return f"{listener.proto_name}:{bracketed(listener.advertised_host)}:{port}"


_ROWS: tuple[Row, ...] = (
    ("si", source_ip, "The source address."),
    ("src_ip", source_ip, "The source address."),
    ("siz", lambda run: bracketed(run.msg.src_ip), "The source address, IPv6 in brackets."),
    ("sp", lambda run: run.msg.src_port, "The source port."),
    ("sas", lambda run: source_socket(run.msg), "The source as protocol:address:port."),
    ("su", lambda run: source_uri(run.msg, False), "The source as a URI."),
    ("sut", lambda run: source_uri(run.msg, True), "The source as a URI with its transport."),
    ("Ri", lambda run: text(run.msg.dst_ip), "The address that the message arrived on."),
    ("Rp", lambda run: run.msg.dst_port, "The port that the message arrived on."),
    ("Rn", _received_name, "The name of the listener that the message arrived on."),
    ("Ru", _received_uri(False), "The listener as a URI."),
    ("Rut", _received_uri(True), "The listener as a URI with its transport."),
    ("RAi", lambda run: advertised_host(run.msg), "The advertised address of the listener."),
    ("RAp", lambda run: advertised_port(run.msg), "The advertised port of the listener."),
    ("Ras", _advertised_socket, "The advertised listener as protocol:address:port."),
    ("RAu", _advertised_uri(False), "The advertised listener as a URI."),
    ("RAut", _advertised_uri(True), "The advertised listener as a URI with its transport."),
    ("pr", lambda run: proto_name(run.msg.proto), "The transport protocol of the message."),
    ("proto", lambda run: proto_name(run.msg.proto), "The transport protocol of the message."),
    ("prid", lambda run: run.msg.proto, "The transport protocol as a number."),
    ("conid", lambda run: run.msg.connection_id or None, "The connection that the message arrived on."),
    (
        "fsp",
        _of_socket(lambda listener: listener.address.port, 0),
        "The port of the forced send socket, 0 for none.",
    ),
)

VARIABLES: list[Variable] = [
    *table(_ROWS),
    plain("fs", _of_socket(lambda listener: listener.uri), _set_socket, "The socket forced for sending."),
    plain("fsn", _of_socket(lambda listener: listener.name or None), _set_socket_name, "Its name."),
    named("snd", keyed("snd", _TO), doc="In the onsend route: where the message is sent to, as `$sndto`."),
    named("sndfrom", keyed("sndfrom", _FROM), doc="In the onsend route: where the message is sent from."),
    named("sndto", keyed("sndto", _TO), doc="In the onsend route: where the message is sent to."),
    _receivable("rcv"),
    _receivable("recv"),
    named("K", keyed("K", _CONSTANTS), doc="The numbers of address families and protocols."),
    named("af", keyed("af", _AF), doc="The address family of the message."),
    named("lsock", _lsock, dynamic=True, doc="A listener's attributes."),
]
