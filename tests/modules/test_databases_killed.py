"""Databases killed and started again while calls run: what each call got, that none hung, that all is well after."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from databases import Engine, MariaDb
from locating import register
from mongod import Mongod, running_mongod
from stored import Server
from twin import request

from kahea.connectors.pools import describe_pools
from kahea.routing.module import RpcError

#: Seconds between calls; that a call may take: what waits for a database waits five, and the test's machine is busy.
PAUSE = 0.02
PATIENCE = 6.5

#: A call's outcome: what its script noted, and the final reply to the caller.
Call = Callable[[int], Awaitable[tuple[Any, str]]]


@dataclass
class Load:
    """Calls at a steady rate while the rest of a test runs."""

    call: Call
    #: Of each call: its number, when it began and ended, the script's code and the reply's status.
    done: list[tuple[int, float, float, Any, int]] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def run(self, until: asyncio.Event) -> None:
        """Begin calls until told to stop, then see the last of them end."""
        for number in count(1):
            if until.is_set():
                break
            self._tasks.append(asyncio.ensure_future(self._one(number)))
            await asyncio.sleep(PAUSE)
        await asyncio.wait_for(asyncio.gather(*self._tasks), PATIENCE + 5)

    async def _one(self, number: int) -> None:
        began = time.monotonic()
        code, reply = await self.call(number)
        self.done.append((number, began, time.monotonic(), code, int(reply.split(" ", 2)[1]) if reply else 0))

    def check(self, good: tuple[Any, int], bad: tuple[Any, int], outage: tuple[float, float]) -> None:
        """Each call got one of two outcomes, in time: the good one before the outage and some time after it."""
        died, back = outage
        assert len(self.done) == len(self._tasks)
        outcomes = {call[3:] for call in self.done}
        assert outcomes == {good, bad}, outcomes
        slowest = max(ended - began for _, began, ended, _, _ in self.done)
        assert slowest < PATIENCE
        early = [call for call in self.done if call[2] < died]
        late = [call for call in self.done if call[1] > back + 2]
        assert len(early) > 5
        assert len(late) > 5
        assert {call[3:] for call in early + late} == {good}


async def outage(engine: Engine | Mongod, loads: list[Load]) -> tuple[float, float]:
    """Kill the database under load, leave it away for a second, start it again; when it died and was back."""
    over = asyncio.Event()
    running = [asyncio.ensure_future(load.run(over)) for load in loads]
    await asyncio.sleep(0.8)
    died = time.monotonic()
    await asyncio.to_thread(engine.kill)
    await asyncio.sleep(1.0)
    await asyncio.to_thread(engine.start)
    back = time.monotonic()
    await asyncio.sleep(3.0)
    over.set()
    await asyncio.gather(*running)
    return died, back


def scripted(server: Server, code: str, callid: str) -> Call:
    """Calls whose script puts a code into `rc`, and answers 200 if it is positive or 0, else 503."""
    answer = "out.append(rc)\nKSR.sl.sl_send_reply(200 if rc >= 0 else 503, 'Done')"

    async def call(number: int) -> tuple[Any, str]:
        message = request("OPTIONS").replace("Call-ID: call", f"Call-ID: {callid}{number}")
        outcome = await server.run(f"{code.replace('@N', str(number))}\n{answer}", message)
        return outcome.out[0], outcome.caller[-1]

    return call


REDIS_SCHEMAS = Path("/usr/share/kamailio/db_redis/kamailio")
SCHEMAS = ("standard", "usrloc", "acc", "htable")


def make_tables(engine: Engine) -> None:
    """Kamailio's own tables, emptied."""
    kind = "mysql" if isinstance(engine, MariaDb) else "postgres"
    folder = Path("/usr/share/kamailio") / kind
    if not folder.exists():
        pytest.skip(f"needs the schemas of kamailio-{kind}-modules")
    sql: Any = engine
    for table in ("version", "location", "location_attrs", "acc", "acc_cdrs", "missed_calls", "htable"):
        sql.sql(f"drop table if exists {table}")
    for schema in SCHEMAS:
        sql.sql((folder / f"{schema}-create.sql").read_text())


@pytest.mark.parametrize(("name", "mode"), [("postgres", 1), ("mariadb", 3)])
def test_a_sql_database_is_killed_under_load(name: str, mode: int, request: pytest.FixtureRequest) -> None:
    engine: Any = request.getfixturevalue(name)
    make_tables(engine)
    url = engine.url

    async def check() -> None:
        params = {
            "sqlops": {"sqlcon": f"c0=>{url}", "query_timeout": 2000},
            "usrloc": {"db_url": url, "db_mode": mode, "preload": "location"},
            "registrar": {"min_expires": 1},
            "acc": {"db_url": url},
            "htable": {"db_url": url, "htable": "t=>size=4;dbtable=htable;dbmode=1"},
        }
        load = ("sl", "tm", "pv", "usrloc", "registrar", "acc", "htable", "sqlops")
        async with Server(params, load=load) as server:

            async def save(number: int) -> tuple[Any, str]:
                message = register(f"u{number}@x", 1, f"<sip:u{number}@10.1.1.1>", callid=f"r{number}")
                outcome = await server.run('out.append(KSR.registrar.save("location", 0))', message)
                return outcome.out[0], outcome.caller[-1]

            asked = Load(scripted(server, "rc = KSR.sqlops.sql_query('c0', 'select 1', 'r')", "q"))
            moved = Load(
                scripted(
                    server,
                    "q = KSR.sqlops\nrc = q.sql_begin('c0')\n"
                    "rc = min(rc, q.sql_query('c0', 'select @N', 'r'))\nrc = min(rc, q.sql_commit('c0'))",
                    "t",
                )
            )
            saved = Load(save)
            written = Load(scripted(server, "rc = KSR.acc.acc_db_request('200 call@N', 'acc')", "a"))
            loads = [asked, moved, saved, written]
            times = await outage(engine, loads)
            asked.check((0, 200), (-1, 503), times)
            moved.check((0, 200), (-1, 503), times)
            saved.check((1, 200), (-1, 500), times)
            written.check((1, 200), (-1, 503), times)
            # What was answered 200 is there, and was there to be seen again.
            for number, *_, status in saved.done:
                if status == 200:
                    assert (await server.lookup(f"sip:u{number}@x"))[0] == 1
            kept = set(engine.sql("select username from location").split())
            assert {f"u{number}" for number, *_, status in saved.done if status == 200} <= kept
            there = set(engine.sql("select sip_reason from acc").split())
            assert {f"call{number}" for number, *_, status in written.done if status == 200} <= there
            # A table of htable's goes there again, as it did not while the database was away.
            await server.call("KSR.htable.sht_sets('t', 'k', 'v')")
            engine.kill()
            with pytest.raises(RpcError):
                await server.rpc("htable.store", "t")
            (shown,) = await server.rpc("sqlops.connections")
            assert await server.call("out.append(KSR.sqlops.sql_query('c0', 'select 1', 'r'))") == [-1]
            (shown,) = await server.rpc("sqlops.connections")
            assert shown["state"] == "down"
            assert shown["error"]
            await asyncio.to_thread(engine.start)
            await asyncio.sleep(1.1)
            await server.rpc("htable.store", "t")
            assert "v" in engine.sql("select key_value from htable")
            assert await server.call("out.append(KSR.sqlops.sql_query('c0', 'select 1', 'r'))") == [0]
            (shown,) = await server.rpc("sqlops.connections")
            assert (shown["state"], shown["busy"], shown["waiting"]) == ("up", 0, 0)
            assert shown["open"] <= shown["size"]

    try:
        asyncio.run(check())
    finally:
        engine.kill()
        engine.start()


@pytest.mark.skipif(not REDIS_SCHEMAS.exists(), reason="needs the schemas of kamailio-redis-modules")
def test_redis_is_killed_under_load(redis: Engine) -> None:
    keys = "location=entry:ruid&usrdom:username,domain;acc=entry:callid,time"
    params = {
        "ndb_redis": {"server": f"name=a;addr=127.0.0.1;port={redis.port}"},
        "db_redis": {"schema_path": str(REDIS_SCHEMAS), "keys": keys},
        "usrloc": {"db_url": redis.url, "db_mode": 3, "use_domain": 1, "preload": "location"},
        "registrar": {"min_expires": 1},
        "acc": {"db_url": redis.url},
    }

    async def check() -> None:
        async with Server(params, load=("sl", "tm", "pv", "usrloc", *params)) as server:

            async def save(number: int) -> tuple[Any, str]:
                message = register(f"u{number}@x", 1, f"<sip:u{number}@10.1.1.1>", callid=f"r{number}")
                outcome = await server.run('out.append(KSR.registrar.save("location", 0))', message)
                return outcome.out[0], outcome.caller[-1]

            single = Load(scripted(server, "rc = KSR.ndb_redis.redis_cmd('a', 'SET k@N v', 'r')", "s"))
            piped = Load(
                scripted(
                    server,
                    "r = KSR.ndb_redis\nr.redis_pipe_cmd('a', 'SET p@N v', 'r1')\n"
                    "r.redis_pipe_cmd('a', 'GET p@N', 'r2')\nrc = r.redis_execute('a')",
                    "p",
                )
            )
            saved = Load(save)
            written = Load(scripted(server, "rc = KSR.acc.acc_db_request('200 call@N', 'acc')", "a"))
            times = await outage(redis, [single, piped, saved, written])
            single.check((1, 200), (-1, 503), times)
            piped.check((1, 200), (-1, 503), times)
            saved.check((1, 200), (-1, 500), times)
            written.check((1, 200), (-1, 503), times)
            (shown,) = await server.rpc("ndb_redis.servers")
            assert (shown["state"], shown["busy"], shown["waiting"]) == ("up", 0, 0)
            # It forgets all when it dies; what came after is there.
            for number, began, *_, status in saved.done:
                if began > times[1] and status == 200:
                    assert (await server.lookup(f"sip:u{number}@x"))[0] == 1
            described = [pool for pool in describe_pools() if pool["url"].startswith("redis+")]
            assert [(pool["state"], pool["busy"], pool["waiting"]) for pool in described] == [("up", 0, 0)] * 2

    asyncio.run(check())


def test_mongodb_is_killed_under_load() -> None:
    async def check(mongod: Mongod) -> None:
        given = {"server": f"name=m;uri='mongodb://127.0.0.1:{mongod.port}/'"}
        async with Server({"ndb_mongodb": given}, load=("sl", "tm", "pv", "ndb_mongodb")) as server:
            insert = '{"insert": "c", "documents": [{"n": @N}]}'
            written = Load(scripted(server, f"rc = KSR.ndb_mongodb.exec('m', 'd', 'c', '{insert}', 'r')", "w"))
            found = Load(scripted(server, "rc = KSR.ndb_mongodb.find('m', 'd', 'known', '{}', 'r')", "f"))
            times = await outage(mongod, [written, found])
            written.check((0, 200), (-1, 503), times)
            found.check((0, 200), (-1, 503), times)
            kept = {document["n"] for document in mongod.collections["d", "c"]}
            assert {number for number, *_, status in written.done if status == 200} <= kept
            (shown,) = await server.rpc("ndb_mongodb.servers")
            assert (shown["state"], shown["busy"], shown["waiting"]) == ("up", 0, 0)

    with running_mongod() as mongod:
        mongod.collections["d", "known"].append({"a": 1})
        asyncio.run(check(mongod))
