"""What can go wrong with an HTTP request, under libcurl's numbers: scripts written for Kamailio know those.

Kept apart from the client, which takes long to import. The texts are libcurl's own (libcurl-errors).
"""

from __future__ import annotations

from typing import Final

UNSUPPORTED_PROTOCOL: Final = 1
FAILED_SETUP: Final = 2
BAD_URL: Final = 3
NO_PROXY: Final = 5
NO_HOST: Final = 6
NO_CONNECTION: Final = 7
PARTIAL: Final = 18
TOO_LONG: Final = 27
TIMEOUT: Final = 28
TLS_FAILED: Final = 35
INTERFACE: Final = 45
TOO_MANY_REDIRECTS: Final = 47
NOTHING: Final = 52
SEND_FAILED: Final = 55
RECEIVE_FAILED: Final = 56
LOCAL_CERTIFICATE: Final = 58
CIPHER: Final = 59
PEER_CERTIFICATE: Final = 60
TOO_LARGE: Final = 63
CA_CERTIFICATE: Final = 77

#: What libcurl says for each number that this client uses, or that a script may hold from elsewhere.
TEXTS: Final = {
    0: "No error",
    1: "Unsupported protocol",
    2: "Failed initialization",
    3: "URL using bad/illegal format or missing URL",
    4: "A requested feature, protocol or option was not found built-in in this libcurl due to a build-time decision.",
    5: "Couldn't resolve proxy name",
    6: "Couldn't resolve host name",
    7: "Couldn't connect to server",
    8: "Weird server reply",
    9: "Access denied to remote resource",
    16: "Error in the HTTP2 framing layer",
    18: "Transferred a partial file",
    21: "Quote command returned error",
    22: "HTTP response code said error",
    23: "Failed writing received data to disk/application",
    25: "Upload failed (at start/before it took off)",
    26: "Failed to open/read local data from file/application",
    27: "Out of memory",
    28: "Timeout was reached",
    33: "Requested range was not delivered by the server",
    34: "Internal problem setting up the POST",
    35: "SSL connect error",
    36: "Couldn't resume download",
    41: "A required function in the library was not found",
    42: "Operation was aborted by an application callback",
    43: "A libcurl function was given a bad argument",
    45: "Failed binding local connection end",
    47: "Number of redirects hit maximum amount",
    48: "An unknown option was passed in to libcurl",
    49: "Malformed option provided in a setopt",
    52: "Server returned nothing (no headers, no data)",
    53: "SSL crypto engine not found",
    54: "Can not set SSL crypto engine as default",
    55: "Failed sending data to the peer",
    56: "Failure when receiving data from the peer",
    58: "Problem with the local SSL certificate",
    59: "Couldn't use specified SSL cipher",
    60: "SSL peer certificate or SSH remote key was not OK",
    61: "Unrecognized or bad HTTP Content or Transfer-Encoding",
    63: "Maximum file size exceeded",
    64: "Requested SSL level failed",
    65: "Send failed since rewinding of the data stream failed",
    66: "Failed to initialise SSL crypto engine",
    67: "Login denied",
    77: "Problem with the SSL CA cert (path? access rights?)",
    80: "Failed to shut down the SSL connection",
    81: "Socket not ready for send/recv",
    82: "Failed to load CRL file (path? access rights?, format?)",
    83: "Issuer check against peer certificate failed",
    89: "The max connection limit is reached",
    90: "SSL public key does not match pinned public key",
    91: "SSL server certificate status verification FAILED",
    92: "Stream error in the HTTP/2 framing layer",
    94: "An authentication function returned an error",
    97: "proxy handshake error",
    98: "SSL Client Certificate required",
    99: "Unrecoverable error in select/poll",
}


class HttpError(Exception):
    """A request that got no usable answer: libcurl's number for it, and what happened for the operator."""

    def __init__(self, code: int, detail: str = "") -> None:
        super().__init__(detail or TEXTS[code])
        self.code = code


def error_text(code: int) -> str:
    """What a number means, as Kamailio's `$curlerror` says it; from 100 on it is a status of HTTP."""
    if code < 0:
        return "Bad CURL error code"
    if code >= 100:
        return "HTTP result code"
    return TEXTS.get(code, "Unknown error")
