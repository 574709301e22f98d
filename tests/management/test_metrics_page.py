"""The node's own page of metrics."""

from __future__ import annotations

import asyncio
import re
import urllib.request

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ports import free_port

from kahea.admin.metrics import MAX_HEAD, MetricsServer, _Session, page
from kahea.routing.module import ConfigError
from kahea.routing.node import Node
from kahea.routing.settings import Configuration

LINE = re.compile(r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{[a-z]+="[^"]*"\})? -?[0-9.e+-]+')


class Wire:
    """A stream that keeps what is done to it."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False
        self.stays = 0

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def stay(self, _seconds: float) -> None:
        self.stays += 1


@pytest.fixture(scope="module")
def node() -> Node:
    made = Node(Configuration(), wall=lambda: 1_700_000_000.0)
    made.start()
    return made


def asked(node: Node, *reads: bytes) -> Wire:
    wire = Wire()
    session = _Session(node, wire)  # type: ignore[arg-type]
    for data in reads:
        session.received(data)
    return wire


def test_the_page_is_prometheus_format(node: Node) -> None:
    node.statistics.count("core", "rcv_requests", 0)
    lines = page(node).splitlines()
    names = set()
    for about, kind, value in zip(lines[0::3], lines[1::3], lines[2::3], strict=True):
        name = re.split(r"[ {]", value)[0]
        assert about.startswith(f"# HELP {name} ")
        assert kind in (f"# TYPE {name} counter", f"# TYPE {name} gauge")
        assert LINE.fullmatch(value), value
        names.add(name)
    assert len(names) == len(lines) // 3
    assert {"kahea_core_rcv_requests", "kahea_transactions", "process_cpu_seconds_total"} <= names


@pytest.mark.parametrize(
    ("request_", "status", "closed"),
    [
        (b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", b"200 OK", False),
        (b"GET /metrics?x=1 HTTP/1.1\r\n\r\n", b"200 OK", False),
        (b"GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n", b"200 OK", True),
        (b"GET /metrics HTTP/1.0\n\n", b"200 OK", True),
        (b"HEAD /metrics HTTP/1.1\r\n\r\n", b"200 OK", False),
        (b"GET / HTTP/1.1\r\n\r\n", b"404 Not Found", False),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", b"405 Method Not Allowed", True),
        (b"\x16\x03\x01 nonsense\r\n\r\n", b"400 Bad Request", True),
        (b"GET /" + b"x" * MAX_HEAD, b"431 Request Header Fields Too Large", True),
    ],
)
def test_requests(node: Node, request_: bytes, status: bytes, closed: bool) -> None:
    wire = asked(node, request_)
    assert wire.written.startswith(b"HTTP/1.1 " + status)
    assert wire.closed is closed
    if request_.startswith(b"HEAD"):
        assert wire.written.endswith(b"\r\n\r\n")


def test_requests_in_pieces_and_in_one(node: Node) -> None:
    request = b"GET / HTTP/1.1\r\n\r\n"
    pieces = asked(node, *(request[i : i + 1] for i in range(len(request))), request + request)
    assert pieces.written.count(b"404 Not Found") == 3


@given(st.lists(st.binary(max_size=100), max_size=8))
def test_no_bytes_do_harm(node: Node, reads: list[bytes]) -> None:
    asked(node, *reads)


def test_over_the_network(node: Node) -> None:
    port = free_port()

    async def main() -> str:
        server = MetricsServer(node, f"127.0.0.1:{port}")
        await server.open()
        try:
            with pytest.raises(ConfigError, match="metrics: cannot listen"):
                await MetricsServer(node, f"tcp:127.0.0.1:{port}").open()
            url = f"http://127.0.0.1:{port}/metrics"
            read = lambda: urllib.request.urlopen(url, timeout=5).read().decode()  # noqa: E731
            return str(await asyncio.get_running_loop().run_in_executor(None, read))
        finally:
            server.close()

    assert "kahea_info{version=" in asyncio.run(main())


def test_a_place_that_is_none(node: Node) -> None:
    with pytest.raises(ConfigError, match="metrics"):
        asyncio.run(MetricsServer(node, "nonsense").open())
