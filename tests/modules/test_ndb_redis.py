"""ndb_redis beside Kamailio's, on the same Redis: the same replies; then what is our own."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import pytest
from databases import Engine
from processes import KAMAILIO, request, servers
from processes import Server as Process
from stored import Server

from kahea.connectors.redis import encode
from kahea.modules.ndb_redis.functions import words_of
from kahea.modules.ndb_redis.servers import parse_server
from kahea.routing.module import ConfigError

needs_kamailio = pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")

CFG = """
modparam("ndb_redis", "server", "name=bad;addr=127.0.0.1;port=9")
modparam("ndb_redis", "server", "name=a;addr=127.0.0.1;port={port};db={database}")
modparam("ndb_redis", "server", "name=u;unix={folder}/socket;db={database}")
modparam("ndb_redis", "init_without_redis", 1)
modparam("ndb_redis", "allowed_timeouts", 1)
modparam("ndb_redis", "disable_time", 60)
request_route {{
    $var(o) = "";
    if ($rU == "ping") {{ sl_send_reply("200", "OK"); exit; }}
    $var(case) = "C" + $hdr(X-Case);
    route($var(case));
    append_to_reply("X-Out: $var(o)\\r\\n");
    sl_send_reply("200", "OK");
    exit;
}}
route[SHOW] {{
    $var(o) = $var(o) + $rc + " type=" + $redis(r=>type) + " value=" + $redis(r=>value) + " info=" + $redis(r=>info)
        + " size=" + $redis(r=>size) + " v0=" + $redis(r=>value[0]) + " v1=" + $redis(r=>value[1])
        + " t0=" + $redis(r=>type[0]) + " t1=" + $redis(r=>type[1]) + " | ";
}}
{routes}
"""

#: Commands in order, each as the arguments between the server and the reply; what is shown is the reply.
COMMANDS = (
    "FLUSHDB", "SET foo bar", "GET foo", "GET %s|foo", "SET %s %s|a key|a value with spaces", "GET %s|a key",
    "GET nokey", "INCR foo", "INCR cnt", "DECRBY cnt 5", "RPUSH l a b c", "LRANGE l 0 -1", "HMSET h f1 v1 f2 v2",
    "HMGET %s %s %s|h|f1|f3", "GET", "NOSUCH x", "", "  GET   foo  ", "SET q 'ab'", "GET q", "SET p 100%%", "GET p",
    "SET %s-%s x|k1|k2", "KEYS k1*", "GET %s|", "GET foo|unused", "LRANGE none 0 -1", "SET u ü€", "GET u",
    "EVAL %s 0|return redis.error_reply('MY ERR')", "EVAL %s 0|return {}", "EVAL %s 0|return {1, false}",
    "EVAL %s 0|return {{ok='fine'}, 'x'}", "SADD s 1", "SISMEMBER s 1", "TTL nokey", "SETEX e 100 v", "TYPE h",
)  # fmt: skip

OTHER = (
    '$var(o) = $redisd(rpl_str) + " " + $redisd(rpl_arr) + $redisd(rpl_int) + $redisd(rpl_err) + $redisd(rpl_sts)'
    " + $redisd(rpl_nil);",
    '$var(o) = "" + $redis(none=>type) + $redis(none=>value) + $redis(none=>size) + $redis(none=>info);',
    'redis_cmd("a", "MULTI", "r1"); redis_cmd("a", "LRANGE l 0 1", "r2"); redis_cmd("a", "GET foo", "r2");'
    'redis_cmd("a", "EXEC", "r"); route(SHOW); $var(o) = $var(o) + $redis(r=>value[0]=>size) + '
    "$redis(r=>value[0]=>value[1]) + $redis(r=>value[0]=>type[1]) + $redis(r=>value[0]=>type) + $redis(r=>value[0]);",
    'redis_cmd("a", "EVAL %s 0", "return {1,2,{3,\'four\'},false,\'x\'}", "r"); route(SHOW); $var(o) = $var(o) + '
    "$redis(r=>value[2]=>value[0]) + $redis(r=>value[2]=>value[1]) + $redis(r=>value[3]) + $redis(r=>type[3])"
    " + $redis(r=>value[2]=>size) + $redis(r=>value[9]) + $redis(r=>value[2]=>value[5]);",
    'redis_cmd("a", "GET foo", "r"); redis_free("r"); route(SHOW); redis_free("never"); $var(o) = $var(o) + $rc;',
    'redis_cmd("u", "SET foo unix", "r"); route(SHOW); redis_cmd("u", "GET foo", "r"); route(SHOW);',
    'redis_cmd("nosrv", "GET foo", "r"); route(SHOW);',
    'redis_pipe_cmd("a", "SET p1 v1", "r1"); $var(o) = "" + $rc + " " + $redis(r1=>value);'
    'redis_pipe_cmd("a", "GET p1", "r"); $var(o) = $var(o) + $rc; redis_execute("a"); route(SHOW);'
    "$var(o) = $var(o) + $redis(r1=>info);"
    'redis_execute("a"); $var(o) = $var(o) + $rc;',
    'redis_pipe_cmd("a", "GET p1", "r3"); redis_cmd("a", "SET p1 v2", "r"); route(SHOW);'
    "$var(o) = $var(o) + $redis(r3=>value);",
    'redis_pipe_cmd("a", "BADCMD", "r3"); redis_pipe_cmd("a", "GET %s", "p1", "r"); redis_execute("a"); route(SHOW);'
    "$var(o) = $var(o) + $redis(r3=>info) + $redis(r3=>type);",
    'redis_execute("nosrv"); $var(o) = "" + $rc + " "; redis_pipe_cmd("nosrv", "GET x", "r"); $var(o) = $var(o) + $rc;',
    # The second failure in a row: from then on it is left alone.
    'redis_cmd("bad", "GET foo", "r"); route(SHOW); redis_cmd("bad", "GET foo", "r"); route(SHOW);'
    'redis_cmd("bad", "GET foo", "r"); route(SHOW); redis_pipe_cmd("bad", "GET p1", "r"); $var(o) = $var(o) + $rc;'
    'redis_execute("bad"); $var(o) = $var(o) + $rc;',
)


def command(line: str) -> str:
    """A line of COMMANDS as code."""
    given = ", ".join(f'"{word}"' for word in (*line.split("|"), "r"))
    return f'redis_cmd("a", {given}); route(SHOW);'


def ask(server: Process, case: int) -> str:
    """What the body of a case collected."""
    server.caller.send(request("OPTIONS", "sip:x@example.com", f"X-Case: {case}\r\n", callid=f"c{case}"))
    answer = server.caller.expect("SIP/2.0 200")
    found = re.search(r"X-Out: (.*?)\r\n", answer)
    assert found is not None, answer
    return found[1]


@needs_kamailio
def test_the_same_replies_as_kamailio(tmp_path: Path, redis: Engine) -> None:
    bodies = [*map(command, COMMANDS), *OTHER]
    routes = "".join(f'route[C{i}] {{\nredis_free("r");\n{body}\n}}\n' for i, body in enumerate(bodies))
    text = CFG.format(port=redis.port, folder=redis.folder, database=5, routes=routes)
    with servers(tmp_path, text, ("textops", "ndb_redis")) as (theirs, ours):
        want, have = ([ask(server, case) for case in range(len(bodies))] for server in (theirs, ours))
    different = [
        f"{body}\n  kamailio: {a}\n  kahea:    {b}" for body, a, b in zip(bodies, want, have, strict=True) if a != b
    ]
    assert not different, "\n".join(different)
    assert "value=a value with spaces" in have[5]


# ---- our own


def make(redis: Engine, **more: Any) -> Server:
    given = {"server": f"name=a;addr=127.0.0.1;port={redis.port};db=6", **more}
    return Server({"ndb_redis": given}, load=("sl", "tm", "pv", "ndb_redis"))


def test_words_of_a_command_stay_words() -> None:
    evil = "x\r\nFLUSHALL\r\n %s 'a\" b"
    assert words_of("SET k-%s  %s", ("a b", evil)) == [b"SET", b"k-a b", evil.encode()]
    assert encode([b"GET", b"a\r\nb"]) == b"*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n"
    for bad in ("GET %b", "GET %d", " "):
        with pytest.raises(ValueError):
            words_of(bad, ("x",))


def test_a_header_of_a_sender_is_one_value(redis: Engine) -> None:
    async def check() -> None:
        async with make(redis) as server:
            found = await server.call(
                "r = KSR.ndb_redis\n"
                "out.append(r.redis_cmd_p1('a', 'SET k %s', KSR.pv.get('$hdr(X-Q)'), 'r'))\n"
                "out += [r.redis_cmd('a', 'GET k', 'r'), KSR.pv.get('$redis(r=>value)')]",
                headers="X-Q: v EX 1 %s \"x' $3\r\n",
            )
            assert found == [1, 1, "v EX 1 %s \"x' $3"]

    asyncio.run(check())


def test_what_runs_begin_on_a_connection_is_theirs(redis: Engine) -> None:
    async def check() -> None:
        async with make(redis, pool_size=2) as server:
            multi = (
                "r = KSR.ndb_redis\nr.redis_cmd('a', 'DEL n', 'r')\nr.redis_cmd('a', 'MULTI', 'r')\n"
                "r.redis_cmd('a', 'INCR n', 'r')\nout.append(KSR.pv.get('$redis(r=>info)'))\n"
                "r.redis_cmd('a', 'INCR n', 'r')\nr.redis_cmd('a', 'EXEC', 'r')\n"
                "out += [KSR.pv.get('$redis(r=>value[0])'), KSR.pv.get('$redis(r=>value[1])')]"
            )
            other = "r = KSR.ndb_redis\nr.redis_cmd('a', 'GET none', 'r')\nout.append(KSR.pv.get('$redis(r=>type)'))"
            both = await asyncio.gather(server.call(multi), server.call(other))
            assert both == [["QUEUED", 1, 2], [4]]
            # A connection that was left in a transaction, or in another database, does not serve others.
            for left in ("MULTI", "SELECT 7"):
                await server.call(
                    f"KSR.ndb_redis.redis_cmd('a', '{left}', 'r')\nKSR.ndb_redis.redis_cmd('a', 'SET z 1', 'r')"
                )
                found = await server.call(
                    "out.append(KSR.ndb_redis.redis_cmd('a', 'GET z', 'r'))\nout.append(KSR.pv.get('$redis(r=>type)'))"
                )
                assert found == [1, 4]
            assert await server.call("out.append(KSR.ndb_redis.redis_cmd('a', 'SUBSCRIBE x', 'r'))") == [-1]
            (shown,) = await server.rpc("ndb_redis.servers")
            assert (shown["state"], shown["busy"], shown["disabled"]) == ("up", 0, 0)
            assert shown["open"] <= 2

    asyncio.run(check())


def test_connections_and_waits_are_bounded(redis: Engine) -> None:
    async def check() -> None:
        async with make(redis, pool_size=2, max_waiting=5, cmd_timeout=500) as server:
            # Each holds a connection until Redis answers.
            nap = "out.append(KSR.ndb_redis.redis_cmd('a', 'BLPOP none 0.3', 'r'))"
            began = time.monotonic()
            calls = [asyncio.ensure_future(server.call(nap)) for _ in range(7)]
            await asyncio.sleep(0.1)
            (shown,) = await server.rpc("ndb_redis.servers")
            assert (shown["size"], shown["busy"], shown["waiting"]) == (2, 2, 3)
            # Two at once, two after them, one waited too long, and two were too many.
            assert sorted(found[0] for found in await asyncio.gather(*calls)) == [-1, -1, -1, 1, 1, 1, 1]
            assert time.monotonic() - began < 1.2

    asyncio.run(check())


def test_a_cluster_s_redirection_is_followed(redis: Engine) -> None:
    async def check() -> None:
        hits: list[bytes] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(4096):
                hits.append(data)
                writer.write(b"-MOVED 1234 127.0.0.1:%d\r\n" % redis.port)

        redirecting = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = redirecting.sockets[0].getsockname()[1]
        code = "out += [KSR.ndb_redis.redis_cmd('c', 'SET moved 1', 'r'), KSR.pv.get('$redis(r=>info)')]"
        for dynamic, want in ((1, [1, "OK"]), (0, [-1, f"MOVED 1234 127.0.0.1:{redis.port}"])):
            given = {"server": f"name=c;addr=127.0.0.1;port={port}", "cluster": 1, "allow_dynamic_nodes": dynamic}
            async with Server({"ndb_redis": given}, load=("sl", "tm", "pv", "ndb_redis")) as server:
                assert await server.call(code) == want
                assert await server.call("out.append(KSR.ndb_redis.redis_pipe_cmd('c', 'GET x', 'r'))") == [-1]
        assert len(hits) == 2
        redirecting.close()

    asyncio.run(check())


def test_sentinels_say_where_the_server_is(redis: Engine) -> None:
    async def check() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            data = await reader.read(4096)
            port = str(redis.port).encode()
            if b"get-master-addr-by-name" in data and b"grp" in data:
                writer.write(b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%b\r\n" % (len(port), port))
            else:
                fields = b"$4\r\nname\r\n$1\r\nr\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n$4\r\nport\r\n$%d\r\n%b\r\n"
                writer.write(b"*1\r\n*6\r\n" + fields % (len(port), port))

        sentinel = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = sentinel.sockets[0].getsockname()[1]
        for master in (0, 1):
            where = f"name=s;sentinel_group=grp;sentinel_master={master};sentinel=127.0.0.1:9;sentinel=127.0.0.1:{port}"
            async with Server({"ndb_redis": {"server": where}}, load=("sl", "pv", "tm", "ndb_redis")) as server:
                assert await server.call("out.append(KSR.ndb_redis.redis_cmd('s', 'PING', 'r'))") == [1]
        sentinel.close()

    asyncio.run(check())


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$999999999999\r\n", b"*9999999999\r\n", b"*1\r\n" * 40, b"$5\r\nab"],
)
def test_what_is_no_redis_gets_an_error_in_time(answer: bytes) -> None:
    async def check() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(100)
            writer.write(answer)

        strange = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = strange.sockets[0].getsockname()[1]
        given = {"server": f"name=a;addr=127.0.0.1;port={port}", "cmd_timeout": 200}
        async with Server({"ndb_redis": given}, load=("sl", "tm", "pv", "ndb_redis")) as server:
            began = time.monotonic()
            assert await server.call("out.append(KSR.ndb_redis.redis_cmd('a', 'GET x', 'r'))") == [-1]
            assert time.monotonic() - began < 1
        strange.close()

    asyncio.run(check())


@pytest.mark.parametrize(
    "given", ["nonsense", "addr=127.0.0.1", "name=a;port=x", "name=a;colour=red", "name=a;sentinel=h:1"]
)
def test_parameters_are_checked(given: str) -> None:
    with pytest.raises(ValueError):
        parse_server(given)


def test_without_redis_a_node_starts_only_if_told_so() -> None:
    async def check(mode: int) -> list[Any]:
        given = {"server": "name=a;addr=127.0.0.1;port=9", "init_without_redis": mode}
        async with Server({"ndb_redis": given}, load=("sl", "tm", "pv", "ndb_redis")) as server:
            return await server.call("out.append(KSR.ndb_redis.redis_cmd('a', 'GET x', 'r'))")

    assert asyncio.run(check(1)) == [-1]
    with pytest.raises(ConfigError, match="server a"):
        asyncio.run(check(0))
