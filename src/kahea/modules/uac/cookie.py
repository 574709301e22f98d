"""The Record-Route parameter by which either of two URIs gives the other, as Kamailio 5.6.3 was seen to write it.

It is what has to be XORed to one URI to get the other (the shorter one padded with zeros), XORed with the password over
and over if there is one, in Base64 with `-` for `=`.
"""

from __future__ import annotations

import base64
import binascii
import re
from itertools import cycle
from typing import Final

#: What Base64 may be; a URI that is longer than this is none of ours.
_COOKIE: Final = re.compile(rb"[A-Za-z0-9+/]{0,4096}-{0,2}")
#: What a URI must not have in it: it would end there, or end the header.
UNSAFE: Final = re.compile(rb"[\x00-\x20<>\"\x7f]")


def encode(one: bytes, other: bytes, password: bytes) -> bytes:
    """The parameter's value for two URIs."""
    size = max(len(one), len(other))
    mixed = _mixed(_xor(one.ljust(size, b"\0"), other.ljust(size, b"\0")), password)
    return base64.b64encode(mixed).replace(b"=", b"-")


def decode(cookie: bytes, uri: bytes, password: bytes) -> bytes | None:
    """The other URI; None if the parameter does not lead to one."""
    if not _COOKIE.fullmatch(cookie):
        return None
    try:
        mixed = _mixed(base64.b64decode(cookie.replace(b"-", b"=")), password)
    except binascii.Error:
        return None
    if len(mixed) < len(uri):
        return None
    other = _xor(mixed, uri.ljust(len(mixed), b"\0")).rstrip(b"\0")
    return other if other and not UNSAFE.search(other) else None


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _mixed(data: bytes, password: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(data, cycle(password), strict=False)) if password else data
