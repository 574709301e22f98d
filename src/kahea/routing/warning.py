"""The Warning header that `sip_warning` adds to our own replies (RFC 3261 §20.43): what the node saw of the request."""

from __future__ import annotations

import os

from kahea.net.address import Address, Listener
from kahea.sip.errors import ParseError
from kahea.sip.message import Message

_TEXT = (
    b'Warning: 392 %b:%d "Noisy feedback tells:  pid=%d req_src_ip=%b req_src_port=%d in_uri=%b out_uri=%b '
    b'via_cnt==%d"\r\n'
)


def noisy_feedback(msg: Message) -> bytes:
    """The header for the reply to a request; nothing for one that has no readable origin."""
    listener, source = msg.listener, msg.source
    if not isinstance(listener, Listener) or not isinstance(source, Address):
        return b""
    try:
        vias = len(msg.vias())
    except ParseError:
        vias = 0
    at = listener.address
    return _TEXT % (
        at.host,
        at.port,
        os.getpid(),
        source.ip_bytes,
        source.port,
        _quotable(msg.original_uri),
        _quotable(msg.uri),
        vias,
    )


def _quotable(uri: bytes) -> bytes:
    """Without what would end a quoted string."""
    return uri.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
