"""Module app_python3: functions of Python scripts, called by name, and how the scripts are started."""

from __future__ import annotations

from pathlib import Path

from kahea.routing.libraries import ScriptModule, returned_number
from kahea.routing.module import Param, function, native, rpc
from kahea.routing.run import Run


class AppPython3(ScriptModule):
    """Python scripts whose `mod_init()` returns the object that has their functions."""

    name = "app_python3"
    language = "python"

    load = Param("", "The script whose functions can be called.")
    script_name = Param("", "The same as `load`.")
    mod_init_function = Param("mod_init", "The function that makes the script's object.")
    child_init_method = Param("child_init", "The method that is called, with a number, when the node is ready.")
    threads_mode = Param(0, "How Kamailio's processes share Python's lock.", inert="there is one process")

    def scripts(self) -> list[Path]:
        """The script, if there is one."""
        path = self.load or self.script_name
        return [Path(path)] if path else []

    @native("str", "str", name="python_exec", least=1)
    @function(name="exec", params=("str",), ret="int")
    def execute(self, run: Run, name: str, *args: str) -> int:
        """Call a function of the script with the message: the number that it returned; -1 for an error, for 0, and for
        anything else."""
        return returned_number(self, run, name, *args)

    @function
    def exec_p1(self, run: Run, name: str, argument: str) -> int:
        """As `exec`, with a second argument."""
        return returned_number(self, run, name, argument)

    @function
    def execx(self, run: Run, code: str) -> int:
        """Execute statements in the script's module; -1 for an error."""
        return self.run_text(run, code)

    @rpc("app_python.reload")
    def rpc_reload(self) -> dict[str, object]:
        """Read the script and what it imports anew; the generations before and after."""
        return self.reload_scripts()

    @rpc("app_python.api_list")
    def rpc_api_list(self) -> dict[str, object]:
        """Every function that a script can call."""
        return self.api_list()


MODULE = AppPython3
