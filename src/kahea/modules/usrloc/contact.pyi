"""Types of the compiled contacts."""

from typing import Final

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

class Contact:
    """One binding of an AOR. Times are Unix seconds; `expires` 0 means for ever; `q` is 0..1000 or -1."""

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
    def copy(self) -> Contact:
        """A second contact with the same values."""

class Registration:
    """What one REGISTER says of all its contacts; what is not said is empty, and `connection_id` -1."""

    callid: bytes
    cflags: int
    connection_id: int
    cseq: int
    flags: int
    now: int
    path: bytes
    received: bytes
    server_id: int
    sock: Listener | None
    user_agent: bytes
    xavp: Xavps | None

    def __init__(self, callid: bytes, cseq: int, now: int, user_agent: bytes = b"n/a") -> None: ...

def bare_instance(instance: bytes) -> bytes:
    """An instance id without its angle brackets."""

def format_q(q: int) -> bytes:
    """A q-value (RFC 3261 §20.10) from thousandths: b"0.5"; b"" if it is not set."""
