"""The script's own variables, `$var`, `$vn`, `$shv`, and what it may evaluate: `$_s(...)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kahea.routing.module import Value, Variable
from kahea.routing.pv import Bound, PvError, named
from kahea.routing.pv.table import Index

if TYPE_CHECKING:
    from kahea.routing.pv import VariableTable
    from kahea.routing.run import Run

#: Set before the names of `$vn` in a run's variables, so that they are none of `$var`'s.
NULLABLE = "\0vn\0"

MAX_SHARED = 10_000  # names of $shv that a script may make up


class Shared:
    """The values of `$shv`: the node's, where Kamailio keeps them in shared memory. A name is there once it
    was used in a variable or given by `shvset`."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}

    def declare(self, name: str) -> None:
        """Make a name known, with the value 0; raises PvError when there are too many."""
        if name not in self.values:
            if len(self.values) >= MAX_SHARED:
                raise PvError(f"there are {MAX_SHARED} shared variables already")
            self.values[name] = 0

    def put(self, name: str, value: Value) -> None:
        """Null is kept as an empty text."""
        self.values[name] = "" if value is None else value

    def increment(self, name: str) -> Value:
        """Add one and give the new value; null if it holds text."""
        value = self.values.get(name, 0)
        if not isinstance(value, int):
            return None
        self.values[name] = value + 1
        return value + 1


def _bind_var(initial: dict[str, Value]) -> Callable[[Value, Index], Bound]:
    def bind(inner: Value, _index: Index) -> Bound:
        name = str(inner)

        def get(run: Run) -> Value:
            variables = run.vars
            return variables[name] if name in variables else initial.get(name, 0)

        def put(run: Run, value: Value) -> None:
            run.vars[name] = 0 if value is None else value

        return Bound(get, put)

    return bind


def _bind_nullable(inner: Value, _index: Index) -> Bound:
    name = f"{NULLABLE}{inner}"

    def put(run: Run, value: Value) -> None:
        run.vars[name] = value

    return Bound(lambda run: run.vars.get(name), put)


def _bind_shared(shared: Shared) -> Callable[[Value, Index], Bound]:
    def bind(inner: Value, _index: Index) -> Bound:
        name = str(inner)
        shared.declare(name)
        values = shared.values
        return Bound(lambda _run: values[name], lambda _run, value: shared.put(name, value))

    return bind


def _bind_increment(shared: Shared) -> Callable[[Value, Index], Bound]:
    def bind(inner: Value, _index: Index) -> Bound:
        name = str(inner)
        shared.declare(name)
        return Bound(lambda _run: shared.increment(name))

    return bind


def _bind_evaluate(table: VariableTable) -> Callable[[Value, Index], Bound]:
    return lambda inner, _index: Bound(table.format(str(inner)).render)


def variables(table: VariableTable, initial: dict[str, Value], shared: Shared) -> list[Variable]:
    """The script variables of one node; `initial` are the values of `varset`."""
    var = _bind_var(initial)
    return [
        named("var", var, writable=True, doc="A variable of the run, 0 until it is set."),
        named("vz", var, writable=True, doc="The same as $var."),
        named("vn", _bind_nullable, writable=True, doc="A variable of the run, null until it is set."),
        named("shv", _bind_shared(shared), writable=True, doc="A variable of the node, 0 until it is set."),
        named("shvinc", _bind_increment(shared), doc="A variable of the node, incremented at each use."),
        named("_s", _bind_evaluate(table), doc="A text with variables in it, evaluated."),
    ]
