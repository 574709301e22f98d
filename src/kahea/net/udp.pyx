"""UDP in batches: what makes a datagram cost the kernel's time and little else.

One wake-up of the loop reads up to `BATCH` datagrams by one recvmmsg into buffers made once; what is sent
meanwhile is queued as ready-made message headers that point into the bytes themselves, and one sendmmsg sends it.
Under load the socket is read in intervals of a few milliseconds (`net.gathering`).
"""

import errno
import logging
import os
import time

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.errno cimport EAGAIN, EINTR, errno as c_errno
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memmove, memset

from kahea.net.address cimport (
    P_UDP,
    Address,
    Listener,
    from_sockaddr,
    sockaddr_in6,
    socklen_t,
)
from kahea.net.gathering cimport Gathering

from kahea.net.sockets import SocketOptions, datagram_socket, local_address

cdef extern from * nogil:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <sys/socket.h>
    """
    cdef struct iovec:
        void *iov_base
        size_t iov_len

    cdef struct msghdr:
        void *msg_name
        socklen_t msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
        int msg_flags

    cdef struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len

    int recvmmsg(int fd, mmsghdr *messages, unsigned int count, int flags, void *timeout)
    int sendmmsg(int fd, mmsghdr *messages, unsigned int count, int flags)
    int MSG_DONTWAIT

log = logging.getLogger("kahea.net")

cdef enum:
    BATCH = 32  # datagrams read by one system call
    TURNS = 4  # full batches read before other work of the loop has its turn
    BUFFER = 65535
    SHORTEST = 20  # a shorter datagram is a probe or keepalive: the shortest SIP start line is longer
    FIRST_ROOM = 64

MAX_QUEUE = 8192

cdef object monotonic = time.monotonic


@cython.auto_pickle(False)
cdef class UdpListener(Listener):
    """A UDP socket. `open` binds it; `send` queues, and all that one wake-up made goes out together.

    `max_queue` bounds the datagrams that wait while the kernel's buffer is full; beyond it the oldest is dropped,
    since a peer retransmits, and fresh answers matter more than stale ones.
    """

    cdef object _sock
    cdef object _loop
    cdef object _receiver
    cdef object _on_datagram
    cdef object _in_batch_of  # the receiver's `in_batch`, if it has one
    cdef object _rest  # the bound method, made once
    cdef object _flush_soon  # the bound method, made once
    cdef object _read_later  # the bound method, made once
    cdef object _timer  # of the next read, while the loop does not watch the socket
    cdef Gathering _gathering
    cdef readonly object options
    cdef int _fd
    cdef bint _in_batch
    cdef bint _flush_scheduled
    cdef bint _blocked  # the kernel's buffer is full: waiting for add_writer
    cdef size_t _longest
    # The batch that is being handed over: datagrams [_at, _got) are left of it.
    cdef int _at
    cdef int _got
    cdef long _turn

    cdef char *_buffers
    cdef mmsghdr *_in
    cdef iovec *_in_iov
    cdef sockaddr_in6 *_in_names

    # The send queue: entries [_head, _tail), each with a reference to its bytes and its Address.
    cdef mmsghdr *_out
    cdef iovec *_out_iov
    cdef PyObject **_out_refs
    cdef int _head
    cdef int _tail
    cdef int _room
    cdef readonly int max_queue

    cdef readonly unsigned long long received
    cdef readonly unsigned long long sent
    cdef readonly unsigned long long dropped
    cdef readonly unsigned long long too_large
    cdef readonly unsigned long long send_errors
    cdef readonly unsigned long long probes

    def __cinit__(self, *args, **kwargs):
        self._fd = -1
        self._buffers = <char *>malloc(BATCH * BUFFER)
        self._in = <mmsghdr *>calloc(BATCH, sizeof(mmsghdr))
        self._in_iov = <iovec *>calloc(BATCH, sizeof(iovec))
        self._in_names = <sockaddr_in6 *>calloc(BATCH, sizeof(sockaddr_in6))
        if not (self._buffers and self._in and self._in_iov and self._in_names):
            raise MemoryError
        cdef int i
        for i in range(BATCH):
            self._in_iov[i].iov_base = self._buffers + i * BUFFER
            self._in_iov[i].iov_len = BUFFER
            self._in[i].msg_hdr.msg_iov = &self._in_iov[i]
            self._in[i].msg_hdr.msg_iovlen = 1
            self._in[i].msg_hdr.msg_name = &self._in_names[i]
            self._in[i].msg_hdr.msg_namelen = sizeof(sockaddr_in6)

    def __init__(self, Address address not None, *, str name="", bytes advertised_host=b"",
                 int advertised_port=0, str agname="", options=None, int max_queue=MAX_QUEUE):
        Listener.__init__(self, P_UDP, address, name, advertised_host, advertised_port, agname)
        if max_queue < 1:
            raise ValueError("max_queue must be at least 1")
        self.options = options if options is not None else SocketOptions()
        self.max_queue = max_queue
        self._gathering = Gathering(self.options.gather)
        self._longest = 65507 if address.family == 4 else 65527
        if self._room == 0:
            self._grow(min(FIRST_ROOM, max_queue))

    def __dealloc__(self):
        self._forget(self._head, self._tail)
        free(self._buffers)
        free(self._in)
        free(self._in_iov)
        free(self._in_names)
        free(self._out)
        free(self._out_iov)
        free(self._out_refs)

    def open(self, loop, receiver):
        """Bind and begin to give datagrams to `receiver` (see net.receiver). Raises BindError."""
        if self._fd >= 0:
            raise RuntimeError(f"{self.uri} is open already")
        self._sock = datagram_socket(self._address, self.options)
        self.address = local_address(self._sock)
        self._fd = self._sock.fileno()
        self._loop = loop
        self._receiver = receiver
        self._on_datagram = receiver.on_datagram
        self._in_batch_of = getattr(receiver, "in_batch", None)
        self._rest = self._deliver_rest
        self._flush_soon = self._scheduled_flush
        self._read_later = self._after_pause
        loop.add_reader(self._fd, self._readable)

    def close(self):
        """Send what is queued if the kernel takes it, and close. Safe to call twice."""
        if self._fd < 0:
            return
        self._send_queue()
        if self._timer is None:
            self._loop.remove_reader(self._fd)
        else:
            self._timer.cancel()
        if self._blocked:
            self._loop.remove_writer(self._fd)
        self._blocked = False
        self._fd = -1
        self._forget(self._head, self._tail)
        self._head = self._tail = 0
        self._sock.close()
        self._receiver = self._on_datagram = self._in_batch_of = self._rest = None
        self._flush_soon = self._read_later = self._timer = None

    @property
    def is_open(self):
        """Whether the socket is bound and read."""
        return self._fd >= 0

    @property
    def queued(self):
        """Datagrams that wait for the kernel."""
        return self._tail - self._head

    @property
    def gathers(self):
        """Whether the socket is read in intervals, as it is under load."""
        return self._timer is not None

    def fileno(self):
        """The socket's descriptor, -1 when closed."""
        return self._fd

    # Receiving.

    def _readable(self):
        """The loop sees something to read."""
        cdef double pause = self._gathering.take(self._read(), monotonic)
        if pause > 0 and self._fd >= 0:
            self._loop.remove_reader(self._fd)
            self._timer = self._loop.call_later(pause, self._read_later)

    def _after_pause(self):
        """The pause is over: read what came in it."""
        cdef double pause = 0
        self._timer = None
        try:
            pause = self._gathering.take(self._read(), monotonic)
        finally:  # whatever happens, somebody looks at the socket next
            if self._fd >= 0 and pause > 0:
                self._timer = self._loop.call_later(pause, self._read_later)
            elif self._fd >= 0:
                self._loop.add_reader(self._fd, self._readable)

    cdef int _read(self) except -1:
        """Read until nothing is left, or other work of the loop is to have its turn; the number of datagrams."""
        cdef int turn, n, read = 0
        for turn in range(TURNS):
            n = self._receive()
            read += n
            if n < BATCH:
                break
        return read

    cdef int _receive(self) except -1:
        """Read one batch and hand it over; the number of datagrams read."""
        cdef int i, n
        if self._fd < 0:
            return 0
        n = recvmmsg(self._fd, self._in, BATCH, MSG_DONTWAIT, NULL)
        if n <= 0:
            if n < 0 and c_errno != EAGAIN and c_errno != EINTR:
                log.warning("%s: reading failed: %s", self.uri, os.strerror(c_errno))
            return 0
        self.received += n
        self._turn += 1
        self._at = 0
        self._got = n
        self._in_batch = True
        try:
            while self._at < n and self._fd >= 0:
                if self._in_batch_of is None or not self._in_batch_of(self._rest):
                    self._deliver_rest()
            for i in range(n):
                self._in[i].msg_hdr.msg_namelen = sizeof(sockaddr_in6)
            if self._fd < 0:  # the receiver closed us
                return 0
            try:
                self._receiver.on_batch_end()
            except Exception:
                log.exception("%s: the end of a batch failed", self.uri)
        finally:
            self._in_batch = False
            self._send_queue()
        return n

    def _deliver_rest(self):
        """Hand over what is left of the batch. Where a script waits meanwhile, this is called anew for the rest."""
        cdef long turn = self._turn
        while self._at < self._got and self._turn == turn and self._fd >= 0:
            self._at += 1
            self._deliver(self._at - 1)

    cdef int _deliver(self, int i) except -1:
        cdef size_t length = self._in[i].msg_len
        cdef Address source
        if length < SHORTEST or self._in_names[i].sin6_port == 0:
            self.probes += 1
            return 0
        source = from_sockaddr(&self._in_names[i], self._in[i].msg_hdr.msg_namelen)
        if source is None:
            return 0
        data = PyBytes_FromStringAndSize(<char *>self._in_iov[i].iov_base, <Py_ssize_t>length)
        try:
            self._on_datagram(self, data, source, 0)
        except Exception:
            log.exception("%s: a datagram of %s failed", self.uri, source)
        return 0

    # Sending.

    cpdef bint send(self, bytes data, Address to, long connection_id=0):
        """Queue a datagram; False if closed, too large for UDP, or `to` is of the other IP family.

        `connection_id` has no meaning for datagrams: whatever it is, the datagram goes to `to`.
        """
        if self._fd < 0 or data is None or to is None or to.family != self._address.family or to.port == 0:
            return False
        if self.outgoing is not None:
            data = self.outgoing(data)
        if <size_t>PyBytes_GET_SIZE(data) > self._longest:
            self.too_large += 1
            return False
        if self._tail - self._head >= self.max_queue:
            self._drop_oldest()
        if self._tail == self._room:
            self._make_room()
        cdef int i = self._tail
        self._out_iov[i].iov_base = PyBytes_AS_STRING(data)
        self._out_iov[i].iov_len = PyBytes_GET_SIZE(data)
        self._out[i].msg_hdr.msg_name = &to.sa
        self._out[i].msg_hdr.msg_namelen = to.sa_len
        Py_INCREF(data)
        Py_INCREF(to)
        self._out_refs[2 * i] = <PyObject *>data
        self._out_refs[2 * i + 1] = <PyObject *>to
        self._tail += 1
        if not (self._in_batch or self._flush_scheduled or self._blocked):
            self._flush_scheduled = True
            self._loop.call_soon(self._flush_soon)
        return True

    cpdef object flush(self):
        """Hand the queue to the kernel now."""
        if not self._blocked:
            self._send_queue()

    def _scheduled_flush(self):
        self._flush_scheduled = False
        if not self._blocked:
            self._send_queue()

    def _writable(self):
        self._blocked = False
        self._send_queue()
        if not self._blocked and self._fd >= 0:
            self._loop.remove_writer(self._fd)

    cdef int _send_queue(self) except -1:
        """Send until the queue is empty or the kernel's buffer is full."""
        cdef int n
        while self._head < self._tail and self._fd >= 0:
            n = sendmmsg(self._fd, self._out + self._head, <unsigned int>(self._tail - self._head), MSG_DONTWAIT)
            if n > 0:
                self.sent += n
                self._forget(self._head, self._head + n)
                self._head += n
            elif c_errno == EINTR:
                continue
            elif c_errno == EAGAIN:
                self._block()
                return 0
            else:
                self._refused(c_errno)
        self._head = self._tail = 0
        return 0

    cdef int _block(self) except -1:
        if not self._blocked:
            self._blocked = True
            self._loop.add_writer(self._fd, self._writable)
        return 0

    cdef int _refused(self, int error) except -1:
        """The kernel refuses the datagram at the head: say so, and go on with the next."""
        data = <object>self._out_refs[2 * self._head]
        to = <object>self._out_refs[2 * self._head + 1]
        self._forget(self._head, self._head + 1)
        self._head += 1
        if error == errno.EMSGSIZE:
            self.too_large += 1
        else:
            self.send_errors += 1
        # Told from the loop: we may be inside of a script that called flush, and its answer may be to send.
        self._loop.call_soon(self._tell, to, data, os.strerror(error))
        return 0

    def _tell(self, to, data, reason):
        if self._receiver is None:
            return
        try:
            self._receiver.on_send_error(self, to, data, reason)
        except Exception:
            log.exception("%s: telling of a send error to %s (%s) failed", self.uri, to, reason)

    cdef int _make_room(self) except -1:
        """Room for one more at the tail: fewer than `max_queue` wait, so there is some to be had."""
        # Moving by half of it at least keeps the cost per datagram constant.
        if self._head * 2 >= self._room:
            self._move_down(self._tail - self._head)
        else:
            self._grow(self._room * 2)
        return 0

    cdef void _drop_oldest(self) noexcept:
        self._forget(self._head, self._head + 1)
        self._head += 1
        self.dropped += 1

    cdef void _move_down(self, int count) noexcept:
        cdef int i
        memmove(self._out_iov, self._out_iov + self._head, count * sizeof(iovec))
        memmove(self._out_refs, self._out_refs + 2 * self._head, 2 * count * sizeof(PyObject *))
        for i in range(count):
            self._out[i].msg_hdr.msg_name = self._out[self._head + i].msg_hdr.msg_name
            self._out[i].msg_hdr.msg_namelen = self._out[self._head + i].msg_hdr.msg_namelen
        self._head = 0
        self._tail = count

    cdef int _grow(self, int room) except -1:
        cdef void *grown = realloc(self._out, room * sizeof(mmsghdr))
        if grown == NULL:
            raise MemoryError
        self._out = <mmsghdr *>grown
        grown = realloc(self._out_iov, room * sizeof(iovec))
        if grown == NULL:
            raise MemoryError
        self._out_iov = <iovec *>grown
        grown = realloc(self._out_refs, 2 * room * sizeof(PyObject *))
        if grown == NULL:
            raise MemoryError
        self._out_refs = <PyObject **>grown
        memset(self._out + self._room, 0, (room - self._room) * sizeof(mmsghdr))
        self._room = room
        cdef int i
        for i in range(room):
            self._out[i].msg_hdr.msg_iov = &self._out_iov[i]
            self._out[i].msg_hdr.msg_iovlen = 1
        return 0

    cdef void _forget(self, int start, int end) noexcept:
        """Give up the references of some entries."""
        cdef int i
        for i in range(2 * start, 2 * end):
            Py_DECREF(<object>self._out_refs[i])
