# cython: language_level=3
"""The transaction layer: the table, matching, and the path that every request and response takes through it.

Rules of this room:

1. What a branch does on an event is read from the tables in `states.py`; this file carries it out.
2. Anything that may run a script runs in a worker greenlet (`hooks.in_worker`) and may wait there. After each such
   call the transaction is looked at afresh: it may have been answered, or freed, meanwhile.
3. While a failure route of a transaction runs, its other responses wait in `queue` (Kamailio holds a lock there).
4. Nothing here raises for what the network sent.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcmp
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from kahea.net.address cimport Address, Listener
from kahea.sip.message cimport Message
from kahea.sip.values cimport Via, ViaSpan
from kahea.tm.table cimport Requests, call_hash
from kahea.tm.transaction cimport (
    RANDOM,
    STEM,
    Branch,
    Owner,
    Resender,
    Transaction,
    branch_index,
    label_of,
    new_transaction,
)
from kahea.tm.wheel cimport Wheel

import logging
import os
import time

from kahea.net.address import is_ip
from kahea.tm import choice, local, states
from kahea.tm.hooks import REPLY_FACET as _REPLY_FACET

log = logging.getLogger("kahea.tm")

cdef enum:
    M_INVITE = 1
    M_CANCEL = 2
    M_ACK = 4
    EVENTS = 6
    RESEND = 16
    STOP = 32
    SLOW = 64
    WAIT_INV = 128
    PASS = 256
    ACK = 512
    GIVE_UP = 1024
    FAIL = 2048
    LATE = 4096

cdef double NEVER = 1e18
cdef str REPLY_FACET = _REPLY_FACET

# What the caller is told where a connection could not be made, in Kamailio's words.
cdef bytes SEND_FAILED = b"Unfortunately error on sending to next hop occurred (477/TM)"

cdef int invite_table[30]
cdef int other_table[30]
for _i, _cell in enumerate(states.packed(states.INVITE_CLIENT)):
    invite_table[_i] = _cell
for _i, _cell in enumerate(states.packed(states.NON_INVITE_CLIENT)):
    other_table[_i] = _cell


cdef Listener restricted(Listener listener, int flags):
    """The listener with what the script said of its connections: 1 closes after sending, 2 opens none."""
    if flags & 3 and listener.proto != 1:
        return listener.restricted(flags & 3)
    return listener


cdef inline int cell_of(bint invite, int state, int event) noexcept:
    """The table's cell: next state and actions, or -1."""
    if invite:
        return invite_table[state * EVENTS + event]
    return other_table[state * EVENTS + event]


cdef class Settings:
    """What the `tm` module's parameters of the same names say, and the global parameters that concern transactions;
    times in seconds."""

    def __init__(self):
        self.fr_timer = 30.0
        self.fr_inv_timer = 120.0
        self.max_inv_lifetime = 180.0
        self.max_noninv_lifetime = 32.0
        self.retr_timer1 = 0.5
        self.retr_timer2 = 4.0
        self.wt_timer = 5.0
        self.restart_fr_on_each_reply = True
        self.cancel_b_method = 1
        self.failure_reply_mode = 3
        self.reply_408_code = 408
        self.reply_408_reason = b"Request Timeout"
        self.aggregate_challenges = True
        self.remap_503_500 = True
        self.local_cancel_reason = True
        self.ac_extra_hdrs = b""
        self.failover_codes = frozenset()
        self.max_transactions = 200_000
        self.max_held = 256 << 20
        self.max_branches = 12
        self.server = b""


cdef class TransactionLayer(Owner):
    """All transactions of a node. `hooks` is the node; see `tm.hooks.Hooks`."""

    def __init__(self, hooks, Wheel wheel, clock):
        self.hooks = hooks
        self.wheel = wheel
        self._clock = clock
        self._system_clock = clock is time.monotonic
        self.settings = Settings()
        self.by_label = {}
        self.requests = Requests()
        # Where next hops lead that needed no DNS: URI -> (listener it came on, destinations).
        self.places = {}
        # Told of each new transaction of a received request; a module may make itself one of its watchers.
        self.on_created = []
        self._label = int.from_bytes(os.urandom(3), "big")
        self._digits = b""
        self._random_at = 0

    def __len__(self):
        return len(self.by_label)

    cdef double now(self) except? -1:
        """The node's time. The system's clock is read without Python, since every message asks."""
        cdef timespec at
        if self._system_clock and clock_gettime(CLOCK_MONOTONIC, &at) == 0:
            return at.tv_sec + at.tv_nsec * 1e-9
        return self._clock()

    # ---- look-ups ----------------------------------------------------------------------------------------------

    cpdef Transaction lookup(self, Message msg):
        """The transaction that this request repeats (for an ACK: the INVITE that we answered with a failure)."""
        return self.requests.repeated(msg, msg.method_id)

    cpdef Transaction lookup_invite(self, Message msg):
        """For a CANCEL: the INVITE that it is for."""
        return self.requests.repeated(msg, M_INVITE)

    cpdef Transaction lookup_answered(self, Message msg):
        """For an ACK to a 2xx: the INVITE's transaction, if it still stands."""
        return self.requests.answered(msg)

    def lookup_callid(self, bytes callid, bytes cseq):
        """A transaction by Call-ID and CSeq number (t_cancel_callid and the like), or None. Walks the table."""
        cdef Transaction t
        for t in self.by_label.values():
            if t.request.callid == callid and (b"%d" % t.request.cseq) == cseq:
                return t
        return None

    def lookup_ident(self, int hash_index, unsigned int label):
        """A transaction by `$T(id_index)` and `$T(id_label)`, or None."""
        cdef Transaction t = self.by_label.get(label)
        return t if t is not None and t.hash_index == hash_index else None

    # ---- making ------------------------------------------------------------------------------------------------

    cdef const char* _random(self, int size) except NULL:
        """So many random hexadecimal digits, at most 20; they stay until this is called again."""
        if self._random_at + size > len(self._digits):
            self._digits = os.urandom(2000).hex().encode()
            self._random_at = 0
        self._random_at += size
        return PyBytes_AS_STRING(self._digits) + self._random_at - size

    cdef bytes _nonce(self):
        return PyBytes_FromStringAndSize(self._random(20), 20)

    cdef Transaction _create(self, Message msg):
        cdef Transaction t
        cdef Settings s = self.settings
        self._label = (self._label + 1) & 0x7FFFFFFF
        t = new_transaction(self, msg, self._label, self._random(RANDOM))
        t.fr = s.fr_timer
        t.fr_inv = s.fr_inv_timer
        t.retr1 = s.retr_timer1
        t.retr2 = s.retr_timer2
        t.end_of_life = self.now() + (s.max_inv_lifetime if t.is_invite else s.max_noninv_lifetime)
        t.no_6xx = s.disable_6xx_block
        self.by_label[t.label] = t
        self.held += t.size
        self.created += 1
        return t

    cdef bint _full(self, Message msg) except -1:
        """Whether there is no room for one more: by their number, or, since one that spirals back to us is as many
        transactions as it has hops, by the bytes of their requests. Each takes its own a few times over."""
        cdef Settings s = self.settings
        if len(self.by_label) < s.max_transactions and self.held + msg.size <= s.max_held:
            return False
        self.refused += 1
        return True

    cpdef Transaction new_transaction(self, Message msg):
        """A server transaction for a request that none exists for; None if the table is full, or if the request came
        from nowhere (it was made up for an event)."""
        cdef Transaction t
        cdef Listener listener
        if msg.listener is None:
            return None
        if self._full(msg):
            return None
        # What can't be read is found out before there is anything to take back.
        listener = self._reply_listener(msg)
        address = self._reply_address(msg, listener)
        call_hash(msg)
        if msg.method_id == M_INVITE:
            msg.from_addr()
        t = self._create(msg)
        t.listener = listener
        t.address = address
        t.connection_id = msg.connection_id
        self.requests.add(t)
        # A transaction that nobody answers or forwards must end all the same.
        self.wheel.schedule(t, t.end_of_life + t.fr)
        for tell in self.on_created:
            tell(t)
        return t

    def new_local(self, Message msg, on_complete):
        """A transaction for a request of our own; `on_complete(t, branch, status, reply)` for each response passed up."""
        cdef Transaction t
        if self._full(msg):
            return None
        t = self._create(msg)
        t.local = True
        t.on_complete = on_complete
        self.created_local += 1
        self.wheel.schedule(t, t.end_of_life + t.fr)
        return t

    cpdef free(self, Transaction t):
        """Remove a transaction from every table."""
        if t.freed:
            return
        self.by_label.pop(t.label, None)
        self.held -= t.size
        self.requests.remove(t)
        if t.waiting:
            self.waiting -= 1
        t.dismantle()

    cdef int _put_on_wait(self, Transaction t, double now) except -1:
        """Keep an answered transaction for wt_timer, to absorb what is still under way."""
        if not t.waiting:
            t.waiting = True
            self.waiting += 1
        t.wait_at = now + <double>self.settings.wt_timer
        t.retr_at = NEVER
        self.wheel.schedule(t, t.wait_at)

    # ---- sending a branch --------------------------------------------------------------------------------------

    cpdef bint send_branch(self, Branch branch):
        """Send a branch that is ready (`request`, `listener`, `address` set) and arm its timers; False if it was not
        sent."""
        cdef Transaction t = branch.transaction
        cdef double now = self.now()
        if self.blocking is not None and self.blocking.holds(branch.listener, branch.address, t.method_id):
            log.info("%s:%d is on the blocklist", branch.address.ip, branch.address.port)
            return False
        cdef bint sent = branch.listener.send(branch.request, branch.address, branch.connection_id)
        if not sent:
            return False
        _arm(self, branch, now)
        return True

    cpdef bint send_somewhere(self, Branch branch):
        """As `send_branch`; what can't be sent goes to the next address of its name, as a branch of its own. False if
        nothing was sent: the branch is answered by 503 then, unless such are to wait for their timer."""
        if self.send_branch(branch):
            return True
        log.info("can't send to %s:%d", branch.address.ip, branch.address.port)
        branch.answered = True
        branch.status = 503
        if branch.spare is not None and not branch.transaction.no_failover and self._next_destination(branch):
            return True
        if not self.hooks.unsent_branches_wait:
            return False
        branch.answered = False
        branch.status = 0
        _arm(self, branch, self.now())
        return True

    cdef int branch_due(self, Branch branch, double now) except -1:
        """A branch's deadline: repeat the request, or give up on it."""
        cdef Transaction t = branch.transaction
        cdef int cell
        if t.freed or branch.answered:
            return 0
        if now + 1e-6 >= branch.fr_at:
            self._event(branch, 1, None, now)
            return 0
        cell = cell_of(t.is_invite, branch.state, 0)
        if cell >= 0 and cell & RESEND and now + 1e-6 >= branch.retr_at:
            branch.listener.send(branch.request, branch.address, branch.connection_id)
            branch.retr_interval = min(branch.retr_interval * 2, t.retr2)
            branch.retr_at = now + branch.retr_interval
        self.wheel.schedule(branch, min(branch.fr_at, branch.retr_at))

    cpdef send_failed(self, Branch branch):
        """The transport could not deliver a branch's request (a refused connection, say)."""
        if not branch.answered and branch.status == 0:
            self._event(branch, 5, None, self.now())

    # ---- responses ---------------------------------------------------------------------------------------------

    cpdef Branch match(self, Message msg):
        """The branch that a response belongs to, by its top Via's branch (RFC 3261 §17.1.3), or None."""
        cdef ViaSpan* via = msg.top_via()
        cdef const unsigned char* branch_id = msg.p + via.branch
        cdef Transaction t
        cdef long label
        cdef int index
        label = -1 if via.branch < 0 else label_of(branch_id, via.branch_len)
        if label < 0:
            return None
        t = self.by_label.get(label)
        if t is None or memcmp(branch_id, PyBytes_AS_STRING(t.stem), STEM) != 0:
            return None
        index = branch_index(branch_id + STEM, via.branch_len - STEM)
        if index < 0 or index >= len(t.branches):
            return None
        if msg.method_id != t.method_id and not (msg.method_id == M_CANCEL and t.is_invite):
            return None
        return <Branch>t.branches[index]

    cpdef bint receive_response(self, Message msg, Branch branch=None):
        """Take a response; False if it belongs to no transaction and is to be forwarded without one."""
        cdef int event
        if branch is None:
            branch = self.match(msg)
            if branch is None:
                return False
        self.rpl_received += 1
        if msg.method_id == M_CANCEL and branch.transaction.is_invite:
            self._cancel_response(branch, msg)
            return True
        if branch.blind or branch.request is None:
            return True
        event = 2 if msg.status < 200 else 3 if msg.status < 300 else 4
        self._event(branch, event, msg, self.now())
        return True

    cdef int _cancel_response(self, Branch branch, Message msg) except -1:
        if msg.status >= 200 and branch.cancel_sender is not None:
            branch.cancel_sender.cancel()
            branch.cancel_sender = None

    cdef int _event(self, Branch branch, int event, Message msg, double now) except -1:
        """Do what the table says of `event`."""
        cdef Transaction t = branch.transaction
        cdef int cell = cell_of(t.is_invite, branch.state, event)
        if cell < 0 or t.freed:
            return 0
        branch.state = cell & 15
        if cell & STOP:
            branch.retr_at = NEVER
            branch.cancel()
        if cell & SLOW:
            branch.retr_interval = t.retr2
        if cell & WAIT_INV:
            self._wait_for_answer(branch, now)
        if cell & ACK:
            self._acknowledge(branch, msg)
        if cell & LATE:
            if not branch.cancelled:
                self._send_cancel(branch, self.reason_line(t.status) if t.status >= 200 else b"")
        elif cell & PASS:
            if t.on_reply is not None or branch.on_reply is not None or t.on_failure is not None \
                    or branch.on_failure is not None or t.on_complete is not None or self.onsend_reply:
                if not self.hooks.in_worker(self._pass_up, branch, msg):
                    self._pass_plain(branch, msg)
            else:
                self._pass_plain(branch, msg)
        elif cell & (GIVE_UP | FAIL):
            t.timed_out = t.timed_out or (cell & GIVE_UP) != 0
            self._fail(branch, (cell & GIVE_UP) != 0)

    cdef int _wait_for_answer(self, Branch branch, double now) except -1:
        cdef Transaction t = branch.transaction
        if branch.status < 100 or self.settings.restart_fr_on_each_reply:
            branch.fr_at = now + (t.fr if branch.cancelled else t.fr_inv)
            if branch.fr_at > t.end_of_life:
                branch.fr_at = max(t.end_of_life, now + 0.01)
        self.wheel.schedule(branch, branch.fr_at)

    cdef int _acknowledge(self, Branch branch, Message msg) except -1:
        """The ACK to a failure is ours to send, hop by hop (RFC 3261 §17.1.1.3)."""
        if branch.transaction.no_auto_ack or branch.request is None:
            return 0
        try:
            if branch.ack is None:
                branch.ack = local.build_ack(branch.request, msg, self.settings.ac_extra_hdrs)
            branch.listener.send(branch.ack, branch.address, branch.connection_id)
        except ValueError as error:
            log.warning("no ACK for a response to %s: %s", branch.uri, error)

    def _pass_up(self, Branch branch, Message msg):
        """A response, through the reply routes, to the transaction's decision. In a worker."""
        cdef Transaction t = branch.transaction
        cdef bint keep = True
        branch.status = msg.status
        name = branch.on_reply if branch.on_reply is not None else t.on_reply
        if name is not None:
            keep = self.hooks.run_reply_route(name, t, branch, msg)
            if t.freed or (not keep and msg.status < 200):
                return
        self._pass_plain(branch, msg)

    cdef int _pass_plain(self, Branch branch, Message msg) except -1:
        cdef Transaction t = branch.transaction
        branch.status = msg.status
        if t.busy:
            if len(t.queue) < 64:
                t.queue.append((branch, msg))
            return 0
        self._decide(branch, msg)

    cdef int _decide(self, Branch branch, Message msg) except -1:
        """RFC 3261 §16.7 steps 4 to 10 for one response."""
        cdef Transaction t = branch.transaction
        cdef int code = msg.status
        if code < 200:
            if branch.cancel_wanted:
                branch.cancel_wanted = False
                self.cancel_branch(branch, self.reason_line(t.status) if t.status >= 200 else b"")
            if t.status < 200 and (code > 100 or self.settings.relay_100 or t.local):
                self._relay(branch, msg)
            return 0
        if code < 300:
            branch.answered = True
            branch.reply = msg
            if t.is_invite or t.status < 200:
                self._relay(branch, msg)
            return 0
        if branch.answered:
            return 0
        branch.answered = True
        branch.reply = msg
        if code == 503 and self.blocking is not None:
            self.blocking.unavailable(branch, msg)
        self._branch_failed(branch)

    cdef int _fail(self, Branch branch, bint timeout) except -1:
        """A branch ends without a response: as if 408 had come (Kamailio's faked reply), or 503 for a dead transport."""
        cdef Transaction t = branch.transaction
        if branch.answered:
            return 0
        if timeout and t.is_invite and branch.status >= 100 and not branch.cancelled:
            self._send_cancel(branch, b"")
        if timeout and branch.status == 0 and self.blocking is not None:
            self.blocking.timed_out(branch)
        branch.answered = True
        if (timeout and branch.status == 0 and t.is_invite and len(t.branches) == 1 and t.on_failure is None
                and t.on_complete is None and not (t.local or t.cancelled or t.watchers)
                and self.hooks.silent_timeouts):
            branch.status = 408
            self._put_on_wait(t, self.now())
            return 0
        # A caller that gave up is told 487, whether or not the far end ever says so.
        branch.status = 487 if timeout and t.cancelled else 408 if timeout else 503
        branch.reply = None
        if t.on_failure is not None or branch.on_failure is not None or branch.spare \
                or t.on_complete is not None or self.onsend_reply:
            if self.hooks.in_worker(self._failed_in_worker, branch):
                return 0
        self._failed_in_worker(branch)

    def _failed_in_worker(self, Branch branch):
        cdef Transaction t = branch.transaction
        if t.busy:
            if len(t.queue) < 64:
                t.queue.append((branch, None))
            return
        self._branch_failed(branch)

    cdef int _branch_failed(self, Branch branch) except -1:
        """A branch has a final failure: fail over, stop the rest on a 6xx, and answer if it was the last."""
        cdef Transaction t = branch.transaction
        cdef Settings s = self.settings
        if (branch.spare and not t.cancelled and not t.no_failover and t.status < 200
                and (branch.reply is None or branch.status == 503 or branch.status in s.failover_codes)):
            if self._next_destination(branch):
                return 0
        if branch.status >= 600 and not t.no_6xx:
            self.cancel_branches(t, branch, self.reason_line(branch.status))
        if t.status >= 200:
            return 0
        if branch.on_failure is not None and t.request is not None and not t.local:
            # The route sets its own for the branches that it adds.
            t.on_branch = t.on_branch_failure = None
            self._run_busy(t, self.hooks.run_branch_failure_route, branch.on_failure, branch)
            if t.freed:
                return 0
        self._conclude(t)

    cdef bint _next_destination(self, Branch failed) except -1:
        """The same request to the next address of its name (RFC 3263 §4.3), as a branch of its own."""
        cdef Transaction t = failed.transaction
        cdef Branch branch
        cdef list rest = list(failed.spare)
        while rest:
            target = rest.pop(0)
            branch = self._copy_branch(failed, target)
            if branch is None:
                return False
            branch.spare = rest
            failed.spare = None
            if self.send_branch(branch):
                if t.pick_from <= failed.index:
                    failed.reply = None
                    failed.status = 408
                return True
            branch.answered = True
            branch.status = 503
        return False

    cdef Branch _copy_branch(self, Branch failed, target):
        cdef Transaction t = failed.transaction
        cdef Branch branch
        if len(t.branches) >= self.settings.max_branches:
            return None
        branch = t.new_branch()
        branch.uri = failed.uri
        branch.dst_uri = failed.dst_uri
        branch.path = failed.path
        branch.flags = failed.flags
        branch.ruid = failed.ruid
        branch.instance = failed.instance
        branch.location_ua = failed.location_ua
        branch.on_reply = failed.on_reply
        branch.on_failure = failed.on_failure
        branch.listener = target[0]
        branch.address = target[1]
        branch.connection_id = target[2]
        branch.request = local.with_new_via(failed.request, branch.id, branch.listener)
        return branch

    cdef int _run_busy(self, Transaction t, run, name, Branch branch) except -1:
        """Run a route during which this transaction's other responses wait."""
        t.busy = True
        if t.queue is None:
            t.queue = []
        try:
            run(name, t, branch)
        finally:
            t.busy = False

    cdef int _drain(self, Transaction t) except -1:
        while t.queue and not t.busy and not t.freed:
            branch, msg = t.queue.pop(0)
            if msg is None:
                self._branch_failed(branch)
            else:
                self._decide(branch, msg)

    cdef int _conclude(self, Transaction t) except -1:
        """Answer upstream if every branch has failed, after the failure route had its say."""
        cdef Branch best
        cdef int known
        if t.status >= 200 or t.pending():
            self._drain(t)
            return 0
        best = choice.best(t, self.settings)
        if best is None:
            self._drain(t)
            return 0
        if t.watchers and not t.local:
            self._tell_failed(t, best)
        if t.on_failure is not None and not t.local:
            # As above.
            name = t.on_failure
            t.on_failure = t.on_branch_failure = None
            t.on_branch = None
            known = len(t.branches)
            self._run_busy(t, self.hooks.run_failure_route, name, best)
            if t.freed:
                return 0
            if len(t.branches) > known and self.settings.failure_reply_mode & 1:
                t.pick_from = known
            if t.status >= 200 or t.pending():
                self._drain(t)
                return 0
            if len(t.branches) > known:
                # A branch that the route added failed at once.
                self._conclude(t)
                return 0
            best = choice.best(t, self.settings)
            if best is None:
                self.reply(t, 500, b"Server Internal Error")
                return 0
        self._answer(t, best)
        self._drain(t)

    cdef int _answer(self, Transaction t, Branch best) except -1:
        cdef Settings s = self.settings
        t.winner = best
        if best.reply is None:
            if best.status == 408 and not t.local:
                self.reply(t, s.reply_408_code, s.reply_408_reason)
            elif t.local:
                self._complete_local(t, best, best.status, None)
            else:
                code = best.status if best.status != 503 else 477
                self.reply(t, code, SEND_FAILED if code == 477 else local.reason_of(code))
            return 0
        if s.aggregate_challenges and best.status in (401, 407) and len(t.branches) > 1 and not t.local:
            lines = choice.challenges(t)
            if len(lines) > 1:
                self.reply(t, best.status, local.reason_of(best.status), b"".join(lines))
                return 0
        if best.status == 503 and s.remap_503_500 and not t.local:
            # RFC 3261 §16.7: a 503 speaks of that server, not of us.
            self.reply(t, 500, local.reason_of(503))
            return 0
        self._relay(best, best.reply)

    cdef int _relay(self, Branch branch, Message msg) except -1:
        """Send a received response upstream, and do what a final one calls for."""
        cdef Transaction t = branch.transaction
        cdef int code = msg.status
        cdef bint first_final = code >= 200 and t.status < 200
        cdef bytes data
        if t.local:
            self._complete_local(t, branch, code, msg)
            return 0
        try:
            if t.request is not None and t.request._facets is not None:
                edit = t.request._facets.get(REPLY_FACET)
                if edit is not None:
                    edit(t.request, msg)
            data = msg.build_response(t.listener.proto != 1)
        except ValueError as error:
            log.warning("a response to %s can't be relayed: %s", branch.uri, error)
            return 0
        if self.onsend_reply and not self.hooks.run_onsend_route(msg, t, branch, t.listener, t.address, data):
            return 0
        if first_final or code < 200:
            t.status = code
            t.response = data
        elif 200 <= code < 300 and t.status >= 300:
            t.status = code
        self.rpl_sent += 1
        self.rpl_relayed += 1
        t.listener.send(data, t.address, t.connection_id)
        if first_final:
            t.winner = branch
            self._finish(t, branch)
        if t.watchers and (first_final or code < 200):
            self._tell_answered(t, code, msg)

    cdef int _tell_answered(self, Transaction t, int code, Message msg) except -1:
        for watcher in t.watchers:
            try:
                watcher.answered(t, code, msg)
            except Exception:
                log.exception("a watcher of transactions failed")

    cdef int _tell_failed(self, Transaction t, Branch best) except -1:
        for watcher in t.watchers:
            try:
                watcher.failed(t, best)
            except Exception:
                log.exception("a watcher of transactions failed")

    cdef int _complete_local(self, Transaction t, Branch branch, int code, msg) except -1:
        cdef bint first_final = code >= 200 and t.status < 200
        t.status = code
        on_complete = t.on_complete
        if first_final:
            self._finish(t, branch)
        if on_complete is not None:
            on_complete(t, branch, code, msg)

    cdef int _finish(self, Transaction t, Branch branch) except -1:
        """The final answer went out: end the other branches, keep the answer for those who ask again."""
        cdef double now = self.now()
        cdef int code = t.status
        if code < 300:
            self.completed_2xx += 1
        elif code < 400:
            self.completed_3xx += 1
        elif code < 500:
            self.completed_4xx += 1
        elif code < 600:
            self.completed_5xx += 1
        else:
            self.completed_6xx += 1
        if branch is None or len(t.branches) > 1:
            reason = self.reason_line(code)
            if code == 200 and reason:
                reason = b'Reason: SIP;cause=200;text="Call completed elsewhere"\r\n'
            self.cancel_branches(t, branch, reason)
        if t.is_invite and code >= 300 and not t.local and t.listener.proto == 1:
            # Timers G and H: repeat the failure until its ACK comes.
            t.retr_interval = t.retr1
            t.retr_at = now + t.retr1
            t.wait_at = now + t.fr
            self.wheel.schedule(t, min(t.retr_at, t.wait_at))
        else:
            self._put_on_wait(t, now)

    cdef int transaction_due(self, Transaction t, double now) except -1:
        """Repeat a failure that has no ACK yet, or end."""
        if t.freed:
            return 0
        if t.status < 200 and not t.waiting and (t.pending() or t.busy or t.suspended):
            # Beyond its life, yet something is still open: each branch has its own deadline, so look again later.
            if now < t.end_of_life + t.fr + 600.0:
                self.wheel.schedule(t, now + max(t.fr, 1.0))
                return 0
        if t.busy and not t.waiting:
            self.wheel.schedule(t, now + 1.0)
            return 0
        if now + 1e-6 >= t.wait_at or t.waiting or t.status < 200:
            if t.waiting or t.status < 200:
                self.free(t)
            else:
                self._put_on_wait(t, now)
            return 0
        t.listener.send(t.response, t.address, t.connection_id)
        t.retr_interval = min(t.retr_interval * 2, t.retr2)
        t.retr_at = now + t.retr_interval
        self.wheel.schedule(t, min(t.retr_at, t.wait_at))

    # ---- what scripts and the server itself ask for ---------------------------------------------------------------

    cpdef bytes to_tag(self, Transaction t):
        """The To tag of replies that we make for a transaction."""
        if not t.to_tag:
            t.to_tag = self._nonce()
        return t.to_tag

    def release(self, Transaction t):
        """Let go of a transaction that nobody will answer any more: it ends after wt_timer."""
        if not t.freed and not t.waiting and not t.pending():
            self._put_on_wait(t, self.now())

    def arm(self, Branch branch, double seconds):
        """Give a branch that was not sent (a suspended transaction's) its deadline."""
        branch.fr_at = self.now() + seconds
        branch.retr_at = NEVER
        self.wheel.schedule(branch, branch.fr_at)

    def set_timers(self, Transaction t):
        """New fr times of a transaction apply to the branches that wait already."""
        cdef Branch branch
        cdef double now = self.now()
        for branch in t.branches:
            if not branch.answered and branch.armed:
                branch.fr_at = min(now + (t.fr_inv if branch.status >= 100 and t.is_invite else t.fr), t.end_of_life)
                self.wheel.schedule(branch, min(branch.fr_at, branch.retr_at))

    cpdef bint reply(self, Transaction t, int code, bytes reason, bytes extra=b"", bytes body=b""):
        """Answer the transaction's request from here (t_reply); False if it has its final answer already."""
        cdef bint final = code >= 200
        cdef bytes tag
        if t.freed or t.local or t.status >= 200:
            return False
        tag = self.to_tag(t) if code > 100 else b""
        data = t.request.build_reply(code, reason, tag, extra, body, self._signature(t.request))
        t.status = code
        t.response = data
        self.rpl_sent += 1
        self.rpl_generated += 1
        t.listener.send(data, t.address, t.connection_id)
        if final:
            self._finish(t, None)
        if t.watchers:
            self._tell_answered(t, code, None)
        if self.settings.on_local_reply is not None:
            self.settings.on_local_reply(t, code)
        return True

    cdef bytes _signature(self, Message request):
        """The Server line of a reply of our own, and what `sip_warning` adds to it."""
        cdef Settings s = self.settings
        return s.server if s.warning is None else s.server + <bytes>s.warning(request)

    cpdef repeat_reply(self, Transaction t):
        """A retransmitted request: send the last reply again, if there is one."""
        if t.response is not None:
            t.listener.send(t.response, t.address, t.connection_id)

    cpdef take_ack(self, Transaction t):
        """The ACK to our failure: no more retransmissions of it (RFC 3261 §17.2.1, Confirmed)."""
        if t.acked or t.status < 300:
            return
        t.acked = True
        if not t.waiting:
            self._put_on_wait(t, self.now())

    cpdef cancel_branches(self, Transaction t, Branch but=None, bytes reason=b""):
        """CANCEL every branch that has no final response."""
        cdef Branch branch
        for branch in list(t.branches):
            if branch is not but and not branch.answered:
                self.cancel_branch(branch, reason)

    cpdef cancel_branch(self, Branch branch, bytes reason=b""):
        """End one branch: by CANCEL for an INVITE that is proceeding, else by not waiting for it."""
        cdef Transaction t = branch.transaction
        if branch.answered or branch.cancelled:
            return
        if branch.blind or branch.request is None:
            branch.answered = True
            branch.status = 487
            return
        if not t.is_invite:
            branch.answered = True
            branch.status = branch.status if branch.status >= 200 else 487
            branch.cancel()
            return
        if branch.status < 100:
            method = self.settings.cancel_b_method
            if t.cancelled and method == 1:
                # The caller need not wait for a branch that is silent; should it ring after all, it is cancelled then.
                branch.cancel()
                branch.state = 4
                branch.answered = True
                branch.status = 487
                return
            if method == 1 and not branch.cancel_wanted:
                branch.cancel_wanted = True
                return
            if method == 0:
                branch.cancel()
                branch.answered = True
                branch.status = 487
                return
            if method == 1:
                return
        self._send_cancel(branch, reason)
        if branch.state == 0:
            branch.retr_at = NEVER
        now = self.now()
        branch.fr_at = now + t.fr
        self.wheel.schedule(branch, branch.fr_at)

    cdef int _send_cancel(self, Branch branch, bytes reason) except -1:
        cdef Transaction t = branch.transaction
        cdef double now = self.now()
        branch.cancelled = True
        try:
            data = local.build_cancel(branch.request, reason, prefix=self.settings.ac_extra_hdrs)
        except ValueError as error:
            log.warning("no CANCEL for %s: %s", branch.uri, error)
            return 0
        branch.listener.send(data, branch.address, branch.connection_id)
        if branch.listener.proto == 1:
            branch.cancel_sender = Resender(
                self.wheel, data, branch.listener, branch.address, branch.connection_id,
                now, t.retr1, t.retr2, now + t.fr,
            )

    cdef bytes reason_line(self, int code):
        """Why we cancel the branches that are left, as a header line (RFC 3326; `local_cancel_reason`)."""
        if not self.settings.local_cancel_reason:
            return b""
        return b"Reason: SIP;cause=%d\r\n" % code

    cpdef conclude(self, Transaction t):
        """Look whether a transaction is complete, after something outside ended a branch of it."""
        if not t.freed and not t.busy:
            self._conclude(t)

    def drop_replies(self, Transaction t, str mode):
        """t_drop_replies: `l` the last branches' failures, `n` none, else all, count no more in the choice."""
        cdef Branch branch
        if mode == "n":
            return
        for branch in t.branches:
            if branch.answered and branch.status >= 300 and (mode != "l" or branch.index >= t.pick_from):
                branch.reply = None
                branch.status = 0

    cpdef tuple reply_destination(self, Message msg):
        """Listener, address and connection for replies to a received request: its connection, or its source address
        with the port that the Via asks for (RFC 3261 §18.2.2, RFC 3581 §4)."""
        cdef Listener listener = self._reply_listener(msg)
        return (listener, self._reply_address(msg, listener), msg.connection_id)

    cdef Listener _reply_listener(self, Message msg):
        if msg._facets is not None:
            return restricted(msg.listener, msg._facets.get("send_flags", 0) >> 2)
        return msg.listener

    cdef Address _reply_address(self, Message msg, Listener listener):
        cdef ViaSpan* via = msg.top_via()
        cdef Address source = msg.source
        cdef int port
        if via.rport_start >= 0 or msg.force_rport or self.settings.force_rport:
            return source
        host = None
        maddr = msg.get_via1().param(b"maddr")
        if maddr and is_ip(maddr):
            host = maddr
        elif self.settings.reply_to_via and is_ip(msg.get_via1().get_host()):
            host = msg.get_via1().get_host()
        port = via.port
        if port <= 0:
            port = 5061 if listener.proto in (3, 6) else 5060
        if host is not None:
            return Address.of(host, port)
        return source if port == source.port else Address.of(source.ip, port)


cdef int _arm(TransactionLayer layer, Branch branch, double now) except -1:
    """Start the timers of a branch."""
    cdef Transaction t = branch.transaction
    branch.fr_at = min(now + t.fr, max(t.end_of_life, now + 0.01))
    if branch.listener.proto == 1:
        branch.retr_interval = t.retr1
        branch.retr_at = now + t.retr1
    else:
        branch.retr_at = NEVER
    layer.wheel.schedule(branch, min(branch.fr_at, branch.retr_at))
    return 0
