"""Media relays (rtpproxy, rtpengine): where they listen, commands sent to them, and their answers.

A command goes out as one datagram behind a cookie that the answer repeats; it is sent again with the same cookie, so
that the relay carries it out once. On a Unix socket, a command is a connection, and needs no cookie.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
from dataclasses import dataclass
from itertools import count
from typing import Final

from kahea.connectors.errors import Unavailable

#: The port of a relay whose URL has none.
DEFAULT_PORT: Final = 22222
#: The most that is read of an answer on a Unix socket, in bytes.
MAX_ANSWER: Final = 1 << 16

_SET: Final = re.compile(r"\s*(?:(\S*?)\s*==)?(.*)", re.DOTALL)
_WEIGHED: Final = re.compile(r"(.+?)(?:=(-?\d{1,9}))?")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a relay listens: a host and port of a family, or the path of a Unix socket."""

    family: socket.AddressFamily
    host: str = ""
    port: int = 0
    path: str = ""


def parse_place(url: str) -> Place:
    """Read `udp:host:port`, `udp6:address:port` or `unix:/path`. Raises ValueError."""
    scheme, _, rest = url.partition(":")
    if scheme == "unix" and rest:
        return Place(socket.AF_UNIX, path=rest)
    if url.startswith("/"):
        return Place(socket.AF_UNIX, path=url)
    if scheme not in ("udp", "udp6") or not rest:
        raise ValueError(f"{url!r} is no relay: udp:host:port, udp6:address:port or unix:/path")
    host, _, port = rest.rpartition(":") if ":" in rest else (rest, "", str(DEFAULT_PORT))
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{url!r} has no host and port")
    return Place(socket.AF_INET6 if scheme == "udp6" else socket.AF_INET, host.strip("[]"), int(port))


def parse_set(given: str) -> tuple[int, list[tuple[str, int]]]:
    """Read `2 == udp:host:port=weight ...`: the number of the set (0 if not said), and URLs with weights.

    Raises ValueError.
    """
    found = _SET.fullmatch(given)
    assert found is not None
    number = found[1]
    if number is not None and not re.fullmatch(r"\d{1,9}", number):
        raise ValueError(f"{number!r} is no number of a set")
    members = []
    for word in found[2].split():
        weighed = _WEIGHED.fullmatch(word)
        assert weighed is not None
        members.append((weighed[1], 1 if weighed[2] is None else int(weighed[2])))
    if not members and number is not None:
        raise ValueError(f"{given!r} has no relays")
    return int(number or 0), members


class _Answers(asyncio.DatagramProtocol):
    """Hands answers to whom they are for, by their cookie."""

    def __init__(self) -> None:
        self.waiting: dict[bytes, asyncio.Future[bytes]] = {}

    def datagram_received(self, data: bytes, _addr: object) -> None:
        """An answer; one that nobody waits for is forgotten."""
        cookie, _, answer = data.partition(b" ")
        future = self.waiting.get(cookie)
        if future is not None and not future.done():
            future.set_result(answer)

    def error_received(self, error: Exception) -> None:
        """The host says that nobody listens: there is no use in waiting."""
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(Unavailable(str(error)))


class Relay:
    """A relay that commands can be sent to. `source` is the address they leave from, `tos` their type of service."""

    def __init__(self, place: Place, *, source: str = "", tos: int = -1) -> None:
        self.place = place
        self._source = source
        self._tos = tos
        self._stem = secrets.token_hex(4).encode()
        self._numbers = count(1)
        self._answers: _Answers | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._opening = asyncio.Lock()

    async def ask(self, command: bytes, tries: int, seconds: float) -> bytes:
        """The answer to a command that is sent up to `tries` times, `seconds` apart. Raises Unavailable without one.

        As many commands wait as callers do: who asks for scripts is bounded by their number.
        """
        try:
            if self.place.family == socket.AF_UNIX:
                async with asyncio.timeout(seconds):
                    return await self._converse(command)
            return await self._exchange(command, tries, seconds)
        except TimeoutError:
            raise Unavailable("no answer") from None
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that is none
            self.close()
            raise Unavailable(str(error)) from error

    async def _exchange(self, command: bytes, tries: int, seconds: float) -> bytes:
        transport, waiting = await self._open()
        cookie = b"%b_%d" % (self._stem, next(self._numbers))
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        waiting[cookie] = future
        try:
            for _ in range(tries):
                if transport.is_closing():
                    raise ConnectionError("the socket was closed")
                transport.sendto(cookie + b" " + command)
                done, _ = await asyncio.wait((future,), timeout=seconds)
                if done:
                    return future.result()
            raise TimeoutError
        finally:
            del waiting[cookie]
            if not future.done():
                future.cancel()

    async def _open(self) -> tuple[asyncio.DatagramTransport, dict[bytes, asyncio.Future[bytes]]]:
        async with self._opening:
            if self._transport is None or self._answers is None or self._transport.is_closing():
                self._transport, self._answers = await asyncio.get_running_loop().create_datagram_endpoint(
                    _Answers,
                    local_addr=(self._source, 0) if self._source else None,
                    remote_addr=(self.place.host, self.place.port),
                    family=self.place.family,
                )
                if self._tos >= 0:
                    self._set_tos(self._transport)
            return self._transport, self._answers.waiting

    def _set_tos(self, transport: asyncio.DatagramTransport) -> None:
        made: socket.socket = transport.get_extra_info("socket")
        if self.place.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, self._tos)
        else:
            made.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, self._tos)

    async def _converse(self, command: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(self.place.path, limit=MAX_ANSWER)
        try:
            writer.write(command)
            answer = b""
            while not answer.endswith(b"\n") and len(answer) < MAX_ANSWER:
                more = await reader.read(MAX_ANSWER - len(answer))
                if not more:
                    break
                answer += more
            if not answer:
                raise ConnectionError("the connection ended without an answer")
            return answer
        finally:
            writer.close()

    def close(self) -> None:
        """Close the socket; the next command opens another."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None


__all__ = ["DEFAULT_PORT", "MAX_ANSWER", "Place", "Relay", "parse_place", "parse_set"]
