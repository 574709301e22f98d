"""Routes that nothing calls, events that nothing runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kahea.engines.native.diagnostics import nearest
from kahea.engines.native.tree import NOWHERE, Call, LoadModule, ModParam, Program, Route, RouteCall, String
from kahea.engines.native.walk import expressions, inside, target_name, walk
from kahea.routing.kamailio_exports import events

if TYPE_CHECKING:
    from kahea.engines.native.check.findings import Findings

#: What they are given is for people to read.
_LOG: Final = frozenset(
    {"xlog", "xlogl", "xlogm", "xlogi", "xdbg", "xinfo", "xnotice", "xwarn", "xerr", "xcrit", "xalert"}
)
_WORDS: Final = re.compile(r"[\w\-]+")
_KEYWORDS: Final = {"request": "route", "reply": "onreply_route"}
#: Functions that arm a route, with its kind.
_ARMING: Final = {"t_on_branch": "branch", "t_on_reply": "reply", "t_on_failure": "failure"}


def check_routes(program: Program, findings: Findings) -> None:
    """Look at all routes together."""
    routes = program.routes()
    mains = [r for r in routes if not r.name and r.kind == "request"]
    if not mains:
        first = routes[0].place if routes else NOWHERE
        findings.warn("no-main-route", "there is no request_route: no request does anything", first)
    for route in routes:
        if route.kind == "event":
            _event(program, route, findings)
        elif route.kind == "onsend" and route.name:
            message = f"onsend_route[{route.name}] is never run: the one without a name is"
            findings.warn("unused-route", message, route.place)
    _unarmed(routes, findings)
    if mains:
        _unused(program, routes, findings)


def _unarmed(routes: list[Route], findings: Findings) -> None:
    """Routes that are armed and not there: Kamailio starts, warns, and runs nothing."""
    known = {(route.kind, route.name) for route in routes}
    for call in (one for route in routes for one in _calls(route) if one.name in _ARMING and one.arguments):
        argument, kind = call.arguments[0], _ARMING[call.name]
        if not isinstance(argument, String) or argument.text in ("", "0") or "$" in argument.text:
            continue
        if (kind, argument.text) not in known:
            near = nearest(argument.text, [name for k, name in known if k == kind])
            word = _KEYWORDS.get(kind, f"{kind}_route")
            findings.warn("unknown-route", f"there is no {word}[{argument.text}]", argument.place, near)


def _calls(route: Route) -> Iterator[Call]:
    for statement in walk(route.body):
        for expression in expressions(statement):
            yield from (one for one in inside(expression) if isinstance(one, Call))


def _unused(program: Program, routes: list[Route], findings: Findings) -> None:
    """Named routes that no route which runs refers to."""
    named: dict[tuple[str, str], Route] = {}
    for route in routes:
        if route.name and route.kind not in ("event", "onsend"):
            named.setdefault((route.kind, route.name), route)
    waiting = [r for r in routes if not r.name or r.kind == "event"]
    words = {word for text in _texts(program) for word in _WORDS.findall(text)} | set(_texts(program))
    waiting += [r for r in named.values() if r.name in words]
    reached = {id(r) for r in waiting}
    while waiting:
        route = waiting.pop()
        direct, texts, dynamic = _references(route)
        if dynamic:
            return  # any of them may be meant
        for key, found in named.items():
            if id(found) not in reached and ((key[0] == "request" and key[1] in direct) or key[1] in texts):
                reached.add(id(found))
                waiting.append(found)
    missing = {name for route in routes for name in _references(route)[0] if ("request", name) not in named}
    for (kind, name), route in named.items():
        if id(route) not in reached:
            word = _KEYWORDS.get(kind, f"{kind}_route")
            message = f"{word}[{name}] is never used"
            findings.warn("unused-route", message, route.place, nearest(name, missing))


def _texts(program: Program) -> Iterator[str]:
    """What modules are told, which may be the names of routes."""
    for declaration in program.declarations:
        if isinstance(declaration, ModParam) and isinstance(declaration.value, String):
            yield declaration.value.text


def _references(route: Route) -> tuple[set[str], set[str], bool]:
    """The routes that a route calls, the texts in it that may name others, and whether it calls one by a variable."""
    direct: set[str] = set()
    texts: set[str] = set()
    dynamic = False
    for statement in walk(route.body):
        for expression in expressions(statement):
            logged: set[int] = set()
            for one in inside(expression):
                if isinstance(one, Call) and one.name in _LOG:
                    logged |= {id(argument) for argument in one.arguments}
            for one in inside(expression):
                if isinstance(one, RouteCall):
                    direct.add(target_name(one))
                    dynamic |= not target_name(one)
                elif isinstance(one, String) and id(one) not in logged:
                    texts |= {one.text, *_WORDS.findall(one.text)}
                elif isinstance(one, Call):
                    texts |= {str(getattr(a, "text", getattr(a, "value", ""))) for a in one.arguments}
    return direct, texts, dynamic


def _event(program: Program, route: Route, findings: Findings) -> None:
    """An event that no module has, or whose module is not loaded."""
    loaded = {Path(d.file).name.removesuffix(".so") for d in program.declarations if isinstance(d, LoadModule)}
    known = {re.sub(r"\\\[.*?\\\]|<[^>]*>", ".+", re.escape(name)): owners for name, owners in events().items()}
    owners = next((o for pattern, o in known.items() if re.fullmatch(pattern, route.name)), None)
    if owners is None:
        message = f"no module of Kamailio runs an event {route.name}"
        findings.warn("unknown-event", message, route.place, nearest(route.name, events()))
    elif loaded and not loaded & {*owners, "core"} and "core" not in owners:
        message = f"event_route[{route.name}] is run by module {owners[0]}, which is not loaded"
        findings.warn("unused-route", message, route.place, f'loadmodule "{owners[0]}.so"')
