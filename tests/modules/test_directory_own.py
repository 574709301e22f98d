"""alias_db, speeddial and domain by themselves: what waits, what is refused, and what a database should not hold."""

from __future__ import annotations

import asyncio
import random
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from databases import Engine
from directory_cases import make_database
from stored import Server

from kahea.engines.native.check import check
from kahea.engines.native.diagnostics import ERROR
from kahea.modules.domain import BadTable, read
from kahea.routing.module import ConfigError, RpcError

LOAD = ("sl", "tm", "pv", "alias_db", "speeddial", "domain")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """The tables of `directory_cases`."""
    make_database(tmp_path / "db", random.Random(1))
    return tmp_path / "db"


def make(path: Path, **more: dict[str, Any]) -> Server:
    """A node with the three modules on a database."""
    url = {"db_url": f"sqlite:///{path}"}
    return Server({name: {**url, **more.get(name, {})} for name in LOAD[3:]}, load=LOAD)


def test_a_script_that_waits_stops_no_other(database: Path) -> None:
    async def check() -> None:
        async with make(database) as server:
            lookups = server.node.module("alias_db")._lookups
            answered, find = asyncio.Event(), lookups.find

            async def slow(*arguments: Any, **more: Any) -> Any:
                await answered.wait()
                return await find(*arguments, **more)

            lookups.find = slow
            lookup = 'out += [KSR.alias_db.lookup("dbaliases"), KSR.pv.get("$ru")]'
            waiting = asyncio.ensure_future(server.call(lookup, uri="sip:many@d1"))
            await asyncio.sleep(0)
            dialled = await server.call(
                'out.append(KSR.speeddial.lookup_owner("speed_dial", "sip:u1@x1"))', uri="sip:a@d1"
            )
            assert dialled == [1]
            assert not waiting.done()
            answered.set()
            assert await waiting == [1, "sip:m0@x1"]

    asyncio.run(check())


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_other_databases(kind: str, request: pytest.FixtureRequest) -> None:
    engine: Engine = request.getfixturevalue(kind)
    engine.sql(
        "create table own_version (table_name varchar(32), table_version int);"
        "create table own_domain (domain varchar(64), did varchar(64));"
        "create table own_attrs (did varchar(64), name varchar(32), type int, value varchar(255));"
        "create table own_aliases (alias_username varchar(64), alias_domain varchar(64), username varchar(64),"
        " domain varchar(64));"
        "create table own_numbers (username varchar(64), sd_username varchar(64), new_uri varchar(255));"
        "insert into own_version values ('own_domain', 2), ('own_attrs', 1);"
        "insert into own_domain values ('d1', null), ('d2', 'two'); insert into own_attrs values ('two', 'n', 0, '7');"
        "insert into own_aliases values ('a', 'd1', 'o''neil', 'x1'), ('a', 'd1', 'b', 'x2');"
        "insert into own_numbers values ('o''neil', '12', 'sip:b@x2')"
    )
    url = {"db_url": engine.url}
    tables = {"domain_table": "own_domain", "domain_attrs_table": "own_attrs"}
    params = {"alias_db": {**url, "append_branches": 1, "use_domain": 1}, "speeddial": url, "domain": {**url, **tables}}

    async def check() -> None:
        async with Server(params, load=LOAD, version_table="own_version") as server:
            code = 'out += [KSR.alias_db.lookup("own_aliases"), KSR.pv.get("$ru"), KSR.pv.get("$(branch(uri)[0])")]'
            assert await server.call(code, uri="sip:a@d1") == [1, "sip:o'neil@x1", "sip:b@x2"]
            code = 'out += [KSR.speeddial.lookup_owner("own_numbers", "sip:o\'neil@x1"), KSR.pv.get("$ru")]'
            assert await server.call(code, uri="sip:12@d1") == [1, "sip:b@x2"]
            code = 'out += [KSR.domain.lookup_domain("D2"), KSR.pv.get("$avp(n)"), KSR.pv.get("$avp(did)")]'
            assert await server.call(code) == [1, 7, "two"]
            assert await server.call('out.append(KSR.alias_db.lookup("nowhere"))', uri="sip:a@d1") == [-1]

    asyncio.run(check())


def test_values_that_are_null_find_nobody(database: Path, caplog: pytest.LogCaptureFixture) -> None:
    with sqlite3.connect(database) as db:
        db.executescript(
            "create table nulls (alias_username text, alias_domain text, username text, domain text, "
            "sd_username text, sd_domain text, new_uri text);"
            "insert into nulls values ('a', 'd1', null, 'x1', 'a', 'd1', 'sip:never@x'), "
            "('b', 'd1', 'u1', null, 'b', 'd1', null), ('c', 'd1', 'u1', 'x1', 'b', 'd1', null);"
        )

    async def check() -> None:
        async with make(database) as server:
            for user, found in (("a", -1), ("b", -1), ("c", 1)):
                code = 'out.append(KSR.alias_db.lookup("nulls"))'
                assert await server.call(code, uri=f"sip:{user}@d1") == [found]
            code = 'out += [KSR.speeddial.lookup_owner("nulls", "sip:u1@x1"), KSR.pv.get("$ru")]'
            assert await server.call(code, uri="sip:b@d1") == [-1, "sip:b@d1"]

    asyncio.run(check())
    assert not caplog.records


@pytest.mark.parametrize(
    ("domains", "attributes", "why"),
    [
        ([("", None)], [], "the domain in row 1 is empty"),
        ([("a", None), (None, "x")], [], "the domain in row 2 is no text"),
        ([("a", "")], [], "the domain's id in row 1 is empty"),
        ([], [("", "n", 2, "v")], "the attribute's id in row 1 is empty"),
        ([], [("a", "", 2, "v")], "the attribute's name in row 1 is empty"),
        ([], [("a", "n", 1, "v")], "the type in row 1 is 1, neither"),
        ([], [("a", "n", 2, None)], "the value in row 1 is no text"),
        *(
            ([], [("a", "n", 0, value)], f"the value in row 1 is {value!r}, no number")
            for value in ("x", "0x10", " 5", "99999999999", "+", "2147483648", "9" * 5000)
        ),
    ],
)
def test_rows_that_mean_nothing(domains: list[Any], attributes: list[Any], why: str) -> None:
    with pytest.raises(BadTable, match=re.escape(why)):
        read(domains, attributes)


def test_tables_that_are_no_good_stop_the_start(database: Path) -> None:
    async def start() -> None:
        async with make(database):
            pass

    for statement, why in (
        ("insert into domain (domain) values ('')", "domain: the domain in row 18 is empty"),
        ("update version set table_version = 1 where table_name = 'domain'", "version 1, not 2"),
        ("drop table domain", "no such table|table domain has version"),
    ):
        with sqlite3.connect(database) as db:
            db.execute(statement)
        with pytest.raises(ConfigError, match=why):
            asyncio.run(start())


def test_a_failed_reload_changes_nothing(database: Path) -> None:
    async def check() -> None:
        async with make(database, domain={"register_myself": 1}) as server:
            with sqlite3.connect(database) as db:
                db.execute("update domain set domain = 'other' where domain = 'd1'")
                db.execute("update domain_attrs set value = 'nine' where type = 0")
            with pytest.raises(RpcError, match="Reload of domain tables failed"):
                await server.rpc("domain.reload")
            known = 'out += [KSR.domain.is_domain_local("d1"), KSR.is_myself("sip:d1"), KSR.is_myself("sip:other")]'
            assert await server.call(known) == [1, True, False]
            with sqlite3.connect(database) as db:
                db.execute("update domain_attrs set value = '9' where type = 0")
            await server.rpc("domain.reload")
            assert await server.call(known) == [-1, False, True]

    asyncio.run(check())


def test_nothing_is_read_where_nobody_asked_for_it() -> None:
    """With no list of modules all are there; none of these three then asks a database by itself."""

    async def check() -> None:
        async with Server({}, load=LOAD):
            pass

    with pytest.raises(ConfigError, match=r"^domain: mysql"):
        asyncio.run(check())

    async def all_modules() -> list[Any]:
        server = Server({}, load=LOAD)
        server.node.configuration.load = None
        async with server:
            return await server.call('out.append(KSR.domain.is_domain_local("d1"))')

    assert asyncio.run(all_modules()) == [-1]


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ('alias_db_lookup("t", "x")', "there are the flags d, r and u, not 'x'"),
        ('alias_db_lookup("t", "d r")', "there are the flags d, r and u, not ' '"),
        ('alias_db_find("t", "$fu", "$avp(x)", "$var(f)")', "there are the flags d, r and u, not '$'"),
        *(
            (f'alias_db_find("t", "$fu", "{name}")', f"not into '{name}'")
            for name in ("$ru", "$shv(x)", "$xavp(x)", "$du", "$hdr(x)", "$(var(x){s.len})")
        ),
        ('alias_db_find("t", "$fu", "x")', "'x'"),
    ],
)
def test_arguments_that_are_refused(tmp_path: Path, call: str, why: str) -> None:
    cfg = tmp_path / "kamailio.cfg"
    cfg.write_text(f'loadmodule "pv.so"\nloadmodule "alias_db.so"\nrequest_route {{\n    {call};\n}}\n')
    errors = [d.message for d in check(cfg, {}).diagnostics if d.level == ERROR]
    assert len(errors) == 1
    assert why in errors[0]


def test_a_parameter_that_is_no_name_is_refused(database: Path) -> None:
    for module, name in (("alias_db", "user_column"), ("speeddial", "new_uri_column"), ("domain", "domain_table")):
        with pytest.raises(ConfigError, match=f"{module}.{name}: must be the name of a"):
            make(database, **{module: {name: "a; drop table x"}})
