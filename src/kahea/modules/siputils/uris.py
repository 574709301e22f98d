"""Comparing URIs and reading or changing their parameters, as Kamailio does it."""

from __future__ import annotations

from kahea.sip.message import H_OTHER, header_kind
from kahea.sip.uri import Uri, parse_uri

#: Parameters of which one side may not have a value that the other lacks (RFC 3261 §19.1.4).
_DECISIVE = (b"user", b"ttl", b"method", b"maddr")
#: URI schemes that Kamailio knows.
KNOWN = (b"sip", b"sips", b"tel", b"tels", b"urn")


def params_of(uri: Uri) -> list[tuple[bytes, bytes]]:
    """The URI's parameters in order, names as written, surrounding quotes off the values."""
    if not uri.params:
        return []
    found = []
    for piece in uri.params.split(b";"):
        name, _, value = piece.partition(b"=")
        if len(value) > 1 and value[:1] == value[-1:] == b'"':
            value = value[1:-1]
        found.append((name.strip(), value.strip()))
    return found


def same_uri(a: Uri, b: Uri) -> bool:
    """Whether Kamailio's cmp_uri() finds two URIs equal.

    It is milder than RFC 3261 §19.1.4: headers don't count, a transport that one side leaves open neither.
    """
    if (
        a.scheme != b.scheme
        or a.user != b.user
        or a.password != b.password
        or a.port != b.port
        or a.host.lower() != b.host.lower()
    ):
        return False
    mine = {name.lower(): value.lower() for name, value in reversed(params_of(a))}
    theirs = {name.lower(): value.lower() for name, value in reversed(params_of(b))}
    if (mine.get(b"user") == b"phone") != (theirs.get(b"user") == b"phone"):
        return False
    if not mine or not theirs:
        return not any(mine.get(name) or theirs.get(name) for name in _DECISIVE)
    return all(theirs.get(name, value) == value for name, value in mine.items())


def same_aor(a: Uri, b: Uri) -> bool:
    """Whether two URIs are one address of record: user, host, and port where it is not the default."""
    return a.user == b.user and (a.port or 5060) == (b.port or 5060) and a.host.lower() == b.host.lower()


def same_header_name(a: bytes, b: bytes) -> bool:
    """Whether two header names mean one header, compact forms included; a colon at the end may stand."""
    a, b = a.rstrip(b": \t"), b.rstrip(b": \t")
    if not a or not b:
        return False
    kind = header_kind(a)
    return kind == header_kind(b) if kind != H_OTHER else a.lower() == b.lower()


def without_param(uri: Uri, name: bytes) -> bytes:
    """The URI's text without the last parameter of this name, whatever its case."""
    pieces = uri.params.split(b";") if uri.params else []
    for at in range(len(pieces) - 1, -1, -1):
        if pieces[at].partition(b"=")[0].strip().lower() == name.lower():
            del pieces[at]
            return uri.replaced(params=b";".join(pieces))
    return uri.raw


def with_param(text: bytes, param: bytes) -> bytes:
    """The URI's text with one more parameter, before its headers. Raises ParseError."""
    uri = parse_uri(text)
    return uri.replaced(params=uri.params + b";" + param if uri.params else param)
