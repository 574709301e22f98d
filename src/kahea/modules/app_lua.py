"""Module app_lua: how Lua scripts are run."""

from __future__ import annotations

from typing import ClassVar

from kahea.routing.module import Module, Param


def _runtime(value: str) -> str:
    if value not in AppLua.RUNTIMES:
        raise ValueError(f"there is no Lua runtime {value!r}; there are {', '.join(AppLua.RUNTIMES)}")
    return value


def _not_negative(value: int) -> int:
    if value < 0:
        raise ValueError("it can't be negative")
    return value


class AppLua(Module):
    """Lua scripts."""

    #: The runtimes and where they are found.
    RUNTIMES: ClassVar[dict[str, str]] = {"luajit": "lupa.luajit21", "5.4": "lupa.lua54"}

    name = "app_lua"

    runtime = Param("luajit", "Which Lua: `luajit` (the language of 5.1) or `5.4`.", check=_runtime)
    time_limit = Param(
        1000, "For how many ms a script may run without waiting before it is stopped; 0 for ever.", check=_not_negative
    )
    memory_limit = Param(64, "How many MB all runs of a script may take together; 0 for any.", check=_not_negative)


MODULE = AppLua
