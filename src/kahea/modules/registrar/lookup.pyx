# cython: language_level=3
"""lookup() and its kin: where a user is becomes where a request goes (RFC 3261 §16.5, RFC 3327, RFC 5627).

Compiled, since every call to a user asks.
"""

import logging

cimport cython

from kahea.modules.registrar.bindings cimport method_bit
from kahea.modules.registrar.rules cimport Rules
from kahea.modules.usrloc.contact cimport Contact, bare_instance
from kahea.modules.usrloc.domain cimport Domain
from kahea.routing.dispatch cimport Run
from kahea.sip.message cimport M_OTHER, Message
from kahea.sip.uri cimport Uri, parse_uri
from kahea.sip.values cimport Target

from kahea.modules.registrar.refusal import Refused
from kahea.modules.usrloc.locations import is_stream
from kahea.routing.lists import lists_of
from kahea.sip.errors import ParseError
from kahea.sip.message import parse_name_addrs

log = logging.getLogger("kahea.registrar")

# What lookup() returns.
FOUND = 1
NOT_FOUND = -1
NO_METHOD = -2
FAILED = -3

cdef enum:
    C_FOUND = 1
    C_NOT_FOUND = -1
    C_NO_METHOD = -2
    C_FAILED = -3
    # Bits of lookup_filter_mode.
    BY_BRANCH_FLAGS = 1
    BY_CONNECTION = 2
    MAX_BRANCHES = 64  # more a request can't have


@cython.auto_pickle(False)
cdef class Lookups:
    """The look-ups of one registrar."""

    def __init__(self, Rules rules not None):
        self.rules = rules

    def lookup(self, Run run not None, str table not None):
        return self.to_request(run.msg, self.rules.table(table), run.msg.get_uri())

    def lookup_uri(self, Run run not None, str table not None, str uri not None):
        return self.to_request(run.msg, self.rules.table(table), uri.encode("utf-8", "surrogateescape"))

    def lookup_to_dset(self, Run run not None, str table not None, str uri not None):
        return self.to_branches(run.msg, self.rules.table(table), uri.encode("utf-8", "surrogateescape"))

    def lookup_branches(self, Run run not None, str table not None):
        cdef Message msg = run.msg
        cdef Domain domain = self.rules.table(table)
        cdef Target branch
        cdef list bare, codes
        if domain is None:
            return NOT_FOUND
        bare = [branch for branch in msg._branches or () if is_bare(branch)]
        codes = [self.to_request(msg, domain, msg.get_uri())]
        for branch in bare:
            codes.append(self._to_branch(msg, domain, branch))
        return FOUND if FOUND in codes else codes[len(codes) - 1]

    cdef int to_request(self, Message msg, Domain domain, bytes uri) except? -99:
        """Send the request itself to the first contact, and branches to the others."""
        cdef Search search
        cdef Contact first
        cdef bytes path, dst_uri
        if domain is None:
            return C_NOT_FOUND
        search = begin(self.rules, msg, domain)
        search.find(uri)
        if not search.chosen:
            return search.code
        first = search.chosen[0]
        try:
            path = search.path_of(first)
            dst_uri = destination_of(first, path)
        except ParseError as error:
            log.error("path of %r: %s", first, error)
            return C_FAILED
        msg.set_uri(first.uri)
        msg.path = path
        msg._dst_uri = dst_uri
        msg.q = first.q
        msg.instance = first.instance
        msg.ruid = first.ruid
        msg.location_ua = first.user_agent
        msg.reg_id = first.reg_id
        msg.bflags |= first.cflags
        if first.sock is not None:
            msg.send_sock = first.sock
        if self.rules.records:
            self.rules.module.record(msg, first, search.now)
        search.restore(first, 0)
        search.append(1)
        return C_FOUND

    cdef int to_branches(self, Message msg, Domain domain, bytes uri) except? -99:
        """Make a branch of every contact, and leave the request as it is."""
        cdef Search search
        if domain is None:
            return C_NOT_FOUND
        search = begin(self.rules, msg, domain)
        search.find(uri)
        if not search.chosen:
            return search.code
        search.append(0)
        return C_FOUND

    cdef int _to_branch(self, Message msg, Domain domain, Target target) except? -99:
        """Send a branch that has nothing but a URI to the first contact of that, and more to the others."""
        cdef Search search = begin(self.rules, msg, domain)
        cdef Contact first
        cdef bytes path, dst_uri
        search.find(target.uri)
        if not search.chosen:
            return search.code
        first = search.chosen[0]
        try:
            path = search.path_of(first)
            dst_uri = destination_of(first, path)
        except ParseError as error:
            log.error("path of %r: %s", first, error)
            return C_FAILED
        target.uri = first.uri
        target.dst_uri = dst_uri
        target.path = path
        target.q = first.q
        target.flags = first.cflags
        target.sock = first.sock
        search.append(1)
        return C_FOUND


cdef bint is_bare(Target branch) except -1:
    """Whether a branch has nothing but a URI (and perhaps a q)."""
    return not (branch.dst_uri or branch.path or branch.flags or branch.sock or branch.instance or branch.ruid)


cdef Search begin(Rules rules, Message msg, Domain domain):
    cdef Search search = Search.__new__(Search)
    search.rules = rules
    search.msg = msg
    search.domain = domain
    search.now = rules.now()
    return search


cdef bytes destination_of(Contact contact, bytes path):
    """The destination URI of a contact, which is reached by that path. Raises ParseError for a broken one."""
    if path is not None:
        return parse_name_addrs(path)[0].uri
    return contact.received or None


@cython.auto_pickle(False)
@cython.freelist(8)
cdef class Search:
    """One look-up for a message."""

    cdef int find(self, bytes uri) except -1:
        cdef Uri parsed
        cdef bytes aor, gruu = None
        cdef list contacts
        cdef Contact contact
        try:
            parsed = parse_uri(uri)
            if parsed.is_sip and parsed.params:
                gruu = parsed.param(b"gr")
                if gruu is not None and not gruu:
                    return self.find_temporary(parsed)
            aor = self.rules.aors.aor(parsed)
        except (ParseError, Refused) as error:
            log.info("no AOR in %r: %s", uri, error)
            self.code = C_FAILED
            return 0
        contacts = self.domain.get(aor)
        if contacts is None:
            self.code = C_NOT_FOUND
            return 0
        self.choose(contacts)
        if gruu is None or not self.chosen:
            return 0
        for contact in self.chosen:
            if bare_instance(contact.instance) == gruu:
                self.chosen = [contact]
                return 0
        self.code = C_NOT_FOUND
        self.chosen = None
        return 0

    cdef int find_temporary(self, object uri) except -1:
        ruid, dash, hashed = uri.user.rpartition(b"-")
        try:
            number = int(hashed[::-1], 16)
        except ValueError:
            dash = b""
        if not dash:
            log.info("%r is no temporary GRUU of ours", uri.raw)
            self.code = C_FAILED
            return 0
        contact = self.domain.find_temporary(number, ruid)
        if contact is None:
            self.code = C_NOT_FOUND
        else:
            self.choose([contact])
        return 0

    cdef int choose(self, list contacts) except -1:
        """Take those that are valid and can take this request."""
        cdef Rules rules = self.rules
        cdef Contact contact
        cdef long long now = 0 if rules.finds_expired else self.now
        cdef unsigned int method = self.method() if rules.filters_methods else 0
        flags = None
        if rules.filter_mode & BY_BRANCH_FLAGS and rules.sets:
            settings = rules.module.settings_of(self.msg)
            flags = settings.get("rlf_bflags") if settings is not None else None
        self.code = C_NOT_FOUND
        self.chosen = []
        for contact in contacts:
            if not contact.is_valid(now):
                continue
            if method and not contact.methods & method:
                self.code = C_NO_METHOD
                continue
            if isinstance(flags, int) and flags and not contact.cflags & flags:
                continue
            if rules.filter_mode & BY_CONNECTION and not is_connected(contact):
                continue
            self.chosen.append(contact)
        if self.chosen:
            self.code = C_FOUND
        return 0

    cdef unsigned int method(self) except? 0:
        """The bit of the request's method if that matters: it does not within a dialog."""
        cdef Message msg = self.msg
        if not msg.is_request:
            return 0
        try:
            if msg.to_addr().tag_len > 0:
                return 0
        except ParseError:
            return 0
        return <unsigned int>(msg.method_id if msg.method_id != M_OTHER else method_bit(msg.get_method()))

    cdef bytes path_of(self, Contact contact):
        """The path of a contact, None for none. Raises ParseError for a broken one."""
        cdef bytes path = contact.path
        if path and self.rules.path_check_local:
            path = without_local(self.rules.module.node, path)
        return path or None

    cdef int append(self, Py_ssize_t first) except -1:
        """Make branches of the chosen contacts from one on (parameter append_branches)."""
        cdef Message msg = self.msg
        cdef Contact contact
        cdef Target target
        cdef bytes path, dst_uri
        cdef Py_ssize_t i
        if not self.rules.append_branches:
            return 0
        for i in range(first, len(self.chosen)):
            contact = self.chosen[i]
            if msg._branches is None:
                msg._branches = []
            if len(msg._branches) >= MAX_BRANCHES:
                log.error("%r has more contacts than a request can have branches", contact.aor)
                return 0
            try:
                path = self.path_of(contact)
                dst_uri = destination_of(contact, path)
            except ParseError as error:
                log.error("path of %r: %s", contact, error)
                continue
            target = Target(
                contact.uri, dst_uri, path, contact.q, contact.cflags, contact.sock, contact.ruid, contact.instance,
                contact.user_agent, contact.reg_id, max(0, contact.connection_id),
            )
            msg._branches.append(target)
            self.restore(contact, len(msg._branches))
        return 0

    cdef int restore(self, Contact contact, Py_ssize_t at) except -1:
        """Give the attributes that were kept with a contact back, as the XAVP with the branch's index."""
        if contact.xavp is not None and self.rules.keeps_attributes:
            lists_of(self.msg).xavps.insert_at(self.rules.usrloc.xavp_contact, contact.xavp.copy(), at)
        return 0


cdef bint is_connected(Contact contact) except -1:
    """Whether a contact over a connection still has it; others always count."""
    if not is_stream(contact):
        return True
    table = getattr(contact.sock, "table", None)
    return table is not None and table.get(contact.connection_id) is not None


cdef bytes without_local(object node, bytes path):
    """The path without its first hop, if that is this server."""
    hops = parse_name_addrs(path)
    if not node.is_myself(parse_uri(hops[0].uri).host):
        return path
    if len(hops) == 1:
        return b""
    comma = path.find(b",", hops[0].end - 1)
    return path[comma + 1:] if comma >= 0 else b""
