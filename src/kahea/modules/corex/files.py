"""Whole small files, read into a script and written by it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kahea.routing.module import Module, Value, function
from kahea.routing.text import text, wire

if TYPE_CHECKING:
    from kahea.routing.run import Run

#: Bytes; a larger file is refused, since nothing else is served while it is read.
MAX_FILE = 1 << 20


class Files(Module):
    """Reading and writing files."""

    @function
    def file_read(self, run: Run, path: str) -> Value:
        """The text of a file of up to 1 MiB; "" if it can't be read."""
        try:
            with Path(path).open("rb") as file:
                data = file.read(MAX_FILE + 1)
        except (OSError, ValueError) as error:
            self.node.log.error("file_read: %s", error)
            return ""
        if len(data) > MAX_FILE:
            self.node.log.error("file_read: %s is larger than %d bytes", path, MAX_FILE)
            return ""
        return text(data)

    @function
    def file_write(self, run: Run, path: str, content: str) -> int:
        """Make a file say `content`, whatever it said before; -1 if it can't be written."""
        try:
            Path(path).write_bytes(wire(content))
        except (OSError, ValueError) as error:
            self.node.log.error("file_write: %s", error)
            return -1
        return 1
