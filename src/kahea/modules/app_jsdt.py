"""Module app_jsdt: how JavaScript scripts are run."""

from __future__ import annotations

from kahea.routing.module import Module, Param


def _not_negative(value: int) -> int:
    if value < 0:
        raise ValueError("it can't be negative")
    return value


class AppJsdt(Module):
    """JavaScript scripts."""

    name = "app_jsdt"

    time_limit = Param(
        1000, "For how many ms a script may run without waiting before it is stopped; 0 for ever.", check=_not_negative
    )
    memory_limit = Param(16, "How many MB one run of a script may take; 0 for any.", check=_not_negative)


MODULE = AppJsdt
