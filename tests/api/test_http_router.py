"""http_router with a real service: the listings of its page, and a service that misbehaves in every way."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from node_process import HOST, NodeProcess, Peer, header
from tests.ports import free_port

from kahea.modules.http_router.answer import parse_answer
from kahea.modules.http_router.openapi import description
from kahea.modules.http_router.question import Question

PAGE = (Path(__file__).parents[2] / "docs/http_router.md").read_text()


def listings(language: str) -> list[str]:
    """The page's listings in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


Answer = Callable[[dict[str, Any], web.Request], Awaitable[web.StreamResponse]]


class Api:
    """A service in this event loop; use with `async with`. It answers by `answer`, and keeps what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Api:
        app = web.Application()
        app.router.add_post("/route", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, 0)
        await site.start()
        assert site._server is not None
        self.url = f"http://{HOST}:{site._server.sockets[0].getsockname()[1]}/route"  # type: ignore[attr-defined]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.headers.append({k.lower(): v for k, v in request.headers.items()})
        return await self.answer(self.asked[-1], request)


def settings(tmp_path: Path, url: str, **more: str | int) -> Path:
    """A settings file with these parameters."""
    given = {"url": url, "breaker_failures": 0, "timeout": 2000, "retries": 0, **more}
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in given.items())
    file = tmp_path / "router.toml"
    file.write_text(f"[modules.http_router]\n{lines}")
    return file


Work = Callable[[Api, NodeProcess, Peer, Peer], Awaitable[None]]


def run(tmp_path: Path, answer: Answer, work: Work, **more: str | int) -> None:
    """Do some work with a service, a node that asks it, a caller and a callee."""

    async def main() -> None:
        async with Api(answer) as api:
            file = settings(tmp_path, api.url, **more)
            async with NodeProcess(tmp_path, file) as node, Peer(node) as alice, Peer(node) as bob:
                await work(api, node, alice, bob)

    asyncio.run(main())


def to(bob: Peer, name: str = "bob") -> dict[str, Any]:
    """A route to a peer."""
    return {"uri": f"sip:{name}@{HOST}:{bob.port}"}


async def unused(_question: dict[str, Any], _request: web.Request) -> web.StreamResponse:
    raise AssertionError("not to be asked")


def test_the_page_s_documents_are_what_is_read_and_written() -> None:
    import msgspec

    question, *answers = listings("json")
    msgspec.json.decode(question, type=Question, strict=True)
    for document in answers:
        parse_answer(document.encode())
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(description())))
    assert named <= set(description()["components"]["schemas"])


def test_the_page_s_service_routes_a_call(tmp_path: Path) -> None:
    source = tmp_path / "service.py"
    source.write_text(listings("python")[0])
    spec = importlib.util.spec_from_file_location("service", source)
    assert spec is not None
    assert spec.loader is not None
    service = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(service)

    async def answer(_question: dict[str, Any], request: web.Request) -> web.StreamResponse:
        response: web.StreamResponse = await service.route(request)
        return response

    async def work(api: Api, node: NodeProcess, alice: Peer, bob: Peer) -> None:
        service.GATEWAYS["+49"] = f"sip:{HOST}:{bob.port}"
        alice.request("INVITE", f"sip:+4930123456@{HOST}:{node.port}")
        invite = await bob.receive("INVITE")
        assert invite.startswith(f"INVITE sip:+4930123456@{HOST}:{bob.port} ")
        bob.reply(invite, "200 OK")
        await alice.receive("SIP/2.0 200")
        alice.request("INVITE", f"sip:+1212555@{HOST}:{node.port}")
        await alice.receive("SIP/2.0 404 No Such Place")
        asked = api.asked[0]
        assert asked["from"]["display"] == "Alice"
        assert asked["request_uri"]["user"] == "+4930123456"
        assert asked["source"] == {"address": HOST, "port": alice.port, "protocol": "udp"}

    run(tmp_path, answer, work)


def test_the_page_s_settings(tmp_path: Path) -> None:
    from kahea.cli.main import configure

    for n, text in enumerate(listings("toml")):
        file = tmp_path / f"{n}.toml"
        file.write_text(text)
        assert dict(configure(file, (), {}, (), None).modules["http_router"])["url"] == "http://127.0.0.1:8000/route"


def test_serial_routes_with_headers_and_the_caller_hears_at_once(tmp_path: Path) -> None:
    gate = asyncio.Event()
    answers: list[dict[str, Any]] = []

    async def answer(_question: dict[str, Any], _request: web.Request) -> web.StreamResponse:
        await gate.wait()
        return web.json_response(answers[0])

    async def work(api: Api, node: NodeProcess, alice: Peer, bob: Peer) -> None:
        async with Peer(node) as carol:
            headers = {"from": {"display": "X", "uri": "sip:x@example.org"}, "extra": "X-Account: 4711\r\n"}
            answers.append({"routes": [to(bob) | {"headers": headers}, to(carol, "carol")]})
            parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            alice.request("INVITE", f"sip:b@{HOST}", f"X-Id: 7\r\nTraceparent: {parent}\r\nTracestate: a=1\r\n")
            await alice.receive("SIP/2.0 100")
            gate.set()
            invite = await bob.receive("INVITE")
            assert "sip:x@example.org" in header(invite, "From")
            assert header(invite, "X-Account") == "4711"
            trace = header(invite, "traceparent")
            assert trace.startswith(parent[:35])
            assert api.headers[0]["traceparent"] == trace != parent
            assert (api.headers[0]["tracestate"], header(invite, "tracestate")) == ("a=1", "a=1")
            assert (api.headers[0]["authorization"], api.asked[0]["headers"]) == ("Bearer key", {"X-Id": ["7"]})
            bob.reply(invite, "503 Service Unavailable")
            invite = await carol.receive("INVITE")
            assert "sip:alice@" in header(invite, "From")
            carol.reply(invite, "200 OK")
            answered = await alice.receive("SIP/2.0 200")
            assert "sip:alice@" in header(answered, "From")

    run(tmp_path, answer, work, headers="X-Id", token="key", trace_header=1)


def test_parallel_routes(tmp_path: Path) -> None:
    answers: list[dict[str, Any]] = []

    async def answer(_question: dict[str, Any], _request: web.Request) -> web.StreamResponse:
        return web.json_response(answers[0])

    async def work(_api: Api, node: NodeProcess, alice: Peer, bob: Peer) -> None:
        async with Peer(node) as carol:
            answers.append({"routing": "parallel", "routes": [to(bob), to(carol, "carol")]})
            alice.request("INVITE", f"sip:b@{HOST}")
            first, second = await bob.receive("INVITE"), await carol.receive("INVITE")
            assert header(first, "Call-ID") == header(second, "Call-ID")
            bob.reply(first, "180 Ringing")
            await alice.receive("SIP/2.0 180")
            carol.reply(second, "200 OK")
            await alice.receive("SIP/2.0 200")
            await bob.receive("CANCEL")

    run(tmp_path, answer, work)


def test_a_caller_who_gives_up(tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def answer(_question: dict[str, Any], _request: web.Request) -> web.StreamResponse:
        await gate.wait()
        return web.json_response({"routes": [{"uri": f"sip:b@{HOST}:9"}]})

    async def work(_api: Api, node: NodeProcess, alice: Peer, bob: Peer) -> None:
        uri = f"sip:b@{HOST}"
        call_id = alice.request("INVITE", uri)
        await alice.receive("SIP/2.0 100")
        alice.request("CANCEL", uri, call_id=call_id)
        await alice.receive("SIP/2.0 200")
        gate.set()
        await alice.receive("SIP/2.0 487")

    run(tmp_path, answer, work)


async def half(_question: dict[str, Any], request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b'{"routes":')
    assert request.transport is not None
    request.transport.close()
    return response


async def slow(_question: dict[str, Any], _request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


async def huge(_question: dict[str, Any], request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        for _ in range(100):
            await response.write(b" " * (1 << 20))
    except ConnectionError:
        pass
    return response


async def redirect(_question: dict[str, Any], request: web.Request) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": str(request.url)})


async def garbage(_question: dict[str, Any], _request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"\x00\xff<html>")


async def broken(_question: dict[str, Any], _request: web.Request) -> web.StreamResponse:
    return web.Response(status=500)


@pytest.mark.parametrize("answer", [half, slow, huge, redirect, garbage, broken], ids=lambda a: a.__name__)
def test_a_service_that_misbehaves(tmp_path: Path, answer: Answer) -> None:
    async def work(api: Api, node: NodeProcess, alice: Peer, bob: Peer) -> None:
        alice.request("INVITE", f"sip:b@{HOST}")
        await alice.receive("SIP/2.0 480 Later")
        assert len(api.asked) == 1
        assert "480 Later stands in" in node.log

    run(tmp_path, answer, work, fallback="480 Later", timeout=700, max_answer=1 << 16)


def test_a_service_that_is_down_is_asked_again_and_the_fallback_is_called(tmp_path: Path) -> None:
    async def main() -> None:
        async with Api(unused) as api:
            gone = api.url
        port = free_port()
        file = settings(tmp_path, gone, fallback=f"sip:{HOST}:{port}", retries=2)
        async with NodeProcess(tmp_path, file) as node, Peer(node) as alice:
            loop = asyncio.get_running_loop()
            bob = Peer(node)
            transport, _ = await loop.create_datagram_endpoint(lambda: bob, local_addr=(HOST, port))
            alice.request("INVITE", f"sip:b@{HOST}")
            assert (await bob.receive("INVITE")).startswith(f"INVITE sip:b@{HOST} "), "its Request-URI as it was"
            transport.close()

    asyncio.run(main())


def test_the_registered_stand_in(tmp_path: Path) -> None:
    async def work(_api: Api, node: NodeProcess, alice: Peer, bob: Peer) -> None:
        aor = f"sip:bob@{HOST}:{node.port}"
        alice.request("INVITE", aor)
        await alice.receive("SIP/2.0 404")
        bob.request("REGISTER", aor, f"Contact: <sip:bob@{HOST}:{bob.port}>\r\n")
        await bob.receive("SIP/2.0 200")
        alice.request("INVITE", aor)
        await bob.receive("INVITE")

    run(tmp_path, broken, work, fallback="location")


def test_answers_are_shared(tmp_path: Path) -> None:
    async def answer(_question: dict[str, Any], _request: web.Request) -> web.StreamResponse:
        return web.json_response({"reply": {"code": 404}}, headers={"Cache-Control": "max-age=60"})

    async def work(api: Api, node: NodeProcess, alice: Peer, bob: Peer) -> None:
        for user in ("b", "b", "c", "b"):
            alice.request("INVITE", f"sip:{user}@{HOST}")
            await alice.receive("SIP/2.0 404")
        assert len(api.asked) == 2

    run(tmp_path, answer, work, cache_key="request_uri.user")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[global]\ndebug = 2\n", "wants url in"),
        ('[modules.http_router]\nurl = "ftp://x"\n', "must be a URL"),
        ('[modules.http_router]\nurl = "http://x"\nfallback = "nowhere"\n', "must be a SIP URI"),
        ('[modules.http_router]\nurl = "http://x"\ncache_key = "from.nope"\n', "no from.nope"),
        ('[modules.http_router]\nurl = "http://x"\ntimeout = 0\n', "between 1 and 60000"),
    ],
)
def test_settings_that_will_not_do(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "router.toml"
    file.write_text(text)

    async def main() -> str:
        with pytest.raises(AssertionError) as error:
            async with NodeProcess(tmp_path, file):
                pass
        return str(error.value)

    assert why in asyncio.run(main())
