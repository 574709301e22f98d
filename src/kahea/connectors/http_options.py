"""How an HTTP request is to be made, for the modules that offer it as parameters: no I/O, quick to import."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

# Ways to prove who asks, as libcurl numbers them.
BASIC: Final = 1
DIGEST: Final = 2

#: libcurl's numbers of TLS versions: each is the least that is accepted.
TLS_VERSIONS: Final = {"DEFAULT": 0, "TLSV1": 1, "SSLV2": 2, "SSLV3": 3, "TLSV1.0": 4, "TLSV1.1": 5, "TLSV1.2": 6}

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@dataclass(frozen=True, slots=True)
class Tls:
    """How a server is verified, and what we show it. Paths are of PEM files."""

    verify_peer: bool = True
    verify_host: bool = True
    ca_file: str = ""
    ca_path: str = ""
    client_cert: str = ""
    client_key: str = ""
    ciphers: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class Options:
    """What one request may take, and how it connects.

    `timeout` is in seconds for all of it, 0 for none; `max_size` cuts the answer after so many bytes, 0 for the
    client's own bound. `proxy` is a URL. `keep`: connections are kept for further requests.
    """

    timeout: float = 4.0
    max_size: int = 0
    redirects: bool = False
    user_agent: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    auth: int = BASIC | DIGEST
    proxy: str = ""
    interface: str = ""
    keep: bool = True
    tls: Tls = Tls()


def tls_version(value: int | str) -> int:
    """A TLS version by number or name. Raises ValueError for one that this machine's TLS has no more."""
    text = str(value).strip().upper()
    number = TLS_VERSIONS.get(text, int(text) if text.isdigit() else -1)
    if number in (2, 3):
        raise ValueError("SSLv2 and SSLv3 are insecure and not supported")
    if not 0 <= number <= 6:
        raise ValueError(f"{value!r} is no TLS version: 0 to 6")
    return number


def auth_methods(value: int) -> int:
    """Which ways of authentication may be used. Raises ValueError if none of them is supported."""
    if not value & (BASIC | DIGEST):
        raise ValueError("only Basic (1) and Digest (2) are supported")
    return value & (BASIC | DIGEST)


def header_lines(text: str) -> list[tuple[str, str]]:
    """Header lines as pairs. A line that is none is left out, as libcurl does; a line that begins with a space goes on
    with the one before it (a folded header of a SIP message)."""
    found: list[tuple[str, str]] = []
    if not text.isascii():
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    for line in re.split(r"\r\n|\r|\n", text):
        if line[:1] in (" ", "\t"):
            if found:
                found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
            continue
        name, colon, value = line.partition(":")
        value = value.strip(" \t")
        if colon and value and _TOKEN.fullmatch(name) and "\0" not in value:
            found.append((name, value))
    return found
