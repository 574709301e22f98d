"""The domains that this server serves, kept in memory as a database has them (Kamailio's module domain)."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from kahea.routing.lists import Scalar, lists_of
from kahea.routing.lookups import DEFAULT_URL, DatabaseError, Lookups, column_name, table_name
from kahea.routing.module import ConfigError, Module, Param, RpcError, function, native, rpc
from kahea.routing.run import BRANCH_ROUTE, FAILURE_ROUTE, LOCAL_ROUTE, REQUEST_ROUTE, Run, can_wait, wait
from kahea.routing.text import text, wire
from kahea.routing.transformations.strings import core_hash
from kahea.sip.errors import ParseError
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.routing.node import Node

log = logging.getLogger("kahea.domain")

#: The versions of the tables.
DOMAIN_VERSION: Final = 2
ATTRIBUTES_VERSION: Final = 1

#: What the column of types says of a value.
NUMBER: Final = 0
TEXT: Final = 2

#: By how many slots of a hash table Kamailio orders the domains that it shows.
SLOTS: Final = 128

_INTEGER: Final = re.compile(r"(?:[+-]?[0-9]{1,10})?")
_ROUTES: Final = REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE | LOCAL_ROUTE


class BadTable(Exception):
    """A row that means nothing; the text says which, and why."""


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain as the table has it, and the id that its attributes go by."""

    name: str
    did: str


@dataclass(frozen=True, slots=True)
class Attributes:
    """The names and values of one id, in the order of the table."""

    did: str
    values: list[tuple[str, Scalar]] = field(default_factory=list)


def _key(name: str) -> bytes:
    """Names and ids are the same in any case, of ASCII's letters alone."""
    return wire(name).lower()


@dataclass(frozen=True, slots=True)
class Domains:
    """What the two tables hold."""

    #: In the order of the table.
    domains: list[Domain] = field(default_factory=list)
    #: Of several domains that differ in case alone, the last.
    by_name: dict[bytes, Domain] = field(default_factory=dict)
    by_did: dict[bytes, Attributes] = field(default_factory=dict)

    def find(self, name: str) -> Domain | None:
        """The domain of a name in any case."""
        return self.by_name.get(_key(name))

    def attributes(self, did: str) -> list[tuple[str, Scalar]]:
        """The names and values of an id in any case, the last of the table first."""
        found = self.by_did.get(_key(did))
        return found.values[::-1] if found is not None else []


def _filled(value: object, column: str, row: int) -> str:
    if not isinstance(value, str):
        raise BadTable(f"{column} in row {row} is no text")
    if not value:
        raise BadTable(f"{column} in row {row} is empty")
    return value


def _value(kind: object, value: object, row: int) -> Scalar:
    if kind not in (NUMBER, TEXT):
        raise BadTable(f"the type in row {row} is {kind!r}, neither {NUMBER}, a number, nor {TEXT}, a text")
    if not isinstance(value, str):
        raise BadTable(f"the value in row {row} is no text")
    if kind == TEXT:
        return value
    number = int(value or 0) if _INTEGER.fullmatch(value) else 1 << 31
    if not -(1 << 31) <= number < 1 << 31:
        raise BadTable(f"the value in row {row} is {value!r}, no number of 32 bits")
    return number


def read(domains: Sequence[Any], attributes: Sequence[Any]) -> Domains:
    """What rows mean: of (domain, id or None), and of (id, name, type, value). Raises BadTable."""
    found = Domains()
    for row, (name, did) in enumerate(domains, 1):
        known = _filled(name, "the domain", row)
        domain = Domain(known, known if did is None else _filled(did, "the domain's id", row))
        found.domains.append(domain)
        found.by_name[_key(known)] = domain
    for row, (did, name, kind, value) in enumerate(attributes, 1):
        known = _filled(did, "the attribute's id", row)
        of = found.by_did.setdefault(_key(known), Attributes(known))
        of.values.append((_filled(name, "the attribute's name", row), _value(kind, value, row)))
    return found


class DomainModule(Module):
    """The domains that this server serves, kept in memory as a database has them."""

    name = "domain"

    db_url = Param(DEFAULT_URL, "The database of domains.")
    domain_table = Param("domain", "The table of domains.", check=table_name)
    domain_attrs_table = Param("domain_attrs", "The table of their attributes.", check=table_name)
    did_col = Param(
        "did", "The column with a domain's id, in both tables; none is the domain itself.", check=column_name
    )
    domain_col = Param("domain", "The column with the domain.", check=column_name)
    name_col = Param("name", "The column with an attribute's name.", check=column_name)
    type_col = Param("type", "The column with its type: 0 a number, 2 a text.", check=column_name)
    value_col = Param("value", "The column with its value.", check=column_name)
    register_myself = Param(0, "1 makes the domains this server's own (`myself`).")

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._lookups = Lookups(self)
        self._domains = Domains()

    def start(self) -> None:
        """Prepare for the database. Raises ConfigError."""
        self._lookups.prepare()
        if self.register_myself:
            self.node.myself.add_hosts(self.is_local)

    async def open(self) -> None:
        """Read the tables, unless nobody asked for this module. Raises ConfigError."""
        if "db_url" not in vars(self) and self.node.configuration.load is None:
            return
        try:
            await self._read()
        except (DatabaseError, BadTable) as error:
            await self._lookups.close()
            raise ConfigError(f"domain: {error}") from error

    async def stop(self) -> None:
        """Let go of the connections."""
        await self._lookups.close()

    async def _read(self) -> None:
        """Raises DatabaseError, BadTable."""
        find = self._lookups.find
        domains = await find(self.domain_table, (self.domain_col, self.did_col), version=DOMAIN_VERSION)
        columns = (self.did_col, self.name_col, self.type_col, self.value_col)
        attributes = await find(self.domain_attrs_table, columns, version=ATTRIBUTES_VERSION)
        self._domains = read(domains, attributes)
        self.node.myself.forget()

    # ---- for scripts

    def is_local(self, name: str) -> bool:
        """Whether a domain is among them, in any case."""
        return self._domains.find(name) is not None

    @native(routes=_ROUTES)
    @function
    def is_from_local(self, run: Run) -> int:
        """Whether the host in From is one of the domains; -2 if From has no URI."""
        try:
            host = parse_uri(run.msg.from_.uri).host
        except ParseError as error:
            log.error("is_from_local: %s", error)
            return -2
        return 1 if self.is_local(text(host)) else -1

    @native(routes=_ROUTES)
    @function
    def is_uri_host_local(self, run: Run) -> int:
        """Whether the host of the Request-URI is one of the domains; in a failure route, that of the first branch."""
        msg = run.msg
        if not msg.is_request:
            log.error("is_uri_host_local: a reply has no Request-URI")
            return -1
        if run.kind == FAILURE_ROUTE and not msg.branches:
            log.error("is_uri_host_local: there is no branch yet")
            return -1
        try:
            host = parse_uri(msg.branches[0].uri if run.kind == FAILURE_ROUTE else msg.uri).host
        except ParseError as error:
            log.error("is_uri_host_local: %s", error)
            return -1
        return 1 if self.is_local(text(host)) else -1

    @native("str", routes=_ROUTES)
    @function
    def is_domain_local(self, run: Run, domain: str) -> int:
        """Whether this is one of the domains."""
        return 1 if self.is_local(domain) else -1

    @function
    def lookup_domain(self, run: Run, domain: str) -> int:
        """Whether this is one of the domains, whose attributes become AVPs, and its id the AVP `did`."""
        return self.lookup_domain_prefix(run, domain, "")

    @native("str", "str", least=1, name="lookup_domain", routes=_ROUTES)
    def lookup_domain_native(self, run: Run, domain: str, prefix: str = "") -> int:
        """As `lookup_domain`, or `lookup_domain_prefix`."""
        return self.lookup_domain_prefix(run, domain, prefix)

    @function
    def lookup_domain_prefix(self, run: Run, domain: str, prefix: str) -> int:
        """As `lookup_domain`, with a prefix for the names of the AVPs."""
        found = self._domains.find(domain)
        if found is None:
            return -1
        avps = lists_of(run.msg).avps
        for name, value in self._domains.attributes(found.did):
            avps.push(prefix + name, value)
        avps.push(f"{prefix}did", found.did)
        return 1

    # ---- management

    @rpc("domain.reload")
    def reload(self) -> None:
        """Read the tables again; what was known stays if they can't be read. Waits."""
        if not can_wait():
            raise RpcError(500, "the command must run where it may wait")
        try:
            wait(self._read())
        except (DatabaseError, BadTable) as error:
            log.error("the domains stay as they are: %s", error)
            raise RpcError(400, "Reload of domain tables failed") from error

    @rpc("domain.dump")
    def dump(self) -> dict[str, Any]:
        """The domains with their ids, and the names of each id's attributes, in Kamailio's order."""
        known = self._domains
        latest_first = known.domains[::-1]
        latest_first.sort(key=lambda domain: _slot(domain.name))
        return {
            "domains": [{"domain": domain.name, "did": domain.did} for domain in latest_first],
            "attributes": [
                {"did": of.did, "attrs": [name for name, _ in reversed(of.values)]}
                for of in reversed(known.by_did.values())
            ],
        }


def _slot(name: str) -> int:
    return core_hash(_key(name).decode("latin-1")) % SLOTS


MODULE = DomainModule
