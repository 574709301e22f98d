"""`$sel(name)`, the same as `@name`: parts of a message by a dotted path, such as `via[1].host` or
`from.uri.user`.

A path is resolved once, when it is compiled. Each step has a kind, and a table of what may follow it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kahea.modules.pv.getters import some, text, unknown_key
from kahea.modules.pv.headers import header_name
from kahea.modules.pv.server import COMPATIBLE
from kahea.modules.pv.transport import bracketed, proto_name
from kahea.modules.pv.uri import is_secure, kind_of
from kahea.routing.caller import quiet
from kahea.routing.module import Value, Variable
from kahea.routing.pv import Bound, PvError, named
from kahea.routing.pv.select_roots import SELECT_ROOTS, Steps
from kahea.routing.pv.table import Index
from kahea.routing.pv.values import decimal
from kahea.routing.runtime import SELECTED
from kahea.routing.text import wire
from kahea.sip.digest import Credentials, parse_credentials
from kahea.sip.message import (
    H_AUTHORIZATION,
    H_CONTACT,
    H_CSEQ,
    H_PROXYAUTHORIZATION,
    H_RECORDROUTE,
    NameAddr,
    Via,
    parse_name_addr,
)
from kahea.sip.params import parse_params
from kahea.sip.uri import Uri, parse_uri

if TYPE_CHECKING:
    from kahea.routing.run import Run

#: From the run, the thing a path has come to, or None where the message has none.
Source = Callable[["Run"], Any]
#: From a thing and an index ("" for none), the next thing.
Step = Callable[[Any, str], Any]

_STEP = re.compile(r"([A-Za-z_][\w-]*)(?:\[([^\]]*)\])?(?:\.|\Z)")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing: how it is written as text, and where a path may go from it."""

    show: Callable[[Any], Value]
    steps: dict[str, tuple[Step, str]]


def _plain(part: Callable[[Any], Value]) -> tuple[Step, str]:
    return (lambda thing, _index: part(thing)), "text"


def _port(uri: Uri) -> Value:
    return str(uri.port or (5061 if is_secure(uri) else 5060))


def _uri_params(uri: Uri, name: str) -> Value:
    return some(uri.param(wire(name))) if name else some(uri.params)


def _host_port(uri: Uri) -> Value:
    return f"{text(uri.host)}:{_port(uri)}"


def _address_param(value: NameAddr, name: str) -> Value:
    return some(value.param(wire(name))) if name else some(value.params.lstrip(b"; "))


def _of_param(name: bytes) -> tuple[Step, str]:
    return _plain(lambda value: some(value.param(name)))


def _via_param(via: Via, name: str) -> Value:
    return some(via.param(wire(name))) if name else some(via.params.lstrip(b"; "))


def _credential(name: bytes) -> Callable[[Credentials], Value]:
    return lambda found: some(found.fields.get(name))


def _body_params(body: bytes, name: str) -> Value:
    found = parse_params(body.partition(b";")[2])
    return some(found.get(wire(name.lower())))


_ADDRESS: dict[str, tuple[Step, str]] = {
    "name": _plain(lambda value: some(value.display.strip(b'"'))),
    "uri": ((lambda value, _index: parse_uri(value.uri)), "uri"),
    "tag": _of_param(b"tag"),
    "params": (_address_param, "text"),
}

KINDS: dict[str, Kind] = {
    "text": Kind(lambda thing: thing, {}),
    "uri": Kind(
        lambda uri: text(uri.raw),
        {
            "type": _plain(kind_of),
            "user": _plain(lambda uri: some(uri.user)),
            "rawuser": _plain(lambda uri: some(uri.user)),
            "pwd": _plain(lambda uri: some(uri.password)),
            "host": _plain(lambda uri: some(uri.host)),
            "port": _plain(_port),
            "hostport": _plain(_host_port),
            "transport": _plain(lambda uri: some(uri.transport)),
            "params": (_uri_params, "text"),
        },
    ),
    "address": Kind(lambda value: text(value.uri), _ADDRESS),
    "contact": Kind(
        lambda value: text(value.uri),
        {
            **_ADDRESS,
            "q": _of_param(b"q"),
            "expires": _of_param(b"expires"),
            "method": _of_param(b"method"),
            "received": _of_param(b"received"),
            "instance": _of_param(b"+sip.instance"),
        },
    ),
    "via": Kind(
        lambda via: f"SIP/2.0/{text(via.transport)} {text(via.host)}" + (f":{via.port}" if via.port else "")
        + text(via.params),
        {
            "name": _plain(lambda _via: "SIP"),
            "version": _plain(lambda _via: "2.0"),
            "transport": _plain(lambda via: text(via.transport)),
            "host": _plain(lambda via: text(via.host)),
            "port": _plain(lambda via: str(via.port) if via.port else None),
            "branch": _plain(lambda via: some(via.branch)),
            "rport": _plain(lambda via: some(via.rport)),
            "received": _plain(lambda via: some(via.received)),
            "i": _of_param(b"i"),
            "alias": _of_param(b"alias"),
            "params": (_via_param, "text"),
        },
    ),
    "cseq": Kind(
        lambda run: some(run.msg.header(H_CSEQ).body),
        {
            "num": _plain(lambda run: str(run.msg.cseq)),
            "method": _plain(lambda run: text(run.msg.cseq_method)),
        },
    ),
    "body": Kind(
        lambda body: text(body),
        {
            "nameaddr": ((lambda body, _index: parse_name_addr(body)), "address"),
            "params": (_body_params, "text"),
        },
    ),
    "credentials": Kind(
        lambda found: text(found.format()),
        {
            **{
                key: _plain(_credential(key.encode()))
                for key in ("realm", "uri", "cnonce", "nonce", "response", "algorithm", "opaque", "qop", "nc")
            },
            "username": ((lambda found, _index: found.username), "username"),
        },
    ),
    "username": Kind(
        some,
        {
            "user": _plain(lambda name: some(name.partition(b"@")[0])),
            "domain": _plain(lambda name: some(name.partition(b"@")[2])),
        },
    ),
}  # fmt: skip


# ---- where a path begins


def _ruri(run: Run) -> Any:
    return parse_uri(run.msg.uri) if run.msg.is_request else None


def _dst_uri(run: Run) -> Any:
    return parse_uri(run.msg.dst_uri) if run.msg.dst_uri else None


def _next_hop(run: Run) -> Any:
    return parse_uri(run.msg.dst_uri or run.msg.uri) if run.msg.is_request else None


def _first(kind: int) -> Source:
    def get(run: Run) -> Any:
        values = run.msg.name_addrs(kind)
        return values[0] if values else None

    return get


_ROOTS: dict[str, tuple[Source, str]] = {
    "ruri": (_ruri, "uri"),
    "dst_uri": (_dst_uri, "uri"),
    "next_hop": (_next_hop, "uri"),
    "from": ((lambda run: run.msg.from_), "address"),
    "f": ((lambda run: run.msg.from_), "address"),
    "to": ((lambda run: run.msg.to), "address"),
    "t": ((lambda run: run.msg.to), "address"),
    "contact": (_first(H_CONTACT), "contact"),
    "m": (_first(H_CONTACT), "contact"),
    "record_route": (_first(H_RECORDROUTE), "address"),
    "rr": (_first(H_RECORDROUTE), "address"),
    "cseq": ((lambda run: run), "cseq"),
    "method": ((lambda run: text(run.msg.method) if run.msg.is_request else None), "text"),
}

_PAIRS: dict[str, dict[str, Callable[[Run], Value]]] = {
    "src": {
        "ip": lambda run: bracketed(run.msg.src_ip),
        "port": lambda run: str(run.msg.src_port),
        "ip_port": lambda run: f"{bracketed(run.msg.src_ip)}:{run.msg.src_port}",
    },
    "dst": {
        "ip": lambda run: bracketed(run.msg.dst_ip),
        "port": lambda run: str(run.msg.dst_port),
        "ip_port": lambda run: f"{bracketed(run.msg.dst_ip)}:{run.msg.dst_port}",
    },
    "received": {
        "ip": lambda run: bracketed(run.msg.dst_ip),
        "port": lambda run: str(run.msg.dst_port),
        "ip_port": lambda run: f"{bracketed(run.msg.dst_ip)}:{run.msg.dst_port}",
        "proto": lambda run: proto_name(run.msg.proto).upper(),
        "proto_ip_port": lambda run: f"{proto_name(run.msg.proto)}:{bracketed(run.msg.dst_ip)}:{run.msg.dst_port}",
    },
    "sys": {"version": lambda _run: COMPATIBLE},
}
_INDEXED = ("via", "msg", "authorization", "proxy_authorization")


def _split(path: str) -> Steps:
    steps: Steps = []
    at = 0
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise PvError(f"{path!r} is no select: expected name or name[index] at character {at + 1}")
        steps.append((found[1], found[2]))
        at = found.end()
    if not steps or path.endswith("."):
        raise PvError("a select needs a name")
    return steps


def _number(given: str | None, default: int) -> int:
    number = default if given is None else decimal(given)
    if number is None:
        raise PvError(f"{given!r} is no index")
    return number


def _via_at(index: int) -> Source:
    """Counted from 1; negative ones from the last, -1."""
    if index == 0:
        raise PvError("Via values are counted from 1")

    def get(run: Run) -> Any:
        vias = run.msg.vias()
        at = index - 1 if index > 0 else index
        return vias[at] if -len(vias) <= at < len(vias) else None

    return get


def _header_at(name: str, index: int) -> Source:
    wanted = header_name(name.replace("_", "-"))

    def get(run: Run) -> Any:
        at = index - 1 if index > 0 else index
        header = run.msg.header_named(wanted, at)
        return None if header is None else header.body

    return get


def _credentials_of(kind: int, realm: str | None) -> Source:
    wanted = None if realm is None else wire(realm.strip("\"'"))

    def get(run: Run) -> Credentials | None:
        for header in run.msg.headers_of(kind):
            found = parse_credentials(header.body)
            if wanted is None or found.realm == wanted:
                return found
        return None

    return get


def _root(path: Steps) -> tuple[Source, str, Steps]:
    """The source and kind that a path begins with, and the rest of it."""
    name, index = path[0]
    rest = path[1:]
    if name in _ROOTS and index is None:
        source, kind = _ROOTS[name]
        return source, kind, rest
    if name in _PAIRS and rest and rest[0][1] is None:
        found = _PAIRS[name].get(rest[0][0])
        if found is None:
            raise PvError(unknown_key(f"sel({name})", rest[0][0], _PAIRS[name]))
        return found, "text", rest[1:]
    if name == "via":
        return _via_at(_number(index, 1)), "via", rest
    if name == "msg":
        if index is not None:
            return _header_at(index.strip("\"'"), 1), "body", rest
        if rest:
            return _header_at(rest[0][0], _number(rest[0][1], 1)), "body", rest[1:]
    if name in ("authorization", "proxy_authorization"):
        kind_of = H_AUTHORIZATION if name == "authorization" else H_PROXYAUTHORIZATION
        return _credentials_of(kind_of, index), "credentials", rest
    raise PvError(unknown_key("sel", name, [*_ROOTS, *_PAIRS, *_INDEXED, *SELECT_ROOTS]))


def _advance(source: Source, step: Step, index: str) -> Source:
    def get(run: Run) -> Any:
        thing = source(run)
        return None if thing is None else step(thing, index)

    return get


def compile_select(path: str) -> Bound:
    """The getter of a select; raises PvError for one that there is not."""
    steps = _split(path)
    if steps[0] == ("cfg_get", None):
        return _runtime(path, steps[1:])
    if steps[0] == ("timer", None):
        return _timer(path, steps[1:])
    name, index = steps[0]
    if name in SELECT_ROOTS and index is None:
        return SELECT_ROOTS[name](steps[1:])
    source, kind, rest = _root(steps)
    for name, index in rest:
        following = KINDS[kind].steps
        if name not in following:
            raise PvError(unknown_key(f"sel({path})", name, following) if following else f"nothing follows {path!r}")
        step, kind = following[name]
        source = _advance(source, step, (index or "").strip("\"'"))
    show = KINDS[kind].show

    def get(run: Run) -> Value:
        thing = source(run)
        return None if thing is None else show(thing)

    return Bound(quiet(get))


def _runtime(path: str, steps: Steps) -> Bound:
    """`cfg_get.group.name`: a setting that may change while the node runs, in the instance that the run chose."""
    if len(steps) != 2 or any(index is not None for _, index in steps):
        raise PvError(f"{path!r} is no setting: expected cfg_get.group.name")
    (group, _), (name, _) = steps

    def get(run: Run) -> Value:
        chosen = run.state.get(SELECTED)
        instance = chosen.get(group) if isinstance(chosen, dict) else None
        value = run.node.configuration.runtime.get(group, name, instance)
        return None if value is None else str(value)

    return Bound(get)


def _timer(path: str, steps: Steps) -> Bound:
    """`timer.executed` and `timer.timer.NAME.enabled`, which the module timer answers."""
    if steps == [("executed", None)]:
        return Bound(lambda run: run.node.module("timer").executed(run) if run.node.module("timer") else None)
    if len(steps) == 3 and steps[0] == ("timer", None) and steps[2] == ("enabled", None):
        name = steps[1][0]
    elif len(steps) == 2 and steps[0][0] == "timer" and steps[0][1] is not None and steps[1] == ("enabled", None):
        name = steps[0][1].strip("\"'")
    else:
        raise PvError(f"{path!r} is no select of timers: expected timer.executed or timer.timer.NAME.enabled")

    def enabled(run: Run) -> Value:
        module = run.node.module("timer")
        return "1" if module is not None and module.is_enabled(name) else "0"

    return Bound(enabled)


def _bind(name: Value, _index: Index) -> Bound:
    return compile_select(str(name).removeprefix("@"))


VARIABLES: list[Variable] = [named("sel", _bind, doc="A part of the message by a dotted path.")]
