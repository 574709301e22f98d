"""The applications that are connected: how messages are framed, and what each may make the node keep.

Rules of this room:

1. One message of an application is worked on at a time; while a script works on it, and there is enough to go on with,
   no more is read from that application.
2. What waits to be written to an application is bounded (`kahea.net.service`): one that does not read is cut off.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Final

from kahea.net.service import Stream

log = logging.getLogger("kahea.evapi")

#: Bytes of one message, and of what may wait behind it.
MAX_MESSAGE: Final = 256 << 10
#: Seconds in which an application that was closed must have read what was written to it.
_LAST_WORDS: Final = 5.0

_LENGTH: Final = re.compile(rb"([0-9]{1,9}):")
_DIGITS: Final = re.compile(rb"[0-9]{0,9}")


class TooLong(Exception):
    """A message that is longer than any may be."""


class Netstrings:
    """Messages as `length:data,`. What is none is passed over with all that came with it, as in Kamailio."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def __len__(self) -> int:
        return len(self._buffer)

    def add(self, data: bytes) -> None:
        """Bytes came."""
        self._buffer += data

    def take(self) -> bytes | None:
        """The next message, None if it is not there as a whole. Raises TooLong."""
        while self._buffer:
            head = _LENGTH.match(self._buffer)
            if head is None:
                if _DIGITS.fullmatch(self._buffer):
                    return None
                self._pass_over()
                return None
            size = int(head[1])
            if size > MAX_MESSAGE:
                raise TooLong(f"a message of {size} bytes; at most {MAX_MESSAGE} are read")
            start, end = head.end(), head.end() + size
            if len(self._buffer) <= end:
                return None
            if self._buffer[end] != ord(","):
                self._pass_over()
                return None
            message = bytes(self._buffer[start:end])
            del self._buffer[: end + 1]
            if message:
                return message
        return None

    def _pass_over(self) -> None:
        log.warning("an application sent %d bytes that are no netstring", len(self._buffer))
        self._buffer.clear()


class Raw:
    """Messages as they happen to come in: each is what was received since the one before."""

    def __init__(self) -> None:
        self._buffer = b""

    def __len__(self) -> int:
        return len(self._buffer)

    def add(self, data: bytes) -> None:
        """Bytes came."""
        self._buffer += data

    def take(self) -> bytes | None:
        """What came, None if that is nothing."""
        message, self._buffer = self._buffer[:MAX_MESSAGE], self._buffer[MAX_MESSAGE:]
        return message or None


def framed(data: bytes, netstring: bool) -> bytes:
    """A message as it is sent."""
    return b"%d:%b," % (len(data), data) if netstring else data


class Client:
    """One application. `work(task)` runs a task where it may wait, False if there is no room; there
    `on_message(client, data)` is called for each message. `on_closed(client)` is when the application ended the
    connection."""

    def __init__(
        self,
        stream: Stream,
        index: int,
        netstring: bool,
        work: Callable[[Callable[[], None]], bool],
        on_message: Callable[[Client, bytes], None],
        on_closed: Callable[[Client], None],
    ) -> None:
        self.index = index
        self.tag = ""
        self.host, port = stream.peer
        self.port = int(port or 0)
        self.closed = False
        self._stream = stream
        self._netstring = netstring
        self._incoming = Netstrings() if netstring else Raw()
        self._work = work
        self._on_message = on_message
        self._on_closed = on_closed
        self._busy = False

    def received(self, data: bytes) -> None:
        """Bytes came."""
        if self.closed:
            return
        self._incoming.add(data)
        if self._busy:
            if len(self._incoming) > MAX_MESSAGE:
                self._stream.hold(True)
            return
        self._go_on()

    def _go_on(self) -> None:
        self._busy = True
        if not self._work(self._take_all):
            self._busy = False
            log.error("no room for another run: what an application sent waits for more")

    def _take_all(self) -> None:
        try:
            while not self.closed and (message := self._incoming.take()) is not None:
                self._on_message(self, message)
        except TooLong as error:
            log.error("%s:%d is cut off: %s", self.host, self.port, error)
            self._stream.abort()
        finally:
            self._busy = False
            self._stream.hold(False)

    def send(self, data: bytes) -> None:
        """Send one message."""
        if not self.closed:
            self._stream.write(framed(data, self._netstring))

    def close(self, call_later: Callable[[float, Callable[[], None]], object]) -> None:
        """End the connection, of which nobody is told; at once if it does not take what was written."""
        if not self.closed:
            self.closed = True
            self._stream.close()
            call_later(_LAST_WORDS, self._stream.abort)

    def lost(self) -> None:
        """The connection is gone."""
        told, self.closed = self.closed, True
        if not told:
            self._on_closed(self)
