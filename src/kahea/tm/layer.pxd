# The transaction layer: see layer.pyx.

from kahea.net.address cimport Address, Listener
from kahea.sip.message cimport Message
from kahea.tm.table cimport Requests
from kahea.tm.transaction cimport Branch, Owner, Transaction
from kahea.tm.wheel cimport Wheel


cdef Listener restricted(Listener listener, int flags)


cdef class Settings:
    cdef public double fr_timer
    cdef public double fr_inv_timer
    cdef public double max_inv_lifetime
    cdef public double max_noninv_lifetime
    cdef public double retr_timer1
    cdef public double retr_timer2
    cdef public double wt_timer
    cdef public bint restart_fr_on_each_reply
    cdef public int cancel_b_method
    cdef public bint relay_100
    cdef public int failure_reply_mode
    cdef public int faked_reply_prio
    cdef public bint disable_6xx_block
    cdef public int reply_408_code
    cdef public bytes reply_408_reason
    cdef public bint aggregate_challenges
    cdef public bint remap_503_500
    cdef public bint local_cancel_reason
    cdef public bytes ac_extra_hdrs
    cdef public object failover_codes
    cdef public bint use_dns_failover
    cdef public int udp_mtu
    cdef public int max_transactions
    cdef public long max_held
    cdef public int max_branches
    cdef public bint force_rport
    cdef public bint reply_to_via
    cdef public bint local_rport
    cdef public object warning
    cdef public bytes server
    cdef public object on_local_reply


cdef class TransactionLayer(Owner):
    cdef readonly Wheel wheel
    cdef readonly object hooks
    cdef readonly Settings settings
    cdef readonly dict by_label
    cdef readonly Requests requests
    cdef readonly dict places
    cdef readonly list on_created
    cdef public object blocking  # what is asked before a request is sent, and told of failures; None for nothing
    cdef public bint onsend_reply  # and at each reply
    cdef public bint onsend  # the script looks at each request before it is sent
    cdef unsigned int _label
    cdef bytes _digits
    cdef int _random_at
    cdef object _clock
    cdef bint _system_clock
    # Statistics, as Kamailio's tm.stats names them.
    cdef readonly long created, rpl_received, rpl_sent, rpl_generated, rpl_relayed, waiting, created_local
    cdef readonly long completed_3xx, completed_4xx, completed_5xx, completed_6xx, completed_2xx
    cdef readonly long refused
    cdef readonly long held  # bytes of the requests in the table

    cdef double now(self) except? -1
    cpdef Transaction lookup(self, Message msg)
    cpdef Transaction lookup_invite(self, Message msg)
    cpdef Transaction lookup_answered(self, Message msg)
    cdef const char* _random(self, int size) except NULL
    cdef bytes _nonce(self)
    cdef Transaction _create(self, Message msg)
    cdef bint _full(self, Message msg) except -1
    cpdef Transaction new_transaction(self, Message msg)
    cpdef free(self, Transaction t)
    cdef int _put_on_wait(self, Transaction t, double now) except -1
    cpdef bint send_branch(self, Branch branch)
    cpdef bint send_somewhere(self, Branch branch)
    cpdef send_failed(self, Branch branch)
    cpdef Branch match(self, Message msg)
    cpdef bint receive_response(self, Message msg, Branch branch=*)
    cdef int _cancel_response(self, Branch branch, Message msg) except -1
    cdef int _event(self, Branch branch, int event, Message msg, double now) except -1
    cdef int _wait_for_answer(self, Branch branch, double now) except -1
    cdef int _acknowledge(self, Branch branch, Message msg) except -1
    cdef int _pass_plain(self, Branch branch, Message msg) except -1
    cdef int _decide(self, Branch branch, Message msg) except -1
    cdef int _fail(self, Branch branch, bint timeout) except -1
    cdef int _branch_failed(self, Branch branch) except -1
    cdef bint _next_destination(self, Branch failed) except -1
    cdef Branch _copy_branch(self, Branch failed, target)
    cdef int _run_busy(self, Transaction t, run, name, Branch branch) except -1
    cdef int _drain(self, Transaction t) except -1
    cdef int _conclude(self, Transaction t) except -1
    cdef int _answer(self, Transaction t, Branch best) except -1
    cdef int _relay(self, Branch branch, Message msg) except -1
    cdef int _tell_answered(self, Transaction t, int code, Message msg) except -1
    cdef int _tell_failed(self, Transaction t, Branch best) except -1
    cdef int _complete_local(self, Transaction t, Branch branch, int code, msg) except -1
    cdef int _finish(self, Transaction t, Branch branch) except -1
    cpdef bint reply(self, Transaction t, int code, bytes reason, bytes extra=*, bytes body=*)
    cdef bytes _signature(self, Message request)
    cpdef repeat_reply(self, Transaction t)
    cpdef take_ack(self, Transaction t)
    cpdef cancel_branches(self, Transaction t, Branch but=*, bytes reason=*)
    cpdef cancel_branch(self, Branch branch, bytes reason=*)
    cdef int _send_cancel(self, Branch branch, bytes reason) except -1
    cdef bytes reason_line(self, int code)
    cpdef conclude(self, Transaction t)
    cpdef bytes to_tag(self, Transaction t)
    cpdef tuple reply_destination(self, Message msg)
    cdef Listener _reply_listener(self, Message msg)
    cdef Address _reply_address(self, Message msg, Listener listener)
