# The compiled path of a message from the socket to its route: see dispatch.pyx.

from kahea.net.address cimport Address, Listener
from kahea.routing.tally cimport Tally
from kahea.sip.message cimport Message
from kahea.sip.uri cimport Uri
from kahea.tm.layer cimport TransactionLayer
from kahea.tm.transaction cimport Branch, Transaction


cdef class Run:
    cdef public object node
    cdef public Message msg
    cdef public int kind
    cdef public str name
    cdef public Transaction transaction
    cdef public Branch branch
    cdef public Message reply
    cdef public int status
    cdef public object rc
    cdef public bint drop
    cdef public bint failed
    cdef public object generation
    cdef public tuple on_end
    cdef public object tm
    cdef dict _vars
    cdef dict _state


# Fill in a Run that `Run.__new__` made: what its __init__ does, without Python's arguments.
cdef int start_run(Run run, object node, Message msg, int kind, str name, Transaction transaction, Branch branch,
                   int status, object generation) except -1


cdef class Current:
    cdef public Run run


cdef class Pool:
    cdef public long limit
    cdef public long keep
    cdef readonly long in_flight
    cdef list _idle
    cdef object _body  # what a worker does, bound once
    # Handed to the worker that is switched to: any work, or a message for a dispatcher's route.
    cdef object _next
    cdef tuple _args
    cdef Dispatcher _dispatcher
    cdef Message _msg

    cdef bint start(self, object work, tuple args) except -1
    cdef bint start_route(self, Dispatcher dispatcher, Message msg) except -1
    cdef int _switch(self) except -1


cdef class View:
    cdef public Run _run


cdef class Method:
    cdef object function
    cdef object view

    cdef object invoke(self, Run run)


cdef class Routes:
    cdef public object request
    cdef public object reply
    cdef public object onsend
    cdef public object pre_routing
    cdef dict _found

    cdef object named(self, str kind, object name)


cdef class Asked:
    cdef dict _asked
    cdef long _epoch

    cpdef bint check(self, object host, int port=*, int proto=*) except -1


cdef class Dispatcher:
    cdef readonly TransactionLayer layer
    cdef readonly Pool pool
    cdef public Routes routes
    cdef public bint draining
    cdef public bint accept_aliases
    cdef public bint strict
    cdef public bint close_failed
    cdef public object first_look
    cdef public object wall
    cdef readonly Tally tally
    cdef readonly long received_requests
    cdef readonly long received_replies
    cdef readonly long bad_messages
    cdef readonly long bad_requests
    cdef readonly long bad_replies
    cdef public long dropped_requests
    cdef readonly long dropped_replies
    cdef readonly long refused_runs
    cdef readonly long forwarded_requests
    cdef public Asked myself
    cdef long _messages
    cdef bint _system_time
    cdef readonly bytes tag_prefix

    cdef double _wall(self) except? -1
    cdef int _take(self, Listener listener, bytes data, Address source, long long connection_id) except -1
    cdef int _request(self, Message msg) except -1
    cdef int _response(self, Message msg) except -1
    cpdef int run_route(self, Message msg) except -1
    cdef int route_request(self, Message msg) except -1
    cdef int route_response(self, Message msg) except -1
    cpdef execute(self, Run run, object route)
    cdef int end_run(self, Run run) except -1
    cdef bint has_own_tag(self, Message msg) except -1
    cdef int _ask(self, Uri uri) except -1
    cdef bint owns(self, Uri uri) except -1
    cdef bint owns_route(self, Uri uri) except -1
    cpdef bint is_myself(self, object host, int port=*, int proto=*) except -1
    cdef bint run_named(self, str word, int kind, object name, Transaction t, Branch branch, Message msg,
                        int status) except -1
    cpdef take_response(self, Message msg)
    cpdef int forward_to(self, Message msg, bytes next_hop) except? -99


cdef double seconds_held() noexcept nogil
