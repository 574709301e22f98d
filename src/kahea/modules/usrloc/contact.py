"""A contact: one place where a user can be reached, as a REGISTER left it (RFC 3261 §10).

A node holds hundreds of thousands of these, so the class has slots, shares what is the same in many
(User-Agent, listener, AOR), and refers to its record by name and not by reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kahea.net.address import Listener
    from kahea.routing.lists import Xavps

#: How a contact stands with the database (Kamailio's names, shown by `ul.dump`).
NEW: Final = 0
SYNC: Final = 1
DIRTY: Final = 2
UNSURE: Final = 3  # its insert failed, perhaps after all was done
STATE_NAMES: Final = ("CS_NEW", "CS_SYNC", "CS_DIRTY", "CS_NEW")

#: The bucket of a contact that is in none.
UNWATCHED: Final = -1

#: Internal flags of a contact.
FL_MEM: Final = 1  # never written to the database

ALL_METHODS: Final = 0xFFFFFFFF
Q_UNSET: Final = -1


class Contact:
    """One binding of an AOR. Times are Unix seconds; `expires` 0 means for ever; `q` is 0..1000 or -1."""

    __slots__ = (
        "aor",
        "bucket",
        "callid",
        "cflags",
        "connection_id",
        "cseq",
        "expires",
        "flags",
        "instance",
        "last_keepalive",
        "methods",
        "modified",
        "path",
        "q",
        "received",
        "reg_id",
        "roundtrip",
        "ruid",
        "server_id",
        "sock",
        "state",
        "uri",
        "user_agent",
        "xavp",
    )

    aor: bytes
    bucket: int  # of `Expiry`, UNWATCHED if in none
    callid: bytes
    cflags: int  # branch flags ($bf)
    connection_id: int  # -1 if none
    cseq: int
    expires: int
    flags: int
    instance: bytes  # with its angle brackets, b"" if none
    last_keepalive: int
    methods: int  # bits as of `$rmid`; ALL_METHODS if not told
    modified: int
    path: bytes  # the Path values as they come in a Route, b"" if none
    q: int
    received: bytes  # URI it came from, b"" if not told
    reg_id: int
    roundtrip: int  # of the last keepalive, µs
    ruid: bytes
    server_id: int
    sock: Listener | None
    state: int
    uri: bytes
    user_agent: bytes
    xavp: Xavps | None

    def is_valid(self, now: float) -> bool:
        """Whether it has not expired."""
        return self.expires > now or self.expires == 0

    def __repr__(self) -> str:
        return f"<Contact {self.uri!r} of {self.aor!r}>"


class Registration:
    """What one REGISTER says of all its contacts; what is not said stays at the class's defaults."""

    received = b""
    path = b""
    sock: Listener | None = None
    flags = 0
    cflags = 0
    connection_id = -1
    server_id = 0
    xavp: Xavps | None = None

    def __init__(self, callid: bytes, cseq: int, now: int, user_agent: bytes = b"n/a") -> None:
        self.callid = callid
        self.cseq = cseq
        self.now = now
        self.user_agent = user_agent


def socket_text(sock: Listener | None, advertised: bool = False) -> str:
    """A listener as `udp:192.0.2.1:5060`, or as it is advertised; "" for none."""
    if sock is None:
        return ""
    if not advertised or not sock.advertised_host:
        return sock.uri
    port = sock.advertised_port or sock.address.port
    return f"{sock.proto_name}:{sock.advertised_host.decode('ascii', 'replace')}:{port}"


def aor_hash(aor: bytes) -> int:
    """Kamailio's hash of an AOR (32 bits): seen in temporary GRUUs, `ul.dump` and keepalives."""
    total = 0
    whole = len(aor) & ~3
    for at in range(0, whole, 4):
        value = int.from_bytes(aor[at : at + 4], "big")
        total += value ^ (value >> 3)
    rest = int.from_bytes(aor[whole:], "big")
    total += rest ^ (rest >> 3)
    total &= 0xFFFFFFFF
    return (total + (total >> 11) + (total >> 13) + (total >> 23)) & 0xFFFFFFFF


def reverse_hex(number: int) -> bytes:
    """A number in hexadecimal, lowest digit first, as Kamailio writes those in ruids and GRUUs."""
    return b"%x" % number if number < 16 else (b"%x" % number)[::-1]


def bare_instance(instance: bytes) -> bytes:
    """An instance id without its angle brackets."""
    return instance[1:-1] if instance[:1] == b"<" and instance[-1:] == b">" else instance


def format_q(q: int) -> bytes:
    """A q-value (RFC 3261 §20.10) from thousandths: b"0.5"; b"" if it is not set."""
    if q < 0:
        return b""
    if q >= 1000:
        return b"1"
    return (b"0.%03d" % q).rstrip(b"0") if q else b"0"
