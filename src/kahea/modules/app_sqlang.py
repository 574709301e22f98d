"""Module app_sqlang: functions of Squirrel scripts, called by name, and how the scripts are run."""

from __future__ import annotations

from kahea.routing.checks import between
from kahea.routing.libraries import FunctionsByName
from kahea.routing.module import Param


class AppSqlang(FunctionsByName):
    """Squirrel scripts."""

    name = "app_sqlang"
    language = "sqlang"

    load: Param[list[str]] = Param(
        [], "A script whose functions can be called; all of them share one root table.", many=True
    )
    memory_limit = Param(
        64,
        "How many MB the node may grow while a script runs without waiting before it is stopped; 0 for any.",
        check=between(0, 1_000_000),
    )


MODULE = AppSqlang
