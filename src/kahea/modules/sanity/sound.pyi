"""Types of the compiled quick look at a message."""

from collections.abc import Callable
from typing import Final

from kahea.routing.run import Run

SCHEMES: Final[tuple[bytes, ...]]

class Gate:
    default_checks: int
    uri_checks: int
    autodrop: bool
    sizes: bool
    def __init__(self, look: Callable[[Run, int, int], int]) -> None: ...
    def check(self, run: Run, checks: int, uris: int) -> int: ...
    def check_or_end(self, run: Run, checks: int | None = None, uris: int | None = None) -> int: ...
