"""rtpproxy's relays: silent, slow, gone and back; on a Unix socket, over IPv6, from a database; by management."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import cfgs
import media_relays
import pytest
from media_relays import Relay, rtpproxy_answer
from relay_twin import SDP, Case, await_relays, call, message
from relay_twin import cfg as relay_cfg
from rtpproxy_cases import offer
from test_rtpproxy import PARAMETERS, parameter
from twin import needs_kamailio

from kahea.connectors.errors import Unavailable
from kahea.connectors.media_relay import Place, parse_place, parse_set
from kahea.connectors.relay_sets import Member, Patience
from kahea.modules.rtpproxy.proxies import Proxies
from kahea.routing.module import ConfigError

AUDIO = b"Uc0,8,101 call@x 127.0.0.1 4000 ft;1"


def cfg(cases: list[Case], extra: str) -> str:
    return relay_cfg("rtpproxy", cases, extra)


@contextlib.asynccontextmanager
async def node_with(text: str) -> AsyncIterator[cfgs.Ours]:
    node = cfgs.Ours(text)
    await node.node.open()
    try:
        yield node
    finally:
        await node.node.stop()


def rpc(node: cfgs.Ours, command: str, *parameters: object) -> Any:
    return node.node.registry.rpcs[command].call(*parameters)


class Moody:
    """Answers unless it is silent."""

    silent = False

    def __call__(self, command: bytes) -> bytes | None:
        return None if self.silent else rtpproxy_answer(command)


@needs_kamailio
def test_another_relay_takes_over(tmp_path: Path) -> None:
    """Where one falls silent, the next of the set is asked, and that one at once from then on."""
    moods = [Moody(), Moody()]
    with Relay(0, moods[0]) as first, Relay(1, moods[1]) as second:
        extra = parameter("rtpproxy_sock", f"{first.url} {second.url}") + parameter("rtpproxy_retr", 1)
        cases = [Case(offer(), message())]
        text = cfg(cases, extra)
        wanted = []
        with cfgs.kamailio(tmp_path, text) as kamailio:
            for silent in (False, True, True):
                first.take(), second.take()
                moods[0].silent = silent
                out = kamailio.run(cfgs.request(0, cases[0].message)).out
                wanted.append((out, first.take(), second.take()))

        async def run() -> None:
            moods[0].silent = False
            async with node_with(text) as node:
                await await_relays(node)
                for step, silent in enumerate((False, True, True)):
                    first.take(), second.take()
                    moods[0].silent = silent
                    out = (await node.wait(cfgs.request(0, cases[0].message))).out
                    assert (out, first.take(), second.take()) == wanted[step]

        asyncio.run(run())
    assert [(bool(a), bool(b)) for _, a, b in wanted] == [(True, False), (True, True), (False, True)]


def made(clock: list[float], *relays: Relay, weights: tuple[int, ...] = (1, 1, 1), tries: int = 2) -> Proxies:
    proxies = Proxies(lambda: clock[0], Patience(tries, 0.05, 30))
    for relay, weight in zip(relays, weights, strict=False):
        proxies.add(0, relay.url, weight)
    return proxies


def hello(_member: Member) -> bytes:
    return b"D x y"


def test_a_silent_relay_is_left_alone_for_a_while() -> None:
    clock, mood = [1000.0], Moody()
    with Relay(0, mood) as relay:

        async def run() -> None:
            proxies = made(clock, relay)
            ask = lambda: proxies.ask(proxies.sets[0], b"call", hello)  # noqa: E731
            assert (await ask())[1] == b"0\n"
            mood.silent = True
            relay.take()
            with pytest.raises(Unavailable, match="no relay is available"):
                await ask()
            assert (relay.datagrams, relay.take()) == (2, [b"D x y"])  # twice, with one cookie
            mood.silent = False
            clock[0] += 29
            with pytest.raises(Unavailable):
                await ask()
            assert relay.take() == []
            clock[0] += 2
            assert (await ask())[1] == b"0\n"
            assert relay.take()[0] == b"V"
            proxies.close()

        asyncio.run(run())


def test_when_all_are_silent_they_are_tried_before_a_call_is_given_up() -> None:
    clock, moods = [1000.0], [Moody(), Moody()]
    with Relay(0, moods[0]) as first, Relay(1, moods[1]) as second:

        async def run() -> None:
            proxies = made(clock, first, second)
            ask = lambda: proxies.ask(proxies.sets[0], b"b", hello)  # noqa: E731
            moods[0].silent = moods[1].silent = True
            with pytest.raises(Unavailable):
                await ask()
            moods[0].silent = False
            assert (await ask())[0].url == first.url
            proxies.close()

        asyncio.run(run())


def test_a_relay_is_tested_once_for_all_who_wait() -> None:
    with Relay() as relay:

        async def run() -> None:
            proxies = made([0.0], relay)
            found = await asyncio.gather(*(proxies.ask(proxies.sets[0], b"%d" % n, hello) for n in range(50)))
            assert {answer for _, answer in found} == {b"0\n"}
            proxies.close()

        asyncio.run(run())
        commands = relay.take()
    assert (commands.count(b"V"), commands.count(b"D x y")) == (1, 50)


def test_where_nobody_listens_nobody_waits() -> None:
    async def run() -> float:
        proxies = Proxies(lambda: 0.0, Patience(5, 10, 30))
        proxies.add(0, f"udp:127.0.0.1:{media_relays.PORT + 9}", 1)
        began = asyncio.get_running_loop().time()
        with pytest.raises(Unavailable):
            await proxies.ask(proxies.sets[0], b"x", hello)
        proxies.close()
        return asyncio.get_running_loop().time() - began

    assert asyncio.run(run()) < 5


def test_answers_to_nobody_are_forgotten() -> None:
    """Answers with foreign cookies, repeated, empty or late: the next command is not misled by them."""

    class Noisy(Relay):
        def _answer(self, cookie: bytes, command: bytes) -> list[bytes]:
            right = cookie + b" " + (rtpproxy_answer(command) or b"")
            return [b"", b" ", b"other 1", cookie + b"x 2", right, right, cookie + b" 9"]

    with Noisy() as relay:

        async def run() -> None:
            proxies = made([0.0], relay)
            for _ in range(20):
                assert (await proxies.ask(proxies.sets[0], b"call", hello))[1] == b"0\n"
            proxies.close()

        asyncio.run(run())


def test_only_the_script_that_asks_waits() -> None:
    """While a relay is slow, others are served."""
    asked, answer = threading.Event(), threading.Event()

    def slow(command: bytes) -> bytes | None:
        if command == AUDIO:
            asked.set()
            answer.wait(5)
        return rtpproxy_answer(command)

    text = cfg([Case(offer(), ""), Case("$var(o) = 'quick';", "")], PARAMETERS)

    async def run() -> None:
        async with node_with(text) as node:
            await await_relays(node)
            node.send(cfgs.request(0, message()))
            await asyncio.to_thread(asked.wait, 5)
            node.send(cfgs.request(1, message(call_id="other@x")))
            assert b"X-Out: quick" in await node.next_at(cfgs.SINK)
            assert node.wire.sent == []
            answer.set()
            assert b"m=audio 35002 " in await node.next_at(cfgs.SINK)

    with Relay(answer=slow):
        asyncio.run(run())


def test_a_relay_on_a_unix_socket(tmp_path: Path) -> None:
    """Each command is a connection of its own, without a cookie."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(4096))
        if heard[-1] != b"D call@x ft":
            writer.write(rtpproxy_answer(heard[-1]) or b"")
        writer.close()

    text = cfg(
        [Case(offer(), ""), Case(call("rtpproxy_destroy()"), "")], parameter("rtpproxy_sock", f"unix:{tmp_path}/s")
    )

    async def run() -> None:
        async with await asyncio.start_unix_server(serve, tmp_path / "s"), node_with(text) as node:
            outcome = await node.wait(cfgs.request(0, message()))
            assert b"m=audio 35002 " in outcome.sink[0].encode()
            # It closes the connection without a word.
            assert (await node.wait(cfgs.request(1, message()))).out == " rc=-1"

    asyncio.run(run())
    assert AUDIO in heard


def test_a_relay_over_ipv6() -> None:
    with Relay(host="::1") as relay:

        async def run() -> None:
            async with node_with(cfg([Case(offer(), "")], parameter("rtpproxy_sock", relay.url))) as node:
                assert (await node.wait(cfgs.request(0, message()))).out == " rc=1"

        asyncio.run(run())
        assert AUDIO in relay.take()


def database(path: Path, rows: list[tuple[str, str, int]], version: int = 1) -> str:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE version (table_name VARCHAR(32), table_version INTEGER)")
        connection.execute("INSERT INTO version VALUES ('rtpproxy', ?)", (version,))
        connection.execute(
            "CREATE TABLE rtpproxy (id INTEGER PRIMARY KEY, setid VARCHAR(32) DEFAULT '00' NOT NULL, url VARCHAR(64),"
            " flags INTEGER DEFAULT 0, weight INTEGER DEFAULT 1, description VARCHAR(64) DEFAULT '')"
        )
        connection.executemany("INSERT INTO rtpproxy (setid, url, weight) VALUES (?, ?, ?)", rows)
    return parameter("db_url", f"sqlite:///{path}")


def test_relays_of_a_database(tmp_path: Path) -> None:
    with Relay(0) as first, Relay(1) as second:
        extra = database(tmp_path / "db", [("00", first.url, 1), ("7", second.url, 3)]) + PARAMETERS

        async def run() -> None:
            async with node_with(cfg([Case('set_rtp_proxy_set("7");' + offer(), "")], extra)) as node:
                listed = rpc(node, "rtpproxy.list")
                assert [(x["setid"], x["url"], x["weight"]) for x in listed] == [(0, first.url, 1), (7, second.url, 3)]
                assert (await node.wait(cfgs.request(0, message()))).out == " rc=1"

        asyncio.run(run())
        assert AUDIO in second.take()


@pytest.mark.parametrize(
    ("rows", "version", "error"),
    [([], 2, "table rtpproxy has version 2, not 1"), ([("0", "tcp:1.2.3.4", 1)], 1, "is no relay"),
     ([("x", "udp:1.2.3.4", 1)], 1, "rtpproxy: .*'x'")],
)  # fmt: skip
def test_a_database_that_will_not_do(tmp_path: Path, rows: Any, version: int, error: str) -> None:
    async def run() -> None:
        node = cfgs.Ours(cfg([], database(tmp_path / "db", rows, version)))
        with pytest.raises(ConfigError, match=error):
            await node.node.open()

    asyncio.run(run())


def test_management() -> None:
    with Relay(0) as first, Relay(1) as second:
        extra = parameter("rtpproxy_sock", f"{first.url} {second.url}=2") + parameter(
            "rtpproxy_sock", f"2=={first.url}"
        )

        async def run() -> None:
            async with node_with(
                cfg([Case(offer(), ""), Case('set_rtp_proxy_set("2");' + offer(), "")], extra)
            ) as node:
                entry = {"setid": 0, "url": first.url, "index": 0, "disabled": 0, "weight": 1, "recheck": 0}
                listed = rpc(node, "rtpproxy.list")
                assert listed[0] == entry
                assert [(x["setid"], x["index"], x["weight"]) for x in listed] == [(0, 0, 1), (0, 1, 2), (2, 2, 1)]
                rpc(node, "rtpproxy.enable", first.url, 0)
                assert [(x["disabled"], x["recheck"]) for x in rpc(node, "rtpproxy.list")] == [(1, -1), (0, 0), (1, -1)]
                node.now += 1_000_000
                assert (await node.wait(cfgs.request(0, message()))).out == " rc=1"
                assert (await node.wait(cfgs.request(1, message()))).out == " rc=-3"
                assert AUDIO not in first.take()
                rpc(node, "rtpproxy.enable", first.url, 1)
                assert (await node.wait(cfgs.request(1, message()))).out == " rc=1"
                assert AUDIO in first.take()
                with pytest.raises(Exception, match="not found"):
                    rpc(node, "rtpproxy.enable", "udp:1.2.3.4", 1)

        asyncio.run(run())


def test_places() -> None:
    assert parse_place("udp:localhost:7722") == Place(2, "localhost", 7722)
    assert parse_place("udp:10.0.0.1") == Place(2, "10.0.0.1", 22222)
    assert parse_place("udp6:::1:7722") == parse_place("udp6:[::1]:7722") == Place(10, "::1", 7722)
    assert parse_place("unix:/run/x") == parse_place("/run/x") == Place(1, path="/run/x")
    for wrong in ("", "udp:", "udp::1", "udp:x:0", "udp:x:65536", "udp:x:y", "tcp:x:1", "localhost:1", "unix:"):
        with pytest.raises(ValueError):
            parse_place(wrong)
    assert parse_set(" 2 ==  a=3 b \tc=-1") == (2, [("a", 3), ("b", 1), ("c", -1)])
    assert parse_set("") == (0, [])
    for wrong in ("x == a", "-1 == a", "5 == ", "== a"):
        with pytest.raises(ValueError):
            parse_set(wrong)


@pytest.mark.parametrize(
    ("extra", "body", "error"),
    [
        (parameter("rtpproxy_sock", "tcp:1.2.3.4:5"), "", "is no relay"),
        (parameter("rtpproxy_sock", "x == udp:1.2.3.4:5"), "", "is no number of a set"),
        (parameter("extra_id_pv", "avp"), "", "extra_id_pv"),
        (parameter("db_url", "nonsense"), "", "db_url"),
        pytest.param(PARAMETERS, 'set_rtp_proxy_set("7");', "there is no set 7", id="no set 7"),
        pytest.param(PARAMETERS, 'set_rtp_proxy_set("x");', "is no number of a set", id="no number"),
    ],
)
def test_what_a_cfg_gets_wrong(extra: str, body: str, error: str) -> None:
    with pytest.raises(Exception, match=error):
        cfgs.Ours(cfg([Case(body, "")], extra))


def test_a_description_without_end_is_refused() -> None:
    """Hundreds of streams or lines make no commands."""
    with Relay() as relay:

        async def run() -> None:
            async with node_with(cfg([Case(offer(), "")], PARAMETERS)) as node:
                await await_relays(node)
                relay.take()
                for more in ("m=audio 4 RTP/AVP 0\r\n" * 100, "a=x\r\n" * 3000):
                    assert (await node.wait(cfgs.request(0, message(SDP + more)))).out == " rc=-1"

        asyncio.run(run())
        assert relay.take() == []


def test_a_sender_adds_no_words_to_commands() -> None:
    """A Call-ID with a space, which Kamailio hands on, would let a sender say the rest of a command."""
    bodies = [
        offer(), call("rtpproxy_destroy()"), call("start_recording()"), call('rtpproxy_stream2uac("p", "1")'),
        call("rtpproxy_stop_stream2uac()"), "$var(o) = 'x' + $rtpstat;",
    ]  # fmt: skip
    with Relay() as relay:

        async def run() -> None:
            async with node_with(cfg([Case(body, "") for body in bodies], PARAMETERS)) as node:
                await await_relays(node)
                relay.take()
                for number in range(len(bodies)):
                    out = (await node.wait(cfgs.request(number, message(call_id="a 6.6.6.6 66 b;1")))).out
                    assert out in (" rc=-1", "x")

        asyncio.run(run())
        assert relay.take() == []
