"""`@tls...`: the session and the certificates of a message's connection, in the spellings that Kamailio 5.6.3 takes."""

from __future__ import annotations

from typing import Final

from kahea.modules.tls.variables import ASKED, SELECTED, Ask, bound_to
from kahea.routing.pv import Bound, PvError
from kahea.routing.pv.select_roots import Steps

#: Of the session, by what follows `@tls`.
_SESSION: Final = {
    (): "description",
    ("desc",): "description",
    ("description",): "description",
    ("version",): "version",
    ("cipher",): "cipher_info",
    ("cipher", "bits"): "cipher_bits",
    ("server_name",): "peer_server_name",
}
_WHOSE: Final = {"peer": "peer", "my": "my", "me": "my", "myself": "my"}
#: Of a certificate, by the end of a variable's name.
_SPELLINGS: Final = {
    "version": "version",
    "serial": "sn serialNumber",
    "verified": "verified",
    "expired": "expired",
    "revoked": "revoked",
    "selfsigned": "self_signed",
    "notBefore": "notBefore notbefore not_before",
    "notAfter": "notAfter notafter not_after",
    "raw_cert": "raw_cert",
    "urlencoded_cert": "urlencoded_cert",
    "san_email": "email emailAddress email_address",
    "san_hostname": "host hostname dns",
    "san_uri": "uri url urn",
    "san_ip": "ip IPAddress ip_address",
}
_PARTS: Final = {
    "cn": "cn CN commonName common_name name",
    "organization": "o O organization organizationName organization_name",
    "unit": "ou OU unit organizationalUnitName organizational_unit_name",
    "country": "c C country countryName country_name",
    "state": "st ST state stateOrProvinceName state_or_province_name",
    "locality": "l L locality localityName locality_name",
    "uid": "uid UID uniqueIdentifier",
}


def _inverted(spellings: dict[str, str]) -> dict[str, str]:
    return {word: name for name, words in spellings.items() for word in words.split()}


_OF_CERTIFICATE: Final = _inverted(_SPELLINGS)
_OF_NAME: Final = _inverted(_PARTS)


def _meaning(words: tuple[str, ...]) -> str:
    """The name of a variable that has the same; "" if there is none."""
    if words in _SESSION:
        return _SESSION[words]
    whose = _WHOSE.get(words[0], "")
    match words[1:]:
        case _ if not whose:
            return ""
        case () | ("subject",):
            return f"{whose}_subject_cn"
        case ("issuer",):
            return f"{whose}_issuer_cn"
        case (("subject" | "issuer") as name, part):
            return f"{whose}_{name}_{_OF_NAME[part]}" if part in _OF_NAME else ""
        case (word,):
            return f"{whose}_{_OF_CERTIFICATE[word]}" if word in _OF_CERTIFICATE else ""
    return ""


def _nothing(_connection: object) -> None:
    """What only a peer's certificate has, of our own."""


def select(steps: Steps) -> Bound:
    """What follows `@tls`. Raises PvError."""
    words = tuple(name for name, _ in steps)
    meaning = _meaning(words)
    if not meaning or any(index is not None for _, index in steps):
        raise PvError(f"there is no select @{'.'.join(('tls', *words))}")
    ask: Ask = ASKED.get(meaning) or SELECTED.get(meaning) or _nothing
    return Bound(bound_to(ask))
