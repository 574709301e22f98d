"""Types of transactions and branches. Times are seconds of the node's clock."""

from collections.abc import Callable
from typing import Any

from kahea.net.address import Address, Listener
from kahea.sip.message import Message
from kahea.tm.hooks import Watcher
from kahea.tm.layer import TransactionLayer
from kahea.tm.wheel import Timer, Wheel

class Resender(Timer):
    data: bytes
    interval: float
    def __init__(
        self,
        wheel: Wheel,
        data: bytes,
        listener: Listener,
        address: Address,
        connection_id: int,
        now: float,
        interval: float,
        slowest: float,
        until: float,
        on_end: Callable[[], object] | None = None,
    ) -> None: ...

class Owner:
    """What a transaction belongs to; for the compiled parts."""

class Saved:
    flags: int

class Branch(Timer):
    transaction: Transaction
    index: int
    id: bytes
    uri: bytes
    dst_uri: bytes | None
    path: bytes | None
    flags: int
    ruid: bytes
    instance: bytes
    location_ua: bytes
    reg_id: int
    listener: Listener
    address: Address
    connection_id: int
    spare: list[Any] | None
    request: bytes | None
    state: int
    status: int
    reply: Message | None
    ack: bytes | None
    cancel_sender: Resender | None
    cancelled: bool
    cancel_wanted: bool
    blind: bool
    answered: bool
    on_reply: str | None
    on_failure: str | None
    retr_interval: float
    retr_at: float
    fr_at: float
    @property
    def pending(self) -> bool: ...

class Transaction(Timer):
    layer: TransactionLayer
    request: Message
    label: int
    hash_index: int
    stem: bytes
    method: bytes
    method_id: int
    is_invite: bool
    local: bool
    branches: list[Branch]
    status: int
    response: bytes | None
    to_tag: bytes
    listener: Listener
    address: Address
    connection_id: int
    on_branch: str | None
    on_reply: str | None
    on_failure: str | None
    on_branch_failure: str | None
    fr: float
    fr_inv: float
    retr1: float
    retr2: float
    end_of_life: float
    cancelled: bool
    timed_out: bool
    acked: bool
    no_6xx: bool
    no_failover: bool
    no_auto_ack: bool
    no_cancel_reason: bool
    freed: bool
    waiting: bool
    busy: bool
    suspended: bool
    pick_from: int
    queue: list[tuple[Branch, Message | None]] | None
    saved: Saved | None
    generation: Any
    on_complete: Callable[[Transaction, Branch, int, Message | None], object] | None
    winner: Branch | None
    watchers: tuple[Watcher, ...]
    retransmit: Resender | None
    retr_interval: float
    retr_at: float
    wait_at: float
    @property
    def is_pending(self) -> bool: ...
    def add_branch(self) -> Branch: ...
