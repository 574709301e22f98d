"""Pauses and tasks of scripts (Kamailio's module async): a request goes on later, or data is handed to another route.

Kamailio hands these to processes of their own. Here a run that waits takes nobody's place, so that workers and their
groups are only names. What goes on later goes on in the same generation of routes, with the request as it is then.
`async_sleep()` goes on with the next statement, and back into the route that called this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kahea.routing.generation import event_message
from kahea.routing.module import Module, Param, Value, function, native, variable
from kahea.routing.run import FAILURE_ROUTE, REQUEST_ROUTE, EndRoute, Run, suspend

if TYPE_CHECKING:
    from collections.abc import Callable

_SUSPENDING: Final = REQUEST_ROUTE | FAILURE_ROUTE
_STATE: Final = "async"
LONGEST: Final = 100  # seconds
LONGEST_MS: Final = 30_000
NO_WORKERS: Final = "there are no worker processes here"


class Async(Module):
    """Pauses and tasks: a request goes on later, or data is handed to another route."""

    name = "async"
    needs = ("tm", "tmx")

    workers = Param(1, "Processes that take up what was put off.", inert=NO_WORKERS)
    mode = Param(0, "How they are told of it.", inert=NO_WORKERS)
    ms_timer = Param(0, "Above 0: async_ms_sleep() and async_ms_route() work. They are exact to the millisecond.")

    @classmethod
    def params(cls) -> dict[str, Param[Any]]:
        """With the one whose name is Python's own."""
        code = Param(0, "What functions return that put a request off; 0 ends a native script.")
        code.name = "return"
        return {**super().params(), "return": code}

    def _allowed(self, function_: str, time: int, longest: int) -> bool:
        if longest == LONGEST_MS and not self.ms_timer:
            self.node.log.error("%s: there is no time in milliseconds without the parameter ms_timer", function_)
            return False
        if not 0 < time <= longest:
            self.node.log.error("%s: %d is not from 1 to %d", function_, time, longest)
            return False
        return True

    def _put_off(self, run: Run, route: str, seconds: float) -> int:
        """Suspend the transaction, and go on with a route of the script later."""
        if run.generation.find(route) is None:
            self.node.log.error("async: the script has no route %s", route)
            return -1
        tmx = self.node.module("tmx")
        if tmx.t_suspend(run) < 0:
            self.node.log.error("async: there is no transaction to put off")
            return -1
        self.node.call_later(seconds, tmx.resume, run.transaction, route)
        return int(vars(self).get("return", 0))

    # ---- a request goes on later

    @native("str", "int", name="async_route", routes=_SUSPENDING)
    @function
    def route(self, run: Run, route: str, seconds: int) -> int:
        """Put the request off for 1 to 100 seconds, then go on with a route; -1 if it can't be put off."""
        return self._put_off(run, route, seconds) if self._allowed("async_route", seconds, LONGEST) else -1

    @native("str", "int", name="async_ms_route", routes=_SUSPENDING)
    @function
    def ms_route(self, run: Run, route: str, milliseconds: int) -> int:
        """As `route`, for 1 to 30000 milliseconds; needs ms_timer."""
        if not self._allowed("async_ms_route", milliseconds, LONGEST_MS):
            return -1
        return self._put_off(run, route, milliseconds / 1000)

    @native("str", name="async_task_route", routes=_SUSPENDING)
    @function
    def task_route(self, run: Run, route: str) -> int:
        """Go on with a route as soon as this run is over."""
        return self._put_off(run, route, 0)

    @native("str", "str", name="async_task_group_route", routes=_SUSPENDING)
    @function
    def task_group_route(self, run: Run, route: str, group: str) -> int:
        """As `task_route`; a group of workers is only a name here."""
        return self._put_off(run, route, 0)

    @native("int", name="async_sleep", routes=_SUSPENDING)
    @function
    def sleep(self, run: Run, seconds: int) -> int:
        """Put the request off for 1 to 100 seconds, and go on with the next statement; the script ends here if the
        transaction has ended meanwhile."""
        return self._sleep(run, seconds) if self._allowed("async_sleep", seconds, LONGEST) else -1

    @native("int", name="async_ms_sleep", routes=_SUSPENDING)
    @function
    def ms_sleep(self, run: Run, milliseconds: int) -> int:
        """As `sleep`, for 1 to 30000 milliseconds; needs ms_timer."""
        if not self._allowed("async_ms_sleep", milliseconds, LONGEST_MS):
            return -1
        return self._sleep(run, milliseconds / 1000)

    def _sleep(self, run: Run, seconds: float) -> int:
        tmx = self.node.module("tmx")
        if tmx.t_suspend(run) < 0:
            self.node.log.error("async_sleep: there is no transaction to put off")
            return -1
        t = run.transaction
        assert t is not None

        def arm(resume: Callable[[Any], None]) -> None:
            self.node.call_later(seconds, resume, None)

        suspend(arm)
        if not tmx.take_up(t):
            raise EndRoute
        return 1

    # ---- data for another route

    def _task(self, run: Run, route: str, group: str, data: str) -> int:
        found = run.generation.find(route)
        if found is None:
            self.node.log.error("async: the script has no route %s", route)
            return -1
        task = Run(self.node, event_message(), REQUEST_ROUTE, route)
        task.generation = run.generation
        task.state[_STATE] = (data, group)
        self.node.call_later(0, self.node.in_worker, self.node.execute, task, found)
        return 1

    @native("str", "str", name="async_task_data")
    @function
    def task_data(self, run: Run, route: str, data: str) -> int:
        """Run a route soon, with data in `$async(data)` and a made-up request; -1 if there is no such route."""
        return self._task(run, route, "default", data)

    @native("str", "str", "str", name="async_task_group_data")
    @function
    def task_group_data(self, run: Run, route: str, group: str, data: str) -> int:
        """As `task_data`, with the name of a group in `$async(gname)`."""
        return self._task(run, route, group, data)

    @function
    def get_data(self, run: Run) -> Value:
        """The data that the running task was given."""
        return self._given(run, 0)

    @function
    def get_gname(self, run: Run) -> Value:
        """The group that the running task was given to."""
        return self._given(run, 1)

    @variable("async", takes_name=True)
    def task(self, run: Run, name: str, index: object) -> Value:
        """What the running task was given: `data`, `gname`."""
        return self._given(run, ("data", "gname").index(name)) if name in ("data", "gname") else None

    def _given(self, run: Run, place: int) -> Value:
        given = run.state.get(_STATE)
        return str(given[place]) if isinstance(given, tuple) else None


MODULE = Async
