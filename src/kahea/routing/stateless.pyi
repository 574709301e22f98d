"""Types of the compiled stateless replies."""

from kahea.routing.dispatch import Dispatcher
from kahea.sip.message import Message

def sl_tag(node: Dispatcher, msg: Message) -> bytes:
    """The To tag of stateless replies to a request: the node's own, so that ACKs to them are known (see `tag_prefix`),
    and the same for the request's retransmissions. Raises ParseError."""

def reply(node: Dispatcher, msg: Message, status: int, phrase: bytes) -> bool:
    """Answer a request; whether it was sent. Raises ParseError where the request lacks what a reply repeats."""
