"""SQL connectors: URLs, errors by kind, transactions, and commits in groups."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, String, Table, bindparam, delete, insert, select, text

from kahea.connectors.errors import BadUrl, DatabaseError, Refused, Unavailable
from kahea.connectors.group import GroupWriter
from kahea.connectors.options import SQLITE
from kahea.connectors.sql import RETRY_AFTER, Database, database_url, plain_url


@pytest.mark.parametrize(
    ("given", "driver", "place"),
    [
        ("sqlite:///rel.db", "sqlite+aiosqlite", "rel.db"),
        ("sqlite:////var/lib/k.db", "sqlite+aiosqlite", "/var/lib/k.db"),
        ("sqlite3:////var/lib/k.db", "sqlite+aiosqlite", "/var/lib/k.db"),
        ("mysql://kamailio:kamailiorw@localhost/kamailio", "mysql+asyncmy", "kamailio"),
        ("postgres://u:p@db.example.org:5433/k", "postgresql+asyncpg", "k"),
        ("postgresql+asyncpg://u@h/k", "postgresql+asyncpg", "k"),
    ],
)
def test_urls_of_kamailio_and_sqlalchemy(given: str, driver: str, place: str) -> None:
    url = database_url(given)
    assert url.drivername == driver
    assert url.database == place


def test_a_password_may_have_an_at_sign() -> None:
    url = database_url("mysql://kam:p@ss@db/k")
    assert (url.username, url.password, url.host) == ("kam", "p@ss", "db")
    assert "p@ss" not in plain_url(url)


@pytest.mark.parametrize("given", ["", "nonsense", "oracle://x", "mysql://h:port/k"])
def test_urls_that_say_nothing(given: str) -> None:
    with pytest.raises(BadUrl):
        database_url(given)


def test_errors_have_kinds(tmp_path: Path) -> None:
    async def check() -> None:
        db = Database(f"sqlite:///{tmp_path}/a.db")
        assert db.state.up is None
        await db.run([(text("create table t (a integer unique)"), [{}])])
        assert db.state.up is True
        insert = text("insert into t values (:a)")
        assert await db.run([(insert, [{"a": 1}, {"a": 2}])]) == [2]
        with pytest.raises(Refused):
            await db.run([(insert, [{"a": 3}]), (insert, [{"a": 1}])])
        with pytest.raises(Refused):
            await db.fetch(text("select * from nothing"))
        assert [row.a for row in await db.fetch(text("select a from t where a > :least"), {"least": 0})] == [
            1,
            2,
        ]
        pages = [[row.a for row in page] async for page in db.pages(text("select a from t order by a"), 1)]
        assert pages == [[1], [2]]
        assert db.state.up is True
        assert db.state.failures == 2
        await db.close()

    asyncio.run(check())


@pytest.mark.parametrize("prepared", [False, True])
def test_a_text_that_is_no_utf_8_is_refused(tmp_path: Path, prepared: bool) -> None:
    """What comes from messages may be any bytes; whoever asks is told as of any other value that won't do."""

    async def check() -> None:
        db = Database(f"sqlite:///{tmp_path}/a.db")
        names = Table("names", MetaData(), Column("name", String(10)))
        await db.call(names.create)
        with pytest.raises(Refused, match="utf-8"):
            await db.fetch(text("select * from names where name = :name"), {"name": "\udcff"})
        statement = db.prepare(names.insert()) if prepared else names.insert()
        with pytest.raises(Refused, match="utf-8"):
            await db.run([(statement, [{"name": "good"}, {"name": "\udcff"}])])
        assert await db.fetch(text("select * from names")) == []
        await db.close()

    asyncio.run(check())


NUMBERS = Table("t", MetaData(), Column("a", Integer, unique=True))


def test_prepared_writes_to_sqlite_are_one_transaction(tmp_path: Path) -> None:
    async def check() -> None:
        db = Database(f"sqlite:///{tmp_path}/a.db")
        await db.call(NUMBERS.create)
        into = db.prepare(insert(NUMBERS))
        away = db.prepare(delete(NUMBERS).where(NUMBERS.c.a == bindparam("b_a")), prefix=2)
        assert await db.run([(into, [{"a": 1}, {"a": 2}])]) == [2]
        with pytest.raises(Refused, match="IntegrityError"):
            await db.run([(away, [{"a": 2}]), (into, [{"a": 3}, {"a": 1}])])
        assert await db.run([(away, [{"a": 2}, {"a": 9}]), (into, [{"a": 3}])]) == [1, 1]
        assert [row.a for row in await db.fetch(select(NUMBERS).order_by(NUMBERS.c.a))] == [1, 3]
        await db.close()

    asyncio.run(check())


def test_prepared_writes_to_sqlite_wait_for_others_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check() -> None:
        path = tmp_path / "a.db"
        monkeypatch.setitem(SQLITE.busy_timeouts, str(path), 50)
        db = Database(f"sqlite:///{path}")
        await db.call(NUMBERS.create)
        into = db.prepare(insert(NUMBERS))
        with closing(sqlite3.connect(path, isolation_level=None)) as blocker:
            blocker.execute("begin exclusive")
            with pytest.raises(Unavailable, match="locked"):
                await db.run([(into, [{"a": 1}])])
        db.state.retry_at -= RETRY_AFTER
        assert await db.run([(into, [{"a": 1}])]) == [1]
        await db.close()

    asyncio.run(check())


def test_what_is_asked_of_sqlite_waits_for_others_but_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{tmp_path}/a.db"
    monkeypatch.setitem(SQLITE.journal_modes, path, "DELETE")  # readers wait for a writer
    monkeypatch.setitem(SQLITE.busy_timeouts, path, 300)

    async def check() -> None:
        db = Database(f"sqlite:///{path}", pool_size=2)
        await db.run([(text("create table t (a integer, b text)"), [{}])])
        await db.run([(text("insert into t values (1, 'x'), (2, null)"), [{}])])
        table = Table("t", MetaData(), Column("a", Integer), Column("b", String))
        query = db.prepare(select(table.c.b).where(table.c.a == bindparam("its_a")), prefix=len("its_"))
        asked = [db.ask(query, {"a": a}) for a in (1, 2, 3)]
        assert await asyncio.gather(*asked) == [[("x",)], [(None,)], []]
        nowhere = db.prepare(select(text("a")).select_from(text("nowhere")))
        with pytest.raises(Refused, match="no such table"):
            await db.ask(nowhere, {})
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("begin exclusive")
            waiting = asyncio.ensure_future(db.ask(query, {"a": 1}))
            ticks = 0
            while not waiting.done():
                await asyncio.sleep(0.01)
                ticks += 1
            assert ticks > 5
            with pytest.raises(Unavailable, match="locked"):
                await waiting
            other.execute("rollback")
        db.state.retry_at -= RETRY_AFTER
        assert await db.ask(query, {"a": 1}) == [("x",)]
        await db.close()

    asyncio.run(check())


def test_a_database_that_is_not_there_fails_at_once_until_the_next_try(tmp_path: Path) -> None:
    async def check() -> None:
        db = Database(f"sqlite:///{tmp_path}/no/such/folder/a.db")
        with pytest.raises(Unavailable):
            await db.fetch(text("select 1"))
        tried = db.state.statements
        with pytest.raises(Unavailable):
            await db.fetch(text("select 1"))
        assert db.state.statements == tried
        (tmp_path / "no/such/folder").mkdir(parents=True)
        db.state.retry_at -= RETRY_AFTER
        assert (await db.fetch(text("select 1 as one")))[0].one == 1
        assert db.state.up is True
        await db.close()

    asyncio.run(check())


def test_nothing_takes_longer_than_the_timeout(tmp_path: Path) -> None:
    async def check() -> None:
        path = tmp_path / "a.db"
        db = Database(f"sqlite:///{path}", timeout=0.2, pool_size=2)
        await db.run([(text("create table t (a)"), [{}])])
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("begin exclusive")
        start = time.monotonic()
        for _ in range(3):
            with pytest.raises(Unavailable, match="timed out"):
                await db.run([(text("insert into t values (1)"), [{}])])
        assert time.monotonic() - start < 1
        blocker.execute("rollback")
        blocker.close()
        db.timeout = 5
        await db.close()

    asyncio.run(check())


class Collector:
    """Commits into a list, slowly; refuses what is in `bad`."""

    def __init__(self, bad: Sequence[int] = (), error: Exception | None = None) -> None:
        self.written: list[int] = []
        self.sizes: list[int] = []
        self.bad = set(bad)
        self.error = error

    async def __call__(self, operations: Sequence[int]) -> None:
        self.sizes.append(len(operations))
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        if self.bad.intersection(operations):
            raise Refused("bad")
        self.written += operations


def test_what_waits_is_committed_together() -> None:
    async def check() -> None:
        collector = Collector()
        writer = GroupWriter(collector)
        first = writer.put(0)
        await asyncio.sleep(0)
        rest = [writer.put(i) for i in range(1, 100)]
        await asyncio.gather(first, *rest)
        assert collector.written == list(range(100))
        assert collector.sizes == [1, 99]
        await writer.flush()

    asyncio.run(check())


@settings(deadline=None)
@given(st.sets(st.integers(0, 40), max_size=6), st.integers(1, 50))
def test_only_bad_ones_fail(bad: set[int], batch: int) -> None:
    async def check() -> None:
        collector = Collector(sorted(bad))
        writer = GroupWriter(collector, batch=batch)
        results = await asyncio.gather(*[writer.put(i) for i in range(41)], return_exceptions=True)
        assert {i for i, result in enumerate(results) if isinstance(result, Refused)} == bad
        assert collector.written == [i for i in range(41) if i not in bad]

    asyncio.run(check())


def test_too_many_are_refused_at_once() -> None:
    async def check() -> None:
        writer = GroupWriter(Collector(), limit=2)
        kept = [writer.put(1), writer.put(2)]
        with pytest.raises(Unavailable):
            await writer.put(3)
        await asyncio.gather(*kept)

    asyncio.run(check())


def test_errors_that_nobody_expects_are_errors_too() -> None:
    async def check() -> None:
        with pytest.raises(DatabaseError, match="ValueError"):
            await GroupWriter(Collector(error=ValueError("x"))).put(1)

    asyncio.run(check())


def test_a_writer_that_is_cancelled_leaves_nobody_waiting() -> None:
    async def check() -> None:
        stuck = asyncio.Event()

        async def commit(_operations: Sequence[int]) -> None:
            await stuck.wait()

        writer = GroupWriter(commit)
        waiting = writer.put(1)
        await asyncio.sleep(0)
        later = writer.put(2)
        assert writer._task is not None
        writer._task.cancel()
        for future in (waiting, later):
            with pytest.raises(Unavailable):
                await future

    asyncio.run(check())


def test_what_nobody_awaits_any_more_still_counts(tmp_path: Path) -> None:
    """A thread of SQLite's goes on after the timeout: a database that is locked is not to gather calls without end."""

    async def check() -> None:
        path = tmp_path / "a.db"
        db = Database(f"sqlite:///{path}", timeout=0.1, pool_size=2, waiting=3)
        await db.run([(text("create table t (a)"), [{}])])
        blocker = sqlite3.connect(path, isolation_level=None)
        blocker.execute("begin exclusive")
        for _ in range(3):
            db.state.up = True
            with pytest.raises(Unavailable, match="timed out"):
                await db.run([(text("insert into t values (1)"), [{}])])
        db.state.up = True
        with pytest.raises(Unavailable, match="3 calls are under way already"):
            await db.run([(text("insert into t values (1)"), [{}])])
        blocker.execute("rollback")
        blocker.close()
        db.timeout = 5
        await db.close()

    asyncio.run(check())
