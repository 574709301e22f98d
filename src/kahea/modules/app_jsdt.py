"""Module app_jsdt: functions of JavaScript scripts, called by name, and how the scripts are run."""

from __future__ import annotations

from kahea.routing.checks import between
from kahea.routing.libraries import FunctionsByName
from kahea.routing.module import Param


class AppJsdt(FunctionsByName):
    """Scripts in JavaScript: how they are run, and their functions called by name."""

    name = "app_jsdt"
    language = "jsdt"

    load: Param[list[str]] = Param([], "A script whose functions can be called.", many=True)
    mode = Param(1, "Whether scripts have `require()`.", check=between(0, 1))
    memory_limit = Param(16, "How many MB one run of a script may take; 0 for any.", check=between(0, 1_000_000))


MODULE = AppJsdt
