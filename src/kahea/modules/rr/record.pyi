"""Types of the compiled Record-Route lines."""

from collections.abc import Callable
from typing import Final

from kahea.modules.rr import RecordRouting
from kahea.modules.rr.loose import LooseRouter
from kahea.net.address import Listener
from kahea.routing.dispatch import Run
from kahea.sip.message import Message

NONE: Final = 0
OWN: Final = 1
PRESET: Final = 2
ADVERTISED: Final = 3

class RecordRoute:
    style: int
    params: bytes
    def __init__(
        self,
        style: int = 0,
        double: int = 1,
        head: bytes = b"",
        tail: bytes = b"",
        lr: bytes = b"",
        address: bytes = b"",
        inbound: bytes = b"",
        params: bytes = b"",
        names: bool = False,
    ) -> None: ...

class OfBranch: ...

def of(run: Run) -> RecordRoute: ...
def note(run: Run, state: RecordRoute) -> None: ...
def add_params(run: Run, params: bytes) -> None: ...
def complete(msg: Message, sending: Listener) -> None: ...

class Recorder:
    from_tag: bool
    with_user: bool
    ignore_sips: bool
    names: bool
    double: int
    lr: bytes
    def __init__(self, rr: RecordRouting, router: LooseRouter, username: Callable[[Run, bytes], bytes]) -> None: ...
    def record_route(self, run: Run) -> int: ...
    def record(self, run: Run, style: int, address: bytes, inbound: bytes) -> int: ...
