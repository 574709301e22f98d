# cython: language_level=3
"""What becomes of the transactions that are accounted. Compiled since `tm` tells of every call."""

from kahea.modules.acc.record cimport Recorder
from kahea.routing.dispatch cimport Dispatcher, Run, start_run
from kahea.sip.message cimport M_CANCEL, M_INVITE, Message
from kahea.tm.transaction cimport Branch, Transaction

from kahea.routing.checks import NO_FLAG as _NO_FLAG
from kahea.routing.run import EVENT_ROUTE as _EVENT_ROUTE
from kahea.sip.status import reason as standard_reason

cdef int event_route = _EVENT_ROUTE
cdef int no_flag = _NO_FLAG


cdef unsigned int bit_of(int flag):
    return 0 if flag == no_flag else 1U << flag


cdef str text(bytes data):
    return data.decode("utf-8", "surrogateescape") if data else ""


cdef class Watch:
    """Has the recorder write what becomes of transactions that are marked (a `tm.hooks.Watcher`)."""

    cdef Dispatcher node
    cdef Recorder recorder
    cdef unsigned int log_bits, db_bits, log_missed_bits, db_missed_bits, missed_bits, failed_bits, wanted_bits
    cdef bint every, early_media, report_ack, report_cancels, reason_from_hf
    cdef object failed_filter
    cdef str table, missed_table

    def __init__(self, acc, Recorder recorder not None):
        cdef bint tables = bool(acc.db_url)
        self.node = acc.node
        self.recorder = recorder
        self.log_bits = bit_of(acc.log_flag)
        self.db_bits = bit_of(acc.db_flag) if tables else 0
        self.log_missed_bits = bit_of(acc.log_missed_flag)
        self.db_missed_bits = bit_of(acc.db_missed_flag) if tables else 0
        self.missed_bits = self.log_missed_bits | self.db_missed_bits
        self.failed_bits = bit_of(acc.failed_transaction_flag)
        self.wanted_bits = self.log_bits | self.db_bits | self.missed_bits | bit_of(acc.acc_prepare_flag)
        self.every = acc.acc_prepare_always
        self.early_media = acc.early_media
        self.report_ack = acc.report_ack
        self.report_cancels = acc.report_cancels
        self.reason_from_hf = acc.reason_from_hf
        self.failed_filter = acc.failed_filter
        self.table = acc.db_table_acc
        self.missed_table = acc.db_table_missed_calls

    @property
    def wanted(self):
        return self.every or self.wanted_bits != 0

    def created(self, Transaction t not None):
        """Watch a transaction that is marked, or may be later."""
        if t.request.method_id == M_CANCEL and not self.report_cancels:
            return
        if self.every or t.request.flags & self.wanted_bits:
            t.watchers = (*t.watchers, self)

    def answered(self, Transaction t not None, int code, Message reply):
        """Account a final reply, and a provisional one with a body if that is wanted."""
        cdef unsigned int flags = t.request.flags
        if code >= 300:
            if not flags & self.failed_bits or code in self.failed_filter:
                return
        elif code < 200 and not (self.early_media and reply is not None and reply.body_end > reply.body_start):
            return
        if flags & (self.log_bits | self.db_bits):
            table = self.table if flags & self.db_bits else ""
            self.event(t, t.request, "transaction answered", code, reply, flags & self.log_bits != 0, table)

    def failed(self, Transaction t not None, Branch best not None):
        """Account a call that nobody took. The flags are for one time: a failure route may set them again."""
        cdef Message request = t.request
        cdef unsigned int flags = request.flags
        if request.method_id != M_INVITE or not flags & self.missed_bits:
            return
        t.winner = best
        table = self.missed_table if flags & self.db_missed_bits else ""
        self.event(t, request, "call missed", best.status, best.reply, flags & self.log_missed_bits != 0, table)
        request.flags &= ~self.missed_bits
        if t.saved is not None:
            t.saved.flags &= ~self.missed_bits

    def acknowledged(self, Transaction t not None, Message ack not None):
        """Account the ACK to a 2xx, if it is marked itself; AVPs are those of the INVITE."""
        if not self.report_ack or not ack.flags & (self.log_bits | self.db_bits):
            return
        table = self.table if ack.flags & self.db_bits else ""
        facets = ack.facets
        ack.facets = t.request.facets
        try:
            self.event(t, ack, "request acknowledged", t.status, None, ack.flags & self.log_bits != 0, table)
        finally:
            ack.facets = facets

    cdef int event(self, Transaction t, Message msg, str what, int code, Message reply, bint to_log,
                   str table) except -1:
        """Account something of a transaction, with the Request-URI of the branch that it is about."""
        cdef Run run = Run.__new__(Run)
        cdef bytes uri = msg.get_uri()
        cdef bytes tag
        cdef bint of_branch = msg is t.request and t.winner is not None and bool(t.winner.uri)
        start_run(run, self.node, msg, event_route, "acc", t, t.winner, code, self.node.routes)
        tag = msg.to_tag() or t.to_tag if reply is None else reply.to_tag()
        if of_branch:
            msg.set_uri(t.winner.uri)
        try:
            self.recorder.write(run, what, str(code), self.reason(code, reply), text(tag), to_log, table)
        finally:
            if of_branch:
                msg.set_uri(uri)
        return 0

    cdef str reason(self, int code, Message reply):
        """The reason phrase of a reply, None if it was made here."""
        if reply is None:
            return text(standard_reason(code))
        if self.reason_from_hf:
            header = reply.header_named(b"Reason")
            if header is not None:
                return text(header.body)
        return text(reply.reason)
