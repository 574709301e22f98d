"""What scripts see of a certificate (X.509, RFC 5280), as text in OpenSSL's forms."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
#: The parts of a name that variables ask for.
PARTS: Final[dict[str, ObjectIdentifier]] = {
    "cn": NameOID.COMMON_NAME,
    "country": NameOID.COUNTRY_NAME,
    "locality": NameOID.LOCALITY_NAME,
    "organization": NameOID.ORGANIZATION_NAME,
    "state": NameOID.STATE_OR_PROVINCE_NAME,
    "uid": NameOID.USER_ID,
    "unit": NameOID.ORGANIZATIONAL_UNIT_NAME,
}
#: OpenSSL's short names of what stands in subjects; others are written by their number.
_SHORT: Final[dict[ObjectIdentifier, str]] = {
    NameOID.COMMON_NAME: "CN",
    NameOID.COUNTRY_NAME: "C",
    NameOID.LOCALITY_NAME: "L",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.STATE_OR_PROVINCE_NAME: "ST",
    NameOID.USER_ID: "UID",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.EMAIL_ADDRESS: "emailAddress",
    NameOID.DOMAIN_COMPONENT: "DC",
    NameOID.SERIAL_NUMBER: "serialNumber",
    NameOID.GIVEN_NAME: "GN",
    NameOID.SURNAME: "SN",
    NameOID.TITLE: "title",
    NameOID.STREET_ADDRESS: "street",
}
_ESCAPES: Final = re.compile("%[0-9A-F]{2}")
_ALTERNATIVES: Final[dict[str, type[x509.GeneralName]]] = {
    "email": x509.RFC822Name,
    "hostname": x509.DNSName,
    "ip": x509.IPAddress,
    "uri": x509.UniformResourceIdentifier,
}


class Certificate:
    """One certificate, read from DER."""

    def __init__(self, der: bytes) -> None:
        """Raises ValueError."""
        self._x509 = x509.load_der_x509_certificate(der)

    @property
    def version(self) -> str:
        """As it stands in the certificate: "2" is version 3."""
        return str(self._x509.version.value)

    @property
    def serial(self) -> str:
        """Its number, in decimal."""
        return str(self._x509.serial_number)

    @property
    def not_before(self) -> str:
        """From when it is valid, as `Dec  5 11:39:56 2026 GMT`."""
        return _date(self._x509.not_valid_before_utc)

    @property
    def not_after(self) -> str:
        """Until when it is valid."""
        return _date(self._x509.not_valid_after_utc)

    @property
    def pem(self) -> str:
        """The whole, as text."""
        return self._x509.public_bytes(Encoding.PEM).decode("ascii")

    @property
    def quoted(self) -> str:
        """The whole, as text for a URL."""
        return _ESCAPES.sub(lambda found: found[0].lower(), quote(self.pem, safe=""))

    def subject(self, part: str) -> str | None:
        """The first of a part of the subject."""
        return _part(self._x509.subject, part)

    def issuer(self, part: str) -> str | None:
        """The first of a part of the issuer."""
        return _part(self._x509.issuer, part)

    @property
    def subject_line(self) -> str:
        """The subject, as `/C=DE/CN=alice`."""
        return _line(self._x509.subject)

    @property
    def issuer_line(self) -> str:
        """The issuer on one line."""
        return _line(self._x509.issuer)

    def alternatives(self, kind: str) -> list[str]:
        """The subject's alternative names of a kind: `email`, `hostname`, `ip` or `uri`."""
        try:
            names = self._x509.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (x509.ExtensionNotFound, ValueError):
            return []
        return [str(name.value) for name in names if isinstance(name, _ALTERNATIVES[kind])]


@lru_cache(maxsize=256)
def certificate(der: bytes) -> Certificate | None:
    """A certificate as it came off the wire; None for one that can't be read."""
    try:
        return Certificate(der)
    except ValueError:
        return None


def _part(name: x509.Name, part: str) -> str | None:
    found = name.get_attributes_for_oid(PARTS[part])
    return _text(found[0].value) if found else None


def _line(name: x509.Name) -> str:
    return "".join(f"/{_SHORT.get(one.oid, one.oid.dotted_string)}={_text(one.value)}" for one in name)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _date(when: datetime) -> str:
    return f"{_MONTHS[when.month - 1]} {when.day:2d} {when:%H:%M:%S} {when.year} GMT"
