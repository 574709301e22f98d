"""Requests that the proxy itself makes within a transaction: the CANCEL of a branch and the ACK to its failure.

Both are made from the INVITE as it was sent (Kamailio's `reparse_invite`), so that they match it hop by hop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kahea.sip import message as m
from kahea.sip.status import reason as reason_text

if TYPE_CHECKING:
    from kahea.net.address import Listener

#: Headers of the INVITE that its CANCEL and ACK share (RFC 3261 §9.1, §17.1.1.3).
_SHARED = frozenset({m.H_FROM, m.H_TO, m.H_CALLID, m.H_ROUTE, m.H_MAXFORWARDS})


def reason_of(status: int) -> bytes:
    """The usual reason phrase of a status."""
    return reason_text(status)


def _derive(request: bytes, method: bytes, to_line: bytes | None, extra: bytes, prefix: bytes) -> bytes:
    """A bodyless request with the sent one's Request-URI, top Via, dialog headers and Routes, and with its headers
    without meaning to us whose names begin with `prefix` (in lower case; b"" for none)."""
    sent = m.parse(request)
    out = [method, b" ", sent.original_uri, b" SIP/2.0\r\n"]
    via_seen = False
    for header in sent.headers():
        if header.kind == m.H_VIA:
            if not via_seen:
                via_seen = True
                via = sent.via1
                out += [b"Via: ", request[via.start : via.end], b"\r\n"]
        elif header.kind == m.H_CSEQ:
            out.append(b"CSeq: %d %b\r\n" % (sent.cseq, method))
        elif header.kind == m.H_TO and to_line is not None:
            out.append(to_line)
        elif header.kind in _SHARED or (prefix and header.kind == m.H_OTHER and header.name.lower().startswith(prefix)):
            out.append(request[header.start : header.end])
    out += [b"Content-Length: 0\r\n", extra, b"\r\n"]
    return b"".join(out)


def build_ack(request: bytes, reply: m.Message, prefix: bytes = b"") -> bytes:
    """The ACK to a failure response of an INVITE sent as `request`; for `prefix` see `_derive`. Raises ParseError."""
    to = reply.header(m.H_TO)
    line = None if to is None else b"To: " + to.body + b"\r\n"
    return _derive(request, b"ACK", line, b"", prefix)


def build_cancel(request: bytes, reason: bytes = b"", extra: bytes = b"", prefix: bytes = b"") -> bytes:
    """The CANCEL of an INVITE sent as `request`; `reason` and `extra` are whole header lines, for `prefix` see
    `_derive`. Raises ParseError."""
    return _derive(request, b"CANCEL", None, reason + extra, prefix)


def with_new_via(request: bytes, branch_id: bytes, listener: Listener) -> bytes:
    """The same request for another destination: a new branch, and the listener it leaves by."""
    sent = m.parse(request)
    via = sent.via1
    line = b"SIP/2.0/%b %b;branch=%b" % (listener.proto_name.upper().encode(), listener.via_host, branch_id)
    return request[: via.start] + line + request[via.end :]


def first_route(path: bytes) -> bytes:
    """The URI of the first hop of a Path or Route value."""
    return m.parse_name_addrs(path)[0].uri
