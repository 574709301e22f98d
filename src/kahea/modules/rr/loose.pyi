"""Types of the compiled routing by Route headers."""

from collections.abc import Callable
from typing import Final

from kahea.modules.rr import RecordRouting
from kahea.routing.dispatch import Dispatcher, Run
from kahea.sip.message import Message, NameAddr
from kahea.sip.uri import Uri

FACET: Final = "rr_route"
FACET_NEXT: Final = "rr_next_hop"
LOOKED: Final = False
DONE: Final = 1
FAILED: Final = -1
PRELOADED: Final = -3

class Own:
    uri: Uri
    strict: bool
    @property
    def params(self) -> bytes: ...

def route_values(msg: Message) -> list[NameAddr]: ...

class LooseRouter:
    double_rr: bool
    by_names: bool
    force_socket: bool
    mode: int
    def __init__(
        self, rr: RecordRouting, node: Dispatcher, callbacks: list[Callable[[Message, Uri], None]]
    ) -> None: ...
    def loose_route(self, run: Run) -> int: ...
    def route(self, msg: Message, mode: int) -> int: ...
    def own_route(self, msg: Message) -> Own | None: ...
    def direction(self, msg: Message) -> int: ...
