"""lookup() and its kin: where a user is becomes where a request goes (RFC 3261 §16.5, RFC 3327, RFC 5627)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from kahea.modules.registrar.bindings import method_bit
from kahea.modules.registrar.refusal import Refused
from kahea.modules.usrloc.contact import Contact, bare_instance
from kahea.modules.usrloc.locations import is_stream
from kahea.routing.lists import Xavps, Xitem, lists_of
from kahea.routing.text import text
from kahea.sip.errors import ParseError
from kahea.sip.message import M_OTHER, Target, parse_name_addrs
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.modules.registrar.functions import Registrar
    from kahea.modules.usrloc.domain import Domain
    from kahea.routing.run import Run
    from kahea.sip.message import Message
    from kahea.sip.uri import Uri

log = logging.getLogger("kahea.registrar")

# What lookup() returns.
FOUND: Final = 1
NOT_FOUND: Final = -1
NO_METHOD: Final = -2
FAILED: Final = -3

# Bits of lookup_filter_mode.
BY_BRANCH_FLAGS: Final = 1
BY_CONNECTION: Final = 2

#: More branches than this a request can't have.
MAX_BRANCHES: Final = 64


class Hop:
    """Where a contact is sent to: its path and destination URI."""

    __slots__ = ("dst_uri", "path")

    def __init__(self, path: bytes | None, dst_uri: bytes | None) -> None:
        self.path = path
        self.dst_uri = dst_uri


class Lookup:
    """Look-ups for one message."""

    __slots__ = ("_domain", "_module", "_msg", "_now", "_run")

    def __init__(self, module: Registrar, run: Run, domain: Domain) -> None:
        self._module = module
        self._run = run
        self._msg: Message = run.msg
        self._domain = domain
        self._now = int(module.node.wall())

    # ---- finding

    def find(self, uri: bytes) -> tuple[int, list[Contact]]:
        """The code for the script, and the contacts to try in order (empty if the code is below 0)."""
        try:
            parsed = parse_uri(uri)
            gruu = parsed.param(b"gr") if parsed.is_sip else None
            if gruu == b"":
                return self._find_temporary(parsed)
            aor = self._module.aors.aor(parsed)
        except (ParseError, Refused) as error:
            log.info("no AOR in %r: %s", uri, error)
            return FAILED, []
        contacts = self._domain.get(aor)
        if contacts is None:
            return NOT_FOUND, []
        code, chosen = self._choose(contacts)
        if gruu is None or not chosen:
            return code, chosen
        for contact in chosen:
            if bare_instance(contact.instance) == gruu:
                return FOUND, [contact]
        return NOT_FOUND, []

    def _find_temporary(self, uri: Uri) -> tuple[int, list[Contact]]:
        ruid, dash, hashed = uri.user.rpartition(b"-")
        try:
            number = int(hashed[::-1], 16)
        except ValueError:
            dash = b""
        if not dash:
            log.info("%r is no temporary GRUU of ours", uri.raw)
            return FAILED, []
        contact = self._domain.find_temporary(number, ruid)
        return (NOT_FOUND, []) if contact is None else self._choose([contact])

    def _choose(self, contacts: list[Contact]) -> tuple[int, list[Contact]]:
        """Those that are valid and can take this request."""
        module = self._module
        now = 0 if module.use_expired_contacts else self._now
        code = NOT_FOUND
        chosen = []
        mode = module.lookup_filter_mode
        settings = module.settings_of(self._msg) if mode & BY_BRANCH_FLAGS else None
        flags = settings.get("rlf_bflags") if settings is not None else None
        method = self._method() if module.method_filtering else 0
        for contact in contacts:
            if not contact.is_valid(now):
                continue
            if method and not contact.methods & method:
                code = NO_METHOD
                continue
            if isinstance(flags, int) and flags and not contact.cflags & flags:
                continue
            if mode & BY_CONNECTION and not self._is_connected(contact):
                continue
            chosen.append(contact)
        return (FOUND, chosen) if chosen else (code, chosen)

    def _method(self) -> int:
        """The bit of the request's method if that matters: it does not within a dialog."""
        msg = self._msg
        if not msg.is_request:
            return 0
        try:
            if msg.to.tag:
                return 0
        except ParseError:
            return 0
        return msg.method_id if msg.method_id != M_OTHER else method_bit(msg.method)

    def _is_connected(self, contact: Contact) -> bool:
        """Whether a contact over a connection still has it; others always count."""
        if not is_stream(contact):
            return True
        table: Any = getattr(contact.sock, "table", None)
        return table is not None and table.get(contact.connection_id) is not None

    # ---- using

    def hop_of(self, contact: Contact) -> Hop:
        """The path and destination of a contact. Raises ParseError for a broken path."""
        path = contact.path
        if path and self._module.path_check_local:
            path = self._without_local(path)
        if path:
            return Hop(path, parse_name_addrs(path)[0].uri)
        return Hop(None, contact.received or None)

    def _without_local(self, path: bytes) -> bytes:
        """The path without its first hop, if that is this server."""
        hops = parse_name_addrs(path)
        if not self._module.node.is_myself(parse_uri(hops[0].uri).host):
            return path
        if len(hops) == 1:
            return b""
        return path[path.index(b",", hops[0].end - 1) + 1 :] if b"," in path[hops[0].end - 1 :] else b""

    def to_request(self, uri: bytes) -> int:
        """Send the request itself to the first contact, and branches to the others."""
        code, contacts = self.find(uri)
        if not contacts:
            return code
        first = contacts[0]
        msg = self._msg
        try:
            hop = self.hop_of(first)
        except ParseError as error:
            log.error("path of %r: %s", first, error)
            return FAILED
        msg.set_uri(first.uri)
        msg.path = hop.path
        msg.dst_uri = hop.dst_uri
        msg.q = first.q
        msg.instance = first.instance
        msg.ruid = first.ruid
        msg.location_ua = first.user_agent
        msg.reg_id = first.reg_id
        msg.bflags |= first.cflags
        if first.sock is not None:
            msg.send_sock = first.sock
        self._module.record(msg, first, self._now)
        self._restore(first, 0)
        if self._module.append_branches:
            self._append(contacts[1:])
        return FOUND

    def to_branches(self, uri: bytes) -> int:
        """Make a branch of every contact, and leave the request as it is."""
        code, contacts = self.find(uri)
        if not contacts:
            return code
        if self._module.append_branches:
            self._append(contacts)
        return FOUND

    def to_branch(self, target: Target) -> int:
        """Send a branch that has nothing but a URI to the first contact of that, and more to the others."""
        code, contacts = self.find(target.uri)
        if not contacts:
            return code
        first = contacts[0]
        try:
            hop = self.hop_of(first)
        except ParseError as error:
            log.error("path of %r: %s", first, error)
            return FAILED
        target.uri = first.uri
        target.dst_uri = hop.dst_uri
        target.path = hop.path
        target.q = first.q
        target.flags = first.cflags
        target.sock = first.sock
        if self._module.append_branches:
            self._append(contacts[1:])
        return FOUND

    def _append(self, contacts: list[Contact]) -> None:
        msg = self._msg
        for contact in contacts:
            if len(msg.branches) >= MAX_BRANCHES:
                log.error("%r has more contacts than a request can have branches", contact.aor)
                return
            try:
                hop = self.hop_of(contact)
            except ParseError as error:
                log.error("path of %r: %s", contact, error)
                continue
            msg.branches.append(
                Target(
                    contact.uri,
                    hop.dst_uri,
                    hop.path,
                    contact.q,
                    contact.cflags,
                    contact.sock,
                    contact.ruid,
                    contact.instance,
                    contact.user_agent,
                    contact.reg_id,
                    max(0, contact.connection_id),
                )
            )
            self._restore(contact, len(msg.branches))

    def _restore(self, contact: Contact, at: int) -> None:
        """Give the attributes that were kept with a contact back, as the XAVP with the branch's index."""
        name = self._module.usrloc.xavp_contact
        if name and contact.xavp is not None:
            insert_at(lists_of(self._msg).xavps, name, contact.xavp.copy(), at)


def insert_at(xavps: Xavps, name: str, fields: Xavps, at: int) -> None:
    """Put an XAVP where its index is `at`, with empty ones before it if there are too few."""
    for _ in range(at - xavps.count(name)):
        xavps.append(name, None)
    item = xavps.find(name, at) if at < xavps.count(name) else None
    if item is None:
        xavps.append(name, fields)
        return
    xavps.items.insert(xavps.items.index(item) + 1, Xitem(item.key, name, fields))


def describe(contact: Contact, now: int, mask: int) -> list[tuple[str, int | str]]:
    """What xavp_rcd says of a contact; bits of `mask` leave parts out."""
    values: list[tuple[str, int | str]] = []
    if not mask & 1:
        values.append(("ruid", text(contact.ruid)))
    if not mask & 2:
        values.append(("contact", text(contact.uri)))
    if not mask & 4:
        values.append(("expires", contact.expires - now))
    if contact.received and not mask & 8:
        values.append(("received", text(contact.received)))
    if contact.path and not mask & 16:
        values.append(("path", text(contact.path)))
    return values
