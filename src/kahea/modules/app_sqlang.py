"""Module app_sqlang: functions of Squirrel scripts, called by name, and how the scripts are run."""

from __future__ import annotations

from kahea.routing.checks import between
from kahea.routing.libraries import ScriptModule
from kahea.routing.module import Param, function, native, rpc
from kahea.routing.run import Run


class AppSqlang(ScriptModule):
    """Squirrel scripts."""

    name = "app_sqlang"
    language = "sqlang"

    load: Param[list[str]] = Param(
        [], "A script whose functions can be called; all of them share one root table.", many=True
    )
    time_limit = Param(
        1000,
        "How many ms of CPU time a script may take without waiting before it is stopped; 0 for any.",
        check=between(0, 3_600_000),
    )
    memory_limit = Param(
        64,
        "How many MB the node may grow while a script runs without waiting before it is stopped; 0 for any.",
        check=between(0, 1_000_000),
    )

    @native("str", "str", "str", "str", name="sqlang_run", least=1)
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

    @native("str", name="sqlang_runstring")
    @function
    def runstring(self, run: Run, text: str) -> int:
        """Run Squirrel where the scripts are; -1 for an error."""
        return self.run_text(run, text)

    @native("str", name="sqlang_dostring")
    @function
    def dostring(self, run: Run, text: str) -> int:
        """Run Squirrel apart from the scripts, where only other such texts and files have been; -1 for an error."""
        return self.do_text(run, text)

    @native("str", name="sqlang_dofile")
    @function
    def dofile(self, run: Run, path: str) -> int:
        """Run a file of Squirrel apart from the scripts, read anew each time; -1 for an error."""
        return self.do_file(run, path)

    @rpc("app_sqlang.reload")
    def rpc_reload(self) -> dict[str, object]:
        """Read the scripts anew; the generations before and after."""
        return self.reload_scripts()

    @rpc("app_sqlang.api_list")
    def rpc_api_list(self) -> dict[str, object]:
        """Every function that a script can call."""
        return self.api_list()


MODULE = AppSqlang
