"""Stand-ins for media relays: they answer as told and note the commands, and Kamailio or our node asks them.

`rtpproxy_answer` and its kin say what a relay answers to a command; a test may give another function. None is silence.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from tests.ports import free_port

from kahea.connectors.bencode import dump, load

PORT = free_port(10)

Answer = Callable[[bytes], bytes | None]


def rtpproxy_answer(command: bytes) -> bytes | None:
    """What a rtpproxy says that can do everything: ports are told from the number of the stream."""
    word = command.split()[0]
    if word == b"V":
        return b"20040107\n"
    if word == b"VF":
        return b"1\n"
    if word[:1] in b"UL":
        stream = int(command.split()[4].partition(b";")[2])
        return b"%d 10.9.9.%d\n" % (35000 + 2 * stream, stream)
    return b"60 1 2 3 4\n" if word == b"Q" else b"0\n"


class Relay:
    """A relay over UDP in a thread of its own. `commands` has what it was told, without cookies, once each."""

    def __init__(self, number: int = 0, answer: Answer = rtpproxy_answer, host: str = "127.0.0.1") -> None:
        self.answer = answer
        self.commands: list[bytes] = []
        self.datagrams = 0
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind((host, PORT + number))
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._cookies: set[bytes] = set()

    @property
    def url(self) -> str:
        """As the module's parameters name it."""
        host, port = self.address
        return f"udp6:{host}:{port}" if ":" in host else f"udp:{host}:{port}"

    def _serve(self) -> None:
        while True:
            data, source = self._socket.recvfrom(65535)
            if not data:
                return
            cookie, _, command = data.partition(b" ")
            self.datagrams += 1
            if cookie not in self._cookies:
                self._cookies.add(cookie)
                self.commands.append(command)
            for answer in self._answer(cookie, command):
                self._socket.sendto(answer, source)

    def _answer(self, cookie: bytes, command: bytes) -> list[bytes]:
        """The datagrams that answer a command."""
        answer = self.answer(command)
        return [] if answer is None else [cookie + b" " + answer]

    def take(self) -> list[bytes]:
        """The commands since the last time."""
        found, self.commands, self.datagrams = self.commands, [], 0
        return found

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with socket.socket(self._socket.family, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self.address)
        self._thread.join(5)
        self._socket.close()


def rtpengine_answer(command: bytes) -> bytes | None:
    """What a rtpengine says that does all it is told: it leads media to 10.9.9.9:35002."""
    asked = load(command)
    if asked[b"command"] == b"ping":
        return dump({b"result": b"pong"})
    answer: dict[bytes, Any] = {b"result": b"ok"}
    if asked[b"command"] in (b"offer", b"answer"):
        answer[b"sdp"] = asked[b"sdp"].replace(b"1.2.3.4", b"10.9.9.9").replace(b"4000", b"35002")
    return dump(answer)
