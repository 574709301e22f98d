"""An API that takes 30 s: how long http_client and http_async_client wait for it if they are told, and if they are not.

The time of the event loop is moved on by hand, so that seconds cost none.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import cfgs
import pytest
from api_server import ApiServer, Asked

#: What passes by itself while a test runs must not matter.
MARGIN = 0.9


class Loop(asyncio.SelectorEventLoop):
    """A loop whose time can be moved on."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


class SlowApi(ApiServer):
    """Answers any request when it is let."""

    def __post_init__(self) -> None:
        self.come, self.go = threading.Event(), threading.Event()
        super().__post_init__()

    def _page(self, path: str, asked: Asked) -> tuple[int, list[tuple[str, str]], bytes]:
        self.come.set()
        self.go.wait(20)
        return super()._page(path, asked)

    def __exit__(self, *_: object) -> None:
        self.go.set()
        super().__exit__()


@pytest.fixture
def api() -> Iterator[SlowApi]:
    with SlowApi(0) as server:
        yield server


@dataclass
class Case:
    """Parameters, a body, and the seconds after which it goes on; None for never."""

    module: str
    extra: str
    body: str
    seconds: float | None
    expected: str


QUERY = 'http_client_query("@API/", "$var(r)"); $var(o) = $rc;'
GET = 'http_client_get("@API/", "", "", "$var(r)"); $var(o) = $rc;'
CONNECT = 'http_connect("c", "/", "$var(r)"); $var(o) = $rc;'
ASYNC = 't_newtran(); {} http_async_query("@API/", "REPLY");'
ROUTE = 'route[REPLY] { $var(o) = "ok=" + $http_ok + " " + $http_err; route(END); }\n'
LATE = "ok=0 Timeout was reached"


def client(body: str, seconds: float | None, *parameters: str, expected: str = "28") -> Case:
    lines = [f'modparam("http_client", "{name}", {value})' for name, _, value in (p.partition("=") for p in parameters)]
    return Case("http_client", "\n".join(lines), body, seconds, expected)


def asynchronous(seconds: float, given: str = "", before: str = "") -> Case:
    extra = given and f'modparam("http_async_client", "connection_timeout", {given})'
    return Case("http_async_client", extra, ASYNC.format(before), seconds, LATE)


CASES = {
    "query": client(QUERY, 4),
    "get": client(GET, 4),
    "connection": client(CONNECT, 4, 'httpcon="c=>@API"'),
    "connection of 0": client(CONNECT, 4, 'httpcon="c=>@API;timeout=0"'),
    "connection's own": client(CONNECT, 7, 'httpcon="c=>@API;timeout=7"'),
    "connection's before all": client(CONNECT, 7, "connection_timeout=2", 'httpcon="c=>@API;timeout=7"'),
    "connection's from all": client(CONNECT, 9, "connection_timeout=9", 'httpcon="c=>@API"'),
    "given": client(QUERY, 12, "connection_timeout=12"),
    "given in ms": client(QUERY, 2.5, "timeout_mode=2", "connection_timeout=2500"),
    "given as 0": client(QUERY, 4, "connection_timeout=0"),
    "no limit": client(QUERY, None, "timeout_mode=0", expected="200"),
    "async": asynchronous(0.5),
    "async given": asynchronous(3, given="3000"),
    "async its own": asynchronous(5, before="$http_req(timeout) = 5000;"),
    "async its own before all": asynchronous(2, given="60", before="$http_req(timeout) = 2000;"),
}


@pytest.mark.parametrize("name", CASES)
def test_how_long_they_wait(api: SlowApi, name: str) -> None:
    case = CASES[name]
    url = f"http://127.0.0.1:{api.port}"
    text = cfgs.cfg_text([case.body], case.extra, (case.module,), ROUTE if case.module != "http_client" else "")

    async def run() -> str | None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Loop)
        node = cfgs.Ours(text.replace("@API", url))
        try:
            waiting = asyncio.ensure_future(node.wait(cfgs.request(0), within=1000))
            while not api.come.is_set():
                await asyncio.sleep(0.001)
            limit = 30.0 if case.seconds is None else case.seconds
            if limit > MARGIN:
                loop.ahead += limit - MARGIN
                await asyncio.sleep(0.01)
                assert not waiting.done()
            if case.seconds is None:
                api.go.set()
            else:
                loop.ahead += MARGIN
            return (await waiting).out
        finally:
            api.go.set()
            await node.node.stop()

    with asyncio.Runner(loop_factory=Loop) as runner:
        assert runner.run(run()) == case.expected
