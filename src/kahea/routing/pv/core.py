"""The variables that are there whatever is loaded: return code, constants, definitions, environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kahea.routing.module import Value, Variable
from kahea.routing.pv.table import Bound, Index, named, plain
from kahea.routing.pv.values import leading_int

if TYPE_CHECKING:
    from kahea.routing.run import Run


def _rc(run: Run) -> Value:
    return run.rc


def definitions(run: Run) -> dict[str, str]:
    """What the script's preprocessor and the command line defined; a name without a value has the text ""."""
    return run.node.configuration.defines


def _definition(name: Value, _index: Index) -> Bound:
    return Bound(lambda run: definitions(run).get(str(name)))


def _definition_number(name: Value, _index: Index) -> Bound:
    return Bound(lambda run: leading_int(definitions(run).get(str(name), "")))


def _definition_quoted(name: Value, _index: Index) -> Bound:
    def get(run: Run) -> Value:
        value = definitions(run).get(str(name))
        return None if value is None else f'"{value}"'

    return Bound(get)


def _environment(name: Value, _index: Index) -> Bound:
    return Bound(lambda _run: os.environ.get(str(name)))


def _environment_number(name: Value, _index: Index) -> Bound:
    def get(_run: Run) -> Value:
        value = os.environ.get(str(name))
        return None if value is None else leading_int(value)

    return Bound(get)


def _instance_id(run: Run) -> Value:
    """The id that the operator gave this instance (the global parameter iuid)."""
    return run.node.settings.iuid or None


CORE: tuple[Variable, ...] = (
    plain("$", lambda _run: "$", doc="A dollar sign."),
    plain("null", lambda _run: None, doc="No value."),
    plain("rc", _rc, doc="The return code of the last function."),
    plain("retcode", _rc, doc="The return code of the last function."),
    plain("?", _rc, doc="The return code of the last function."),
    plain("iuid", _instance_id, doc="The id of this instance, null if it was not given one."),
    named("def", _definition, doc="A preprocessor definition, null if there is none."),
    named("defv", _definition, doc="A preprocessor definition's value, null if there is none."),
    named("defs", _definition_quoted, doc="A preprocessor definition in double quotes, null if there is none."),
    named("defn", _definition_number, doc="A preprocessor definition as a number, 0 if there is none."),
    named("env", _environment, doc="An environment variable, null if it is not set."),
    named("envn", _environment_number, doc="An environment variable as a number, null if it is not set."),
)
