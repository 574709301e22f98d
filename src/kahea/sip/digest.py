"""Digest credentials and challenges, and the response value (RFC 3261 §22, RFC 7616, RFC 8760).

No policy lives here: who may use which nonce, and for how long, is the business of the `auth` module.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from kahea.sip.errors import ParseError
from kahea.sip.params import iter_params, quote, unquote

#: Longer header bodies are refused before a byte of them is parsed.
MAX_BODY: Final = 8192

#: Name in lower case -> hashlib's name. `-sess` variants hash the same way.
ALGORITHMS: Final = {b"md5": "md5", b"sha-256": "sha256", b"sha-512-256": "sha512_256"}

# Fields that are written without quotes (RFC 7616 §3.3 and §3.4).
_BARE: Final = frozenset({b"algorithm", b"qop", b"nc", b"stale", b"userhash"})


@dataclass(slots=True)
class Credentials:
    """An Authorization or Proxy-Authorization header. Fields that are absent are b""."""

    scheme: bytes  # as written
    fields: dict[bytes, bytes] = field(default_factory=dict)  # by lower-case name, without quotes

    @property
    def is_digest(self) -> bool:
        """Whether the scheme is Digest; others carry no fields here."""
        return self.scheme.lower() == b"digest"

    @property
    def username(self) -> bytes:
        """The user as sent, which may carry `@realm`."""
        return self.fields.get(b"username", b"")

    @property
    def realm(self) -> bytes:
        return self.fields.get(b"realm", b"")

    @property
    def nonce(self) -> bytes:
        return self.fields.get(b"nonce", b"")

    @property
    def uri(self) -> bytes:
        return self.fields.get(b"uri", b"")

    @property
    def response(self) -> bytes:
        return self.fields.get(b"response", b"")

    @property
    def algorithm(self) -> bytes:
        """MD5 where it is not said (RFC 7616 §3.4)."""
        return self.fields.get(b"algorithm", b"MD5")

    @property
    def cnonce(self) -> bytes:
        return self.fields.get(b"cnonce", b"")

    @property
    def opaque(self) -> bytes:
        return self.fields.get(b"opaque", b"")

    @property
    def qop(self) -> bytes:
        return self.fields.get(b"qop", b"")

    @property
    def nc(self) -> bytes:
        """The nonce count: 8 hexadecimal digits as text."""
        return self.fields.get(b"nc", b"")

    def format(self) -> bytes:
        """The header body."""
        return _format(self.scheme, self.fields, bare=_BARE)


@dataclass(slots=True)
class Challenge:
    """A WWW-Authenticate or Proxy-Authenticate header."""

    scheme: bytes
    fields: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def realm(self) -> bytes:
        return self.fields.get(b"realm", b"")

    @property
    def nonce(self) -> bytes:
        return self.fields.get(b"nonce", b"")

    @property
    def algorithm(self) -> bytes:
        return self.fields.get(b"algorithm", b"MD5")

    @property
    def qops(self) -> list[bytes]:
        """The offered qualities of protection, in lower case."""
        return [q.strip().lower() for q in self.fields.get(b"qop", b"").split(b",") if q.strip()]

    @property
    def stale(self) -> bool:
        """Whether only the nonce was at fault."""
        return self.fields.get(b"stale", b"").lower() == b"true"

    def format(self) -> bytes:
        """The header body; `qop` is quoted, being a list here."""
        return _format(self.scheme, self.fields, bare=_BARE - {b"qop"})


def parse_credentials(data: bytes) -> Credentials:
    """Read an Authorization header's body; schemes other than Digest give no fields. Raises ParseError."""
    scheme, fields = _parse(data)
    return Credentials(scheme, fields)


def parse_challenge(data: bytes) -> Challenge:
    """Read the body of a WWW-Authenticate header. Raises ParseError."""
    scheme, fields = _parse(data)
    return Challenge(scheme, fields)


def _parse(data: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    if len(data) > MAX_BODY:
        raise ParseError("Credentials Too Long")
    words = data.strip().split(None, 1)
    if not words:
        raise ParseError("Empty Credentials")
    if words[0].lower() != b"digest" or len(words) == 1:
        return words[0], {}
    fields: dict[bytes, bytes] = {}
    for name, value in iter_params(words[1], b","):
        if value is None:
            raise ParseError("Bad Credentials")
        key = name.lower()
        if key in fields:
            raise ParseError("Repeated Field in Credentials")
        fields[key] = unquote(value)
    return words[0], fields


def _format(scheme: bytes, fields: dict[bytes, bytes], *, bare: frozenset[bytes]) -> bytes:
    items = [name + b"=" + (value if name in bare else quote(value)) for name, value in fields.items()]
    return scheme + b" " + b", ".join(items)


def digest(algorithm: bytes, data: bytes) -> bytes:
    """The lower-case hexadecimal hash. Raises ValueError for an unknown algorithm (`-sess` is ignored)."""
    name = ALGORITHMS.get(algorithm.lower().removesuffix(b"-sess"))
    if name is None:
        raise ValueError(f"unknown digest algorithm {algorithm!r}")
    return hashlib.new(name, data, usedforsecurity=False).hexdigest().encode()


def ha1(algorithm: bytes, username: bytes, realm: bytes, password: bytes) -> bytes:
    """The hash of user, realm and password, as password tables keep it (RFC 7616 §3.4.2, without `-sess`)."""
    return digest(algorithm, b"%b:%b:%b" % (username, realm, password))


def response_of(credentials: Credentials, method: bytes, secret: bytes, body: bytes = b"") -> bytes:
    """The response value that these credentials must carry, given HA1 as `secret`.

    Follows the credentials' own algorithm, `-sess` and qop (auth, auth-int or none). Raises ValueError for an
    unknown algorithm or qop.
    """
    algorithm = credentials.algorithm
    if algorithm.lower().endswith(b"-sess"):
        secret = digest(algorithm, b"%b:%b:%b" % (secret, credentials.nonce, credentials.cnonce))
    qop = credentials.qop.lower()
    request = b"%b:%b" % (method, credentials.uri)
    if qop == b"auth-int":
        request += b":" + digest(algorithm, body)
    elif qop not in (b"", b"auth"):
        raise ValueError(f"unknown qop {credentials.qop!r}")
    end = digest(algorithm, request)
    if not qop:
        return digest(algorithm, b"%b:%b:%b" % (secret, credentials.nonce, end))
    middle = b"%b:%b:%b" % (credentials.nc, credentials.cnonce, credentials.qop)
    return digest(algorithm, b"%b:%b:%b:%b" % (secret, credentials.nonce, middle, end))
