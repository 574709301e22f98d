# cython: language_level=3
"""The replies that scripts send: without a transaction, or through it where one exists. Compiled since every REGISTER
and OPTIONS ends in one.
"""

import logging

from kahea.routing.dispatch cimport Dispatcher, Run
from kahea.routing.stateless cimport reply
from kahea.sip.message cimport Message
from kahea.tm.transaction cimport Transaction

from kahea.routing.redirect import add_contacts
from kahea.sip.errors import ParseError
from kahea.sip.status import reason as reason_phrase

log = logging.getLogger("kahea.sl")

cdef enum:
    M_ACK = 4
    REQUEST_ROUTE = 1
    FAILURE_ROUTE = 2
    ONREPLY_ROUTE = 4
    STATEFUL = REQUEST_ROUTE | FAILURE_ROUTE | ONREPLY_ROUTE


cdef class Replies:
    """`on_sent`, if it is not None, is called with the request after each stateless reply; `default_code` is the status
    of a reply whose own is none; `bind_tm` lets replies go through transactions; `rich_redirect` is a sum of what
    `routing.redirect` names."""

    def __init__(self, Dispatcher node not None):
        self._node = node
        self.default_code = 500
        self.bind_tm = True

    def sl_send_reply(self, Run run not None, code, str reason not None):
        return self.send_stateless(run, code, reason.encode("utf-8", "surrogateescape"))

    def send_reply(self, Run run not None, code, str reason not None):
        return self.send(run, code, reason.encode("utf-8", "surrogateescape"))

    cpdef int send_stateless(self, Run run, object code, bytes phrase) except? -99:
        cdef Message msg = run.msg
        cdef int status = self._status(code)
        if not msg.is_request or msg.method_id == M_ACK:
            return -1
        if 300 <= code < 400:
            add_contacts(msg, self.rich_redirect)
        try:
            if not reply(self._node, msg, status, phrase or reason_phrase(status)):
                self.failures += 1
                return -1
        except ParseError as error:
            log.info("can't reply: %s", error)
            self.failures += 1
            return -1
        self.sent += 1
        self._counts[status if status == code and status >= 200 else 0] += 1
        if self.on_sent is not None:
            self.on_sent(msg)
        return 1

    cpdef int send(self, Run run, object code, bytes phrase) except? -99:
        cdef Transaction t = run.transaction
        cdef int status
        if t is None or not self.bind_tm or not run.kind & STATEFUL:
            return self.send_stateless(run, code, phrase)
        status = self._status(code)
        if 300 <= code < 400:
            add_contacts(t.request, self.rich_redirect)
        return 1 if self._node.layer.reply(t, status, phrase or reason_phrase(status)) else -1

    cdef int _status(self, object code) except -1:
        return code if 100 <= code <= 699 else self.default_code

    def counted(self, int code):
        return self._counts[code] if 0 <= code < 700 else 0
