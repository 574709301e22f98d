"""Management commands that reload the script and go back: `kahea.reload`, `kahea.rollback`, `kahea.generations`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from kahea.routing.module import ConfigError, Module, RpcError, rpc

if TYPE_CHECKING:
    from kahea.routing.changes import Changes
    from kahea.routing.reload import Reloader


class ReloadCommands(Module):
    """About the generations of the script."""

    def _reloader(self) -> Reloader:
        reloader = self.node.reloader
        if reloader is None:
            raise RpcError(501, "this node has no script that could be reloaded")
        return reloader

    def _done(self, work: Callable[[], Changes]) -> dict[str, object]:
        try:
            changes = work()
        except ConfigError as error:
            raise RpcError(500, str(error)) from error
        generation = self._reloader().running.generation
        return {
            "generation": generation.number,
            "hash": generation.hash,
            "applied": changes.applied,
            "needs_restart": changes.restart,
        }

    @rpc("kahea.reload")
    def rpc_kahea_reload(self) -> dict[str, object]:
        """Read script and settings anew and run them; what can't change while the node runs is named."""
        return self._done(self._reloader().reload)

    @rpc("kahea.rollback")
    def rpc_kahea_rollback(self, generation: int = 0) -> dict[str, object]:
        """Go back to a generation that is kept, by its number, or to the one before."""
        reloader = self._reloader()
        return self._done(lambda: reloader.rollback(generation))

    @rpc("kahea.generations")
    def rpc_kahea_generations(self) -> list[dict[str, object]]:
        """The generations that are kept, the oldest first."""
        reloader = self._reloader()
        return [
            {
                "generation": each.generation.number,
                "hash": each.generation.hash,
                "loaded": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(each.at)),
                "running": int(each is reloader.running),
            }
            for each in reloader.generations()
        ]
