"""The functions and variables of scripts: `sql_query` and its kin, `$dbr`, `$sqlrows`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from kahea.modules.sqlops.connections import Connections, asked_by, script_value
from kahea.routing.lists import Xavps, lists_of
from kahea.routing.module import Function, Value, Variable, function, native, variable
from kahea.routing.pv import Bound, Format, Pv, PvError, named
from kahea.routing.pv.values import as_int

if TYPE_CHECKING:
    from kahea.connectors.raw import Result
    from kahea.routing.node import Node
    from kahea.routing.pv.table import Index
    from kahea.routing.run import Run

ROWS, NO_ROWS, ROWS_DROPPED, FAILED = 1, 2, 3, -1

#: The most values that one call takes natively, and the most of a function of KEMI.
MAX_VALUES: Final = 8
KEMI_VALUES: Final = 6

_CELL: Final = re.compile(r"\[\s*([^,\[\]]+?)\s*,\s*([^\[\]]+?)\s*\]")
_COLUMN: Final = re.compile(r"colname\[\s*(.+?)\s*\]")


def connection(node: Node, text: str) -> str:
    """Prepare the name of a connection. Raises ValueError."""
    module: Any = node.module("sqlops")
    if not module.has_connection(text):
        raise ValueError(f"there is no connection {text!r}: sqlcon defines them")
    return text


def result_name(node: Node, text: str) -> str:
    """Prepare the name of a result. Raises ValueError."""
    module: Any = node.module("sqlops")
    if not module.add_result(text):
        raise ValueError(f"the result {text!r} is one too many: results_maxsize is {module.results_maxsize}")
    return text


def targets(node: Node, text: str) -> list[Pv]:
    """Prepare a list of variables, `$a;$b,$c`. Raises ValueError."""
    found: list[Pv] = []
    at = 0
    try:
        while at < len(text):
            if text[at] in " \t;,":
                at += 1
                continue
            pv, at = node.variables.compile_at(text, at)
            if not pv.writable:
                raise ValueError(f"{pv.text} is read-only")
            found.append(pv)
    except PvError as error:
        raise ValueError(str(error)) from None
    if not found:
        raise ValueError("expected variables to put the result in")
    return found


class SqlFunctions(Connections):
    """What scripts call and read."""

    # ---- queries

    def _keep(self, run: Run, name: str, result: Result | None) -> int:
        results = asked_by(run).results
        results.pop(name, None)
        if result is None:
            return FAILED
        if not result.rows:
            return NO_ROWS
        results[name] = result
        return ROWS

    @native(connection, "str", result_name, name="sql_query")
    def _query(self, run: Run, connection: str, query: str, result: str) -> int:
        """Have a statement done; 1 with rows, 2 without, -1 if it failed. `$dbr` reads them by the result's name."""
        return self._keep(run, result, self.ask(run, connection, query))

    @native(connection, "str", name="sql_query")
    def _query_dropping(self, run: Run, connection: str, query: str) -> int:
        """Have a statement done whose rows nobody wants; 2, 3 if there were rows, -1 if it failed."""
        result = self.ask(run, connection, query)
        if result is None:
            return FAILED
        return ROWS_DROPPED if result.rows else NO_ROWS

    @native(connection, "str", result_name, *("format",) * MAX_VALUES, least=3, name="sql_query_params")
    def _query_with(self, run: Run, connection: str, query: str, result: str, *values: Format) -> int:
        """As `sql_query`, with a value for each `?` of the query: whatever a value has in it, it stays a value.

        A variable that is null is NULL.
        """
        return self._keep(run, result, self.ask(run, connection, query, [_value(run, each) for each in values]))

    @native(connection, "str", "text", name="sql_xquery")
    def _xquery(self, run: Run, connection: str, query: str, result: str) -> int:
        """As `sql_query`, with each row an XAVP whose fields are the columns, the first row on top."""
        found = self.ask(run, connection, query)
        if found is None:
            return FAILED
        xavps = lists_of(run.msg).xavps
        for row in reversed(found.rows):
            fields = Xavps()
            for column, value in zip(reversed(found.columns), reversed(row), strict=True):
                number = int(value) if isinstance(value, int) else None
                fields.push(column, script_value(value) if number is None else number)
            xavps.push(result, fields)
        return ROWS if found.rows else NO_ROWS

    @native(connection, "str", targets, name="sql_pvquery")
    def _pvquery(self, run: Run, connection: str, query: str, targets: list[Pv]) -> int:
        """As `sql_query`, with the columns assigned to variables, from the last row to the first."""
        found = self.ask(run, connection, query)
        if found is None:
            return FAILED
        for row in reversed(found.rows):
            for i, value in enumerate(row):
                if i == len(targets):
                    self.node.log.error("sqlops: there is no variable for column %s", found.columns[i])
                    return FAILED
                pv = targets[i]
                if value is None and pv.name == "avp":
                    continue
                if not pv.set(run, script_value(value)):
                    return FAILED
        return ROWS if found.rows else NO_ROWS

    @native(connection, "str")
    @function
    def sql_query_async(self, run: Run, connection: str, query: str) -> int:
        """Have a statement done without waiting for it; -1 where it can't be taken. What fails later is logged."""
        return 1 if self.ask_later(connection, query) else FAILED

    @native("text")
    @function
    def sql_result_free(self, run: Run, result: str) -> int:
        """Forget a result."""
        asked_by(run).results.pop(result, None)
        return 1

    # ---- the same for KEMI

    def _has(self, connection: str, result: str = "") -> bool:
        if not self.has_connection(connection):
            self.node.log.error("sqlops: there is no connection %r", connection)
            return False
        if not self.add_result(result):
            self.node.log.error("sqlops: the result %r is one too many (results_maxsize)", result)
            return False
        return True

    @function
    def sql_query(self, run: Run, connection: str, query: str, result: str) -> int:
        """Have a statement done; 0 if it was, with or without rows, -1 if it failed."""
        if not self._has(connection, result):
            return FAILED
        return min(0, self._query(run, connection, query, result))

    @function
    def sql_xquery(self, run: Run, connection: str, query: str, result: str) -> int:
        """Have a statement done, with each row an XAVP; 1 with rows, 2 without, -1 if it failed."""
        return self._xquery(run, connection, query, result)

    @function
    def sql_pvquery(self, run: Run, connection: str, query: str, variables: str) -> int:
        """Have a statement done, with its columns assigned to variables; 1 with rows, 2 without, -1 if it failed."""
        try:
            found = targets(self.node, variables)
        except ValueError as error:
            self.node.log.error("sql_pvquery: %s", error)
            return FAILED
        return self._pvquery(run, connection, query, found)

    def functions(self) -> Iterator[Function]:
        """With `sql_query_p1` and on: as `sql_query`, with a value for each `?`."""
        yield from super().functions()
        doc = "As `sql_query`, with a value for each `?` of the query: whatever a value has in it, it stays a value."
        for count in range(1, KEMI_VALUES + 1):
            names = ("connection", "query", "result", *(f"value{i}" for i in range(1, count + 1)))
            yield Function(self.name, f"sql_query_p{count}", ("str",) * len(names), "int", self._query_p, doc, names)

    def _query_p(self, run: Run, connection: str, query: str, result: str, *values: str) -> int:
        if not self._has(connection, result):
            return FAILED
        return min(0, self._keep(run, result, self.ask(run, connection, query, values)))

    # ---- transactions

    @native(connection)
    @function
    def sql_begin(self, run: Run, connection: str) -> int:
        """Begin a transaction: what this run asks of the connection is part of it, until it ends; -1 if that failed."""
        return 1 if self.begin(run, connection) else FAILED

    @native(connection)
    @function
    def sql_commit(self, run: Run, connection: str) -> int:
        """Commit the run's transaction; -1 if there is none, or it could not be committed."""
        return 1 if self.end(run, connection, commit=True) else FAILED

    @native(connection)
    @function
    def sql_rollback(self, run: Run, connection: str) -> int:
        """Roll the run's transaction back; -1 if there is none."""
        return 1 if self.end(run, connection, commit=False) else FAILED

    # ---- results

    @function
    def sql_num_rows(self, run: Run, result: str) -> int:
        """How many rows a result has."""
        found = asked_by(run).results.get(result)
        return 0 if found is None else len(found.rows)

    @function
    def sql_num_columns(self, run: Run, result: str) -> int:
        """How many columns a result has."""
        found = asked_by(run).results.get(result)
        return 0 if found is None else len(found.columns)

    @function
    def sql_is_null(self, run: Run, result: str, row: int, column: int) -> int:
        """1 if a value is NULL, 0 if it is not, -1 if there is none."""
        found = asked_by(run).results.get(result)
        if found is None or not (0 <= row < len(found.rows) and 0 <= column < len(found.columns)):
            self.node.log.error("sql_is_null: result %r has no value [%d,%d]", result, row, column)
            return -1
        return 1 if found.rows[row][column] is None else 0

    @function
    def sql_result_get(self, run: Run, result: str, row: int, column: int) -> Value:
        """A value; null where there is none."""
        return _cell(asked_by(run).results.get(result), row, column)

    @function
    def sql_result_gete(self, run: Run, result: str, row: int, column: int) -> Value:
        """A value, an empty text for null."""
        value = self.sql_result_get(run, result, row, column)
        return "" if value is None else value

    @function
    def sql_result_getz(self, run: Run, result: str, row: int, column: int) -> Value:
        """A value, 0 for null."""
        value = self.sql_result_get(run, result, row, column)
        return 0 if value is None else value

    @variable("sqlrows", takes_name=True)
    def affected(self, run: Run, name: str, index: object) -> Value:
        """How many rows the run's last statement at a connection touched or gave; -1 if it failed, null without one."""
        if not self.has_connection(name):
            return None
        return asked_by(run).affected.get(name, 0)

    def variables(self) -> Iterator[Variable]:
        """With `$dbr`."""
        yield from super().variables()
        yield named("dbr", self._bind, doc="Of a result: `$dbr(r=>rows)`, `cols`, `[row,column]`, `colname[n]`.")

    def _bind(self, inner: Value, _index: Index) -> Bound:
        result, arrow, key = str(inner).partition("=>")
        key = key.strip()
        if not arrow or not result:
            raise PvError(f"$dbr({inner}): expected result=>key")
        read = self._reader(key)
        if read is None:
            raise PvError(f"$dbr({inner}): there are rows, cols, [row,column] and colname[n]")
        return Bound(lambda run: read(run, asked_by(run).results.get(result)))

    def _reader(self, key: str) -> Callable[[Run, Result | None], Value] | None:
        if key == "rows":
            return lambda _run, found: 0 if found is None else len(found.rows)
        if key == "cols":
            return lambda _run, found: 0 if found is None else len(found.columns)
        if cell := _CELL.fullmatch(key):
            row, column = self._number(cell[1]), self._number(cell[2])
            return lambda run, found: _cell(found, row(run), column(run))
        if name := _COLUMN.fullmatch(key):
            at = self._number(name[1])
            return lambda run, found: _column(found, at(run))
        return None

    def _number(self, text: str) -> Callable[[Run], int]:
        if text.startswith("$"):
            get = self.node.variables.compile(text).get
            return lambda run: as_int(get(run))
        try:
            number = int(text)
        except ValueError:
            raise PvError(f"{text!r} is neither a number nor a variable") from None
        return lambda _run: number


def _value(run: Run, given: Format) -> Value:
    """The value of one variable as it is, of other text what it renders to."""
    if len(given.parts) == 1 and not given.constant:
        return given.values(run)[0]
    return given.render(run)


def _cell(found: Result | None, row: int, column: int) -> Value:
    if found is None or not (0 <= row < len(found.rows) and 0 <= column < len(found.columns)):
        return None
    return script_value(found.rows[row][column])


def _column(found: Result | None, at: int) -> Value:
    return None if found is None or not 0 <= at < len(found.columns) else found.columns[at]
