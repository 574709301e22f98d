"""What event routes see of messages as they are on the network: `core:msg-received` by `$rcv(...)`, corex's
`network:msg` by `$mb`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from kahea.net.address import Address, Listener

#: The event, and the key of a `Received` in the state of its run.
RECEIVED_EVENT: Final = "core:msg-received"


#: The event of corex, and the key of a `Passing` in the state of its run.
NETWORK_EVENT: Final = "network:msg"


class Passing(NamedTuple):
    """One message that was received, or is about to be sent."""

    data: bytes
    incoming: bool


class Received(NamedTuple):
    """One message as it came."""

    listener: Listener
    data: bytes
    source: Address
    connection_id: int
