"""Module app_lua: functions of Lua scripts, called by name, and how the scripts are run."""

from __future__ import annotations

from typing import ClassVar

from kahea.routing.checks import between
from kahea.routing.libraries import FunctionsByName
from kahea.routing.module import Param, RpcError, rpc


def _runtime(value: str) -> str:
    if value not in AppLua.RUNTIMES:
        raise ValueError(f"there is no Lua runtime {value!r}; there are {', '.join(AppLua.RUNTIMES)}")
    return value


class AppLua(FunctionsByName):
    """Scripts in Lua: how they are run, and their functions called by name."""

    name = "app_lua"
    language = "lua"

    #: The runtimes and where they are found.
    RUNTIMES: ClassVar[dict[str, str]] = {"luajit": "lupa.luajit21", "5.4": "lupa.lua54"}

    load: Param[list[str]] = Param(
        [], "A script whose functions can be called; all of them share one Lua state.", many=True
    )
    reload = Param(1, "Whether app_lua.reload may read the scripts anew.", check=between(0, 1))
    log_mode = Param(0, "What Kamailio's interpreter logs.", inert="it is for debugging Kamailio's interpreter")
    runtime = Param("luajit", "Which Lua: `luajit` (the language of 5.1) or `5.4`.", check=_runtime)
    memory_limit = Param(
        64, "How many MB all runs of a script may take together; 0 for any.", check=between(0, 1_000_000)
    )

    @rpc("list")
    def rpc_list(self) -> list[str]:
        """The scripts, the one loaded last first, as `index: [path]`."""
        return [f"{index}: [{path}]" for index, path in enumerate(reversed(self.scripts()))]

    @rpc("reload")
    def rpc_reload(self, index: int = 0) -> None:
        """Read the scripts anew: all of them, since they share one state; `index` is one of `app_lua.list`."""
        if not self.reload:
            raise RpcError(500, "Reload Failed: the parameter reload is 0")
        if not 0 <= index < max(len(self.scripts()), 1):
            raise RpcError(500, f"Reload Failed: there is no script {index}")
        self.reload_scripts()


MODULE = AppLua
