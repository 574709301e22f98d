"""ndb_mongodb beside Kamailio's, at the same server: the same commands arrive, scripts see the same; then our own."""

from __future__ import annotations

import asyncio
import datetime
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mongod import Mongod, bson, running_mongod
from processes import request, servers
from stored import Server
from twin import KAMAILIO, Kamailio
from twin import request as message

from kahea.connectors.errors import BadUrl
from kahea.connectors.mongodb import MongoPool
from kahea.modules.ndb_mongodb.documents import MAX_DEPTH, read_document, write_document
from kahea.modules.ndb_mongodb.functions import MAX_KEPT, parse_server
from kahea.routing.module import ConfigError

needs_kamailio = pytest.mark.skipif(
    KAMAILIO is None or not list(Path("/usr/lib").glob("**/kamailio/modules/ndb_mongodb.so")),
    reason="needs a real Kamailio with its mongodb module",
)

#: Values of all types, and texts and numbers that are not written as they are.
EVERYTHING = {
    "_id": bson.ObjectId("0123456789abcdef01234567"), "src_user": "222", "null": None, "true": True, "false": False,
    "int": -5, "long": bson.Int64(1 << 40), "short long": bson.Int64(5), "whole": 3.0, "part": -0.1, "big": 1e20,
    "tiny": 5e-324, "inf": float("inf"), "nan": float("nan"), "minus": -0.0, "array": [1, "two", {"three": 3}, []],
    "none": {}, "nothing": [], "deep": {"a": {"b": {"c": [{}]}}}, "bytes": b"abc", "uuid": bson.Binary(b"\1" * 16, 4),
    "own": bson.Binary(b"", 128), "regex": bson.Regex("^a/", "imsx"), "plain": bson.Regex("b", 0),
    "stamp": bson.Timestamp(5, 6), "decimal": bson.Decimal128("1.50"), "min": bson.MinKey(), "max": bson.MaxKey(),
    "code": bson.Code("f()"), "scoped": bson.Code("g()", {"x": 1}), "text": "ü€😀\"\\\n\r\t\b\f/\x01\x7f'",
    "when": datetime.datetime(2020, 1, 2, 3, 4, 5, 678000), "before": datetime.datetime(1960, 1, 1),
    "far": bson.DatetimeMS(1 << 60), "ref": bson.DBRef("c", 1), "key \"\n": 1,
}  # fmt: skip

SHOW = """
M = KSR.ndb_mongodb
def show(code):
    out.append([code, KSR.pv.get("$mongodb(r=>type)"), KSR.pv.get("$mongodb(r=>value)")])
"""


def ask(function: str, *words: str, steps: int = 0, server: str = "s", database: str = "kamailio") -> str:
    """A call, and so many steps to next documents."""
    given = ", ".join(map(repr, (server, database, *words)))
    return f"show(M.{function}({given}, 'r'))\n" + "show(M.next_reply('r'))\n" * steps


CASES = (
    ask("find", "acc", '{"src_user": "111"}', steps=4),
    ask("find_one", "acc", '{"src_user": "111"}', steps=2),
    ask("find", "acc", '{"src_user": "222"}'),
    ask("find", "acc", '{"src_user": "nobody"}', steps=1),
    ask("find", "acc", "{}"),
    ask("find", "acc", '{"n": {"$gt": 0}}', steps=1),
    ask("find", "acc", '{"n": {"$bad": 0}}', steps=1),
    ask("find", "acc", "{}") + ask("find", "acc", "{broken"),
    ask("find", "acc", "{}") + ask("find", "acc", "{}", server="nosrv") + ask("find", "acc", ""),
    "M.free_reply('r')\nshow(M.find('s', 'kamailio', 'acc', '{}', ''))",
    "M.find('s', 'kamailio', 'many', '{}', 'r')\nout.append(sum(M.next_reply('r') > 0 for _ in range(400)))",
    ask("find", "acc", "{}") + "out.append(M.free_reply('r'))\nshow(0)\nout.append(M.free_reply('r'))\n"
    "out.append(M.free_reply('never'))\nshow(M.next_reply('r'))\nshow(M.next_reply('never'))",
    *(
        ask(function, "w", command, steps=1)
        for function in ("exec", "execx", "exec_simple")
        for command in (
            '{"collStats": "acc"}', '{"nope": 1}', "{}", "{broken", '{"count": "acc", "query": {"n": {"$lt": 2}}}',
            '{"insert": "w", "documents": [{"a": 1, "s": {"$oid": "0123456789abcdef01234567"}}, {"a": 2}]}',
            '{"update": "w", "updates": [{"q": {"a": 1}, "u": {"$set": {"b": 2}}}]}',
            '{"aggregate": "w", "pipeline": [{"$match": {"a": 1}}], "cursor": {}}',
            '{"aggregate": "w", "pipeline": [{"$bad": {"a": 1}}], "cursor": {}}',
            '{"find": "w", "filter": {}}', '{"delete": "w", "deletes": [{"q": {"a": {"$gt": 0}}, "limit": 0}]}',
        )
    ),
    *(
        ask("find_one", "acc", f'{{"a": {value}}}')
        for value in (
            "5000000000", "1.0", "1e3", "-0.0", '"\\u00fc\\n"', '"ü"', "null", "[true, {}, []]", '{"$regex": "^1"}',
            '{"$regex": "^1", "$options": "i"}', '{"$numberLong": "5"}', '{"$numberInt": "5"}',
            '{"$numberDouble": "1"}', '{"$numberDecimal": "1.5"}', '{"$date": 1577934245678}',
            '{"$date": "2020-01-02T03:04:05.678Z"}', '{"$binary": "YWJj", "$type": "00"}', '{"$minKey": 1}',
            '{"$timestamp": {"t": 1, "i": 2}}', '{"$oid": "zz"}', '{"$ref": "x", "$id": 1}', "1} x", "1,", "'x'",
        )
    ),
)  # fmt: skip


def fill(mongod: Mongod) -> None:
    mongod.collections.clear()
    calls = mongod.collections["kamailio", "acc"]
    calls += [{"_id": n, "src_user": "111", "n": n, "f": 1.5, "d": {"x": 1}} for n in range(3)]
    calls.append(EVERYTHING)
    mongod.collections["kamailio", "many"] += [{"_id": n} for n in range(250)]


@pytest.fixture
def mongod() -> Iterator[Mongod]:
    with running_mongod() as made:
        fill(made)
        yield made


def arrived(mongod: Mongod) -> str:
    """What was asked since the last time, but for the numbers of cursors."""
    asked, mongod.asked = mongod.asked, []
    return re.sub(r"('getMore'): \d+", r"\1: N", repr(asked))


def node(mongod: Mongod, load: tuple[str, ...] = (), **more: Any) -> Server:
    given = {"server": f"name=s;uri='mongodb://127.0.0.1:{mongod.port}/kamailio'", **more}
    return Server({"ndb_mongodb": given}, load=("sl", "tm", "pv", "ndb_mongodb", *load))


@needs_kamailio
def test_the_same_as_kamailio(tmp_path: Path, mongod: Mongod) -> None:
    uri = f"mongodb://127.0.0.1:{mongod.port}/kamailio"
    kamailio = Kamailio(tmp_path, f'modparam("ndb_mongodb", "server", "name=s;uri=\'{uri}\'")', ["ndb_mongodb"])
    try:
        theirs = []
        for case in CASES:
            theirs.append((kamailio.run(SHOW + case, message("OPTIONS")).out, arrived(mongod)))
    finally:
        kamailio.stop()
    fill(mongod)

    async def check() -> None:
        async with node(mongod) as server:
            for case, (out, asked) in zip(CASES, theirs, strict=True):
                assert repr(await server.call(SHOW + case)) == repr(out), case
                assert arrived(mongod) == asked, case

    asyncio.run(check())
    assert theirs[0][0][2][2] == '{ "_id" : 2, "src_user" : "111", "n" : 2, "f" : 1.5, "d" : { "x" : 1 } }'
    assert theirs[10] == ([249], theirs[10][1])


CFG = """
modparam("ndb_mongodb", "server", "name=s;uri='mongodb://127.0.0.1:{port}/kamailio'")
request_route {{
    if ($rU == "ping") {{ sl_send_reply("200", "OK"); exit; }}
    $var(o) = "";
    if (mongodb_find("s", "kamailio", "acc", "{{ \\"src_user\\" : \\"$hdr(X-User)\\" }}", "r")) {{
        $var(o) = $var(o) + $rc + $mongodb(r=>value);
        while (mongodb_next("r")) $var(o) = $var(o) + $rc + $mongodb(r=>value);
    }}
    $var(o) = $var(o) + " " + $rc;
    mongodb_find_one("s", "kamailio", "acc", "{{ \\"n\\" : 1 }}", "r");
    $var(o) = $var(o) + " " + $rc + $mongodb(r=>value);
    mongodb_cmd("s", "kamailio", "acc", "{{ \\"collStats\\" : \\"acc\\" }}", "r");
    $var(o) = $var(o) + " " + $rc + $mongodb(r=>value);
    mongodb_cmd_simple("s", "kamailio", "acc", "{{ \\"nope\\" : \\"acc\\" }}", "r");
    $var(o) = $var(o) + " " + $rc + $mongodb(r=>value) + $mongodb(r=>type);
    mongodb_free("r");
    $var(o) = $var(o) + " " + $rc;
    mongodb_free("never");
    $var(o) = $var(o) + " " + $rc;
    append_to_reply("X-Out: $var(o)\\r\\n");
    sl_send_reply("200", "OK");
    exit;
}}
"""


@needs_kamailio
def test_natively_as_kamailio(tmp_path: Path, mongod: Mongod) -> None:
    answers = []
    with servers(tmp_path, CFG.format(port=mongod.port), ("textops", "ndb_mongodb")) as both:
        for server in both:
            server.caller.send(request("OPTIONS", "sip:x@example.com", "X-User: 111\r\n"))
            found = re.search(r"X-Out: (.*?)\r\n", server.caller.expect("SIP/2.0 200"))
            assert found is not None
            answers.append((found[1], arrived(mongod)))
    assert answers[0] == answers[1]
    assert answers[0][0].startswith('1{ "_id" : 0')


# ---- our own


def test_documents() -> None:
    for bad in ("[1]", "5", "", '{"a": 1', '{"a": {"$date": "never"}}', "[" * 10000, '{"a":' * 10000):
        with pytest.raises(ValueError, match="not a document"):
            read_document(bad)
    deep: dict[str, Any] = {}
    for _ in range(MAX_DEPTH + 2):
        deep = {"a": deep}
    with pytest.raises(ValueError, match="more than"):
        write_document(deep)
    with pytest.raises(ValueError, match="type object"):
        write_document({"a": object()})


def test_parameters(mongod: Mongod) -> None:
    assert parse_server("name=s;uri='mongodb://h/db?a=b'") == ("s", "mongodb://h/db?a=b")
    for bad in ("name=s", "uri=x", "name=s;uri=x;port=1", ""):
        with pytest.raises(ValueError):
            parse_server(bad)

    async def check() -> None:
        for uri in ("http://h/", "mongodb+srv://h/", "mongodb://h:99999/", "mongodb://h/?tls=maybe"):
            with pytest.raises(ConfigError, match=r"ndb_mongodb\.server: s:"):
                async with node(mongod, server=f"name=s;uri='{uri}'"):
                    pass
            with pytest.raises(BadUrl):
                MongoPool(uri, size=1, connect_timeout=1, timeout=1, waiting=1)
        uri = f"mongodb://127.0.0.1:{mongod.port}/?maxPoolSize=3&connectTimeoutMS=70"
        async with node(mongod, server=f"name=s;uri='{uri}'") as server:
            options = server.node.module("ndb_mongodb")._servers["s"]._client.options.pool_options
            assert (options.max_pool_size, options.connect_timeout) == (3, 0.07)
            assert (await server.rpc("ndb_mongodb.servers"))[0]["size"] == 3

    asyncio.run(check())


def test_what_goes_wrong_says_so(mongod: Mongod) -> None:
    info = "out.append(KSR.pv.get('$mongodb(r=>info)'))"

    async def check() -> None:
        async with node(mongod, cmd_timeout=200, connect_timeout=100, pool_size=2, max_waiting=3) as server:
            assert (await server.call(SHOW + ask("find", "acc", '{"n": {"$bad": 0}}') + info))[1] == (
                "unknown operator: $bad"
            )
            kept = f"out.extend(M.find('s', 'd', 'acc', '{{}}', f'r{{n}}') for n in range({MAX_KEPT}))\n"
            assert len(arrived(mongod)) > 2
            mongod.collections["d", "acc"].append({"a": 1})
            assert (await server.call(SHOW + kept + ask("find", "acc", "{}")))[-1][0] == -1
            # Too slow, and too many: each fails in its time, and nothing else waits.
            mongod.delay = 1.0
            began = time.monotonic()
            ticks = 0

            async def tick() -> None:
                nonlocal ticks
                while True:
                    await asyncio.sleep(0.01)
                    ticks += 1

            ticking = asyncio.create_task(tick())
            ping = SHOW + ask("exec", "acc", '{"ping": 1}') + info
            answers = await asyncio.gather(*(server.call(ping) for _ in range(6)))
            ticking.cancel()
            assert time.monotonic() - began < 0.9
            assert ticks > 10
            whys = sorted(str(answer[1]).partition(": ")[2] for answer in answers)
            assert [answer[0][0] for answer in answers] == [-1] * 6
            assert whys == ["3 calls are under way already"] * 3 + ["no answer in 0.2 s"] * 3
            mongod.delay = 0.0
            assert (await server.call(ping))[0][0] == 0
            (shown,) = await server.rpc("ndb_mongodb.servers")
            assert (shown["name"], shown["state"], shown["busy"], shown["waiting"]) == ("s", "up", 0, 0)
            assert 0 < shown["open"] <= shown["size"] == 2

    asyncio.run(check())


def test_a_password_is_not_shown(mongod: Mongod) -> None:
    async def check() -> None:
        uri = f"mongodb://user:secret@127.0.0.1:{mongod.port}/kamailio"
        async with node(mongod, server=f"name=s;uri='{uri}'") as server:
            (shown,) = await server.rpc("ndb_mongodb.servers")
            assert shown["url"] == f"mongodb://127.0.0.1:{mongod.port}/kamailio"

    asyncio.run(check())


def test_values_of_a_message_stay_values(mongod: Mongod) -> None:
    code = SHOW + (
        "KSR.jansson.set('string', 'src_user', KSR.pv.get('$hdr(X-User)'), '$var(f)')\n"
        "show(M.find('s', 'kamailio', 'acc', KSR.pv.get('$var(f)'), 'r'))"
    )

    async def check() -> None:
        async with node(mongod, load=("jansson",)) as server:
            assert (await server.call(code, headers='X-User: x", "src_user": {"$ne": 1}, "a": "\r\n'))[0][0] == -1
            assert (await server.call(code, headers="X-User: 111\r\n"))[0][0] == 0

    asyncio.run(check())
