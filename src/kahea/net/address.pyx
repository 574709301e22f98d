"""What the layers above know of the network: an IP address with a port, and a bound socket.

Both are compiled since each datagram touches them: an `Address` is found again by its packed `sockaddr`
without making any text, and goes back to the kernel as it came.
"""

cimport cython
from cpython.object cimport Py_EQ, Py_NE
from libc.string cimport memcmp, memcpy, memset

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int af, const char *src, void *dst)
    const char *inet_ntop(int af, const void *src, char *dst, socklen_t size)
    unsigned short htons(unsigned short value)
    unsigned short ntohs(unsigned short value)

PROTO_NAMES = {1: "udp", 2: "tcp", 3: "tls", 4: "sctp", 5: "ws", 6: "wss"}
PROTO_IDS = {name: number for number, name in PROTO_NAMES.items()}

# Recently used addresses, each in the slot that its hash names: bounded, and a collision costs only a remake.
cdef enum:
    CACHE_SLOTS = 8192
    LONGEST_IP = 63

cdef list _recent = [None] * CACHE_SLOTS
# How one of the eight groups of an IPv6 address is written; None for the shortest form of all.
cdef bytes _ipv6_groups = None


cdef inline size_t _hash(const sockaddr_in6 *sa) noexcept nogil:
    """FNV-1a over port, address and scope: what makes two addresses differ."""
    cdef const unsigned char *data
    cdef size_t h = 14695981039346656037ULL
    cdef int i, n
    if sa.sin6_family == AF_INET:
        data = <const unsigned char *>&(<const sockaddr_in *>sa).sin_addr
        n = 4
    else:
        data = <const unsigned char *>&sa.sin6_addr
        n = 16
        h = (h ^ sa.sin6_scope_id) * 1099511628211ULL
    for i in range(n):
        h = (h ^ data[i]) * 1099511628211ULL
    h = (h ^ sa.sin6_port) * 1099511628211ULL
    return h ^ (h >> 29)


cdef inline bint _same(const sockaddr_in6 *a, const sockaddr_in6 *b) noexcept nogil:
    if a.sin6_family != b.sin6_family or a.sin6_port != b.sin6_port:
        return False
    if a.sin6_family == AF_INET:
        return (<const sockaddr_in *>a).sin_addr.s_addr == (<const sockaddr_in *>b).sin_addr.s_addr
    return a.sin6_scope_id == b.sin6_scope_id and memcmp(&a.sin6_addr, &b.sin6_addr, 16) == 0


cdef Address from_sockaddr(const sockaddr_in6 *sa, socklen_t length):
    """The Address of a sockaddr of either family; None for another family or too short a one."""
    if not (sa.sin6_family == AF_INET and length >= sizeof(sockaddr_in)) and not (
        sa.sin6_family == AF_INET6 and length >= sizeof(sockaddr_in6)
    ):
        return None
    cdef size_t h = _hash(sa)
    cdef Py_ssize_t slot = <Py_ssize_t>(h & (CACHE_SLOTS - 1))
    known = _recent[slot]
    if known is not None and _same(&(<Address>known).sa, sa):
        return <Address>known
    cdef Address made = _make(sa)
    made.hash_value = <Py_hash_t>(h >> 1)
    _recent[slot] = made
    return made


cdef Address _make(const sockaddr_in6 *sa):
    cdef char text[LONGEST_IP + 1]
    cdef const unsigned char *raw
    cdef Address a = Address.__new__(Address)
    memset(&a.sa, 0, sizeof(a.sa))
    if sa.sin6_family == AF_INET:
        memcpy(&a.sa, sa, sizeof(sockaddr_in))
        a.sa_len = sizeof(sockaddr_in)
        a.family = 4
        inet_ntop(AF_INET, &(<const sockaddr_in *>sa).sin_addr, text, sizeof(text))
    else:
        memcpy(&a.sa, sa, sizeof(sockaddr_in6))
        a.sa.sin6_flowinfo = 0
        a.sa_len = sizeof(sockaddr_in6)
        a.family = 6
        inet_ntop(AF_INET6, &sa.sin6_addr, text, sizeof(text))
    a.ip_bytes = text
    if a.family == 6 and _ipv6_groups:
        raw = <const unsigned char *>&sa.sin6_addr
        a.ip_bytes = b":".join([_ipv6_groups % (raw[i] << 8 | raw[i + 1]) for i in range(0, 16, 2)])
    a.ip = a.ip_bytes.decode("ascii")
    a.host = a.ip_bytes if a.family == 4 else b"[" + a.ip_bytes + b"]"
    a.port = ntohs(sa.sin6_port)
    return a


cdef int _parse_ip(object ip, sockaddr_in6 *sa) except -1:
    """Fill family and address from an IP literal; 4, 6, or 0 for any other text."""
    cdef bytes raw
    cdef char text[LONGEST_IP + 1]
    cdef Py_ssize_t n
    if isinstance(ip, bytes):
        raw = ip
    elif isinstance(ip, str):
        if not ip.isascii():
            return 0
        raw = (<str>ip).encode("ascii")
    else:
        raise TypeError("an IP address must be str or bytes")
    cdef bint bracketed = raw.startswith(b"[") and raw.endswith(b"]")
    if bracketed:
        raw = raw[1:len(raw) - 1]
    n = len(raw)
    if n == 0 or n > LONGEST_IP or b"\0" in raw:
        return 0
    memcpy(text, <const char *>raw, n)
    text[n] = 0
    memset(sa, 0, sizeof(sockaddr_in6))
    if not bracketed and inet_pton(AF_INET, text, &(<sockaddr_in *>sa).sin_addr) == 1:
        sa.sin6_family = AF_INET
        return 4
    if inet_pton(AF_INET6, text, &sa.sin6_addr) == 1:
        sa.sin6_family = AF_INET6
        return 6
    return 0


def write_ipv6(str style not None):
    """How the process writes IPv6 addresses from now on (Kamailio's `ipv6_hex_style`): "c" in their shortest form, "a"
    with all eight groups, "A" so in capital letters. Raises ValueError."""
    global _ipv6_groups
    if style not in ("A", "a", "c"):
        raise ValueError(f"it is A, a or c, not {style!r}")
    groups = {"c": None, "a": b"%x", "A": b"%X"}[style]
    if groups != _ipv6_groups:
        _ipv6_groups = groups
        for slot in range(CACHE_SLOTS):
            _recent[slot] = None


def is_ip(text):
    """4 or 6 for an IP literal (IPv6 with or without brackets), else 0."""
    cdef sockaddr_in6 sa
    return _parse_ip(text, &sa)


@cython.final
@cython.no_gc
@cython.auto_pickle(False)
cdef class Address:
    """An IP address and port, hashable, made once per peer (bounded cache). Made by `of` only."""

    def __init__(self):
        raise TypeError("use Address.of(ip, port)")

    @staticmethod
    def of(ip, port):
        """The address of an IP literal; raises ValueError for what is none, or a port outside of 0..65535."""
        cdef sockaddr_in6 sa
        if not 0 <= port <= 65535:
            raise ValueError(f"not a port: {port!r}")
        cdef int family = _parse_ip(ip, &sa)
        if family == 0:
            raise ValueError(f"not an IP address: {ip!r}")
        sa.sin6_port = htons(<unsigned short>port)
        return from_sockaddr(&sa, sizeof(sockaddr_in) if family == 4 else sizeof(sockaddr_in6))

    def __hash__(self):
        return self.hash_value

    def __richcmp__(self, other, int op):
        if op != Py_EQ and op != Py_NE:
            return NotImplemented
        if not isinstance(other, Address):
            return NotImplemented
        cdef bint same = self is other or _same(&self.sa, &(<Address>other).sa)
        return same == (op == Py_EQ)

    def __repr__(self):
        return f"Address({self.ip!r}, {self.port})"

    def __str__(self):
        return f"{self.host.decode('ascii')}:{self.port}"


@cython.auto_pickle(False)
cdef class Listener:
    """A bound socket as a script sees it (Kamailio's socket info). Transports subclass it.

    `send` and `flush` may be overridden in Python: a test's network does.
    """

    def __init__(self, int proto, Address address not None, str name="", bytes advertised_host=b"",
                 int advertised_port=0, str agname=""):
        if proto not in PROTO_NAMES:
            raise ValueError(f"not a transport protocol: {proto}")
        self.proto = proto
        self._address = address
        self.name = name
        self._advertised_host = advertised_host
        self._advertised_port = advertised_port
        self.agname = agname

    @property
    def proto_name(self):
        """The protocol's name as it stands in a listen address: "udp"."""
        return PROTO_NAMES[self.proto]

    @property
    def address(self):
        """The local address; its port is the real one once bound."""
        return self._address

    @address.setter
    def address(self, Address value not None):
        self._address = value
        self._via_host = self._via_start = None
        self._uri = None

    @property
    def advertised_host(self):
        """Host given out in place of the local address; b"" if none."""
        return self._advertised_host

    @advertised_host.setter
    def advertised_host(self, bytes value not None):
        self._advertised_host = value
        self._via_host = self._via_start = None

    @property
    def advertised_port(self):
        """Port given out in place of the local one; 0 if none."""
        return self._advertised_port

    @advertised_port.setter
    def advertised_port(self, int value):
        self._advertised_port = value
        self._via_host = self._via_start = None

    cdef bytes place(self):
        """As `via_host`."""
        if self._via_host is None:
            host = self._advertised_host or self._address.host
            if self._advertised_port or self._address.port != 5060:
                host = b"%b:%d" % (host, self._advertised_port or self._address.port)
            self._via_host = host
        return self._via_host

    cdef bytes via_start(self):
        """Our Via header up to the branch's value."""
        if self._via_start is None:
            self._via_start = b"Via: SIP/2.0/%b %b;branch=" % (self.proto_name.upper().encode(), self.place())
        return self._via_start

    @property
    def via_host(self):
        """host:port for Via and Record-Route: the advertised ones if set. A port 5060 that was not advertised is left
        out, as Kamailio does."""
        return self.place()

    @property
    def uri(self):
        """"udp:127.0.0.1:5060"."""
        if self._uri is None:
            self._uri = f"{PROTO_NAMES[self.proto]}:{self._address}"
        return self._uri

    cpdef bint send(self, bytes data, Address to, long connection_id=0):
        """Queue for sending; False if it can't be (closed, too large, queue full). Never raises, never waits."""
        raise NotImplementedError("a transport implements send")

    cpdef object flush(self):
        """Hand what is queued to the kernel now. Nothing to do where `send` queues nothing."""
        return None

    def __repr__(self):
        return f"<{type(self).__name__} {self.uri}>"
