"""One account with another server: a row of Kamailio's table uacreg (version 5), or what `uac.reg_add` was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from kahea.modules.uac.answering import Login
from kahea.modules.uac.cookie import UNSAFE
from kahea.routing.text import wire
from kahea.sip.errors import ParseError
from kahea.sip.uri import parse_uri

#: Digits of HA1 by MD5, and by the algorithms with 256 bits.
_HA1_SIZES: Final = (32, 64)
#: What must not be empty.
_NEEDED: Final = (
    "l_uuid", "l_username", "l_domain", "r_username", "r_domain", "auth_username", "auth_proxy",
)  # fmt: skip
#: What becomes a part of URIs, and must not end one.
_OF_URIS: Final = ("l_uuid", "l_username", "l_domain", "r_username", "r_domain", "auth_proxy", "contact_addr")


@dataclass(frozen=True, slots=True)
class Account:
    """Whom to register where, and how. Times are seconds. Raises ValueError for what can't be registered.

    `contact_addr` is host, port and parameters of the Contact, whose user is `l_uuid`. `flags` is the row's: 1 for an
    account that is disabled.
    """

    l_uuid: str
    l_username: str
    l_domain: str
    r_username: str
    r_domain: str
    realm: str
    auth_username: str
    auth_password: str
    auth_ha1: str
    auth_proxy: str
    expires: int
    flags: int
    reg_delay: int
    contact_addr: str
    socket: str

    def __post_init__(self) -> None:
        for name in _NEEDED:
            if not getattr(self, name):
                raise ValueError(f"{name} is empty")
        for name in _OF_URIS:
            if UNSAFE.search(wire(getattr(self, name))):
                raise ValueError(f"{name} has a character that is in no URI")
        for name in ("realm", "auth_username"):
            if any(c < " " for c in getattr(self, name)):
                raise ValueError(f"{name} has a control character")
        if not self.auth_password and not self.auth_ha1:
            raise ValueError("there is neither auth_password nor auth_ha1")
        if self.auth_ha1 and len(self.auth_ha1) not in _HA1_SIZES:
            raise ValueError("auth_ha1 is no HA1: that has 32 digits, or 64")
        for uri in (self.registrar, self.address, self.contact, self.auth_proxy):
            try:
                parse_uri(wire(uri))
            except ParseError as error:
                raise ValueError(f"{uri!r} is no URI: {error}") from error

    @property
    def registrar(self) -> str:
        """The Request-URI of its REGISTERs."""
        return f"sip:{self.r_domain}"

    @property
    def address(self) -> str:
        """Its address of record there."""
        return f"sip:{self.r_username}@{self.r_domain}"

    @property
    def local(self) -> str:
        """Whom its calls are for here."""
        return f"sip:{self.l_username}@{self.l_domain}"

    @property
    def contact(self) -> str:
        """Where it is reached."""
        return f"sip:{self.l_uuid}@{self.contact_addr}"

    def login(self, realm: bytes) -> Login | None:
        """What proves it in a realm, HA1 before the password; None in one that is not its own."""
        if self.realm and wire(self.realm) != realm:
            return None
        return Login(wire(self.auth_username), wire(self.auth_ha1 or self.auth_password), bool(self.auth_ha1))


COLUMNS: Final = tuple(field.name for field in fields(Account))
NUMBERS: Final = ("expires", "flags", "reg_delay")


def read_account(row: Mapping[str, object], contact_addr: str) -> Account:
    """The account of a row; `contact_addr` where it names none of its own. Raises ValueError."""
    values: dict[str, object] = {}
    for name in COLUMNS:
        value = row[name]
        if name in NUMBERS:
            try:
                values[name] = max(0, int(str(value or 0)))
            except ValueError:
                raise ValueError(f"{name} is no number: {value!r}") from None
        else:
            values[name] = "" if value is None else str(value)
    values["contact_addr"] = values["contact_addr"] or contact_addr
    # It is hashed as text, in which its digits are lower-case ones (RFC 7616 §3.4.1).
    values["auth_ha1"] = str(values["auth_ha1"]).lower()
    return Account(**values)  # type: ignore[arg-type]


__all__ = ["COLUMNS", "NUMBERS", "Account", "read_account"]
