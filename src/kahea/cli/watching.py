"""Watching the files of the script that runs (`kahea run --watch`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from watchfiles import awatch

from kahea.routing.node import Node

#: How long a file must be quiet before it counts as written, in milliseconds.
QUIET: Final = 50
#: How often the files are looked at even if nothing was told of them, in milliseconds.
LOOK: Final = 1000


def _files(node: Node) -> set[Path]:
    """The files of the running generation."""
    return {file.resolve() for file in node.routes.files}


def _written(files: set[Path]) -> dict[Path, int]:
    """When each file that is there was written."""
    found = {}
    for file in files:
        with suppress(OSError):
            found[file] = file.stat().st_mtime_ns
    return found


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
        before = _written(_files(node))
        self._task = asyncio.get_running_loop().create_task(self._watch(node, before))

    async def _watch(self, node: Node, before: dict[Path, int]) -> None:
        while not self._stop.is_set():
            files = _files(node)
            directories = {file.parent for file in files}
            # Watching begins a while after this: a look now and then finds what changed meanwhile.
            async for changes in awatch(
                *directories,
                debounce=QUIET,
                stop_event=self._stop,
                recursive=False,
                rust_timeout=LOOK,
                yield_on_timeout=True,
            ):
                now = _written(files)
                if now != before or files & {Path(name).resolve() for _, name in changes}:
                    before = now
                    self._changed()
                if _files(node) != files:
                    before = _written(_files(node))
                    break

    async def stop(self) -> None:
        """End, and wait for the end."""
        self._stop.set()
        if self._task is not None:
            await self._task
