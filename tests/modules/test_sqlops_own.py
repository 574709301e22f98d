"""sqlops: what senders write stays a value; transactions; pools; what is refused. On SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from databases import Engine
from stored import Server

from kahea.connectors.errors import Refused
from kahea.connectors.options import MYSQL
from kahea.connectors.statement import Statement, quote
from kahea.routing.generation import Generation
from kahea.routing.module import ConfigError

#: What a sender may put into a header to get out of a literal, or to hurt otherwise.
EVIL = (
    "' or '1'='1",
    "\\' or 1=1 -- ",
    "\\\\' or 1=1 #",
    "x\\",
    "'; drop table users; --",
    '" or ""="',
    "''\\'' or 1=1 /*",
    "? $1 %s :a",
    "üß€",
)
#: How a script gets a header into a query.
WAYS = ("{s.escape.common}", "{sql.val}", "parameters")


def make(*urls: str, **more: Any) -> Server:
    """A node with the connections c0, c1, ..."""
    given = {"sqlops": {**more, "sqlcon": [f"c{i}=>{url}" for i, url in enumerate(urls)]}}
    return Server(given, load=("sl", "tm", "pv", "sqlops"))


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each database in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/a.db"
    engine: Engine = request.getfixturevalue(request.param)
    return engine.url


def code(way: str, query: str) -> str:
    """A script's query with the header X-Q in the place of `@`, by one of WAYS."""
    if way == "parameters":
        return f"KSR.sqlops.sql_query_p1('c0', {query.replace('@', '?')!r}, 'r', KSR.pv.get('$hdr(X-Q)'))"
    value = f"KSR.pv.get('$(hdr(X-Q){way})')"
    if way == "{s.escape.common}":
        value = f'"\'" + {value} + "\'"'
    return f"KSR.sqlops.sql_query('c0', {query!r}.replace('@', str({value})), 'r')"


TABLE = (
    "KSR.sqlops.sql_query('c0', 'drop table if exists users', 'r')\n"
    "KSR.sqlops.sql_query('c0', 'create table users (name varchar(80))', 'r')\n"
    "KSR.sqlops.sql_query('c0', \"insert into users values ('alice')\", 'r')\n"
)


@pytest.mark.parametrize("way", WAYS)
def test_what_a_sender_writes_stays_a_value(url: str, way: str) -> None:
    async def check() -> None:
        async with make(url) as server:
            await server.call(TABLE)
            for evil in EVIL:
                header = f"X-Q: {evil}\r\n"
                found = await server.call(
                    f"out.append({code(way, 'select name from users where name = @')})\n"
                    "out.append(KSR.sqlops.sql_num_rows('r'))\n"
                    f"out.append({code(way, 'insert into users values (@)')})\n"
                    f"out.append({code(way, 'select name from users where name = @')})\n"
                    "out += [KSR.sqlops.sql_num_rows('r'), KSR.sqlops.sql_result_get('r', 0, 0)]\n"
                    "KSR.sqlops.sql_query('c0', \"select count(*) from users where name = 'alice'\", 'r')\n"
                    "out.append(int(KSR.sqlops.sql_result_get('r', 0, 0)))",
                    headers=header,
                )
                *got, alice = found
                assert alice == 1, evil
                escaped_for_mysql = way == "{s.escape.common}" and not url.startswith("mysql")
                if escaped_for_mysql and ("'" in evil or '"' in evil):
                    # A backslash escapes nothing there: the query is refused.
                    assert got == [-1, 0, -1, -1, 0, None], evil
                elif escaped_for_mysql:
                    # Nothing got out; a backslash is doubled, though.
                    assert got[:2] == [0, 0], evil
                else:
                    assert got == [0, 0, 0, 0, 1, evil.strip()], evil

    asyncio.run(check())


def test_with_databases_of_both_kinds_a_literal_is_one_that_both_read_alike() -> None:
    assert quote("O'Brien \\ x", ["mysql"]) == "'O\\'Brien \\\\ x'"
    assert quote("O'Brien \\ x", ["postgresql", "sqlite"]) == "'O''Brien \\ x'"
    assert quote("a\\'b", ["postgresql"]) == "E'a\\\\''b'"
    assert quote("a\\'b\\", ["sqlite"]) == "('a'||char(92)||'''b'||char(92)||'')"
    assert quote("a\\'b", ["sqlite", "postgresql"]) is None
    assert quote("O'Brien", ["postgresql", "mysql"]) == "'O''Brien'"
    assert quote("a\\", ["postgresql", "mysql"]) is None
    assert quote("a\0", ["sqlite"]) is None


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("postgresql", "select 'a\\'' or 1=1 --'"),
        ("sqlite", 'select "a\\"" or 1=1'),
        ("postgresql", "select 1; drop table t"),
        ("mysql", "select 'a\\'' ; drop table t"),
        ("mysql", "   "),
    ],
)
def test_statements_that_are_refused(dialect: str, text: str) -> None:
    with pytest.raises(Refused):
        Statement(text, dialect)


@pytest.mark.parametrize(
    ("dialect", "text", "want"),
    [
        (
            "postgresql",
            "select ?, '?', \"?\", $$?;$$, /* ?; */ ? -- ?;",
            "select $1, '?', \"?\", $$?;$$, /* ?; */ $2 -- ?;",
        ),
        ("postgresql", "select E'a\\'?', ? ;", "select E'a\\'?', $1 ;"),
        ("mysql", "select '\\'?;', `?`, ? like 'a%' # ;", "select '\\'?;', `?`, %s like 'a%%' # ;"),
        ("sqlite", "select ?, '?;'", "select ?, '?;'"),
    ],
)
def test_placeholders_are_those_outside_of_literals(dialect: str, text: str, want: str) -> None:
    statement = Statement(text, dialect)
    count = 2 if text.count("?") > 4 else 1
    assert statement.with_parameters(["x"] * count) == want
    with pytest.raises(Refused):
        statement.with_parameters(["x"] * (count + 1))


def test_values_of_parameters(url: str) -> None:
    async def check() -> None:
        async with make(url) as server:
            await server.call(
                "KSR.sqlops.sql_query('c0', 'drop table if exists ps', 'r')\n"
                "KSR.sqlops.sql_query('c0', 'create table ps (a int, b varchar(20), c double precision)', 'r')"
            )
            found = await server.call(
                "KSR.pv.seti('$var(i)', 5)\n"
                "insert = 'insert into ps values (?, ?, ?)'\n"
                "out.append(KSR.x.modf('sql_query_params', 'c0', insert, 'r', '$var(i)', '$avp(none)', '2.5'))\n"
                "out.append(KSR.sqlops.sql_query_p3('c0', insert, 'r', '6', 'x' , '0.5'))\n"
                "out.append(KSR.sqlops.sql_query_p2('c0', insert, 'r', '6', 'x'))\n"
                "out.append(KSR.sqlops.sql_query_p2('c0', 'select b from ps where a = ? and c > ?', 'r', '5', '1'))\n"
                "out += [KSR.sqlops.sql_num_rows('r'), KSR.sqlops.sql_result_get('r', 0, 0)]\n"
                "out.append(KSR.sqlops.sql_query_p1('c0', 'select a from ps where b = ?', 'r', 'x'))\n"
                "out.append(KSR.sqlops.sql_result_get('r', 0, 0))"
            )
            assert found == [2, 0, -1, 0, 1, None, 0, 6]

    asyncio.run(check())


# ---- transactions


def test_a_script_that_waits_keeps_its_transaction_to_itself(url: str) -> None:
    async def check() -> None:
        if url.startswith("sqlite"):
            pause = "KSR.sqlops.sql_query('c1', \"with recursive n(i) as (select 1 union all select i+1 from n where"
            pause += " i < 300000) select max(i) from n\", 'p')\n"
        else:
            pause = f"KSR.sqlops.sql_query('c0', 'select {'pg_' if 'postgres' in url else ''}sleep(0.1)', 'p')\n"
        async with make(url, url) as server:
            await server.call(TABLE)
            read = (
                "KSR.sqlops.sql_query('c0', 'select name from users order by name', 'r')\n"
                "out.append([KSR.sqlops.sql_result_get('r', i, 0) for i in range(KSR.sqlops.sql_num_rows('r'))])\n"
            )
            write = "out.append(KSR.sqlops.sql_query('c0', \"insert into users values ('bob')\", 'r'))\n"
            begin = "out.append(KSR.sqlops.sql_begin('c0'))\n"
            for end, kept in (("rollback", False), ("commit", True)):
                first, second = await asyncio.gather(
                    server.call(begin + write + pause + read + f"out.append(KSR.sqlops.sql_{end}('c0'))"),
                    server.call(read),
                )
                assert first == [1, 0, ["alice", "bob"], 1]
                assert second == [["alice"]]
                assert (await server.call(read)) == [["alice", "bob"] if kept else ["alice"]]
            # There is none to end, and one at a time.
            found = await server.call(
                "q = KSR.sqlops\nout += [q.sql_commit('c0'), q.sql_rollback('c0')]\n"
                "out += [q.sql_begin('c0'), q.sql_begin('c0')]\n"
                "out += [q.sql_query('c0', 'begin', 'r'), q.sql_query('c0', 'rollback', 'r')]"
            )
            assert found == [-1, -1, 1, -1, -1, 0]

    asyncio.run(check())


def test_a_route_that_ends_without_its_transaction_is_rolled_back(url: str, caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        async with make(url, pool_size=1) as server:
            await server.call(TABLE)
            for raised in ("", "raise ValueError()"):
                await server.call(
                    "KSR.sqlops.sql_query('c0', 'BEGIN', 'r')\n"
                    f"KSR.sqlops.sql_query('c0', \"insert into users values ('bob')\", 'r')\n{raised}"
                )
                # The one connection is free again, and nothing was written.
                found = await server.call(
                    "KSR.sqlops.sql_query('c0', 'select name from users', 'r')\n"
                    "out.append(KSR.sqlops.sql_num_rows('r'))"
                )
                assert found == [1]

    with caplog.at_level(logging.ERROR):
        asyncio.run(check())
    assert "rolled back: its route ended without it" in caplog.text


def test_a_transaction_does_not_last(postgres: Engine) -> None:
    async def check() -> None:
        async with make(postgres.url, pool_size=1, transaction_timeout=1) as server:
            await server.call(TABLE)
            began = time.monotonic()
            found = await server.call(
                "KSR.sqlops.sql_begin('c0')\n"
                "KSR.sqlops.sql_query('c0', \"insert into users values ('bob')\", 'r')\n"
                "out.append(KSR.sqlops.sql_query('c0', 'select pg_sleep(1.2)', 'r'))\n"
                "out.append(KSR.sqlops.sql_query('c0', 'select 1', 'r'))\n"
                "out.append(KSR.sqlops.sql_commit('c0'))\n"
                "out.append(KSR.sqlops.sql_query('c0', 'select name from users', 'r'))\n"
                "out.append(KSR.sqlops.sql_num_rows('r'))"
            )
            assert found == [0, -1, -1, 0, 1]
            assert time.monotonic() - began < 4

    asyncio.run(check())


# ---- pools


def test_connections_are_bounded_and_what_waits_is_shown(postgres: Engine) -> None:
    async def check() -> None:
        async with make(postgres.url, pool_size=2, max_waiting=6, query_timeout=1500) as server:
            nap = "out.append(KSR.sqlops.sql_query('c0', 'select pg_sleep(0.3)', 'r'))"
            calls = [asyncio.ensure_future(server.call(nap)) for _ in range(8)]
            await asyncio.sleep(0.15)
            (shown,) = await server.rpc("sqlops.connections")
            assert (shown["name"], shown["state"], shown["size"], shown["busy"], shown["waiting"]) == (
                "c0",
                "up",
                2,
                2,
                4,
            )
            assert any(pool["url"] == shown["url"] and pool["busy"] == 2 for pool in await server.rpc("kahea.pools"))
            assert postgres.sql("select count(*) from pg_stat_activity where query like '%pg_sleep(0.3)%'") in (
                "2",
                "3",
            )
            # The last two found six under way.
            assert [(await call)[0] for call in calls] == [0] * 6 + [-1] * 2
            # One that is slow does not count as an outage while others are answered.
            slow = asyncio.ensure_future(
                server.call("out.append(KSR.sqlops.sql_query('c0', 'select pg_sleep(9)', 'r'))")
            )
            await asyncio.sleep(0.05)
            assert await server.call("out.append(KSR.sqlops.sql_query('c0', 'select 1', 'r'))") == [0]
            began = time.monotonic()
            assert await slow == [-1]
            assert time.monotonic() - began < 2
            assert await server.call("out.append(KSR.sqlops.sql_query('c0', 'select 1', 'r'))") == [0]

    asyncio.run(check())


def test_what_is_done_later_is_done_when_the_node_has_stopped(url: str) -> None:
    async def check() -> None:
        async with make(url) as server:
            await server.call(TABLE)
            later = "KSR.sqlops.sql_query_async('c0', \"insert into users values ('later')\")"
            assert await server.call(f"out.append({later})") == [1]
        async with make(url) as server:
            found = await server.call(
                "KSR.sqlops.sql_query('c0', \"select name from users where name = 'later'\", 'r')\n"
                "out.append(KSR.sqlops.sql_num_rows('r'))"
            )
            assert found == [1]

    asyncio.run(check())


def test_connect_mode_says_what_a_missing_database_means() -> None:
    nowhere = "postgres://kamailio@127.0.0.1:9/kamailio"

    async def check(mode: int) -> list[Any]:
        async with make(nowhere, connect_mode=mode) as server:
            return await server.call("out.append(KSR.sqlops.sql_query('c0', 'select 1', 'r'))")

    assert asyncio.run(check(1)) == [-1]
    with pytest.raises(ConfigError, match="connection c0"):
        asyncio.run(check(0))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"sqlcon": "nonsense"}, "name=>url"),
        ({"sqlcon": "a=>oracle://x"}, "oracle"),
        ({"sqlcon": ["a=>sqlite:///x", "a=>sqlite:///y"]}, "twice"),
        ({"pool_size": 0}, "between"),
    ],
)
def test_parameters_are_checked(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Server({"sqlops": given}, load=("sqlops",)).node.start()


def test_routes_of_events_end_their_transactions_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        async with make(f"sqlite:///{tmp_path}/a.db", pool_size=1) as server:
            await server.call(TABLE)
            done = asyncio.Event()

            def event(_run: object) -> int:
                server.ksr.sqlops.sql_begin("c0")
                server.ksr.sqlops.sql_query("c0", "insert into users values ('bob')", "r")
                done.set()
                return 1

            server.node.use(Generation(lambda _name: None, events={"x": event}.get))
            server.node.run_event("x")
            await done.wait()
            assert (await server.call("out.append(KSR.sqlops.sql_query('c0', 'select name from users', 'r'))")) == [0]

    with caplog.at_level(logging.ERROR):
        asyncio.run(check())
    assert "rolled back: its route ended without it" in caplog.text


def test_mysql_counts_found_rows_if_told_so(mariadb: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(found_rows: int) -> list[Any]:
        given = {"sqlops": {"sqlcon": f"c0=>{mariadb.url}"}, "db_mysql": {"update_affected_found": found_rows}}
        async with Server(given, load=("sl", "tm", "pv", "db_mysql", "sqlops")) as server:
            return await server.call(
                f"{TABLE}KSR.sqlops.sql_query('c0', \"update users set name = 'alice'\", 'r')\n"
                "out.append(KSR.pv.get('$sqlrows(c0)'))"
            )

    monkeypatch.setattr(MYSQL, "found_rows", False)
    assert [asyncio.run(check(0)), asyncio.run(check(1))] == [[0], [1]]
