"""Messages that the tests of this folder share."""

from __future__ import annotations

from kahea.sip.message import Message, parse

SDP = b"v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


def request(
    method: bytes = b"INVITE",
    uri: bytes = b"sip:bob@example.com",
    *,
    via: bytes = b"SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bKa",
    extra: bytes = b"",
    body: bytes = b"",
    length: bool = True,
) -> bytes:
    """A request; `extra` header lines stand before Content-Length, which `length` leaves out."""
    head = (
        b"%b %b SIP/2.0\r\nVia: %b\r\nMax-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=x\r\n"
        b"To: <sip:bob@example.com>\r\nCall-ID: abc\r\nCSeq: 1 %b\r\n%b" % (method, uri, via, method, extra)
    )
    return head + (b"Content-Length: %d\r\n" % len(body) if length else b"") + b"\r\n" + body


def response(vias: bytes, extra: bytes = b"") -> bytes:
    """A 200; `vias` are whole lines."""
    return (
        b"SIP/2.0 200 OK\r\n%bFrom: <sip:alice@example.com>;tag=x\r\nTo: <sip:bob@example.com>;tag=y\r\n"
        b"Call-ID: abc\r\nCSeq: 1 INVITE\r\n%bContent-Length: 0\r\n\r\n" % (vias, extra)
    )


def received(data: bytes, ip: bytes = b"192.0.2.1", port: int = 5062) -> Message:
    """The message parsed, as it came from an address."""
    message = parse(data)
    message.src_ip = ip
    message.src_port = port
    return message
