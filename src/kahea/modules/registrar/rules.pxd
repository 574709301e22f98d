# What the registrar's parameters say: see rules.pyx.

from kahea.modules.registrar.bindings cimport AorRules
from kahea.modules.usrloc.domain cimport Domain
from kahea.routing.dispatch cimport Dispatcher


cdef class Rules:
    cdef object module
    cdef object usrloc
    cdef dict domains
    cdef Dispatcher node
    cdef AorRules aors
    # Of both.
    cdef bint keeps_attributes
    cdef bint sets  # the script may override parameters for a message
    cdef bint records  # the script is told of contacts
    # Of save().
    cdef bytes received_param
    cdef bint waits  # until changes are safe in the database
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
    # Of lookup().
    cdef bint append_branches
    cdef bint filters_methods
    cdef bint finds_expired
    cdef bint path_check_local
    cdef int filter_mode

    cdef Domain table(self, str name)
    cdef long long now(self) except -1
