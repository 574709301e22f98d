"""Types of the compiled part of module sl."""

from collections.abc import Callable

from kahea.routing.dispatch import Dispatcher
from kahea.routing.run import Run
from kahea.sip.message import Message

class Replies:
    """`on_sent`, if it is not None, is called with the request after each stateless reply; `default_code` is the status
    of a reply whose own is none; `bind_tm` lets replies go through transactions; `rich_redirect` is a sum of what
    `routing.redirect` names."""

    default_code: int
    bind_tm: bool
    rich_redirect: int
    on_sent: Callable[[Message], object] | None

    def __init__(self, node: Dispatcher) -> None: ...
    @property
    def sent(self) -> int:
        """Stateless replies sent."""
    @property
    def failures(self) -> int:
        """Stateless replies that could not be."""
    def counted(self, code: int) -> int:
        """Stateless replies sent with a final status; 0: with what is none."""
    def sl_send_reply(self, run: Run, code: int, reason: str) -> int:
        """Reply without a transaction; > 0 if it was sent."""
    def send_reply(self, run: Run, code: int, reason: str) -> int:
        """Reply through the run's transaction if it has one, else without."""
    def send_stateless(self, run: Run, code: int, phrase: bytes) -> int:
        """As `sl_send_reply`; an empty phrase is the usual one."""
    def send(self, run: Run, code: int, phrase: bytes) -> int:
        """As `send_reply`; an empty phrase is the usual one."""
