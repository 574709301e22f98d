"""exec(): a command of the shell."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kahea.modules.core.forms import core_native
from kahea.routing.module import Module
from kahea.routing.run import wait

if TYPE_CHECKING:
    from kahea.routing.run import Run


class Shell(Module):
    """Commands of the shell."""

    @core_native("exec", takes=("text",))
    def exec(self, run: Run, command: str) -> bool:
        """Run a command of the shell and wait for its end; that it failed is logged, and no error of this function."""
        code = wait(_shell(command))
        if code:
            self.node.log.error("exec: %r ended with %d", command, code)
        return True


async def _shell(command: str) -> int:
    process = await asyncio.create_subprocess_shell(command, stdin=asyncio.subprocess.DEVNULL)
    return await process.wait()
