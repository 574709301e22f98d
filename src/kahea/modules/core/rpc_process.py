"""Management commands about the process and what it is made of: `core.*`, `system.*`, with Kamailio's field names."""

from __future__ import annotations

import os
import platform
import sys
import time
from typing import Any, Final

from kahea.connectors.pools import describe_pools
from kahea.routing.memory import MEMORY
from kahea.routing.module import Module, RpcError, rpc
from kahea.routing.rpc.calls import usage
from kahea.version import __version__

#: What Kamailio's list of compile-time options says of the same abilities.
FLAGS: Final = "USE_TCP, DISABLE_NAGLE, USE_DNS_CACHE, USE_DNS_FAILOVER, USE_NAPTR"
#: The release whose language and commands this node speaks, as `#!ifdef` sees it.
COMPATIBLE: Final = ("KAMAILIO_5", "KAMAILIO_5_6", "KAMAILIO_5_6_3")

_SERVER_ID: Final = "kahea"
_DESCRIPTION: Final = "the node: one process, one event loop"
_TERM: Final = 15
_UNITS: Final = {"b": 0, "k": 10, "m": 20, "g": 30}


class ProcessCommands(Module):
    """About the process."""

    @rpc("core.version")
    def rpc_version(self) -> str:
        """The name and version of the server."""
        return f"{_SERVER_ID} {__version__} ({platform.machine()}/{sys.platform})"

    @rpc("core.info")
    def rpc_info(self) -> dict[str, object]:
        """What the server was built by and can do."""
        return {
            "version": f"{_SERVER_ID} {__version__}",
            "id": f"Python {platform.python_version()}",
            "compiler": platform.python_compiler(),
            "compiled": "",
            "flags": FLAGS,
        }

    @rpc("core.flags")
    def rpc_flags(self) -> str:
        """The abilities in Kamailio's words for its compile-time options."""
        return FLAGS

    @rpc("core.uptime")
    def rpc_uptime(self) -> dict[str, object]:
        """How long the node has been up, in seconds."""
        now = self.node.wall()
        return {
            "now": time.ctime(now),
            "up_since": time.ctime(self.node.started),
            "uptime": int(now - self.node.started),
        }

    @rpc("core.runinfo")
    def rpc_runinfo(self) -> dict[str, object]:
        """Version and time since the start in one answer."""
        now = self.node.wall()
        up = int(now - self.node.started)
        minutes, seconds = divmod(up, 60)
        hours, minutes = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        return {
            "name": _SERVER_ID,
            "version": __version__,
            "sourceid": f"Python {platform.python_version()}",
            "compiler": platform.python_compiler(),
            "compiled": "",
            "time_now": time.ctime(now),
            "time_started": time.ctime(self.node.started),
            "uptime_secs": up,
            "utime_days": f"{days}d {hours}h {minutes}m {seconds}s",
        }

    @rpc("core.ps")
    def rpc_ps(self) -> list[int | str]:
        """The processes: there is one."""
        return [os.getpid(), _DESCRIPTION]

    @rpc("core.psa")
    def rpc_psa(self) -> list[dict[str, object]]:
        """The processes with their state."""
        return [{"index": 0, "pid": os.getpid(), "status": 1, "rank": 0, "description": _DESCRIPTION}]

    @rpc("core.psx")
    def rpc_psx(self) -> list[dict[str, object]]:
        """The processes in structures."""
        return [{"IDX": 0, "PID": os.getpid(), "DSC": _DESCRIPTION}]

    @rpc("core.pwd")
    def rpc_pwd(self) -> list[str]:
        """The working directory."""
        return [os.getcwd()]

    @rpc("core.arg")
    def rpc_arg(self) -> list[str]:
        """The command line."""
        return list(sys.argv)

    @rpc("core.kill")
    def rpc_kill(self, signal: int = _TERM) -> None:
        """Send the node a signal, SIGTERM if none is named."""
        if self.node.signal is None:
            raise RpcError(500, "the node runs inside of another program")
        if not 0 < signal < 65:
            raise RpcError(400, f"there is no signal {signal}")
        self.node.signal(signal)

    @rpc("core.shmmem")
    def rpc_shmmem(self, unit: str = "b") -> dict[str, int]:
        """Memory, in bytes or with k, m, g in units of 1024: the machine's and, as `used`, this process's own."""
        shift = _UNITS.get(unit.lower())
        if shift is None:
            raise RpcError(500, "bad param, (use b|k|m|g)")
        sizes = {name.removesuffix("_size"): read() for name, (read, _) in MEMORY.items()}
        return {name: size if name == "fragments" else size >> shift for name, size in sizes.items()}

    @rpc("core.modules")
    def rpc_modules(self) -> list[str]:
        """The modules, last loaded first."""
        return [name for name in reversed(self.node.registry.modules) if name != "core"]

    @rpc("core.ppdefines")
    def rpc_ppdefines(self) -> list[str]:
        """The names that `#!ifdef` finds defined."""
        return [name for name, _ in self._defines()]

    @rpc("core.ppdefines_full")
    def rpc_ppdefines_full(self) -> list[dict[str, object]]:
        """The names that `#!ifdef` finds defined, with their values."""
        return [{"name": name, "type": 0, "value": value or "none"} for name, value in self._defines()]

    def _defines(self) -> list[tuple[str, str]]:
        given = dict.fromkeys(COMPATIBLE, "") | self.node.configuration.defines
        given |= dict.fromkeys((f"MOD_{name}" for name in self.node.registry.modules if name != "core"), "")
        return list(given.items())

    # ---- for trying out a client

    @rpc("core.echo")
    def rpc_echo(self, *words: str) -> list[str]:
        """What it was given, as text."""
        return list(words)

    @rpc("core.prints")
    def rpc_prints(self, *words: str) -> list[str]:
        """The texts that it was given."""
        return list(words)

    @rpc("core.printi")
    def rpc_printi(self, *numbers: int) -> list[int]:
        """The numbers that it was given."""
        return list(numbers)

    # ---- about commands

    @rpc("system.listMethods")
    def rpc_list_methods(self) -> list[str]:
        """Every command."""
        return sorted(self.node.registry.rpcs)

    @rpc("kahea.pools")
    def rpc_kahea_pools(self) -> list[dict[str, Any]]:
        """The pools of connections to databases: their size, what is open, busy and waiting, and what failed last."""
        return describe_pools()

    @rpc("kahea.commands")
    def rpc_commands(self) -> list[dict[str, str]]:
        """Every command with its parameters and what it does: what `kahea ctl --list` shows."""
        return [
            {"name": name, "parameters": usage(command), "help": command.doc.partition("\n")[0]}
            for name, command in sorted(self.node.registry.rpcs.items())
        ]

    @rpc("system.methodHelp")
    def rpc_method_help(self, name: Any = None) -> str:
        """What a command does."""
        if not isinstance(name, str):
            raise RpcError(400, "Method Name Expected")
        command = self.node.registry.rpcs.get(name)
        if command is None:
            raise RpcError(400, "command not found")
        return command.doc or "undocumented"

    @rpc("system.methodSignature")
    def rpc_method_signature(self, name: Any = None) -> None:
        """Types of a command's parameters; Kamailio does not tell them either."""
        raise RpcError(500, "Not Implemented Yet")
