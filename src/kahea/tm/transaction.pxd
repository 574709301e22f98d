# Transactions and their branches: see transaction.pyx.

from kahea.net.address cimport Address, Listener
from kahea.sip.message cimport Message
from kahea.tm.wheel cimport Timer, Wheel

# What a branch identifier is made of: the magic cookie, the label in hexadecimal, random digits; then a point and the
# index of the branch.
cdef enum:
    COOKIE = 7
    LABEL = 8
    RANDOM = 12
    STEM = 27


cdef extern from *:
    """
    #define KH_DIGITS "0123456789abcdef"
    """
    const char* HEX "KH_DIGITS"


cdef class Owner:
    cdef int branch_due(self, Branch branch, double now) except -1
    cdef int transaction_due(self, Transaction t, double now) except -1


cdef class Saved:
    cdef list edits
    cdef int body_edited
    cdef bytes uri
    cdef bytes dst_uri
    cdef bytes path
    cdef object send_sock
    cdef public unsigned int flags
    cdef unsigned int bflags
    cdef unsigned int sflags


cdef class Resender(Timer):
    cdef object wheel
    cdef public bytes data
    cdef Listener listener
    cdef Address address
    cdef long connection_id
    cdef public double interval
    cdef double slowest
    cdef double until
    cdef object on_end


cdef class Branch(Timer):
    cdef readonly Transaction transaction
    cdef readonly int index
    cdef public bytes id
    cdef public bytes uri
    cdef public object dst_uri
    cdef public object path
    cdef public unsigned int flags
    cdef public bytes ruid
    cdef public bytes instance
    cdef public bytes location_ua
    cdef public int reg_id
    cdef public Listener listener
    cdef public Address address
    cdef public long connection_id
    cdef public object spare
    cdef public bytes request
    cdef public int state
    cdef public int status
    cdef public Message reply
    cdef public bytes ack
    cdef public Resender cancel_sender
    cdef public bint cancelled
    cdef public bint cancel_wanted
    cdef public bint blind
    cdef public bint answered
    cdef public object on_reply
    cdef public object on_failure
    cdef public double retr_interval
    cdef public double retr_at
    cdef public double fr_at


cdef class Transaction(Timer):
    cdef readonly Owner layer
    cdef public Message request
    cdef int size  # of the request as it came, in bytes
    cdef readonly unsigned int label
    cdef readonly int hash_index
    cdef readonly bytes stem
    cdef size_t call_hash  # of the table of requests; 0 if it is not there
    cdef Transaction next_request
    cdef readonly bytes method
    cdef readonly int method_id
    cdef readonly bint is_invite
    cdef public bint local
    cdef readonly list branches
    cdef public int status
    cdef public bytes response
    cdef public bytes to_tag
    cdef public Listener listener
    cdef public Address address
    cdef public long connection_id
    cdef public object on_branch
    cdef public object on_reply
    cdef public object on_failure
    cdef public object on_branch_failure
    cdef public double fr
    cdef public double fr_inv
    cdef public double retr1
    cdef public double retr2
    cdef public double end_of_life
    cdef public bint cancelled
    cdef public bint timed_out
    cdef public bint acked
    cdef public bint no_6xx
    cdef public bint no_failover
    cdef public bint no_auto_ack
    cdef public bint no_cancel_reason
    cdef public bint freed
    cdef public bint waiting
    cdef public bint busy
    cdef public bint suspended
    cdef public int pick_from
    cdef public list queue
    cdef public Saved saved
    cdef public object generation
    cdef public object on_complete
    cdef public Branch winner
    cdef public tuple watchers
    cdef public object retransmit
    cdef public double retr_interval
    cdef public double retr_at
    cdef public double wait_at

    cdef Branch new_branch(self)
    cdef bint pending(self)
    cdef int dismantle(self) except -1


cdef Transaction new_transaction(Owner layer, Message request, unsigned int label, const char* random)
cdef int branch_index(const unsigned char* suffix, int size) noexcept
cdef long label_of(const unsigned char* branch, int size) noexcept
