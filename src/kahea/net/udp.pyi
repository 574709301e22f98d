"""Types of the compiled UDP listener."""

from asyncio import AbstractEventLoop

from kahea.net.address import Address, Listener
from kahea.net.receiver import Receiver
from kahea.net.sockets import SocketOptions

MAX_QUEUE: int  # default of `max_queue`

class UdpListener(Listener):
    """A UDP socket: reads in batches, and sends once per batch."""

    options: SocketOptions
    max_queue: int  # datagrams that may wait while the kernel's buffer is full
    received: int  # counters, from the start
    sent: int
    dropped: int  # from a full queue, the oldest first
    too_large: int  # for UDP, or for the path with pmtu_discovery
    send_errors: int  # refused by the kernel for another reason
    probes: int  # too short to be SIP, ignored
    def __init__(
        self,
        address: Address,
        *,
        name: str = "",
        advertised_host: bytes = b"",
        advertised_port: int = 0,
        agname: str = "",
        options: SocketOptions | None = None,
        max_queue: int = ...,
    ) -> None: ...
    def open(self, loop: AbstractEventLoop, receiver: Receiver) -> None:
        """Bind and begin to give datagrams to `receiver`. Raises BindError."""
    def close(self) -> None: ...
    @property
    def is_open(self) -> bool: ...
    @property
    def queued(self) -> int: ...
    @property
    def gathers(self) -> bool:
        """Whether the socket is read in intervals, as it is under load."""
    def fileno(self) -> int: ...
