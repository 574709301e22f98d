"""Flags of the transaction, of the script run and of each branch: 32 of each, numbered from 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.routing.module import Module, function

if TYPE_CHECKING:
    from kahea.routing.run import Run
    from kahea.sip.message import Message

MAX_FLAG = 31


class Flags(Module):
    """Message (transaction), script and branch flags. All answer False to a number beyond 0..31."""

    def _bit(self, flag: int) -> int:
        if 0 <= flag <= MAX_FLAG:
            return 1 << flag
        self.node.log.error("flag %d is not between 0 and %d", flag, MAX_FLAG)
        return 0

    @function(group="")
    def setflag(self, run: Run, flag: int) -> bool:
        """Set a transaction flag (`$mf`)."""
        bit = self._bit(flag)
        run.msg.flags |= bit
        return bit != 0

    @function(group="")
    def resetflag(self, run: Run, flag: int) -> bool:
        """Clear a transaction flag."""
        bit = self._bit(flag)
        run.msg.flags &= ~bit
        return bit != 0

    @function(group="")
    def isflagset(self, run: Run, flag: int) -> bool:
        """Whether a transaction flag is set."""
        return run.msg.flags & self._bit(flag) != 0

    @function(group="")
    def setsflag(self, run: Run, flag: int) -> bool:
        """Set a script flag (`$sf`)."""
        bit = self._bit(flag)
        run.msg.sflags |= bit
        return bit != 0

    @function(group="")
    def resetsflag(self, run: Run, flag: int) -> bool:
        """Clear a script flag."""
        bit = self._bit(flag)
        run.msg.sflags &= ~bit
        return bit != 0

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
