"""One run of a script, and the greenlets that runs live in.

Rules of this room:

1. Script code runs in a worker greenlet of the node's `Pool`; the loop runs in the hub (the main greenlet).
2. `current.run` is the run in progress. Only `Pool` and `wait` may change it over a switch: a run that
   waits takes its `current.run` along, so two scripts in flight never see each other's message.
3. A function that must wait calls `wait(awaitable)`: it looks synchronous to the script and suspends that
   one run only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import greenlet

from kahea.routing.module import Value

if TYPE_CHECKING:
    from kahea.routing.generation import Generation
    from kahea.routing.node import Node
    from kahea.sip.message import Message
    from kahea.tm.transaction import Branch, Transaction

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


class Run:
    """One run of a route: its message, what the transaction lends it, and its own variables.

    `rc` is the return code of the last function (`$rc`), `drop` what `set_drop()` said, `vars` the `$var`s.
    """

    __slots__ = (
        "branch", "drop", "failed", "generation", "kind", "msg", "name", "node", "on_end", "rc", "reply", "status",
        "tm", "transaction", "vars",
    )  # fmt: skip

    def __init__(
        self,
        node: Node,
        msg: Message,
        kind: int,
        name: str = "",
        transaction: Transaction | None = None,
        branch: Branch | None = None,
        status: int = 0,
    ) -> None:
        self.node = node
        self.msg = msg
        self.kind = kind
        self.name = name
        self.transaction = transaction
        self.branch = branch
        #: The reply being looked at: the winning one in a failure route (None if it was made here).
        self.reply: Message | None = None
        #: Status of that reply (408 for a timeout).
        self.status = status
        self.rc = 1
        self.drop = False
        self.vars: dict[str, Value] = {}
        #: The routes this run belongs to: a reload does not change them under it.
        self.generation: Generation = node.routes
        #: Whether the script raised.
        self.failed = False
        #: Called with the run when its request route is over.
        self.on_end: tuple[Callable[[Run], None], ...] = ()
        #: What the tm module keeps for the transaction to come.
        self.tm: Any = None

    def where(self) -> str:
        """The route's kind and name, for the log."""
        kind = ROUTE_NAMES.get(self.kind, "route")
        return f"{kind}[{self.name}]" if self.name else kind


class _Current:
    __slots__ = ("run",)
    run: Run | None

    def __init__(self) -> None:
        self.run = None


#: The run in progress, or None outside of scripts. Read `current.run`; never store it across a wait.
current = _Current()


class NoRun(RuntimeError):
    """A script function was called while no script was running."""


def this_run() -> Run:
    """The run in progress; raises NoRun outside of one."""
    run = current.run
    if run is None:
        raise NoRun("called outside of a running route")
    return run


class Pool:
    """Worker greenlets, kept for reuse: a fresh one costs a page fault, a pooled switch under 1 µs.

    `limit` bounds the runs in flight (suspended ones included); `run` refuses beyond it.
    """

    def __init__(self, limit: int = 20_000, keep: int = 512) -> None:
        self.limit = limit
        self.keep = keep
        self.in_flight = 0
        self._idle: list[greenlet.greenlet] = []

    def run(self, work: Callable[..., object], *args: Any) -> bool:
        """Run `work(*args)` in a worker until it returns or waits; False if too many runs are in flight.

        Called inside a worker, it runs in place. `work` must not raise: what it raises reaches the caller.
        """
        if getattr(greenlet.getcurrent(), "kahea_worker", False):
            work(*args)
            return True
        if self.in_flight >= self.limit:
            return False
        self.in_flight += 1
        saved = current.run
        worker = self._idle.pop() if self._idle else _Worker(self._work)
        try:
            worker.switch(work, args)
        finally:
            current.run = saved
        return True

    def _work(self, work: Callable[..., object], args: tuple[Any, ...]) -> None:
        me = greenlet.getcurrent()
        hub = me.parent
        assert hub is not None
        while True:
            try:
                work(*args)
            except BaseException:
                self.in_flight -= 1
                raise  # ends this worker; greenlet hands the error to the hub's caller
            self.in_flight -= 1
            if len(self._idle) >= self.keep:
                return
            self._idle.append(me)
            work, args = hub.switch()


class _Worker(greenlet.greenlet):
    kahea_worker = True


def can_wait() -> bool:
    """Whether the caller runs in a worker greenlet, and so may `wait`."""
    return getattr(greenlet.getcurrent(), "kahea_worker", False)


def suspend(arm: Callable[[Callable[[Any], None]], None]) -> Any:
    """Suspend this run until `resume(value)` is called, and return the value.

    `arm(resume)` is called at once, in the worker; `resume` must be called from the hub, later, once. A value
    that is an exception is raised here.
    """
    me = greenlet.getcurrent()
    hub = me.parent
    if hub is None or not getattr(me, "kahea_worker", False):
        raise NoRun("only a running route can wait")
    run = current.run

    def resume(value: Any) -> None:
        saved = current.run
        # A worker that is resumed later has whoever resumes it as its parent to come back to.
        me.parent = greenlet.getcurrent()
        try:
            me.switch(value)
        finally:
            current.run = saved

    arm(resume)
    value = hub.switch()
    current.run = run
    if isinstance(value, BaseException):
        raise value
    return value


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

    answer = suspend(arm)
    if answer.error is not None:
        raise answer.error
    result: T = answer.value
    return result


class _Result:
    __slots__ = ("error", "value")

    def __init__(self, value: Any, error: BaseException | None) -> None:
        self.value = value
        self.error = error
