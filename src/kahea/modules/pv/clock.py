"""Time: `$Ts`, `$TV(...)`, `$time(...)`. It is always the node's clock, never the system's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from kahea.modules.pv.getters import Get, Row, keyed, table
from kahea.routing.module import Value, Variable
from kahea.routing.pv import Bound, PvError, named
from kahea.routing.pv.table import Index

if TYPE_CHECKING:
    from kahea.routing.run import Run

#: What strftime may make: more would be a mistake.
MAX_FORMAT = 1024


def _now(run: Run) -> float:
    return run.node.wall()


def _received(run: Run) -> float:
    """One time for the whole processing of a message: when it arrived."""
    return run.msg.received_at or run.node.wall()


def _micros(seconds: float) -> tuple[int, int]:
    total = int(seconds * 1_000_000)
    return total // 1_000_000, total % 1_000_000


def _ctime(of: Callable[[Run], float]) -> Get:
    return lambda run: time.asctime(time.localtime(of(run)))


_TV: dict[str, Get] = {
    "s": lambda run: _micros(_received(run))[0],
    "u": lambda run: _micros(_received(run))[1],
    "sn": lambda run: _micros(_now(run))[0],
    "un": lambda run: _micros(_now(run))[1],
    "Sn": lambda run: "{}.{:06d}".format(*_micros(_now(run))),
    "Sm": lambda run: "{}.{:06d}".format(*_micros(run.node.now())),
}

_FIELDS: dict[str, Callable[[time.struct_time], int]] = {
    "sec": lambda t: t.tm_sec,
    "min": lambda t: t.tm_min,
    "hour": lambda t: t.tm_hour,
    "mday": lambda t: t.tm_mday,
    "mon": lambda t: t.tm_mon,
    "year": lambda t: t.tm_year,
    "wday": lambda t: (t.tm_wday + 1) % 7 + 1,  # 1 is Sunday
    "yday": lambda t: t.tm_yday,
    "isdst": lambda t: t.tm_isdst,
}


def _broken_down(split: Callable[[float], time.struct_time]) -> dict[str, Get]:
    def of(field: Callable[[time.struct_time], int]) -> Get:
        return lambda run: field(split(_now(run)))

    return {name: of(field) for name, field in _FIELDS.items()}


def _formatted(split: Callable[[float], time.struct_time]) -> Callable[[Value, Index], Bound]:
    def bind(name: Value, _index: Index) -> Bound:
        pattern = str(name)
        if len(pattern) > MAX_FORMAT:
            raise PvError("the time format is too long")
        return Bound(lambda run: time.strftime(pattern, split(_now(run))))

    return bind


_ROWS: tuple[Row, ...] = (
    ("Ts", lambda run: int(_received(run)), "Unix time when the message arrived."),
    ("TS", lambda run: int(_now(run)), "Unix time."),
    ("Tf", _ctime(_received), "Local time when the message arrived, as text."),
    ("TF", _ctime(_now), "Local time as text."),
    ("Tb", lambda run: int(run.node.started), "Unix time when the server started."),
)

VARIABLES: list[Variable] = [
    *table(_ROWS),
    named(
        "TV",
        keyed("TV", _TV),
        doc="Seconds (s, sn), microseconds (u, un), both (Sn); n is now, else arrival. Sm: monotonic.",
    ),
    named("time", keyed("time", _broken_down(time.localtime)), doc="A field of local time."),
    named("utime", keyed("utime", _broken_down(time.gmtime)), doc="A field of UTC."),
    named("timef", _formatted(time.localtime), dynamic=True, doc="Local time by a strftime format."),
    named("utimef", _formatted(time.gmtime), dynamic=True, doc="UTC by a strftime format."),
]
