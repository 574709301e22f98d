"""How user agents answer challenges (RFC 3261 §22, RFC 7616): apart from the engine's own digest on purpose, as its
messages are."""

from __future__ import annotations

import hashlib
import re

from kahea.testing.message import SipMessage

#: Headers of a challenge, and of the answer to it, by the status of the reply.
HEADERS = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}

_FIELD = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
_ALGORITHMS = {"md5": "md5", "sha-256": "sha256", "sha-512-256": "sha512_256"}


def answer(reply: SipMessage, request: SipMessage, user: str, password: str, cnonce: str) -> tuple[str, str] | None:
    """The header that answers the first challenge of a reply that can be answered; None where there is none."""
    asked, answered = HEADERS[reply.status]
    for challenge in reply.all(asked):
        fields = {name.lower(): quoted or bare for name, quoted, bare in _FIELD.findall(challenge)}
        algorithm = fields.get("algorithm", "MD5")
        if challenge[:7].lower() == "digest " and algorithm.lower() in _ALGORITHMS and "nonce" in fields:
            return answered, "Digest " + _credentials(fields, algorithm, request, user, password, cnonce)
    return None


def _credentials(
    fields: dict[str, str], algorithm: str, request: SipMessage, user: str, password: str, cnonce: str
) -> str:
    def digest(*parts: str) -> str:
        name = _ALGORITHMS[algorithm.lower()]
        return hashlib.new(name, ":".join(parts).encode(), usedforsecurity=False).hexdigest()

    realm, nonce = fields.get("realm", ""), fields["nonce"]
    middle = [nonce]
    said = {"username": user, "realm": realm, "nonce": nonce, "uri": request.uri}
    bare = {"algorithm": algorithm}
    if "auth" in re.split(r"[\s,]+", fields.get("qop", "")):
        middle += ["00000001", cnonce, "auth"]
        said["cnonce"] = cnonce
        bare |= {"qop": "auth", "nc": "00000001"}
    said["response"] = digest(digest(user, realm, password), *middle, digest(request.method, request.uri))
    if "opaque" in fields:
        said["opaque"] = fields["opaque"]
    return ", ".join([*(f'{name}="{value}"' for name, value in said.items()), *(f"{n}={v}" for n, v in bare.items())])
