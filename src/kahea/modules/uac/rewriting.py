"""From and To as the far end is to see them, and as this side knows them in what comes back.

Replies to a rewritten request get this side's addresses again. In mode `auto` so do the dialog's later requests, in
either direction, by a parameter of our Record-Route; in mode `manual` the script calls `uac_restore_from` and
`uac_restore_to` for them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kahea.modules.uac import cookie
from kahea.routing.checks import unless
from kahea.routing.module import ConfigError, Module, Param, function, native
from kahea.routing.pv.errors import PvError
from kahea.routing.run import BRANCH_ROUTE, REQUEST_ROUTE
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.message import H_FROM, H_TO
from kahea.tm.hooks import REPLY_FACET

if TYPE_CHECKING:
    from kahea.routing.pv import Pv
    from kahea.routing.run import Run
    from kahea.sip.message import Message, NameAddr
    from kahea.sip.uri import Uri

log = logging.getLogger("kahea.uac")

NONE, MANUAL, AUTO = "none", "manual", "auto"
#: `rr.loose`: the request goes from the dialog's caller to the callee, or back.
_UPSTREAM: Final = 2

_FACET: Final = "uac.rewritten"
_NAMES: Final = {H_FROM: "From", H_TO: "To"}


def _mode(value: str) -> str:
    if value not in (NONE, MANUAL, AUTO):
        raise ValueError(f"the modes are {NONE}, {MANUAL} and {AUTO}, not {value!r}")
    return value


@dataclass(slots=True)
class Rewritten:
    """What was rewritten in a request: this side's addresses, and where (None for all branches) it was done."""

    own: dict[int, bytes] = field(default_factory=dict)
    done: set[tuple[int, int | None]] = field(default_factory=set)


class Rewriting(Module):
    """The functions on From and To."""

    restore_mode = Param(AUTO, "Who gets this side's addresses back: `none`, `manual`, `auto`.", check=_mode)
    restore_dlg = Param(0, "1 keeps the addresses with the dialog.", check=unless(0, "there is no module dialog yet"))
    restore_passwd = Param("", "What the Record-Route parameters are scrambled with.")
    restore_from_avp = Param("", "An AVP for the From URI as it was. Replies get it back with or without.")
    restore_to_avp = Param("", "An AVP for the To URI as it was. Replies get it back with or without.")
    rr_from_store_param = Param("vsf", "The Record-Route parameter that From's URI is worked out from.")
    rr_to_store_param = Param("vst", "The Record-Route parameter that To's URI is worked out from.")

    _avps: dict[int, Pv]

    def start_rewriting(self) -> None:
        """Check the parameters. Raises ConfigError."""
        self._avps = {}
        for kind, name in ((H_FROM, "restore_from_avp"), (H_TO, "restore_to_avp")):
            given: str = getattr(self, name)
            if not given:
                continue
            if not given.startswith(("$avp(", "$(avp(")):
                raise ConfigError(f"parameter uac.{name}: {given!r} is no AVP")
            try:
                self._avps[kind] = self.node.variables.compile(given)
            except PvError as error:
                raise ConfigError(f"parameter uac.{name}: {error}") from error
        if self.restore_mode == AUTO:
            rr = self.node.module("rr")
            if not rr.append_fromtag:
                raise ConfigError("parameter uac.restore_mode: auto needs rr.append_fromtag")
            rr.route_callbacks.append(self._follow)

    # ---- rewriting

    @native("str", "str", routes=REQUEST_ROUTE | BRANCH_ROUTE)
    @function
    def uac_replace_from(self, run: Run, display: str, uri: str) -> int:
        """Write another display name ("" for none) and URI ("" leaves it) into From; -1 if it was done before."""
        return self._replace(run, H_FROM, display, uri)

    @native("str", name="uac_replace_from", routes=REQUEST_ROUTE | BRANCH_ROUTE)
    @function
    def uac_replace_from_uri(self, run: Run, uri: str) -> int:
        """Write another URI into From, and leave the display name."""
        return self._replace(run, H_FROM, None, uri)

    @native("str", "str", routes=REQUEST_ROUTE | BRANCH_ROUTE)
    @function
    def uac_replace_to(self, run: Run, display: str, uri: str) -> int:
        """Write another display name ("" for none) and URI ("" leaves it) into To; -1 if it was done before."""
        return self._replace(run, H_TO, display, uri)

    @native("str", name="uac_replace_to", routes=REQUEST_ROUTE | BRANCH_ROUTE)
    @function
    def uac_replace_to_uri(self, run: Run, uri: str) -> int:
        """Write another URI into To, and leave the display name."""
        return self._replace(run, H_TO, None, uri)

    def replace(self, run: Run, *, to: bool, display: str | None, uri: str) -> int:
        """As uac_replace_to() or uac_replace_from(), for other modules; `display` None leaves the name."""
        return self._replace(run, H_TO if to else H_FROM, display, uri)

    def _replace(self, run: Run, kind: int, display: str | None, uri: str) -> int:
        msg, name = run.msg, _NAMES[kind]
        if not msg.is_request:
            return -1
        new, shown = wire(uri), None if display is None else wire(display)
        if cookie.UNSAFE.search(new) or (shown is not None and any(c in shown for c in b"\r\n\0")):
            self.node.log.error("uac: %r with %r is no address for %s", display, uri, name)
            return -1
        rewritten = self._of(msg)
        branch = run.branch.index if run.kind == BRANCH_ROUTE and run.branch is not None else None
        if (kind, branch) in rewritten.done or (kind, None) in rewritten.done:
            self.node.log.error("uac: %s was rewritten already", name)
            return -1
        if self.restore_mode == AUTO and msg.to.tag:
            self.node.log.error("uac: %s of a request within a dialog is rewritten by itself", name)
            return -1
        old = msg.from_ if kind == H_FROM else msg.to
        rewritten.done.add((kind, branch))
        _write(msg, old, shown, new)
        if new and self.restore_mode != NONE:
            if kind in self._avps and self._avps[kind].get(run) is None:
                self._avps[kind].set(run, text(old.uri))
            param = self.rr_from_store_param if kind == H_FROM else self.rr_to_store_param
            value = cookie.encode(old.uri, new, wire(self.restore_passwd))
            self.node.module("rr").add_rr_param(run, f";{param}={value.decode()}")
            self._remember(msg, rewritten, kind, old)
        return 1

    # ---- and back

    @native(routes=REQUEST_ROUTE)
    @function
    def uac_restore_from(self, run: Run) -> int:
        """The other From URI by our Record-Route parameter; -1 if that is not there."""
        return self._restore(run, H_FROM, self.rr_from_store_param)

    @native(routes=REQUEST_ROUTE)
    @function
    def uac_restore_to(self, run: Run) -> int:
        """The other To URI by our Record-Route parameter; -1 if that is not there."""
        return self._restore(run, H_TO, self.rr_to_store_param)

    def _restore(self, run: Run, kind: int, param: str) -> int:
        own_route = self.node.module("rr").router.own_route(run.msg)
        if own_route is None:
            return -1
        return 1 if self._by_cookie(run.msg, own_route.uri, kind, param) else -1

    def _follow(self, msg: Message, route: Uri) -> None:
        """loose_route() found our Route: a request within a dialog gets the addresses of where it goes."""
        if not msg.is_request or not msg.to.tag:
            return
        upstream = self.node.module("rr").router.direction(msg) == _UPSTREAM
        caller, callee = (H_TO, H_FROM) if upstream else (H_FROM, H_TO)
        for kind, param in ((caller, self.rr_from_store_param), (callee, self.rr_to_store_param)):
            old = msg.from_ if kind == H_FROM else msg.to
            if self._by_cookie(msg, route, kind, param):
                self._remember(msg, self._of(msg), kind, old)

    def _by_cookie(self, msg: Message, route: Uri, kind: int, param: str) -> bool:
        value = route.param(wire(param))
        if not value:
            return False
        old = msg.from_ if kind == H_FROM else msg.to
        new = cookie.decode(value, old.uri, wire(self.restore_passwd))
        if new is None:
            log.info("the Route's %s leads to no URI for %s", param, _NAMES[kind])
            return False
        rewritten = self._of(msg)
        if (kind, None) in rewritten.done:
            return False
        rewritten.done.add((kind, None))
        _write(msg, old, None, new)
        return True

    # ---- replies

    @staticmethod
    def _of(msg: Message) -> Rewritten:
        found = msg.facets.setdefault(_FACET, Rewritten())
        assert isinstance(found, Rewritten)
        return found

    @staticmethod
    def _remember(msg: Message, rewritten: Rewritten, kind: int, old: NameAddr) -> None:
        """Let replies carry the address as this side has it."""
        rewritten.own.setdefault(kind, msg.raw[old.start : _end(msg, old)])
        msg.facets[REPLY_FACET] = _restore_reply


def _restore_reply(request: Message, reply: Message) -> None:
    """Called by the transaction before a reply is passed on."""
    rewritten = request.facets.get(_FACET)
    assert isinstance(rewritten, Rewritten)
    for kind, own in rewritten.own.items():
        try:
            value = reply.from_ if kind == H_FROM else reply.to
        except ParseError:
            continue
        reply.replace(value.start, _end(reply, value) - value.start, own)


def _end(msg: Message, value: NameAddr) -> int:
    """Where an address ends: past the bracket, if it has one."""
    return value.uri_end + 1 if msg.raw[value.uri_end : value.uri_end + 1] == b">" else value.uri_end


def _write(msg: Message, old: NameAddr, display: bytes | None, uri: bytes) -> None:
    """Edit one address: `display` None leaves the display name, an empty `uri` the URI."""
    bracketed = msg.raw[old.uri_start - 1 : old.uri_start] == b"<"
    if display is not None and old.display:
        msg.replace(old.start, len(old.display), display)
    elif display:
        if not bracketed:
            msg.replace(old.uri_start, old.uri_end - old.uri_start, display + b" <" + (uri or old.uri) + b">")
            return
        msg.insert(old.uri_start - 1, display + b" ")
    if uri:
        msg.replace(old.uri_start, old.uri_end - old.uri_start, uri)


__all__ = ["Rewriting"]
