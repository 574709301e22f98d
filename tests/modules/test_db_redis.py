"""db_redis beside Kamailio's: what either writes to Redis the other reads; then what is our own."""

from __future__ import annotations

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from databases import Engine
from locating import register
from processes import KAMAILIO, request
from processes import Server as Process
from sqlalchemy import column, delete, func, insert, or_, select, table, update
from stored import Server

from kahea.connectors.errors import BadUrl, Refused, Unavailable
from kahea.connectors.raw import RawDatabase
from kahea.connectors.redis_tables.schema import parse_keys, parse_schema
from kahea.connectors.redis_tables.statements import parse
from kahea.connectors.sql import Database
from kahea.routing.module import ConfigError

SCHEMAS = Path("/usr/share/kamailio/db_redis/kamailio")
needs_kamailio = pytest.mark.skipif(
    KAMAILIO is None or not SCHEMAS.exists(), reason="needs a real Kamailio with its redis modules"
)

KEYS = (
    "location=entry:ruid&usrdom:username,domain&timer:partition,keepalive;location_attrs=entry:ruid,aname&ruid:ruid",
    "acc=entry:callid,time&cid:callid;subscriber=entry:username,domain",
    "usr_preferences=entry:uuid,username,attribute&user:username,domain",
)

MODULES = ("db_redis", "textops", "siputils", "usrloc", "registrar", "auth", "auth_db", "acc", "avpops", "tmx")

CFG = f"""
modparam("db_redis", "schema_path", "{SCHEMAS}")
{"".join(f'modparam("db_redis", "keys", "{keys}")' + chr(10) for keys in KEYS)}
modparam("usrloc", "db_url", "@REDIS")
modparam("usrloc", "db_mode", @MODE)
modparam("usrloc", "use_domain", @DOMAIN)
modparam("usrloc", "xavp_contact", "ulattrs")
modparam("usrloc", "timer_interval", 1)
modparam("registrar", "min_expires", 1)
modparam("registrar", "use_path", 1)
modparam("acc", "db_url", "@REDIS")
modparam("acc", "db_extra", "ruri=$ru; none=$avp(none)")
modparam("auth_db", "db_url", "@REDIS")
modparam("auth_db", "load_credentials", "$avp(id)=id;$avp(ha1)=ha1;$avp(dom)=domain")
modparam("avpops", "db_url", "@REDIS")
modparam("avpops", "avp_table", "usr_preferences")
request_route {{
    if ($rU == "ping") {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("REGISTER")) {{
        if ($hdr(X-A) != $null) $xavp(ulattrs=>a) = $hdr(X-A);
        save("location");
        exit;
    }}
    $var(o) = "";
    switch ($hdr(X-Do)) {{
        case "lookup":
            lookup("location");
            $var(o) = "" + $rc + " " + $ru + " " + $du + " " + $xavp(ulattrs=>a);
            break;
        case "acc":
            acc_db_request("200 fine", "acc");
            $var(o) = "" + $rc;
            break;
        case "subscriber":
            is_subscriber("$hdr(X-Uri)", "subscriber", "1");
            $var(o) = "" + $rc + " id=" + $avp(id) + " ha1=" + $avp(ha1) + " dom=" + $avp(dom);
            break;
        case "user":
            is_subscriber("$hdr(X-Uri)", "subscriber", "0");
            $var(o) = "" + $rc;
            break;
        case "nix":
            is_subscriber("$hdr(X-Uri)", "nix", "1");
            $var(o) = "" + $rc;
            break;
        case "store":
            $avp(s:one) = "a value"; $avp(s:two) = 5;
            avp_db_store("$fu", "$avp(s:one)");
            $var(o) = "" + $rc;
            avp_db_store("$fu", "$avp(s:two)");
            $var(o) = $var(o) + " " + $rc;
            break;
        case "load":
            avp_db_load("$fu", "$avp(s:one)");
            $var(o) = "" + $rc + " " + $avp(s:one);
            avp_db_load("$fu", "$avp(s:two)");
            $var(o) = $var(o) + " " + $rc + " " + $avp(s:two);
            break;
        case "delete":
            avp_db_delete("$fu", "$avp(s:one)");
            $var(o) = "" + $rc;
            break;
    }}
    append_to_reply("X-Out: $var(o)\\r\\n");
    sl_send_reply("200", "OK");
    exit;
}}
"""


def start(name: str, folder: Path, url: str, mode: int = 3, domain: int = 1) -> Process:
    cfg = CFG.replace("@REDIS", url).replace("@MODE", str(mode)).replace("@DOMAIN", str(domain))
    return Process(name, folder, cfg, MODULES)


def ask(server: Process, what: str, headers: str = "", user: str = "bob") -> str:
    server.caller.send(request("OPTIONS", f"sip:{user}@x.org", f"X-Do: {what}\r\n{headers}", callid=f"c{what}{user}"))
    found = re.search(r"X-Out: (.*?)\r\n", server.caller.expect("SIP/2.0 200"))
    assert found is not None
    return found[1]


def save(server: Process, *given: Any, **more: Any) -> str:
    server.caller.send(register(*given, **more))
    return server.caller.receive().partition("\r\n")[0]


def dump(engine: Engine, number: int) -> dict[str, Any]:
    """All of a database: hashes, and sets in order."""
    found: dict[str, Any] = {}
    for key in json.loads(engine.cli("-n", str(number), "--json", "keys", "*")):
        kind = engine.cli("-n", str(number), "type", key)
        read = json.loads(engine.cli("-n", str(number), "--json", "hgetall" if kind == "hash" else "smembers", key))
        found[key] = dict(sorted(read.items())) if kind == "hash" else sorted(read)
    return found


def blank(server: Process, dumped: dict[str, Any]) -> str:
    """A dump without what differs from run to run."""
    ids: dict[str, str] = {}
    lines = "\n".join(f"{key} {value}" for key, value in sorted(dumped.items()))
    # In the order of their making.
    for ruid in sorted(set(re.findall(r"uloc-[\w-]+", lines)), key=lambda ruid: int(ruid.rpartition("-")[2], 16)):
        ids[ruid] = f"RUID{len(ids)}"
    lines = re.sub(r"uloc-[\w-]+", lambda found: ids[found[0]], lines)
    lines = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", lines)
    return "\n".join(sorted(map(server.blank, lines.split("\n"))))


def play(server: Process) -> list[str]:
    """Registrations, accounting, subscribers and preferences; what was answered."""
    instance = '+sip.instance="<urn:uuid:1>"'
    path = ("Path: <sip:p;lr>", "Supported: path", "Allow: INVITE")
    saved = [
        save(server, "bob@x.org", 1, "<sip:u@10.1.1.1>;q=0.5", "X-A: av"),
        save(server, "bob@x.org", 2, "<sip:u@10.1.1.1>;q=0.7"),
        save(server, "bob@x.org", 3, f"<sip:v@10.1.1.1>;q=0.8;{instance}", *path, "X-A: bv"),
        save(server, "eve@x.org", 1, "<sip:c@10.1.1.1>"),
        save(server, "eve@x.org", 2, "<sip:c@10.1.1.1>;expires=0"),
        save(server, "dan@x.org", 1, "<sip:c@10.1.1.1>"),
        save(server, "dan@x.org", 2, "*", "Expires: 0"),
    ]
    asked = [ask(server, what) for what in ("lookup", "acc", "store", "load", "delete", "load", "nix")]
    found = [ask(server, "subscriber", f"X-Uri: sip:{user}@x.org\r\n") for user in ("alice", "bob", "dan", "eve")]
    return [*saved, *asked, *found, ask(server, "user", "X-Uri: sip:alice@elsewhere.org\r\n")]


#: What was provisioned; of dan the domain stands in the key alone.
SUBSCRIBERS = (
    ("alice:x.org", "username alice domain x.org ha1 secret id 5"),
    ("bob:x.org", "username bob domain x.org id 7"),
    ("dan:x.org", "username dan ha1 secret"),
)


@needs_kamailio
def test_what_one_writes_the_other_reads(tmp_path: Path, redis: Engine) -> None:
    engine: Any = redis
    engine.cli("flushall")
    names = ("kamailio", "kahea")
    urls = {name: f"redis://127.0.0.1:{engine.port}/{number}" for number, name in enumerate(names)}
    for number in range(2):
        for key, fields in SUBSCRIBERS:
            engine.cli("-n", str(number), "hset", f"subscriber:entry::{key}", *fields.split())

    def write(number: int) -> tuple[list[str], str]:
        server = start(names[number], tmp_path / names[number], urls[names[number]])
        try:
            return play(server), blank(server, dump(redis, number))
        finally:
            server.end()

    def read(number: int) -> list[str]:
        """What the other one wrote: loaded at the start, changed, and removed."""
        server = start(names[number], tmp_path / f"{names[number]}-again", urls[names[1 - number]], mode=1)
        try:
            answers = [ask(server, "lookup"), ask(server, "load")]
            answers.append(save(server, "bob@x.org", 4, "<sip:v@10.1.1.1>;expires=0"))
            answers.append(ask(server, "lookup"))
            answers.append(save(server, "bob@x.org", 5, "*", "Expires: 0"))
            answers.append(ask(server, "lookup"))
            return answers
        finally:
            server.end()

    with ThreadPoolExecutor(2) as pool:
        (theirs, their_rows), (ours, our_rows) = pool.map(write, range(2))
        assert ours == theirs
        assert ours[7] == "1 sip:v@10.1.1.1 sip:p;lr bv"
        assert our_rows.split("\n") == their_rows.split("\n")
        assert "location:usrdom::bob:x.org ['location:entry::RUID0', 'location:entry::RUID1']" in our_rows
        theirs, ours = pool.map(read, range(2))
        assert ours == theirs
        assert ours[0] == "1 sip:v@10.1.1.1 sip:p;lr bv"
        assert ours[3].startswith("1 sip:u@10.1.1.1")
        assert ours[5].startswith("-1")
    for number in range(2):
        assert not [key for key in dump(redis, number) if key.startswith("location")]


# ---- our own

URL = "redis://127.0.0.1:{}/9"
ROWS = table("usr_preferences", *map(column, ("uuid", "username", "domain", "attribute", "type", "value")))


def server(redis: Engine, **more: Any) -> Server:
    given = {"schema_path": str(SCHEMAS), "keys": ";".join(KEYS), "verbosity": 0, **more}
    return Server({"db_redis": given}, load=("sl", "tm", "db_redis"))


needs_schemas = pytest.mark.skipif(not SCHEMAS.exists(), reason="needs the schemas of kamailio-redis-modules")


@pytest.fixture
def clean(redis: Engine) -> Any:
    engine: Any = redis
    engine.cli("flushall")
    return engine


def preference(number: int, **more: Any) -> dict[str, Any]:
    row = {"uuid": "u", "username": "bob", "domain": "x", "attribute": f"a{number}", "type": number, "value": "v"}
    return row | more


@needs_schemas
def test_statements(clean: Any) -> None:
    c = ROWS.c

    async def check() -> None:
        async with server(clean):
            database = Database(URL.format(clean.port))

            async def names(*where: Any, **more: Any) -> list[str]:
                query = select(c.attribute).where(*where)
                return [row.attribute for row in await database.fetch(query.order_by(c.type, c.attribute.desc()))]

            rows = [preference(number) for number in range(1200)]
            rows += [preference(5000, username="eve", value=None), preference(5001, domain=None)]
            assert await database.run([(insert(ROWS), rows)]) == [1202]
            assert await names(c.type < 3) == ["a0", "a1", "a2"]
            assert await names(c.type >= 1199, c.type != 5001) == ["a1199", "a5000"]
            assert await names(c.type.in_([7, 5, 1300])) == ["a5", "a7"]
            assert await names(c.attribute.in_(["a7", "a5"]), c.uuid == "u", c.username == "bob") == ["a5", "a7"]
            assert await names(c.username == "eve", c.domain == "x") == ["a5000"]
            assert await names(c.username == "eve", c.domain == "y") == []
            assert await names(c.value.is_(None)) == ["a5000"]
            assert await names(c.domain.is_not(None), c.type > 1198) == ["a1199", "a5000"]
            assert await names(or_(c.type == 1, (c.type == 2) & (c.value == "v"), c.type == None)) == ["a1", "a2"]  # noqa: E711
            assert await names(c.value == None) == ["a5000"]  # noqa: E711
            found = await database.fetch(select(c.type).where(c.type > 3).order_by(c.type).limit(2))
            assert [row.type for row in found] == [4, 5]
            for what, count in (
                (func.count(), 1202), (func.count(c.value), 1201), (func.count(c.username.distinct()), 2),
                (func.count((c.username + "@" + func.coalesce(c.domain, "")).distinct()), 3),
            ):  # fmt: skip
                assert (await database.fetch(select(what).select_from(ROWS)))[0][0] == count
            pages = [len(page) async for page in database.pages(select(c.value), 500)]
            assert sum(pages) == 1202
            assert max(pages) == 500
            changed = [
                (update(ROWS).where(c.type < 2).values(value="w", domain="y"), [{}]),
                (delete(ROWS).where(c.type > 3, c.type < 5000), [{}]),
                (delete(ROWS).where(c.type == 5001), [{}]),
            ]
            assert await database.run(changed) == [2, 1196, 1]
            await database.close()

    asyncio.run(check())
    left = dump(clean, 9)
    # Maps follow what they map, and one row that has no domain leaves nothing behind.
    assert left["usr_preferences:user::bob:y"] == [f"usr_preferences:entry::u:bob:a{n}" for n in (0, 1)]
    assert left["usr_preferences:user::bob:x"] == [f"usr_preferences:entry::u:bob:a{n}" for n in (2, 3)]
    assert left["usr_preferences::index::user"] == [f"usr_preferences:user::{u}" for u in ("bob:x", "bob:y", "eve:x")]
    assert left["usr_preferences:entry::u:bob:a1"]["value"] == "w"
    assert len(left) == 3 + 1 + 5


@needs_schemas
def test_what_is_refused(clean: Any) -> None:
    c = ROWS.c

    async def check() -> None:
        async with server(clean):
            database = Database(URL.format(clean.port))
            for statement, why in (
                (select(column("x")).select_from(table("nix")), "no table 'nix'"),
                (select(column("x")).select_from(table("../acc")), "no table"),
                (select(c.value).where(c.value.like("x")), "can't do 'LIKE'"),
                (select(c.value).join(table("acc", column("id")), column("id") == c.type), "can't do 'JOIN'"),
            ):
                with pytest.raises(Refused, match=why):
                    await database.fetch(statement)
            address = table("address", column("id"))
            for change, why in (
                (insert(address).values(id=1), "keys says nothing of table address"),
                (insert(ROWS).values(uuid="u"), "needs values for uuid, username, attribute"),
                (insert(ROWS).values(**preference(1, username=None)), "needs values for"),
            ):
                with pytest.raises(Refused, match=why):
                    await database.run([(change, [{}])])
            await database.run([(insert(ROWS), [preference(1)])])
            # Values with a colon make the name of another row, and don't find it.
            await database.run([(insert(ROWS), [preference(1, uuid="u", username="v:bob")])])
            for uuid, user, found in (("u", "v:bob", 1), ("u:v", "bob", 0)):
                named = (c.uuid == uuid, c.username == user, c.attribute == "a1")
                assert len(await database.fetch(select(c.value).where(*named))) == found
            await database.run([(delete(ROWS).where(c.username == "v:bob"), [{}])])
            # All or none of a transaction.
            both = [(insert(ROWS), [preference(2)]), (update(ROWS).values(attribute="other"), [{}])]
            with pytest.raises(Refused, match="can't change"):
                await database.run(both)
            assert len(await database.fetch(select(c.value))) == 1
            clean.cli("-n", "9", "set", "usr_preferences:entry::text", "x")
            with pytest.raises(Refused, match="WRONGTYPE"):
                await database.fetch(select(c.value))
            assert database.state.up
            # What has no keys is read all the same.
            clean.cli("-n", "9", "hset", "address:entry::1", "id", "1", "grp", "", "ip_addr", "10.0.0.1")
            address = table("address", *map(column, ("id", "grp", "ip_addr", "tag")))
            assert await database.fetch(select(address)) == [(1, None, "10.0.0.1", None)]
            await database.close()

    asyncio.run(check())


def test_where_it_is_not_to_be_had(clean: Any, tmp_path: Path) -> None:
    url = URL.format(clean.port)
    with pytest.raises(BadUrl, match="no statements of scripts"):
        RawDatabase(url, pool_size=1, timeout=1, waiting=1)
    for keys in ("nokey", "t=map:x", "t=entry:", "=entry:x", "t=entry"):
        with pytest.raises(ValueError):
            parse_keys(keys)
    for schema in ("a/int", "a/int\nx", "a/nix\n1", "/int\n1"):
        with pytest.raises(ValueError):
            parse_schema(schema)
    for text in ("", "SELECT", "SELECT a", "SELECT a FROM t WHERE", "SELECT a FROM t; DROP", "DROP TABLE t",
                 "INSERT INTO t (a, b) VALUES (?)", "SELECT a FROM t WHERE a = 'x'"):  # fmt: skip
        with pytest.raises(ValueError):
            parse(text)

    async def check() -> None:
        with pytest.raises(ConfigError, match="no table 'nix'"):
            async with server(clean, schema_path=str(tmp_path), keys="nix=entry:id"):
                pass
        async with server(clean, schema_path=str(tmp_path), keys=""):
            for bad in ("redis://127.0.0.1/x", "redis://a:1,b:2/"):
                with pytest.raises((BadUrl, Unavailable)):
                    await Database(bad).fetch(select(ROWS))
            (tmp_path / "usr_preferences").write_text("broken")
            database = Database(url)
            with pytest.raises(Refused, match="the schema of table usr_preferences"):
                await database.fetch(select(ROWS))
            await database.close()
            nobody = Database("redis://127.0.0.1:9/0")
            with pytest.raises(Unavailable):
                await nobody.fetch(select(ROWS))
            await nobody.close()

    asyncio.run(check())
