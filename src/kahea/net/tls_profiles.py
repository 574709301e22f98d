"""Which certificate and which demands a TLS connection gets: profiles, and the choice among them (tls.cfg).

A profile's files are read when its context is made, never while a connection is. Names are matched as Kamailio 5.6.3
was seen to: a server's profiles of the listener's address and of any address stand in one order; without a name from
the client the first of the address counts, with one the first whose name fits, and in both cases the default is what
is left.
"""

from __future__ import annotations

import os
import re
import ssl
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from kahea.net.address import Address

#: By the names of `tls_method`, the least and the newest version.
METHODS: Final[dict[str, tuple[ssl.TLSVersion, ssl.TLSVersion]]] = {
    "SSLv23": (ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.MAXIMUM_SUPPORTED),
    "TLSv1": (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1),
    "TLSv1+": (ssl.TLSVersion.TLSv1, ssl.TLSVersion.MAXIMUM_SUPPORTED),
    "TLSv1.1": (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1),
    "TLSv1.1+": (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.MAXIMUM_SUPPORTED),
    "TLSv1.2": (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2),
    "TLSv1.2+": (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.MAXIMUM_SUPPORTED),
}
_CERTIFICATE: Final = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
#: How a profile's name covers others: itself alone, itself and what is below it, or only that.
EXACT, WITH_SUBDOMAINS, SUBDOMAINS = 0, 1, 2


class ProfileError(ValueError):
    """A profile that can't be used; the text is for the operator."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What one `[server:...]` or `[client:...]` says; paths are absolute, "" is not set.

    `address` None is any; a default profile is one that `Profiles` has as such. `server_name` of a server is the name
    that clients ask for, of a client the one that is asked for. With `tickets` a client may resume a session.
    """

    server: bool
    address: Address | None = None
    default: bool = False
    method: str = "TLSv1"
    certificate: str = ""
    private_key: str = ""
    ca_list: str = ""
    ca_path: str = ""
    crl: str = ""
    verify: bool = False
    require: bool = False
    verify_depth: int = 9
    cipher_list: str = ""
    server_name: str = ""
    server_name_mode: int = EXACT
    server_id: str = ""
    tickets: bool = False
    renegotiation: bool = False
    context: ssl.SSLContext = field(init=False, repr=False, compare=False)
    #: The certificate (DER); b"" for none.
    own_certificate: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the files. Raises ProfileError."""
        object.__setattr__(self, "context", _context(self))
        object.__setattr__(self, "own_certificate", _first_certificate(self.certificate))

    @property
    def title(self) -> str:
        """Its heading in tls.cfg."""
        role = "server" if self.server else "client"
        where = "default" if self.default else "any" if self.address is None else str(self.address)
        return f"[{role}:{where}]"

    @property
    def demands(self) -> ssl.VerifyMode:
        """Whether the peer must have a certificate, and whether it must be good."""
        if not self.verify:
            return ssl.CERT_NONE
        return ssl.CERT_REQUIRED if self.require or not self.server else ssl.CERT_OPTIONAL

    def covers(self, name: str) -> bool:
        """Whether a client's wish for a server `name` (in lower case) means this profile."""
        own = self.server_name.lower()
        below = name.endswith("." + own)
        if self.server_name_mode == WITH_SUBDOMAINS:
            return name == own or below
        return below if self.server_name_mode == SUBDOMAINS else name == own


class Profiles:
    """All profiles of a node, which a reload replaces together."""

    def __init__(self, profiles: Sequence[Profile] = ()) -> None:
        self.all = tuple(profiles)
        self._servers = [p for p in profiles if p.server and not p.default]
        self._clients = [p for p in profiles if not p.server and not p.default]
        self._default_server = next((p for p in profiles if p.server and p.default), None)
        self._default_client = next((p for p in profiles if not p.server and p.default), None)

    def server(self, address: Address, name: str = "") -> Profile | None:
        """For a connection that a listener at `address` accepted, whose client asks for the server `name`."""
        for profile in self._servers:
            if profile.address not in (None, address):
                continue
            if profile.covers(name) if name and profile.server_name else profile.address is not None:
                return profile
        return self._default_server

    def client(self, peer: Address, server_name: str = "", server_id: str = "") -> Profile | None:
        """For a connection that is made to `peer`: by `server_id` if one fits, else by address and name."""
        if server_id:
            for profile in self._clients:
                if profile.server_id == server_id:
                    return profile
        for profile in self._clients:
            if profile.address not in (None, peer):
                continue
            if server_name.lower() == profile.server_name.lower() if server_name else profile.address is not None:
                return profile
        return self._default_client


def _context(profile: Profile) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if profile.server else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    oldest, newest = METHODS[profile.method]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the operator asked for them
        context.minimum_version, context.maximum_version = oldest, newest
    context.verify_mode = profile.demands
    if not profile.renegotiation:
        context.options |= ssl.OP_NO_RENEGOTIATION
    if profile.server and not profile.tickets:
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    try:
        _load(context, profile)
    except ProfileError as error:
        raise ProfileError(f"{profile.title}: {error}") from error
    return context


def _load(context: ssl.SSLContext, profile: Profile) -> None:
    if profile.certificate:
        _check_file(profile.certificate, "certificate")
        key = profile.private_key or profile.certificate
        _check_file(key, "private_key")
        try:
            context.load_cert_chain(profile.certificate, key, password=_no_password)
        except ssl.SSLError as error:
            raise ProfileError(f"certificate {profile.certificate} with private_key {key}: {_why(error)}") from error
    elif profile.server:
        raise ProfileError("a server needs a certificate")
    if profile.ca_list or profile.ca_path:
        if profile.ca_list:
            _check_file(profile.ca_list, "ca_list")
        try:
            context.load_verify_locations(profile.ca_list or None, profile.ca_path or None)
        except (ssl.SSLError, OSError) as error:
            raise ProfileError(f"ca_list {profile.ca_list or profile.ca_path}: {_why(error)}") from error
    if profile.crl:
        _check_file(profile.crl, "crl")
        try:
            context.load_verify_locations(profile.crl)
        except (ssl.SSLError, OSError) as error:
            raise ProfileError(f"crl {profile.crl}: {_why(error)}") from error
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    if profile.cipher_list:
        try:
            context.set_ciphers(profile.cipher_list)
        except ssl.SSLError as error:
            raise ProfileError(f"cipher_list {profile.cipher_list!r}: {_why(error)}") from error


def _first_certificate(path: str) -> bytes:
    """The first certificate in a file that a context has taken."""
    if not path:
        return b""
    with open(path, encoding="latin-1") as file:
        found = _CERTIFICATE.search(file.read())
    return ssl.PEM_cert_to_DER_cert(found[0]) if found else b""


def _check_file(path: str, what: str) -> None:
    """A file's own error, which OpenSSL would not name the file in."""
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        raise ProfileError(f"{what} {path}: {error.strerror}") from error


def _no_password() -> str:
    """Asked for where a key is encrypted; OpenSSL would ask on the terminal."""
    raise ProfileError("the key is encrypted, and a server can't be asked for its password")


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else str(error)
