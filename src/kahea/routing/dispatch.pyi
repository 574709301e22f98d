"""Types of the compiled dispatcher."""

from collections.abc import Callable
from typing import Any, TypeVar

from kahea.net.address import Address, Listener
from kahea.routing.generation import Generation, Route
from kahea.routing.module import Value
from kahea.routing.node import Node
from kahea.routing.tally import Tally
from kahea.sip.message import Message
from kahea.tm.layer import TransactionLayer
from kahea.tm.transaction import Branch, Transaction

_T = TypeVar("_T")

PROTO_IDS: dict[str, int]

class EndRoute(BaseException): ...
class NoRun(RuntimeError): ...
class ScriptError(Exception): ...

def held() -> float: ...

class Ticks:
    def __init__(self, look: Callable[[], object]) -> None: ...
    def __call__(self) -> None: ...

def begin() -> None: ...
def without_waiting(reason: str, f: Callable[..., _T], *args: Any) -> _T: ...

class Run:
    node: Node
    msg: Message
    kind: int
    name: str
    transaction: Transaction | None
    branch: Branch | None
    reply: Message | None
    status: int
    rc: int
    drop: bool
    failed: bool
    generation: Generation
    on_end: tuple[Callable[[Run], None], ...]
    tm: Any
    vars: dict[str, Value]
    @property
    def state(self) -> dict[str, object]: ...
    def __init__(
        self,
        node: Node,
        msg: Message,
        kind: int,
        name: str = "",
        transaction: Transaction | None = None,
        branch: Branch | None = None,
        status: int = 0,
    ) -> None: ...
    def where(self) -> str: ...

class Current:
    run: Run | None

current: Current

class Pool:
    limit: int
    keep: int
    in_flight: int
    def __init__(self, limit: int = 20_000, keep: int = 512) -> None: ...
    def run(self, work: Callable[..., object], *args: Any) -> bool: ...

def can_wait() -> bool: ...
def suspend(arm: Callable[[Callable[[Any], None]], None]) -> Any: ...

class View:
    _run: Run

class Method:
    def __init__(self, function: Callable[..., object], view: type[View] | None = None) -> None: ...
    def __call__(self, run: Run) -> object: ...

class Routes:
    request: Route | None
    reply: Route | None
    onsend: Route | None
    pre_routing: Route | None
    def find(self, name: str, kind: str) -> Route | None: ...

class Asked:
    def __init__(self) -> None: ...
    def check(self, host: str | bytes, port: int = 0, proto: int = 0) -> bool: ...
    def work_out(self, host: str | bytes, port: int, proto: int) -> bool: ...
    def forget_asked(self) -> None: ...

class Dispatcher:
    layer: TransactionLayer
    pool: Pool
    routes: Generation
    myself: Any
    draining: bool
    accept_aliases: bool
    strict: bool
    close_failed: bool
    first_look: Callable[[Listener, bytes, Address, int], bytes | None] | None
    wall: Callable[[], float]
    tag_prefix: bytes
    received_requests: int
    received_replies: int
    tally: Tally
    bad_messages: int
    bad_requests: int
    bad_replies: int
    dropped_requests: int
    dropped_replies: int
    refused_runs: int
    forwarded_requests: int
    def __init__(self, wall: Callable[[], float]) -> None: ...
    def reset_message_ids(self) -> None: ...
    def attach(self, layer: TransactionLayer) -> None: ...
    def execute(self, run: Run, route: Route) -> int: ...
    def in_batch(self, work: Callable[[], object]) -> bool: ...
    def explain(self, error: BaseException) -> None: ...
    def on_datagram(self, listener: Listener, data: bytes, source: Address, connection_id: int = 0) -> None: ...
    def is_myself(self, host: str | bytes, port: int = 0, proto: int = 0) -> bool: ...
    def run_route(self, msg: Message) -> int: ...
    def in_worker(self, work: Callable[..., object], *args: Any) -> bool: ...
    def run_branch_route(self, name: str, t: Transaction, branch: Branch) -> bool: ...
    def run_reply_route(self, name: str, t: Transaction, branch: Branch, reply: Message) -> bool: ...
    def take_response(self, msg: Message) -> None: ...
    def forward(self, run: Run, uri: str | None = None) -> int: ...
    def forward_to(self, msg: Message, next_hop: bytes | None) -> int: ...

def describe(msg: Message) -> str: ...
