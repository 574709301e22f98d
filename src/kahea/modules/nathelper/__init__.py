"""User agents behind a NAT (Kamailio's module nathelper).

| file | what |
|---|---|
| `heuristics.py` | the signs of a NAT |
| `contact.py` | contacts rewritten, and aliases |
| `session.py` | session descriptions |
| `pinging.py` | keepalives |
| here | parameters, the functions of scripts |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kahea.modules.nathelper import contact as contacts
from kahea.modules.nathelper.contact import Place, contact_of, parse_alias, replace, source
from kahea.modules.nathelper.heuristics import Signs, is_private
from kahea.modules.nathelper.pinging import Pinger
from kahea.modules.nathelper.session import Fix
from kahea.net.address import PROTO_NAMES
from kahea.routing.checks import between, flag, unless
from kahea.routing.module import ConfigError, Module, Param, RpcError, Value, function, native, rpc, variable
from kahea.routing.run import (
    BRANCH_ROUTE,
    FAILURE_ROUTE,
    LOCAL_ROUTE,
    REPLY_ROUTES,
    REQUEST_ROUTE,
    Run,
)
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.message import H_RECORDROUTE
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from collections.abc import Callable

    from kahea.routing.node import Node
    from kahea.routing.pv.table import Pv
    from kahea.sip.uri import Uri

_REWRITING: Final = REQUEST_ROUTE | REPLY_ROUTES | BRANCH_ROUTE | LOCAL_ROUTE
_TESTING: Final = _REWRITING | FAILURE_ROUTE
_PROTOCOLS: Final = {name: number for number, name in PROTO_NAMES.items()}
_SWITCH: Final = between(0, 1)

RIGHT: Final = 1
NOTHING: Final = 2
FAILED: Final = -1


def _line(value: str) -> str:
    if value and not value.endswith("\r\n"):
        return value + "\r\n"
    return value


class Nathelper(Module):
    """User agents behind a NAT: finding them, mending their addresses, keeping their ways open."""

    name = "nathelper"

    force_socket = Param("", "The listener that pings leave from: udp:host:port.")
    natping_interval = Param(0, "Seconds between pings to each contact; 0 sends none.", check=between(0, 86400))
    ping_nated_only = Param(0, "1 pings only contacts with usrloc's nat_bflag.", check=_SWITCH)
    natping_processes = Param(1, "", inert="one process sends all pings, spread over the interval")
    natping_socket = Param("", "", check=unless("", "an address can't be made up by a UDP socket"))
    received_avp = Param("", "The variable that fix_nated_register leaves its URI in, registrar's received_avp.")
    sipping_bflag = Param(-1, "The branch flag of contacts that are pinged by SIP requests.", check=flag)
    sipping_from = Param("", "The From URI of such requests; without it there are none.")
    sipping_method = Param("OPTIONS", "Their method.")
    natping_disable_bflag = Param(-1, "The branch flag of contacts that are not pinged.", check=flag)
    nortpproxy_str = Param("a=nortpproxy:yes\r\n", "The line that marks a description as changed.", check=_line)
    keepalive_timeout = Param(0, "Seconds without an answer after which a contact is removed; 0: never.")
    udpping_from_path = Param(0, "", check=unless(0, "pings to a contact with a path go to its first hop"))
    append_sdp_oldmediaip = Param(1, "1 notes replaced addresses in the description.", check=_SWITCH)
    filter_server_id = Param(0, "1 pings only contacts that this server_id saved.", check=_SWITCH)
    nat_addr_mode = Param(1, "1 counts reserved networks as private.", check=_SWITCH)
    alias_name = Param("alias", "The URI parameter that aliases are written to and read from.")

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._received: Pv | None = None
        self._pinger: Pinger | None = None

    def start(self) -> None:
        """Take over the parameters; begin to ping."""
        self._alias = wire(self.alias_name)
        if self.received_avp:
            try:
                self._received = self.node.variables.compile(self.received_avp)
            except ValueError as error:
                raise ConfigError(f"parameter nathelper.received_avp: {error}") from error
        if self.natping_interval:
            usrloc: Any = self.node.module("usrloc")
            if usrloc is None:
                raise ConfigError("parameter nathelper.natping_interval needs the module usrloc")
            self._pinger = Pinger(self, usrloc)
            self._pinger.start()

    async def stop(self) -> None:
        """Ping no more."""
        if self._pinger is not None:
            self._pinger.stop()

    # ---- tests

    @function
    @native("int", routes=_TESTING)
    def nat_uac_test(self, run: Run, flags: int) -> int:
        """Whether one of these signs of a NAT is there.

        `flags` is a sum. 1: Contact has a private address; 2: the Via another than the source; 4: the Via a private
        one; 8: the SDP a private one; 16: the Via another port than the source; 32: the source is private; 64: it is a
        WebSocket;
        128: Contact has another port than the source; 256: the SDP another address than the source; 512: next hop and
        Request-URI, or a reply's second Via and its sender, are different places.
        """
        return RIGHT if Signs(run.msg, reserved=bool(self.nat_addr_mode)).any(flags) else FAILED

    @function
    @native("str")
    def is_rfc1918(self, run: Run, address: str) -> int:
        """Whether an address is a private one (RFC 1918, RFC 6598); -2 for none at all."""
        if not address:
            return -2
        return RIGHT if is_private(address, reserved=bool(self.nat_addr_mode)) else FAILED

    # ---- contacts

    def _change(self, run: Run, change: Callable[[Uri], bytes], without: int, *, brackets: bool = True) -> int:
        """Give the contact the URI that `change` makes of it; `without` is the code where there is no Contact."""
        try:
            contact = contact_of(run.msg)
            if contact is None:
                return without
            replace(run.msg, contact, change(parse_uri(contact.uri)), brackets=brackets)
        except ParseError as error:
            self.node.log.error("nathelper: %s", error)
            return FAILED
        return RIGHT

    @function
    @native(routes=_REWRITING)
    def fix_nated_contact(self, run: Run) -> int:
        """Write the address and port that the message came from into its Contact."""
        place = source(run.msg)
        return self._change(run, lambda uri: contacts.rewritten(uri, place), FAILED, brackets=False)

    @function
    @native(routes=_REWRITING)
    def add_contact_alias(self, run: Run) -> int:
        """Add an alias with the address that the message came from to its Contact; 2 if it has none."""
        place = source(run.msg)
        return self._change(run, lambda uri: contacts.with_alias_first(uri, self._alias, place), NOTHING)

    @function
    @native(
        "str",
        "str",
        "str",
        name="add_contact_alias",
        routes=REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | BRANCH_ROUTE,
    )
    def add_contact_alias_addr(self, run: Run, ip: str, port: str, proto: str) -> int:
        """As add_contact_alias, with an address, port and protocol of your own."""
        number = _PROTOCOLS.get(proto.lower(), 0)
        if not number or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536) or not ip:
            self.node.log.error("add_contact_alias: %r, %r, %r is no place", ip, port, proto)
            return FAILED
        place = Place(wire(ip), int(port), number)
        return self._change(run, lambda uri: contacts.with_alias_first(uri, self._alias, place), NOTHING)

    @native("int", least=0, name="set_contact_alias", routes=_REWRITING)
    def set_contact_alias_native(self, run: Run, trim: int = 0) -> int:
        """As set_contact_alias; 1 takes an alias that is there off first."""
        place = source(run.msg)

        def change(uri: Uri) -> bytes:
            if trim:
                uri = parse_uri(contacts.without(uri, self._alias)[1])
            return contacts.with_alias_last(uri, self._alias, place)

        return self._change(run, change, FAILED)

    @function
    def set_contact_alias(self, run: Run) -> int:
        """Add an alias as the last parameter of the Contact's URI."""
        return self.set_contact_alias_native(run)

    @function
    def set_contact_alias_trim(self, run: Run) -> int:
        """As set_contact_alias, in place of an alias that is there."""
        return self.set_contact_alias_native(run, 1)

    @native("pv", name="set_alias_to_pv")
    def set_alias_to_pv_native(self, run: Run, target: Pv) -> int:
        """As set_alias_to_pv."""
        try:
            contact = contact_of(run.msg)
            value = contacts.without(parse_uri(contact.uri), self._alias)[0] if contact is not None else None
            if value is None:
                return FAILED
            place = parse_alias(value)
        except ParseError:
            return FAILED
        target.set(run, text(b"sip:%b;transport=%b" % (place.hostport, PROTO_NAMES[place.proto].encode())))
        return RIGHT

    @function
    def set_alias_to_pv(self, run: Run, target: str) -> int:
        """Put the Contact's alias, as a SIP URI, into a variable; -1 without one."""
        return self.set_alias_to_pv_native(run, self.node.variables.compile(target))

    @native("int", least=0, name="handle_ruri_alias", routes=REQUEST_ROUTE | BRANCH_ROUTE | LOCAL_ROUTE)
    def handle_ruri_alias_native(self, run: Run, mode: int = 0) -> int:
        """As handle_ruri_alias_mode, 0 if not given."""
        msg = run.msg
        try:
            value, left = contacts.without(parse_uri(msg.uri), self._alias, last=bool(mode))
            if not value:
                return NOTHING
            place = parse_alias(value)
        except ParseError as error:
            self.node.log.error("handle_ruri_alias: %s", error)
            return FAILED
        msg.set_uri(left)
        msg.dst_uri = place.uri
        return RIGHT

    @function
    def handle_ruri_alias(self, run: Run) -> int:
        """Take the alias off the Request-URI and make it the next hop; 2 if there is none, -1 if it is malformed.

        It decides where the request goes: trust it as far as you trust a Request-URI.
        """
        return self.handle_ruri_alias_native(run)

    @function
    def handle_ruri_alias_mode(self, run: Run, mode: int) -> int:
        """As handle_ruri_alias, of several aliases the first with `mode` 0, else the last."""
        return self.handle_ruri_alias_native(run, mode)

    @native("int", least=0, name="add_rcv_param", routes=REQUEST_ROUTE)
    def add_rcv_param_native(self, run: Run, flag: int = 0) -> int:
        """As add_rcv_param, 0 if not given."""
        try:
            contacts.add_received(run.msg, source(run.msg), to_uri=bool(flag))
        except ParseError as error:
            self.node.log.error("add_rcv_param: %s", error)
            return FAILED
        return RIGHT

    @function
    def add_rcv_param(self, run: Run, flag: int) -> int:
        """Add `received`, with where the message came from, to each Contact; with `flag` 1 to its URI."""
        return self.add_rcv_param_native(run, flag)

    @function
    @native(routes=REQUEST_ROUTE)
    def fix_nated_register(self, run: Run) -> int:
        """Leave where the message came from, as a URI, in the variable `received_avp`, for registrar's save."""
        if self._received is None:
            self.node.log.error("fix_nated_register: there is no parameter received_avp")
            return FAILED
        self._received.set(run, text(source(run.msg).uri))
        return RIGHT

    # ---- session descriptions

    @native("int", "str", least=1, name="fix_nated_sdp", routes=_TESTING)
    def fix_nated_sdp_native(self, run: Run, flags: int, ip: str = "") -> int:
        """As fix_nated_sdp_ip, the address optional."""
        msg = run.msg
        if not msg.body:
            return FAILED
        fix = Fix(msg, wire(ip) or msg.src_ip)
        try:
            changed = fix.run(flags, wire(self.nortpproxy_str), note_old=bool(self.append_sdp_oldmediaip))
        except ParseError as error:
            self.node.log.error("fix_nated_sdp: %s", error)
            return FAILED
        return RIGHT if changed else NOTHING

    @function
    def fix_nated_sdp(self, run: Run, flags: int) -> int:
        """Mend the session description: 1 if an address was replaced, 2 if none, -1 without a body, or where a line
        has no address.

        `flags` is a sum: 1 add `a=direction:active`; 2 replace the media's addresses by where the message came from;
        4 add the mark `nortpproxy_str`; 8 replace the origin's address.
        """
        return self.fix_nated_sdp_native(run, flags)

    @function
    def fix_nated_sdp_ip(self, run: Run, flags: int, ip: str) -> int:
        """As fix_nated_sdp, with an address of your own."""
        return self.fix_nated_sdp_native(run, flags, ip)

    # ---- variables and management

    @variable("rr_count")
    def rr_count(self, run: Run, name: str, index: object) -> Value:
        """How many Record-Routes the message has."""
        return len(run.msg.name_addrs(H_RECORDROUTE))

    @variable("rr_top_count")
    def rr_top_count(self, run: Run, name: str, index: object) -> Value:
        """How many of them the topmost server made: 2, 1, or 0 without any."""
        found = run.msg.name_addrs(H_RECORDROUTE)[:2]
        return 2 if len(found) == 2 and all(parse_uri(f.uri).param(b"r2") == b"on" for f in found) else len(found[:1])

    @rpc("nathelper.enable_ping")
    def enable_ping(self, enable: int) -> None:
        """Ping contacts, or stop for now."""
        if self._pinger is None:
            raise RpcError(500, "natping_interval is 0")
        self._pinger.enabled = bool(enable)


MODULE = Nathelper
