"""Certificates for tests, made by openssl: an authority, whom it signed for, and whom it did not."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

OPENSSL = shutil.which("openssl")


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files (PEM): the authority's certificate, and of each of the others certificate and key. The one of `expired` is
    no longer valid; `client` is somebody who asks."""

    authority: str
    server: tuple[str, str]
    stranger: tuple[str, str]
    expired: tuple[str, str]
    client: tuple[str, str]


def make(folder: Path, host: str = "IP:127.0.0.1") -> Certificates:
    """Make them for a server at `host`."""
    ca = _signed_by_itself(folder, "authority", "")
    return Certificates(
        ca[0],
        _signed_by(ca, folder, "server", host),
        _signed_by_itself(folder, "stranger", host),
        _signed_by(ca, folder, "expired", host, days=-1),
        _signed_by(ca, folder, "client", "URI:urn:client"),
    )


def _signed_by(ca: tuple[str, str], folder: Path, name: str, host: str, days: int = 2) -> tuple[str, str]:
    certificate, key, request = (str(folder / f"{name}.{ending}") for ending in ("pem", "key", "csr"))
    _run("req", "-new", *_key(key), "-subj", f"/CN={name}", "-out", request)
    names = folder / f"{name}.names"
    names.write_text(f"subjectAltName={host}\n")
    _run("x509", "-req", "-in", request, "-CA", ca[0], "-CAkey", ca[1], "-CAcreateserial", "-days", str(days), "-out",
         certificate, "-extfile", str(names))  # fmt: skip
    return certificate, key


def _key(path: str) -> tuple[str, ...]:
    return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path


def _signed_by_itself(folder: Path, name: str, host: str) -> tuple[str, str]:
    certificate, key = str(folder / f"{name}.pem"), str(folder / f"{name}.key")
    names = ("-addext", f"subjectAltName={host}") if host else ()
    _run("req", "-x509", *_key(key), "-days", "2", "-subj", f"/CN={name}", "-out", certificate, *names)
    return certificate, key


def _run(*words: str) -> None:
    assert OPENSSL is not None
    subprocess.run([OPENSSL, *words], check=True, capture_output=True)
