"""HTTP for modules: aiohttp with pooled connections, bounded in time, size, redirects and number.

Rules of this room:

1. Everything here is awaited; a script waits by `routing.run.wait`. What goes wrong is an `HttpError` with libcurl's
   number for it, never another exception.
2. A request takes no longer than its `timeout`, which includes waiting for a connection of the pool, name resolution,
   redirects and the whole body. No more than `max_body` of an answer is ever held.
3. Requests whose connections are made alike share one pool (`Pool`), so that connections are used again.

aiohttp takes 0.2 s to import, so modules import this file when they open, if they are asked for, else with their first
request.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import logging
import re
import socket
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import aiohttp
from aiohttp.hdrs import AUTHORIZATION
from aiohttp.http_exceptions import LineTooLong
from aiohttp.resolver import AsyncResolver
from ifaddr import get_adapters
from yarl import URL

from kahea.connectors.http_errors import (
    BAD_URL,
    FAILED_SETUP,
    INTERFACE,
    NO_CONNECTION,
    NO_HOST,
    NO_PROXY,
    NOTHING,
    PARTIAL,
    PEER_CERTIFICATE,
    RECEIVE_FAILED,
    TIMEOUT,
    TLS_FAILED,
    TOO_LARGE,
    TOO_LONG,
    TOO_MANY_REDIRECTS,
    UNSUPPORTED_PROTOCOL,
    HttpError,
)
from kahea.connectors.http_options import BASIC, DIGEST, Options, Tls
from kahea.connectors.http_tls import client_context

log = logging.getLogger("kahea.http")

#: The most of a body that is held where no parameter says less, in bytes.
MAX_BODY: Final = 16 << 20
#: Redirects followed for one request; libcurl follows without end.
MAX_REDIRECTS: Final = 20
#: The most of one header line, in bytes, as libcurl has it.
MAX_HEADER: Final = 100 << 10
#: Seconds that an idle connection is kept: less than the 5 s after which uvicorn closes it, so that a request does not
#: meet a connection that is just being closed.
IDLE: Final = 4.0
#: The most ways to connect (certificates, interfaces) that one client has pools for.
MAX_POOLS: Final = 64

#: Headers that are for the server that they were given for, and not for another that it names.
_SECRET: Final = frozenset({"authorization", "cookie"})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_BAD_IN_URL: Final = re.compile(r"[\x00-\x20\x7f]")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_BEYOND_ASCII: Final = re.compile(r"[^\x21-\x7e]")


@dataclass(slots=True)
class Answer:
    """What came back; `body` may have been cut to the request's `max_size`. `url` is the last one asked."""

    status: int
    reason: str
    headers: list[tuple[bytes, bytes]]
    body: bytes
    url: str


@dataclass(slots=True)
class Target:
    """A URL taken apart: `credentials` is what stood before its `@`, ready for the header, or ""."""

    url: URL
    credentials: str = ""


def basic(user: str, password: str) -> str:
    """The value of an Authorization header (RFC 7617)."""
    pair = f"{user}:{password}".encode("utf-8", "surrogateescape")
    return "Basic " + base64.b64encode(pair).decode("ascii")


def target(text: str) -> Target:
    """Take a URL apart as libcurl does: `http://` may be missing, bytes beyond ASCII are escaped. Raises HttpError."""
    if _BAD_IN_URL.search(text):
        raise HttpError(BAD_URL, "a URL may have no spaces and no control characters")
    scheme = _SCHEME.match(text)
    if scheme is None:
        text = "http://" + text
    elif scheme[1].lower() not in ("http", "https"):
        raise HttpError(UNSUPPORTED_PROTOCOL, f"{scheme[1]} is not HTTP")
    if not text.isascii():
        text = _BEYOND_ASCII.sub(_escape, text)
    try:
        url = URL(text, encoded=True)
        if not url.host or not 0 < (url.port or 0) < 65536:
            raise HttpError(BAD_URL)
        if "/." in url.raw_path:
            url = url.with_path(_without_dots(url.raw_path), encoded=True, keep_query=True)
        if url.raw_user is None and url.raw_password is None:
            return Target(url)
        pair = [
            unquote_to_bytes(part or "").decode("utf-8", "surrogateescape") for part in (url.raw_user, url.raw_password)
        ]
        return Target(url.with_user(None), basic(*pair))
    except ValueError as error:
        raise HttpError(BAD_URL, str(error)) from None


def _without_dots(path: str) -> str:
    """A path without its segments `.` and `..` (RFC 3986 §5.2.4)."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def _escape(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02x}" for byte in found[0].encode("utf-8", "surrogateescape"))


def local_address(interface: str) -> tuple[str, int]:
    """The address to connect from: an interface's first, or the address itself. Raises HttpError."""
    for adapter in get_adapters():
        if adapter.nice_name == interface:
            for ip in adapter.ips:
                if isinstance(ip.ip, str):
                    return ip.ip, 0
    try:
        family = socket.AF_INET6 if ":" in interface else socket.AF_INET
        socket.inet_pton(family, interface)
    except OSError:
        raise HttpError(INTERFACE, f"netinterface {interface!r} is no interface and no address") from None
    return interface, 0


class _Connector(aiohttp.TCPConnector):
    """aiohttp's connector, which tells what it holds: aiohttp has no public name for that."""

    def counted(self) -> tuple[int, int, int]:
        """Connections in use, idle ones, and requests that wait for one."""
        idle = sum(len(kept) for kept in self._conns.values())
        return len(self._acquired), idle, sum(len(waiting) for waiting in self._waiters.values())


class Pool:
    """The connections that are made alike, with aiohttp's session over them. Made in the loop. Raises HttpError."""

    def __init__(self, options: Options, limit: int, per_host: int) -> None:
        self._resolver = AsyncResolver()
        self.connector = _Connector(
            limit=limit,
            limit_per_host=per_host,
            ssl=client_context(options.tls),
            resolver=self._resolver,
            ttl_dns_cache=30,
            local_addr=local_address(options.interface) if options.interface else None,
            **({"keepalive_timeout": IDLE} if options.keep else {"force_close": True}),
        )
        self.session = aiohttp.ClientSession(
            connector=self.connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("Accept-Encoding", "User-Agent", "Content-Type"),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            max_line_size=MAX_HEADER,
            max_field_size=MAX_HEADER,
            requote_redirect_url=False,
        )

    async def close(self) -> None:
        """Close what is open."""
        await self.session.close()
        await self._resolver.close()


class HttpClient:
    """Requests of one module: its pools, and what became of its requests.

    `limit` bounds the connections of each pool, `per_host` those to one server (0: no further bound).
    """

    def __init__(self, limit: int = 1000, per_host: int = 0) -> None:
        self._limit = limit
        self._per_host = per_host
        self._pools: dict[tuple[Tls, str, bool], Pool] = {}
        self.requests = 0
        self.under_way = 0
        #: How many requests failed, by libcurl's numbers.
        self.failed: Counter[int] = Counter()

    async def close(self) -> None:
        """Close all connections."""
        pools = list(self._pools.values())
        self._pools.clear()
        for pool in pools:
            await pool.close()

    def counted(self) -> dict[str, int]:
        """What is open now, and what was done so far."""
        each = [pool.connector.counted() for pool in self._pools.values()]
        used, idle, waiting = (sum(column) for column in zip(*each, strict=True)) if each else (0, 0, 0)
        return {
            "pools": len(each),
            "in_use": used,
            "idle": idle,
            "waiting": waiting,
            "under_way": self.under_way,
            "requests": self.requests,
            "failed": self.failed.total(),
        }

    async def request(
        self, method: str, url: str, options: Options, headers: list[tuple[str, str]], body: bytes | None = None
    ) -> Answer:
        """Ask and read the whole answer. Raises HttpError."""
        self.requests += 1
        self.under_way += 1
        try:
            async with asyncio.timeout(options.timeout or None):
                return await self._follow(method, url, options, headers, body)
        except HttpError as error:
            self.failed[error.code] += 1
            raise
        except Exception as error:
            code = _code_of(error, secure=url[:6].lower() == "https:")
            self.failed[code] += 1
            raise HttpError(code, "" if code == TIMEOUT else f"{type(error).__name__}: {error}") from error
        finally:
            self.under_way -= 1

    def _pool(self, options: Options) -> Pool:
        key = options.tls, options.interface, options.keep
        pool = self._pools.get(key)
        if pool is None:
            if len(self._pools) >= MAX_POOLS:
                raise HttpError(FAILED_SETUP, f"more than {MAX_POOLS} ways to connect are in use")
            pool = self._pools[key] = Pool(options, self._limit, self._per_host)
        return pool

    async def _follow(
        self, method: str, text: str, options: Options, headers: list[tuple[str, str]], body: bytes | None
    ) -> Answer:
        session = self._pool(options).session
        at = target(text)
        first = at.url.origin()
        for _ in range(MAX_REDIRECTS + 1):
            # Credentials are for the server that they were given for.
            own = at.url.origin() == first
            answer = await self._authorized(session, method, at, options, headers, body, own)
            location = _header(answer, b"location")
            if not options.redirects or answer.status not in _REDIRECTS or not location:
                return answer
            text = location.decode("utf-8", "surrogateescape")
            if not _SCHEME.match(text):
                text = str(at.url.join(URL(text, encoded=not _BAD_IN_URL.search(text))))
            at = Target(target(text).url, at.credentials)
            if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                method, body = "GET", None
        raise HttpError(TOO_MANY_REDIRECTS, f"more than {MAX_REDIRECTS} redirects")

    async def _authorized(
        self,
        session: aiohttp.ClientSession,
        method: str,
        at: Target,
        options: Options,
        headers: list[tuple[str, str]],
        body: bytes | None,
        own: bool,
    ) -> Answer:
        """One request, and once more with the user's name and password where the server asks for them."""
        if not own:
            headers = [header for header in headers if header[0].lower() not in _SECRET]
            return await _once(session, method, at, options, headers, body)
        if at.credentials:
            headers = [*headers, (AUTHORIZATION, at.credentials)]
        elif options.user and options.auth == BASIC:
            headers = [*headers, (AUTHORIZATION, basic(options.user, options.password))]
        more: dict[str, Any] = {}
        if options.user and not at.credentials and options.auth & DIGEST:
            more["middlewares"] = (aiohttp.DigestAuthMiddleware(options.user, options.password, preemptive=False),)
        answer = await _once(session, method, at, options, headers, body, **more)
        if answer.status != 401 or not more or not options.auth & BASIC:
            return answer
        if any(k.lower() == b"www-authenticate" and v.lower().startswith(b"basic") for k, v in answer.headers):
            headers = [*headers, (AUTHORIZATION, basic(options.user, options.password))]
            return await _once(session, method, at, options, headers, body)
        return answer


def _header(answer: Answer, name: bytes) -> bytes:
    return next((value for key, value in answer.headers if key.lower() == name), b"")


async def _once(
    session: aiohttp.ClientSession,
    method: str,
    at: Target,
    options: Options,
    headers: list[tuple[str, str]],
    body: bytes | None,
    **more: Any,
) -> Answer:
    """One request and its answer."""
    if options.proxy:
        more["proxy"] = options.proxy
    response = await session.request(method, at.url, headers=headers, data=body, allow_redirects=False, **more)
    try:
        data, cut = await _read(response, options.max_size)
    except BaseException:
        response.close()
        raise
    if cut:
        response.close()
    else:
        response.release()
    return Answer(response.status, response.reason or "", list(response.raw_headers), data, str(at.url))


async def _read(response: aiohttp.ClientResponse, max_size: int) -> tuple[bytes, bool]:
    """The body, and whether it was cut. Raises HttpError where it is larger than anybody asked for."""
    limit = min(max_size or MAX_BODY, MAX_BODY)
    length = response.content_length
    if length is not None and length <= limit:
        return await response.read(), False
    if not max_size and length is not None:
        raise HttpError(TOO_LARGE, f"an answer of {length} bytes")
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        parts.append(part)
        if size > limit:
            if not max_size:
                raise HttpError(TOO_LARGE, f"an answer of more than {limit} bytes")
            return b"".join(parts)[:limit], True
    return b"".join(parts), False


def _code_of(error: Exception, *, secure: bool) -> int:
    """libcurl's number for what aiohttp raised."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, LineTooLong):
            return TOO_LONG
        cause = cause.__cause__
    code = next((code for kind, code in _CODES if isinstance(error, kind)), RECEIVE_FAILED)
    if secure and code == NO_CONNECTION and isinstance(error, OSError) and error.errno not in _UNREACHABLE:
        return TLS_FAILED  # the server was reached, and ended the handshake
    return code


_UNREACHABLE: Final = frozenset(
    {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT, errno.EADDRNOTAVAIL}
)
#: The first that fits counts.
_CODES: Final[tuple[tuple[type[Exception], int], ...]] = (
    (TimeoutError, TIMEOUT),
    (aiohttp.InvalidURL, BAD_URL),
    (aiohttp.ClientProxyConnectionError, NO_PROXY),
    (aiohttp.ClientConnectorDNSError, NO_HOST),
    (aiohttp.ClientConnectorCertificateError, PEER_CERTIFICATE),
    (aiohttp.ClientSSLError, TLS_FAILED),
    (aiohttp.ClientConnectorError, NO_CONNECTION),
    (aiohttp.ClientPayloadError, PARTIAL),
    (aiohttp.ServerDisconnectedError, NOTHING),
    (aiohttp.ClientResponseError, UNSUPPORTED_PROTOCOL),
)
