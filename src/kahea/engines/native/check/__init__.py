"""`kahea check`: all that can be said of a cfg before it runs. What loading it would refuse comes from the parser, the
loader and the compiler themselves; what is accepted and hardly meant is found here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from kahea.engines.native.check.absent import without_followers
from kahea.engines.native.check.conditions import check_conditions, check_numbers
from kahea.engines.native.check.findings import Findings
from kahea.engines.native.check.relay import check_relay
from kahea.engines.native.check.routes import check_routes
from kahea.engines.native.check.statements import check_statements
from kahea.engines.native.check.variables import check_variables
from kahea.engines.native.compiler import compile_program
from kahea.engines.native.diagnostics import ERROR, WARNING, CfgError, Diagnostic
from kahea.engines.native.load import read
from kahea.engines.native.parser import parse_file
from kahea.engines.native.tree import NOWHERE, GlobalParameter, Program, String, Word
from kahea.net.service import group_id, user_id
from kahea.routing.module import ConfigError
from kahea.routing.node import Node
from kahea.routing.registry import available, module_class
from kahea.routing.settings import Configuration

_OWNERS: Final = {"user": user_id, "uid": user_id, "group": group_id, "gid": group_id}


class Checked(NamedTuple):
    """The findings in the order of the text, the lines of its files, and what it configures if it can be parsed."""

    diagnostics: list[Diagnostic]
    sources: dict[str, list[str]]
    configuration: Configuration | None


def check(script: Path, defines: Mapping[str, str], substitutions: Sequence[tuple[str, str]] = ()) -> Checked:
    """Look at a cfg with all that it includes. Raises ConfigError if the file itself can't be read."""
    try:
        program = parse_file(script, defines, substitutions)
    except CfgError as error:
        found = error.diagnostics
        if error.readable is not None:
            # What is wrong with statements hides nothing else; but what they would do can't be judged.
            configuration, more = read(error.readable, script)
            more += _compiled(error.readable, configuration)
            found = [*found, *(d for d in more if d.level == ERROR and not _said(d, found))]
        return Checked(_in_order(found, error.sources), error.sources, None)
    configuration, found = read(program, script)
    found = [*program.warnings, *found, *_strangers(program), *_compiled(program, configuration)]
    return Checked(_in_order(found, program.sources), program.sources, configuration)


def _said(error: Diagnostic, found: list[Diagnostic]) -> bool:
    """Whether what an error is about is a variable that could not even be read."""
    place = error.place
    return any(
        d.code == "bad-variable"
        and (d.place.file, d.place.line) == (place.file, place.line)
        and d.place.column <= place.column < d.place.end_column
        for d in found
    )


def _strangers(program: Program) -> Iterator[Diagnostic]:
    """The user and group to become, where this host has none of the name. Loading does not ask: a cfg may be tried out
    on another host."""
    for node in program.declarations:
        number_of = _OWNERS.get(node.name) if isinstance(node, GlobalParameter) and not node.group else None
        value = node.values[0] if isinstance(node, GlobalParameter) else None
        if number_of is None or not isinstance(value, (String, Word)):
            continue
        try:
            number_of(value.text)
        except ValueError as error:
            yield Diagnostic(ERROR, "bad-value", str(error), value.place)


def _in_order(found: list[Diagnostic], sources: dict[str, list[str]]) -> list[Diagnostic]:
    """By file, as they were read, line and column."""
    order = {name: at for at, name in enumerate(sources)}
    return sorted(found, key=lambda d: (order.get(d.place.file, len(order)), d.place.line, d.place.column))


def _compiled(program: Program, configuration: Configuration) -> list[Diagnostic]:
    """What compiling says, and what the routes look like, with those of the modules that there are."""
    found: list[Diagnostic] = []
    with _logged(found):
        node = _node(configuration, found)
        try:
            compile_program(program, node, lambda: None)
        except CfgError as error:
            found += without_followers(error.diagnostics, program, node.registry.modules)
    if any(d.level == ERROR for d in found):
        found = [d for d in found if d.code != "log"]  # it may follow from the errors
    findings = Findings(program)
    check_numbers(program, findings)
    for route in program.routes():
        check_statements(route, findings)
        check_conditions(route.body, findings)
    if configuration.language in ("", "native"):
        check_routes(program, findings)
        check_variables(program, node.registry, findings)
        check_relay(program, findings)
    return found + findings.diagnostics


@contextmanager
def _logged(found: list[Diagnostic]) -> Iterator[None]:
    """Take what modules have to say in the log as warnings, instead."""

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(Diagnostic(WARNING, "log", record.getMessage(), NOWHERE))

    handler, log = Collect(logging.WARNING), logging.getLogger("kahea")
    propagate = log.propagate
    log.addHandler(handler)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = propagate


def _node(configuration: Configuration, found: list[Diagnostic]) -> Node:
    """A node of the configuration; of the modules that there are alone, if a setting is wrong."""
    # what is wrong with the others, loading has said
    modules = [name for name in configuration.load or [] if name in available() and not module_class(name).missing()]
    configuration.load = modules
    try:
        return Node(configuration)
    except ConfigError as error:
        found.append(Diagnostic(ERROR, "settings", str(error), NOWHERE))
        return Node(Configuration(load=modules, flags=configuration.flags, avp_flags=configuration.avp_flags))


__all__ = ["Checked", "check"]
