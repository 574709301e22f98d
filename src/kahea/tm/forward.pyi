"""Types of stateful forwarding."""

from collections.abc import Sequence
from typing import Final

from kahea.net.address import Listener
from kahea.sip.message import Message
from kahea.tm.hooks import Destination
from kahea.tm.layer import TransactionLayer
from kahea.tm.transaction import Saved, Transaction

E_NO_DESTINATION: Final = -478
E_SEND: Final = -477
E_BAD_URI: Final = -400
E_NO_BRANCH: Final = -1
E_DROPPED: Final = -6
E_NO_SOCKET: Final = -7
E_TOO_MANY_BRANCHES: Final = -9

def via_line(listener: Listener, branch_id: bytes, msg: Message | None, rport: bool = False) -> bytes: ...
def forward(
    layer: TransactionLayer, t: Transaction, msg: Message, destination: Sequence[Destination] | None = None
) -> int: ...
def forward_stateless(layer: TransactionLayer, msg: Message, hop: bytes | None) -> int: ...
def stateless_branch(msg: Message) -> bytes: ...
def save(msg: Message) -> Saved: ...
def restore(msg: Message, saved: Saved) -> None: ...

class Place:
    """Where a next hop is; for the compiled parts."""
