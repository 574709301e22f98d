"""JSON-RPC over a FIFO: documents are read from one, and each answered to another that the document names.

That is what `kamctl rpc` does. A writer of the FIFO can be anybody whom its permissions let write, so that where an
answer goes is checked: a FIFO of a plain name, in the directory for answers.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kahea.net.service import Access, grant
from kahea.net.sockets import BindError
from kahea.routing.rpc.serving import MAX_REQUEST

log = logging.getLogger("kahea.rpc")

_READ: Final = 65536
#: Seconds for the rest of a document that has begun, and for the reader of an answer to come and take it.
PATIENCE: Final = 2.0
_PAUSE: Final = 0.02
#: Answers that may wait for their readers.
MAX_WAITING: Final = 64

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,255}")
_SPACE: Final = re.compile(r"\s*")


class Fifo:
    """A FIFO that is read for JSON documents; `take(document)` is called for each."""

    def __init__(self, path: Path, access: Access, take: Callable[[bytes], None]) -> None:
        self.path = path
        self._access = access
        self._take = take
        self._fd = -1
        self._buffer = ""
        self._stalled: asyncio.TimerHandle | None = None
        self._decoder = json.JSONDecoder()

    def open(self) -> None:
        """Make it and read from it. Raises BindError."""
        try:
            self._clear()
            before = os.umask(0o777 & ~self._access.mode)
            try:
                os.mkfifo(self.path, self._access.mode)
            finally:
                os.umask(before)
            grant(str(self.path), self._access)
            # Open for writing, too: without any writer it would always be at its end.
            self._fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise BindError(f"{self.path}: {error.strerror}") from error
        asyncio.get_running_loop().add_reader(self._fd, self._readable)

    def _clear(self) -> None:
        """Take away a FIFO that a dead process left. Raises OSError."""
        try:
            if not stat.S_ISFIFO(os.lstat(self.path).st_mode):
                raise OSError(errno.EEXIST, "there is something else of that name")
            os.close(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK))
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.ENXIO:  # nobody reads it
                raise
            self.path.unlink(missing_ok=True)
            return
        raise OSError(errno.EADDRINUSE, "another process reads it")

    def close(self) -> None:
        """Stop, and remove it."""
        if self._fd < 0:
            return
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1
        if self._stalled is not None:
            self._stalled.cancel()
        self.path.unlink(missing_ok=True)

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, _READ)
        except (BlockingIOError, InterruptedError):
            return
        self._buffer += data.decode("utf-8", "surrogateescape")
        self._cut()

    def _cut(self) -> None:
        """Hand on the documents that are complete."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        while True:
            self._buffer = self._buffer[_match_end(self._buffer) :]
            if not self._buffer:
                return
            try:
                _, end = self._decoder.raw_decode(self._buffer)
            except (ValueError, RecursionError):
                break
            document, self._buffer = self._buffer[:end], self._buffer[end:]
            try:
                self._take(document.encode("utf-8", "surrogateescape"))
            except Exception:
                log.exception("%s: a request failed", self.path)
        if len(self._buffer) > MAX_REQUEST:
            self._drop()
        else:
            self._stalled = asyncio.get_running_loop().call_later(PATIENCE, self._drop)

    def _drop(self) -> None:
        """What has begun is no document, or never ends."""
        log.info("%s: no JSON document: %.60r", self.path, self._buffer)
        self._buffer = ""


def _match_end(text: str) -> int:
    """Where leading white space ends."""
    found = _SPACE.match(text)
    return found.end() if found is not None else 0


class Answers:
    """Writes answers to FIFOs in one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._writing: set[asyncio.Task[None]] = set()

    def send(self, name: str, data: bytes) -> None:
        """Write an answer to the FIFO of that name, as soon as somebody reads it."""
        if not _NAME.fullmatch(name) or name in (".", ".."):
            log.warning("jsonrpcs: %.60r is no name for the FIFO of an answer", name)
            return
        if len(self._writing) >= MAX_WAITING:
            log.warning("jsonrpcs: %d answers wait for their readers already", MAX_WAITING)
            return
        task = asyncio.ensure_future(self._write(self._directory / name, data))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(self, path: Path, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE
        fd = -1
        try:
            while data:
                try:
                    if fd < 0:
                        fd = _open_answer(path)
                    data = data[os.write(fd, data) :]
                except (BlockingIOError, InterruptedError, FileNotFoundError) as error:
                    if loop.time() >= end:
                        raise OSError(error.errno, "nobody takes the answer") from error
                    # The reader may come after its request; nothing tells when it does.
                    await asyncio.sleep(_PAUSE)
        except OSError as error:
            log.info("%s: %s", path, error.strerror)
        finally:
            if fd >= 0:
                os.close(fd)

    def close(self) -> None:
        """Give up what waits."""
        for task in self._writing:
            task.cancel()


def _open_answer(path: Path) -> int:
    """The FIFO, open for writing. Raises OSError; BlockingIOError while nobody reads it."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise BlockingIOError(error.errno, "nobody reads it") from error
        raise
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EEXIST, "it is no FIFO")
    return fd


__all__ = ["Answers", "Fifo"]
