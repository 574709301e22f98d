"""How the core's own functions are called natively: by several names each, and few of them in an onsend route."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from kahea.routing.module import Kind, native
from kahea.routing.run import ONSEND_ROUTE, ROUTE_NAMES

F = TypeVar("F", bound=Callable[..., Any])

#: Every route but the one for what is about to be sent: there, the message is made already.
NOT_ONSEND: Final = sum(kind for kind in ROUTE_NAMES if kind != ONSEND_ROUTE)


def core_native(*names: str, takes: tuple[Kind, ...] = (), least: int | None = None) -> Callable[[F], F]:
    """Declare each of `names`, with arguments of the kinds `takes`, for all routes but onsend routes."""

    def mark(target: F) -> F:
        for name in names:
            native(*takes, name=name, least=least, routes=NOT_ONSEND)(target)
        return target

    return mark
