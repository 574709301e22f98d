"""http_client against servers that are slow, down, wrong or hostile: what the script gets, when, and at what cost."""

from __future__ import annotations

import asyncio
import resource
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import cfgs
import pytest
from api_server import MB, ApiServer

from kahea.connectors.http import MAX_BODY, MAX_REDIRECTS


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer(0) as server:
        yield server


class Script:
    """A node with bodies of a cfg, whose outcomes can be awaited."""

    def __init__(self, bodies: list[str], extra: str = "", modules: tuple[str, ...] = ("http_client",)) -> None:
        self.node = cfgs.Ours(cfgs.cfg_text(bodies, extra, modules))
        self.module: Any = self.node.node.module(modules[0])

    async def out(self, number: int = 0) -> str | None:
        return (await self.node.wait(cfgs.request(number))).out


def run(script: Callable[[], Script], work: Callable[[Script], Awaitable[Any]]) -> Any:
    """Await work on a script's node in a loop of its own."""

    async def inside() -> Any:
        made = script()
        try:
            return await work(made)
        finally:
            await made.node.node.stop()

    return asyncio.run(inside())


def ask(url: str) -> str:
    return f'$var(r) = "old"; http_client_query("{url}", "$var(r)"); $var(o) = "" + $rc + ":" + $var(r);'


QUICK = 'modparam("http_client", "timeout_mode", 2)\nmodparam("http_client", "connection_timeout", 500)'


@pytest.mark.parametrize(
    ("page", "expected"),
    [("/slow", "28:"), ("/trickle", "28:"), ("/garbage", "1:"), ("/half", "18:"), ("/halfhead", "52:"),
     ("/nothing", "52:"), ("/status/503", "503:"), ("/longheader", "27:")],
)  # fmt: skip
def test_bad_answers_have_their_code_in_time(api: ApiServer, page: str, expected: str) -> None:
    async def work(script: Script) -> tuple[str | None, float]:
        began = time.monotonic()
        return await script.out(), time.monotonic() - began

    out, took = run(lambda: Script([ask(f"http://127.0.0.1:{api.port}{page}")], QUICK), work)
    assert (out, took < 2.0) == (expected, True)


def test_a_timeout_covers_a_server_that_never_accepts() -> None:
    """A listening socket whose queue is full answers no SYN: the time for connecting counts."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        out = run(lambda: Script([ask(f"http://127.0.0.1:{port}/")], QUICK), lambda s: s.out())
        for filler in fillers:
            filler.close()
    assert out == "28:"


def test_a_server_that_ends_the_handshake() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closing = threading.Thread(target=lambda: server.accept()[0].close(), daemon=True)
        closing.start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}/"
        assert run(lambda: Script([ask(url)]), lambda s: s.out()) == "35:"
        closing.join(5)


def test_a_large_answer_is_refused_and_never_held(api: ApiServer) -> None:
    """100 MB, with and without a length: an error, and no more memory than the bound."""
    bodies = [ask(f"http://127.0.0.1:{api.port}/big/{100 * MB}"), ask(f"http://127.0.0.1:{api.port}/endless")]

    async def work(script: Script) -> list[str | None]:
        return [await script.out(0), await script.out(1)]

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert run(lambda: Script(bodies), work) == ["63:", "63:"]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 3 * MAX_BODY


def test_maxdatasize_cuts(api: ApiServer) -> None:
    """As Kamailio does: the script gets the beginning, with the answer's status."""
    extra = 'modparam("http_client", "query_maxdatasize", 10)'
    bodies = [ask(f"http://127.0.0.1:{api.port}/{page}") for page in (f"big/{100 * MB}", "endless", "status/404")]
    out = run(lambda: Script(bodies, extra), lambda s: _all(s, 3))
    assert out == ["200:yyyyyyyyyy", "200:xxxxxxxxxx", "404:status"]


async def _all(script: Script, count: int) -> list[str | None]:
    return [await script.out(i) for i in range(count)]


def test_redirects_end(api: ApiServer) -> None:
    extra = 'modparam("http_client", "httpredirect", 1)'
    assert run(lambda: Script([ask(f"http://127.0.0.1:{api.port}/loop")], extra), lambda s: s.out()) == "47:"
    assert len(api.take()) == MAX_REDIRECTS + 1


def test_credentials_stay_with_their_server(api: ApiServer) -> None:
    """A redirect to another server takes no password along."""
    with ApiServer(0) as other:
        extra = (
            f'modparam("http_client", "authmethod", 1)\nmodparam("http_client", "httpredirect", 1)\n'
            f'modparam("http_client", "httpcon", "c=>http://joe:secret@127.0.0.1:{api.port}")'
        )
        body = f'http_connect("c", "/moved/302http://127.0.0.1:{other.port}/x", "$var(r)"); $var(o) = $rc;'
        api_page = api._page
        api._page = lambda path, asked: (  # type: ignore[method-assign]
            (302, [("Location", f"http://127.0.0.1:{other.port}/x")], b"") if "moved" in path else api_page(path, asked)
        )
        told = ask(f"http://127.0.0.1:{api.port}/moved").replace('", "$var(r)"', '", "", "Cookie: a=b", "$var(r)"')
        assert run(lambda: Script([body, told], extra), lambda s: _all(s, 2)) == ["200", "200:first"]
        first, second = api.take()
        assert first.header("authorization") is not None
        assert second.header("cookie") == "a=b"
        assert [(a.header("authorization"), a.header("cookie")) for a in other.take()] == [(None, None), (None, None)]


def test_scripts_wait_side_by_side_on_connections_used_again(api: ApiServer) -> None:
    """Two hundred synchronous queries to a slow page take as long as one, and their connections serve again."""
    body = ask(f"http://127.0.0.1:{api.port}/ok")

    async def work(script: Script) -> tuple[int, dict[str, int]]:
        node, wire = script.node.node, script.node.wire
        done = asyncio.Event()
        send = wire.send

        def count(data: bytes, to: Any, connection_id: int = 0) -> bool:
            send(data, to, connection_id)
            if len(wire.sent) % 200 == 0:
                done.set()
            return True

        wire.send = count  # type: ignore[method-assign]
        for _ in range(2):
            done.clear()
            for i in range(200):
                data = cfgs.request(0).replace(b"call@x", b"call%d@x" % i)
                node.on_datagram(wire, data, cfgs.Address.of("127.0.0.1", cfgs.CALLER))
            assert node.pool.in_flight == 200
            await asyncio.wait_for(done.wait(), 10)
        return len(wire.sent), script.module.client.counted()

    sent, counted = run(lambda: Script([body]), work)
    assert (sent, counted["requests"], counted["in_use"], counted["failed"]) == (400, 400, 0, 0)
    assert len({a.connection for a in api.take()}) <= 200


def test_too_few_connections_make_a_script_wait_no_longer_than_its_timeout(api: ApiServer) -> None:
    body = ask(f"http://127.0.0.1:{api.port}/slow")
    extra = QUICK + '\nmodparam("http_client", "max_connections", 1)'

    async def work(script: Script) -> list[str | None]:
        node, wire = script.node.node, script.node.wire
        for i in range(3):
            data = cfgs.request(0).replace(b"call@x", b"call%d@x" % i)
            node.on_datagram(wire, data, cfgs.Address.of("127.0.0.1", cfgs.CALLER))
        await asyncio.sleep(0)
        while node.pool.in_flight:
            wire.arrived = asyncio.Event()
            await asyncio.wait_for(wire.arrived.wait(), 5)
        return list(script.node._outcome().sink)

    found = run(lambda: Script([body], extra), work)
    assert len(found) == 3
    assert all("X-Out: 28:" in each for each in found)
    assert len(api.take()) < 3


def test_a_message_adds_nothing_to_a_request(api: ApiServer) -> None:
    """What a header holds is refused in a URL unless it is escaped, and begins no header of its own."""
    hostile = "x HTTP/1.1\r\n X-Evil: 1\r\n &admin=1#"
    url = f"http://127.0.0.1:{api.port}/ok"
    bodies = [
        ask(f"{url}?q=$hdr(X-Quote)"),
        ask(f"{url}?q=$(hdr(X-Quote){{s.escape.param}})&n=1"),
        f'http_client_query("{url}", "", "X-A: $hdr(X-Quote)", "$var(r)"); $var(o) = $rc;',
        'http_connect("c", "/ok", "a/b", "$hdr(X-Quote)", "$var(r)"); $var(o) = $rc;',
    ]
    extra = f'modparam("http_client", "httpcon", "c=>http://127.0.0.1:{api.port}")'
    message = cfgs.MESSAGE.replace("Subject: hello world", f"X-Quote: {hostile}")

    async def work(script: Script) -> list[str | None]:
        return [(await script.node.wait(cfgs.request(n, message))).out for n in range(len(bodies))]

    out = run(lambda: Script(bodies, extra), work)
    assert out == ["3:", "200:first", "200", "200"]
    escaped, header, posted = api.take()
    assert " " not in escaped.target
    assert escaped.target.endswith("&n=1")
    assert "admin=1" not in escaped.target
    assert all(asked.header("x-evil") is None for asked in (escaped, header, posted))
    assert (posted.method, posted.body.decode()) == ("POST", hostile)
