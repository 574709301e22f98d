"""What DNS answers look like here: records as plain values, names checked, failures as one exception."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

#: Types that `Resolver.query` asks for, and what their records are.
KINDS = frozenset({"A", "AAAA", "CNAME", "MX", "NAPTR", "NS", "PTR", "SRV", "TXT"})

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")


class ResolveError(OSError):
    """A name that leads nowhere now; the text says why. An OSError, as the system's resolver raises."""


class Srv(NamedTuple):
    """A service's host (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


class Naptr(NamedTuple):
    """A rewriting rule (RFC 3403 §4.1)."""

    order: int
    preference: int
    flags: str
    service: str
    regexp: str
    replacement: str


class Mx(NamedTuple):
    """A mail exchange (RFC 1035 §3.3.9)."""

    preference: int
    exchange: str


#: A, AAAA: the IP address as text. CNAME, NS, PTR: the name. TXT: the strings of the record, joined.
Record: TypeAlias = str | bytes | Srv | Naptr | Mx
Query: TypeAlias = tuple[str, str]  # name, type


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question brought: `records`, none if there are none, or why there is no answer (`error`)."""

    records: tuple[Record, ...] = ()
    ttl: float = 0
    error: str = ""


def dns_name(text: bytes | str) -> str:
    """A host name in lower case without its final dot; raises ResolveError for what can't be one.

    Letters, digits, hyphens and underscores: bytes off the wire get no further.
    """
    name = text.decode("ascii", "replace") if isinstance(text, bytes) else text
    name = name.lower().removesuffix(".")
    if not name or len(name) > 253 or not all(_LABEL.match(label) for label in name.split(".")):
        raise ResolveError(f"{name[:64]!r} is no host name")
    return name
