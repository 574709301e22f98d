"""Types of accounting's compiled watcher."""

from kahea.modules.acc import Acc
from kahea.modules.acc.record import Recorder
from kahea.tm.transaction import Transaction

class Watch:
    """`wanted` is whether there is any transaction to watch."""

    wanted: bool
    def __init__(self, acc: Acc, recorder: Recorder) -> None: ...
    def created(self, t: Transaction) -> None: ...
