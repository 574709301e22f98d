"""A circuit breaker: a service that fails again and again is left alone for a while."""

from __future__ import annotations

from typing import Final

CLOSED: Final = "closed"
OPEN: Final = "open"
HALF_OPEN: Final = "half-open"


class Breaker:
    """Closed, every question is let through. After `failures` of them in a row it opens for `pause` seconds; then one
    is let through as a trial, whose outcome closes or opens it again. Times are of the caller's clock; with `failures`
    0 it never opens."""

    def __init__(self, failures: int, pause: float) -> None:
        self.failures = failures
        self.pause = pause
        self.opened = 0  # how often, in all
        self._in_a_row = 0
        self._until: float | None = None
        self._trial: float | None = None

    def state(self, now: float) -> str:
        """A word for it."""
        if self._until is None:
            return CLOSED
        return OPEN if now < self._until else HALF_OPEN

    def allows(self, now: float) -> bool:
        """Whether a question may be asked now; whoever is allowed tells the outcome."""
        state = self.state(now)
        if state == CLOSED:
            return True
        # A trial whose outcome was never told ends when another pause has passed.
        if state == OPEN or (self._trial is not None and now < self._trial + self.pause):
            return False
        self._trial = now
        return True

    def succeeded(self) -> None:
        """A question was answered."""
        self._in_a_row = 0
        self._until = self._trial = None

    def failed(self, now: float) -> None:
        """A question was not."""
        self._in_a_row += 1
        if self.failures and (self._trial is not None or self._in_a_row >= self.failures):
            if self.state(now) != OPEN:
                self.opened += 1
            self._until = now + self.pause
            self._trial = None
