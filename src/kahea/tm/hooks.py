"""What the transaction layer asks of the room above: routes to run, destinations to find, greenlets to run in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kahea.net.address import Address, Listener
    from kahea.sip.message import Message
    from kahea.tm.transaction import Branch, Transaction


#: The facet of a request for whoever edits its replies: a function of the request and a reply, called before that is
#: passed on.
REPLY_FACET: Final = "before_reply"


class Destination(NamedTuple):
    """Where bytes go: from which listener, to which address, on which connection (0: any)."""

    listener: Listener
    address: Address
    connection_id: int = 0


class Watcher:
    """Told of what becomes of a transaction that it is one of the `watchers` of. Nothing here may wait."""

    def answered(self, t: Transaction, code: int, reply: Message | None) -> None:
        """A reply went upstream, the first final or a provisional one; `reply` None if it was made here."""

    def failed(self, t: Transaction, best: Branch) -> None:
        """Every branch failed, `best` with the reply that would be passed on; the failure route comes next."""

    def acknowledged(self, t: Transaction, ack: Message) -> None:
        """The ACK to the 2xx is being forwarded."""


class Blocker(Protocol):
    """Knows destinations to which nothing is sent for a while. Nothing here may wait."""

    def holds(self, listener: Listener, address: Address, method_id: int) -> bool:
        """Whether a request is not to be sent there."""

    def timed_out(self, branch: Branch) -> None:
        """Nobody answered a branch at all."""

    def unavailable(self, branch: Branch, reply: Message) -> None:
        """A branch was answered by 503."""


class Hooks(Protocol):
    """Implemented by the node. Routes run synchronously in the caller's greenlet and never raise."""

    #: Branches that could not be sent fail by their timer, as those that nobody answers, and not at once.
    unsent_branches_wait: bool
    #: An INVITE whose only branch nobody answered at all is not answered either.
    silent_timeouts: bool

    def run_branch_route(self, name: str, t: Transaction, branch: Branch) -> bool:
        """False drops the branch."""

    def run_reply_route(self, name: str, t: Transaction, branch: Branch, reply: Message) -> bool:
        """False drops the reply (provisional ones only)."""

    def run_failure_route(self, name: str, t: Transaction, branch: Branch) -> None:
        """`branch` holds the winning failure."""

    def run_branch_failure_route(self, name: str, t: Transaction, branch: Branch) -> None:
        """One branch failed; others may be pending."""

    def run_onsend_route(
        self,
        msg: Message,
        t: Transaction | None,
        branch: Branch | None,
        listener: Listener,
        address: Address,
        data: bytes,
    ) -> bool:
        """The script's look at a request that is about to be sent; False keeps it here."""

    def destinations(
        self, uri: bytes, send_sock: object | None, connection_id: int, received_on: object | None
    ) -> Sequence[Destination]:
        """Targets in order (RFC 3263); empty if there are none. May wait.

        They are sent to from `send_sock`, else from the listener the request came on, if it fits, else the first.
        """

    def lacks_listener(self, uri: bytes) -> bool:
        """Whether there is no listener for the protocol that a URI calls for."""

    def stream_instead(self, msg: Message, address: Address) -> Destination | None:
        """The stream destination for a request too large for a datagram, or None."""

    def in_worker(self, work: Callable[..., object], *args: Any) -> bool:
        """Run `work` where it may wait; False if there are too many runs."""

    def forward_stateless(self, msg: Message) -> bool:
        """Forward a request outside of any transaction (the ACK to a 2xx)."""

    def reply_destination(self, msg: Message) -> Destination:
        """Where replies to this request go (RFC 3261 §18.2.2, RFC 3581)."""

    def transaction_event(self, name: str, t: Transaction, msg: Message) -> None:
        """An event route of tm (`tm:local-response`, ...), if the script has one."""
