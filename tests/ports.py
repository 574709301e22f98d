"""Ports of loopback for servers that must be told a number, so that tests may run side by side.

Each worker of pytest-xdist has numbers of its own. All lie below those that the kernel gives to connections and to
who binds port 0, and so nobody takes a port between its choice here and the server's bind. Runs of other checkouts
begin elsewhere, at random.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterable
from contextlib import ExitStack

# Some tests count with their ports: five digits, and small enough to be multiplied within 32 bits.
FIRST, LAST = 20_000, 30_000


class _Range:
    """The numbers of this process, taken in turn."""

    def __init__(self) -> None:
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        self.size = (LAST - FIRST) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
        # A worker that replaces one which died has a higher number than there are workers.
        self.first = FIRST + worker * self.size % (LAST - FIRST - self.size + 1)
        self.next = random.Random().randrange(self.size)  # not of a seed that hypothesis or a test has set

    def take(self, count: int) -> int:
        """The first of `count` numbers in a row."""
        if self.next + count > self.size:
            self.next = 0
        found = self.first + self.next
        self.next += count
        return found


_range = _Range()


def free_port(count: int = 1, hosts: Iterable[str] = ("127.0.0.1",)) -> int:
    """A port that is free for UDP and TCP on every host; the first of `count` such ports in a row."""
    for _ in range(1000):
        first = _range.take(count)
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    for host in hosts:
                        family = socket.AF_INET6 if ":" in host else socket.AF_INET
                        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                            stack.enter_context(socket.socket(family, kind)).bind((host, port))
            except OSError:
                continue
            return first
    raise OSError("no free port")
