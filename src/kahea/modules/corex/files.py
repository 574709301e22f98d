"""Whole small files, read into a script and written by it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kahea.routing.module import Module, Value, function, native
from kahea.routing.text import text, wire

if TYPE_CHECKING:
    from kahea.routing.pv import Pv
    from kahea.routing.run import Run

#: Bytes; a larger file is refused, since nothing else is served while it is read.
MAX_FILE = 1 << 20


class Files(Module):
    """Reading and writing files."""

    @function
    def file_read(self, run: Run, path: str) -> Value:
        """The text of a file of up to 1 MiB; "" if it can't be read."""
        return text(self._read(path) or b"")

    def _read(self, path: str) -> bytes | None:
        try:
            with Path(path).open("rb") as file:
                data = file.read(MAX_FILE + 1)
        except (OSError, ValueError) as error:
            self.node.log.error("file_read: %s", error)
            return None
        if len(data) > MAX_FILE:
            self.node.log.error("file_read: %s is larger than %d bytes", path, MAX_FILE)
            return None
        return data

    @native("str", "pv", name="file_read")
    def file_read_native(self, run: Run, path: str, into: Pv) -> bool:
        """Read a file of up to 1 MiB into a variable; -1 if it can't be read."""
        data = self._read(path)
        return data is not None and into.set(run, text(data))

    @native("str", "str")
    @function
    def file_write(self, run: Run, path: str, content: str) -> int:
        """Make a file say `content`, whatever it said before; -1 if it can't be written."""
        try:
            Path(path).write_bytes(wire(content))
        except (OSError, ValueError) as error:
            self.node.log.error("file_write: %s", error)
            return -1
        return 1
