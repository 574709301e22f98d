# What the parameters say of save(): see rules.pyx.

from kahea.modules.registrar.answer cimport Answer
from kahea.modules.registrar.bindings cimport AorRules
from kahea.modules.sl.replies cimport Replies
from kahea.routing.dispatch cimport Dispatcher, Run


cdef class SaveRules:
    cdef object module
    cdef object usrloc
    cdef dict domains
    cdef Dispatcher node
    cdef Replies replies
    cdef AorRules aors
    cdef readonly long accepted  # REGISTERs
    cdef readonly long rejected
    cdef bint overrides_q
    # What the parameters say.
    cdef bytes received_param
    cdef bint waits  # until changes are safe in the database
    cdef bint keeps_attributes
    cdef bint sets  # the script may override parameters for a message
    cdef bint records
    cdef bint use_path
    cdef bint path_use_received
    cdef bint gruu_enabled
    cdef bint min_expires_mode
    cdef unsigned int sock_mask
    cdef object received_variable
    cdef int default_q
    cdef int outbound_mode
    cdef int path_mode
    cdef int server_id
    cdef long contact_max_size
    cdef long default_expires
    cdef long default_expires_range
    cdef long expires_range
    cdef long flow_timer
    cdef long max_contacts
    cdef long max_expires
    cdef long min_expires
    cdef long retry_after

    cdef int send(self, Run run, Answer answer) except -2
