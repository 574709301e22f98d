"""Types of the compiled answers to REGISTERs."""

from kahea.modules.registrar.refusal import Verdict
from kahea.sip.message import Message

class Answer:
    """An answer as it comes to be. `contacts` is its Contact line, b"" without one."""

    verdict: Verdict
    contacts: bytes

    def __init__(self) -> None: ...
    def put(self, msg: Message, retry_after: int) -> None:
        """Put all header lines where replies to the request take them from, in the order in which Kamailio has them."""
    def keep(self, msg: Message) -> None:
        """Leave this with the message for reg_send_reply()."""

def kept(msg: Message) -> Answer | None:
    """The answer that save() left with a message."""
