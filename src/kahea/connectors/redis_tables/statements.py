"""The statements that can be done in Redis, read from what SQLAlchemy's compiler makes of a query.

That is a small part of SQL: one table; rows by comparisons joined with AND and OR; values as parameters alone. Anything
else is a ValueError, which says what it was.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NoReturn

from kahea.connectors.redis_tables.values import Scalar

Row = Mapping[str, Scalar]
Parameters = Sequence[Scalar]


# ---- what a statement is made of


@dataclass(frozen=True, slots=True)
class Column:
    """A column's value."""

    name: str

    def value(self, row: Row, _given: Parameters) -> Scalar:
        """In a row."""
        return row.get(self.name)


@dataclass(frozen=True, slots=True)
class Parameter:
    """The parameter in a place, from 0."""

    place: int

    def value(self, _row: Row, given: Parameters) -> Scalar:
        """As it was given."""
        return given[self.place]


@dataclass(frozen=True, slots=True)
class Joined:
    """Values, one after the other, as a text; NULL if one is."""

    parts: tuple[Operand, ...]

    def value(self, row: Row, given: Parameters) -> Scalar:
        """For a row."""
        values = [part.value(row, given) for part in self.parts]
        return None if None in values else "".join(map(str, values))


@dataclass(frozen=True, slots=True)
class Coalesced:
    """The first value that is not NULL."""

    parts: tuple[Operand, ...]

    def value(self, row: Row, given: Parameters) -> Scalar:
        """For a row."""
        return next((v for part in self.parts if (v := part.value(row, given)) is not None), None)


Operand = Column | Parameter | Joined | Coalesced


def _ordered(left: int | float | str, right: int | float | str) -> tuple[Any, Any]:
    """Two values as they compare: a number and a text as numbers if the text is one."""
    if isinstance(left, str) == isinstance(right, str):
        return left, right
    try:
        return float(left), float(right)
    except ValueError:
        return str(left), str(right)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left = right` and its like; never true of NULL."""

    sign: str
    left: Operand
    right: Operand

    def holds(self, row: Row, given: Parameters) -> bool:
        """For a row."""
        left, right = self.left.value(row, given), self.right.value(row, given)
        if left is None or right is None:
            return False
        return bool(COMPARISONS[self.sign](*_ordered(left, right)))


@dataclass(frozen=True, slots=True)
class OneOf:
    """`left IN (...)`."""

    left: Operand
    values: tuple[Operand, ...]

    def holds(self, row: Row, given: Parameters) -> bool:
        """For a row."""
        return any(Comparison("=", self.left, value).holds(row, given) for value in self.values)


@dataclass(frozen=True, slots=True)
class IsNull:
    """`left IS NULL`, or `IS NOT NULL`."""

    left: Operand
    wanted: bool

    def holds(self, row: Row, given: Parameters) -> bool:
        """For a row."""
        return (self.left.value(row, given) is None) == self.wanted


@dataclass(frozen=True, slots=True)
class Both:
    """All of several."""

    parts: tuple[Condition, ...]

    def holds(self, row: Row, given: Parameters) -> bool:
        """For a row."""
        return all(part.holds(row, given) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Either:
    """One of several."""

    parts: tuple[Condition, ...]

    def holds(self, row: Row, given: Parameters) -> bool:
        """For a row."""
        return any(part.holds(row, given) for part in self.parts)


Condition = Comparison | OneOf | IsNull | Both | Either

COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq, "!=": operator.ne, "<>": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip

#: Holds for every row.
ALL: Final = Both(())


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows, or how many (`distinct`: different) values that are not NULL."""

    of: Operand | None
    distinct: bool


@dataclass(frozen=True, slots=True)
class Select:
    """Rows of columns under names, in an order, no more than a parameter says; or a count alone."""

    table: str
    columns: tuple[tuple[str, Operand], ...]
    count: Count | None
    where: Condition
    order: tuple[tuple[Column, bool], ...]  # descending?
    limit: Parameter | None


@dataclass(frozen=True, slots=True)
class Insert:
    """A row."""

    table: str
    values: tuple[tuple[str, Parameter], ...]


@dataclass(frozen=True, slots=True)
class Update:
    """New values for rows."""

    table: str
    values: tuple[tuple[str, Parameter], ...]
    where: Condition


@dataclass(frozen=True, slots=True)
class Delete:
    """An end to rows."""

    table: str
    where: Condition


Statement = Select | Insert | Update | Delete


# ---- reading

_TOKEN: Final = re.compile(r'\s*(?:"(?P<quoted>[^"]+)"|(?P<word>\w+)|(?P<sign><=|>=|!=|<>|\|\||[=<>(),.*?]))')


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str]] = []  # the kind of each, and the token
        at, end = 0, len(text.rstrip())
        while at < end:
            found = _TOKEN.match(text, at)
            if found is None:
                self._refuse(text[at : at + 20])
            kind = found.lastgroup or ""
            self._tokens.append((kind, found[kind]))
            at = found.end()
        self._at = 0
        self._parameters = 0

    def _refuse(self, what: str) -> NoReturn:
        raise ValueError(f"Redis can't do {what.strip()!r} in {' '.join(self._text.split())[:200]}")

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            self._refuse("an end")
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, *words: str) -> bool:
        """Step over words or signs if they come next."""
        ahead = self._tokens[self._at : self._at + len(words)]
        if [token.upper() if kind != "quoted" else None for kind, token in ahead] != list(words):
            return False
        self._at += len(words)
        return True

    def _need(self, *words: str) -> None:
        if not self._take(*words):
            self._refuse(self._next()[1])

    def _name(self) -> str:
        kind, token = self._next()
        if kind == "sign":
            self._refuse(token)
        return token

    def statement(self) -> Statement:
        made: Statement
        if self._take("SELECT"):
            made = self._select()
        elif self._take("INSERT", "INTO"):
            table = self._name()
            columns = self._listed(self._name)
            self._need("VALUES")
            values = self._listed(self._parameter)
            if len(values) != len(columns):
                self._refuse("a row of another length")
            made = Insert(table, tuple(zip(columns, values, strict=True)))
        elif self._take("UPDATE"):
            table = self._name()
            self._need("SET")
            changed = [self._assignment()]
            while self._take(","):
                changed.append(self._assignment())
            made = Update(table, tuple(changed), self._where())
        else:
            self._need("DELETE", "FROM")
            made = Delete(self._name(), self._where())
        if self._at < len(self._tokens):
            self._refuse(self._next()[1])
        return made

    def _listed(self, read: Callable[[], Any]) -> tuple[Any, ...]:
        self._need("(")
        found = [read()]
        while self._take(","):
            found.append(read())
        self._need(")")
        return tuple(found)

    def _parameter(self) -> Parameter:
        self._need("?")
        self._parameters += 1
        return Parameter(self._parameters - 1)

    def _column(self) -> Column:
        name = self._name()
        return Column(self._name() if self._take(".") else name)

    def _assignment(self) -> tuple[str, Parameter]:
        column = self._column().name
        self._need("=")
        return column, self._parameter()

    def _select(self) -> Select:
        columns: list[tuple[str, Operand]] = []
        count = None
        if self._take("COUNT", "("):
            count = self._count()
            columns.append((self._name() if self._take("AS") else "count", Column("")))
        else:
            columns.append(self._labelled())
            while self._take(","):
                columns.append(self._labelled())
        self._need("FROM")
        table = self._name()
        where = self._where()
        order = []
        if self._take("ORDER", "BY"):
            order.append(self._ordering())
            while self._take(","):
                order.append(self._ordering())
        limit = self._parameter() if self._take("LIMIT") else None
        return Select(table, tuple(columns), count, where, tuple(order), limit)

    def _count(self) -> Count:
        if self._take("*", ")"):
            return Count(None, distinct=False)
        distinct = self._take("DISTINCT")
        of = self._operand()
        self._need(")")
        return Count(of, distinct)

    def _labelled(self) -> tuple[str, Operand]:
        value = self._operand()
        name = value.name if isinstance(value, Column) else "value"
        return (self._name() if self._take("AS") else name), value

    def _ordering(self) -> tuple[Column, bool]:
        column = self._column()
        descending = self._take("DESC")
        if not descending:
            self._take("ASC")
        return column, descending

    def _where(self) -> Condition:
        return self._either() if self._take("WHERE") else ALL

    def _either(self) -> Condition:
        parts = [self._both()]
        while self._take("OR"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _both(self) -> Condition:
        parts = [self._condition()]
        while self._take("AND"):
            parts.append(self._condition())
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _condition(self) -> Condition:
        before = self._at, self._parameters
        if self._take("("):
            # A condition, or the operand of one.
            try:
                inner = self._either()
                self._need(")")
            except ValueError:
                self._at, self._parameters = before
            else:
                return inner
        left = self._operand()
        if self._take("IS", "NULL"):
            return IsNull(left, wanted=True)
        if self._take("IS", "NOT", "NULL"):
            return IsNull(left, wanted=False)
        if self._take("IN"):
            return OneOf(left, self._listed(self._operand))
        _, sign = self._next()
        if sign not in COMPARISONS:
            self._refuse(sign)
        return Comparison(sign, left, self._operand())

    def _operand(self) -> Operand:
        parts = [self._single()]
        while self._take("||"):
            parts.append(self._single())
        return parts[0] if len(parts) == 1 else Joined(tuple(parts))

    def _single(self) -> Operand:
        if self._take("("):
            inner = self._operand()
            self._need(")")
            return inner
        if self._tokens[self._at : self._at + 1] == [("sign", "?")]:
            return self._parameter()
        if self._take("COALESCE"):
            return Coalesced(self._listed(self._operand))
        return self._column()


@lru_cache(maxsize=500)
def parse(text: str) -> Statement:
    """The statement that a text says. Raises ValueError."""
    return _Reader(text).statement()


__all__ = [
    "ALL",
    "Both",
    "Column",
    "Comparison",
    "Condition",
    "Count",
    "Delete",
    "Either",
    "Insert",
    "IsNull",
    "OneOf",
    "Operand",
    "Parameter",
    "Parameters",
    "Row",
    "Select",
    "Statement",
    "Update",
    "parse",
]
