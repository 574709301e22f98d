"""What a transport tells the node: the one contract between listeners and whoever takes their messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kahea.net.address import Address, Listener


class Receiver(Protocol):
    """Takes messages off the listeners. What its methods raise is logged and stops nothing."""

    def on_datagram(self, listener: Listener, data: bytes, source: Address, connection_id: int) -> None:
        """One message: a datagram (`connection_id` 0) or one framed off a connection."""

    def on_batch_end(self) -> None:
        """All that one wake-up brought was given; what was sent meanwhile goes out after this."""

    def on_send_error(self, listener: Listener, address: Address, data: bytes, reason: str) -> None:
        """A message that `send` had accepted could not be sent: the next destination may be tried at once."""


class BatchRunner(Protocol):
    """What a receiver may have besides, to take a batch of datagrams where its scripts may wait."""

    def in_batch(self, work: Callable[[], object]) -> bool:
        """Call `work`, which hands in what is left of the batch; False if it could not be called. When this returns,
        `work` has returned, or waits in one of the messages."""


class ConnectionWatcher(Protocol):
    """What a receiver may have besides, to follow connections (outbound keepalives, `tcp:closed` events)."""

    def on_unframed(self, listener: Listener, head: bytes, source: Address, connection_id: int, reason: str) -> None:
        """The headers of a message whose body has no end that can be told; the connection closes after this."""

    def on_connection_open(self, listener: Listener, connection_id: int, peer: Address) -> None:
        """A connection was accepted, or one that we asked for was made."""

    def on_connection_closed(self, listener: Listener, connection_id: int, peer: Address, reason: str) -> None:
        """A connection is gone; its id is never used again."""
