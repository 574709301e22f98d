"""Types of the compiled part of t_relay."""

from collections.abc import Callable, Sequence
from typing import Final

from kahea.routing.dispatch import Dispatcher, Run
from kahea.tm.hooks import Destination
from kahea.tm.transaction import Transaction

NO_100: Final = 1

class Relaying:
    auto_100: bool
    delayed_reply: bool
    trying: bytes
    apply_changes: Callable[[Run], bool] | None
    def __init__(
        self,
        node: Dispatcher,
        cancel: Callable[[Run, Transaction], int],
        stray_cancel: Callable[[Run], int | None],
    ) -> None: ...
    def new_transaction(self, run: Run) -> Transaction | None: ...
    def t_relay(self, run: Run) -> int: ...
    def relay_to(self, run: Run, destination: Sequence[Destination] | None, flags: int) -> int: ...
    def failed(self, run: Run, code: int) -> int: ...
