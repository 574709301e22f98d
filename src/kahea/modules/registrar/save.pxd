# save(): see save.pyx.

from kahea.modules.registrar.answer cimport Answer
from kahea.modules.registrar.bindings cimport Wanted
from kahea.modules.registrar.rules cimport Rules
from kahea.modules.sl.replies cimport Replies
from kahea.modules.usrloc.contact cimport Registration
from kahea.modules.usrloc.domain cimport Domain
from kahea.routing.dispatch cimport Run
from kahea.sip.message cimport Message


cdef class Saver:
    cdef Rules rules
    cdef Replies replies
    cdef bint overrides_q
    cdef readonly long accepted
    cdef readonly long rejected

    cdef int run(self, Run run, str table, object flags, bytes uri) except? -99
    cdef int send(self, Run run, Answer answer) except -2


cdef class Save:
    cdef Saver _saver
    cdef Rules _by
    cdef Run _run
    cdef Message _msg
    cdef Domain _domain
    cdef int _flags
    cdef long long _now
    cdef Answer _answer
    cdef list _touched
    cdef bint _use_ob
    cdef object _settings  # what the script overrides for this message
    cdef bytes _uri  # whose AOR it is, if it is not the To header's

    cdef int execute(self) except? -99
    cdef int _reply(self) except -1
    cdef int _process(self) except? -99
    cdef bytes _aor(self)
    cdef bint _check_contacts(self, list contacts, long long header_expires) except -1
    cdef int _check_outbound(self, list contacts) except -1
    cdef int _remove_all(self, bytes aor) except? -99
    cdef int _query(self, bytes aor) except? -99
    cdef int _change(self, bytes aor, list values, long long header_expires) except? -99
    cdef Registration _registration(self)
    cdef object _attributes(self)
    cdef object _sock(self)
    cdef list _wanted(self, list values, long long header_expires)
    cdef object _given_q(self)
    cdef long long _expires(self, object override, bytes given, long long header) except -1
    cdef int _find(self, list contacts, Registration registration, list wanted) except -1
    cdef int _check_limit(self, list contacts, list wanted) except -1
    cdef int _apply(self, bytes aor, Registration registration, list wanted, list found) except? -99
    cdef bint _is_repeated(self, Wanted each, Registration registration, bint is_new) except -1
    cdef int _keep_one(self, list wanted, list contacts) except -1
    cdef int _settle(self, bytes aor, bint is_new) except -1
    cdef int _list(self, bytes aor) except -1
    cdef int _add_path(self, bytes path) except -1
    cdef int _add_outbound(self) except -1
