"""`{uri....}`, `{urialias....}`, `{sock....}`, `{nameaddr....}` and `{tobody....}`: parts of addresses."""

from __future__ import annotations

import re
from collections.abc import Callable

from kahea.net.address import PROTO_IDS, PROTO_NAMES
from kahea.routing.module import Value
from kahea.routing.pv.chain import Transformation
from kahea.sip.errors import ParseError
from kahea.sip.message import NameAddr, parse_name_addr
from kahea.sip.uri import Uri, parse_uri

_DEFAULT_PORT = 5060
_SCHEMES = frozenset({b"sip", b"sips", b"tel", b"tels", b"urn"})
_SOCKET = re.compile(r"(?:(udp|tcp|tls|sctp|ws|wss):)?(\[[0-9A-Fa-f:.]+\]|[^\[\]:\s]+)(?::([0-9]{1,5}))?\Z", re.I)


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")


def _text(data: bytes) -> str:
    return data.decode("latin-1")


def uri_of(text: str) -> Uri | None:
    """The URI, None if it is none."""
    try:
        uri = parse_uri(_bytes(text))
    except ParseError:
        return None
    return uri if uri.scheme in _SCHEMES else None


def _uri(part: Callable[..., Value]) -> Callable[..., Value]:
    def apply(text: str, *args: Value) -> Value:
        uri = uri_of(text)
        return None if uri is None else part(uri, *args)

    return apply


def _param(name: bytes) -> Callable[[Uri], Value]:
    return lambda uri: _text(uri.param(name) or b"")


def written_transport(uri: Uri) -> str:
    """The transport parameter as it is written, "" without one."""
    return _text(uri.param(b"transport") or b"")


def _scheme(uri: Uri) -> Value:
    return _text(uri.raw.partition(b":")[0])


def _params(uri: Uri) -> Value:
    return "" if uri.scheme in (b"tel", b"tels") else _text(uri.params)


def _to_socket(uri: Uri) -> Value:
    transport = _text(uri.transport)
    if transport not in PROTO_IDS:
        return ""
    return f"{transport}:{_text(uri.host)}:{uri.port or _DEFAULT_PORT}"


def _short(uri: Uri, *, user: bool, route: bool) -> Value:
    """The scheme and host, with the user, or with the port and transport, as asked."""
    out = f"{_scheme(uri)}:"
    if user and uri.user:
        out += f"{_text(uri.user)}@" if uri.host else _text(uri.user)
    out += _text(uri.host)
    if route:
        if _has_port(uri):
            out += f":{uri.port}"
        if transport := written_transport(uri):
            out += f";transport={transport}"
    return out


def _has_port(uri: Uri) -> bool:
    return uri.port > 0


def _without_param(uri: Uri, name: str) -> Value:
    low = _bytes(name.lower())
    if uri.param(low) is None:
        return _text(uri.raw)
    kept = [p for p in uri.params.split(b";") if p.partition(b"=")[0].strip().lower() != low]
    return _text(uri.replaced(params=b";".join(kept)))


def encode_alias(uri: Uri) -> str:
    """A URI as `address~port~protocol`, what nathelper's alias parameter holds."""
    proto = PROTO_IDS.get(_text(uri.transport), 1)
    return f"{_text(uri.host)}~{uri.port or _DEFAULT_PORT}~{proto}"


def decode_alias(text: str) -> str | None:
    """The URI that an alias stands for, None if it is none."""
    host, first, rest = text.partition("~")
    port, second, proto = rest.partition("~")
    if not (host and first and second and port.isdigit() and proto.isdigit()):
        return None
    name = PROTO_NAMES.get(int(proto[:3]), "")
    if not name or name == "none":
        return None
    return f"sip:{host}:{port}" + ("" if name == "udp" else f";transport={name}")


def _socket(part: Callable[[str, str, str], Value]) -> Callable[[str], Value]:
    def apply(text: str) -> Value:
        found = _SOCKET.match(text)
        return None if found is None else part(found[1] or "", found[2], found[3] or "")

    return apply


def _socket_uri(proto: str, host: str, port: str) -> Value:
    return f"sip:{host}" + (f":{port}" if port else "") + (f";transport={proto}" if proto else "")


def _split_name_addr(text: str) -> tuple[str, str, int] | None:
    """Display name, URI and length of the name-addr that the text begins with, as written.

    Unlike RFC 3261's, this reading takes any text without angle brackets for a URI.
    """
    quoted = False
    for i, char in enumerate(text):
        if char == '"' and (i == 0 or text[i - 1] != "\\"):
            quoted = not quoted
        elif char == "<" and not quoted:
            end = text.find(">", i)
            return None if end < 0 else (text[:i], text[i + 1 : end], end + 1)
    return ("", text, len(text)) if text else None


def _name_addr(index: int) -> Callable[[str], Value]:
    def apply(text: str) -> Value:
        parts = _split_name_addr(text)
        return None if parts is None else parts[index]

    return apply


def _to_body(part: Callable[[NameAddr], Value]) -> Callable[[str], Value]:
    def apply(text: str) -> Value:
        try:
            body = parse_name_addr(_bytes(text))
        except ParseError:
            return None
        return part(body) if uri_of(_text(body.uri)) is not None else None

    return apply


def _body_uri(part: Callable[[Uri], bytes]) -> Callable[[NameAddr], Value]:
    return lambda body: _text(part(parse_uri(body.uri)))


URIS: tuple[Transformation, ...] = (
    Transformation("uri.user", _uri(lambda uri: _text(uri.user))),
    Transformation("uri.host", _uri(lambda uri: _text(uri.host))),
    Transformation("uri.domain", _uri(lambda uri: _text(uri.host))),
    Transformation("uri.passwd", _uri(lambda uri: _text(uri.password))),
    Transformation("uri.port", _uri(lambda uri: uri.port)),
    Transformation("uri.params", _uri(_params)),
    Transformation("uri.param", _uri(lambda uri, name: _text(uri.param(_bytes(name)) or b"")), ("str",)),
    Transformation("uri.rmparam", _uri(_without_param), ("str",)),
    Transformation("uri.headers", _uri(lambda uri: _text(uri.headers))),
    Transformation("uri.transport", _uri(written_transport)),
    Transformation("uri.uparam", _uri(_param(b"user"))),
    *(Transformation(f"uri.{name}", _uri(_param(name.encode()))) for name in ("ttl", "maddr", "method", "lr", "r2")),
    Transformation("uri.scheme", _uri(_scheme)),
    Transformation("uri.tosocket", _uri(_to_socket)),
    Transformation("uri.duri", _uri(lambda uri: _short(uri, user=False, route=True))),
    Transformation("uri.saor", _uri(lambda uri: _short(uri, user=True, route=False))),
    Transformation("uri.suri", _uri(lambda uri: _short(uri, user=True, route=True))),
    Transformation(
        "urialias.encode", lambda text: None if not text else encode_alias(u) if (u := uri_of(text)) else ""
    ),
    Transformation("urialias.decode", lambda text: (decode_alias(text) or "") if text else None),
    Transformation("sock.host", _socket(lambda _proto, host, _port: host)),
    Transformation("sock.port", _socket(lambda _proto, _host, port: port)),
    Transformation("sock.proto", _socket(lambda proto, _host, _port: proto)),
    Transformation("sock.touri", _socket(_socket_uri)),
    Transformation("nameaddr.name", _name_addr(0)),
    Transformation("nameaddr.uri", _name_addr(1)),
    Transformation("nameaddr.len", _name_addr(2)),
    Transformation("tobody.uri", _to_body(lambda body: _text(body.uri))),
    Transformation("tobody.display", _to_body(lambda body: _text(body.display))),
    Transformation("tobody.tag", _to_body(lambda body: _text(body.tag or b""))),
    Transformation("tobody.user", _to_body(_body_uri(lambda uri: uri.user))),
    Transformation("tobody.host", _to_body(_body_uri(lambda uri: uri.host))),
    Transformation("tobody.params", _to_body(lambda body: _text(body.params.lstrip(b"; ")))),
)
