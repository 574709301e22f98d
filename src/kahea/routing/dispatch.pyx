# cython: language_level=3
"""The path of a message from the socket to its route, compiled since every message takes it.

Here are the run of a script, the greenlets that runs live in, and the node's first decisions: is it SIP, is it a request
or a response, which route. What the routes then ask for is Python, in `node.py` and the modules.
"""

import logging
import os
import time
from collections import deque

import greenlet

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject, PyTypeObject
from libc.string cimport memcmp
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, timespec

from kahea.net.address cimport Address, Listener
from kahea.sip.message cimport Message, parse
from kahea.sip.uri cimport Uri
from kahea.sip.values cimport AddrSpan
from kahea.tm.forward cimport forward_stateless
from kahea.tm.layer cimport TransactionLayer
from kahea.tm.transaction cimport Branch, Transaction

from kahea.net.address import PROTO_IDS
from kahea.routing.lists import FACET as _LISTS
from kahea.routing.tally import Tally
from kahea.sip.errors import ParseError

cdef extern from "greenlet/greenlet.h":
    ctypedef struct PyGreenlet:
        pass

    object PyGreenlet_Switch(PyGreenlet* g, PyObject* args, PyObject* kwargs)
    void PyGreenlet_Import()

PyGreenlet_Import()

log = logging.getLogger("kahea.node")
script_log = logging.getLogger("kahea.script")

cdef extern from "<time.h>" nogil:
    int CLOCK_THREAD_CPUTIME_ID

cdef enum:
    M_ACK = 4
    SHORTEST = 16  # what a keep-alive on UDP stays below; nothing this short is SIP
    REQUEST_ROUTE = 1
    ONREPLY_ROUTE = 4
    BRANCH_ROUTE = 8
    CORE_ONREPLY_ROUTE = 128
    MOST_NAMES = 10_000  # of routes that are remembered: a script may ask for any
    MOST_HOSTS = 10_000  # of which `Asked` remembers what they are
    LONGEST_HOST = 255  # bytes of a name in DNS: a longer one is no host's, and is not remembered

cdef object get_current = greenlet.getcurrent
cdef tuple nothing = ()
# Whether a worker is running, rather than the hub: the loop's own greenlet.
cdef bint in_worker = False
# Counts how often a worker was switched to; and when `held` was first asked in which of these slices, in CPU time.
cdef long slices = 0
cdef long asked_slice = -1
cdef double asked_at = 0
# Why the running worker must not wait now, or None.
cdef str forbidden = None


class EndRoute(BaseException):
    """Ends the running route at once (`exit` in a script), not an error."""


class NoRun(RuntimeError):
    """A script function was called while no script was running."""


class ScriptError(Exception):
    """What a script in another language than Python raised: its text has the script's file and line and the language's
    own trace. Its cause, if it has one, is the Python exception that a function raised."""


cdef double seconds_held() noexcept nogil:
    global asked_slice, asked_at
    cdef timespec t
    cdef double now
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t)
    now = t.tv_sec + t.tv_nsec * 1e-9
    if asked_slice != slices:
        asked_slice = slices
        asked_at = now
    return now - asked_at


def held():
    """The seconds of CPU time that the running script took without waiting, from when this was first asked of it on: for
    what asks all the time, and not at each switch, since asking costs more than switching."""
    return seconds_held()


cdef int new_slice() noexcept:
    """A worker goes on with something else, unless a script asked for it: `held` counts from now."""
    global slices
    if _current.run is None:
        slices += 1
    return 0


cdef class Ticks:
    """Called by a script's code in each turn of a loop: calls `look` once in 1,024 times."""

    cdef object look
    cdef unsigned int count

    def __init__(self, look):
        self.look = look

    def __call__(self):
        self.count += 1
        if not self.count & 1023:
            self.look()


def begin():
    """Outside of a worker (a script that is loaded): `held` counts from now."""
    global slices
    if not in_worker:
        slices += 1


def without_waiting(str reason not None, f, *args):
    """Call `f(*args)`; until it returns, waiting raises NoRun with the reason."""
    global forbidden
    saved = forbidden
    forbidden = reason
    try:
        return f(*args)
    finally:
        forbidden = saved


cdef class Run:
    """One run of a route: its message, what the transaction lends it, and its own variables.

    `rc` is the return code of the last function (`$rc`), `drop` what `set_drop()` said, `failed` whether the script
    raised. `reply` is the winning reply in a failure route (None if it was made here) and `status` its status.
    `generation` is the set of routes this run belongs to: a reload does not change them under it. `on_end` holds
    functions that are called with the run when it is over, `tm` what the tm module keeps for the
    transaction to come.
    """

    def __init__(self, node, Message msg not None, int kind, str name="", Transaction transaction=None,
                 Branch branch=None, int status=0):
        start_run(self, node, msg, kind, name, transaction, branch, status, node.routes)

    @property
    def vars(self):
        """The `$var`s."""
        if self._vars is None:
            self._vars = {}
        return self._vars

    @vars.setter
    def vars(self, dict value not None):
        self._vars = value

    @property
    def state(self):
        """What modules keep for this run only, by keys such as `module.what`."""
        if self._state is None:
            self._state = {}
        return self._state

    def where(self):
        """The route's kind and name, for the log."""
        from kahea.routing.run import ROUTE_NAMES

        kind = ROUTE_NAMES.get(self.kind, "route")
        return f"{kind}[{self.name}]" if self.name else kind


cdef int start_run(Run run, object node, Message msg, int kind, str name, Transaction transaction, Branch branch,
                   int status, object generation) except -1:
    run.node = node
    run.msg = msg
    run.kind = kind
    run.name = name
    run.transaction = transaction
    run.branch = branch
    run.status = status
    run.rc = 0
    run.generation = generation
    run.on_end = ()
    return 0


cdef class Current:
    """Holds the run in progress, or None outside of scripts."""


#: Read `current.run`; never store it across a wait.
current = Current()
cdef Current _current = current


class _Worker(greenlet.greenlet):
    """A greenlet that runs scripts."""


cdef class Pool:
    """Worker greenlets, kept for reuse: a fresh one costs a page fault, a pooled switch under 1 µs.

    `limit` bounds the runs in flight (suspended ones included); `run` refuses beyond it.
    """

    def __init__(self, long limit=20_000, long keep=512):
        self.limit = limit
        self.keep = keep
        self._idle = []
        self._body = self._work

    def run(self, work, *args):
        """Run `work(*args)` in a worker until it returns or waits; False if too many runs are in flight.

        Called inside a worker, it runs in place. What `work` raises reaches the caller.
        """
        return self.start(work, args)

    cdef bint start(self, object work, tuple args) except -1:
        if in_worker:
            new_slice()
            work(*args)
            return True
        if self.in_flight >= self.limit:
            return False
        self._next = work
        self._args = args
        self._switch()
        return True

    cdef bint start_route(self, Dispatcher dispatcher, Message msg) except -1:
        """As `start`, for the route that a message from the network takes."""
        if in_worker:
            new_slice()
            dispatcher.run_route(msg)
            return True
        if self.in_flight >= self.limit:
            return False
        self._dispatcher = dispatcher
        self._msg = msg
        self._switch()
        return True

    cdef int _switch(self) except -1:
        """Let a worker do what is handed to it until it returns or waits."""
        global in_worker, slices
        cdef Run saved = _current.run
        cdef list idle = self._idle
        self.in_flight += 1
        worker = idle.pop() if idle else _Worker(self._body)
        in_worker = True
        slices += 1
        try:
            PyGreenlet_Switch(<PyGreenlet*>worker, NULL, NULL)
        finally:
            in_worker = False
            _current.run = saved
        if woken:
            wake_all()
        return 0

    def _work(self):
        cdef Dispatcher dispatcher
        cdef Message msg
        me = get_current()
        hub = me.parent
        while True:
            dispatcher, msg, work, args = self._dispatcher, self._msg, self._next, self._args
            self._dispatcher = None
            self._msg = None
            self._next = None
            self._args = None
            try:
                if msg is None:
                    work(*args)
                else:
                    dispatcher.run_route(msg)
            except BaseException:
                self.in_flight -= 1
                raise  # ends this worker; greenlet hands the error to the hub's caller
            # A kept worker keeps nothing of its last run alive.
            dispatcher = msg = work = args = None
            self.in_flight -= 1
            if len(self._idle) >= self.keep:
                return
            self._idle.append(me)
            PyGreenlet_Switch(<PyGreenlet*>hub, NULL, NULL)


def can_wait():
    """Whether the caller runs in a worker greenlet, and so may `wait`."""
    return in_worker and forbidden is None


def suspend(arm):
    """Suspend this run until `resume(value)` is called, and return the value.

    `arm(resume)` is called at once, in the worker; `resume` must be called later, once. Called by another run, it takes
    effect when that one returns or waits. A value that is an exception is raised here.
    """
    if not in_worker:
        raise NoRun("only a running route can wait")
    if forbidden is not None:
        raise NoRun(forbidden)
    me = get_current()
    hub = me.parent
    cdef Run run = _current.run

    def resume(value):
        woken.append((me, value))
        if not in_worker:
            wake_all()

    arm(resume)
    value = hub.switch()
    _current.run = run
    if isinstance(value, BaseException):
        raise value
    return value


# Suspended greenlets with the values that they wait for.
cdef object woken = deque()


cdef int wake_all() except -1:
    """Let the runs go on that were resumed. Called in the hub."""
    global in_worker, slices
    cdef Run saved = _current.run
    while woken:
        suspended, value = woken.popleft()
        in_worker = True
        slices += 1
        try:
            suspended.switch(value)
        finally:
            in_worker = False
            _current.run = saved
    return 0


cdef class View:
    """What a script is given of its run: the base of a language's message object."""


cdef class Method:
    """A route that is a function of the script, called with a new `view` of the run, or with nothing."""

    def __init__(self, function, view=None):
        self.function = function
        self.view = view

    def __call__(self, Run run not None):
        return self.invoke(run)

    cdef object invoke(self, Run run):
        cdef View view
        if self.view is None:
            return self.function()
        view = <View>(<PyTypeObject*>self.view).tp_new(<type>self.view, <PyObject*>nothing, NULL)
        view._run = run
        return self.function(view)


cdef class Routes:
    """The fixed routes of a script; `None` where it has none. `find(name, kind)` knows the named ones."""

    cdef object named(self, str kind, object name):
        """A route by name, remembered; None if there is none."""
        cdef tuple key = (kind, name)
        if self._found is None:
            self._found = {}
        found = self._found.get(key, self)
        if found is self:
            found = self.find(name, kind)
            if len(self._found) < MOST_NAMES:
                self._found[key] = found
        return found

    def find(self, name, kind):
        raise NotImplementedError("the class of a script's routes finds them by name")


# Counts what was ever true of `myself`, over all nodes: what a Uri says of another count is void.
cdef long epochs = 0


cdef class Asked:
    """What was asked of `myself` recently, since every request asks; `work_out(host, port, proto)` knows the rest."""

    def __init__(self):
        self.forget_asked()

    cpdef bint check(self, object host, int port=0, int proto=0) except -1:
        """Whether `host` is this node; a port or protocol of 0 matches any."""
        cdef tuple key = (host, port, proto)
        known = self._asked.get(key)
        if known is None:
            known = bool(self.work_out(host, port, proto))
            if len(host) > LONGEST_HOST:
                return known is True
            if len(self._asked) >= MOST_HOSTS:
                self._asked.clear()
            self._asked[key] = known
        return known is True

    def work_out(self, host, port, proto):
        raise NotImplementedError("the node's own class says what is its")

    def forget_asked(self):
        """What counts as this node changed."""
        global epochs
        epochs += 1
        self._epoch = epochs
        self._asked = {}


cdef class Dispatcher:
    """What of a node is compiled: taking messages in and running routes. `Node` has the rest.

    `first_look(listener, data, source, connection_id)` is asked in a worker about each message before it is parsed, if
    it is not None: for the data to parse, or None to drop the message. `close_failed`: a connection is closed on which a request came whose route
    failed (`tcp_script_mode`).
    """

    def __init__(self, wall):
        self.wall = wall
        self._system_time = wall is time.time
        self.pool = Pool()
        # The To tags of our stateless replies begin with this, so that their ACKs are known.
        self.tag_prefix = os.urandom(8).hex().encode()
        self.tally = Tally()

    def reset_message_ids(self):
        """Count messages from the beginning again."""
        self._messages = 0

    def attach(self, TransactionLayer layer not None):
        """Give the node its transactions."""
        self.layer = layer

    cdef double _wall(self) except? -1:
        """The time of day. The system's clock is read without Python, since every message asks."""
        cdef timespec at
        if self._system_time and clock_gettime(CLOCK_REALTIME, &at) == 0:
            return at.tv_sec + at.tv_nsec * 1e-9
        return self.wall()

    cpdef execute(self, Run run, object route):
        """Run a route; what it raises is logged with its traceback, and marks the run as failed."""
        cdef Run saved = _current.run
        _current.run = run
        try:
            value = (<Method>route).invoke(run) if type(route) is Method else route(run)
            return value if isinstance(value, int) else 1
        except (EndRoute, SystemExit):
            return 0
        except ScriptError as error:
            run.failed = True
            script_log.error("the script failed in %s for %s: %s", run.where(), describe(run.msg), error,
                             exc_info=error.__cause__)
            return -1
        except Exception as error:
            run.failed = True
            self.explain(error)
            script_log.exception("the script failed in %s for %s", run.where(), describe(run.msg))
            return -1
        finally:
            _current.run = saved
            if run.on_end and run.kind != REQUEST_ROUTE:
                self.end_run(run)

    cdef int end_run(self, Run run) except -1:
        """Tell those that asked for it: of a request route when all is over, of others when the route is."""
        for callback in run.on_end:
            callback(run)
        run.on_end = ()

    def in_batch(self, work):
        """See net.receiver: a batch of datagrams shares a worker, so that only scripts that wait need further ones."""
        return self.pool.start(work, ())

    def on_datagram(self, Listener listener, bytes data, Address source, long long connection_id=0):
        """Take one message from the network. Never raises."""
        if len(data) < SHORTEST:
            return
        if self.first_look is None:
            self._take(listener, data, source, connection_id)
        elif not self.pool.start(self._look_first, (listener, data, source, connection_id)):
            self.refused_runs += 1

    def _look_first(self, Listener listener, bytes data, Address source, long long connection_id):
        looked_at = self.first_look(listener, data, source, connection_id)
        if looked_at is not None:
            self._take(listener, looked_at, source, connection_id)

    cdef int _take(self, Listener listener, bytes data, Address source, long long connection_id) except -1:
        cdef Message msg
        cdef Address at
        try:
            msg = parse(data)
        except ParseError as error:
            log.info("not SIP from %s:%d: %s", source.ip, source.port, error)
            return 0
        at = listener._address
        self._messages += 1
        msg.src_ip = source.ip_bytes
        msg.src_port = source.port
        msg.dst_ip = at.ip_bytes
        msg.dst_port = at.port
        msg.proto = listener.proto
        msg.source = source
        msg.listener = listener
        msg.connection_id = connection_id
        msg.received_at = self._wall()
        msg.id = self._messages
        try:
            if msg.is_request:
                self._request(msg)
            else:
                self._response(msg)
        except Exception:
            log.exception("a message from %s:%d could not be handled", source.ip, source.port)
        return 0

    cdef bint has_own_tag(self, Message msg) except -1:
        """Whether the To tag is one of our stateless replies."""
        cdef AddrSpan* to = msg.to_addr()
        cdef int size = <int>PyBytes_GET_SIZE(self.tag_prefix)
        return to.tag >= 0 and to.tag_len >= size             and memcmp(msg.p + to.tag, PyBytes_AS_STRING(self.tag_prefix), size) == 0

    def explain(self, error):
        """Add to a script's error what may help; the node's own class knows."""

    cdef int _request(self, Message msg) except -1:
        try:
            if self.strict:
                msg.check()
            else:
                msg.check_basics()
        except ParseError as error:
            if self.take_foreign(msg):
                return 0
            self.bad_messages += 1
            self.bad_requests += 1
            log.info("malformed request from %s:%d: %s", msg.src_ip.decode(), msg.src_port, error)
            if self.strict:
                self.refuse(msg, error)
            return 0
        if msg.method_id == M_ACK and self.has_own_tag(msg):
            self.take_own_ack(msg)
            self.dropped_requests += 1
            return 0
        self.received_requests += 1
        self.tally.request(msg)
        if self.accept_aliases and msg.connection_id and msg.top_via().alias:
            self.take_alias(msg)
        if self.draining and self.is_new(msg):
            self.reply(msg, 503, "Service Unavailable")
            return 0
        if not self.pool.start_route(self, msg):
            self.refused_runs += 1
            if msg.method_id != M_ACK:
                self.reply(msg, 503, "Service Unavailable")
        return 0

    cpdef int run_route(self, Message msg) except -1:
        """The route that a message takes, in a worker."""
        return self.route_request(msg) if msg.is_request else self.route_response(msg)

    cdef int route_request(self, Message msg) except -1:
        """The request route, in a worker."""
        cdef Run run = Run.__new__(Run)
        cdef Transaction t
        cdef Routes routes = self.routes
        start_run(run, self, msg, REQUEST_ROUTE, "", None, None, 0, routes)
        if routes.pre_routing is not None:
            self.execute(run, routes.pre_routing)
            if run.drop or run.failed:
                self.end_run(run)
                return 0
        if routes.request is None:
            self.end_run(run)
            return 0
        value = self.execute(run, routes.request)
        if self.close_failed and value < 0 and msg.connection_id:
            msg.listener.close_connection(msg.source, msg.connection_id)
        t = run.transaction
        if run.failed and msg.method_id != M_ACK:
            if t is not None:
                self.layer.reply(t, 500, b"Server Internal Error")
            else:
                self.reply(msg, 500, "Server Internal Error")
        if t is not None and t.status < 200 and not t.freed and not t.suspended and not t.pending():
            self.left_open(run)
        self.end_run(run)

    cdef int _response(self, Message msg) except -1:
        try:
            if self.strict:
                msg.check()
            else:
                msg.check_basics()
        except ParseError as error:
            self.bad_messages += 1
            self.bad_replies += 1
            log.info("malformed response from %s:%d: %s", msg.src_ip.decode(), msg.src_port, error)
            return 0
        self.received_replies += 1
        self.tally.reply(msg)
        if self.routes.reply is None:
            self.take_response(msg)
        else:
            self.pool.start_route(self, msg)
        return 0

    cdef int route_response(self, Message msg) except -1:
        """The reply route of the node, in a worker, before any transaction sees the response."""
        cdef Branch branch = self.layer.match(msg)
        cdef Run run = Run.__new__(Run)
        cdef Transaction transaction = None
        if branch is not None:
            transaction = branch.transaction
            # It has no part in the transaction's AVPs: a route of the transaction's own has.
            msg.facets = transaction.request.get_facets().copy()
            msg.facets.pop(_LISTS, None)
        start_run(run, self, msg, CORE_ONREPLY_ROUTE, "", transaction, branch, 0, self.routes)
        self.execute(run, (<Routes?>run.generation).reply)
        # A route may have put a rebuilt message in its place.
        if run.drop:
            self.dropped_replies += 1
        else:
            self.take_response(run.msg)

    # Of tm.hooks.Hooks, what every transaction with routes of its own passes.

    def in_worker(self, work not None, *args):
        """Run `work(*args)` where it may wait; False if there are too many runs."""
        return self.pool.start(work, args)

    def run_branch_route(self, name, Transaction t not None, Branch branch not None):
        """False drops the branch. The message has the branch's target already."""
        cdef unsigned int sflags = t.request.sflags
        t.request.sflags = 0
        keep = self.run_named("branch", BRANCH_ROUTE, name, t, branch, t.request, 0)
        t.request.sflags = sflags
        return keep

    def run_reply_route(self, name, Transaction t not None, Branch branch not None, Message reply not None):
        """False drops the reply. It sees the flags of its transaction and of its branch, and what it sets stays."""
        reply.facets = t.request.get_facets()
        reply.flags = t.request.flags
        reply.bflags = branch.flags
        reply.sflags = 0
        keep = self.run_named("reply", ONREPLY_ROUTE, name, t, branch, reply, reply.status)
        t.request.flags = reply.flags
        if t.saved is not None:
            t.saved.flags = reply.flags
        branch.flags = reply.bflags
        return keep

    cdef bint run_named(self, str word, int kind, object name, Transaction t, Branch branch, Message msg,
                        int status) except -1:
        """Run a route that a transaction has armed; False if it drops the message."""
        cdef Run run = Run.__new__(Run)
        cdef Routes routes = self.routes if t.generation is None else <Routes?>t.generation
        start_run(run, self, msg, kind, name, t, branch, status, routes)
        route = routes.named(word, name)
        if route is not None:
            self.execute(run, route)
        return not run.drop

    cpdef take_response(self, Message msg):
        """A response to the transaction it belongs to, else onward by its next Via."""
        if not self.layer.receive_response(msg, None):
            self.forward_reply(msg)

    cpdef bint is_myself(self, object host, int port=0, int proto=0) except -1:
        """Whether a host is this node: a listener, an advertised address or an alias; 0 matches any."""
        return self.myself.check(host, port, proto)

    cdef int _ask(self, Uri uri) except -1:
        """Have a URI remember whether it is this node's: the same few are asked for again and again."""
        cdef bytes transport
        uri.own_target = uri.own_route = False
        if uri.is_sip:
            transport = uri.transport
            proto = PROTO_IDS.get(transport.decode("latin-1"), 0) if transport else 0
            uri.own_target = self.myself.check(uri.host, uri.port, proto)
        uri.own_route = self.myself.check(uri.host, uri.port or (5061 if uri.scheme == b"sips" else 5060))
        uri.seen_by = self.myself._epoch
        return 0

    cdef bint owns(self, Uri uri) except -1:
        """Whether a URI is this node's by its host, its port if it has one, and its transport if it names one."""
        if uri.seen_by != self.myself._epoch:
            self._ask(uri)
        return uri.own_target

    cdef bint owns_route(self, Uri uri) except -1:
        """Whether a URI names this node by its host and port, or the default one, whatever the transport."""
        if uri.seen_by != self.myself._epoch:
            self._ask(uri)
        return uri.own_route

    def forward(self, Run run not None, str uri=None):
        """Stateless forwarding of the run's request to its target or `uri` (RFC 3261 §16.11); > 0 or < 0."""
        return self.forward_to(run.msg, None if uri is None else uri.encode("utf-8", "surrogateescape"))

    cpdef int forward_to(self, Message msg, bytes next_hop) except? -99:
        """As `forward`, for a message."""
        cdef int code
        try:
            code = forward_stateless(self.layer, msg, next_hop)
        except ParseError as error:
            log.info("can't forward: %s", error)
            return -1
        if code <= 0:
            return -1
        self.forwarded_requests += 1
        return code


def describe(Message msg):
    """A message in a few words, for the log."""
    try:
        what = msg.get_method().decode("ascii", "replace") if msg.is_request else str(msg.status)
        return f"{what} {msg.get_callid().decode('ascii', 'replace')} from {msg.src_ip.decode()}:{msg.src_port}"
    except ParseError:
        return "a message without Call-ID"
