"""One run of a script, and the greenlets that runs live in.

Rules of this room:

1. Script code runs in a worker greenlet of the node's `Pool`; the loop runs in the hub (the main greenlet).
2. `current.run` is the run in progress. Only `Pool` and `suspend` change it over a switch: a run that waits takes it
   along, so two scripts in flight never see each other's message.
3. A function that must wait calls `wait(awaitable)`: it looks synchronous to the script and suspends that
   one run only.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from kahea.routing.dispatch import (
    EndRoute,
    NoRun,
    Pool,
    Run,
    ScriptError,
    Ticks,
    begin,
    can_wait,
    current,
    held,
    suspend,
    without_waiting,
)

T = TypeVar("T")

# Route kinds, as bits, so that a function can say where it may be called.
REQUEST_ROUTE = 1
FAILURE_ROUTE = 2
ONREPLY_ROUTE = 4  # of a transaction
CORE_ONREPLY_ROUTE = 128  # of the node (ksr_reply_route)
BRANCH_ROUTE = 8
ONSEND_ROUTE = 16
EVENT_ROUTE = 64
BRANCH_FAILURE_ROUTE = 256
LOCAL_ROUTE = 32
#: What Kamailio's pages call ONREPLY_ROUTE: both kinds of it.
REPLY_ROUTES = ONREPLY_ROUTE | CORE_ONREPLY_ROUTE
ROUTE_NAMES = {
    REQUEST_ROUTE: "request_route",
    FAILURE_ROUTE: "failure_route",
    ONREPLY_ROUTE: "onreply_route",
    CORE_ONREPLY_ROUTE: "reply_route",
    BRANCH_ROUTE: "branch_route",
    ONSEND_ROUTE: "onsend_route",
    EVENT_ROUTE: "event_route",
    BRANCH_FAILURE_ROUTE: "branch_failure_route",
    LOCAL_ROUTE: "event_route[tm:local-request]",
}


def this_run() -> Run:
    """The run in progress; raises NoRun outside of one."""
    run = current.run
    if run is None:
        raise NoRun("called outside of a running route")
    return run


def wait(awaitable: Awaitable[T]) -> T:
    """Await from a script: suspends this run only. What the awaitable raises is raised here."""

    def arm(resume: Callable[[Any], None]) -> None:
        future = asyncio.ensure_future(awaitable)

        def done(f: asyncio.Future[T]) -> None:
            if f.cancelled():
                resume(asyncio.CancelledError())
            else:
                error = f.exception()
                resume(_Result(None, error) if error is not None else _Result(f.result(), None))

        future.add_done_callback(done)

    try:
        answer = suspend(arm)
    except NoRun:
        if inspect.iscoroutine(awaitable):
            awaitable.close()
        raise
    if answer.error is not None:
        try:
            raise answer.error
        finally:
            del answer  # or the error and this frame would keep each other, and the run with them
    result: T = answer.value
    return result


class _Result:
    __slots__ = ("error", "value")

    def __init__(self, value: Any, error: BaseException | None) -> None:
        self.value = value
        self.error = error


__all__ = [
    "BRANCH_FAILURE_ROUTE",
    "BRANCH_ROUTE",
    "CORE_ONREPLY_ROUTE",
    "EVENT_ROUTE",
    "FAILURE_ROUTE",
    "LOCAL_ROUTE",
    "ONREPLY_ROUTE",
    "ONSEND_ROUTE",
    "REPLY_ROUTES",
    "REQUEST_ROUTE",
    "ROUTE_NAMES",
    "EndRoute",
    "NoRun",
    "Pool",
    "Run",
    "ScriptError",
    "Ticks",
    "begin",
    "can_wait",
    "current",
    "held",
    "suspend",
    "this_run",
    "wait",
    "without_waiting",
]
