# What is kept for the transaction to come: see pending.pyx.

from kahea.routing.dispatch cimport Run
from kahea.tm.transaction cimport Transaction


cdef class Pending:
    cdef public object on_branch
    cdef public object on_reply
    cdef public object on_failure
    cdef public object on_branch_failure
    cdef public object fr
    cdef public object fr_inv
    cdef public object retr1
    cdef public object retr2
    cdef public object life
    cdef public object no_6xx
    cdef public bint no_failover
    cdef public bint no_auto_ack
    cdef public bint no_cancel_reason
    cdef public bint no_auto_100
    cdef public bint no_internal_reply
    cdef public tuple error

    cdef int give(self, Transaction t, object clock) except -1


cpdef Pending pending(Run run)
