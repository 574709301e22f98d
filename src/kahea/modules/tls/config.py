"""The file of TLS profiles (tls.cfg): sections `[server:ADDRESS]` and `[client:ADDRESS]`, and what may stand in them.

    [server:default]            # also: any, or an address with a port; IPv6 in brackets
    method = TLSv1.2+
    certificate = "/etc/kahea/cert.pem"

A folder of such files will do, too. Sections and options may be in capitals. The module's parameters have no say in
what a section leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from kahea.net.address import Address
from kahea.net.tls_profiles import METHODS, Profile, ProfileError
from kahea.routing.module import ConfigError

_SECTION: Final = re.compile(r"\[\s*(\w+)\s*:\s*(\[[^\]]*\]:\d+|[^\]\s]+)\s*\]\s*(?:#.*)?")
_OPTION: Final = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^#"]*?))\s*(?:#.*)?')
_ADDRESS: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|\d+\.\d+\.\d+\.\d+):(\d{1,5})")
_YES: Final = ("1", "yes", "true", "on", "enable", "enabled")
_NO: Final = ("0", "no", "false", "off", "disable", "disabled")

#: By the values of `verify_client`: whether a client's certificate must be good, and whether there must be one.
_CLIENTS: Final = {"off": (False, False), "optional": (True, False), "on": (True, True)}


def known_method(value: str) -> str:
    """A TLS method under the name that Kamailio's page has. Raises ValueError."""
    for name in METHODS:
        if name.lower() == value.lower():
            return name
    if value.lower() in ("sslv2", "sslv3"):
        raise ValueError(f"{value} is broken, and OpenSSL has it no more")
    raise ValueError(f"{value!r} is no TLS method: {', '.join(METHODS)}")


def client_demands(value: str) -> tuple[bool, bool]:
    """What `verify_client` asks: that a certificate be good, that there be one. Raises ValueError."""
    word = value.lower()
    if word == "optional_no_ca":
        raise ValueError(
            "optional_no_ca takes certificates that nobody vouches for, which Python's ssl can't be told to"
        )
    if word not in _CLIENTS:
        raise ValueError(f"{value!r} is none of off, on, optional")
    return _CLIENTS[word]


def _boolean(value: str) -> bool:
    word = value.lower()
    if word not in _YES and word not in _NO:
        raise ValueError(f"{value!r} is neither yes nor no")
    return word in _YES


def _number(value: str) -> int:
    if not re.fullmatch(r"-?\d{1,9}", value):
        raise ValueError(f"{value!r} is no number")
    return int(value)


#: Where a section begins, for errors, and the fields of its profile.
Section = tuple[str, dict[str, Any]]


def read_profiles(
    path: Path, common: Mapping[str, Any], server: Mapping[str, Any], file: Callable[[str], str]
) -> list[Profile]:
    """The profiles of a file, or of all files in a folder by their names, with the two defaults.

    `common` has fields of all, `server` those that a server's section may leave out; `file` makes a path absolute.
    Raises ConfigError with file and line.
    """
    try:
        files = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    sections = [section for one in files for section in _sections(one, file)]
    for role in ("server", "client"):
        if not any(fields["default"] and fields["server"] == (role == "server") for _, fields in sections):
            sections.append((str(path), _section(f"[{role}:default]")))
    found = []
    for place, fields in sections:
        given = {"method": "TLSv1+", **common, **(server if fields["server"] else {})}
        try:
            found.append(_profile(fields, given))
        except ProfileError as error:
            raise ConfigError(f"{place}: {error}") from error
    return found


def _sections(path: Path, file: Callable[[str], str]) -> list[Section]:
    """The sections of one file. Raises ConfigError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    sections: list[Section] = []
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        try:
            if line.startswith("["):
                sections.append((f"{path}:{number}", _section(line)))
            elif sections:
                sections[-1][1].update(_option(line, file))
            else:
                raise ValueError("an option stands before the first section")
        except ValueError as error:
            raise ConfigError(f"{path}:{number}: {error}") from error
    return sections


def _section(line: str) -> dict[str, Any]:
    match = _SECTION.fullmatch(line)
    if match is None:
        raise ValueError(f"{line} is no section: [server:ADDRESS:PORT], [client:default], [server:any]")
    role, where = match[1].lower(), match[2].lower()
    if role not in ("server", "client"):
        raise ValueError(f"a section is of a server or a client, not of {match[1]!r}")
    if where in ("default", "any"):
        return {"server": role == "server", "address": None, "default": where == "default"}
    found = _ADDRESS.fullmatch(where)
    if found is None:
        raise ValueError(f"{match[2]!r} is neither an IP address with its port, nor default or any")
    return {"server": role == "server", "address": Address.of(found[1], int(found[2])), "default": False}


def _option(line: str, file: Callable[[str], str]) -> dict[str, Any]:
    match = _OPTION.fullmatch(line)
    if match is None:
        raise ValueError(f"{line!r} is no option = value")
    name = match[1].lower()
    value = match[3] if match[2] is None else re.sub(r"\\(.)", r"\1", match[2])
    match name:
        case "method" | "tls_method":
            return {"method": known_method(value)}
        case "verify_certificate":
            return {"verify": _boolean(value)}
        case "require_certificate":
            return {"require": _boolean(value)}
        case "verify_client":
            return dict(zip(("verify", "require"), client_demands(value), strict=True))
        case "private_key" | "certificate" | "ca_list" | "ca_path" | "crl":
            return {name: file(value)}
        case "verify_depth" | "server_name_mode":
            return {name: _number(value)}
        case "cipher_list" | "server_name" | "server_id":
            return {name: value}
    raise ValueError(f"there is no option {match[1]!r}")


def _profile(fields: Mapping[str, Any], given: Mapping[str, Any]) -> Profile:
    """Raises ProfileError."""
    if not fields["default"] and fields["address"] is None and not fields.get("server_name") and fields["server"]:
        raise ProfileError("a profile of any address needs a server_name")
    return Profile(**{**given, **fields})
