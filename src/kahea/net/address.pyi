"""Types of addresses and listeners."""

from collections.abc import Callable
from typing import Final, Never, final

P_NONE: Final = 0
P_UDP: Final = 1
P_TCP: Final = 2
P_TLS: Final = 3
P_SCTP: Final = 4
P_WS: Final = 5
P_WSS: Final = 6

PROTO_NAMES: dict[int, str]  # 1: "udp" ...
PROTO_IDS: dict[str, int]

@final
class Address:
    """An IP address and port, hashable, made once per peer (bounded cache). Made by `of` only."""

    ip: str
    port: int
    family: int  # 4 or 6
    ip_bytes: bytes  # text, no brackets
    host: bytes  # text as it stands in a URI or Via: IPv6 in brackets
    def __init__(self, *args: Never, **kwargs: Never) -> None: ...
    @staticmethod
    def of(ip: str | bytes, port: int) -> Address:
        """Raises ValueError for what is no IP literal (brackets allowed)."""

class Listener:
    """A bound socket as a script sees it (Kamailio's socket info). Transports subclass it."""

    proto: int
    address: Address
    name: str  # "" if unnamed
    advertised_host: bytes  # b"" if none
    advertised_port: int
    agname: str
    #: Makes what goes on the network of what `send` is given, if it is not None.
    outgoing: Callable[[bytes], bytes] | None
    def __init__(
        self,
        proto: int,
        address: Address,
        name: str = "",
        advertised_host: bytes = b"",
        advertised_port: int = 0,
        agname: str = "",
    ) -> None: ...
    @property
    def proto_name(self) -> str: ...
    @property
    def via_host(self) -> bytes:
        """host:port for Via and Record-Route: the advertised ones if set. A port 5060 that was not advertised is
        left out, as Kamailio does."""
    @property
    def uri(self) -> str:
        """As "udp:127.0.0.1:5060"."""
    def send(self, data: bytes, to: Address, connection_id: int = 0) -> bool:
        """Queue for sending; False if it can't be (closed, too large, queue full). Never raises or waits."""
    def flush(self) -> None: ...

def write_ipv6(style: str) -> None:
    """How the process writes IPv6 addresses from now on; raises ValueError for what is neither "A", "a" nor "c"."""

def is_ip(text: bytes | str) -> int:
    """4 or 6 for an IP literal (IPv6 with or without brackets), else 0."""
