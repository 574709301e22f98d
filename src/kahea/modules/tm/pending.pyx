# cython: language_level=3
"""What a script says of a transaction before it exists (`t_on_failure` ahead of `t_relay`), kept on the run."""

from kahea.routing.dispatch cimport Run
from kahea.tm.transaction cimport Transaction


cdef class Pending:
    """Routes, times (seconds) and switches for the transaction to come; None leaves the default.

    `error` is status and reason of the failure that `t_reply_error` and `sl_reply_error` tell of.
    """

    cdef int give(self, Transaction t, object clock) except -1:
        """Give a new transaction what was asked for; `clock()` is only read where it matters."""
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
            t.end_of_life = clock() + self.life
        if self.no_6xx is not None:
            t.no_6xx = self.no_6xx
        t.no_failover = self.no_failover
        t.no_auto_ack = self.no_auto_ack
        t.no_cancel_reason = self.no_cancel_reason
        return 0


cpdef Pending pending(Run run):
    """The run's, made when first asked for."""
    if run.tm is None:
        run.tm = Pending.__new__(Pending)
    return run.tm
