"""Telling of what takes long: routes, native functions (`latency_*`). Times are those of a clock on the wall, so that a
route's includes what it waited for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

from kahea.routing.place import script_place
from kahea.routing.verbosity import level_of

if TYPE_CHECKING:
    from kahea.routing.dispatch import Run
    from kahea.routing.generation import Generation, Route
    from kahea.routing.module import Native
    from kahea.routing.settings import Settings

log = logging.getLogger("kahea.latency")


class TimedRoute:
    """A route that tells how long it took, if that was at least `limit` microseconds."""

    def __init__(self, route: Route, what: str, limit: int, level: int) -> None:
        self.route = route
        self._what = what
        self._limit = limit
        self._level = level_of(level)

    def __call__(self, run: Run) -> object:
        began = perf_counter()
        try:
            return self.route(run)
        finally:
            took = int((perf_counter() - began) * 1e6)
            if took >= self._limit:
                log.log(self._level, "%s executed in %d us", self._what, took)


def time_routes(generation: Generation, settings: Settings) -> None:
    """Have the request and the reply route timed, if `latency_cfg_log` shows at this `debug`."""
    if settings.latency_cfg_log > settings.debug:
        return
    limit, level = settings.latency_limit_cfg, settings.latency_cfg_log
    if generation.request is not None and not isinstance(generation.request, TimedRoute):
        generation.request = TimedRoute(generation.request, "request_route", limit, level)
    if generation.reply is not None and not isinstance(generation.reply, TimedRoute):
        generation.reply = TimedRoute(generation.reply, "reply_route", limit, level)


def timed(form: Native, settings: Settings) -> Native:
    """A native function that tells if it took longer than `latency_limit_action`."""
    limit, level, call = settings.latency_limit_action, level_of(settings.latency_log), form.call

    def measured(*arguments: Any) -> Any:
        began = perf_counter()
        try:
            return call(*arguments)
        finally:
            took = int((perf_counter() - began) * 1e6)
            if took > limit:
                file, line = script_place()
                log.log(level, "%s at %s:%d took %d us", form.name, file, line, took)

    function: Callable[..., Any] = measured
    return replace(form, call=function)
