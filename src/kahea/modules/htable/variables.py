"""`$sht` and its kin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from kahea.modules.htable.base import RECORD_FACET, Tables
from kahea.modules.htable.matching import count_matching
from kahea.modules.htable.table import Table
from kahea.routing.module import Value, Variable
from kahea.routing.pv import Bound, PvError, named
from kahea.routing.pv.table import Index
from kahea.routing.regex import RegexError

if TYPE_CHECKING:
    from kahea.routing.run import Run

Get = Callable[[Table, str], Value]
Put = Callable[[Table, str, Value], None]


def _put(table: Table, key: str, value: Value) -> None:
    if value is None:
        table.remove(key)
    else:
        table.set(key, value)


def _put_remaining(table: Table, key: str, value: Value) -> None:
    table.set_remaining(key, value if isinstance(value, int) else 0)


def _count(table: Table, expression: str, *, values: bool) -> Value:
    try:
        return count_matching(table, expression, values=values)
    except RegexError:
        return 0


class TableVariables(Tables):
    """The pseudo-variables `$sht(table=>name)`, where the name may have variables in it."""

    def variables(self) -> Iterator[Variable]:
        """All of them."""
        yield from super().variables()
        yield self._named("sht", Table.get, _put, "An item's value.")
        yield self._named("shtex", Table.remaining, _put_remaining, "The seconds until an item ends.")
        yield self._named("shtinc", lambda t, key: t.add(key, 1), None, "An item's number, after 1 is added to it.")
        yield self._named("shtdec", lambda t, key: t.add(key, -1), None, "An item's number, after 1 is taken off it.")
        yield self._named("shtcn", lambda t, e: _count(t, e, values=False), None, "How many names match.")
        yield self._named("shtcv", lambda t, e: _count(t, e, values=True), None, "How many values match.")
        yield named("shtrecord", self._record, doc="In event_route[htable:expired:...]: the item's key or value.")

    def _named(self, name: str, get: Get, put: Put | None, doc: str) -> Variable:
        def bind(inner: Value, _index: Index) -> Bound:
            table_name, arrow, key = str(inner).partition("=>")
            if not arrow or not table_name:
                raise PvError(f"${name}({inner}): want table=>name")
            table = self.tables.get(table_name)
            if table is None:
                self.node.log.warning("$%s(%s): there is no hash table %r", name, inner, table_name)
                return Bound(lambda _run: None, _refusing(table_name) if put is not None else None)
            render = self.node.variables.format(key).render
            if put is None:
                return Bound(lambda run: get(table, render(run)))
            assign = put
            return Bound(
                lambda run: get(table, render(run)),
                lambda run, value: assign(table, render(run), value),
            )

        return named(name, bind, writable=put is not None, doc=doc)

    @staticmethod
    def _record(inner: Value, _index: Index) -> Bound:
        if inner not in ("key", "value"):
            raise PvError(f"$shtrecord({inner}): there are key and value")
        at = 0 if inner == "key" else 1

        def get(run: Run) -> Value:
            record = run.msg.facets.get(RECORD_FACET)
            return record[at] if isinstance(record, tuple) else None

        return Bound(get)


def _refusing(name: str) -> Callable[[Run, Value], None]:
    def put(_run: Run, _value: Value) -> None:
        raise PvError(f"there is no hash table {name!r}")

    return put
