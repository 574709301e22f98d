"""rtpengine's relays: silent, busy, disabled, of a database; which has which call; management; a real one."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import cfgs
import media_relays
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_relays import Relay, rtpengine_answer
from relay_twin import SDP, Case, await_relays, call, message
from relay_twin import cfg as relay_cfg
from rtpengine_cases import offer
from test_rtpengine import PARAMETERS, parameter
from test_rtpproxy_relays import rpc
from tests.ending import end
from twin import needs_kamailio

from kahea.connectors.bencode import MAX_DEPTH, BencodeError, dump, dump_pairs, load
from kahea.modules.rtpengine import engines
from kahea.modules.rtpengine.engines import Call, Calls
from kahea.net.address import Address
from kahea.routing.module import ConfigError, RpcError

QUICK = parameter("rtpengine_tout_ms", 60) + parameter("rtpengine_retr", 1)


class Moody:
    """Answers unless it is silent or busy."""

    silent = busy = False

    def __call__(self, command: bytes) -> bytes | None:
        if self.busy and load(command)[b"command"] != b"ping":
            return dump({b"result": b"load limit", b"message": b"enough"})
        return None if self.silent else rtpengine_answer(command)


BODIES = [
    Case(offer(), ""), Case(call("rtpengine_answer()"), ""), Case(call("rtpengine_delete()"), ""),
    Case("$var(o) = 'quick';", ""),
]  # fmt: skip


def request(what: str) -> bytes:
    """`o:x` offers for the call x, `a:x` answers, `d:x` deletes."""
    action, _, call_id = what.partition(":")
    number = {"o": 0, "a": 1, "d": 2}[action]
    text = message("" if action == "d" else SDP, "ACK" if action == "a" else "INVITE", to_tag="tt", call_id=call_id)
    return cfgs.request(number, text)


def told(*relays: Relay) -> list[list[str]]:
    """The commands that each was told."""
    return [[load(command)[b"command"].decode() for command in relay.take()] for relay in relays]


class Steps:
    """A story: what is asked, what comes of it, and what relays are told; the same for Kamailio and for us."""

    def __init__(self, *steps: str) -> None:
        self.steps = steps

    def mood(self, step: str, moods: list[Moody]) -> bool:
        """Change a relay's mood by `silent0`, `busy1`, `well0`; False for another step."""
        word, number = step[:-1], step[-1]
        if word not in ("silent", "busy", "well"):
            return False
        moods[int(number)].silent, moods[int(number)].busy = word == "silent", word == "busy"
        return True


STORIES = {
    "a call stays with its relay": ("", Steps(
        "o:a", "o:b", "o:a", "a:a", "a:b", "silent0", "o:b", "o:b", "o:d", "d:a", "o:c",
    )),
    "another takes over": ("", Steps("o:a", "silent0", "o:b", "o:d", "o:b", "a:b")),
    "the limit": (parameter("queried_nodes_limit", 1), Steps("silent0", "o:b", "o:d")),
    "a busy relay": ("", Steps("busy0", "o:b", "well0", "o:d", "o:b")),
    "both busy": (parameter("aggressive_redetection", 0), Steps("busy0", "busy1", "o:b", "well0", "o:b")),
}  # fmt: skip


@needs_kamailio
@pytest.mark.parametrize("name", STORIES)
def test_stories(tmp_path: Path, name: str) -> None:
    """Calls and their relays, one of which falls silent or has too much to do. Pings are told apart by nobody."""
    more, story = STORIES[name]
    moods = [Moody(), Moody()]
    with Relay(0, moods[0]) as first, Relay(1, moods[1]) as second:
        extra = parameter("rtpengine_sock", f"{first.url} {second.url}") + QUICK + more
        text = relay_cfg("rtpengine", BODIES, extra)
        wanted = []
        with cfgs.kamailio(tmp_path, text) as kamailio:
            told(first, second)
            for step in story.steps:
                if not story.mood(step, moods):
                    out = kamailio.run(request(step)).out
                    wanted.append((step, out, without_pings(told(first, second))))

        async def run() -> None:
            moods[0].silent = moods[1].silent = moods[0].busy = moods[1].busy = False
            async with node_with(extra) as node:
                told(first, second)
                found = []
                for step in story.steps:
                    if not story.mood(step, moods):
                        out = (await node.wait(request(step))).out
                        found.append((step, out, without_pings(told(first, second))))
                assert found == wanted

        asyncio.run(run())


def without_pings(commands: list[list[str]]) -> list[list[str]]:
    return [[word for word in each if word != "ping"] for each in commands]


@contextlib.asynccontextmanager
async def node_with(extra: str) -> AsyncIterator[cfgs.Ours]:
    node = cfgs.Ours(relay_cfg("rtpengine", BODIES, extra))
    await node.node.open()
    try:
        await await_relays(node)
        yield node
    finally:
        await node.node.stop()


async def waited(node: cfgs.Ours, command: str, *parameters: object) -> Any:
    """What a command of management answers that waits itself."""
    answers: list[Any] = []
    done = asyncio.Event()

    def work() -> None:
        try:
            answers.append(rpc(node, command, *parameters))
        finally:
            done.set()

    node.node.in_worker(work)
    await asyncio.wait_for(done.wait(), 5)
    return answers[0]


def test_management() -> None:
    moods = [Moody(), Moody()]
    with Relay(0, moods[0]) as first, Relay(1, moods[1]) as second:
        extra = (
            parameter("rtpengine_sock", f"{first.url}=2") + parameter("rtpengine_sock", f"3 == {second.url}") + QUICK
        )

        async def run() -> None:
            async with node_with(extra) as node:
                entry = {"url": first.url, "set": 0, "index": 0, "weight": 2, "disabled": 0, "recheck_ticks": 0}
                assert (
                    rpc(node, "rtpengine.show", first.url) == rpc(node, "rtpengine.show", "::" + first.url) == [entry]
                )
                assert [x["url"] for x in rpc(node, "rtpengine.show", "all")] == [first.url, second.url]
                assert rpc(node, "rtpengine.enable", first.url, 0) == {"url": first.url, "status": "disable"}
                assert rpc(node, "rtpengine.show", first.url)[0] | {"weight": 2} == entry | {
                    "disabled": "1(permanent)",
                    "recheck_ticks": "N/A",
                }
                node.now += 100_000
                assert (await node.wait(request("o:a"))).out == " rc=-1"
                moods[0].silent = True
                assert (await waited(node, "rtpengine.ping", "all"))["status"] == "fail"
                assert (await waited(node, "rtpengine.enable", first.url, 1)) == {"url": first.url, "status": "fail"}
                # It is tested again by itself now, after a while.
                assert rpc(node, "rtpengine.show", first.url)[0]["recheck_ticks"] == 60
                moods[0].silent = False
                assert (await waited(node, "rtpengine.ping", first.url)) == {"url": first.url, "status": "success"}
                assert rpc(node, "rtpengine.show", first.url)[0]["disabled"] == 1
                assert (await waited(node, "rtpengine.enable", "all", 1)) == {"url": "all", "status": "enable"}
                assert (await node.wait(request("o:a"))).out == " rc=1"
                assert rpc(node, "rtpengine.get_hash_total") == 1
                for command, *parameters in (("show",), ("ping",), ("enable", 0)):
                    with pytest.raises(RpcError, match="not found"):
                        rpc(node, f"rtpengine.{command}", "udp:1.2.3.4:5", *parameters)
                with pytest.raises(RpcError, match="No Database URL"):
                    rpc(node, "rtpengine.reload")

        asyncio.run(run())


@pytest.mark.parametrize(("allowed", "by_management", "silent"), [(0, False, False), (1, True, True), (2, True, False)])
def test_calls_of_a_disabled_relay(allowed: int, by_management: bool, silent: bool) -> None:
    """They go on as rtpengine_allow_op says; new calls are for others."""
    moods = [Moody(), Moody()]
    with Relay(0, moods[0]) as first, Relay(1, moods[1]) as second:
        extra = parameter("rtpengine_sock", f"{first.url} {second.url}") + QUICK

        async def run() -> None:
            async with node_with(extra + parameter("rtpengine_allow_op", allowed)) as node:
                assert (await node.wait(request("o:b"))).out == " rc=1"
                assert told(first, second)[0][-1:] == ["offer"]
                rpc(node, "rtpengine.enable", first.url, 0)
                assert ((await node.wait(request("a:b"))).out == " rc=1") is by_management
                assert (await node.wait(request("o:d"))).out == " rc=1"
                assert told(second) == [["offer"]]
                assert ((await node.wait(request("d:b"))).out == " rc=1") is by_management
                await waited(node, "rtpengine.enable", first.url, 1)
                assert (await node.wait(request("o:f"))).out == " rc=1"
                moods[0].silent = True
                assert (await node.wait(request("o:f"))).out == " rc=-1"
                moods[0].silent = False
                told(first)
                assert ((await node.wait(request("a:f"))).out == " rc=1") is silent
                assert (told(first) == [["answer"]]) is silent

        asyncio.run(run())


def test_calls_are_remembered_for_a_while_and_not_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    calls = Calls(lambda: now[0], 10)
    member: Any = type("Member", (), {"set_id": 0})()
    a, b, c = (Call(name, b"") for name in (b"a", b"b", b"c"))
    calls.add(a, member)
    now[0] = 5
    calls.add(b, member)
    assert (calls.find(a, 0), calls.find(a, 1), calls.find(c, 0), len(calls)) == (member, None, None, 2)
    now[0] = 11
    assert (calls.find(a, 0), calls.find(b, 0), len(calls)) == (None, member, 1)
    monkeypatch.setattr(engines, "MAX_CALLS", 2)
    calls.add(c, member)
    calls.add(a, member)
    assert (calls.find(b, 0), calls.find(c, 0), len(calls)) == (None, member, 2)
    calls.forget(c, 0)
    assert len(calls) == 1


def test_only_the_script_that_asks_waits() -> None:
    """While a relay is slow, others are served."""
    asked, answer = threading.Event(), threading.Event()

    def slow(command: bytes) -> bytes | None:
        if load(command)[b"command"] == b"offer":
            asked.set()
            answer.wait(5)
        return rtpengine_answer(command)

    async def run() -> None:
        async with node_with(PARAMETERS) as node:
            node.send(request("o:a"))
            await asyncio.to_thread(asked.wait, 5)
            node.send(cfgs.request(3, message(call_id="other@x")))
            assert b"X-Out: quick" in await node.next_at(cfgs.SINK)
            assert node.wire.sent == []
            answer.set()
            assert b"m=audio 35002 " in await node.next_at(cfgs.SINK)

    with Relay(answer=slow):
        asyncio.run(run())


def test_what_commands_are_sent_with(tmp_path: Path) -> None:
    """The address that they leave from, their type of service; over IPv6."""
    seen: list[Any] = []

    class Looking(Relay):
        def _answer(self, cookie: bytes, command: bytes) -> list[bytes]:
            seen.append(cookie)
            return super()._answer(cookie, command)

    with Looking(0, rtpengine_answer, "::1") as relay:
        extra = parameter("rtpengine_sock", relay.url) + parameter("force_send_interface", "::1")

        async def run() -> None:
            async with node_with(extra + parameter("control_cmd_tos", 184)) as node:
                assert (await node.wait(request("o:a"))).out == " rc=1"
                member = next(iter(node.node.module("rtpengine").engines))
                sock = member.relay._transport.get_extra_info("socket")
                assert sock.getsockname()[0] == "::1"
                assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) == 184

        asyncio.run(run())
    assert len(set(seen)) == len(seen)


NEXT = """
request_route {
    if ($hdr(X-Case) == "NONE") { sl_send_reply("200", "Up"); exit; }
    $du = "sip:127.0.0.1:@SINK";
    t_on_branch("B");
    if ($hdr(X-Case) == "new") { t_newtran(); rtpengine_offer("via-branch=next"); }
    t_relay();
}
branch_route[B] { if ($hdr(X-Case) == "branch") rtpengine_offer("via-branch=auto-next"); }
""".replace("@SINK", str(cfgs.SINK))


@needs_kamailio
def test_the_next_branch(tmp_path: Path) -> None:
    """It is the one that the request goes out with, here as there."""

    def alike(request: bytes, relay: Relay) -> None:
        (command,) = (load(command) for command in relay.take() if b"4:ping" not in command)
        branch = re.search(rb"branch=([^;\r]*)", request)
        assert branch is not None
        assert command[b"via-branch"] == branch[1]

    text = relay_cfg("rtpengine", [], PARAMETERS).partition("request_route {")[0] + NEXT
    texts = [
        message(SDP, call_id=f"{where}@x").replace("z9hG4bKcaller", f"z9hG4bKcaller{where}")
        for where in ("new", "branch")
    ]
    requests = [cfgs.request(where, text) for where, text in zip(("new", "branch"), texts, strict=True)]
    with Relay(0, rtpengine_answer) as relay:
        with cfgs.kamailio(tmp_path, text) as kamailio:
            for request in requests:
                relay.take()
                kamailio.send(request)
                alike(kamailio.next_at(cfgs.SINK), relay)

        async def run() -> None:
            node = cfgs.Ours(text)
            for request in requests:
                relay.take()
                node.send(request)
                alike(await node.next_at(cfgs.SINK), relay)
            await node.node.stop()

        asyncio.run(run())


def test_a_sender_over_ipv6() -> None:
    with Relay(0, rtpengine_answer) as relay:

        async def run() -> None:
            async with node_with(PARAMETERS) as node:
                relay.take()
                node.node.on_datagram(node.wire, request("o:a"), Address.of("2001:db8::7", 5060))
                await node.next_at(cfgs.SINK)

        asyncio.run(run())
        (command,) = relay.take()
    assert load(command)[b"received-from"] == [b"IP6", b"2001:db8::7"]


def test_settings_that_change_while_the_node_runs() -> None:
    mood = Moody()
    with Relay(0, mood) as relay:

        async def run() -> None:
            extra = 'loadmodule "cfg_rpc.so"\n' + PARAMETERS + parameter("rtpengine_tout_ms", 5000)
            async with node_with(extra) as node:
                mood.silent = True
                rpc(node, "cfg.set_now_int", "rtpengine", "rtpengine_tout_ms", 20)
                rpc(node, "cfg.set_now_int", "rtpengine", "rtpengine_retr", 2)
                rpc(node, "cfg.set_now_int", "rtpengine", "aggressive_redetection", 0)
                relay.take()
                assert (await node.wait(request("o:a"))).out == " rc=-1"
                assert relay.datagrams == 2

        asyncio.run(run())


def table(path: Path, rows: list[tuple[int, str, int, int]], version: int = 1) -> str:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE IF NOT EXISTS version (table_name VARCHAR(32), table_version INTEGER)")
        connection.execute("DELETE FROM version")
        connection.execute("INSERT INTO version VALUES ('engines', ?)", (version,))
        connection.execute("CREATE TABLE IF NOT EXISTS engines (setid INT, u VARCHAR(64), weight INT, disabled INT)")
        connection.execute("DELETE FROM engines")
        connection.executemany("INSERT INTO engines VALUES (?, ?, ?, ?)", rows)
    return (
        parameter("db_url", f"sqlite:///{path}")
        + parameter("table_name", "engines")
        + parameter("url_col", "u")
        + QUICK
    )


def test_relays_of_a_database(tmp_path: Path) -> None:
    """The table is read at the start and by rtpengine.reload: new relays, other weights, relays that are gone."""
    with Relay(0, rtpengine_answer) as first, Relay(1, rtpengine_answer) as second:
        path = tmp_path / "db"
        extra = table(path, [(0, first.url, 3, 0), (0, second.url, 1, 1)])

        async def run() -> None:
            async with node_with(extra) as node:
                shown = rpc(node, "rtpengine.show", "all")
                assert [(x["url"], x["weight"], x["disabled"]) for x in shown] == [
                    (first.url, 3, 0),
                    (second.url, 1, "1(permanent)"),
                ]
                table(path, [(0, second.url, 5, 0), (2, first.url, 1, 0)])
                assert await waited(node, "rtpengine.reload") == "success"
                shown = rpc(node, "rtpengine.show", "all")
                assert [(x["set"], x["url"], x["weight"], x["disabled"]) for x in shown] == [
                    (0, second.url, 5, 0),
                    (2, first.url, 1, 0),
                ]
                told(first, second)
                assert (await node.wait(request("o:a"))).out == " rc=1"
                assert "offer" in told(second)[0]
                with pytest.raises(RpcError, match="ongoing reload"):
                    rpc(node, "rtpengine.reload")
                node.now += 11
                table(path, [(0, first.url, 1, 0)], version=2)
                with pytest.raises(RpcError, match="version 2"):
                    raise await failure(node, "rtpengine.reload")
                assert len(rpc(node, "rtpengine.show", "all")) == 2

        asyncio.run(run())


async def failure(node: cfgs.Ours, command: str) -> Exception:
    """What a command fails with."""
    found: list[Exception] = []
    done = asyncio.Event()

    def work() -> None:
        try:
            rpc(node, command)
        except RpcError as error:
            found.append(error)
        done.set()

    node.node.in_worker(work)
    await asyncio.wait_for(done.wait(), 5)
    return found[0]


@pytest.mark.parametrize(
    ("extra", "body", "error"),
    [
        (parameter("rtpengine_sock", "tcp:1.2.3.4:5"), "", "is no relay"),
        (parameter("rtpengine_sock", "ws://1.2.3.4:5/"), "", "WebSocket"),
        (parameter("rtpengine_sock", "x == udp:1.2.3.4:5"), "", "is no number of a set"),
        (parameter("wsapi", "lwsc"), "", "module lwsc"),
        (parameter("mos_min_pv", "avp"), "", "mos_min_pv"),
        (parameter("hash_algo", 3), "", "hash_algo"),
        (parameter("db_url", "nonsense"), "", "db_url"),
        pytest.param(PARAMETERS, 'set_rtpengine_set("7");', "there is no set 7", id="no set 7"),
        pytest.param(PARAMETERS, 'set_rtpengine_set("0", "x");', "is no number of a set", id="no number"),
    ],
)
def test_what_a_cfg_gets_wrong(extra: str, body: str, error: str) -> None:
    with pytest.raises(Exception, match=error):
        cfgs.Ours(relay_cfg("rtpengine", [Case(body, "")], extra))


def test_a_database_that_will_not_do(tmp_path: Path) -> None:
    async def run() -> None:
        node = cfgs.Ours(relay_cfg("rtpengine", [], table(tmp_path / "db", [], version=7)))
        with pytest.raises(ConfigError, match="version 7"):
            await node.node.open()

    asyncio.run(run())


documents = st.recursive(
    st.integers(-(10**18), 10**18) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(documents)
def test_bencode_round_trip(document: Any) -> None:
    assert load(dump(document)) == document


@given(st.binary(max_size=60))
def test_bencode_of_anything(data: bytes) -> None:
    with contextlib.suppress(BencodeError):
        load(data)


def test_bencode_bounds() -> None:
    assert load(dump_pairs([(b"a", 1), (b"a", 2)])) == {b"a": 1}
    assert dump({b"b": [1, b"x"], b"a": {}}) == b"d1:bli1e1:xe1:adee"
    load(b"l" * MAX_DEPTH + b"e" * MAX_DEPTH)
    for wrong in (b"", b"i", b"ie", b"i-e", b"i1", b"5:abc", b"-1:a", b"l", b"d1:a", b"di1ei2ee", b"l" * 99 + b"e" * 99,
                  b"i" + b"1" * 40 + b"e", b"9" * 40 + b":a", b"x"):  # fmt: skip
        with pytest.raises(BencodeError):
            load(wrong)


RTPENGINE = shutil.which("rtpengine")


@pytest.fixture
def real_engine(tmp_path: Path) -> Iterator[int]:
    """A real rtpengine in user space on loopback; the port of its control protocol."""
    port = media_relays.PORT + 5
    command = [
        str(RTPENGINE), "--table=-1", "--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{port}", "--foreground",
        "--log-stderr", "--log-level=3", "--port-min=30000", "--port-max=30100", "--num-threads=1",
        "--config-file=none", f"--pidfile={tmp_path}/pid",
    ]  # fmt: skip
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as prober:
            prober.settimeout(0.2)
            prober.connect(("127.0.0.1", port))
            deadline = time.monotonic() + 10
            while True:
                try:
                    prober.send(b"x d7:command4:pinge")
                    prober.recv(100)
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        pytest.skip("rtpengine does not run here: " + (tmp_path / "log").read_text()[-200:])
                    time.sleep(0.05)  # refused while nobody listens yet
        yield port
    finally:
        end(process)
        log.close()


@pytest.mark.skipif(RTPENGINE is None, reason="needs Debian's rtpengine-daemon")
def test_with_a_real_rtpengine(real_engine: int) -> None:
    """A call: offered, answered, asked about, ended; both sides get ports of the relay."""
    bodies = [
        *BODIES[:3],
        Case("$var(o) = $rtpestat;", ""),
        Case(call('rtpengine_query_v("j", "$avp(q)")') + "$var(o) = $var(o) + $avp(q);", ""),
        Case(call('block_dtmf("directional")'), ""),
        Case(call('rtpengine_delete("delete-delay=0")'), ""),
    ]
    text = relay_cfg("rtpengine", bodies, parameter("rtpengine_sock", f"udp:127.0.0.1:{real_engine}"))

    async def run() -> None:
        node = cfgs.Ours(text)
        await node.node.open()
        try:
            offered = (await node.wait(cfgs.request(0, message(SDP)))).sink[0]
            answered = (await node.wait(request("a:call@x"))).sink[0]
            for got in (offered, answered):
                assert "c=IN IP4 127.0.0.1\r\n" in got
                ports = [int(line.split()[1]) for line in got.split("\r\n") if line.startswith("m=audio")]
                assert 30000 <= ports[0] <= 30100
                assert "a=rtpmap:0 PCMU/8000" in got
            statistics = (await node.wait(cfgs.request(3, message()))).out
            assert statistics == "RTP: 0 bytes, 0 packets, 0 errors; RTCP: 0 bytes, 0 packets, 0 errors"
            assert '"result":"ok"' in ((await node.wait(cfgs.request(4, message()))).out or "")
            assert (await node.wait(cfgs.request(5, message()))).out == " rc=1"
            assert (await node.wait(cfgs.request(6, message("", "BYE", to_tag="tt")))).out == " rc=1"
            # It does not know the call any more.
            assert (await node.wait(cfgs.request(5, message()))).out == " rc=-1"
        finally:
            await node.node.stop()

    asyncio.run(run())
