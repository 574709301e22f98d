"""Module app_python3s: functions of Python scripts without an object, called by name."""

from __future__ import annotations

from pathlib import Path

from kahea.routing.libraries import ScriptModule, returned_number
from kahea.routing.module import Param, function, native, rpc
from kahea.routing.run import Run


class AppPython3s(ScriptModule):
    """Python scripts of plain functions."""

    name = "app_python3s"
    language = "python"

    load = Param("", "The script whose functions can be called.")
    script_init = Param("", "The function that is called when the script was read.")
    script_child_init = Param("", "The function that is called, with a number, when the node is ready.")
    threads_mode = Param(0, "How Kamailio's processes share Python's lock.", inert="there is one process")

    @property
    def mod_init_function(self) -> str:
        """As app_python3 calls it."""
        return self.script_init

    @property
    def child_init_method(self) -> str:
        """As app_python3 calls it."""
        return self.script_child_init

    def scripts(self) -> list[Path]:
        """The script, if there is one."""
        return [Path(self.load)] if self.load else []

    @native("str", "str", name="app_python3s_exec", least=1)
    @function(name="exec", params=("str",), ret="int")
    def execute(self, run: Run, name: str, *args: str) -> int:
        """Call a function of the script: the number that it returned; -1 for an error, for 0, and for anything else."""
        return returned_number(self, run, name, *args)

    @function
    def exec_p1(self, run: Run, name: str, argument: str) -> int:
        """As `exec`, with an argument."""
        return returned_number(self, run, name, argument)

    @function
    def execx(self, run: Run, code: str) -> int:
        """Execute statements in the script's module; -1 for an error."""
        return self.run_text(run, code)

    @rpc("app_python3s.reload")
    def rpc_reload(self) -> dict[str, object]:
        """Read the script and what it imports anew; the generations before and after."""
        return self.reload_scripts()

    @rpc("app_python3s.api_list")
    def rpc_api_list(self) -> dict[str, object]:
        """Every function that a script can call."""
        return self.api_list()


MODULE = AppPython3s
