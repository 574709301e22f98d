"""Writing to programs on this host, by a FIFO that they read or by their datagram socket.

Nothing here holds up the loop: an absent reader is an error at once, and for a slow one just the run of the script
waits. All functions raise OSError, of which TimeoutError is one kind.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket

from kahea.routing.run import can_wait, wait


class Fifos:
    """Writes to FIFOs, each message whole: none begins while another's rest still waits for the reader."""

    def __init__(self) -> None:
        self._unfinished: set[str] = set()

    def write(self, path: str, data: bytes, seconds: float) -> None:
        """Write to a FIFO. The rest of what the reader took a part of is given these seconds."""
        if path in self._unfinished:
            raise BlockingIOError(errno.EAGAIN, "its reader has but a part of another message yet")
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            done = os.write(fd, data)
            if done < len(data):
                self._finish(path, fd, data[done:], seconds)
        finally:
            os.close(fd)

    def _finish(self, path: str, fd: int, rest: bytes, seconds: float) -> None:
        _check_waiting()
        self._unfinished.add(path)
        try:
            wait(asyncio.wait_for(_write_all(fd, rest), seconds))
        finally:
            self._unfinished.discard(path)


def send_datagram(path: str, data: bytes, seconds: float) -> None:
    """Send to a socket of the host; room in its queue is waited for as long as this."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.connect(path)
        try:
            sender.send(data)
        except BlockingIOError:
            _check_waiting()
            wait(asyncio.wait_for(_send(sender, data), seconds))


def _check_waiting() -> None:
    if not can_wait():
        raise BlockingIOError(errno.EAGAIN, "there is no room, and this route can't wait")


async def _write_all(fd: int, rest: bytes) -> None:
    while rest:
        await _writable(fd)
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:  # less room than a message needs that is not to be divided
            continue


async def _send(sender: socket.socket, data: bytes) -> None:
    while True:
        await _writable(sender.fileno())
        try:
            sender.send(data)
        except BlockingIOError:  # another took the room
            continue
        return


async def _writable(fd: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(fd, _settle, ready)
    try:
        await ready
    finally:
        loop.remove_writer(fd)


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


__all__ = ["Fifos", "send_datagram"]
