"""The event stream, with real applications: what they hear, what they may do, and what the node refuses them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from node_process import HOST, NodeProcess, Peer, header
from tests.ports import free_port

from kahea.modules.event_stream.stream import Client, Stream
from kahea.testing import Simulation

SCRIPT = """
import KSR

def ksr_request_route():
    if KSR.is_method_in("A"):
        KSR.tm.t_check_trans()
        KSR.rr.loose_route()
        KSR.tm.t_relay()
    elif KSR.is_method_in("C"):
        if KSR.tm.t_check_trans() > 0:
            KSR.tm.t_relay()
    elif KSR.is_REGISTER():
        KSR.registrar.save("location", 0)
    elif KSR.is_method_in("O"):
        KSR.event_stream.publish("site.options", '{"user": "%s"}' % KSR.pv.gete("$rU"))
        KSR.sl.sl_send_reply(200, "OK")
    elif KSR.pv.gete("$rU") == "ask":
        asked = KSR.event_stream.ask(500)
        if asked > 0:
            KSR.tm.t_relay()
        elif asked == -2:
            KSR.sl.send_reply(480, "Nobody Says")
    else:
        KSR.tm.t_relay()
"""


class Application:
    """One WebSocket, with what came by it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self._ids = 0

    async def call(self, method: str, *params: Any) -> Any:
        """A request and its answer; events that come before it are lost here."""
        self._ids += 1
        await self.socket.send_json({"jsonrpc": "2.0", "id": self._ids, "method": method, "params": params})
        while True:
            got = await self.socket.receive_json(timeout=10)
            if got.get("id") == self._ids:
                return got.get("result", got.get("error"))

    async def event(self) -> dict[str, Any]:
        """The next event."""
        while True:
            got: dict[str, Any] = await self.socket.receive_json(timeout=10)
            if got.get("method") == "event":
                params: dict[str, Any] = got["params"]
                return params


Work = Callable[[NodeProcess, str, aiohttp.ClientSession], Awaitable[None]]


def run(tmp_path: Path, work: Work, *more: str) -> None:
    """Do some work beside a node; the URL of its stream is given."""

    async def main() -> None:
        script = tmp_path / "script.py"
        script.write_text(SCRIPT)
        port = free_port()
        options = ["--modparam", f"event_stream:listen:s:{HOST}:{port}", *more]
        async with NodeProcess(tmp_path, script, *options) as node, aiohttp.ClientSession() as session:
            await work(node, f"http://{HOST}:{port}/events", session)

    asyncio.run(main())


def test_an_application_follows_a_call(tmp_path: Path) -> None:
    async def work(node: NodeProcess, url: str, session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(url) as socket, Peer(node) as alice, Peer(node) as bob:
            app = Application(socket)
            assert await app.call("subscribe", "call.*") == {"events": ["call.*"]}
            call_id = alice.request("INVITE", f"sip:bob@{HOST}:{bob.port}")
            invite = await bob.receive("INVITE")
            bob.reply(invite, "180 Ringing")
            bob.reply(invite, "200 OK")
            await alice.receive("SIP/2.0 200")
            alice.request("BYE", f"sip:bob@{HOST}:{bob.port}", call_id=call_id, to_tag="callee")
            events = [await app.event() for _ in range(4)]
            assert [e["event"] for e in events] == ["call.started", "call.progress", "call.answered", "call.ended"]
            assert {e["call"]["call_id"] for e in events} == {call_id}
            assert [e["number"] for e in events] == sorted(e["number"] for e in events)
            assert events[0]["call"]["from"] == f"sip:alice@{HOST}"
            assert (events[2]["code"], events[2]["reason"]) == (200, "OK")

    run(tmp_path, work)


def test_a_refused_call_and_one_that_the_application_ends(tmp_path: Path) -> None:
    async def work(node: NodeProcess, url: str, session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(url) as socket, Peer(node) as alice, Peer(node) as bob:
            app = Application(socket)
            await app.call("subscribe", ["call.failed", "call.progress"])
            alice.request("INVITE", f"sip:bob@{HOST}:{bob.port}")
            bob.reply(await bob.receive("INVITE"), "486 Busy Here")
            failed = await app.event()
            assert (failed["event"], failed["code"], failed["reason"]) == ("call.failed", 486, "Busy Here")
            call_id = alice.request("INVITE", f"sip:bob@{HOST}:{bob.port}")
            invite = await bob.receive("INVITE")
            bob.reply(invite, "180 Ringing")
            ringing = await app.event()
            assert ringing["event"] == "call.progress"
            await app.call("tm.cancel", call_id, f"1 {'INVITE'}"[:1])
            cancel = await bob.receive("CANCEL")
            assert header(cancel, "Call-ID") == call_id

    run(tmp_path, work)


def test_an_application_routes_a_call(tmp_path: Path) -> None:
    async def work(node: NodeProcess, url: str, session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(url) as socket, Peer(node) as alice, Peer(node) as bob:
            app = Application(socket)
            alice.request("INVITE", f"sip:ask@{HOST}")
            assert (await alice.receive("SIP/2.0 4")).startswith("SIP/2.0 480 Nobody Says"), "nobody listens"
            await app.call("subscribe", "call.waiting")
            alice.request("INVITE", f"sip:ask@{HOST}")
            waiting = (await app.event())["call"]["transaction"]
            answer = {"routes": [{"uri": f"sip:bob@{HOST}:{bob.port}"}]}
            bad = await app.call("route", waiting, {"routes": []})
            assert bad["code"] == -32602
            assert await app.call("route", waiting, answer) == {}
            assert (await bob.receive("INVITE")).startswith(f"INVITE sip:bob@{HOST}:{bob.port} ")
            assert (await app.call("route", waiting, answer))["code"] == 404
            alice.request("INVITE", f"sip:ask@{HOST}")
            waiting = (await app.event())["call"]["transaction"]
            await app.call("route", waiting, {"reply": {"code": 402, "reason": "No Credit"}})
            await alice.receive("SIP/2.0 402 No Credit")
            alice.request("INVITE", f"sip:ask@{HOST}")
            await alice.receive("SIP/2.0 480 Nobody Says")

    run(tmp_path, work)


def test_a_script_s_own_events_and_what_is_allowed(tmp_path: Path) -> None:
    async def work(node: NodeProcess, url: str, session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(url) as socket, Peer(node) as alice:
            app = Application(socket)
            assert (await app.call("subscribe", "Call.*;"))["code"] == -32602
            assert (await app.call("core.kill"))["code"] == -32601
            assert (await app.call("nonsense"))["code"] == -32601
            assert isinstance(await app.call("tm.stats"), dict)
            await socket.send_str("{")
            assert (await socket.receive_json(timeout=10))["error"]["code"] == -32700
            await app.call("subscribe", "site.*")
            alice.request("OPTIONS", f"sip:me@{HOST}")
            event = await app.event()
            assert (event["event"], event["data"]) == ("site.options", {"user": "me"})

    run(tmp_path, work)


def test_registrations(tmp_path: Path) -> None:
    async def work(node: NodeProcess, url: str, session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(url) as socket, Peer(node) as alice:
            app = Application(socket)
            await app.call("subscribe", "registration.*")
            aor, contact = f"sip:alice@{HOST}", f"<sip:alice@{HOST}:{alice.port}>"
            for expires in (60, 120, 0, 1):
                alice.request("REGISTER", aor, f"Contact: {contact};expires={expires}\r\nUser-Agent: test\r\n")
            events = [await app.event() for _ in range(5)]
            names = [e["event"].removeprefix("registration.") for e in events]
            assert names == ["added", "renewed", "removed", "added", "expired"]
            first = events[0]["registration"]
            assert (first["aor"], first["contact"]) == ("alice", f"sip:alice@{HOST}:{alice.port}")
            assert (first["table"], first["user_agent"]) == ("location", "test")
            assert 58 <= first["expires_in"] <= 60

    run(tmp_path, work, "--modparam", "usrloc:timer_interval:i:1", "--modparam", "registrar:min_expires:i:0")


def test_who_may_come_in(tmp_path: Path) -> None:
    async def work(node: NodeProcess, url: str, session: aiohttp.ClientSession) -> None:
        async def status(**headers: str) -> int:
            try:
                async with session.ws_connect(url, headers=headers):
                    return 101
            except aiohttp.WSServerHandshakeError as error:
                return error.status

        good = {"Authorization": "Bearer secret"}
        assert await status() == 401
        assert await status(Authorization="Bearer other") == 401
        assert await status(**good, Origin="https://evil.example") == 403
        assert await status(**good, Origin="https://good.example") == 101
        async with session.get(url, headers=good) as plain:
            assert plain.status == 426
        async with session.ws_connect(url, headers=good):
            assert await status(**good) == 503
        async with asyncio.timeout(5):
            while await status(**good) != 101:
                await asyncio.sleep(0.01)

    options = ["token:s:secret", "origins:s:https://good.example", "max_clients:i:1"]
    run(tmp_path, work, *(x for o in options for x in ("--modparam", f"event_stream:{o}")))


@pytest.mark.parametrize("where", ["0.0.0.0:9", "9", "[::]:9"])
def test_no_stream_for_all_without_a_token(tmp_path: Path, where: str) -> None:
    script = tmp_path / "s.py"
    script.write_text("def ksr_request_route():\n    pass\n")
    (tmp_path / "kahea.toml").write_text(f'[modules.event_stream]\nlisten = "{where}"\n')
    with Simulation() as simulation, pytest.raises(Exception, match="without a token"):
        simulation.node(script, "udp:10.0.0.9:5060")


def test_a_slow_client_loses_events_and_is_told() -> None:
    async def main() -> None:
        stream = Stream(lambda: 1.0)
        slow, fast = Client("a", 2), Client("b", 9)
        for client in (slow, fast):
            stream.add(client)
            stream.subscribe(client, ["x.*"])
        assert [stream.publish("x.y", {}) for _ in range(4)] == [2, 2, 1, 1]
        assert [json.loads(await slow.next())["params"]["number"] for _ in range(2)] == [1, 2]
        stream.publish("x.y", {})
        told = json.loads(await slow.next())["params"]
        assert (told["number"], told["lost"]) == (5, 2)
        assert (slow.lost, fast.lost) == (2, 0)
        assert not stream.wants("y.x")
        stream.remove(slow)
        stream.remove(fast)
        assert not stream.wants("x.y")

    asyncio.run(main())
