"""Module registrar: its parameters and the functions that scripts call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from kahea.connectors.errors import DatabaseError
from kahea.modules.registrar import ulc
from kahea.modules.registrar.answer import Answer, kept
from kahea.modules.registrar.bindings import AorRules
from kahea.modules.registrar.lookup import FAILED, FOUND, NOT_FOUND, Lookups
from kahea.modules.registrar.parameters import RegistrarParameters
from kahea.modules.registrar.refusal import Refused
from kahea.modules.registrar.rules import Rules
from kahea.modules.registrar.save import Saver
from kahea.modules.registrar.told import describe
from kahea.modules.usrloc.contact import Contact
from kahea.modules.usrloc.notation import socket_text
from kahea.net.address import PROTO_IDS
from kahea.routing.generation import event_message
from kahea.routing.lists import Xavps, lists_of
from kahea.routing.module import ConfigError, Value, Variable, function, native
from kahea.routing.pv import Pv, PvError, named
from kahea.routing.run import CORE_ONREPLY_ROUTE, FAILURE_ROUTE, ONREPLY_ROUTE, REQUEST_ROUTE, Run
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.modules.usrloc.domain import Domain
    from kahea.modules.usrloc.rpc import Usrloc
    from kahea.routing.node import Node
    from kahea.sip.message import Message

log = logging.getLogger("kahea.registrar")

# Bits of registered()'s match_option and match_action.
MATCH_CALLID = 1
MATCH_RECEIVED = 2
MATCH_CONTACT = 4
RESTORE_ATTRIBUTES = 1
NO_RECORD = 2

# Bits of reg_from_user()'s mode.
ANY_PORT = 1
ANY_PROTO = 2

_LOOKING_UP = REQUEST_ROUTE | FAILURE_ROUTE
_REGISTERING = REQUEST_ROUTE | FAILURE_ROUTE | ONREPLY_ROUTE | CORE_ONREPLY_ROUTE

EXPIRED_EVENT = "usrloc:contact-expired"


class Registrar(RegistrarParameters):
    """The registrar (RFC 3261 §10): keeps where users are, and finds them there."""

    needs = ("usrloc", "sl")

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.usrloc: Usrloc
        self.aors = AorRules(False, False, b"")
        self.received_variable: Pv | None = None
        self.sock_mask = 0
        self._rules = Rules(self)
        self._saver = Saver(self._rules)
        self._lookups = Lookups(self._rules)

    def start(self) -> None:
        """Bind to usrloc and sl."""
        self.keep_defaults()
        self.usrloc = self.node.module("usrloc")
        self.sock_mask = 1 << self.sock_flag if self.sock_flag >= 0 else 0
        if self.sock_mode:
            self.usrloc.advertised = True
        if self.flow_timer and not self.outbound_mode:
            raise ConfigError("parameter registrar.flow_timer needs outbound_mode 1 or 2")
        if self.received_avp:
            try:
                self.received_variable = self.node.variables.compile(self.received_avp)
            except PvError as error:
                raise ConfigError(f"parameter registrar.received_avp: {error}") from error
        statistics = self.node.statistics
        for name in ("max_expires", "max_contacts", "default_expires_range", "expires_range"):
            statistics.declare("registrar", name, partial(getattr, self, name), resets=False)
        statistics.declare("registrar", "default_expire", lambda: self.default_expires, resets=False)
        statistics.declare("registrar", "accepted_regs", lambda: self._saver.accepted)
        statistics.declare("registrar", "rejected_regs", lambda: self._saver.rejected)
        self._read_aor_rules()
        self._rules.start()
        self._saver.start()
        self.usrloc.on_expired.append(self._expired)

    def compiled(self) -> Mapping[str, Callable[..., int]]:
        """Phones renew their registrations all the time, and every call to a user looks one up."""
        return {
            **super().compiled(),
            "save": self._saver.save,
            "save_uri": self._saver.save_uri,
            "lookup": self._lookups.lookup,
            "lookup_uri": self._lookups.lookup_uri,
            "lookup_to_dset": self._lookups.lookup_to_dset,
        }

    def changed(self, name: str) -> None:
        """What is read of the parameters in advance is read anew."""
        self._read_aor_rules()
        self._rules.read()

    def _read_aor_rules(self) -> None:
        prefix = wire(self.realm_prefix).lower()
        self.aors = AorRules(bool(self.usrloc.use_domain), bool(self.case_sensitive), prefix)

    def variables(self) -> Iterator[Variable]:
        """`$ulc(profile=>attribute)`."""
        yield from super().variables()
        yield named("ulc", ulc.bind, index=True, writable=True, doc="Contacts that reg_fetch_contacts() fetched.")

    # ---- for the files beside this one

    def settings_of(self, msg: Message) -> Xavps | None:
        """What the script set for this message in the XAVP of parameter xavp_cfg, or None."""
        if not self.xavp_cfg:
            return None
        item = lists_of(msg).xavps.find(self.xavp_cfg)
        return None if item is None else item.fields

    def record(self, msg: Message, contact: Contact, now: int) -> None:
        """Tell the script of a contact (parameter xavp_rcd), before those it was told of."""
        if self.xavp_rcd:
            fields = lists_of(msg).xavps.make(self.xavp_rcd)
            for name, value in describe(contact, now, self.xavp_rcd_mask):
                fields.push(name, value)

    def _domain(self, table: str) -> Domain | None:
        return self.usrloc.domain(table)

    # ---- registering

    @native("text", "int", "str", name="save", least=1, routes=_REGISTERING)
    def save_native(self, run: Run, table: str, flags: int = 0, uri: str = "") -> int:
        """As save(), or save_uri() where a URI is given."""
        return self.save_uri(run, table, flags, uri) if uri else self.save(run, table, flags)

    @function
    def save(self, run: Run, table: str, flags: int) -> int:
        """Process a REGISTER: add, refresh or remove its contacts, and answer it.

        `flags`: 1, in memory only; 2, don't answer; 4, one contact an AOR; 8, expires as asked for; 16,
        with 2, put the answer's headers in place. 1: contacts added; 2: refreshed; 3: removed; 4: listed;
        -1: refused;
        -2: too many contacts.
        """
        return self._saver.save(run, table, flags)

    @function
    def save_uri(self, run: Run, table: str, flags: int, uri: str) -> int:
        """As save(), for the AOR of `uri` instead of the To header's."""
        return self._saver.save_uri(run, table, flags, uri)

    @native(routes=REQUEST_ROUTE | FAILURE_ROUTE)
    @function
    def reg_send_reply(self, run: Run) -> int:
        """Send the answer that save() held back (its flag 2)."""
        answer = kept(run.msg)
        return self._saver.send_answer(run, answer if answer is not None else Answer())

    @function
    def set_q_override(self, run: Run, q: str) -> int:
        """Have save() give all contacts of this REGISTER this q (0..1)."""
        try:
            self._saver.override_q(run.msg, wire(q))
        except Refused:
            log.error("set_q_override: %r is no q-value", q)
            return -1
        return 1

    @native("str", routes=REQUEST_ROUTE)
    @function
    def add_sock_hdr(self, run: Run, name: str) -> int:
        """Add a header with the listener that the request came to, as `udp:192.0.2.1:5060`."""
        if not name:
            log.error("add_sock_hdr: no header name")
            return -1
        listener: Any = run.msg.listener
        value = socket_text(listener, bool(self.sock_mode))
        run.msg.append_header(wire(f"{name}: {value}\r\n"))
        return 1

    @native("text", "str")
    @function
    def unregister(self, run: Run, table: str, uri: str) -> int:
        """Remove all contacts of an AOR. -1: no AOR in `uri`; -2: the database failed."""
        domain = self._domain(table)
        if domain is None:
            return -1
        try:
            aor = self.aors.parse(wire(uri))
        except Refused as error:
            log.error("unregister: %s", error)
            return -1
        contacts = [] if self.usrloc.remote else list(domain.get(aor) or ())
        try:
            domain.delete_record(aor)
        except DatabaseError as error:
            log.error("unregister: %s", error)
            return -2
        return 1 if self.usrloc.settle(domain, contacts) is None else -2

    @native("text", "str", "str", name="unregister")
    @function
    def unregister_ruid(self, run: Run, table: str, uri: str, ruid: str) -> int:
        """Remove one contact by its unique id; with db_mode 3, `uri` may be empty. -3: it is not there."""
        domain = self._domain(table)
        if domain is None:
            return -1
        try:
            aor = b"" if not uri and self.usrloc.remote else self.aors.parse(wire(uri))
        except Refused as error:
            log.error("unregister: %s", error)
            return -1
        contact = domain.find_ruid(aor, wire(ruid))
        if contact is None:
            log.warning("unregister: no contact %s of %r", ruid, uri)
            return -3
        domain.delete(contact)
        return 1 if self.usrloc.settle(domain, [contact]) is None else -2

    # ---- looking up

    @native("text", routes=_LOOKING_UP)
    @function
    def lookup(self, run: Run, table: str) -> int:
        """Send the request to the first contact of the Request-URI's AOR, and branches to the others.

        1: done; -1: there are none; -2: none takes this method; -3: no AOR.
        """
        return self._lookups.lookup(run, table)

    @native("text", "str", name="lookup", routes=_LOOKING_UP)
    @function
    def lookup_uri(self, run: Run, table: str, uri: str) -> int:
        """As lookup(), for the AOR of `uri`."""
        return self._lookups.lookup_uri(run, table, uri)

    @native("text", name="lookup_to_dset", routes=_LOOKING_UP)
    def lookup_ruri_to_dset(self, run: Run, table: str) -> int:
        """As lookup_to_dset(), for the Request-URI."""
        return self.lookup_to_dset(run, table, text(run.msg.uri))

    @native("text", "str", routes=_LOOKING_UP)
    @function
    def lookup_to_dset(self, run: Run, table: str, uri: str) -> int:
        """As lookup_uri(), but the contacts become branches, and the request stays as it is."""
        return self._lookups.lookup_to_dset(run, table, uri)

    @native("text", routes=_LOOKING_UP)
    @function
    def lookup_branches(self, run: Run, table: str) -> int:
        """lookup() for the Request-URI and for every branch that has nothing but a URI."""
        return self._lookups.lookup_branches(run, table)

    @native("text", "str", "str", "str")
    @function
    def lookup_xavp(self, run: Run, table: str, uri: str, rxname: str, cxname: str) -> int:
        """Fetch the contacts of an AOR into XAVPs: one `cxname` each, and `rxname` for all.

        `rxname` has aor, domain, aorhash and count. A contact's fields are named as the attributes of `$ulc`.
        """
        domain = self._domain(table)
        if domain is None:
            return NOT_FOUND
        contacts = self._contacts(domain, uri)
        if contacts is None:
            return FAILED
        if not contacts:
            return NOT_FOUND
        profile = ulc.Profile(domain.name, contacts[0].aor, contacts, self.usrloc.advertised)
        xavps = lists_of(run.msg).xavps
        record = Xavps()
        for name, of_record in ulc.RECORD.items():
            record.push(name, of_record(profile))
        xavps.push(rxname, record)
        for contact in profile.contacts:
            fields = Xavps()
            for name, of_contact in ulc.CONTACT.items():
                value = of_contact(contact, profile)
                if value is not None:
                    fields.push(name, value)
            xavps.append(cxname, fields)
        return FOUND

    # ---- asking

    @native("text")
    @function
    def registered(self, run: Run, table: str) -> int:
        """Whether the AOR of the Request-URI (of a reply: of the To header) has contacts: 1, else -1."""
        return self._registered(run, table, "", 0, 0)

    @native("text", "str", name="registered")
    @function
    def registered_uri(self, run: Run, table: str, uri: str) -> int:
        """As registered(), for the AOR of `uri`."""
        return self._registered(run, table, uri, 0, 0)

    @native("text", "str", "int", name="registered")
    @function
    def registered_flags(self, run: Run, table: str, uri: str, match_option: int) -> int:
        """As registered_uri(), for contacts that match `$xavp(cfg=>match_...)`.

        Bits of `match_option`: 1 callid, 2 received, 4 contact.
        """
        return self._registered(run, table, uri, match_option, 0)

    @native("text", "str", "int", "int", name="registered")
    @function
    def registered_action(self, run: Run, table: str, uri: str, match_option: int, match_action: int) -> int:
        """As registered_flags().

        Bits of `match_action`: 1 gives the contact's attributes back, 2 does not fill xavp_rcd.
        """
        return self._registered(run, table, uri, match_option, match_action)

    def _registered(self, run: Run, table: str, uri: str, option: int, action: int) -> int:
        domain = self._domain(table)
        if domain is None:
            return -1
        msg = run.msg
        try:
            contacts = self._contacts(domain, uri or text(msg.uri if msg.is_request else msg.to.uri))
        except ParseError:
            return -1
        now = int(self.node.wall())
        settings = self.settings_of(msg)
        for contact in contacts or ():
            if contact.is_valid(now) and self._matches(contact, option, settings):
                if not action & NO_RECORD:
                    self.record(msg, contact, now)
                if action & RESTORE_ATTRIBUTES and contact.xavp is not None and self.usrloc.xavp_contact:
                    lists_of(msg).xavps.push(self.usrloc.xavp_contact, contact.xavp.copy())
                return 1
        return -1

    def _matches(self, contact: Contact, option: int, settings: Xavps | None) -> bool:
        for bit, name, value in (
            (MATCH_CALLID, "match_callid", contact.callid),
            (MATCH_RECEIVED, "match_received", contact.received),
            (MATCH_CONTACT, "match_contact", contact.uri),
        ):
            if option & bit:
                wanted = None if settings is None else settings.get(name)
                if isinstance(wanted, str) and wire(wanted) != value:
                    return False
        return True

    def _contacts(self, domain: Domain, uri: str) -> list[Contact] | None:
        """The contacts of a URI's AOR; None, and a line in the log, if there is no AOR in it."""
        try:
            return domain.get(self.aors.parse(wire(uri))) or []
        except Refused as error:
            log.info("no AOR in %r: %s", uri, error)
            return None

    @native("text", "str", "int")
    @function
    def reg_from_user(self, run: Run, table: str, uri: str, mode: int) -> int:
        """Whether the message came from where a contact of the AOR is: 1, else -1.

        Address, port and protocol must be those of the contact's received URI, or else of its own. Bits of
        `mode`: 1, any port; 2, any protocol.
        """
        domain = self._domain(table)
        contacts = self._contacts(domain, uri) if domain is not None else None
        now = int(self.node.wall())
        msg = run.msg
        for contact in contacts or ():
            if not contact.is_valid(now):
                continue
            try:
                at = parse_uri(contact.received or contact.uri)
            except ParseError:
                continue
            proto = PROTO_IDS.get(at.transport.decode("ascii", "replace") or "udp", 0)
            if (
                at.host.strip(b"[]") == msg.src_ip
                and (mode & ANY_PORT or at.effective_port == msg.src_port)
                and (mode & ANY_PROTO or proto == msg.proto)
            ):
                return 1
        return -1

    @native("text", "str", "text", routes=_LOOKING_UP)
    @function
    def reg_fetch_contacts(self, run: Run, table: str, uri: str, profile: str) -> int:
        """Fetch the contacts of an AOR for `$ulc(profile=>...)`. -1: there are none."""
        domain = self._domain(table)
        contacts = self._contacts(domain, uri) if domain is not None else None
        profiles = ulc.profiles_of(run.msg)
        profiles.pop(profile, None)
        if domain is None or not contacts:
            return -1
        if len(profiles) >= ulc.MAX_PROFILES:
            log.error("reg_fetch_contacts: more than %d profiles", ulc.MAX_PROFILES)
            return -1
        profiles[profile] = ulc.Profile(domain.name, contacts[0].aor, contacts, self.usrloc.advertised)
        return 1

    @native("text", routes=_LOOKING_UP)
    @function
    def reg_free_contacts(self, run: Run, profile: str) -> int:
        """Forget what reg_fetch_contacts() fetched."""
        ulc.profiles_of(run.msg).pop(profile, None)
        return 1

    @function
    def ulc_rget(self, run: Run, profile: str, attribute: str) -> Value:
        """An attribute of the fetched record: aor, domain, aorhash or count."""
        return ulc.read(run.msg, profile, attribute, 0) if attribute in ulc.RECORD else None

    @function
    def ulc_cget(self, run: Run, profile: str, attribute: str, index: int) -> Value:
        """An attribute of a fetched contact, by the contact's index from 0."""
        return ulc.read(run.msg, profile, attribute, index) if attribute in ulc.CONTACT else None

    # ---- events

    def _expired(self, domain: Domain, contact: Contact) -> None:
        """Run the script's event route for a contact that ended, with it in `$ulc(exp=>...)`."""
        if not self.event_callback and self.node.routes.event(EXPIRED_EVENT) is None:
            return
        msg = event_message()
        ulc.profiles_of(msg)["exp"] = ulc.Profile(domain.name, contact.aor, [contact], self.usrloc.advertised)
        if self.event_callback:
            self.node.call_route(self.event_callback, EXPIRED_EVENT, msg)
        else:
            self.node.run_event(EXPIRED_EVENT, msg)
