# cython: language_level=3
"""What `t_relay` does, compiled: nearly every request ends in it. What is rare is left to the module (`relay.py`)."""

from kahea.modules.tm.pending cimport Pending, pending
from kahea.routing.dispatch cimport Dispatcher, Run
from kahea.sip.message cimport M_ACK, M_CANCEL, Message
from kahea.sip.uri cimport Uri, parse_uri
from kahea.tm.forward cimport forward
from kahea.tm.layer cimport TransactionLayer
from kahea.tm.transaction cimport Transaction

from kahea.routing import run as _run
from kahea.routing.text import wire
from kahea.sip.errors import ParseError
from kahea.tm import forward as _forward

# Flags of t_relay_to.
NO_100 = 1

cdef enum:
    WITHOUT_100 = 1
    NO_INTERNAL_REPLY = 2
    NO_FAILOVER = 4

cdef int IN_REQUEST = _run.REQUEST_ROUTE
cdef int IN_FAILURE = _run.FAILURE_ROUTE | _run.BRANCH_FAILURE_ROUTE

# What a Request-URI may be; for another there is no transaction.
cdef frozenset SCHEMES = frozenset((b"sip", b"sips", b"tel", b"tels", b"urn"))

# What the caller is told when a request can't be forwarded: status, reason, and the number behind the reason.
cdef dict ERRORS = {
    _forward.E_NO_DESTINATION: (478, "Unresolvable destination", 478),
    _forward.E_SEND: (477, "Unfortunately error on sending to next hop occurred", 477),
    _forward.E_BAD_URI: (400, "Bad Request", 400),
    _forward.E_TOO_MANY_BRANCHES: (500, "Too many branches", 500),
    **{
        code: (500, "I'm terribly sorry, server error occurred", -code)
        for code in (_forward.E_NO_BRANCH, _forward.E_DROPPED, _forward.E_NO_SOCKET)
    },
}
cdef int BAD_URI = _forward.E_BAD_URI
# The code where the script asked for no reply of ours.
cdef enum:
    SILENT = -4
cdef tuple SERVER_ERROR = (500, "Server Internal Error", 500)


cdef class Relaying:
    """Makes and forwards transactions for one node.

    `cancel(run, invite)` and `stray_cancel(run)` are what the module does with a CANCEL that has its INVITE, or has
    none; the latter returns None where it is to be forwarded as any request.
    """

    cdef Dispatcher node
    cdef TransactionLayer layer
    cdef object cancel
    cdef object stray_cancel
    cdef public bint auto_100
    cdef public bint delayed_reply
    cdef public bytes trying
    #: Makes a request's edits part of it before it has a transaction; False if they made none. None leaves them edits.
    cdef public object apply_changes

    def __init__(self, Dispatcher node not None, cancel, stray_cancel):
        self.node = node
        self.layer = node.layer
        self.cancel = cancel
        self.stray_cancel = stray_cancel
        self.auto_100 = True
        self.delayed_reply = True
        self.trying = b""
        self.apply_changes = None

    def new_transaction(self, Run run not None):
        """A transaction for the run's request, with what the script asked for; None if there can't be one."""
        return self.make(run)

    cdef bint is_target(self, Message msg) except -1:
        """Whether a Request-URI is one that there can be a transaction for."""
        cdef Uri target
        try:
            target = parse_uri(msg.get_uri())
        except ParseError:
            return False
        return target.is_sip or target.scheme in SCHEMES

    cdef Transaction make(self, Run run):
        cdef Transaction t
        if not self.is_target(run.msg):
            return None
        if self.apply_changes is not None and run.kind == IN_REQUEST and not self.apply_changes(run):
            return None
        t = self.layer.new_transaction(run.msg)
        if t is None:
            return None
        t.generation = run.generation
        if run.tm is not None:
            (<Pending?>run.tm).give(t, self.layer._clock)
        run.transaction = t
        return t

    def t_relay(self, Run run not None):
        """t_relay in any route."""
        return self.relay(run, None, 0)

    def relay_to(self, Run run not None, destination, int flags):
        """t_relay; `destination` overrides where the branches go, `flags` are those of t_relay_to."""
        return self.relay(run, destination, flags)

    cdef int relay(self, Run run, object destination, int flags) except? -99:
        cdef Message msg = run.msg
        cdef Transaction t = run.transaction, other
        if run.kind & IN_FAILURE:
            return self.forward(run, t, destination, flags)
        if run.kind != IN_REQUEST and (t is None or msg is not t.request):
            return -1
        if t is None:
            if msg.method_id == M_ACK:
                return self.relay_ack(run, destination)
            other = self.layer.lookup(msg)
            if other is not None:
                self.layer.repeat_reply(other)
                return 1
            if msg.method_id == M_CANCEL:
                other = self.layer.lookup_invite(msg)
                done = self.cancel(run, other) if other is not None else self.stray_cancel(run)
                if done is not None:
                    return done
            t = self.make(run)
            if t is None:
                if not self.is_target(msg):
                    return self.fail(run, BAD_URI)
                pending(run).error = SERVER_ERROR
                return -1
        return self.forward(run, t, destination, flags)

    cdef int forward(self, Run run, Transaction t, object destination, int flags) except? -99:
        cdef int result
        cdef Pending asked = run.tm
        if t is None or t.freed or t.status >= 200:
            return -1
        if t.is_invite and t.status == 0 and self.auto_100 and not t.local and not flags & WITHOUT_100:
            if asked is None or not asked.no_auto_100:
                self.layer.reply(t, 100, self.trying)
        if flags & NO_FAILOVER:
            t.no_failover = True
        result = forward(self.layer, t, run.msg, destination)
        if result > 0:
            return 1
        if flags & NO_INTERNAL_REPLY:
            pending(run).no_internal_reply = True
        return self.fail(run, result)

    def failed(self, Run run not None, int code):
        """Note why a request could not be forwarded, for the reply at the route's end (`delayed_reply`)."""
        return self.fail(run, code)

    cdef int fail(self, Run run, int code) except? -99:
        cdef Pending options = pending(run)
        cdef Transaction t = run.transaction
        options.error = ERRORS.get(code, SERVER_ERROR)
        if options.no_internal_reply:
            return SILENT
        if t is not None and not self.delayed_reply and not options.no_internal_reply and run.kind == IN_REQUEST:
            status, reason, number = options.error
            self.layer.reply(t, status, wire(f"{reason} ({number}/TM)"))
        return code

    cdef int relay_ack(self, Run run, object destination) except? -99:
        """The ACK to our failure ends here; any other is forwarded without a transaction."""
        cdef Transaction t = self.layer.lookup(run.msg)
        cdef bytes hop = None
        if t is not None and t.status >= 300:
            self.layer.take_ack(t)
            return 1
        if self.layer.on_created:
            t = self.layer.lookup_answered(run.msg)
            if t is not None:
                for watcher in t.watchers:
                    watcher.acknowledged(t, run.msg)
        if destination:
            first = destination[0]
            hop = b"sip:%b:%d;transport=%b" % (
                first.address.host, first.address.port, first.listener.proto_name.encode(),
            )
        return 1 if self.node.forward_to(run.msg, hop) > 0 else -1
