"""Types of accounting's compiled watcher."""

from kahea.modules.acc import Acc
from kahea.modules.acc.record import Recorder
from kahea.sip.message import Message
from kahea.tm.transaction import Branch, Transaction

class Watch:
    """`wanted` is whether there is any transaction to watch."""

    wanted: bool
    def __init__(self, acc: Acc, recorder: Recorder) -> None: ...
    def created(self, t: Transaction) -> None:
        """Watch a transaction that is marked, or may be later."""
    # What `tm.hooks.Watcher` says of them.
    def answered(self, t: Transaction, code: int, reply: Message | None) -> None: ...
    def failed(self, t: Transaction, best: Branch) -> None: ...
    def acknowledged(self, t: Transaction, ack: Message) -> None: ...
