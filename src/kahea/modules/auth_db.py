"""Digest authentication against a table of subscribers (Kamailio's module auth_db)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from kahea.routing.lists import lists_of
from kahea.routing.lookups import DEFAULT_URL, DatabaseError, Lookups, column_name
from kahea.routing.module import Module, Param, function, native
from kahea.routing.run import REQUEST_ROUTE, Run
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.message import (
    H_AUTHORIZATION,
    H_PROXYAUTHORIZATION,
    M_ACK,
    M_BYE,
    M_CANCEL,
    M_INVITE,
    M_MESSAGE,
    M_PRACK,
    M_UPDATE,
)  # fmt: skip
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kahea.routing.node import Node

#: The version of the table `subscriber`.
VERSION: Final = 7

RIGHT: Final = 1
FAILED: Final = -1
NOT_FOUND: Final = -2
NO_USER: Final = -3
OTHER_USER: Final = -8

# Flags of auth_check.
_SAME_USER: Final = 1
_ANYBODY_CALLS: Final = 2
#: Requests that may come from a caller who hides the name.
_ANONYMOUS: Final = frozenset((M_INVITE, M_BYE, M_PRACK, M_UPDATE, M_MESSAGE))
# Flags of is_subscriber.
_BY_DOMAIN: Final = 1
_LOAD_NOTHING: Final = 2

_CREDENTIAL: Final = re.compile(r"(?:\$avp\(([^()]+)\)\s*=\s*)?([A-Za-z_][A-Za-z0-9_]{0,63})")


class Loaded(NamedTuple):
    """A column of the subscriber that goes into an AVP."""

    avp: str
    column: str


def _loaded(value: str) -> list[Loaded]:
    found = []
    for part in filter(None, (p.strip() for p in value.split(";"))):
        match = _CREDENTIAL.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is neither a column nor $avp(name)=column")
        found.append(Loaded((match[1] or match[2]).removeprefix("s:"), match[2]))
    return found


def _credentials(value: str) -> str:
    _loaded(value)
    return value


class AuthDb(Module):
    """Digest authentication against a table of subscribers."""

    name = "auth_db"
    needs = ("auth",)

    db_url = Param(DEFAULT_URL, "The database of subscribers.")
    user_column = Param("username", "The column with the user.", check=column_name)
    domain_column = Param("domain", "The column with the domain.", check=column_name)
    password_column = Param("ha1", "The column with HA1, or with the password.", check=column_name)
    password_column_2 = Param("ha1b", "The column with HA1 of user@domain.", check=column_name)
    calculate_ha1 = Param(0, "1: the column has passwords in plain, and HA1 is made of them.")
    use_domain = Param(0, "1 looks for the domain, too.")
    load_credentials = Param("", "Columns to leave in AVPs: `$avp(name)=column;column`.", check=_credentials)
    version_table = Param(1, "0 does not check the table's version.")
    force_generate_avps = Param(0, "1 leaves the columns in AVPs even if the password was wrong.")

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._lookups = Lookups(self)
        self._loaded: list[Loaded] = []

    def start(self) -> None:
        """Take over the parameters."""
        self._loaded = _loaded(self.load_credentials)
        self._lookups.prepare()

    async def stop(self) -> None:
        """Let go of the connections."""
        await self._lookups.close()

    # ---- the table

    def _fetch(self, table: str, columns: Sequence[str], user: str, domain: str | None) -> Any | None:
        """A subscriber's columns; None if there is none. Waits. Raises DatabaseError."""
        where = {self.user_column: user}
        if domain is not None:
            where[self.domain_column] = domain
        rows = self._lookups.rows(table, columns, where, limit=1, version=VERSION if self.version_table else 0)
        return rows[0] if rows else None

    def _load(self, run: Run, values: Sequence[object]) -> None:
        avps = lists_of(run.msg).avps
        for loaded, value in zip(self._loaded, values, strict=True):
            if value is not None:
                avps.push(loaded.avp, value if isinstance(value, int) else str(value))

    # ---- authentication

    def _authenticate(self, run: Run, kind: int, realm: str, table: str, method: str = "") -> int:
        auth: Any = self.node.module("auth")
        if not realm:
            self.node.log.error("auth_db: an empty realm")
            return FAILED
        asked = auth.ask(run, kind, realm)
        if asked.found is None:
            return int(asked.code)
        credentials = asked.found.credentials
        user, at, domain = credentials.username.partition(b"@")
        column = self.password_column_2 if at and not self.calculate_ha1 else self.password_column
        try:
            row = self._fetch(
                table,
                [column, *(each.column for each in self._loaded)],
                text(user),
                text(domain or wire(auth.realm(realm))) if self.use_domain else None,
            )
        except DatabaseError as error:
            self.node.log.error("auth_db: %s", error)
            return FAILED
        if row is None:
            return NO_USER
        password, *values = row
        if password is None:
            return FAILED
        secret = (
            auth.ha1(run.msg, credentials.username, realm, str(password)) if self.calculate_ha1 else wire(str(password))
        )
        code = int(auth.judge(run, asked.found, method, secret))
        if code == RIGHT or self.force_generate_avps:
            self._load(run, values)
        return code

    @native("str", "str", "str", least=2, name="www_authenticate", routes=REQUEST_ROUTE)
    @native("str", "str", name="www_authorize", routes=REQUEST_ROUTE)
    def www_authenticate_native(self, run: Run, realm: str, table: str, method: str = "") -> int:
        """As `www_authenticate_method`, the method optional."""
        return self._authenticate(run, H_AUTHORIZATION, realm, table, method)

    @function
    def www_authenticate(self, run: Run, realm: str, table: str) -> int:
        """Check the credentials in Authorization against a table of subscribers.

        1: right; -1: malformed, or no answer from the database; -2: wrong password; -3: no such user; -4: stale nonce;
        -5: none for the realm; -6: nonce used before.
        """
        return self._authenticate(run, H_AUTHORIZATION, realm, table)

    @function
    def www_authenticate_method(self, run: Run, realm: str, table: str, method: str) -> int:
        """As `www_authenticate`, for another method than the request's."""
        return self._authenticate(run, H_AUTHORIZATION, realm, table, method)

    @function
    @native("str", "str", name="proxy_authorize", routes=REQUEST_ROUTE)
    @native("str", "str", routes=REQUEST_ROUTE)
    def proxy_authenticate(self, run: Run, realm: str, table: str) -> int:
        """As `www_authenticate`, of the credentials in Proxy-Authorization."""
        return self._authenticate(run, H_PROXYAUTHORIZATION, realm, table)

    @function
    @native("str", "str", "int", routes=REQUEST_ROUTE)
    def auth_check(self, run: Run, realm: str, table: str, flags: int) -> int:
        """As `www_authenticate` for a REGISTER, `proxy_authenticate` for all else.

        `flags` 1: -8 unless the user is the one in From; of a REGISTER in To, too; of a PUBLISH in both and the URI. 3:
        but not of INVITE, BYE, PRACK, UPDATE and MESSAGE, whose sender may be anonymous.
        """
        auth: Any = self.node.module("auth")
        msg = run.msg
        kind = auth.kind_for(msg)
        code = self._authenticate(run, kind, realm, table)
        if code != RIGHT or not flags & _SAME_USER or msg.method_id in (M_ACK, M_CANCEL):
            return code
        if flags & _ANYBODY_CALLS and msg.method_id in _ANONYMOUS:
            return code
        return code if auth.is_checked_user(msg, kind, realm) else OTHER_USER

    @function
    @native("str", "str", "int")
    def is_subscriber(self, run: Run, uri: str, dbtable: str, flags: int) -> int:
        """Whether a URI's user is in the table; whose `load_credentials` go into AVPs. -2 if not, -1 for no URI.

        `flags` is a sum: 1 its host counts as well, 2 nothing goes into AVPs.
        """
        try:
            parsed = parse_uri(wire(uri))
        except ParseError:
            return FAILED
        try:
            row = self._fetch(
                dbtable,
                [self.user_column, *(each.column for each in self._loaded)],
                text(parsed.user),
                text(parsed.host) if flags & _BY_DOMAIN else None,
            )
        except DatabaseError as error:
            self.node.log.error("is_subscriber: %s", error)
            return FAILED
        if row is None:
            return NOT_FOUND
        if not flags & _LOAD_NOTHING:
            self._load(run, row[1:])
        return RIGHT


MODULE = AuthDb
