"""Short numbers of users, in a table (Kamailio's module speeddial)."""

from __future__ import annotations

from kahea.routing.lookups import DEFAULT_URL, DatabaseError, LookupModule, column_name, without_prefix
from kahea.routing.module import Param, function, native
from kahea.routing.run import REQUEST_ROUTE, Run
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.uri import parse_uri


class SpeedDial(LookupModule):
    """Short numbers of users, in a table."""

    name = "speeddial"

    db_url = Param(DEFAULT_URL, "The database of short numbers.")
    user_column = Param("username", "The column with the owner's user.", check=column_name)
    domain_column = Param("domain", "The column with the owner's domain.", check=column_name)
    sd_user_column = Param("sd_username", "The column with the short number.", check=column_name)
    sd_domain_column = Param("sd_domain", "The column with the domain that it is dialled in.", check=column_name)
    new_uri_column = Param("new_uri", "The column with the URI that it stands for.", check=column_name)
    domain_prefix = Param("", "What is taken off the front of a domain before the search.")
    use_domain = Param(0, "1 looks for the owner's domain, too; 2 for that of the Request-URI as well.")

    def _host(self, host: bytes) -> str:
        return without_prefix(text(host), self.domain_prefix)

    @native("str", "str", least=1, name="sd_lookup", routes=REQUEST_ROUTE)
    def sd_lookup(self, run: Run, table: str, owner: str = "") -> int:
        """As `lookup`, or `lookup_owner`."""
        return self.lookup_owner(run, table, owner)

    @function
    def lookup(self, run: Run, table: str) -> int:
        """Replace the Request-URI, if it is a short number of the user in From, by what it stands for; -1 if not."""
        return self.lookup_owner(run, table, "")

    @function
    def lookup_owner(self, run: Run, table: str, owner: str) -> int:
        """As `lookup`, for the user of another URI; "" is the one in From."""
        msg = run.msg
        if not msg.is_request:
            return -1
        try:
            whose = parse_uri(wire(owner) if owner else msg.from_.uri)
            dialled = parse_uri(msg.uri)
        except ParseError as error:
            self.node.log.error("speeddial: of %s and %r: %s", owner or "From", text(msg.uri), error)
            return -1
        if not whose.user or not dialled.user:
            return -1
        where = {self.user_column: text(whose.user), self.sd_user_column: text(dialled.user)}
        if self.use_domain >= 1:
            where[self.domain_column] = self._host(whose.host)
        if self.use_domain >= 2:
            where[self.sd_domain_column] = self._host(dialled.host)
        try:
            rows = self._lookups.rows(table, (self.new_uri_column,), where, limit=1)
        except DatabaseError as error:
            self.node.log.error("speeddial: %s", error)
            return -1
        if not rows or rows[0][0] is None:
            return -1
        uri = str(rows[0][0])
        msg.set_uri(wire(uri if uri.startswith("sip:") else f"sip:{uri}"))
        return 1


MODULE = SpeedDial
