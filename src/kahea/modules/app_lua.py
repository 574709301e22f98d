"""Module app_lua: functions of Lua scripts, called by name, and how the scripts are run."""

from __future__ import annotations

from typing import ClassVar

from kahea.routing.checks import between
from kahea.routing.libraries import ScriptModule
from kahea.routing.module import Param, RpcError, function, native, rpc
from kahea.routing.run import Run


def _runtime(value: str) -> str:
    if value not in AppLua.RUNTIMES:
        raise ValueError(f"there is no Lua runtime {value!r}; there are {', '.join(AppLua.RUNTIMES)}")
    return value


class AppLua(ScriptModule):
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
    time_limit = Param(
        1000,
        "How many ms of CPU time a script may take without waiting before it is stopped; 0 for any.",
        check=between(0, 3_600_000),
    )
    memory_limit = Param(
        64, "How many MB all runs of a script may take together; 0 for any.", check=between(0, 1_000_000)
    )

    @native("str", "str", "str", "str", name="lua_run", least=1)
    @function(name="run", params=("str",), ret="int")
    def run(self, run: Run, name: str, *args: str) -> int:
        """Call a function of the scripts; -1 for an error, or if there is none."""
        return self.run_function(run, name, *args)

    @function
    def run_p1(self, run: Run, name: str, first: str) -> int:
        """Call a function of the scripts with an argument; -1 for an error, or if there is none."""
        return self.run_function(run, name, first)

    @function
    def run_p2(self, run: Run, name: str, first: str, second: str) -> int:
        """Call a function of the scripts with two arguments; -1 for an error, or if there is none."""
        return self.run_function(run, name, first, second)

    @function
    def run_p3(self, run: Run, name: str, first: str, second: str, third: str) -> int:
        """Call a function of the scripts with three arguments; -1 for an error, or if there is none."""
        return self.run_function(run, name, first, second, third)

    @native("str", name="lua_runstring")
    @function
    def runstring(self, run: Run, text: str) -> int:
        """Run Lua where the scripts are; -1 for an error."""
        return self.run_text(run, text)

    @native("str", name="lua_dostring")
    @function
    def dostring(self, run: Run, text: str) -> int:
        """Run Lua apart from the scripts, where only other such texts and files have been; -1 for an error."""
        return self.do_text(run, text)

    @native("str", name="lua_dofile")
    @function
    def dofile(self, run: Run, path: str) -> int:
        """Run a file of Lua apart from the scripts, read anew each time; -1 for an error."""
        return self.do_file(run, path)

    @rpc("app_lua.list")
    def rpc_list(self) -> list[str]:
        """The scripts, the one loaded last first, as `index: [path]`."""
        return [f"{index}: [{path}]" for index, path in enumerate(reversed(self.scripts()))]

    @rpc("app_lua.reload")
    def rpc_reload(self, index: int = 0) -> None:
        """Read the scripts anew: all of them, since they share one state; `index` is one of `app_lua.list`."""
        if not self.reload:
            raise RpcError(500, "Reload Failed: the parameter reload is 0")
        if not 0 <= index < max(len(self.scripts()), 1):
            raise RpcError(500, f"Reload Failed: there is no script {index}")
        self.reload_scripts()

    @rpc("app_lua.api_list")
    def rpc_api_list(self) -> dict[str, object]:
        """Every function that a script can call."""
        return self.api_list()


MODULE = AppLua
