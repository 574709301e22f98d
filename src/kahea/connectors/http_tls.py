"""TLS of HTTP requests: from settings to a context."""

from __future__ import annotations

import ssl
from typing import Final

from kahea.connectors.http_errors import CA_CERTIFICATE, CIPHER, LOCAL_CERTIFICATE, HttpError
from kahea.connectors.http_options import Tls

#: What libcurl's numbers of versions ask for at least; the others leave it to OpenSSL's own policy.
_LEAST_VERSION: Final = {4: ssl.TLSVersion.TLSv1, 5: ssl.TLSVersion.TLSv1_1, 6: ssl.TLSVersion.TLSv1_2}


def client_context(tls: Tls) -> ssl.SSLContext:
    """The context for connections with these settings. Raises HttpError for files and ciphers that can't be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = tls.verify_peer and tls.verify_host
    context.verify_mode = ssl.CERT_REQUIRED if tls.verify_peer else ssl.CERT_NONE
    if tls.version in _LEAST_VERSION:
        context.minimum_version = _LEAST_VERSION[tls.version]
    try:
        if tls.ca_file or tls.ca_path:
            context.load_verify_locations(tls.ca_file or None, tls.ca_path or None)
        elif tls.verify_peer:
            context.load_default_certs()
    except OSError as error:
        raise HttpError(CA_CERTIFICATE, f"{tls.ca_file or tls.ca_path}: {error}") from error
    try:
        if tls.client_cert:
            context.load_cert_chain(tls.client_cert, tls.client_key or None)
    except OSError as error:
        raise HttpError(LOCAL_CERTIFICATE, f"{tls.client_cert}: {error}") from error
    try:
        if tls.ciphers:
            context.set_ciphers(tls.ciphers)
    except OSError as error:
        raise HttpError(CIPHER, f"{tls.ciphers}: {error}") from error
    return context
