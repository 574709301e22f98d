"""save(): a REGISTER is checked as a whole, then its contacts are added, refreshed or removed.

RFC 3261 §10.3.

Nothing is changed before everything is known to be right, so that a refused REGISTER leaves no trace. With
write-through, the answer waits until the changes are safe in the database.
"""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Final

from kahea.connectors.errors import DatabaseError
from kahea.modules.registrar import refusal, request
from kahea.modules.registrar.answer import Answer, Gruus, contact_line
from kahea.modules.registrar.refusal import CANNOT_WRITE, Refused
from kahea.modules.usrloc.contact import FL_MEM, Contact, Registration
from kahea.modules.usrloc.domain import INSERT, OldCSeq, Retransmission
from kahea.routing.lists import lists_of
from kahea.routing.run import REQUEST_ROUTE
from kahea.routing.text import wire
from kahea.sip.errors import ParseError
from kahea.sip.message import H_CONTACT, H_REQUIRE, H_SUPPORTED, H_USERAGENT
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.modules.registrar.functions import Registrar
    from kahea.modules.usrloc.domain import Domain
    from kahea.net.address import Listener
    from kahea.routing.lists import Xavps
    from kahea.routing.run import Run
    from kahea.sip.message import Message, NameAddr
    from kahea.sip.uri import Uri

log = logging.getLogger("kahea.registrar")

# Flags of save().
MEMORY_ONLY: Final = 0x01
NO_REPLY: Final = 0x02
ONE_CONTACT: Final = 0x04
EXACT_EXPIRES: Final = 0x08
PREPARE_REPLY: Final = 0x10

#: Where set_q_override() leaves its value.
Q_FACET: Final = "registrar.q"

# What save() returns.
INSERTED: Final = 1
UPDATED: Final = 2
DELETED: Final = 3
QUERIED: Final = 4


class Wanted:
    """One contact of the REGISTER, checked, and the contact of the table that it means (None: it is new)."""

    __slots__ = ("expires", "found", "instance", "methods", "q", "reg_id", "repeated", "uri")

    def __init__(self, uri: bytes, expires: int, q: int, methods: int, instance: bytes = b"", reg_id: int = 0) -> None:
        self.uri = uri
        self.expires = expires  # absolute; 0 removes
        self.q = q
        self.methods = methods
        self.instance = instance
        self.reg_id = reg_id
        self.found: Contact | None = None
        self.repeated = False  # a retransmission: nothing is to be done


class Save:
    """One call of save()."""

    __slots__ = (
        "_answer",
        "_domain",
        "_flags",
        "_module",
        "_msg",
        "_now",
        "_run",
        "_settings",
        "_touched",
        "_use_ob",
    )

    def __init__(self, module: Registrar, run: Run, domain: Domain, flags: int) -> None:
        self._module = module
        self._run = run
        self._msg: Message = run.msg
        self._domain = domain
        self._flags = flags
        self._now = int(module.node.wall())
        self._answer = Answer()
        self._touched: list[Contact] = []
        self._use_ob = False
        #: What the script overrides for this message.
        self._settings: Xavps | None = module.settings_of(run.msg) if module.xavp_cfg else None

    def __call__(self, uri: bytes | None) -> int:
        """Do it for the AOR of `uri`, else of the To header; the code for the script."""
        module = self._module
        answer = self._answer
        try:
            code = self._process(uri)
            module.node.count("registrar", "accepted_regs")
        except Refused as refused:
            answer.verdict = refused.verdict
            code = refused.verdict.code
            module.node.count("registrar", "rejected_regs")
            log.info("REGISTER %s refused: %s", self._callid(), refused.verdict.error)
        self._reply(answer)
        return code

    def _callid(self) -> str:
        try:
            return self._msg.callid.decode("utf-8", "replace")
        except ParseError:
            return "without Call-ID"

    def _reply(self, answer: Answer) -> None:
        run, module = self._run, self._module
        if run.kind != REQUEST_ROUTE or not self._msg.is_request:
            return
        if not self._flags & NO_REPLY:
            module.send(run, answer)
        else:
            if self._flags & PREPARE_REPLY:
                module.prepare(run, answer)
                answer = Answer()
                answer.verdict = self._answer.verdict
            answer.keep(self._msg)

    # ---- the REGISTER as a whole

    def _process(self, uri: bytes | None) -> int:
        msg = self._msg
        try:
            to = parse_uri(uri if uri is not None else msg.to.uri)
            contacts = request.contacts_of(msg) if msg.header(H_CONTACT) is not None else []
            header_expires = request.header_expires(msg)
            star = self._check_contacts(contacts, header_expires)
            if self._module.outbound_mode or msg.header(H_REQUIRE) is not None:
                self._check_outbound(contacts)
            aor = self._module.aors.aor(to)
            if star:
                return self._remove_all(aor)
            if not contacts:
                return self._query(aor, to)
            return self._change(aor, to, contacts, header_expires)
        except ParseError as error:
            raise Refused(refusal.BAD_AOR) from error

    def _check_contacts(self, contacts: list[NameAddr], header_expires: int | None) -> bool:
        """Whether all contacts are to go (`*`). Raises Refused."""
        limit = self._module.contact_max_size
        star = False
        for value in contacts:
            uri = value.uri
            if uri == b"*":
                if header_expires != 0:
                    raise Refused(refusal.STAR_AND_EXPIRES)
                star = True
            elif len(uri) > limit:
                raise Refused(refusal.CONTACT_TOO_LONG)
            elif b":" not in uri or request.breaks_lines(uri):
                raise Refused(refusal.BAD_CONTACT)
        return star

    def _check_outbound(self, contacts: list[NameAddr]) -> None:
        """RFC 5626 §6, as the parameter outbound_mode has it."""
        msg, answer = self._msg, self._answer
        mode = self._module.outbound_mode
        required = request.requires(msg, b"outbound")
        if mode == 0:
            if required:
                answer.extra.append(b"Unsupported: outbound\r\n")
                raise Refused(refusal.OUTBOUND_UNSUPPORTED)
            return
        self._use_ob = required or request.supports(msg, b"outbound")
        if mode == 2 and not self._use_ob:
            answer.extra += [b"Require: outbound\r\n", b"Supported: outbound\r\n"]
            raise Refused(refusal.OUTBOUND_REQUIRED)
        if self._use_ob and contacts and contacts[0].param(b"reg-id") and not request.edge_supports_outbound(msg):
            raise Refused(refusal.EDGE_LACKS_OUTBOUND)

    def _remove_all(self, aor: bytes) -> int:
        domain = self._domain
        contacts = [] if self._module.usrloc.remote else list(domain.get(aor) or ())
        try:
            domain.delete_record(aor)
        except DatabaseError as error:
            log.error("contacts of %r not removed: %s", aor, error)
            raise Refused(refusal.CANNOT_DELETE_RECORD) from error
        if self._module.usrloc.settle(domain, contacts) is not None:
            raise Refused(refusal.CANNOT_DELETE_RECORD)
        self._add_outbound()
        return DELETED

    def _query(self, aor: bytes, to: Uri) -> int:
        contacts = self._domain.get(aor)
        if contacts:
            self._module.usrloc.settle(self._domain, contacts)
        self._list(aor, to)
        self._add_outbound()
        return QUERIED

    def _change(self, aor: bytes, to: Uri, values: list[NameAddr], header_expires: int | None) -> int:
        try:
            registration = self._registration()
            wanted = self._wanted(values, header_expires)
            found = self._domain.get(aor)
            self._find(found or [], registration, wanted)
            self._check_limit(found, wanted)
        except Refused:
            self._list(aor, to)
            raise
        code = self._apply(aor, registration, wanted, found)
        self._settle(aor, to, is_new=not found)
        if registration.path:
            self._add_path(registration.path)
        if self._module.outbound_mode:
            self._add_outbound()
        return code

    # ---- what it asks for

    def _registration(self) -> Registration:
        """What it says of all its contacts. Raises Refused."""
        module, msg = self._module, self._msg
        try:
            callid, cseq = msg.callid, msg.cseq
        except ParseError as error:
            raise Refused(refusal.BAD_MESSAGE) from error
        if len(callid) > request.MAX_CALLID:
            raise Refused(refusal.CALLID_TOO_LONG)
        agent = msg.header(H_USERAGENT)
        registration = Registration(callid, cseq, self._now, agent.body if agent is not None else b"")
        plain = self._settings is None and not module.sock_mask
        registration.sock = msg.listener if plain else self._sock()  # type: ignore[assignment]
        registration.cflags = msg.bflags
        registration.connection_id = msg.connection_id or -1
        registration.server_id = module.usrloc.server_id
        if self._flags & MEMORY_ONLY:
            registration.flags = FL_MEM
        if module.use_path:
            registration.path = request.path_of(msg)
            if module.path_use_received and registration.path:
                received = request.path_received(registration.path, b"received")
                if received:
                    registration.received = received
                    registration.cflags |= module.usrloc.nat_flag
        if module.received_variable is not None and not registration.received:
            value = module.received_variable.get(self._run)
            if isinstance(value, str) and value:
                registration.received = wire(value)
        if len(registration.received) > request.MAX_RECEIVED:
            raise Refused(refusal.CONTACT_TOO_LONG)
        if module.usrloc.xavp_contact:
            registration.xavp = self._attributes(module.usrloc.xavp_contact)
        return registration

    def _attributes(self, name: str) -> Xavps | None:
        item = lists_of(self._msg).xavps.find(name)
        fields = item.fields if item is not None else None
        return None if fields is None else fields.copy()

    def _sock(self) -> Listener | None:
        """The listener to remember: what the script or a header says, else the one it came to."""
        module = self._module
        listener: Listener | None = self._msg.listener  # type: ignore[assignment]
        given = self._setting("socket")
        if not isinstance(given, str) or not given:
            if not (module.sock_mask and module.sock_hdr_name and self._msg.flags & module.sock_mask):
                return listener
            header = self._msg.header_named(wire(module.sock_hdr_name))
            if header is None:
                return listener
            given = header.body.decode("utf-8", "replace")
        found = module.node.find_listener(given)
        if found is None:
            log.error("socket %r is none of ours: the one it came to is kept", given)
            return listener
        return found

    def _wanted(self, values: list[NameAddr], header_expires: int | None) -> list[Wanted]:
        """Its contacts, checked. Raises Refused."""
        module = self._module
        default_q = self._given_q()
        allowed = request.allowed_methods(self._msg)
        override = self._setting("expires") if self._settings is not None else None
        if not isinstance(override, int):
            override = None
        wanted = []
        for value in values:
            params = value.params
            given = override if override is not None or not params else value.param(b"expires")
            expires = self._expires(given, header_expires)
            if not params:
                q = module.default_q if default_q is None else default_q
                wanted.append(Wanted(value.uri, expires, q, allowed))
                continue
            instance = request.contact_instance(value)
            wanted.append(
                Wanted(
                    value.uri,
                    expires,
                    request.contact_q(value, module.default_q) if default_q is None else default_q,
                    request.contact_methods(value, allowed),
                    instance,
                    request.contact_reg_id(value) if instance else 0,
                )
            )
        return wanted

    def _setting(self, name: str) -> object:
        """What the script says of `name` for this message, or None."""
        return None if self._settings is None else self._settings.get(name)

    def _given_q(self) -> int | None:
        """The q that the script wants for all contacts, in thousandths, or None. Raises Refused."""
        if self._module.overrides_q:
            override = self._msg.facets.get(Q_FACET)
            if isinstance(override, int):
                return override
        given = self._settings.get("q") if self._settings is not None else None
        if not isinstance(given, int):
            return None
        if not 0 <= given <= 1000:
            raise Refused(refusal.BAD_Q)
        return given

    def _expires(self, given: object, header: int | None) -> int:
        """When a contact ends, absolute; 0 to remove it. Raises Refused.

        `given` is what the contact's parameter says, or a number of seconds that overrides it.
        """
        module = self._module
        spread = module.expires_range
        if isinstance(given, int):
            seconds = given
        else:
            if isinstance(given, bytes) and given:
                seconds = int(given) if given.isdigit() and len(given) <= 10 else -1
            else:
                seconds = -1 if header is None else header
            if not 0 <= seconds < 2**32:
                seconds = module.default_expires
                spread = module.default_expires_range
        if seconds == 0:
            return 0
        if module.min_expires and seconds < module.min_expires:
            if module.min_expires_mode:
                self._answer.extra.append(b"Min-Expires: %d\r\n" % module.min_expires)
                raise Refused(refusal.TOO_BRIEF)
            seconds = module.min_expires
        if spread and not self._flags & EXACT_EXPIRES:
            seconds -= int(random.random() * seconds * spread / 100)
        if module.max_expires and seconds > module.max_expires:
            seconds = module.max_expires
        return self._now + (seconds if seconds <= request.MAX_EXPIRES else request.MAX_EXPIRES)

    def _find(self, contacts: list[Contact], registration: Registration, wanted: list[Wanted]) -> None:
        """Find what each contact means. Raises Refused for a CSeq that is too old."""
        match = self._domain.match
        for each in wanted:
            try:
                each.found = match(contacts, registration, each.uri, each.instance, each.reg_id)
            except Retransmission:
                each.repeated = True
            except OldCSeq as error:
                raise Refused(refusal.INVALID_CSEQ) from error

    def _check_limit(self, contacts: list[Contact] | None, wanted: list[Wanted]) -> None:
        limit = self._module.max_contacts
        if self._settings is not None:
            given = self._settings.get("max_contacts")
            if isinstance(given, int):
                limit = given
        if not limit or self._flags & ONE_CONTACT:
            return
        number = sum(c.is_valid(self._now) for c in contacts or ())
        fresh: set[bytes] = set()
        for each in wanted:
            if each.repeated:
                continue
            if each.found is None:
                if each.expires and each.uri not in fresh:
                    fresh.add(each.uri)
                    number += 1
            elif not each.expires and each.found.is_valid(self._now):
                number -= 1
        if number > limit:
            raise Refused(refusal.TOO_MANY)

    # ---- doing it

    def _apply(self, aor: bytes, registration: Registration, wanted: list[Wanted], found: list[Contact] | None) -> int:
        """Change the table; the code for the script, which tells of the last contact."""
        domain, touched = self._domain, self._touched
        code = INSERTED
        if self._flags & ONE_CONTACT and found:
            self._keep_one(wanted, found)
        for each in wanted:
            contact = each.found
            if each.repeated:
                continue
            if len(wanted) > 1 and self._is_repeated(each, registration, is_new=found is None):
                continue
            if contact is None:
                if each.expires:
                    contact = domain.insert(
                        aor, registration, each.uri, each.expires, each.q,
                        each.instance, each.reg_id, each.methods,
                    )  # fmt: skip
                    touched.append(contact)
                    code = INSERTED
            elif each.expires:
                domain.update(
                    contact, registration, each.uri, each.expires, each.q, each.instance, each.methods,
                )  # fmt: skip
                touched.append(contact)
                code = UPDATED
            else:
                domain.delete(contact)
                touched.append(contact)
                code = DELETED
        return code

    def _is_repeated(self, each: Wanted, registration: Registration, *, is_new: bool) -> bool:
        """Whether this REGISTER has dealt with the same contact already.

        As in Kamailio the first one counts, but for an AOR that had no contacts the last one.
        """
        for contact in self._touched:
            same = contact.uri == each.uri and contact.instance == each.instance
            if contact is each.found or (same and contact.reg_id == each.reg_id):
                if is_new and each.expires:
                    self._domain.update(contact, registration, each.uri, each.expires, each.q, methods=each.methods)
                return True
        return False

    def _keep_one(self, wanted: list[Wanted], contacts: list[Contact]) -> None:
        """Remove all contacts but the one that is to stay (the flag 0x04): the first that is not to end.

        As in Kamailio, an AOR that had no contacts may get several all the same.
        """
        first = next((each for each in wanted if each.expires), None)
        if first is None:
            return
        for each in wanted:
            each.repeated = each is not first
        for contact in list(contacts):
            if contact is not first.found:
                self._domain.delete(contact)
                self._touched.append(contact)

    def _settle(self, aor: bytes, to: Uri, *, is_new: bool) -> None:
        """Wait until it is safe, and list what is there. Raises Refused."""
        usrloc, domain = self._module.usrloc, self._domain
        if domain.writer is not None:
            # Also what others left under way: nothing is listed in a 200 that a crash could take away.
            listed = [] if usrloc.remote else domain.get(aor) or []
            failed = usrloc.settle(domain, [*self._touched, *listed])
            if failed is not None:
                if is_new and failed == INSERT:
                    for contact in self._touched:
                        usrloc.forget(domain, contact)
                self._list(aor, to)
                raise Refused(CANNOT_WRITE[failed])
        self._list(aor, to)

    # ---- what the answer says

    def _list(self, aor: bytes, to: Uri) -> None:
        contacts = self._domain.get(aor)
        gruus = None
        module = self._module
        supported = contacts and module.gruu_enabled and self._msg.header(H_SUPPORTED) is not None
        if supported and request.supports(self._msg, b"gruu"):
            gruus = Gruus(aor, to.host, module.aors.use_domain)
        if module.xavp_rcd:
            for contact in contacts or ():
                if contact.is_valid(self._now):
                    module.record(self._msg, contact, self._now)
        self._answer.contacts = contact_line(contacts, self._now, module.received_param_bytes, gruus)

    def _add_path(self, path: bytes) -> None:
        """The Path, where it is to be in the answer (the parameter path_mode). Raises Refused."""
        mode = self._module.path_mode
        if mode == 0:
            return
        supported = request.supports(self._msg, b"path")
        if mode == 2 and not supported:
            self._answer.extra += [b"Unsupported: path\r\n", b"Path: " + path + b"\r\n"]
            self._answer.verdict = refusal.PATH_UNSUPPORTED
        elif supported:
            self._answer.extra.append(b"Path: " + path + b"\r\n")

    def _add_outbound(self) -> None:
        mode = self._module.outbound_mode
        if mode == 0:
            return
        extra = self._answer.extra
        if mode == 2:
            extra += [b"Require: outbound\r\n", b"Supported: outbound\r\n"]
        else:
            extra.append(b"Supported: outbound\r\n")
            if self._use_ob:
                extra.append(b"Require: outbound\r\n")
        if self._use_ob and self._module.flow_timer:
            extra.append(b"Flow-Timer: %d\r\n" % self._module.flow_timer)
