"""SIP messages as a test sees them: text, headers in order, nothing interpreted that a test did not ask for.

Apart from the engine's own parser on purpose: a test that reads messages by the code under test proves less.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_COMPACT = {
    "v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length",
    "c": "content-type", "k": "supported", "s": "subject", "e": "content-encoding", "r": "refer-to",
    "o": "event",
}  # fmt: skip
_LISTS = frozenset(("via", "route", "record-route", "contact", "path", "service-route"))

REASONS = {
    100: "Trying", 180: "Ringing", 181: "Call Is Being Forwarded", 182: "Queued", 183: "Session Progress",
    200: "OK", 202: "Accepted", 300: "Multiple Choices", 301: "Moved Permanently", 302: "Moved Temporarily",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    407: "Proxy Authentication Required",
    408: "Request Timeout", 480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist",
    483: "Too Many Hops", 484: "Address Incomplete", 486: "Busy Here", 487: "Request Terminated",
    488: "Not Acceptable Here",
    491: "Request Pending", 500: "Server Internal Error", 503: "Service Unavailable", 600: "Busy Everywhere",
    603: "Decline", 604: "Does Not Exist Anywhere",
}  # fmt: skip


class SipMessage:
    """One message. `headers` are (name, value) pairs in their order; header names match in any case."""

    def __init__(self, start: str, headers: Iterable[tuple[str, str]] = (), body: str = "") -> None:
        self.start = start
        self.headers = list(headers)
        self.body = body
        #: Where it came from and went to, as `udp:10.0.0.1:5060`, and when (virtual seconds); set on receipt.
        self.source = ""
        self.destination = ""
        self.time = 0.0
        #: The link that it came by, for replies.
        self.link: Any = None

    @classmethod
    def parse(cls, data: bytes | str) -> SipMessage:
        """Split a message. Bytes that are no UTF-8 survive as lone surrogates."""
        text = data if isinstance(data, str) else data.decode("utf-8", "surrogateescape")
        head, _, body = text.partition("\r\n\r\n")
        start, *lines = re.sub(r"\r\n[ \t]+", " ", head).split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return cls(start, [(name.strip(), value.strip()) for name, _, value in pairs], body)

    def encode(self) -> bytes:
        """The message as bytes, as its headers say: Content-Length is not mended."""
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers)]
        return ("\r\n".join(lines) + "\r\n\r\n" + self.body).encode("utf-8", "surrogateescape")

    def copy(self) -> SipMessage:
        """A copy to change."""
        return SipMessage(self.start, self.headers, self.body)

    # -- the first line

    @property
    def is_request(self) -> bool:
        """Whether it is a request."""
        return not self.start.startswith("SIP/2.0 ")

    @property
    def method(self) -> str:
        """The request's method; of a reply, that of its CSeq."""
        if self.is_request:
            return self.start.split(" ", 1)[0]
        return (self.header("CSeq") or "").rpartition(" ")[2]

    @property
    def uri(self) -> str:
        """The Request-URI."""
        return self.start.split(" ")[1]

    @property
    def status(self) -> int:
        """The reply's status code, 0 for a request (and for what is no status)."""
        found = None if self.is_request else re.match(r"SIP/2\.0 (\d{3})\b", self.start)
        return 0 if found is None else int(found[1])

    @property
    def reason(self) -> str:
        """The reply's reason phrase."""
        return "" if self.is_request else self.start.split(" ", 2)[-1]

    @property
    def summary(self) -> str:
        """`INVITE`, or `180 INVITE`: what `expect` matches with."""
        return self.method if self.is_request else f"{self.status} {self.method}"

    # -- headers

    def all(self, name: str) -> list[str]:
        """The values of every header of that name, compact or not; lists (Via, Route, ...) are split."""
        wanted = name.lower()
        found = [value for n, value in self.headers if _COMPACT.get(n.lower(), n.lower()) == wanted]
        if wanted in _LISTS:
            return [part for value in found for part in split_list(value)]
        return found

    def header(self, name: str) -> str | None:
        """The first value of a header, or None."""
        values = self.all(name)
        return values[0] if values else None

    def __getitem__(self, name: str) -> str:
        """The first value of a header. Raises KeyError."""
        values = self.all(name)
        if not values:
            raise KeyError(f"{self.summary if self.headers else self.start} has no {name} header")
        return values[0]

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))

    def set(self, name: str, value: str) -> SipMessage:
        """Replace the first header of that name, or add it at the end; returns this message."""
        for i, (known, _) in enumerate(self.headers):
            if known.lower() == name.lower():
                self.headers[i] = (known, value)
                return self
        return self.add(name, value)

    def add(self, name: str, value: str) -> SipMessage:
        """Add a header at the end; returns this message."""
        self.headers.append((name, value))
        return self

    def remove(self, name: str) -> SipMessage:
        """Take off every header of that name; returns this message."""
        self.headers = [h for h in self.headers if h[0].lower() != name.lower()]
        return self

    @property
    def call_id(self) -> str:
        """The Call-ID, "" without one."""
        return self.header("Call-ID") or ""

    @property
    def cseq(self) -> int:
        """The number in CSeq."""
        return int(self["CSeq"].split()[0])

    @property
    def branch(self) -> str:
        """The branch of the topmost Via, "" if it has none."""
        return param(self.header("Via") or "", "branch") or ""

    @property
    def from_tag(self) -> str:
        """The tag of From, "" if it has none."""
        return param(self.header("From") or "", "tag") or ""

    @property
    def to_tag(self) -> str:
        """The tag of To, "" if it has none."""
        return param(self.header("To") or "", "tag") or ""

    def matches(self, what: str | int) -> bool:
        """Whether it is what `what` says: `"INVITE"`, `180`, `"180"`, `"2xx"`, `"200 BYE"`, `"final"`."""
        wanted = str(what).split()
        if len(wanted) == 2:
            return not self.is_request and _status_is(self.status, wanted[0]) and self.method == wanted[1]
        if wanted[0].isupper() and wanted[0].isalpha():
            return self.is_request and self.method == wanted[0]
        return not self.is_request and _status_is(self.status, wanted[0])

    def __str__(self) -> str:
        return self.encode().decode("utf-8", "replace").replace("\r\n", "\n")

    def __repr__(self) -> str:
        what = self.summary if self.headers else self.start
        return f"<{what} from {self.source or 'here'} at {self.time:.3f}>"


def _status_is(status: int, wanted: str) -> bool:
    if wanted == "final":
        return status >= 200
    return len(wanted) == 3 and all(w in ("x", s) for w, s in zip(wanted, str(status), strict=True))


def split_list(value: str) -> list[str]:
    """Split a header value at commas outside of quotes and angle brackets."""
    parts, depth, quoted, last = [], 0, False, 0
    for i, c in enumerate(value):
        if c == '"' and value[i - 1 : i] != "\\":
            quoted = not quoted
        elif not quoted and c in "<>":
            depth += 1 if c == "<" else -1
        elif c == "," and not quoted and not depth:
            parts.append(value[last:i].strip())
            last = i + 1
    return [*parts, value[last:].strip()]


def uri_of(value: str) -> str:
    """The URI in a name-addr or addr-spec."""
    inside = re.search(r"<([^>]*)>", value)
    return inside[1] if inside else value.split(";")[0].strip()


def param(value: str, name: str) -> str | None:
    """A header parameter's value, "" for a bare one, None if absent; brackets' insides don't count."""
    tail = value.rpartition(">")[2] if ">" in value else value
    found = re.search(rf";\s*{re.escape(name)}\s*(?:=\s*(\"[^\"]*\"|[^;,\s]*))?(?=[;,\s]|$)", tail, re.IGNORECASE)
    return None if found is None else (found[1] or "").strip('"')


def reply_to(
    request: SipMessage,
    status: int,
    reason: str | None = None,
    *,
    tag: str = "",
    contact: str = "",
    headers: Iterable[tuple[str, str]] = (),
    body: str = "",
    content_type: str = "application/sdp",
) -> SipMessage:
    """A reply to a request (RFC 3261 §8.2.6); `tag` is for To if it has none."""
    to = request["To"]
    if status > 100 and tag and param(to, "tag") is None:
        to += f";tag={tag}"
    lines = [("Via", via) for via in request.all("Via")]
    if 100 < status < 300:
        lines += [("Record-Route", route) for route in request.all("Record-Route")]
    lines += [
        ("From", request["From"]),
        ("To", to),
        ("Call-ID", request["Call-ID"]),
        ("CSeq", request["CSeq"]),
    ]
    if contact:
        lines.append(("Contact", contact))
    lines += headers
    if body:
        lines.append(("Content-Type", content_type))
    lines.append(("Content-Length", str(len(body.encode("utf-8", "surrogateescape")))))
    return SipMessage(f"SIP/2.0 {status} {REASONS.get(status, 'Unknown') if reason is None else reason}", lines, body)
