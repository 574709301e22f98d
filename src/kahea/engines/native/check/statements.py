"""Statements that do nothing, are never reached, or do more than they seem to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from kahea.engines.native.constants import fold
from kahea.engines.native.tree import (
    Break,
    Call,
    Case,
    Drop,
    Exit,
    If,
    Number,
    Return,
    Route,
    Statement,
    String,
    Switch,
)
from kahea.engines.native.walk import blocks, ends, expressions, inside, walk

if TYPE_CHECKING:
    from kahea.engines.native.check.findings import Findings

_LEAVE: Final = (Return, Exit, Drop, Break)
#: A level that xlog takes as an argument of its own, run into the message.
_LEVEL: Final = re.compile(r"L_(?:ALERT|BUG|CRIT2?|ERR|WARN|NOTICE|INFO|DBG)")


def check_statements(route: Route, findings: Findings) -> None:
    """Look at every statement of a route."""
    _block(route.body, findings)
    for statement in walk(route.body):
        for block in blocks(statement):
            _block(block, findings)
        if isinstance(statement, Switch):
            _switch(statement, findings)
        elif isinstance(statement, Return) and route.name and route.kind == "request":
            _return(statement, findings)
        for expression in expressions(statement):
            for one in inside(expression):
                if isinstance(one, Call):
                    _call(one, findings)


def _block(body: tuple[Statement, ...], findings: Findings) -> None:
    """Whether something stands after the end of a block."""
    for i, statement in enumerate(body[:-1]):
        if not ends((statement,)):
            continue
        after = body[i + 1]
        alone = isinstance(after, _LEAVE) and i + 2 == len(body)
        if not alone and not findings.directive_between(statement.place, after.place):
            findings.warn("unreachable", "this is never reached", after.place, f"{_end(statement)} is before it")
        return


def _end(statement: Statement) -> str:
    where = f"on line {statement.place.line}"
    if isinstance(statement, If | Switch):
        return f"{'an if' if isinstance(statement, If) else 'a switch'} {where} that never goes on"
    return f"the end {where}"


def _return(statement: Return, findings: Findings) -> None:
    if isinstance(statement.value, Number) and statement.value.value == 0:
        message = "return 0 ends the whole script, as exit does"
        findings.warn("return-zero", message, statement.place, "return -1 is false, return 1 true")


def _switch(statement: Switch, findings: Findings) -> None:
    seen: dict[int | str, Case] = {}
    for i, case in enumerate(statement.cases):
        value = None if case.value is None else fold(case.value)
        if value is not None:
            if not case.regex and value in seen:
                message = f"this case is never taken: line {seen[value].place.line} has the same value"
                findings.warn("duplicate-case", message, case.place)
            elif not case.regex:
                seen[value] = case
        falls = case.body and i + 1 < len(statement.cases) and not ends(case.body)
        if falls and not findings.directive_between(case.place, statement.cases[i + 1].place):
            message = "without a break, what this case does goes on into the next one"
            findings.warn(
                "falls-through", message, case.place, f"the next is on line {statement.cases[i + 1].place.line}"
            )


def _call(call: Call, findings: Findings) -> None:
    if call.name == "xlog" and len(call.arguments) == 1 and isinstance(call.arguments[0], String):
        level = _LEVEL.match(call.arguments[0].text)
        if level is not None:
            message = f"{level.group()} is part of the message here, not its level"
            findings.warn(
                "missing-comma", message, call.arguments[0].place, f'a comma separates them: "{level.group()}", "..."'
            )
