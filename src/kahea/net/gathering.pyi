"""Types of the compiled pace of reading."""

from collections.abc import Callable

class Gathering:
    """The pause before the next read of one listener."""

    longest: float  # seconds, 0 for off
    pause: float  # seconds, 0 while each datagram is read at once
    def __init__(self, longest: float) -> None: ...
    def taken(self, n: int, clock: Callable[[], float]) -> float:
        """Count `n` datagrams that were read; the pause until the next read."""
