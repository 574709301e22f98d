"""From routes to a `Generation`: each becomes a function `route(run)` on its own file's lines.

A function's value is its return code: above 0 true, below false. None means that the script ended in it (`exit`,
`return 0`, a function's 0); whoever called it ends, too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Final

from kahea.engines.native.compiler import build, runtime
from kahea.engines.native.compiler.function import FunctionState
from kahea.engines.native.compiler.liveness import live_codes
from kahea.engines.native.compiler.scope import Scope
from kahea.engines.native.compiler.statements import RETURN
from kahea.engines.native.compiler.switches import Switches
from kahea.engines.native.diagnostics import CfgError
from kahea.engines.native.tree import Program, Route
from kahea.routing import run as kinds
from kahea.routing.generation import Generation

if TYPE_CHECKING:
    from kahea.routing.generation import Route as Function
    from kahea.routing.node import Node
    from kahea.routing.pv import Pv

_BITS: Final = {
    # Kamailio has one word for both: what an event route may call, a request route may.
    "request": kinds.REQUEST_ROUTE | kinds.EVENT_ROUTE,
    "failure": kinds.FAILURE_ROUTE,
    "branch": kinds.BRANCH_ROUTE,
    "onsend": kinds.ONSEND_ROUTE,
    "event": kinds.EVENT_ROUTE | kinds.REQUEST_ROUTE,
}
#: Python frames: some four for each link of a chain.
_DEEPEST: Final = 10_000
_EVENTS: Final = {"tm:local-request": kinds.LOCAL_ROUTE, "tm:branch-failure": kinds.BRANCH_FAILURE_ROUTE}


def compile_program(program: Program, node: Node, pause: Callable[[], object] = lambda: None) -> Generation:
    """The routes of a program, for a node whose modules are loaded. Raises CfgError with every error.

    `pause` is called after each statement and route, where others may do their work.
    """
    scope = Scope(program, node, pause)
    routes = program.routes()
    for route in routes:
        if scope.route_names[route.kind, route.name]:
            scope.error("duplicate-route", f"there is a {title(route)} already", route.place)
        scope.route_names[route.kind, route.name] = title(route)
    trees = _functions(scope, routes)
    _stop_at_errors(scope)
    if scope.wants_return_code and scope.tracer is None and not scope.parameters_ask_for_code():
        with _deep(scope, routes[0]):
            scope.live = live_codes(trees, scope.readers, scope.stores)
        trees = _functions(scope, routes)
    functions: dict[tuple[str, str], Function] = {}
    for route, tree in zip(routes, trees, strict=True):
        module = ast.Module([tree], [])
        with _deep(scope, route):
            exec(compile(module, route.place.file, "exec"), scope.names)
            made = scope.names[tree.name]
            assert isinstance(made, FunctionType)
            functions[route.kind, route.name] = made
        pause()
    _stop_at_errors(scope)
    for name in scope.recursive_routes():
        bounded = runtime.bounded(functions["request", name], node.settings.max_recursive_level)
        functions["request", name] = scope.names[scope.route_names["request", name]] = bounded
    scope.names["routes"] = {name: made for (kind, name), made in functions.items() if kind == "request"}
    return _generation(program, functions, list(scope.used.values()))


def _stop_at_errors(scope: Scope) -> None:
    if scope.diagnostics:
        scope.diagnostics.sort(key=lambda d: (d.place.file, d.place.line, d.place.column))
        raise CfgError(scope.diagnostics, scope.program.sources)


@contextmanager
def _deep(scope: Scope, route: Route) -> Iterator[None]:
    """Let long chains of `else if` or `||` be compiled, which Python's usual depth of calls is too small for; one that
    is longer still is an error of the cfg's."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(max(usual, _DEEPEST))
    try:
        yield
    except RecursionError:
        scope.error("too-deep", f"{title(route)} nests too deeply, or has too long a chain of operators", route.place)
    finally:
        sys.setrecursionlimit(usual)


def title(route: Route) -> str:
    """A route as a cfg writes it: `request_route`, `route[X]`, `failure_route[X]`."""
    if route.kind == "request":
        return f"route[{route.name}]" if route.name else "request_route"
    if route.kind == "reply":
        return f"onreply_route[{route.name}]" if route.name else "reply_route"
    return f"{route.kind}_route[{route.name}]" if route.name else f"{route.kind}_route"


def _functions(scope: Scope, routes: list[Route]) -> list[ast.FunctionDef]:
    out = []
    for route in routes:
        with _deep(scope, route):
            out.append(_function(scope, route))
        scope.pause()
    return out


def _function(scope: Scope, route: Route) -> ast.FunctionDef:
    state = FunctionState(scope, route.kind, _bits(route), title(route))
    body = Switches(state).block(route.body, RETURN, route)
    if scope.tracer is not None:
        told = ast.Expr(build.call("trace_end", build.name(build.RUN), build.constant(state.title)))
        body = [ast.Try(body, [], [], [told])]
    arguments = ast.arguments([], [ast.arg(build.RUN)], None, [], [], None, [])
    function = ast.FunctionDef(title(route), arguments, body, [], None)
    build.located([function], route.place)
    return function


def _bits(route: Route) -> int:
    if route.kind == "reply":
        return kinds.ONREPLY_ROUTE if route.name else kinds.CORE_ONREPLY_ROUTE
    if route.kind == "event":
        own = next((bit for name, bit in _EVENTS.items() if route.name.startswith(name)), 0)
        return own | _BITS["event"]
    return _BITS[route.kind]


def _generation(program: Program, functions: dict[tuple[str, str], Function], variables: list[Pv]) -> Generation:
    source = "\n".join("".join(lines) for lines in program.sources.values())
    files = [Path(name) for name in program.sources]
    return Generation(
        lambda name: functions.get(("request", name)),
        request=functions.get(("request", "")),
        reply=functions.get(("reply", "")),
        onsend=functions.get(("onsend", "")),
        pre_routing=functions.get(("event", "core:pre-routing")),
        received=functions.get(("event", "core:msg-received")),
        events=lambda name: functions.get(("event", name)),
        of_kind=lambda kind, name: functions.get((kind, name)),
        source=source.encode("utf-8", "surrogateescape"),
        files=lambda: files,
        variables=variables,
    )
