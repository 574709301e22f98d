"""Aliases of users in a table that is asked each time (Kamailio's module alias_db)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kahea.routing.lookups import DEFAULT_URL, DatabaseError, LookupModule, column_name, without_prefix
from kahea.routing.module import Param, function, native
from kahea.routing.pv import PvError
from kahea.routing.run import BRANCH_ROUTE, FAILURE_ROUTE, LOCAL_ROUTE, REPLY_ROUTES, REQUEST_ROUTE, Run
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.message import Target
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.pv import Pv

#: URIs that one alias may stand for; further ones are left out.
MAX_URIS: Final = 100
#: The variables that `alias_db_find` writes to.
OUTPUTS: Final = ("avp", "var", "vn", "vz")


@dataclass(frozen=True, slots=True)
class Search:
    """How to look: from the user to its alias (`reverse`), by the domain, too (None: as the module is told)."""

    reverse: bool = False
    by_domain: bool | None = None


def search(flags: str) -> Search:
    """Read the letters d, r and u, of which the last of d and u counts. Raises ValueError."""
    letters = flags.lower()
    for letter in letters:
        if letter not in "dru":
            raise ValueError(f"there are the flags d, r and u, not {letter!r}")
    by_domain = [letter == "u" for letter in letters if letter in "du"]
    return Search("r" in letters, by_domain[-1] if by_domain else None)


def _search(_node: Node, flags: str) -> Search:
    return search(flags)


def _output(node: Node, given: str) -> Pv:
    try:
        pv = node.variables.compile(given)
    except PvError as error:
        raise ValueError(str(error)) from None
    if pv.name not in OUTPUTS or not pv.writable:
        raise ValueError(f"the URI can be put into $avp(...), $var(...), $vn(...) and $vz(...), not into {given!r}")
    return pv


class AliasDb(LookupModule):
    """Aliases of users in a table that is asked each time."""

    name = "alias_db"

    db_url = Param(DEFAULT_URL, "The database of aliases.")
    user_column = Param("username", "The column with the user.", check=column_name)
    domain_column = Param("domain", "The column with the user's domain.", check=column_name)
    alias_user_column = Param("alias_username", "The column with the alias's user.", check=column_name)
    alias_domain_column = Param("alias_domain", "The column with the alias's domain.", check=column_name)
    use_domain = Param(0, "1 looks for the domain, too.")
    domain_prefix = Param("", "What is taken off the front of a domain before the search.")
    append_branches = Param(0, "1 makes branches of the URIs after the first.")

    def _uris(self, table: str, uri: bytes, how: Search) -> list[bytes]:
        """The URIs that one is an alias of. Waits. Raises DatabaseError, ParseError."""
        parsed = parse_uri(uri)
        if not parsed.user:
            return []
        alias = (self.alias_user_column, self.alias_domain_column)
        owner = (self.user_column, self.domain_column)
        (user, domain), columns = (owner, alias) if how.reverse else (alias, owner)
        where = {user: text(parsed.user)}
        if self.use_domain if how.by_domain is None else how.by_domain:
            where[domain] = without_prefix(text(parsed.host), self.domain_prefix)
        rows = self._lookups.rows(table, columns, where, limit=MAX_URIS if self.append_branches else 1)
        return [wire(f"sip:{name}@{host}") for name, host in rows if name is not None and host is not None]

    def _rewrite(self, run: Run, table: str, how: Search) -> int:
        msg = run.msg
        if not msg.is_request:
            return -1
        try:
            uris = self._uris(table, msg.uri, how)
        except (DatabaseError, ParseError) as error:
            self.node.log.error("alias_db_lookup: of %r: %s", text(msg.uri), error)
            return -1
        if not uris:
            return -1
        msg.set_uri(uris[0])
        for uri in uris[1:]:
            if len(msg.branches) >= self.node.settings.max_branches - 1:
                self.node.log.error("alias_db_lookup: no more than %d branches", self.node.settings.max_branches)
                return -1
            msg.branches.append(Target(uri, q=0))
        return 1

    @function
    def lookup(self, run: Run, table: str) -> int:
        """Replace the Request-URI, if a table has it as an alias, by its user's; -1 if it has not."""
        return self._rewrite(run, table, Search())

    @function
    def lookup_ex(self, run: Run, table: str, flags: str) -> int:
        """As `lookup`, with letters: `d` looks for the user alone, `u` for the domain, too, `r` for a user's alias."""
        try:
            how = search(flags)
        except ValueError as error:
            self.node.log.error("alias_db.lookup_ex: %s", error)
            return -1
        return self._rewrite(run, table, how)

    @native("str", _search, least=1, name="alias_db_lookup", routes=REQUEST_ROUTE | FAILURE_ROUTE)
    def lookup_native(self, run: Run, table: str, flags: Search = Search()) -> int:
        """As `lookup` or `lookup_ex`, the letters read with the cfg."""
        return self._rewrite(run, table, flags)

    @native(
        "str", "str", _output, _search, least=3, name="alias_db_find",
        routes=REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | BRANCH_ROUTE | LOCAL_ROUTE,
    )  # fmt: skip
    def find(self, run: Run, table: str, uri: str, output: Pv, flags: Search = Search()) -> int:
        """Put the URI that another is an alias of into a variable; -1 if it is none. With `append_branches`, each URI
        in turn, so that an AVP has them all."""
        try:
            uris = self._uris(table, wire(uri), flags)
        except (DatabaseError, ParseError) as error:
            self.node.log.error("alias_db_find: of %r: %s", uri, error)
            return -1
        if not uris:
            return -1
        for found in uris:
            output.set(run, text(found))
        return 1


MODULE = AliasDb
