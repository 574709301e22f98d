"""The body as a whole: is there one, of what type, is its audio on hold; set it, here or in replies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.modules.textops.content import SDP, has_body, message_mime, mime_of, unhexed
from kahea.routing.module import Module, function, native
from kahea.routing.run import BRANCH_ROUTE, FAILURE_ROUTE, REPLY_ROUTES, REQUEST_ROUTE
from kahea.routing.text import wire
from kahea.sip.body import find_part
from kahea.sip.message import H_CONTENTTYPE
from kahea.sip.params import is_token

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.run import Run
    from kahea.sip.message import Message

NOT_ON_HOLD, HOLD_RFC2543, HOLD_RFC3264 = -1, 1, 2


def set_content_type(msg: Message, value: bytes, more: bytes = b"") -> None:
    """Replace the Content-Type header by a line after the last header, with more lines behind it."""
    for header in msg.headers_of(H_CONTENTTYPE):
        msg.remove_header(header)
    msg.append_header(b"Content-Type: " + value + b"\r\n" + more)


def content_type(node: Node, text: str) -> str:
    """A type that `has_body` asks for; empty for any. Raises ValueError."""
    main, _, sub = wire(text).partition(b"/")
    if text and not (is_token(main) and is_token(sub)):
        raise ValueError(f"{text!r} is no content type")
    return text


class Bodies(Module):
    """The message's body."""

    @function
    @native()
    def has_body(self, run: Run) -> int:
        """Whether there is a body, by Content-Length too."""
        return 1 if has_body(run.msg) else -1

    @function
    @native(content_type, name="has_body")
    def has_body_type(self, run: Run, mime: str) -> int:
        """Whether there is a body of a type; an empty type stands for any.

        Parameters don't count. Without Content-Type a body counts as application/sdp. Subtypes that Kamailio
        has no name for are all alike: application/json is application/xml to it.
        """
        if not has_body(run.msg):
            return -1
        if not mime:
            return 1
        wanted = mime_of(wire(mime))
        if wanted is None:
            self.node.log.error("has_body_type: %r is no content type", mime)
            return -1
        return 1 if message_mime(run.msg) == wanted else -1

    @function
    @native()
    def is_audio_on_hold(self, run: Run) -> int:
        """Whether an audio stream is on hold: 1 by a null address (RFC 2543), 2 by direction (RFC 3264)."""
        msg = run.msg
        sdp = find_part(msg.body, msg.content_type, b"/".join(SDP))
        return NOT_ON_HOLD if sdp is None or not sdp.startswith(b"v=") else hold_kind(sdp)

    @function
    @native("str", "str", routes=REQUEST_ROUTE | FAILURE_ROUTE | REPLY_ROUTES | BRANCH_ROUTE)
    def set_body(self, run: Run, body: str, mime: str) -> int:
        """Replace the body and what was edited in it, and set Content-Type; -1 if either is empty."""
        return self._set_body(run, "set_body", wire(body), mime)

    @function
    @native("str", "str")
    def set_body_hex(self, run: Run, digits: str, mime: str) -> int:
        """As `set_body`, with the body in hexadecimal digits."""
        return self._set_body(run, "set_body_hex", unhexed(digits), mime)

    def _set_body(self, run: Run, name: str, body: bytes | None, mime: str) -> int:
        if not body or not mime:
            self.node.log.error("%s: needs a body and a content type", name)
            return -1
        msg = run.msg
        msg.set_body(body)
        wanted = wire(mime)
        if msg.content_type != wanted:
            set_content_type(msg, wanted)
        return 1

    @function
    @native("str", "str", routes=REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE)
    def set_reply_body(self, run: Run, body: str, mime: str) -> int:
        """Set the body of the server's own replies, once; -1 if it or its type is empty, or if it is set."""
        return self._set_reply(run, "set_reply_body", wire(body), mime)

    @function
    @native("str", "str", routes=REQUEST_ROUTE | FAILURE_ROUTE | BRANCH_ROUTE)
    def set_reply_body_hex(self, run: Run, digits: str, mime: str) -> int:
        """As `set_reply_body`, with the body in hexadecimal digits."""
        return self._set_reply(run, "set_reply_body_hex", unhexed(digits), mime)

    def _set_reply(self, run: Run, name: str, body: bytes | None, mime: str) -> int:
        if not body or not mime:
            self.node.log.error("%s: needs a body and a content type", name)
            return -1
        if run.msg.reply_body is not None:
            self.node.log.error("%s: the replies have a body already", name)
            return -1
        run.msg.reply_body = (wire(mime), body)
        return 1


def hold_kind(sdp: bytes) -> int:
    """How the audio streams of an SDP are on hold, by the first one that is."""
    session_address = session_hold = None
    address, held, audio = None, False, False
    result = NOT_ON_HOLD
    lines = [line.rstrip(b"\r") for line in sdp.split(b"\n")]
    for line in [*lines, b"m="]:
        if line.startswith(b"m="):
            if audio and result == NOT_ON_HOLD:
                result = _stream_hold(address or session_address, held or bool(session_hold))
            elif session_hold is None:
                session_address, session_hold = address, held
            address, held = None, False
            audio = line.startswith(b"m=audio")
        elif line.startswith(b"c="):
            address = address or line.rpartition(b" ")[2]
        elif line.startswith(b"a=") and line[2:10].lower() in (b"sendonly", b"inactive"):
            held = True
    return result


def _stream_hold(address: bytes | None, held: bool) -> int:
    if held:
        return HOLD_RFC3264
    return HOLD_RFC2543 if address == b"0.0.0.0" else NOT_ON_HOLD
