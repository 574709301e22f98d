"""Clients of management interfaces: BINRPC over a socket, `kamcmd`, and JSON-RPC over HTTP and datagrams."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

from kahea.routing.rpc import binrpc

HOST = "127.0.0.1"
PATIENCE = 5.0

Tree = Any


def records(body: bytes) -> list[Tree]:
    """A reply's body: numbers and texts as they are, a structure as a list of (name or None, value)."""
    found, end = _records(body, 0)
    assert end == len(body)
    return [value for _, value in found]


def _records(body: bytes, at: int) -> tuple[list[tuple[str | None, Tree]], int]:
    found: list[tuple[str | None, Tree]] = []
    name: str | None = None
    while at < len(body):
        first = body[at]
        kind, size = first & 15, (first >> 4) & 7
        at += 1
        if first == 0x83:
            return found, at
        if kind == 3:
            value, at = _records(body, at)
        else:
            if first & 0x80:
                length = int.from_bytes(body[at : at + size]) if size else 8
                at += size
                size = length
            data = body[at : at + size]
            at += size
            if kind == 5:
                name = data[:-1].decode()
                continue
            value = binrpc.decode(bytes((first,)) + (_tail(first, data)))[0] if kind != 1 else data[:-1].decode()
        found.append((name, value))
        name = None
    return found, at


def _tail(first: int, data: bytes) -> bytes:
    size = (first >> 4) & 7
    return len(data).to_bytes(size) + data if first & 0x80 and size else data


class Fault(Exception):
    """A fault that a server answered: its code and text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


class Binrpc:
    """A connection to a BINRPC socket: a path, or a port of this host."""

    def __init__(self, where: Path | int) -> None:
        if isinstance(where, int):
            self.socket = socket.create_connection((HOST, where))
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(str(where))
        self.socket.settimeout(PATIENCE)
        self._buffer = b""
        self._cookies = itertools.count(0x1000000)  # Kamailio leaves out leading zeros

    def __enter__(self) -> Binrpc:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def call(self, method: str, *parameters: int | float | str) -> list[Tree]:
        """What a command answers; raises Fault."""
        cookie = next(self._cookies).to_bytes(4)
        self.socket.sendall(binrpc.request(cookie, method, *parameters))
        head, body = self.receive()
        assert head.cookie == cookie
        answer = records(body)
        if head.kind == binrpc.FAULT:
            raise Fault(*answer)
        return answer

    def receive(self) -> tuple[binrpc.Header, bytes]:
        """The next packet; raises ConnectionError at the end."""
        while True:
            head = binrpc.header(self._buffer)
            if head is not None and len(self._buffer) >= head.size + head.length:
                end = head.size + head.length
                body, self._buffer = self._buffer[head.size : end], self._buffer[end:]
                return head, body
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError("closed by the server")
            self._buffer += data


def kamcmd(where: str, *words: str) -> str:
    """What Debian's kamcmd prints for a command."""
    command = ["kamcmd", "-s", where, "--", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.stdout + done.stderr


def document(method: str, *params: object) -> bytes:
    """A JSON-RPC request."""
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": 1}).encode()


def http_request(port: int, method: str, url: str, body: bytes = b"") -> tuple[int, str, dict[str, str], bytes]:
    """One HTTP request on a connection of its own: status, reason, headers and body of the answer."""
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
    try:
        connection.request(method, url, body or None)
        answer = connection.getresponse()
        return answer.status, answer.reason, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def datagram(path: Path, data: bytes, patience: float = PATIENCE) -> bytes:
    """The answer to a datagram sent to a Unix socket; raises TimeoutError for none."""
    own = path.with_name(f"client-{os.getpid()}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
        peer.bind(str(own))
        try:
            peer.settimeout(patience)
            peer.sendto(data, str(path))
            return peer.recv(1 << 20)
        finally:
            own.unlink()
