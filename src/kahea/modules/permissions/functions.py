"""The functions that scripts call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from kahea.connectors.errors import DatabaseError
from kahea.modules.permissions.loading import PermissionsTables
from kahea.modules.permissions.rules import Permissions, Rules
from kahea.modules.permissions.sources import BadRecord, query_of
from kahea.modules.permissions.trusted import Peer, Rule, proto_of, rule_of
from kahea.routing.module import ConfigError, function, native
from kahea.routing.run import FAILURE_ROUTE, REQUEST_ROUTE, can_wait, wait
from kahea.routing.text import text
from kahea.sip.errors import ParseError
from kahea.sip.message import H_CONTACT
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kahea.connectors.sql import Database
    from kahea.modules.permissions.addresses import Entry
    from kahea.routing.node import Node
    from kahea.routing.pv import Pv
    from kahea.routing.run import Run

ALLOWED: Final = 1
DENIED: Final = -1
_DEFAULT_GROUP: Final = 1
_REGISTERING: Final = REQUEST_ROUTE | FAILURE_ROUTE


def _read(node: Node, read: Callable[[Any], Any]) -> Any:
    """What a function's argument means to the module, when a script is loaded. Raises ValueError."""
    try:
        return read(node.module("permissions"))
    except ConfigError as error:
        raise ValueError(str(error)) from error


def _files(node: Node, basename: str) -> Permissions:
    """The two files of a basename, as they are now. Raises ValueError."""
    found: Permissions = _read(node, lambda permissions: permissions.files_of(basename, again=True))
    return found


def _file(node: Node, name: str) -> Rules:
    """One file, as it is now. Raises ValueError."""
    found: Rules = _read(node, lambda permissions: permissions.rules_of(name, again=True))
    return found


def _without_port(uri: bytes, *, at: bool) -> str:
    """A URI as rules are written for: scheme, user and host; with `at`, an @ also where there is no user. Raises
    ParseError."""
    parsed = parse_uri(uri)
    user = text(parsed.user)
    return f"sip:{user}{'@' if user or at else ''}{text(parsed.host)}"


class PermissionsFunctions(PermissionsTables):
    """Who may do what: by address, by rules in files, and peers that need no authentication."""

    # ---- by address

    def _allow(self, run: Run, host: str, port: int, group: int | None) -> Entry | None:
        """The entry of an address, of a group or of any. Its tag goes into the AVP."""
        if self.addresses is None:
            return None
        found = self.addresses.find(host, port, group)
        # Of a name that is found without its group, Kamailio sets no tag.
        if found is not None and (group is not None or found.ip is not None):
            self._set_tag(run, found.tag)
        return found

    def _set_tag(self, run: Run, tag: str | None) -> None:
        if self.tag is not None and tag is not None:
            self.tag.set(run, tag)

    @function
    @native("int", "str", "int")
    def allow_address(self, run: Run, group: int, address: str, port: int) -> int:
        """Whether an address or name and a port are in a group; -1 if not.

        Names are compared as they are written, and never resolved.
        """
        return DENIED if self._allow(run, address, port, group) is None else ALLOWED

    @native("int", least=0, name="allow_source_address")
    def allow_source_address_native(self, run: Run, group: int = _DEFAULT_GROUP) -> int:
        """As `allow_source_address`, of group 1 unless another is given."""
        return self.allow_source_address(run, group)

    @function
    def allow_source_address(self, run: Run, group: int) -> int:
        """Whether the address and port that the message came from are in a group; -1 if not."""
        return self.allow_address(run, group, text(run.msg.src_ip), run.msg.src_port)

    @function
    @native()
    def allow_source_address_group(self, run: Run) -> int:
        """The group of the address and port that the message came from; -1 if they are in none."""
        return self.allow_address_group(run, text(run.msg.src_ip), run.msg.src_port)

    @function
    @native("str", "int")
    def allow_address_group(self, run: Run, address: str, port: int) -> int:
        """The group of an address or name and a port; -1 if they are in none."""
        found = self._allow(run, address, port, None)
        return DENIED if found is None else found.group

    # ---- trusted peers

    @function
    @native()
    def allow_trusted(self, run: Run) -> int:
        """Whether the peer that sent the message needs no authentication; -1 if it does.

        With `peer_tag_mode` 1, how many rows of the table `trusted` fit it. Without `db_mode` 1, the call waits for the
        database.
        """
        return self._trust(run, text(run.msg.src_ip), run.msg.proto, None)

    @native("str", "str", "str", least=2, name="allow_trusted")
    def allow_trusted_native(self, run: Run, address: str, proto: str, uri: str | None = None) -> int:
        """As `allow_trusted`, for a source address, a protocol or "any", and a URI in place of the one in From."""
        known = proto_of(proto)
        if known is None:
            self.node.log.error("allow_trusted: there is no protocol %r", proto)
            return DENIED
        return self._trust(run, address, known, uri)

    def _trust(self, run: Run, source: str, proto: int, uri: str | None) -> int:
        try:
            from_uri = text(run.msg.from_.uri) if uri is None else uri
        except ParseError as error:
            self.node.log.error("allow_trusted: %s", error)
            return DENIED
        ruri = text(run.msg.uri) if run.msg.is_request else ""
        found = 0
        for rule in self._rules_of_source(source):
            if rule.fits(Peer(source, proto, from_uri, ruri)):
                found += 1
                self._set_tag(run, rule.tag)
                if not self.peer_tag_mode:
                    break
        return found or DENIED

    def _rules_of_source(self, source: str) -> Iterable[Rule]:
        if self.trusted is not None:
            return self.trusted.of(source)
        if self.database is None or self.db_mode:
            self.node.log.error("allow_trusted: no trusted peers are loaded: see db_url and load_backends")
            return ()
        if not can_wait():
            self.node.log.error("allow_trusted: this route can't wait for the database; db_mode 1 needs not wait")
            return ()
        try:
            rows = wait(self._query_trusted(self.database, source))
        except DatabaseError as error:
            self.node.log.error("allow_trusted: %s", error)
            return ()
        return self._rules(rows)

    async def _query_trusted(self, database: Database, source: str) -> Sequence[Any]:
        from sqlalchemy import column

        query = query_of(self.trusted_table, self.trusted_columns)
        return await database.fetch(query.where(column(self.source_col) == source).order_by(column(self.priority_col)))

    def _rules(self, rows: Iterable[Sequence[Any]]) -> Iterable[Rule]:
        for row in rows:
            try:
                rule = rule_of(row)
            except BadRecord as error:
                self.node.log.error("allow_trusted: %s", error)
            else:
                if rule is not None:
                    yield rule

    # ---- by rules in files

    @function
    @native()
    def allow_routing(self, run: Run) -> int:
        """Whether the default files of rules let From call the targets of the request; -1 if not.

        The pairs are the From URI with each branch as `sip:user@host`. They may pass if the one file allows all of
        them, or the other denies none.
        """
        try:
            files = Permissions(self.rules_of(self.default_allow_file), self.rules_of(self.default_deny_file))
        except ConfigError as error:
            self.node.log.error("allow_routing: %s", error)
            return DENIED
        return self.allow_routing_with(run, files)

    @native(_files, name="allow_routing")
    def allow_routing_with(self, run: Run, files: Permissions) -> int:
        """As `allow_routing`, with the files of a basename."""
        msg = run.msg
        if not files:
            return ALLOWED
        if not msg.is_request:
            self.node.log.error("allow_routing: a reply has no targets")
            return DENIED
        branches = msg.branches if self.check_all_branches else ()
        try:
            targets = [_without_port(uri, at=True) for uri in (msg.uri, *(branch.uri for branch in branches))]
            return ALLOWED if files.let(text(msg.from_.uri), targets) else DENIED
        except ParseError as error:
            self.node.log.error("allow_routing: %s", error)
            return DENIED

    @native(_file, _file, name="allow_routing")
    def allow_routing_files(self, run: Run, allow: Rules, deny: Rules) -> int:
        """As `allow_routing`, with a file that allows and one that denies."""
        return self.allow_routing_with(run, Permissions(allow, deny))

    @function
    def allow_register(self, run: Run, basename: str) -> int:
        """Whether the files of a basename let the user in To register the contacts of the request; -1 if not.

        The pairs are the To URI with each contact as `sip:user@host`; without any, and for `*`, there is nothing to
        forbid.
        """
        try:
            files = self.files_of(basename)
        except ConfigError as error:
            self.node.log.error("allow_register: %s", error)
            return DENIED
        return self.allow_register_with(run, files)

    @native(_files, name="allow_register", routes=_REGISTERING)
    def allow_register_with(self, run: Run, files: Permissions) -> int:
        """As `allow_register`, with files that were read when the script was loaded."""
        if not files:
            return ALLOWED
        try:
            contacts = [contact.uri for contact in run.msg.name_addrs(H_CONTACT)]
            if not contacts or contacts == [b"*"]:
                return ALLOWED
            targets = [_without_port(uri, at=False) for uri in contacts]
            return ALLOWED if files.let(text(run.msg.to.uri), targets) else DENIED
        except ParseError as error:
            self.node.log.error("allow_register: %s", error)
            return DENIED

    @native(_file, _file, name="allow_register", routes=_REGISTERING)
    def allow_register_files(self, run: Run, allow: Rules, deny: Rules) -> int:
        """As `allow_register`, with a file that allows and one that denies."""
        return self.allow_register_with(run, Permissions(allow, deny))

    @function
    def allow_uri(self, run: Run, basename: str, uri: str) -> int:
        """Whether the files of a basename let the From URI go with another; -1 if not."""
        try:
            return self._allow_uri(run, self.files_of(basename), uri)
        except ConfigError as error:
            self.node.log.error("allow_uri: %s", error)
            return DENIED

    @native(_files, "pv", name="allow_uri", routes=_REGISTERING)
    def allow_uri_native(self, run: Run, files: Permissions, variable: Pv) -> int:
        """As `allow_uri`, for the value of a variable; -1 for $null."""
        if not files:
            return ALLOWED
        value = variable.get(run)
        if value is None:
            self.node.log.error("allow_uri: %s has no value", variable.text)
            return DENIED
        return self._allow_uri(run, files, str(value))

    def _allow_uri(self, run: Run, files: Permissions, uri: str) -> int:
        try:
            return ALLOWED if files.let(text(run.msg.from_.uri), (uri,)) else DENIED
        except ParseError as error:
            self.node.log.error("allow_uri: %s", error)
            return DENIED
