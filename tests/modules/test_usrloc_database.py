"""Locations in a database: what is there when, what outlives a crash, and what happens when it is down."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from locating import register
from stored import Server

from kahea.routing.module import ConfigError, RpcError


def rows(path: Path, table: str = "location", columns: str = "*") -> list[dict[str, Any]]:
    with sqlite3.connect(path) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"select {columns} from {table} order by id")]


def change(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "locations.db"


def params(path: Path, mode: int, **more: Any) -> dict[str, dict[str, Any]]:
    usrloc = {"db_url": f"sqlite:///{path}", "db_mode": mode, "preload": "location", **more}
    return {"usrloc": usrloc, "registrar": {"use_path": 1, "path_mode": 0, "min_expires": 1}}


def test_what_was_answered_200_outlives_a_crash(path: Path) -> None:
    async def check() -> None:
        instance = '+sip.instance="<urn:uuid:1>";reg-id=2'
        async with Server(params(path, 1), server_id=5) as server:
            code, answer = await server.save(f"<sip:u@10.1.1.1>;q=0.5;{instance}", "Path: <sip:p;lr>", "Allow: INVITE")
            assert code == 1
            assert answer.startswith("SIP/2.0 200")
            assert (await server.save("<sip:gone@h>", aor="gone@x"))[0] == 1
            assert (await server.save("<sip:gone@h>;expires=0", aor="gone@x"))[0] == 3
            assert (await server.save("<sip:v@h>", aor="carol@x"))[0] == 1
            assert (await server.save("<sip:v@h>;q=0.7", aor="carol@x", cseq=77))[0] == 2
            server.crash()
        stored = rows(path)
        assert [row["contact"] for row in stored] == ["sip:u@10.1.1.1", "sip:v@h"]
        first = stored[0]
        assert first["username"] == "bob"
        assert first["domain"] is None
        assert first["path"] == "<sip:p;lr>"
        assert first["methods"] == 1
        assert first["instance"] == "<urn:uuid:1>"
        assert (first["reg_id"], first["server_id"], first["q"], first["connection_id"]) == (2, 5, 0.5, -1)
        assert first["socket"] == "udp:127.0.0.1:15060"
        assert first["ruid"].startswith("uloc-5-")
        assert (stored[1]["cseq"], stored[1]["q"]) == (77, 0.7)
        async with Server(params(path, 1)) as server:
            assert await server.lookup() == (1, "sip:u@10.1.1.1")
            assert await server.lookup("sip:carol@x") == (1, "sip:v@h")
            assert (await server.lookup("sip:gone@x"))[0] == -1
            dumped = await server.rpc("ul.lookup", "location", "bob")
            contact = dumped["Contacts"][0]["Contact"]
            assert contact["State"] == "CS_SYNC"
            assert contact["Socket"] == "udp:127.0.0.1:15060"
            assert contact["Path"] == "<sip:p;lr>"
            assert 3590 < contact["Expires"] <= 3600

    asyncio.run(check())


def test_the_answer_waits_for_the_commit(path: Path) -> None:
    async def check() -> None:
        async with Server(params(path, 1)) as server:
            store = server.locations.stores["location"]
            real = store.database.run
            gate = asyncio.Event()

            async def slow(steps: Any) -> Any:
                await gate.wait()
                return await real(steps)

            store.database.run = slow
            first = asyncio.create_task(server.save("<sip:1@h>", cseq=1))
            await asyncio.sleep(0.01)
            # Neither a retransmission nor a query is answered with what a crash could take away.
            again = asyncio.create_task(server.save("<sip:1@h>", cseq=1))
            query = asyncio.create_task(server.save(None, cseq=2))
            await asyncio.sleep(0.05)
            assert not server.wire.sent
            gate.set()
            for task in (first, again, query):
                assert "sip:1@h" in (await task)[1]

    asyncio.run(check())


def test_saves_at_one_time_share_commits(path: Path) -> None:
    async def check() -> None:
        async with Server(params(path, 1)) as server:
            group = server.locations.stores["location"].group
            # One route for all, since they run beside one another.
            jobs = [server.save(f"<sip:{i}@h>", aor=f"user{i}@x", cseq=1) for i in range(300)]
            answers = await asyncio.gather(*jobs)
            assert {code for code, _ in answers} == {1}
            assert group.commits < 30
            server.crash()
        assert len(rows(path)) == 300

    asyncio.run(check())


def test_write_back_writes_on_the_timer_and_at_the_end(path: Path) -> None:
    async def check() -> None:
        async with Server(params(path, 2, timer_interval=10)) as server:
            await server.save("<sip:1@h>")
            await server.save("<sip:brief@h>", aor="brief@x")
            await server.save("<sip:brief@h>;expires=0", aor="brief@x")
            assert rows(path) == []
            await server.later(11)
            assert [row["contact"] for row in rows(path)] == ["sip:1@h"]
            await server.save("<sip:1@h>;q=0.3")
            await server.save("<sip:2@h>")
            assert [row["q"] for row in rows(path)] == [-1]
        assert [(row["contact"], row["q"]) for row in rows(path)] == [("sip:1@h", 0.3), ("sip:2@h", -1)]

    asyncio.run(check())


def test_the_database_alone_is_shared(path: Path) -> None:
    async def check() -> None:
        async with Server(params(path, 3)) as one, Server(params(path, 3), port=15061) as two:
            assert (await one.save("<sip:1@h>;q=0.5"))[0] == 1
            assert await two.lookup() == (1, "sip:1@h")
            code, answer = await two.save("<sip:2@h>;q=0.9", callid="other")
            assert code == 1
            assert "Contact: <sip:2@h>;q=0.9;expires=3600, <sip:1@h>;q=0.5" in answer
            assert await one.lookup() == (1, "sip:2@h")
            assert (await one.save("<sip:1@h>", cseq=50))[0] == 2
            assert (await two.save("<sip:1@h>", cseq=49))[0] == -1
            assert (await two.save("*", "Expires: 0"))[0] == 3
            assert (await one.lookup())[0] == -1
            assert not one.locations.domains["location"].records
            await one.save("<sip:3@h>", cseq=60)
            fetch = 'KSR.registrar.reg_fetch_contacts("location", "sip:bob@x", "p")\n'
            by_ruid = 'out.append(KSR.registrar.unregister_ruid("location", "", KSR.pv.get("$ulc(p=>ruid)")))'
            assert await two.call(fetch + by_ruid) == [1]
            assert rows(path) == []

    asyncio.run(check())


def test_expired_rows_are_removed_from_the_shared_database(path: Path) -> None:
    async def check() -> None:
        async with Server(params(path, 3, timer_interval=10, rm_expired_delay=30)) as server:
            await server.save("<sip:1@h>;expires=5")
            await server.later(21)
            assert (await server.lookup())[0] == -1
            assert len(rows(path)) == 1
            await server.later(30)
            assert rows(path) == []

    asyncio.run(check())


def test_reading_only(path: Path) -> None:
    async def check() -> None:
        async with Server(params(path, 1)) as server:
            await server.save("<sip:1@h>")
        async with Server(params(path, 4)) as server:
            assert (await server.lookup())[0] == 1
            await server.save("<sip:2@h>", aor="carol@x")
        assert [row["username"] for row in rows(path)] == ["bob"]

    asyncio.run(check())


def test_a_table_is_loaded_when_first_used(path: Path) -> None:
    async def check() -> None:
        async with Server(params(path, 1, preload="other")) as server:
            assert (await server.save("<sip:1@h>"))[0] == 1
            server.crash()
        async with Server(params(path, 1, preload="other")) as server:
            both = await asyncio.gather(server.lookup(), server.lookup())
            assert both == [(1, "sip:1@h")] * 2

    asyncio.run(check())


@pytest.mark.parametrize("mode", [1, 3])
def test_a_database_that_fails(path: Path, mode: int) -> None:
    async def check() -> None:
        async with Server(params(path, mode, timer_interval=10)) as server:
            await server.save("<sip:old@h>", aor="old@x")
            change(path, "alter table location rename to away")
            code, answer = await server.save("<sip:1@h>")
            assert code == -1
            assert answer.startswith("SIP/2.0 500 Server Internal Error")
            assert "P-Registrar-Error: usrloc_contact_insert failed" in answer
            assert "Contact:" not in answer
            assert (await server.lookup())[0] == -1
            if mode == 1:
                code, answer = await server.save("<sip:old@h>", aor="old@x")
                assert "usrloc_contact_update failed" in answer
                assert await server.lookup("sip:old@x") == (1, "sip:old@h")
                assert "usrloc_contact_insert failed" in (await server.save("<sip:new@h>", aor="old@x"))[1]
                assert (await server.save(None, aor="old@x"))[0] == 4
            code, answer = await server.save("*", "Expires: 0", aor="old@x")
            if mode == 3:
                assert "usrloc_record_delete failed" in answer
                assert await server.call('out.append(KSR.registrar.unregister("location", "sip:n@x"))') == [-2]
            change(path, "alter table away rename to location")
            assert (await server.save("<sip:1@h>"))[0] == 1

    asyncio.run(check())


def test_what_could_not_be_written_is_written_later(path: Path) -> None:
    async def check() -> None:
        async with Server(params(path, 1, timer_interval=10)) as server:
            await server.save("<sip:1@h>")
            await server.save("<sip:gone@h>", aor="gone@x")
            change(path, "alter table location rename to away")
            assert (await server.save("<sip:2@h>"))[0] == -1
            assert (await server.save("<sip:gone@h>;expires=0", aor="gone@x"))[0] == -1
            change(path, "alter table away rename to location")
            await server.later(11)
            assert [row["contact"] for row in rows(path)] == ["sip:1@h", "sip:2@h"]

    asyncio.run(check())


def test_a_database_that_hangs_costs_a_timeout_and_no_more(path: Path) -> None:
    async def check() -> None:
        async with Server(params(path, 1)) as server:
            await server.save("<sip:1@h>")
            server.locations._database.timeout = 0.2
            blocker = sqlite3.connect(path, isolation_level=None)
            blocker.execute("begin exclusive")
            start = time.monotonic()
            jobs = [server.save(f"<sip:{i}@h>", aor=f"user{i}@x", cseq=1) for i in range(50)]
            answers = await asyncio.gather(*jobs)
            assert time.monotonic() - start < 1
            assert {code for code, _ in answers} == {-1}
            assert all("500" in answer for _, answer in answers)
            # Reading goes on.
            assert await server.lookup() == (1, "sip:1@h")
            blocker.execute("rollback")
            blocker.close()
            server.locations._database.timeout = 5

    asyncio.run(check())


def test_one_bad_row_does_not_spoil_the_others(path: Path) -> None:
    async def check() -> None:
        async with Server(params(path, 1)) as server:
            change(path, "create trigger t before insert on location when new.username = 'bad' "
                         "begin select raise(abort, 'no'); end")  # fmt: skip
            names = ["a", "b", "bad", "c", "d"]
            answers = await asyncio.gather(*[server.save("<sip:u@h>", aor=f"{n}@x", cseq=1) for n in names])
            assert [code for code, _ in answers] == [1, 1, -1, 1, 1]

    asyncio.run(check())


def test_attributes_are_kept(path: Path) -> None:
    async def check() -> None:
        given = params(path, 1, xavp_contact="ulattrs", use_domain=1)
        before = 'KSR.pv.sets("$xavp(ulattrs=>a)", "A1")\nKSR.pv.seti("$xavp(ulattrs[0]=>n)", 42)\n'
        save = 'out.append(KSR.registrar.save("location", 0))'
        lookup = 'KSR.registrar.lookup("location")\n'
        read = lookup + 'out += [KSR.pv.get("$xavp(ulattrs=>%s)" % name) for name in "an"]'
        async with Server(given) as server:
            await server.run(before + save, register("bob@x", 1))
            await server.run(before + save, register("bob@x", 2))
            await server.run(save, register("carol@x", 1))
            server.crash()
        stored = rows(path, "location_attrs")
        assert [(r["username"], r["domain"], r["aname"], r["atype"], r["avalue"]) for r in stored] == [
            ("bob", "x", "n", 1, "42"),
            ("bob", "x", "a", 0, "A1"),
        ]
        async with Server(given) as server:
            assert await server.call(read, uri="sip:bob@x") == ["A1", 42]
            await server.save("*", "Expires: 0")
        assert rows(path, "location_attrs") == []

    asyncio.run(check())


def test_a_connection_does_not_outlive_the_server(path: Path) -> None:
    async def check() -> None:
        async with Server(params(path, 1)) as server:
            await server.save("<sip:1@h;transport=tcp>", wire=server.stream)
            await server.save("<sip:2@h>")
        assert {row["connection_id"] for row in rows(path)} == {7, -1}
        async with Server(params(path, 1, db_clean_tcp=1)) as server:
            assert await server.lookup() == (1, "sip:2@h")
        assert [row["contact"] for row in rows(path)] == ["sip:2@h"]

    asyncio.run(check())


def test_which_rows_are_read(path: Path) -> None:
    async def check() -> None:
        async with Server(params(path, 1), server_id=1) as server:
            await server.save("<sip:1@h>")
            await server.save("<sip:2@h>", aor="carol@x")
        change(path, "update location set server_id=2, socket='udp:9.9.9.9:5060' where username='carol'")
        async with Server(params(path, 1, server_id_filter=1), server_id=2) as server:
            assert (await server.lookup())[0] == -1
            assert (await server.lookup("sip:carol@x"))[0] == 1
            found = await server.rpc("ul.lookup", "location", "carol")
            assert found["Contacts"][0]["Contact"]["Socket"] == "[not set]"
        async with Server(params(path, 1, skip_remote_socket=1)) as server:
            assert (await server.lookup())[0] == 1
            assert (await server.lookup("sip:carol@x"))[0] == -1
        async with Server(params(path, 1, db_load=0)) as server:
            assert (await server.lookup())[0] == -1

    asyncio.run(check())


@pytest.mark.parametrize(
    "more",
    [
        {"db_ops_ruid": 0, "use_domain": 1},
        {"db_insert_update": 1},
        {"db_update_as_insert": 1},
        {"db_check_update": 1},
        {"db_insert_null": 1},
        {"expires_type": 1},
        {
            "user_column": "u",
            "contact_column": "c",
            "ruid_column": "r",
            "expires_column": "e",
            "q_column": "qq",
        },
        {"fetch_rows": 1},
    ],
    ids=str,
)
def test_ways_to_write(path: Path, more: dict[str, Any]) -> None:
    async def check() -> None:
        async with Server(params(path, 1, **more)) as server:
            for contact in ("<sip:1@h>", "<sip:2@h>;q=0.5", "<sip:3@h>"):
                await server.save(contact)
            assert (await server.save("<sip:1@h>;q=0.7"))[0] == 2
            assert (await server.save("<sip:3@h>;expires=0"))[0] == 3
            server.crash()
        async with Server(params(path, 1, **more)) as server:
            _, answer = await server.save(None)
            assert "<sip:1@h>;q=0.7;expires=3" in answer
            assert "<sip:2@h>;q=0.5;expires=3" in answer
            assert "sip:3@h" not in answer

    asyncio.run(check())


def test_a_lost_row_comes_back(path: Path) -> None:
    async def check() -> None:
        async with Server(params(path, 1, db_check_update=1)) as server:
            await server.save("<sip:1@h>")
            change(path, "delete from location")
            await server.save("<sip:1@h>")
        assert len(rows(path)) == 1

    asyncio.run(check())


def test_commands_that_count(path: Path) -> None:
    async def check() -> None:
        async with Server(params(path, 1)) as server:
            await server.save("<sip:1@h>")
            await server.save("<sip:2@h>")
            await server.save("<sip:3@h>;expires=5", aor="carol@x")
            assert await server.rpc("ul.db_users", "location") == 2
            assert await server.rpc("ul.db_contacts", "location") == 3
            server.offset += 10
            assert await server.rpc("ul.db_contacts", "location") == 2
            assert await server.rpc("ul.db_expired_contacts", "location") == 1
            with pytest.raises(RpcError, match="Domain table not found"):
                await server.rpc("ul.db_users", "none")

    asyncio.run(check())


def test_expired_rows_are_cleaned_on_the_timer(path: Path) -> None:
    async def check() -> None:
        async with Server(params(path, 1, timer_interval=10, db_timer_clean=1)) as server:
            await server.save("<sip:1@h>;expires=5")
            await server.save("<sip:2@h>")
            change(path, "update location set ruid='old', username='old' where contact='sip:1@h'")
            await server.later(21)
            assert [row["contact"] for row in rows(path)] == ["sip:2@h"]

    asyncio.run(check())


def test_a_table_of_another_version_is_refused(path: Path) -> None:
    async def check() -> None:
        async with Server(params(path, 1)):
            pass
        change(path, "update version set table_version=8 where table_name='location'")
        with pytest.raises(ConfigError, match="version 8, not 9"):
            async with Server(params(path, 1)):
                pass
        async with Server(params(path, 1, version_table=0)) as server:
            assert (await server.save("<sip:1@h>"))[0] == 1

    asyncio.run(check())


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("db_url", "oracle://x", "not supported"),
        ("db_url", "nonsense", "not a database URL"),
        ("db_mode", 5, "between 0 and 4"),
        ("db_raw_fetch_type", 1, "not supported yet"),
        ("ka_reply_codes", "abc", "response codes"),
        ("matching_mode", 7, "between 0 and 3"),
    ],
)
def test_parameters_that_can_not_be(name: str, value: int | str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Server({"usrloc": {"db_mode": 1, name: value}}).node.start()


def test_what_changes_during_a_flush_is_written_at_the_end(path: Path) -> None:
    async def check() -> None:
        gate = asyncio.Event()
        async with Server(params(path, 2)) as server:
            assert (await server.save("<sip:v@h>", aor="carol@x"))[0] == 1
            group = server.locations.journals["location"].store.group
            commit = group._commit

            async def slowly(changes: Any) -> None:
                await gate.wait()
                await commit(changes)

            group._commit = slowly
            flushing = asyncio.ensure_future(server.locations.journals["location"].flush())
            while not group._task:
                await asyncio.sleep(0)
            assert (await server.save("<sip:v@h>;expires=0", aor="carol@x", cseq=9))[0] == 3
            assert not flushing.done()
            asyncio.get_running_loop().call_later(0.05, gate.set)
        assert rows(path) == []

    asyncio.run(check())
