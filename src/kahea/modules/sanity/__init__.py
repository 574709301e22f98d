"""Checks of incoming requests beyond what forwarding them needs, with a precise reply where one fails.

The reasons are Kamailio's own, since peers and logs may look for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from kahea.modules.sanity.sound import SCHEMES, Gate
from kahea.routing.module import Module, Param, function, native
from kahea.routing.run import REPLY_ROUTES, REQUEST_ROUTE
from kahea.routing.text import wire
from kahea.sip.errors import ParseError
from kahea.sip.message import (
    H_AUTHORIZATION,
    H_CALLID,
    H_CONTACT,
    H_CSEQ,
    H_EXPIRES,
    H_FROM,
    H_PAI,
    H_PATH,
    H_PROXYAUTHORIZATION,
    H_PROXYREQUIRE,
    H_ROUTE,
    H_TO,
    H_VIA,
    M_ACK,
    Message,
    parse_name_addr,
    split_list,
)
from kahea.sip.uri import parse_uri

if TYPE_CHECKING:
    from kahea.routing.node import Node
    from kahea.routing.run import Run

DIGEST_NEEDS: Final = (b"username", b"realm", b"nonce", b"uri", b"response")
FACET: Final = "sanity"


class Failed(Exception):
    """A check failed: the status and reason to answer with; 0 for no answer. `header` goes into the reply."""

    def __init__(self, status: int, reason: str = "", header: bytes = b"") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.header = header


class Sanity(Module):
    """Sanity checks of requests."""

    name = "sanity"
    needs = ("sl",)

    default_checks = Param(3047, "The checks of sanity_check_defaults(), a sum of their numbers.")
    uri_checks = Param(7, "The URIs it parses: 1 Request-URI, 2 From, 4 To, 8 Contact.")
    proxy_require = Param("", "Extensions that Proxy-Require may name, separated by commas.")
    autodrop = Param(1, "1 ends a route of the native language where a check fails; KEMI always gets -1.")
    noreply = Param(0, "1 sends no reply; sanity_reply() does.")
    size_checks = Param(0, "Other than 0, sizes are checked too, by the limits below.")
    size_message = Param(16384, "Largest message, in bytes.")
    size_headers = Param(8192, "Largest first line and headers, in bytes.")
    size_header = Param(2048, "Largest header, in bytes.")
    size_body = Param(8192, "Largest body, in bytes.")
    size_method = Param(32, "Longest method, in bytes.")
    size_ruri = Param(256, "Longest Request-URI, in bytes.")
    size_from_uri = Param(256, "Longest URI in From, in bytes.")
    size_to_uri = Param(256, "Longest URI in To, in bytes.")
    size_contact_uri = Param(256, "Longest URI in Contact, in bytes.")
    size_route_uri = Param(256, "Longest URI in Route, in bytes.")
    size_path_uri = Param(256, "Longest URI in Path, in bytes.")
    size_pai_uri = Param(256, "Longest URI in P-Asserted-Identity, in bytes.")

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self._gate = Gate(self.look)

    def compiled(self) -> dict[str, Callable[..., int]]:
        """Many scripts check every message."""
        return {"sanity_check": self._gate.check, "check_or_end": self._gate.check_or_end}

    def start(self) -> None:
        """Hand the parameters on; split `proxy_require`."""
        self._gate.default_checks = self.default_checks
        self._gate.uri_checks = self.uri_checks
        self._gate.autodrop = bool(self.autodrop)
        self._gate.sizes = bool(self.size_checks)
        self._extensions = {x.strip() for x in wire(self.proxy_require).split(b",") if x.strip()}

    @function
    def sanity_check(self, run: Run, checks: int, uris: int) -> int:
        """Make the checks whose numbers add up to `checks`, and answer and give -1 where one fails.

        1 SIP version, 2 scheme of the Request-URI, 4 required headers, 32 CSeq method, 64 CSeq number,
        128 Content-Length, 256 Expires, 512 Proxy-Require, 1024 URIs (those of `uris`, as in `uri_checks`),
        2048 credentials, 4096 doubled tags, 8192 digest credentials, 16384 first Via. 8 and 16 do nothing.
        """
        return self._gate.check(run, checks, uris)

    def look(self, run: Run, checks: int, uris: int) -> int:
        """`sanity_check`, for what is not sound at first sight."""
        msg = run.msg
        try:
            for bit, check in CHECKS:
                if checks & bit:
                    check(msg)
            if checks & 512:
                _proxy_require(msg, self._extensions)
            if checks & 1024:
                _uris(msg, uris)
            if self.size_checks:
                self._sizes(msg)
        except Failed as failed:
            return self._fail(run, failed)
        except ParseError as error:
            return self._fail(run, Failed(400, error.reason))
        return 1

    @function
    def sanity_check_defaults(self, run: Run) -> int:
        """Make the checks of `default_checks` and `uri_checks`."""
        return self.sanity_check(run, self.default_checks, self.uri_checks)

    @native("int", "int", name="sanity_check", least=0, routes=REQUEST_ROUTE | REPLY_ROUTES)
    def check_or_end(self, run: Run, checks: int | None = None, uris: int | None = None) -> int:
        """As `sanity_check`, by the parameters for what is not given; with `autodrop`, 0 where a check fails."""
        return self._gate.check_or_end(run, checks, uris)

    @function
    @native(routes=REQUEST_ROUTE | REPLY_ROUTES)
    def sanity_reply(self, run: Run) -> int:
        """With `noreply`, answer as the last failed check would have, or 500 if there was none."""
        if not self.noreply:
            return 1
        failed = run.msg.facets.pop(FACET, None)
        return self._reply(run, failed if isinstance(failed, Failed) else Failed(500, "Server Sanity Failure"))

    def _fail(self, run: Run, failed: Failed) -> int:
        self.node.log.info("sanity check failed: %d %s", failed.status, failed.reason)
        if failed.status and run.msg.is_request and run.msg.method_id != M_ACK:
            if self.noreply:
                run.msg.facets[FACET] = failed
            else:
                self._reply(run, failed)
        return -1

    def _reply(self, run: Run, failed: Failed) -> int:
        if failed.header:
            run.msg.reply_edits.append(failed.header)
        sent: int = self.node.module("sl").send_reply(run, failed.status, failed.reason)
        return sent

    def _sizes(self, msg: Message) -> None:
        raw = len(msg.raw)
        if raw > self.size_message or raw - msg.body_start > self.size_body or msg.headers_end > self.size_headers:
            raise Failed(513, "Message Too Large")
        if any(h.end - h.start > self.size_header for h in msg.headers()):
            raise Failed(513, "Header Too Large")
        if msg.is_request:
            if len(msg.method) > self.size_method:
                raise Failed(400, "Method Too Long")
            if len(msg.original_uri) > self.size_ruri:
                raise Failed(414, "Request-URI Too Long")
        for kind, limit, name in (
            (H_FROM, self.size_from_uri, "From"),
            (H_TO, self.size_to_uri, "To"),
            (H_CONTACT, self.size_contact_uri, "Contact"),
            (H_ROUTE, self.size_route_uri, "Route"),
            (H_PATH, self.size_path_uri, "Path"),
            (H_PAI, self.size_pai_uri, "P-Asserted-Identity"),
        ):
            if msg.header(kind) is not None and any(len(v.uri) > limit for v in msg.name_addrs(kind)):
                raise Failed(400, f"{name} URI Too Long")


def _version(msg: Message) -> None:
    if msg.is_request and msg.version.upper() != b"SIP/2.0":
        raise Failed(505, "Version Not Supported")


def _scheme(msg: Message) -> None:
    if msg.is_request:
        try:
            scheme = parse_uri(msg.original_uri).scheme
        except ParseError as error:
            raise Failed(400, "Bad Request URI") from error
        if scheme not in SCHEMES:
            raise Failed(400, "Bad Request URI")


def _required(msg: Message) -> None:
    if any(msg.header(kind) is None for kind in (H_TO, H_FROM, H_CSEQ, H_CALLID, H_VIA)):
        raise Failed(400, "Missing Required Header in Request")


def _cseq(msg: Message) -> list[bytes]:
    header = msg.header(H_CSEQ)
    if header is None:
        raise Failed(400, "Missing CSeq Header")
    return header.body.split()


def _cseq_method(msg: Message) -> None:
    if msg.is_request and _cseq(msg)[1:] != [msg.method]:
        raise Failed(400, "CSeq method does not match request method")


def _cseq_number(msg: Message) -> None:
    if not _is_number(b"".join(_cseq(msg)[:1])):
        raise Failed(400, "CSeq number is illegal")


def _is_number(text: bytes) -> bool:
    return text.isdigit() and len(text) <= 10


def _content_length(msg: Message) -> None:
    length = msg.content_length
    if length not in (-1, len(msg.raw) - msg.body_start):
        raise Failed(400, "Content-Length mis-match")


def _expires(msg: Message) -> None:
    header = msg.header(H_EXPIRES)
    if header is not None:
        if not header.body:
            raise Failed(400, "Bad Expires Header")
        if not _is_number(header.body):
            raise Failed(400, "Expires value is illegal")


def _proxy_require(msg: Message, known: set[bytes]) -> None:
    for header in msg.headers_of(H_PROXYREQUIRE):
        if not header.body:
            raise Failed(400, "Bad Proxy Require Header")
        for token in split_list(header.body):
            if token not in known:
                raise Failed(420, "Bad Proxy Require Extension", b"Unsupported: " + token + b"\r\n")


def _uris(msg: Message, which: int) -> None:
    if which & 1 and msg.is_request:
        _scheme(msg)
    if which & 2:
        _party(msg, H_FROM, "From", "Invalid From Header")
    if which & 4:
        _party(msg, H_TO, "To", "Ivalid To Header")
    if which & 8:
        try:
            for value in msg.name_addrs(H_CONTACT):
                if value.uri != b"*":
                    parse_uri(value.uri)
        except ParseError as error:
            raise Failed(400, "Bad Contact URI") from error


def _party(msg: Message, kind: int, name: str, reason: str) -> None:
    header = msg.header(kind)
    if header is None:
        raise Failed(400, f"Missing {name} Header")
    try:
        scheme = parse_uri(parse_name_addr(header.body).uri).scheme
    except ParseError as error:
        raise Failed(400, reason) from error
    if scheme not in SCHEMES:
        raise Failed(400, reason)


def _credentials(msg: Message) -> Iterator[tuple[bytes, dict[bytes, bytes]]]:
    """Scheme and parameters of every Authorization and Proxy-Authorization."""
    for kind in (H_AUTHORIZATION, H_PROXYAUTHORIZATION):
        for header in msg.headers_of(kind):
            scheme, _, rest = header.body.partition(b" ")
            params = {}
            for piece in split_list(rest):
                name, _, value = piece.partition(b"=")
                value = value.strip()
                params[name.strip().lower()] = value[1:-1] if value[:1] == b'"' else value
            yield scheme.lower(), params


def _digest(params: dict[bytes, bytes]) -> None:
    if any(name not in params for name in DIGEST_NEEDS):
        raise Failed(400, "Bad Auth Credentials")
    if b"qop" in params and not (params.get(b"nc") and params.get(b"cnonce")):
        raise Failed(400, "Bad Auth Credentials")
    for name, shown in ((b"username", "User"), (b"nonce", "Nonce"), (b"response", "Response")):
        if not params[name]:
            raise Failed(400, f"Auth Empty {shown}")


def _all_credentials(msg: Message) -> None:
    for scheme, params in _credentials(msg):
        if scheme != b"digest" or not params:
            raise Failed(0, f"credentials of scheme {scheme!r}")
        _digest(params)


def _digest_credentials(msg: Message) -> None:
    for scheme, params in _credentials(msg):
        if scheme == b"digest" and params:
            _digest(params)


def _tags(msg: Message) -> None:
    for kind, name in ((H_FROM, "From"), (H_TO, "To")):
        header = msg.header(kind)
        if header is not None:
            params = parse_name_addr(header.body).params.lower().split(b";")
            if sum(p.partition(b"=")[0].strip() == b"tag" for p in params) > 1:
                raise Failed(400, f"Many {name} Tag Params")


def _first_via(msg: Message) -> None:
    try:
        host = msg.via1.host
    except ParseError as error:
        raise Failed(400, "Bad Via Header") from error
    if not host:
        raise Failed(400, "Bad Via Header")


#: The checks that need the message alone, in the order in which they are made.
CHECKS: Final[tuple[tuple[int, Callable[[Message], None]], ...]] = (
    (16384, _first_via),
    (1, _version),
    (2, _scheme),
    (4, _required),
    (32, _cseq_method),
    (64, _cseq_number),
    (128, _content_length),
    (256, _expires),
    (2048, _all_credentials),
    (4096, _tags),
    (8192, _digest_credentials),
)

MODULE = Sanity
