"""Watching the files of the script that runs (`kahea run --watch`)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from watchfiles import Change, awatch

from kahea.routing.node import Node

log = logging.getLogger("kahea.server")

#: How long a file must be quiet before it counts as written, in milliseconds.
QUIET: Final = 50
#: How often the files are looked at even if nothing was told of them, in milliseconds.
LOOK: Final = 1000

#: How far a file's time may be behind the clock, in seconds.
CLOCKS: Final = 0.02

#: Which file a name stands for, and when it was written; None where there is none.
State = tuple[int, int] | None


def _files(node: Node) -> frozenset[Path]:
    """The files of the running generation, and those of a reload that failed since: one of them will be mended."""
    reloader = node.reloader
    broken = reloader.broken_files if reloader is not None else ()
    return frozenset(file.absolute() for file in (*node.routes.files, *broken))


def _states(files: frozenset[Path]) -> dict[Path, State]:
    return {file: _state(file) for file in files}


def _as_read(node: Node, file: Path) -> State:
    """A file as the last reload found it; None if it may have been written since."""
    state = _state(file)
    reloader = node.reloader
    if state is None or reloader is None or state[1] > (reloader.read_at - CLOCKS) * 1e9:
        return None
    return state


def _state(file: Path) -> State:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


class Watcher:
    """Calls back when a file of the running generation changed, or of one that could not be loaded.

    Editors replace files, and some are links to what is exchanged: it is directories that are watched, those of the
    names and those of what the names stand for.
    """

    def __init__(self, changed: Callable[[], object]) -> None:
        self._changed = changed
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, node: Node) -> None:
        """Begin; what a reload includes anew is watched from then on."""
        # It would tell of every change of any file, the log's own included.
        logging.getLogger("watchfiles").setLevel(logging.WARNING)
        before = _states(_files(node))
        self._task = asyncio.get_running_loop().create_task(self._watch(node, before))

    async def _watch(self, node: Node, before: dict[Path, State]) -> None:
        while not self._stop.is_set():
            try:
                before = await self._until_others(node, before)
            except OSError as error:  # a directory that went, or the system's limit: looking now and then still works
                log.debug("can't watch the script's files: %s", error)
                before = self._look(before)
                await asyncio.sleep(LOOK / 1000)
                before = {file: before.get(file) for file in _files(node)}

    async def _until_others(self, node: Node, before: dict[Path, State]) -> dict[Path, State]:
        """Watch files until there are others to watch: those, as they are now."""
        files = _files(node)
        names = files | {file.resolve() for file in files}

        def is_ours(_change: Change, name: str) -> bool:
            return Path(name) in names

        # Watching begins a while after this: a look now and then finds what changed meanwhile.
        async for changes in awatch(
            *{file.parent for file in names if file.parent.is_dir()},
            watch_filter=is_ours,
            debounce=QUIET,
            stop_event=self._stop,
            recursive=False,
            rust_timeout=LOOK,
            yield_on_timeout=True,
        ):
            before = self._look(before, told=bool(changes))
            if _files(node) != files:
                break
        return {file: before[file] if file in before else _as_read(node, file) for file in _files(node)}

    def _look(self, before: dict[Path, State], *, told: bool = False) -> dict[Path, State]:
        """Call back if a file changed, or was `told` to have; the files as they are now."""
        now = _states(frozenset(before))
        if told or now != before:
            self._changed()
        return now

    async def stop(self) -> None:
        """End, and wait for the end."""
        self._stop.set()
        if self._task is not None:
            await self._task
