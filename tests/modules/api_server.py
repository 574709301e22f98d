"""An HTTP server for tests: it records what it is asked, and answers well, badly or never, as the path says.

Plain sockets and threads, so that it can break every rule, and that a Kamailio and a node of this process can both ask
it while they block.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import re
import socket
import ssl
import threading
import warnings
from dataclasses import dataclass, field

MB = 1 << 20


@dataclass
class Asked:
    """A request as it came."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    #: Counts connections, so that re-use shows.
    connection: int = 0

    def header(self, name: str) -> str | None:
        """The value of a header, None if it is not there."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass
class ApiServer:
    """The server, at `http://127.0.0.1:PORT`; with `tls` (certificate and key files) at `https://`.

    `clients` is the file of the authority that those who ask must have a certificate of, `newest` the newest version
    of TLS that it speaks.
    """

    port: int
    tls: tuple[str, str] | None = None
    clients: str = ""
    newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED
    asked: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._context = None
        if self.tls is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*self.tls)
            if self.clients:
                self._context.verify_mode = ssl.CERT_REQUIRED
                self._context.load_verify_locations(self.clients)
            if self.newest != ssl.TLSVersion.MAXIMUM_SUPPORTED:
                with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
                    self._context.minimum_version = self._context.maximum_version = self.newest
                self._context.set_ciphers("DEFAULT:@SECLEVEL=0")
        self._socket = socket.create_server(("127.0.0.1", self.port), backlog=512)
        self.port = self._socket.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._count = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> ApiServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    def take(self) -> list[Asked]:
        """What was asked since the last time."""
        taken, self.asked = self.asked, []
        return taken

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            self._count += 1
            threading.Thread(target=self._serve, args=(client, self._count), daemon=True).start()

    def _serve(self, client: socket.socket, number: int) -> None:
        self._open.add(client)
        try:
            if self._context is not None:
                client = self._context.wrap_socket(client, server_side=True)
                self._open.add(client)
            stream = client.makefile("rb")
            while (asked := self._read(client, stream, number)) is not None:
                self.asked.append(asked)
                if not self._answer(client, asked):
                    break
        except (OSError, ValueError):
            pass
        finally:
            with contextlib.suppress(OSError):
                client.close()
            self._open.discard(client)

    def _read(self, client: socket.socket, stream: object, number: int) -> Asked | None:
        line = stream.readline().decode("latin-1")  # type: ignore[attr-defined]
        if not line:
            return None
        method, target, _ = line.split(" ", 2)
        asked = Asked(method, target, [], connection=number)
        while (line := stream.readline().decode("latin-1").rstrip("\r\n")) != "":  # type: ignore[attr-defined]
            name, _, value = line.partition(":")
            asked.headers.append((name, value.strip()))
        if asked.header("expect"):
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        asked.body = stream.read(int(asked.header("content-length") or 0))  # type: ignore[attr-defined]
        return asked

    def _answer(self, client: socket.socket, asked: Asked) -> bool:
        """Answer; False to close the connection."""
        path = re.sub(r"^https?://[^/]+", "", asked.target).partition("?")[0]
        if path.startswith("/slow"):
            self._over.wait(60)
            return False
        if path == "/garbage":
            client.sendall(b"\x00\x01 this is no HTTP\r\nat all\r\n\r\n")
            return False
        if path == "/half":
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")
            return False
        if path == "/halfhead":
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
            return False
        if path == "/nothing":
            return False
        if path == "/trickle":
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")
            self._over.wait(60)
            return False
        if path == "/endless":
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while not self._over.is_set():
                client.sendall(b"x" * 65536)
            return False
        if path.startswith("/big/"):
            size = int(path[5:])
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            block = b"y" * min(size, MB)
            while size > 0:
                client.sendall(block[: min(size, MB)])
                size -= MB
            return True
        if path == "/longheader":
            client.sendall(b"HTTP/1.1 200 OK\r\nX-Long: %b\r\nContent-Length: 2\r\n\r\nok" % (b"z" * 200_000))
            return True
        if path == "/nolength":
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
            return False
        if path == "/http10":
            client.sendall(b"HTTP/1.0 200 OK\r\n\r\nold")
            return False
        if path == "/chunked":
            client.sendall(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n\nworld\r\n0\r\n\r\n"
            )
            return True
        status, headers, body = self._page(path, asked)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        head = f"HTTP/1.1 {status} Because\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + (b"" if asked.method == "HEAD" else body))
        return True

    def _page(self, path: str, asked: Asked) -> tuple[int, list[tuple[str, str]], bytes]:
        plain = [("Content-Type", "text/plain"), ("X-Seen", "one"), ("x-seen", "two")]
        if path.startswith("/status/"):
            return int(path[8:]), plain, b"" if path.endswith("204") else b"status\nsecond line\n"
        if path == "/json":
            return 200, [("Content-Type", "application/json")], b'{"to": "sip:bob@example.com", "n": 5}'
        if path == "/empty":
            return 200, plain, b""
        if path == "/newline":
            return 200, plain, b"\nafter an empty line\n"
        if path == "/crlf":
            return 200, plain, b"one\r\ntwo\r\n"
        if path == "/zero":
            return 200, plain, b"a\x00b\nc"
        if path == "/bytes":
            return 200, plain, b"\xff\xfe caf\xc3\xa9"
        if path == "/gzip":
            return 200, [("Content-Encoding", "gzip")], gzip.compress(b"unpacked")
        if path == "/bomb":
            return 200, [("Content-Encoding", "gzip")], gzip.compress(b"\0" * (20 * MB))
        if path == "/echo":
            return 200, plain, asked.body
        if path == "/loop":
            return 302, [("Location", "/loop")], b"again"
        if (found := re.fullmatch(r"/moved/(\d+)(/.*)", path)) is not None:
            return int(found[1]), [("Location", found[2])], b"moved"
        if path == "/elsewhere":
            return 302, [("Location", "ftp://127.0.0.1/x")], b"elsewhere"
        if path == "/nowhere":
            return 302, [], b"nowhere"
        if path.startswith("/basic"):
            good = "Basic " + base64.b64encode(b"joe:secret").decode()
            if asked.header("authorization") == good:
                return 200, plain, b"let in"
            return 401, [("WWW-Authenticate", 'Basic realm="api"')], b"go away"
        if path.startswith("/digest"):
            return self._digest(asked)
        return 200, plain, b"first\nsecond\n"

    def _digest(self, asked: Asked) -> tuple[int, list[tuple[str, str]], bytes]:
        given = dict(re.findall(r'(\w+)="?([^",]+)"?', asked.header("authorization") or ""))
        if given.get("nonce") == "abc":
            ha1 = hashlib.md5(b"joe:api:secret").hexdigest()
            ha2 = hashlib.md5(f"{asked.method}:{given['uri']}".encode()).hexdigest()
            whole = f"{ha1}:abc:{given['nc']}:{given['cnonce']}:{given['qop']}:{ha2}"
            if hashlib.md5(whole.encode()).hexdigest() == given["response"]:
                return 200, [], b"let in"
        return 401, [("WWW-Authenticate", 'Digest realm="api", nonce="abc", qop="auth", algorithm=MD5')], b"go away"
