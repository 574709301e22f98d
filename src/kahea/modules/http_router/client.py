"""Posting a question: one pool of connections to one URL, bounded in number and in what it reads."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final

import aiohttp

from kahea.modules.http_router.service import FetchError, Response
from kahea.version import __version__

#: Seconds that an unused connection is kept.
KEEP_ALIVE: Final = 30.0


class Client:
    """One service. Redirects are not followed: an answer comes from where it was asked for."""

    def __init__(self, url: str, *, token: str, ca_file: str, most: int, connections: int) -> None:
        """`most` bytes of an answer are read; `ca_file` "" trusts whom the system trusts. Raises OSError."""
        self._url = url
        self._most = most
        context = ssl.create_default_context(cafile=ca_file or None) if url.startswith("https:") else True
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, ssl=context, keepalive_timeout=KEEP_ALIVE),
            headers={"User-Agent": f"kahea/{__version__}"} | ({"Authorization": f"Bearer {token}"} if token else {}),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("Accept-Encoding",),
        )

    async def fetch(self, body: bytes, headers: Mapping[str, str], seconds: float) -> Response:
        """See `service.Fetch`."""
        try:
            async with self._session.post(
                self._url,
                data=body,
                headers={"Content-Type": "application/json", "Accept": "application/json", **headers},
                timeout=aiohttp.ClientTimeout(total=seconds),
                allow_redirects=False,
            ) as response:
                read = await response.content.read(self._most + 1)
                while len(read) <= self._most and (more := await response.content.read(self._most + 1 - len(read))):
                    read += more
                if len(read) > self._most:
                    raise FetchError(f"the answer is longer than {self._most} bytes")
                return Response(response.status, {k.lower(): v for k, v in response.headers.items()}, read)
        except aiohttp.ClientError as error:
            raise FetchError(str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()
