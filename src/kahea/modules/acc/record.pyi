"""Types of accounting's compiled records."""

from collections.abc import Callable

from kahea.modules.acc import Acc
from kahea.modules.acc.extra import Extra, Legs
from kahea.routing.module import Value
from kahea.routing.run import Run

class Recorder:
    def __init__(
        self,
        acc: Acc,
        extra: Extra,
        legs: Legs,
        rows: Callable[[Run, str, tuple[str, ...], list[list[Value]], float], bool],
    ) -> None: ...
    def write(self, run: Run, what: str, code: str, reason: str, to_tag: str, to_log: bool, table: str) -> bool: ...
