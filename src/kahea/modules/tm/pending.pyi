"""Types of what is kept for the transaction to come."""

from kahea.routing.dispatch import Run

class Pending:
    on_branch: str | None
    on_reply: str | None
    on_failure: str | None
    on_branch_failure: str | None
    fr: float | None
    fr_inv: float | None
    retr1: float | None
    retr2: float | None
    life: float | None
    no_6xx: bool | None
    no_failover: bool
    no_auto_ack: bool
    no_cancel_reason: bool
    no_auto_100: bool
    no_internal_reply: bool
    error: tuple[int, str] | None

def pending(run: Run) -> Pending: ...
