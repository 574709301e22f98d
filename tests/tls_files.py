"""Certificates and keys for tests of TLS, made in a moment: an authority, and whoever it signs for."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_NOW = datetime.now(UTC)
_PARTS = {
    "C": NameOID.COUNTRY_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "L": NameOID.LOCALITY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
    "UID": NameOID.USER_ID,
    "emailAddress": NameOID.EMAIL_ADDRESS,
}
_KINDS = {"DNS": x509.DNSName, "URI": x509.UniformResourceIdentifier, "email": x509.RFC822Name}


@dataclass(frozen=True, slots=True)
class Files:
    """One certificate (PEM), its key, and what there is of both."""

    certificate: Path
    key: Path
    made: x509.Certificate


class Authority:
    """Signs certificates; `files` are its own."""

    def __init__(self, folder: Path, name: str = "authority", *, by: Authority | None = None) -> None:
        """`by` another, or itself."""
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.files = self._write(name, self.key, f"CN={name}", (), 1, issuer=by, authority=True)

    def sign(self, name: str, subject: str = "", names: Sequence[str] = (), *, days: int = 2) -> Files:
        """A certificate for `subject` (`C=DE,CN=alice`), with alternative names (`DNS:a.example`); negative `days` have
        it expired."""
        return self._write(name, ec.generate_private_key(ec.SECP256R1()), subject or f"CN={name}", names, days, self)

    def _write(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        subject: str,
        names: Sequence[str],
        days: int,
        issuer: Authority | None,
        authority: bool = False,
    ) -> Files:
        parts = [x509.NameAttribute(_PARTS[k], v) for k, v in (part.split("=") for part in subject.split(","))]
        full = x509.Name(parts)
        builder = (
            x509.CertificateBuilder()
            .subject_name(full)
            .issuer_name(issuer.files.made.subject if issuer is not None else full)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(_NOW - timedelta(days=9))
            .not_valid_after(_NOW + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_name(one) for one in names]), critical=False)
        made = builder.sign(issuer.key if issuer is not None else key, hashes.SHA256())
        certificate, file = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        file.write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))
        return Files(certificate, file, made)

    def revoke(self, *files: Files) -> Path:
        """A list of revoked certificates."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.files.made.subject)
        builder = builder.last_update(_NOW - timedelta(days=1)).next_update(_NOW + timedelta(days=1))
        for one in files:
            entry = x509.RevokedCertificateBuilder().serial_number(one.made.serial_number).revocation_date(_NOW)
            builder = builder.add_revoked_certificate(entry.build())
        path = self.folder / "crl.pem"
        path.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return path


def _name(text: str) -> x509.GeneralName:
    kind, _, value = text.partition(":")
    return x509.IPAddress(ipaddress.ip_address(value)) if kind == "IP" else _KINDS[kind](value)
