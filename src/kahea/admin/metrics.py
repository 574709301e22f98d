"""The node's own page for Prometheus: `GET /metrics` on an address that the setting `metrics` names.

Every statistic, under Kamailio's name with `kahea_` before it, and what the process uses, under Prometheus' usual
names. The page is made when it is asked for. Nothing of SIP is reached by this port: for metrics that a script counts,
and on SIP's own port, there is the module xhttp_prom.
"""

from __future__ import annotations

import os
import re
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kahea.net.service import Access, Stream, StreamServer, parse_service
from kahea.net.sockets import BindError
from kahea.routing.module import ConfigError
from kahea.version import __version__

if TYPE_CHECKING:
    from typing import Protocol

    from kahea.routing.node import Node

    class _Put(Protocol):
        def __call__(self, name: str, kind: str, doc: str, value: float, labels: str = "") -> None: ...


CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
#: Bytes of a request's headers, and seconds for them to come.
MAX_HEAD: Final = 8192
STALL_TIMEOUT: Final = 10.0

_END: Final = re.compile(rb"\r?\n\r?\n")
_LINE: Final = re.compile(rb"([A-Z]{1,16}) (/[^ \r\n]{0,1024}) HTTP/1\.([01])\r?\n")
_CLOSE: Final = re.compile(rb"^connection:[ \t]*close", re.IGNORECASE | re.MULTILINE)
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_:]")


def page(node: Node) -> str:
    """All that is known of a node, in Prometheus' format 0.0.4."""
    lines: list[str] = []

    def put(name: str, kind: str, doc: str, value: float, labels: str = "") -> None:
        told = doc.replace("\\", "\\\\").replace("\n", " ")
        lines.extend((f"# HELP {name} {told}", f"# TYPE {name} {kind}", f"{name}{labels} {value}"))

    put("kahea_info", "gauge", "The server's version.", 1, f'{{version="{__version__}"}}')
    for group, name in node.statistics:
        one = node.statistics.find(group, name)
        if one is not None:
            shown = _UNFIT.sub("_", f"kahea_{group}_{name}")
            put(shown, "counter" if one.resets else "gauge", one.doc or f"Statistic {group}:{name}.", one.value)
    layer = node.layer
    put("kahea_transactions", "gauge", "Transactions that there are.", len(layer))
    put("kahea_transactions_created_total", "counter", "Transactions that were made.", layer.created)
    put("kahea_runs_in_flight", "gauge", "Runs of scripts under way, those that wait included.", node.pool.in_flight)
    put("kahea_generation", "gauge", "Number of the set of routes in force; a reload raises it.", node.routes.number)
    _process(node, put)
    return "\n".join(lines) + "\n"


def _process(node: Node, put: _Put) -> None:
    """What the process uses."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    put("process_cpu_seconds_total", "counter", "CPU time used, in seconds.", used.ru_utime + used.ru_stime)
    put("process_start_time_seconds", "gauge", "When it was started, in Unix time.", node.started)
    memory = Path("/proc/self/statm")
    if memory.exists():
        pages = int(memory.read_text().split()[1])
        put("process_resident_memory_bytes", "gauge", "Memory in use.", pages * os.sysconf("SC_PAGE_SIZE"))
        put("process_open_fds", "gauge", "Open file descriptors.", len(os.listdir("/proc/self/fd")))


class MetricsServer:
    """Serves the page; `given` is the setting, `[tcp:][host:]port` or "" for no server."""

    def __init__(self, node: Node, given: str) -> None:
        self._node = node
        self._given = given
        self._server: StreamServer | None = None

    async def open(self) -> None:
        """Listen. Raises ConfigError."""
        if not self._given:
            return
        try:
            address = parse_service(f"tcp:{self._given.removeprefix('tcp:')}")
            server = StreamServer(address, Access(), self._session)
            await server.open()
        except (BindError, ValueError) as error:
            raise ConfigError(f"metrics: {error}") from error
        self._server = server

    def _session(self, stream: Stream) -> _Session:
        return _Session(self._node, stream)

    def close(self) -> None:
        """Stop."""
        if self._server is not None:
            self._server.close()
            self._server = None


class _Session:
    """One connection: requests without bodies, answered in order."""

    def __init__(self, node: Node, stream: Stream) -> None:
        self._node = node
        self._stream = stream
        self._buffer = b""
        self._ended = False
        stream.stay(STALL_TIMEOUT)

    def received(self, data: bytes) -> None:
        """Bytes came."""
        if self._ended:
            return
        self._buffer += data
        while not self._ended and (end := _END.search(self._buffer)):
            head, self._buffer = self._buffer[: end.end()], self._buffer[end.end() :]
            self._answer(head)
        if len(self._buffer) > MAX_HEAD:
            self._reply(431, "Request Header Fields Too Large", close=True)
        else:
            self._stream.stay(STALL_TIMEOUT)

    def lost(self) -> None:
        """The connection is gone."""
        self._ended = True

    def _answer(self, head: bytes) -> None:
        line = _LINE.match(head)
        if line is None:
            self._reply(400, "Bad Request", close=True)
            return
        method, path, minor = line.groups()
        close = minor == b"0" or _CLOSE.search(head) is not None
        if method not in (b"GET", b"HEAD"):
            # It may have a body, which is not looked for.
            self._reply(405, "Method Not Allowed", close=True)
        elif path.partition(b"?")[0] != b"/metrics":
            self._reply(404, "Not Found", "See /metrics\n", close=close, bare=method == b"HEAD")
        else:
            self._reply(200, "OK", page(self._node), close=close, bare=method == b"HEAD")

    def _reply(self, code: int, reason: str, body: str = "", *, close: bool, bare: bool = False) -> None:
        data = body.encode()
        lines = [f"HTTP/1.1 {code} {reason}", f"Content-Type: {CONTENT_TYPE}", f"Content-Length: {len(data)}"]
        if close:
            lines.append("Connection: close")
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        self._stream.write(head if bare else head + data)
        if close:
            self._ended = True
            self._stream.close()
