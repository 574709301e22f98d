"""Which certificate and which demands a TLS connection gets: profiles, and the choice among them (tls.cfg).

A profile's files are read when its contexts are made, never while a connection is. Profiles are chosen as Kamailio
5.6.3 was seen to: the last that fits, of those for the address and for any, else the default. For a server's client
that asks for no name, the last for the address fits; for one that does, those whose name covers it, or that have none.
The protocol's version is agreed by the profile that a client without a name would get.

What that Kamailio does not do, though its page says so, is done here: a client's profile for an address holds for
connections to it.
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
    #: What sessions are made by, for each method that they may have begun with; its own is always there.
    contexts: dict[str, ssl.SSLContext] = field(init=False, repr=False, compare=False)
    #: The certificate (DER); b"" for none.
    own_certificate: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the files. Raises ProfileError."""
        object.__setattr__(self, "contexts", {self.method: _context(self, self.method)})
        object.__setattr__(self, "own_certificate", _first_certificate(self.certificate))

    def prepare(self, method: str) -> None:
        """Make the context for sessions that begin with another profile's method. Raises ProfileError."""
        if method not in self.contexts:
            self.contexts[method] = _context(self, method)

    @property
    def title(self) -> str:
        """Its heading in tls.cfg."""
        role = "server" if self.server else "client"
        where = "default" if self.default else "any" if self.address is None else str(self.address)
        return f"[{role}:{where}]"

    @property
    def demands(self) -> ssl.VerifyMode:
        """Whether the peer must have a certificate, and whether it must be good."""
        if self.require if self.server else self.verify:
            return ssl.CERT_REQUIRED
        return ssl.CERT_OPTIONAL if self.server and self.verify else ssl.CERT_NONE

    @property
    def verifies(self) -> bool:
        """Whether a certificate that the peer has is checked."""
        return self.demands is not ssl.CERT_NONE

    def covers(self, name: str) -> bool:
        """Whether a client's wish for a server `name` (in lower case) may mean this profile."""
        own = self.server_name.lower()
        if not own:
            return True
        below = name.endswith("." + own)
        if self.server_name_mode == WITH_SUBDOMAINS:
            return name == own or below
        return below if self.server_name_mode == SUBDOMAINS else name == own


class Profiles:
    """All profiles of a node, which a reload replaces together."""

    def __init__(self, profiles: Sequence[Profile] = ()) -> None:
        """Raises ProfileError for two that nothing tells apart."""
        self.all = tuple(profiles)
        seen = set()
        for profile in profiles:
            key = profile.server, profile.default, profile.address, profile.server_name.lower()
            if key in seen and (profile.default or not profile.server_name):
                raise ProfileError(f"{profile.title}: there is one already, and no server_name tells them apart")
            seen.add(key)
        self._servers = [p for p in reversed(profiles) if p.server and not p.default]
        self._clients = [p for p in reversed(profiles) if not p.server and not p.default]
        self._default_server = next((p for p in profiles if p.server and p.default), None)
        self._default_client = next((p for p in profiles if not p.server and p.default), None)
        for method in {p.method for p in profiles if p.server and (p.default or p.address is not None)}:
            for profile in profiles:
                if profile.server:
                    profile.prepare(method)

    def server(self, address: Address, name: str) -> tuple[Profile, ssl.SSLContext] | None:
        """For a connection that a listener at `address` accepted, whose client asks for the server `name`; "" if it
        asks for none. None if there is no profile for it."""
        first = self._accepting(address, "")
        profile = self._accepting(address, name)
        if profile is None:
            return None
        return profile, profile.contexts[(first or profile).method]

    def _accepting(self, address: Address, name: str) -> Profile | None:
        for profile in self._servers:
            if name:
                fits = profile.address in (None, address) and profile.covers(name)
            else:
                fits = profile.address == address
            if fits:
                return profile
        return self._default_server

    def client(self, peer: Address, server_name: str = "", server_id: str = "") -> Profile | None:
        """For a connection that is made to `peer`, to be told from others by the names if they are not ""."""
        name = server_name.lower()
        for profile in self._clients:
            if server_id and profile.server_id == server_id:
                return profile
            if name and profile.address in (None, peer) and profile.server_name.lower() == name:
                return profile
        for profile in self._clients:
            if profile.address == peer and not (name and profile.server_name):
                return profile
        return self._default_client


def _context(profile: Profile, method: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if profile.server else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    oldest, newest = METHODS[method]
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
    return str(reason).lower().replace("_", " ") if reason else str(error.args[-1])
