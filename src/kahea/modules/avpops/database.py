"""AVPs in a database, in Kamailio's layout: a row for each value, by the user that it belongs to."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kahea.connectors.errors import BadUrl, DatabaseError
from kahea.modules.avpops.arguments import AvpArgument, Every, avp_with, split, variable
from kahea.routing.lists import AvpName, Scalar
from kahea.routing.module import ConfigError, Value
from kahea.routing.pv.values import decimal
from kahea.routing.run import can_wait, wait
from kahea.routing.text import text, wire
from kahea.sip.errors import ParseError
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from kahea.connectors.sql import Database
    from kahea.routing.node import Node
    from kahea.routing.run import Run

log = logging.getLogger("kahea.avpops")

#: What a row's type says: whether the name is a number, and whether the value is.
_NAME: Final = 2
_VALUE: Final = 1
#: Rows that one call reads; the rest is left out.
MAX_ROWS: Final = 1000

#: What stands for the AVPs' owner, by its column: `uri` is a user and, with `use_domain`, a domain.
_PARTS: Final = ("uri", "username", "domain", "uuid")
_URIS: Final = ("$ru", "$fu", "$tu", "$ou")
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Scheme:
    """A table that holds one attribute in a column of its own (`db_scheme`)."""

    name: str
    table: str = ""
    uuid_col: str = ""
    username_col: str = ""
    domain_col: str = ""
    value_col: str = ""
    value_type: str = "string"


def parse_scheme(given: str) -> Scheme:
    """Read `name:table=t;value_col=c;...`. Raises ValueError."""
    name, colon, rest = given.partition(":")
    values: dict[str, str] = {}
    for part in filter(None, rest.split(";")):
        key, equals, value = (each.strip() for each in part.partition("="))
        if not equals or key not in ("table", "uuid_col", "username_col", "domain_col", "value_col", "value_type"):
            raise ValueError(f"a scheme has no {part!r}")
        if not _IDENTIFIER.fullmatch(value):
            raise ValueError(f"{value!r} is no name")
        values[key] = value
    if not colon or not name.strip() or "table" not in values or "value_col" not in values:
        raise ValueError(f"expected name:table=...;value_col=...;..., not {given!r}")
    if values.get("value_type", "string") not in ("string", "integer"):
        raise ValueError("value_type is string or integer")
    return Scheme(name.strip(), **values)


@dataclass(frozen=True, slots=True)
class Source:
    """Whose AVPs: a variable or a text, and what part of it counts."""

    value: Callable[[Run], Value]
    part: str


def source(node: Node, given: str) -> Source:
    """`$variable[/part]` or `text[/part]`. Raises ValueError."""
    name, *rest = split(given)
    part = rest[0] if rest else "uri" if name in _URIS else "uuid"
    if len(rest) > 1 or part not in _PARTS or not name:
        raise ValueError(f"expected $variable/part, the part being one of {', '.join(_PARTS)}, not {given!r}")
    return Source(variable(node, name).get if name.startswith("$") else lambda _run: name, part)


@dataclass(frozen=True, slots=True)
class Stored:
    """Which AVPs: one, or all of a kind; of another table than the module's, or by a scheme."""

    avps: AvpArgument | Every
    table: str = ""
    scheme: str = ""


def stored(node: Node, given: str) -> Stored:
    """`$avp(name)`, `a`, `s` or `i`, and perhaps `/table` or `/$scheme`. Raises ValueError."""
    name, *rest = split(given)
    where = rest[0] if rest else ""
    avps: AvpArgument | Every = Every(name.lower()) if name.lower() in ("a", "s", "i") else avp_with("")(node, name)
    if where.startswith("$"):
        if isinstance(avps, Every):
            raise ValueError("with a scheme the AVP must be named")
        return Stored(avps, scheme=where[1:])
    if len(rest) > 1 or (where and not _IDENTIFIER.fullmatch(where)):
        raise ValueError(f"{where!r} is no table")
    return Stored(avps, where)


def stored_without_scheme(node: Node, given: str) -> Stored:
    """As `stored`, where schemes can't be. Raises ValueError."""
    found = stored(node, given)
    if found.scheme:
        raise ValueError("schemes are for loading only")
    return found


def destinations(node: Node, given: str) -> list[AvpArgument]:
    """`$avp(one);$avp(two);...`. Raises ValueError."""
    return [avp_with("")(node, each.strip()) for each in given.split(";") if each.strip()]


class Preferences:
    """The database. `columns` are those of uuid, username, domain, attribute, type and value."""

    def __init__(
        self, url: str, table: str, columns: Sequence[str], schemes: Sequence[Scheme], *, use_domain: bool
    ) -> None:
        """Raises ConfigError."""
        from kahea.connectors.sql import Database

        try:
            self.database: Database = Database(url)
        except BadUrl as error:
            raise ConfigError(f"parameter avpops.db_url: {error}") from error
        self.table = table
        self.schemes = {scheme.name: scheme for scheme in schemes}
        self._columns = dict(zip(("uuid", "username", "domain", "attribute", "type", "value"), columns, strict=True))
        self._use_domain = use_domain

    def owner(self, run: Run, whose: Source) -> dict[str, str] | None:
        """The owner's columns; None, and a line in the log, where the source gives none."""
        value = whose.value(run)
        given = "" if value is None else str(value)
        if whose.part == "uuid":
            return {"uuid": given} if given else None
        try:
            uri = parse_uri(wire(given))
        except ParseError:
            log.error("avp_db: %r is no URI", given)
            return None
        user, host = text(uri.user), text(uri.host)
        if whose.part == "domain":
            return {"domain": host}
        both = whose.part == "uri" and self._use_domain
        return {"username": user, "domain": host} if both else {"username": user}

    def load(self, owner: Mapping[str, str], what: Stored, name: AvpName | None) -> list[tuple[AvpName, Scalar]]:
        """Names and values, in the database's order. Waits. Raises DatabaseError, ValueError."""
        from sqlalchemy import column, select, table

        if what.scheme:
            return self._by_scheme(owner, self.schemes[what.scheme], name)
        c = self._columns
        query: Any = select(column(c["attribute"]), column(c["type"]), column(c["value"])).select_from(
            table(what.table or self.table)
        )
        query = query.where(*self._owned(owner), *self._named(what, name)).limit(MAX_ROWS)
        found: list[tuple[AvpName, Scalar]] = []
        for attribute, kind, value in self._wait(self.database.fetch(query)):
            kind = int(kind or 0)
            key = _converted(str(attribute), kind & _NAME)
            read = None if value is None else _converted(str(value), kind & _VALUE)
            if key is not None and read is not None:
                found.append((key, read))
        return found

    def _by_scheme(
        self, owner: Mapping[str, str], scheme: Scheme, name: AvpName | None
    ) -> list[tuple[AvpName, Scalar]]:
        from sqlalchemy import column, select, table

        query: Any = select(column(scheme.value_col)).select_from(table(scheme.table))
        for part, value in owner.items():
            called = {"uuid": scheme.uuid_col, "username": scheme.username_col, "domain": scheme.domain_col}[part]
            query = query.where(column(called or self._columns[part]) == value)
        rows = self._wait(self.database.fetch(query.limit(MAX_ROWS)))
        values = [_converted(str(row[0]), scheme.value_type == "integer") for row in rows if row[0] is not None]
        return [(name, value) for value in values if value is not None and name is not None]

    def store(self, owner: Mapping[str, str], what: Stored, values: Sequence[tuple[AvpName, Scalar]]) -> None:
        """Add rows. Waits. Raises DatabaseError, ValueError."""
        from sqlalchemy import column, insert, table

        c = self._columns
        rows = [
            {
                **{c[part]: owner.get(part, "") for part in ("uuid", "username", "domain")},
                c["attribute"]: str(name),
                c["type"]: (_NAME if isinstance(name, int) else 0) | (_VALUE if isinstance(value, int) else 0),
                c["value"]: str(value),
            }
            for name, value in values
        ]
        into = table(what.table or self.table, *(column(each) for each in c.values()))
        self._wait(self.database.run([(insert(into), rows)]))

    def delete(self, owner: Mapping[str, str], what: Stored, name: AvpName | None) -> None:
        """Remove rows. Waits. Raises DatabaseError, ValueError."""
        from sqlalchemy import delete, table

        statement = delete(table(what.table or self.table)).where(*self._owned(owner), *self._named(what, name))
        self._wait(self.database.run([(statement, [{}])]))

    def query(self, statement: str) -> Sequence[Any]:
        """The rows of a statement of the script's own. Waits. Raises DatabaseError, ValueError."""
        from sqlalchemy.exc import ResourceClosedError

        if self.database.dialect == "redis":
            raise ValueError("Redis takes no statements of scripts")

        def work(connection: Any) -> Sequence[Any]:
            result = connection.exec_driver_sql(statement)
            try:
                rows: Sequence[Any] = result.fetchmany(MAX_ROWS)
            except ResourceClosedError:
                return []
            return rows

        found: Sequence[Any] = self._wait(self.database.call(work))
        return found

    def _owned(self, owner: Mapping[str, str]) -> list[Any]:
        from sqlalchemy import column

        return [column(self._columns[part]) == value for part, value in owner.items()]

    def _named(self, what: Stored, name: AvpName | None) -> list[Any]:
        """The rows with the name, or those whose names are of the kind."""
        from sqlalchemy import column

        kind: Any = column(self._columns["type"])
        if isinstance(what.avps, Every):
            return {"a": [], "s": [kind < _NAME], "i": [kind >= _NAME]}[what.avps.kind]
        of_name = kind >= _NAME if isinstance(name, int) else kind < _NAME
        return [column(self._columns["attribute"]) == str(name), of_name]

    @staticmethod
    def _wait(work: Coroutine[Any, Any, Any]) -> Any:
        if not can_wait():
            work.close()
            raise ValueError("this route can't wait for a database")
        return wait(work)


def _converted(value: str, number: object) -> Scalar | None:
    """A text, or the number that it should be; None, and a line in the log, if it is none."""
    if not number:
        return value
    found = decimal(value)
    if found is None:
        log.error("avp_db: the database has %r for a number", value)
    return found


__all__ = [
    "DatabaseError",
    "Preferences",
    "Scheme",
    "Source",
    "Stored",
    "destinations",
    "parse_scheme",
    "source",
    "stored",
    "stored_without_scheme",
]
