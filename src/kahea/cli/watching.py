"""Watching the files of the script that runs (`kahea run --watch`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from watchfiles import awatch

from kahea.routing.node import Node

#: How long a file must be quiet before it counts as written, in milliseconds.
QUIET: Final = 50


class Watcher:
    """Calls back when a file of the running generation changed.

    Editors replace files, so it is their directories that are watched.
    """

    def __init__(self, changed: Callable[[], object]) -> None:
        self._changed = changed
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, node: Node) -> None:
        """Begin; what a reload includes anew is watched from then on."""
        self._task = asyncio.get_running_loop().create_task(self._watch(node))

    async def _watch(self, node: Node) -> None:
        while not self._stop.is_set():
            files = {file.resolve() for file in node.routes.files}
            directories = {file.parent for file in files}
            async for changes in awatch(*directories, debounce=QUIET, stop_event=self._stop, recursive=False):
                if files & {Path(name).resolve() for _, name in changes}:
                    self._changed()
                if {file.resolve() for file in node.routes.files} != files:
                    break

    async def stop(self) -> None:
        """End, and wait for the end."""
        self._stop.set()
        if self._task is not None:
            await self._task
