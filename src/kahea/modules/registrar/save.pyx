# cython: language_level=3
"""save(): a REGISTER is checked as a whole, then its contacts are added, refreshed or removed.

RFC 3261 §10.3.

Nothing is changed before everything is known to be right, so that a refused REGISTER leaves no trace. With
write-through, the answer waits until the changes are safe in the database. Compiled, since renewals are most of what
many servers do.
"""

import logging
import random

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from kahea.modules.registrar.answer cimport Answer, contact_line
from kahea.modules.registrar.bindings cimport (
    ContactParams,
    Wanted,
    allowed_methods,
    breaks_lines,
    contacts_of,
    header_expires,
    method_mask,
    params_of,
    parse_q,
    reg_id_of,
    seconds_in,
)
from kahea.modules.registrar.rules cimport Rules
from kahea.modules.usrloc.contact cimport Contact, Registration
from kahea.modules.usrloc.domain cimport Domain
from kahea.routing.dispatch cimport Run
from kahea.sip.message cimport H_CONTACT, H_REQUIRE, H_SUPPORTED, H_USERAGENT, Message
from kahea.sip.uri cimport parse_uri
from kahea.sip.values cimport AddrSpan, NameAddr

from kahea.connectors.errors import DatabaseError
from kahea.modules.registrar import extensions, refusal
from kahea.modules.registrar.gruu import Gruus
from kahea.modules.registrar.refusal import FINE, Refused
from kahea.modules.usrloc.domain import OldCSeq, Retransmission
from kahea.routing.lists import lists_of
from kahea.sip.errors import ParseError

log = logging.getLogger("kahea.registrar")

cdef enum:
    # Flags of save().
    MEMORY_ONLY = 0x01
    NO_REPLY = 0x02
    ONE_CONTACT = 0x04
    EXACT_EXPIRES = 0x08
    PREPARE_REPLY = 0x10
    # What save() returns.
    NOT_FOUND = -1
    INSERTED = 1
    UPDATED = 2
    DELETED = 3
    QUERIED = 4

    REQUEST_ROUTE = 1
    FL_MEM = 1  # of a contact
    INSERT = 0  # a change of a table
    EVERY_METHOD = 0xFFFFFFFF
    MAX_CALLID = 255  # octets, as of a received URI
    MAX_RECEIVED = 255

#: Seconds; Kamailio's 32 bit times turn more than this into the past.
cdef long long MAX_EXPIRES = 2147483647
#: Where set_q_override() leaves its value.
cdef str Q_FACET = "registrar.q"


@cython.auto_pickle(False)
cdef class Saver:
    """save() of one registrar."""

    def __init__(self, Rules rules not None):
        self.rules = rules

    def start(self):
        self.replies = self.rules.node.module("sl").replies

    def save(self, Run run not None, str table not None, flags):
        return self.run(run, table, flags, None)

    def save_uri(self, Run run not None, str table not None, flags, str uri not None):
        return self.run(run, table, flags, uri.encode("utf-8", "surrogateescape"))

    cdef int run(self, Run run, str table, object flags, bytes uri) except? -99:
        cdef Rules rules = self.rules
        cdef Domain domain = rules.table(table)
        cdef Save save
        if domain is None:
            return NOT_FOUND
        save = Save.__new__(Save)
        save._saver = self
        save._by = rules
        save._run = run
        save._msg = run.msg
        save._domain = domain
        save._flags = flags & 0xFF
        save._now = rules.now()
        save._answer = Answer()
        save._touched = []
        save._settings = rules.module.settings_of(run.msg) if rules.sets else None
        save._uri = uri
        return save.execute()

    def send_answer(self, Run run not None, Answer answer not None):
        return self.send(run, answer)

    cdef int send(self, Run run, Answer answer) except -2:
        answer.put(run.msg, self.rules.retry_after)
        if answer.verdict is FINE:
            return 1 if self.replies.send(run, 200, b"OK") > 0 else -1
        return 1 if self.replies.send(run, answer.verdict.status, answer.verdict.reason.encode()) > 0 else -1

    def override_q(self, Message msg not None, bytes q not None):
        msg.facets[Q_FACET] = parse_q(q)
        self.overrides_q = True


@cython.auto_pickle(False)
@cython.freelist(8)
cdef class Save:
    """One call of save()."""

    cdef int execute(self) except? -99:
        """Do it; the code for the script."""
        cdef int code
        try:
            code = self._process()
            self._saver.accepted += 1
        except Refused as refused:
            self._answer.verdict = refused.verdict
            code = refused.verdict.code
            self._saver.rejected += 1
            log.info("REGISTER %s refused: %s", callid_of(self._msg), refused.verdict.error)
        self._reply()
        return code

    cdef int _reply(self) except -1:
        cdef Answer kept = self._answer
        if self._run.kind != REQUEST_ROUTE or not self._msg.is_request:
            return 0
        if not self._flags & NO_REPLY:
            self._saver.send(self._run, self._answer)
            return 0
        if self._flags & PREPARE_REPLY:
            self._answer.put(self._msg, self._by.retry_after)
            kept = Answer()
            kept.verdict = self._answer.verdict
        kept.keep(self._msg)
        return 0

    # The REGISTER as a whole.

    cdef int _process(self) except? -99:
        cdef Message msg = self._msg
        cdef list contacts
        cdef long long seconds
        cdef bint star
        cdef bytes aor = None
        try:
            try:
                aor = self._aor()
            except Refused as error:
                no_aor = error  # told of only where the contacts are right
            contacts = contacts_of(msg)
            seconds = header_expires(msg)
            star = self._check_contacts(contacts, seconds)
            if self._by.outbound_mode or msg.first[H_REQUIRE] >= 0:
                self._check_outbound(contacts)
            if aor is None:
                raise no_aor
            if star:
                return self._remove_all(aor)
            if not contacts:
                return self._query(aor)
            return self._change(aor, contacts, seconds)
        except ParseError as error:
            raise Refused(refusal.BAD_AOR) from error

    cdef bytes _aor(self):
        cdef AddrSpan* to
        if self._uri is not None:
            return self._by.aors.aor(parse_uri(self._uri))
        to = self._msg.to_addr()
        return self._by.aors.aor_at(self._msg.p + to.uri, to.uri_len)

    cdef bint _check_contacts(self, list contacts, long long header_expires) except -1:
        """Whether all contacts are to go (`*`). Raises Refused."""
        cdef NameAddr value
        cdef bytes uri
        cdef bint star = False
        for value in contacts:
            uri = value.get_uri()
            if uri == b"*":
                if header_expires != 0:
                    raise Refused(refusal.STAR_AND_EXPIRES)
                star = True
            elif PyBytes_GET_SIZE(uri) > self._by.contact_max_size:
                raise Refused(refusal.CONTACT_TOO_LONG)
            elif b":" not in uri or breaks_lines(uri):
                raise Refused(refusal.BAD_CONTACT)
        return star

    cdef int _check_outbound(self, list contacts) except -1:
        """RFC 5626 §6, as the parameter outbound_mode has it."""
        cdef int mode = self._by.outbound_mode
        cdef bint required = extensions.requires(self._msg, b"outbound")
        if mode == 0:
            if required:
                self._answer.add(b"Unsupported: outbound\r\n")
                raise Refused(refusal.OUTBOUND_UNSUPPORTED)
            return 0
        self._use_ob = required or extensions.supports(self._msg, b"outbound")
        if mode == 2 and not self._use_ob:
            self._answer.add(b"Require: outbound\r\n")
            self._answer.add(b"Supported: outbound\r\n")
            raise Refused(refusal.OUTBOUND_REQUIRED)
        if self._use_ob and contacts and contacts[0].param(b"reg-id"):
            if not extensions.edge_supports_outbound(self._msg):
                raise Refused(refusal.EDGE_LACKS_OUTBOUND)
        return 0

    cdef int _remove_all(self, bytes aor) except? -99:
        usrloc = self._by.usrloc
        contacts = [] if usrloc.remote else list(self._domain.get(aor) or ())
        try:
            self._domain.delete_record(aor)
        except DatabaseError as error:
            log.error("contacts of %r not removed: %s", aor, error)
            raise Refused(refusal.CANNOT_DELETE_RECORD) from error
        if usrloc.settle(self._domain, contacts) is not None:
            raise Refused(refusal.CANNOT_DELETE_RECORD)
        self._add_outbound()
        return DELETED

    cdef int _query(self, bytes aor) except? -99:
        cdef list contacts = self._domain.get(aor)
        if contacts:
            self._by.usrloc.settle(self._domain, contacts)
        self._list(aor)
        self._add_outbound()
        return QUERIED

    cdef int _change(self, bytes aor, list values, long long header_expires) except? -99:
        cdef Registration registration
        cdef list wanted, found
        cdef int code
        try:
            registration = self._registration()
            wanted = self._wanted(values, header_expires)
            found = self._domain.get(aor)
            if found:
                self._find(found, registration, wanted)
            self._check_limit(found, wanted)
        except Refused:
            self._list(aor)
            raise
        code = self._apply(aor, registration, wanted, found)
        self._settle(aor, not found)
        if registration.path:
            self._add_path(registration.path)
        if self._by.outbound_mode:
            self._add_outbound()
        return code

    # What it asks for.

    cdef Registration _registration(self):
        """What it says of all its contacts. Raises Refused."""
        cdef Rules by = self._by
        cdef Message msg = self._msg
        cdef Registration registration
        cdef bytes agent = b""
        cdef int i = msg.first[H_USERAGENT]
        if i >= 0:
            agent = PyBytes_FromStringAndSize(
                <const char*>msg.p + msg.slots[i].body, msg.slots[i].body_end - msg.slots[i].body
            )
        try:
            registration = Registration(msg.get_callid(), msg.get_cseq(), self._now, agent)
        except ParseError as error:
            raise Refused(refusal.BAD_MESSAGE) from error
        if PyBytes_GET_SIZE(registration.callid) > MAX_CALLID:
            raise Refused(refusal.CALLID_TOO_LONG)
        registration.sock = msg.listener if self._settings is None and not by.sock_mask else self._sock()
        registration.cflags = msg.bflags
        registration.connection_id = msg.connection_id or -1
        registration.server_id = by.server_id
        if self._flags & MEMORY_ONLY:
            registration.flags = FL_MEM
        if by.use_path:
            registration.path = extensions.path_of(msg)
            if by.path_use_received and registration.path:
                received = extensions.path_received(registration.path, b"received")
                if received:
                    registration.received = received
                    registration.cflags |= by.usrloc.nat_flag
        if by.received_variable is not None and not registration.received:
            value = by.received_variable.get(self._run)
            if isinstance(value, str) and value:
                registration.received = value.encode("utf-8", "surrogateescape")
        if PyBytes_GET_SIZE(registration.received) > MAX_RECEIVED:
            raise Refused(refusal.CONTACT_TOO_LONG)
        if by.keeps_attributes:
            registration.xavp = self._attributes()
        return registration

    cdef object _attributes(self):
        item = lists_of(self._msg).xavps.find(self._by.usrloc.xavp_contact)
        fields = item.fields if item is not None else None
        return None if fields is None else fields.copy()

    cdef object _sock(self):
        """The listener to remember: what the script or a header says, else the one it came to."""
        cdef Message msg = self._msg
        given = self._settings.get("socket") if self._settings is not None else None
        if not isinstance(given, str) or not given:
            name = self._by.module.sock_hdr_name
            if not name or not msg.flags & self._by.sock_mask:
                return msg.listener
            header = msg.header_named(name.encode("utf-8", "surrogateescape"))
            if header is None:
                return msg.listener
            given = header.body.decode("utf-8", "replace")
        found = self._by.module.node.find_listener(given)
        if found is None:
            log.error("socket %r is none of ours: the one it came to is kept", given)
            return msg.listener
        return found

    cdef list _wanted(self, list values, long long header_expires):
        """Its contacts, checked. Raises Refused."""
        cdef NameAddr value
        cdef ContactParams params
        cdef Wanted each
        cdef object default_q = self._given_q(), override = None
        cdef unsigned int allowed = allowed_methods(self._msg)
        cdef long long mask
        cdef list wanted = []
        if self._settings is not None:
            override = self._settings.get("expires")
            if not isinstance(override, int):
                override = None
        for value in values:
            params = params_of(value)
            each = Wanted.__new__(Wanted)
            each.uri = value.get_uri()
            each.expires = self._expires(override, params.expires, header_expires)
            each.instance = params.instance or b""
            if default_q is not None:
                each.q = default_q
            else:
                each.q = parse_q(params.q) if params.q else self._by.default_q
            each.methods = allowed
            if params.methods is not None:
                mask = method_mask(params.methods)
                if mask < 0:
                    raise Refused(refusal.BAD_MESSAGE)
                each.methods = <unsigned int>mask
            if each.instance:
                each.reg_id = reg_id_of(params.reg_id)
            wanted.append(each)
        return wanted

    cdef object _given_q(self):
        """The q that the script wants for all contacts, in thousandths, or None. Raises Refused."""
        if self._saver.overrides_q:
            override = self._msg.facets.get(Q_FACET)
            if isinstance(override, int):
                return override
        given = self._settings.get("q") if self._settings is not None else None
        if not isinstance(given, int):
            return None
        if not 0 <= given <= 1000:
            raise Refused(refusal.BAD_Q)
        return given

    cdef long long _expires(self, object override, bytes given, long long header) except -1:
        """When a contact ends, absolute; 0 to remove it. Raises Refused.

        `given` is what the contact's parameter says, `override` a number of seconds that the script wants instead.
        """
        cdef Rules by = self._by
        cdef long spread = by.expires_range
        cdef long long seconds
        if override is not None:
            seconds = max(-1, min(override, MAX_EXPIRES))
        else:
            seconds = seconds_in(given) if given else header
            if not 0 <= seconds <= 0xFFFFFFFF:
                seconds = by.default_expires
                spread = by.default_expires_range
        if seconds == 0:
            return 0
        if by.min_expires and seconds < by.min_expires:
            if by.min_expires_mode:
                self._answer.add(b"Min-Expires: %d\r\n" % by.min_expires)
                raise Refused(refusal.TOO_BRIEF)
            seconds = by.min_expires
        if spread and not self._flags & EXACT_EXPIRES:
            seconds -= int(random.random() * seconds * spread / 100)
        if by.max_expires and seconds > by.max_expires:
            seconds = by.max_expires
        return self._now + min(seconds, MAX_EXPIRES)

    cdef int _find(self, list contacts, Registration registration, list wanted) except -1:
        """Find what each contact means. Raises Refused for a CSeq that is too old."""
        cdef Wanted each
        for each in wanted:
            try:
                each.found = self._domain.match(contacts, registration, each.uri, each.instance, each.reg_id)
            except Retransmission:
                each.repeated = True
            except OldCSeq as error:
                raise Refused(refusal.INVALID_CSEQ) from error
        return 0

    cdef int _check_limit(self, list contacts, list wanted) except -1:
        cdef Contact contact
        cdef Wanted each
        cdef long limit = self._by.max_contacts, number = 0
        if self._settings is not None:
            given = self._settings.get("max_contacts")
            if isinstance(given, int):
                limit = given
        if not limit or self._flags & ONE_CONTACT:
            return 0
        for contact in contacts or ():
            number += contact.is_valid(self._now)
        fresh = set()
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
        return 0

    # Doing it.

    cdef int _apply(self, bytes aor, Registration registration, list wanted, list found) except? -99:
        """Change the table; the code for the script, which tells of the last contact."""
        cdef Domain domain = self._domain
        cdef Contact contact
        cdef Wanted each
        cdef bint is_new = found is None
        cdef int code = INSERTED
        if self._flags & ONE_CONTACT and found:
            self._keep_one(wanted, found)
        for each in wanted:
            contact = each.found
            if each.repeated:
                continue
            if len(wanted) > 1 and self._is_repeated(each, registration, is_new):
                continue
            if contact is None:
                if not each.expires:
                    continue
                contact = domain.insert(
                    aor, registration, each.uri, each.expires, each.q, each.instance, each.reg_id, each.methods
                )
                code = INSERTED
            elif each.expires:
                domain.update(contact, registration, each.uri, each.expires, each.q, each.instance, each.methods)
                code = UPDATED
            else:
                domain.delete(contact)
                code = DELETED
            self._touched.append(contact)
        return code

    cdef bint _is_repeated(self, Wanted each, Registration registration, bint is_new) except -1:
        """Whether this REGISTER has dealt with the same contact already.

        As in Kamailio the first one counts, but for an AOR that had no contacts the last one.
        """
        cdef Contact contact
        for contact in self._touched:
            same = contact.uri == each.uri and contact.instance == each.instance
            if contact is each.found or (same and contact.reg_id == each.reg_id):
                if is_new and each.expires:
                    self._domain.update(contact, registration, each.uri, each.expires, each.q, b"", each.methods)
                return True
        return False

    cdef int _keep_one(self, list wanted, list contacts) except -1:
        """Remove all contacts but the one that is to stay (the flag 0x04): the first that is not to end.

        As in Kamailio, an AOR that had no contacts may get several all the same.
        """
        cdef Contact contact
        cdef Wanted each, first = None
        for each in wanted:
            if each.expires:
                first = each
                break
        if first is None:
            return 0
        for each in wanted:
            each.repeated = each is not first
        for contact in list(contacts):
            if contact is not first.found:
                self._domain.delete(contact)
                self._touched.append(contact)
        return 0

    cdef int _settle(self, bytes aor, bint is_new) except -1:
        """Wait until it is safe, and list what is there. Raises Refused."""
        if self._by.waits and self._domain.writer is not None:
            usrloc = self._by.usrloc
            # Also what others left under way: nothing is listed in a 200 that a crash could take away.
            listed = [] if usrloc.remote else self._domain.get(aor) or []
            failed = usrloc.settle(self._domain, [*self._touched, *listed])
            if failed is not None:
                if is_new and failed == INSERT:
                    for contact in self._touched:
                        usrloc.forget(self._domain, contact)
                self._list(aor)
                raise Refused(refusal.CANNOT_WRITE[failed])
        self._list(aor)
        return 0

    # What the answer says.

    cdef int _list(self, bytes aor) except -1:
        cdef Rules by = self._by
        cdef list contacts = self._domain.get(aor)
        cdef Contact contact
        gruus = None
        if by.gruu_enabled and contacts and self._msg.first[H_SUPPORTED] >= 0:
            if extensions.supports(self._msg, b"gruu"):
                to = parse_uri(self._uri if self._uri is not None else self._msg.to.uri)
                gruus = Gruus(aor, to.host, by.aors.use_domain)
        if by.records:
            for contact in contacts or ():
                if contact.is_valid(self._now):
                    by.module.record(self._msg, contact, self._now)
        self._answer.contacts = contact_line(contacts, self._now, by.received_param, gruus)
        return 0

    cdef int _add_path(self, bytes path) except -1:
        """The Path, where it is to be in the answer (the parameter path_mode). Raises Refused."""
        if self._by.path_mode == 0:
            return 0
        supported = extensions.supports(self._msg, b"path")
        if self._by.path_mode == 2 and not supported:
            self._answer.add(b"Unsupported: path\r\n")
            self._answer.add(b"Path: " + path + b"\r\n")
            self._answer.verdict = refusal.PATH_UNSUPPORTED
        elif supported:
            self._answer.add(b"Path: " + path + b"\r\n")
        return 0

    cdef int _add_outbound(self) except -1:
        if self._by.outbound_mode == 0:
            return 0
        if self._by.outbound_mode == 2:
            self._answer.add(b"Require: outbound\r\n")
            self._answer.add(b"Supported: outbound\r\n")
        else:
            self._answer.add(b"Supported: outbound\r\n")
            if self._use_ob:
                self._answer.add(b"Require: outbound\r\n")
        if self._use_ob and self._by.flow_timer:
            self._answer.add(b"Flow-Timer: %d\r\n" % self._by.flow_timer)
        return 0


cdef object callid_of(Message msg):
    try:
        return msg.get_callid().decode("utf-8", "replace")
    except ParseError:
        return "without Call-ID"
