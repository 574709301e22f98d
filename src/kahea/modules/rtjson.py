"""Routing by a JSON document that says where a request goes, serially or in parallel (Kamailio's module rtjson).

    {"version": "1.0", "routing": "serial", "routes": [{
        "uri": "sip:bob@b.example.org", "dst_uri": "sip:192.0.2.1", "path": "<sip:192.0.2.2;lr>",
        "socket": "udp:192.0.2.20:5060", "branch_flags": 8, "fr_timer": 5000, "fr_inv_timer": 30000,
        "headers": {
            "from": {"display": "Alice", "uri": "sip:alice@a.example.org"},
            "to": {"display": "Bob", "uri": "sip:bob@b.example.org"},
            "extra": "X-A: 1\\r\\n"
        }
    }]}

Fields that are missing or of another type leave things as they are. Headers and times take effect by
`rtjson_update_branch()` in the branch route, in serial routing only, as in Kamailio. Branch flags are those of each
route here; Kamailio 5.6.3 sets the first's alone.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kahea.net.address import Listener
from kahea.routing.headers import whole_lines
from kahea.routing.lists import Xavps, lists_of
from kahea.routing.module import Module, Param, function, native
from kahea.routing.run import BRANCH_ROUTE, FAILURE_ROUTE, REQUEST_ROUTE
from kahea.routing.text import wire
from kahea.sip.errors import ParseError
from kahea.sip.message import Message, Target
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.routing.run import Run

log = logging.getLogger("kahea.rtjson")

#: Characters of a document.
MAX_DOCUMENT: Final = 1 << 20

_FACET: Final = "rtjson"


@dataclass(slots=True)
class Routes:
    """A document, how many of its routes were taken (`index`), and the URI of those that give none: the first's."""

    routing: object
    routes: object
    index: int = 0
    uri: bytes = b""

    def at(self, index: int) -> dict[str, Any] | None:
        """A route, an empty one for what is none; None beyond the last."""
        if not isinstance(self.routes, list) or not 0 <= index < len(self.routes):
            return None
        found = self.routes[index]
        return found if isinstance(found, dict) else {}


class BadRoute(Exception):
    """A route that can't be taken: its URI is none."""


class Rtjson(Module):
    """Routing by JSON documents. From and To need module uac."""

    name = "rtjson"
    needs = ("tm",)

    xavp_cfg = Param("rtjson", "The XAVP that shows the document (`json`) and how many routes were taken (`idx`).")

    @native("str", name="rtjson_init_routes", routes=REQUEST_ROUTE)
    @function
    def init_routes(self, run: Run, document: str) -> int:
        """Read the document; -1 if it is no JSON."""
        if len(document) > MAX_DOCUMENT:
            log.error("rtjson: a document of %d characters; at most %d are read", len(document), MAX_DOCUMENT)
            return -1
        try:
            read = msgspec.json.decode(wire(document))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            log.error("rtjson: no JSON document: %s", error)
            return -1
        fields = read if isinstance(read, dict) else {}
        run.msg.facets[_FACET] = Routes(fields.get("routing"), fields.get("routes"))
        shown = Xavps()
        shown.push("idx", 0)
        shown.push("json", document)
        lists_of(run.msg).xavps.push(self.xavp_cfg, shown)
        return 1

    @native(name="rtjson_push_routes", routes=REQUEST_ROUTE)
    @function
    def push_routes(self, run: Run) -> int:
        """Make the first route the request's target, and with `parallel` the others its branches; -1 without routes."""
        routes = _routes(run.msg)
        first = None if routes is None else routes.at(0)
        if routes is None or routes.routing not in ("serial", "parallel") or first is None:
            log.error("rtjson: the document has no routes, or its routing is neither serial nor parallel")
            return -1
        msg = run.msg
        try:
            target = self._target(msg, first)
            others = []
            if routes.routing == "parallel":
                assert isinstance(routes.routes, list)
                limit = self.node.settings.max_branches
                if len(routes.routes) > limit:
                    log.error("rtjson: %d routes; at most %d are taken", len(routes.routes), limit)
                count = min(len(routes.routes), limit)
                others = [self._target(msg, routes.at(n) or {}, target.uri) for n in range(1, count)]
        except BadRoute as error:
            log.error("rtjson: %s", error)
            return -1
        msg.set_uri(target.uri)
        msg.dst_uri = target.dst_uri or msg.dst_uri
        msg.path = target.path or msg.path
        msg.send_sock = target.sock or msg.send_sock
        if _number(first, "branch_flags") is not None:
            msg.bflags = target.flags
        msg.branches += others
        routes.uri = target.uri
        self._taken(run, routes, 1 + len(others))
        return 1

    @native(name="rtjson_next_route", routes=REQUEST_ROUTE | FAILURE_ROUTE)
    @function
    def next_route(self, run: Run) -> int:
        """Add the next route of serial routing as a branch; -1 if there is none left."""
        routes = _routes(run.msg)
        route = None if routes is None or routes.routing != "serial" else routes.at(routes.index)
        if routes is None or route is None:
            return -1
        self._taken(run, routes, routes.index + 1)
        try:
            target = self._target(run.msg, route, routes.uri)
        except BadRoute as error:
            log.error("rtjson: %s", error)
            return -1
        target.sock = target.sock or run.msg.send_sock
        run.msg.branches.append(target)
        return 1

    @native(name="rtjson_update_branch", routes=BRANCH_ROUTE)
    @function
    def update_branch(self, run: Run) -> int:
        """Give the branch its route's headers, flags and times; -1 unless routing is serial."""
        routes = _routes(run.msg)
        route = None if routes is None or routes.routing != "serial" else routes.at(routes.index - 1)
        if route is None:
            return -1
        headers = _object(route, "headers")
        for name in ("from", "to"):
            if not self._address(run, _object(headers, name), to=name == "to"):
                return -1
        run.msg.append_header(whole_lines(_text(headers, "extra")))
        flags = _number(route, "branch_flags")
        if flags is not None:
            run.msg.bflags = flags & 0xFFFFFFFF
        self.node.module("tm").t_set_fr(run, _number(route, "fr_inv_timer") or 0, _number(route, "fr_timer") or 0)
        return 1

    def _address(self, run: Run, given: dict[str, Any], *, to: bool) -> bool:
        display, uri = _text(given, "display"), _text(given, "uri")
        if not display and not uri:
            return True
        uac = self.node.module("uac")
        if uac is None:
            log.error("rtjson: From and To need module uac, which is not loaded")
            return False
        result: int = uac.replace(run, to=to, display=display or None, uri=uri)
        return result > 0

    def _target(self, msg: Message, route: dict[str, Any], uri: bytes = b"") -> Target:
        """What a route says, and the URI in force (or `uri`) where it says none. Raises BadRoute."""
        given = route.get("uri")
        if isinstance(given, str):
            uri = _checked(given)
        dst_uri = _text(route, "dst_uri")
        path = wire(_text(route, "path"))
        if any(c in path for c in b"\r\n\0"):
            raise BadRoute("a line end in a path")
        uri = uri or msg.uri
        # As Kamailio does it: a path adds Route headers, but leads nowhere by itself.
        leading = uri if path else None
        return Target(
            uri,
            dst_uri=_checked(dst_uri) if dst_uri else leading,
            path=path or None,
            flags=(_number(route, "branch_flags") or 0) & 0xFFFFFFFF,
            sock=self._listener(_text(route, "socket")),
        )

    def _listener(self, socket: str) -> Listener | None:
        found = self.node.find_listener(socket) if socket else None
        if socket and found is None:
            log.error("rtjson: there is no socket %s", socket)
        return found

    def _taken(self, run: Run, routes: Routes, count: int) -> None:
        routes.index = count
        shown = lists_of(run.msg).xavps.find(self.xavp_cfg)
        field = shown.fields.find("idx") if shown is not None and shown.fields is not None else None
        if field is not None:
            field.value = count


def _routes(msg: Message) -> Routes | None:
    found = msg.facets.get(_FACET)
    return found if isinstance(found, Routes) else None


def _text(given: dict[str, Any], key: str) -> str:
    found = given.get(key)
    return found if isinstance(found, str) else ""


def _number(given: dict[str, Any], key: str) -> int | None:
    found = given.get(key)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _object(given: dict[str, Any], key: str) -> dict[str, Any]:
    found = given.get(key)
    return found if isinstance(found, dict) else {}


def _checked(uri: str) -> bytes:
    """A URI that a request can be sent to. Raises BadRoute."""
    data = wire(uri)
    try:
        parse_uri(data)
    except ParseError as error:
        raise BadRoute(f"{uri!r} is no URI") from error
    if any(c in data for c in b"\r\n \t<>"):
        raise BadRoute(f"{uri!r} is no URI")
    return data


MODULE = Rtjson
