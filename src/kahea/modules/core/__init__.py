"""What Kamailio's core gives without loading a module: the functions directly under `KSR`, and the commands
`core.*`, `system.*`, `dns.*` and `kahea.*`.
"""

from typing import ClassVar

from kahea.modules.core.flags import Flags
from kahea.modules.core.log import Logging
from kahea.modules.core.myself import Myself
from kahea.modules.core.rewrite import Rewriting
from kahea.modules.core.rpc_blocklist import BlocklistCommands
from kahea.modules.core.rpc_dns import DnsCommands
from kahea.modules.core.rpc_network import NetworkCommands
from kahea.modules.core.rpc_process import ProcessCommands
from kahea.modules.core.rpc_reload import ReloadCommands
from kahea.modules.core.runtime import RuntimeCore
from kahea.modules.core.settings import Selecting
from kahea.modules.core.shell import Shell
from kahea.modules.core.target import Targeting
from kahea.modules.core.tests import Tests
from kahea.modules.core.transport import Transport


class Core(
    Logging,
    Tests,
    Flags,
    Myself,
    Rewriting,
    Targeting,
    Transport,
    Selecting,
    Shell,
    ProcessCommands,
    NetworkCommands,
    BlocklistCommands,
    DnsCommands,
    RuntimeCore,
    ReloadCommands,
):
    """Kamailio's core, as KEMI exports it: KSR.info(), KSR.is_INVITE(), KSR.setflag(), KSR.forward()..."""

    name = "core"
    events: ClassVar = {
        "core:pre-routing": "A message was parsed, and the routes come next; `drop` ends it here.",
        "core:msg-received": "Something was received (`$rcv(buf)`), and is not parsed yet; `drop` ends it here.",
    }


MODULE = Core

__all__ = ["MODULE", "Core"]
