"""Answers to digest challenges: the header that a request is sent again with after its 401 or 407.

As Kamailio's module uac, this knows qop `auth` and none: a challenge that offers `auth-int` alone is not answered.
Beyond it, each challenge of a reply is tried in turn (RFC 8760 §2.4), and SHA-256 and SHA-512-256 are known.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final, NamedTuple

from kahea.sip.digest import ALGORITHMS, Challenge, Credentials, digest, ha1, parse_challenge, response_of
from kahea.sip.errors import ParseError
from kahea.sip.message import H_PROXYAUTHENTICATE, H_WWWAUTHENTICATE, Message

#: By status: the header of the challenge, and the name of the one that answers it.
_HEADERS: Final = {
    401: (H_WWWAUTHENTICATE, b"Authorization"),
    407: (H_PROXYAUTHENTICATE, b"Proxy-Authorization"),
}


class Login(NamedTuple):
    """What proves a user: `secret` is the password, or HA1 of user, realm and password."""

    user: bytes
    secret: bytes
    is_ha1: bool = False


#: Gives the login for a realm, None if there is none.
Find = Callable[[bytes], Login | None]


class NoAnswer(Exception):
    """A challenge that can't be answered; the text is for the log."""


def authorization(reply: Message, find: Find, method: bytes, uri: bytes) -> bytes:
    """The header line, with its end, for the first challenge of a reply that can be answered. Raises NoAnswer."""
    if reply.status not in _HEADERS:
        raise NoAnswer(f"a {reply.status} is no challenge")
    kind, name = _HEADERS[reply.status]
    headers = reply.headers_of(kind)
    if not headers:
        raise NoAnswer(f"the {reply.status} has no challenge")
    why: list[str] = []
    for header in headers:
        try:
            answer = _answer(parse_challenge(header.body), find, method, uri)
        except (NoAnswer, ParseError) as error:
            why.append(str(error))
        else:
            return b"%b: %b\r\n" % (name, answer.format())
    raise NoAnswer("; ".join(why))


def _answer(challenge: Challenge, find: Find, method: bytes, uri: bytes) -> Credentials:
    if challenge.scheme.lower() != b"digest" or not challenge.realm or not challenge.nonce:
        raise NoAnswer("not a digest challenge with realm and nonce")
    algorithm = challenge.algorithm.lower()
    if algorithm not in ALGORITHMS:
        raise NoAnswer(f"the algorithm {challenge.algorithm!r} is not known")
    if challenge.qops and b"auth" not in challenge.qops:
        raise NoAnswer(f"of the qops {challenge.qops} none is known")
    login = find(challenge.realm)
    if login is None:
        raise NoAnswer(f"no login for the realm {challenge.realm!r}")
    secret = login.secret if login.is_ha1 else ha1(algorithm, login.user, challenge.realm, login.secret)
    if len(secret) != len(digest(algorithm, b"")):
        raise NoAnswer(f"the HA1 of {login.user!r} is none of {challenge.algorithm!r}")
    fields = {b"username": login.user, b"realm": challenge.realm, b"nonce": challenge.nonce, b"uri": uri}
    if opaque := challenge.fields.get(b"opaque"):
        fields[b"opaque"] = opaque
    if challenge.qops:
        fields |= {b"qop": b"auth", b"nc": b"00000001", b"cnonce": os.urandom(8).hex().encode()}
    fields |= {b"response": b"", b"algorithm": algorithm.upper()}
    credentials = Credentials(b"Digest", fields)
    fields[b"response"] = response_of(credentials, method, secret)
    return credentials


__all__ = ["Find", "Login", "NoAnswer", "authorization"]
