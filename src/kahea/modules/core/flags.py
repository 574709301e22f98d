"""Flags of the transaction, of the script run, of each branch and of AVPs: 32 of each, numbered from 0."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kahea.modules.core.forms import core_native
from kahea.routing.common import MessageFlags
from kahea.routing.lists import lists_of
from kahea.routing.module import Module, function, native

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.run import Run
    from kahea.sip.message import Message

MAX_FLAG = 31


class Flags(Module):
    """Message (transaction), script and branch flags. All answer False to a number beyond 0..31."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._flags = MessageFlags(self._bit)

    def compiled(self) -> Mapping[str, Callable[..., Any]]:
        """Many scripts mark every request."""
        names = ("setflag", "resetflag", "isflagset")
        return {**super().compiled(), **{name: getattr(self._flags, name) for name in names}}

    def _bit(self, flag: int) -> int:
        if 0 <= flag <= MAX_FLAG:
            return 1 << flag
        self.node.log.error("flag %d is not between 0 and %d", flag, MAX_FLAG)
        return 0

    @native("flag")
    @function(group="")
    def setflag(self, run: Run, flag: int) -> bool:
        """Set a transaction flag (`$mf`)."""
        return self._flags.setflag(run, flag)

    @native("flag")
    @function(group="")
    def resetflag(self, run: Run, flag: int) -> bool:
        """Clear a transaction flag."""
        return self._flags.resetflag(run, flag)

    @native("flag")
    @function(group="")
    def isflagset(self, run: Run, flag: int) -> bool:
        """Whether a transaction flag is set."""
        return self._flags.isflagset(run, flag)

    @native("int", module="kex")
    @function(group="")
    def setsflag(self, run: Run, flag: int) -> bool:
        """Set a script flag (`$sf`)."""
        bit = self._bit(flag)
        run.msg.sflags |= bit
        return bit != 0

    @native("int", module="kex")
    @function(group="")
    def resetsflag(self, run: Run, flag: int) -> bool:
        """Clear a script flag."""
        bit = self._bit(flag)
        run.msg.sflags &= ~bit
        return bit != 0

    @native("int", module="kex")
    @function(group="")
    def issflagset(self, run: Run, flag: int) -> bool:
        """Whether a script flag is set."""
        return run.msg.sflags & self._bit(flag) != 0

    @function(group="")
    def setbflag(self, run: Run, flag: int) -> bool:
        """Set a flag of the first branch (`$bf`)."""
        return self._set_branch(run.msg, flag, 0)

    @function(group="")
    def resetbflag(self, run: Run, flag: int) -> bool:
        """Clear a flag of the first branch."""
        return self._reset_branch(run.msg, flag, 0)

    @function(group="")
    def isbflagset(self, run: Run, flag: int) -> bool:
        """Whether a flag of the first branch is set."""
        return run.msg.bflags & self._bit(flag) != 0

    @function(group="")
    def setbiflag(self, run: Run, flag: int, branch: int) -> bool:
        """Set a flag of a branch: 0 is the first, 1 the first that append_branch() added.

        True even for a branch that does not exist, as in Kamailio.
        """
        return self._set_branch(run.msg, flag, branch)

    @function(group="")
    def resetbiflag(self, run: Run, flag: int, branch: int) -> bool:
        """Clear a flag of a branch, numbered as by setbiflag()."""
        return self._reset_branch(run.msg, flag, branch)

    @function(group="")
    def isbiflagset(self, run: Run, flag: int, branch: int) -> bool:
        """Whether a flag of a branch is set; False for a branch that does not exist."""
        bit = self._bit(flag)
        msg = run.msg
        if branch == 0:
            return msg.bflags & bit != 0
        return 1 <= branch <= len(msg.branches) and msg.branches[branch - 1].flags & bit != 0

    # Natively, the branch may be left out, and one that does not exist is an error.

    @native("int", "int", name="setbflag", least=1, module="kex")
    def setbflag_native(self, run: Run, flag: int, branch: int = 0) -> bool:
        """As setbiflag(), by default for the first branch; -1 for a branch that does not exist."""
        return self._exists(run.msg, branch) and self._set_branch(run.msg, flag, branch)

    @native("int", "int", name="resetbflag", least=1, module="kex")
    def resetbflag_native(self, run: Run, flag: int, branch: int = 0) -> bool:
        """As resetbiflag(), by default for the first branch; -1 for a branch that does not exist."""
        return self._exists(run.msg, branch) and self._reset_branch(run.msg, flag, branch)

    @native("int", "int", name="isbflagset", least=1, module="kex")
    def isbflagset_native(self, run: Run, flag: int, branch: int = 0) -> bool:
        """As isbiflagset(), by default for the first branch."""
        return self.isbiflagset(run, flag, branch)

    def _exists(self, msg: Message, branch: int) -> bool:
        if 0 <= branch <= len(msg.branches):
            return True
        self.node.log.error("there is no branch %d", branch)
        return False

    # AVP flags: each name's newest value has its own, gone with it.

    @core_native("setavpflag", takes=("text", "avpflag"))
    def setavpflag(self, run: Run, avp: str, flag: int) -> bool:
        """Set a flag, declared by `avpflags`, of an AVP; -1 if there is no AVP of this name."""
        return lists_of(run.msg).avps.mark(avp, self._bit(flag), 0)

    @core_native("resetavpflag", takes=("text", "avpflag"))
    def resetavpflag(self, run: Run, avp: str, flag: int) -> bool:
        """Clear a flag of an AVP; -1 if there is no AVP of this name."""
        return lists_of(run.msg).avps.mark(avp, 0, self._bit(flag))

    @core_native("isavpflagset", takes=("text", "avpflag"))
    def isavpflagset(self, run: Run, avp: str, flag: int) -> bool:
        """Whether a flag of an AVP is set."""
        return lists_of(run.msg).avps.flags(avp) & self._bit(flag) != 0

    def _set_branch(self, msg: Message, flag: int, branch: int) -> bool:
        bit = self._bit(flag)
        if branch == 0:
            msg.bflags |= bit
        elif 1 <= branch <= len(msg.branches):
            msg.branches[branch - 1].flags |= bit
        return bit != 0

    def _reset_branch(self, msg: Message, flag: int, branch: int) -> bool:
        bit = self._bit(flag)
        if branch == 0:
            msg.bflags &= ~bit
        elif 1 <= branch <= len(msg.branches):
            msg.branches[branch - 1].flags &= ~bit
        return bit != 0
