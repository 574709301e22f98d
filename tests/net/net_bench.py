"""What the network's tests share: a receiver that notes, and waiting for a condition."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest

from kahea.net.address import Address, Listener

LIMIT = 10  # seconds until a test that waits has failed


def has_ipv6() -> bool:
    """Whether this host has an IPv6 loopback address."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


IPS = ["127.0.0.1", pytest.param("::1", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here"))]


class Notes:
    """A receiver that notes everything, and lets a test wait for it."""

    def __init__(self) -> None:
        self.messages: list[tuple[Listener, bytes, Address, int]] = []
        self.batches = 0
        self.errors: list[tuple[Listener, Address, bytes, str]] = []
        self.opened: list[tuple[int, Address]] = []
        self.closed: list[tuple[int, Address, str]] = []
        self.answer: Callable[[Listener, bytes, Address, int], object] | None = None
        self._changed = asyncio.Event()

    @property
    def data(self) -> list[bytes]:
        return [message[1] for message in self.messages]

    def on_datagram(self, listener: Listener, data: bytes, source: Address, connection_id: int) -> None:
        self.messages.append((listener, data, source, connection_id))
        self._changed.set()
        if self.answer is not None:
            self.answer(listener, data, source, connection_id)

    def on_batch_end(self) -> None:
        self.batches += 1

    def on_send_error(self, listener: Listener, address: Address, data: bytes, reason: str) -> None:
        self.errors.append((listener, address, data, reason))
        self._changed.set()

    def on_connection_open(self, listener: Listener, connection_id: int, peer: Address) -> None:
        assert listener.address.port
        self.opened.append((connection_id, peer))
        self._changed.set()

    def on_connection_closed(self, listener: Listener, connection_id: int, peer: Address, reason: str) -> None:
        assert listener.address.port
        self.closed.append((connection_id, peer, reason))
        self._changed.set()

    async def until(self, true: Callable[[], object]) -> None:
        """Wait until a condition on what was noted holds."""
        async with asyncio.timeout(LIMIT):
            while not true():
                self._changed.clear()
                await self._changed.wait()


async def turns(true: Callable[[], object]) -> None:
    """Let the loop turn until a condition holds that nothing tells of."""
    async with asyncio.timeout(LIMIT):
        while not true():
            await asyncio.sleep(0)
