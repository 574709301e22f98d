"""What the service is asked: a request as a JSON document."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import msgspec

from kahea.net.address import Listener
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.message import H_CONTACT, H_USERAGENT, Message, NameAddr
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.routing.run import Run

VERSION: Final = "1.0"


class UriParts(msgspec.Struct, frozen=True, omit_defaults=True):
    """A SIP or tel URI: all of it, and its parts."""

    uri: str
    scheme: str = ""
    user: str = ""
    host: str = ""
    port: int = 0


class Party(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who stands in From or To."""

    uri: UriParts
    display: str = ""
    tag: str = ""


class Source(msgspec.Struct, frozen=True):
    """Where the request came from."""

    address: str
    port: int
    protocol: str


class Question(msgspec.Struct, frozen=True, omit_defaults=True, rename={"from_": "from"}):
    """One request that wants a route. Text that is no UTF-8 has U+FFFD in place of what is not."""

    version: str
    method: str
    call_id: str
    cseq: int
    request_uri: UriParts
    from_: Party
    to: Party
    source: Source
    #: The listener that took it, as the configuration writes it: `udp:192.0.2.1:5060`.
    received_on: str
    #: Seconds since 1970.
    time: float
    contact: str = ""
    user_agent: str = ""
    #: Those that the setting `headers` names, each with all its values.
    headers: dict[str, list[str]] = {}
    content_type: str = ""
    #: Where the setting `body` asks for it; a body that is no UTF-8 in `body_base64`.
    body: str = ""
    body_base64: str = ""


def question(run: Run, headers: Iterable[str] = (), *, body: bool = False) -> Question:
    """Describe a run's request. Raises ParseError where a header that it needs is malformed."""
    msg = run.msg
    contact = msg.header(H_CONTACT)
    agent = msg.header(H_USERAGENT)
    plain, encoded = _body(msg.body) if body else ("", "")
    assert isinstance(msg.listener, Listener)
    return Question(
        version=VERSION,
        method=_clean(msg.method),
        call_id=_clean(msg.callid),
        cseq=msg.cseq,
        request_uri=_uri(msg.uri),
        from_=_party(msg.from_),
        to=_party(msg.to),
        source=Source(_clean(msg.src_ip), msg.src_port, msg.listener.proto_name),
        received_on=f"{msg.listener.proto_name}:{_clean(msg.dst_ip)}:{msg.dst_port}",
        time=round(time.time(), 3),
        contact=_clean(contact.body) if contact is not None else "",
        user_agent=_clean(agent.body) if agent is not None else "",
        headers=_headers(msg, headers),
        content_type=_clean(msg.content_type) if body and msg.body else "",
        body=plain,
        body_base64=encoded,
    )


def key(asked: Question, parts: Iterable[str]) -> bytes:
    """What two questions have in common that have the same answer: a digest of the named parts.

    A part is a path in the document: `from.uri.user`, `headers.x-account`. One that is absent counts as null.
    """
    whole = msgspec.to_builtins(asked)
    chosen: list[object] = []
    for part in parts:
        found: object = whole
        for name in part.split("."):
            found = found.get(name) if isinstance(found, dict) else None
        chosen.append(found)
    return hashlib.sha256(msgspec.json.encode(chosen)).digest()


def check_part(part: str) -> str:
    """A path in the document, as it was given. Raises ValueError for one that no question has."""
    kind: object = Question
    for name in part.split("."):
        if kind is dict:
            return part
        fields = {f.encode_name: f.type for f in msgspec.structs.fields(kind)} if isinstance(kind, type) else {}
        if name not in fields:
            raise ValueError(f"a question has no {part}")
        kind = fields[name]
        if getattr(kind, "__origin__", None) is dict:
            kind = dict
        elif not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            kind = None
    return part


def _clean(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _uri(data: bytes) -> UriParts:
    try:
        uri = parse_uri(data)
    except ParseError:
        return UriParts(_clean(data))
    return UriParts(_clean(data), _clean(uri.scheme), _clean(uri.user), _clean(uri.host), uri.port)


def _party(who: NameAddr) -> Party:
    display = _clean(who.display)
    if len(display) > 1 and display[0] == display[-1] == '"':
        display = display[1:-1]
    return Party(_uri(who.uri), display, _clean(who.tag or b""))


def _headers(msg: Message, names: Iterable[str]) -> dict[str, list[str]]:
    found = {}
    for name in names:
        values = [_clean(h.body) for h in msg.headers_named(wire(name))]
        if values:
            found[name] = values
    return found


def _body(data: bytes) -> tuple[str, str]:
    try:
        return data.decode(), ""
    except UnicodeDecodeError:
        return "", text(base64.b64encode(data))
