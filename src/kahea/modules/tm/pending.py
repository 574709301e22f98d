"""What a script says of a transaction before it exists (`t_on_failure` ahead of `t_relay`), kept on the run."""

from __future__ import annotations

from dataclasses import dataclass

from kahea.routing.run import Run
from kahea.tm.transaction import Transaction


@dataclass(slots=True)
class Pending:
    """Routes, times (seconds) and switches for the transaction to come; None leaves the default."""

    on_branch: str | None = None
    on_reply: str | None = None
    on_failure: str | None = None
    on_branch_failure: str | None = None
    fr: float | None = None
    fr_inv: float | None = None
    retr1: float | None = None
    retr2: float | None = None
    life: float | None = None
    no_6xx: bool | None = None
    no_failover: bool = False
    no_auto_ack: bool = False
    no_cancel_reason: bool = False
    no_auto_100: bool = False
    no_internal_reply: bool = False
    #: Status and reason of the failure that `t_reply_error` and `sl_reply_error` tell of.
    error: tuple[int, str] | None = None

    def apply(self, t: Transaction, now: float) -> None:
        """Give a new transaction what was asked for."""
        t.on_branch = self.on_branch
        t.on_reply = self.on_reply
        t.on_failure = self.on_failure
        t.on_branch_failure = self.on_branch_failure
        if self.fr is not None:
            t.fr = self.fr
        if self.fr_inv is not None:
            t.fr_inv = self.fr_inv
        if self.retr1 is not None:
            t.retr1 = self.retr1
        if self.retr2 is not None:
            t.retr2 = self.retr2
        if self.life is not None:
            t.end_of_life = now + self.life
        if self.no_6xx is not None:
            t.no_6xx = self.no_6xx
        t.no_failover = self.no_failover
        t.no_auto_ack = self.no_auto_ack
        t.no_cancel_reason = self.no_cancel_reason


def pending(run: Run) -> Pending:
    """The run's, made when first asked for."""
    found = run.tm
    if found is None:
        found = run.tm = Pending()
    assert isinstance(found, Pending)
    return found
