# cython: language_level=3
"""What scripts ask of every transaction, or of the one to come, compiled: is it known, and which routes shall it have.

`relay.py` and `control.py` declare these functions and say what they mean.
"""

from kahea.modules.tm.pending cimport Pending, pending
from kahea.routing.dispatch cimport Dispatcher, Run
from kahea.sip.message cimport M_ACK, M_CANCEL, Message
from kahea.tm.layer cimport TransactionLayer
from kahea.tm.transaction cimport Transaction

from kahea.routing import run as _run

cdef int IN_BRANCH = _run.BRANCH_ROUTE


cdef inline str armed(str name):
    """The route of a name; None for those that disarm."""
    return None if name == "" or name == "0" else name


cdef class Steering:
    """These functions, for one node."""

    cdef TransactionLayer layer

    def __init__(self, Dispatcher node not None):
        self.layer = node.layer

    def t_on_branch(self, Run run not None, str name not None):
        if run.transaction is None:
            pending(run).on_branch = armed(name)
        else:
            run.transaction.on_branch = armed(name)
        return 1

    def t_on_reply(self, Run run not None, str name not None):
        if run.transaction is None:
            pending(run).on_reply = armed(name)
        elif run.kind == IN_BRANCH and run.branch is not None:
            run.branch.on_reply = armed(name)  # that branch's own
        else:
            run.transaction.on_reply = armed(name)
        return 1

    def t_on_failure(self, Run run not None, str name not None):
        if run.transaction is None:
            pending(run).on_failure = armed(name)
        else:
            run.transaction.on_failure = armed(name)
        return 1

    def t_is_set(self, Run run not None, str target not None):
        cdef Transaction t = run.transaction
        cdef Pending asked
        if t is None and run.tm is None:
            return -1
        asked = run.tm if t is None else None
        if target == "branch_route":
            route = asked.on_branch if t is None else t.on_branch
        elif target == "failure_route":
            route = asked.on_failure if t is None else t.on_failure
        elif target == "onreply_route":
            route = asked.on_reply if t is None else t.on_reply
        else:
            return -1
        return -1 if route is None else 1

    def t_check_trans(self, Run run not None):
        cdef Message msg = run.msg
        cdef Transaction t
        if not msg.is_request:
            return 1 if run.transaction is not None else -1
        t = self.layer.lookup(msg)
        if msg.method_id == M_CANCEL:
            if t is not None:
                self.layer.repeat_reply(t)
                return 0
            return 1 if self.layer.lookup_invite(msg) is not None else -1
        if msg.method_id == M_ACK:
            if t is not None and not 200 <= t.status < 300:
                self.layer.take_ack(t)
                return 0
            return 1 if self.layer.lookup_answered(msg) is not None else -1
        if t is None:
            return -1
        if t is run.transaction:
            return 1
        self.layer.repeat_reply(t)
        return 0
