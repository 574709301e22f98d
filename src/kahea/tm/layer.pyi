"""Types of the transaction layer."""

from collections.abc import Callable

from kahea.net.address import Address, Listener
from kahea.sip.message import Message
from kahea.tm.hooks import Blocker, Destination, Hooks
from kahea.tm.table import Requests
from kahea.tm.transaction import Branch, Transaction
from kahea.tm.wheel import Wheel

class Settings:
    fr_timer: float
    fr_inv_timer: float
    max_inv_lifetime: float
    max_noninv_lifetime: float
    retr_timer1: float
    retr_timer2: float
    wt_timer: float
    restart_fr_on_each_reply: bool
    cancel_b_method: int
    relay_100: bool
    failure_reply_mode: int
    faked_reply_prio: int
    disable_6xx_block: int
    reply_408_code: int
    reply_408_reason: bytes
    aggregate_challenges: bool
    remap_503_500: bool
    local_cancel_reason: bool
    ac_extra_hdrs: bytes
    failover_codes: frozenset[int]
    use_dns_failover: bool
    udp_mtu: int
    force_rport: bool
    reply_to_via: bool
    local_rport: bool
    warning: Callable[[Message], bytes] | None
    max_transactions: int
    max_held: int
    max_branches: int
    server: bytes
    on_local_reply: Callable[[Transaction, int], object] | None

class TransactionLayer:
    wheel: Wheel
    hooks: Hooks
    settings: Settings
    by_label: dict[int, Transaction]
    requests: Requests
    blocking: Blocker | None
    onsend: bool
    onsend_reply: bool
    on_created: list[Callable[[Transaction], object]]
    places: dict[bytes, tuple[Listener, tuple[Destination, ...]]]
    created: int
    created_local: int
    rpl_received: int
    rpl_sent: int
    rpl_generated: int
    rpl_relayed: int
    waiting: int
    refused: int
    held: int
    completed_2xx: int
    completed_3xx: int
    completed_4xx: int
    completed_5xx: int
    completed_6xx: int
    def __init__(self, hooks: Hooks, wheel: Wheel, clock: Callable[[], float]) -> None: ...
    def __len__(self) -> int: ...
    def lookup(self, msg: Message) -> Transaction | None: ...
    def lookup_invite(self, msg: Message) -> Transaction | None: ...
    def lookup_answered(self, msg: Message) -> Transaction | None: ...
    def lookup_callid(self, callid: bytes, cseq: bytes) -> Transaction | None: ...
    def lookup_ident(self, hash_index: int, label: int) -> Transaction | None: ...
    def new_transaction(self, msg: Message) -> Transaction | None: ...
    def new_local(
        self, msg: Message, on_complete: Callable[[Transaction, Branch, int, Message | None], object] | None
    ) -> Transaction | None: ...
    def free(self, t: Transaction) -> None: ...
    def send_branch(self, branch: Branch) -> bool: ...
    def send_somewhere(self, branch: Branch) -> bool: ...
    def send_failed(self, branch: Branch) -> None: ...
    def match(self, msg: Message) -> Branch | None: ...
    def receive_response(self, msg: Message, branch: Branch | None = None) -> bool: ...
    def to_tag(self, t: Transaction) -> bytes: ...
    def release(self, t: Transaction) -> None: ...
    def arm(self, branch: Branch, seconds: float) -> None: ...
    def set_timers(self, t: Transaction) -> None: ...
    def reply(self, t: Transaction, code: int, reason: bytes, extra: bytes = b"", body: bytes = b"") -> bool: ...
    def repeat_reply(self, t: Transaction) -> None: ...
    def take_ack(self, t: Transaction) -> None: ...
    def cancel_branches(self, t: Transaction, but: Branch | None = None, reason: bytes = b"") -> None: ...
    def cancel_branch(self, branch: Branch, reason: bytes = b"") -> None: ...
    def conclude(self, t: Transaction) -> None: ...
    def drop_replies(self, t: Transaction, mode: str) -> None: ...
    def reply_destination(self, msg: Message) -> tuple[Listener, Address, int]: ...
