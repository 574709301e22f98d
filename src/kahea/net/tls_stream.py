"""One TLS session over a byte stream (RFC 8446, RFC 5246), without I/O: records in, plain bytes out, and the other way.

Rules of this room:

1. What is to be sent stands in `outgoing` after every call; whoever calls writes it, after an error as well: it
   then has the alert that tells the peer why.
2. After a `TlsError`, or once `ended` says why, the session is lost.
3. `HelloReader` reads a ClientHello before there is a session, since the name in it chooses the certificate and the
   demands on the client.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final, cast

#: How a session ended whose peer said so (close_notify).
CLOSED: Final = "closed by the peer"
#: Bytes of a client's first flight that are looked at for its ClientHello.
MAX_HELLO: Final = 32768
_READ: Final = 16384  # the most that a record carries
_HEAD: Final = 5  # of a record: type, version, length
_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_SERVER_NAME: Final = 0
_FIXED: Final = 4 + 2 + 32  # a ClientHello up to its session id: type and length, version, random


class TlsError(Exception):
    """A handshake or record that failed; the text is for the log."""


class TlsStream:
    """One side of a session. `max_depth` is how many authorities may stand between the peer and one that is trusted."""

    __slots__ = ("_in", "_max_depth", "_out", "_ssl", "done", "ended")

    def __init__(
        self, context: ssl.SSLContext, *, server: bool, server_name: str = "", max_depth: int | None = None
    ) -> None:
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._in, self._out, server_side=server, server_hostname=server_name or None)
        self._max_depth = max_depth
        self.done = False  # the handshake
        self.ended = ""  # why nothing more can be received, once that is so

    def shake(self, data: bytes = b"") -> bool:
        """Go on with the handshake; whether it is done. Raises TlsError."""
        self._in.write(data)
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except (ssl.SSLError, OSError) as error:
            raise TlsError(_reason(error)) from error
        if self._max_depth is not None and len(self._chain()) - 2 > self._max_depth:
            raise TlsError(f"the peer's certificate has more than {self._max_depth} authorities (verify_depth)")
        self.done = True
        return True

    def _chain(self) -> list[bytes]:
        """The peer's certificate with its authorities, as verified; empty if nothing was."""
        # SSLObject has it since Python 3.13 only.
        get = getattr(self._ssl, "get_verified_chain", None) or self._ssl._sslobj.get_verified_chain  # type: ignore[attr-defined]
        return cast("Callable[[], list[bytes] | None]", get)() or []

    def receive(self, data: bytes) -> bytes:
        """The plain bytes that are complete with these; `ended` says whether they are the last."""
        incoming, session = self._in, self._ssl
        incoming.write(data)
        chunks = []
        while incoming.pending or session.pending():
            try:
                chunk = session.read(_READ)
            except ssl.SSLWantReadError:
                break
            except (ssl.SSLError, OSError) as error:
                self.ended = _reason(error)
                break
            if not chunk:
                self.ended = CLOSED
                break
            chunks.append(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def encrypt(self, data: bytes) -> None:
        """Put plain bytes into records. Raises TlsError."""
        try:
            self._ssl.write(data)
        except (ssl.SSLError, OSError) as error:
            raise TlsError(_reason(error)) from error

    def farewell(self) -> None:
        """Tell the peer that nothing more comes (close_notify)."""
        try:
            self._ssl.unwrap()
        except (ssl.SSLError, OSError, ValueError):
            return  # it waits for the peer's, which nobody does

    def outgoing(self) -> bytes:
        """What is to be sent, and was not given before."""
        return self._out.read() if self._out.pending else b""

    @property
    def version(self) -> str:
        """The protocol, as `TLSv1.3`; "" before the handshake."""
        return self._ssl.version() or ""

    @property
    def cipher(self) -> tuple[str, int]:
        """The cipher's name and its key's bits."""
        found = self._ssl.cipher()
        return (found[0], found[2]) if found else ("", 0)

    @property
    def peer_certificate(self) -> bytes:
        """The peer's certificate (DER), verified or not; b"" for none."""
        return self._ssl.getpeercert(binary_form=True) or b""


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the peer's certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    return str(error)


class _Cut(Exception):
    """The bytes end where more are needed."""


class _Bytes:
    """Reads numbers and vectors as TLS writes them (RFC 8446 §3)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise _Cut
        found = self._data[self._at : end]
        self._at = end
        return found

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """Bytes after their length, which takes `size` bytes."""
        return self.take(self.number(size))


class HelloReader:
    """Reads the ClientHello that a stream begins with (RFC 8446 §4.1.2), each byte once."""

    __slots__ = ("_message", "_rest", "_seen")

    def __init__(self) -> None:
        self._rest = bytearray()  # of a record that is not complete
        self._message = bytearray()  # out of the records before it
        self._seen = 0

    def feed(self, data: bytes) -> str | None:
        """The server name that the client asks for (RFC 6066 §3), in lower case; "" if it asks for none or sends no
        ClientHello; None while more must be read to tell."""
        self._seen += len(data)
        rest, message = self._rest, self._message
        rest += data
        while rest:
            if rest[0] != _HANDSHAKE:
                return ""
            size = int.from_bytes(rest[3:5], "big")
            if len(rest) < _HEAD or len(rest) < _HEAD + size:
                break
            message += rest[_HEAD : _HEAD + size]
            del rest[: _HEAD + size]
            if not size or message[0] != _CLIENT_HELLO:
                return ""
            if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4], "big"):
                try:
                    return _name_in(bytes(message))
                except (_Cut, UnicodeDecodeError):
                    return ""
        return None if self._seen < MAX_HELLO else ""


def _name_in(hello: bytes) -> str:
    rest = _Bytes(hello)
    rest.take(_FIXED)
    rest.vector(1)  # session id
    rest.vector(2)  # cipher suites
    rest.vector(1)  # compression methods
    if not rest:
        return ""
    extensions = _Bytes(rest.vector(2))
    while extensions:
        kind, body = extensions.number(2), extensions.vector(2)
        if kind == _SERVER_NAME:
            names = _Bytes(_Bytes(body).vector(2))
            while names:
                kind, name = names.number(1), names.vector(2)
                if kind == 0:
                    return name.decode("ascii").lower()
    return ""
