"""The PROXY protocol, versions 1 and 2: how a load balancer tells at the head of a connection whose it is. No I/O.

HAProxy's `proxy-protocol.txt` is the specification. The header is optional, as in Kamailio: a connection that begins
otherwise is the balancer's own. So whoever may connect may say that it is anybody, and a port that takes the header
must not be open to others.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from kahea.net.address import Address

#: How version 2 begins. No SIP message does; its first bytes are a keepalive's.
SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_FIRST: Final = b"PROXY "
_LONGEST_LINE: Final = 107  # of version 1, line end included
_LONGEST: Final = 4096  # of what follows the head of version 2; addresses take 216, the rest is optional
_HEAD: Final = struct.Struct("!BBH")  # version and command, family and transport, bytes that follow
_LOCAL, _PROXY = 0x20, 0x21
#: By family and transport, the bytes of an address.
_STREAMS: Final = {0x11: 4, 0x21: 16}


class ProxyError(Exception):
    """A header that is none; the stream can't be used."""


class Header(NamedTuple):
    """A header that is complete: its length in bytes, and whose the connection is; None for the balancer's own."""

    size: int
    client: Address | None


def read_header(data: bytes) -> Header | None:
    """The header at the beginning of a stream, of size 0 if there is none; None while more must be read to tell.

    Raises ProxyError.
    """
    if data.startswith(_FIRST):
        return _version_1(data)
    if data.startswith(SIGNATURE):
        return _version_2(data)
    if data and not (_FIRST.startswith(data) or SIGNATURE.startswith(data)):
        return Header(0, None)
    return None


def _version_1(data: bytes) -> Header | None:
    end = data.find(b"\r\n", 0, _LONGEST_LINE)
    if end < 0:
        if len(data) >= _LONGEST_LINE:
            raise ProxyError("a PROXY header without an end")
        return None
    words = data[:end].split(b" ")
    if words[1] == b"UNKNOWN":
        return Header(end + 2, None)
    family = {b"TCP4": 4, b"TCP6": 6}.get(words[1])
    try:
        _, _, source, target, source_port, target_port = words
        client = Address.of(source.decode("ascii"), int(source_port))
        server = Address.of(target.decode("ascii"), int(target_port))
    except ValueError:
        raise ProxyError(f"bad PROXY header {data[:end]!r}") from None
    if not client.family == server.family == family:
        raise ProxyError(f"bad PROXY header {data[:end]!r}")
    return Header(end + 2, client)


def _version_2(data: bytes) -> Header | None:
    start = len(SIGNATURE) + _HEAD.size
    if len(data) < start:
        return None
    command, kind, length = _HEAD.unpack_from(data, len(SIGNATURE))
    if command not in (_LOCAL, _PROXY):
        raise ProxyError(f"bad PROXY header: version and command {command:#04x}")
    if length > _LONGEST:
        raise ProxyError(f"a PROXY header of {length} bytes")
    size = _STREAMS.get(kind, 0)
    if command == _PROXY and (not size or length < 2 * size + 4):
        raise ProxyError(f"bad PROXY header: {length} bytes of family and transport {kind:#04x}")
    if len(data) < start + length:
        return None
    if command == _LOCAL:
        return Header(start + length, None)
    host = data[start : start + size]
    (port,) = struct.unpack_from("!H", data, start + 2 * size)
    return Header(start + length, Address.of(_text(host), port))


def _text(host: bytes) -> str:
    if len(host) == 4:
        return ".".join(map(str, host))
    return ":".join(f"{group:x}" for group in struct.unpack("!8H", host))


__all__ = ["SIGNATURE", "Header", "ProxyError", "read_header"]
