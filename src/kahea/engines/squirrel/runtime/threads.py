"""Squirrel's threads: functions that suspend themselves and are woken up, each in a greenlet.

The run of a script that is in a thread may wait as any other: then its worker goes with it, and the thread goes on when
what it waited for is there. The greenlet's parent is the hub for that; it passes values to its waker by name.
"""

from __future__ import annotations

from typing import Any, Final

from greenlet import GreenletExit, getcurrent, greenlet

from kahea.engines.squirrel.runtime.comparison import truth
from kahea.engines.squirrel.runtime.delegates import COMMON
from kahea.engines.squirrel.runtime.errors import Thrown
from kahea.engines.squirrel.runtime.parameters import refused
from kahea.engines.squirrel.runtime.slots import DEFAULTS


class _Coroutine(greenlet):
    """Where a thread runs."""

    thread: Thread


class Thread:
    """A thread."""

    __slots__ = ("_coroutine", "_function", "_root", "_waker", "status")
    squirrel_type: Final = "thread"

    def __init__(self, function: Any, root: Any) -> None:
        self._function = function
        self._root = root
        self._coroutine: _Coroutine | None = None
        self._waker: greenlet | None = None
        self.status = "idle"

    def begin(self, args: tuple[Any, ...]) -> Any:
        """Call the function: what it returned, or gave to `suspend`. Raises what it raised."""
        if self.status == "running":
            raise Thrown("cannot call a running thread")
        self._coroutine = _Coroutine(self._run)
        self._coroutine.thread = self
        return self._switch((args, None))

    def wake(self, value: Any, error: Thrown | None = None) -> Any:
        """Let it go on where it suspended itself, with a value or an error. Raises Thrown, and what it raised."""
        if self.status != "suspended":
            article = "an" if self.status == "idle" else "a"
            raise Thrown(f"cannot wakeup {article} {self.status} thread")
        return self._switch((value, error))

    def _switch(self, given: tuple[Any, Thrown | None]) -> Any:
        coroutine = self._coroutine
        assert coroutine is not None
        me = getcurrent()
        self._waker = me
        # Where it waits, the whole worker does: its hub is the thread's as well.
        coroutine.parent = me.parent or me
        self.status = "running"
        value, error = coroutine.switch(given)
        if error is not None:
            raise error
        return value

    def _run(self, given: tuple[Any, None]) -> tuple[Any, BaseException | None]:
        result: tuple[Any, BaseException | None]
        try:
            result = self._function(self._root, *given[0]), None
        except GreenletExit:  # nothing will wake it any more
            raise
        except BaseException as error:  # noqa: BLE001 - its waker gets it
            result = None, error
        self.status = "idle"
        me, waker = self._coroutine, self._waker
        assert me is not None
        assert waker is not None
        self._coroutine = self._waker = None
        me.parent = waker  # who gets what a greenlet returns
        return result

    def suspend(self, value: Any) -> Any:
        """Give a value to the waker; what it is woken up with. Raises Thrown for `wakeupthrow`."""
        waker = self._waker
        assert waker is not None
        self._waker = None
        self.status = "suspended"
        given, error = waker.switch((value, None))
        if error is not None:
            raise error
        return given


def suspend(_this: Any, *values: Any) -> Any:
    """`suspend([value])`. Raises Thrown outside of a thread."""
    me = getcurrent()
    if not isinstance(me, _Coroutine):
        raise Thrown("cannot suspend an vm that is not a thread")
    return me.thread.suspend(values[0] if values else None)


def _call(this: Thread, *args: Any) -> Any:
    return this.begin(args)


def _wakeup(this: Thread, value: Any = None) -> Any:
    return this.wake(value)


def _wakeupthrow(this: Thread, value: Any, rethrow: Any = True) -> Any:
    try:
        return this.wake(None, Thrown(value))
    except Thrown:
        if truth(rethrow):
            raise
        return None


def _getstatus(this: Thread) -> str:
    return this.status


DEFAULTS["thread"] = {
    **COMMON,
    "call": _call,
    "wakeup": _wakeup,
    "wakeupthrow": _wakeupthrow,
    "getstatus": _getstatus,
    "getstackinfos": refused("getstackinfos", "errors have their trace"),
}
