"""Finding a request's digest credentials for a realm, and judging them (RFC 7616, RFC 8760)."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final, NamedTuple

from kahea.sip.digest import ALGORITHMS, Credentials, digest, parse_credentials, response_of
from kahea.sip.errors import ParseError

if TYPE_CHECKING:
    from kahea.sip.message import Header, Message

# What the functions of scripts return.
RIGHT: Final = 1
FAILED: Final = -1
WRONG_PASSWORD: Final = -2
STALE_NONCE: Final = -4
NO_CREDENTIALS: Final = -5
REUSED_NONCE: Final = -6
OTHER_USER: Final = -8

#: Hexadecimal digits of a response by the digest's name.
_LENGTHS: Final = {"md5": 32, "sha256": 64, "sha512_256": 64}


class Found(NamedTuple):
    """Credentials, and the header that they stand in."""

    header: Header
    credentials: Credentials


def find(msg: Message, kind: int, realm: bytes) -> Found | None:
    """The first credentials for a realm, whose case does not matter, in headers of a kind."""
    for header in msg.headers_of(kind):
        try:
            credentials = parse_credentials(header.body)
        except ParseError:
            continue
        if credentials.is_digest and credentials.realm.lower() == realm.lower() and credentials.fields:
            return Found(header, credentials)
    return None


def is_complete(credentials: Credentials, algorithm: bytes) -> bool:
    """Whether all that a digest needs is there, with a response of the right length."""
    c = credentials
    length = _LENGTHS[ALGORITHMS[algorithm.lower()]]
    if not (b"username" in c.fields and c.nonce and c.uri and len(c.response) == length):
        return False
    return not c.qop or bool(c.cnonce and c.nc)


def secret_of(algorithm: bytes, username: bytes, realm: bytes, password: bytes) -> bytes:
    """HA1, for a password that is known in plain."""
    return digest(algorithm, b"%b:%b:%b" % (username, realm, password))


def is_right(credentials: Credentials, algorithm: bytes, method: bytes, secret: bytes, body: bytes) -> bool:
    """Whether the response is the one that `secret` (HA1) gives, by our algorithm, whatever the credentials say."""
    try:
        wanted = _response(credentials, algorithm, method, secret, body)
    except ValueError:
        return False
    return hmac.compare_digest(wanted, credentials.response.lower())


def _response(credentials: Credentials, algorithm: bytes, method: bytes, secret: bytes, body: bytes) -> bytes:
    fields = {**credentials.fields, b"algorithm": algorithm}
    return response_of(Credentials(credentials.scheme, fields), method, secret, body)


def response_auth(credentials: Credentials, algorithm: bytes, secret: bytes) -> bytes:
    """The `rspauth` by which we prove that we know the secret, too (RFC 7616 §3.5). Raises ValueError."""
    return _response(credentials, algorithm, b"", secret, b"")
