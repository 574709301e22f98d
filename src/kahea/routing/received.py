"""What the event route `core:msg-received` sees of a message that is not parsed yet: `$rcv(...)`."""

from __future__ import annotations

from typing import Final, NamedTuple

from kahea.net.address import Address, Listener

#: The event, and the key of a `Received` in the state of its run.
RECEIVED_EVENT: Final = "core:msg-received"


class Received(NamedTuple):
    """One message as it came."""

    listener: Listener
    data: bytes
    source: Address
    connection_id: int
