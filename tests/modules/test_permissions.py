"""The module permissions: look-ups beside a plain search, loading and reloading, and what it does when that fails."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import sqlite3
from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from permission_cases import ADDRESSES, TRUSTED, database, fill, random_rows
from stored import Server
from twin import request

from kahea.cli.convert import converted, write
from kahea.modules.permissions.addresses import AddressTable, Entry, Record, parse_ip
from kahea.modules.permissions.loading import MAX_FILES
from kahea.routing.module import ConfigError, RpcError
from kahea.routing.node import Node
from kahea.routing.run import CORE_ONREPLY_ROUTE, Run
from kahea.routing.settings import Configuration
from kahea.sip.message import parse
from kahea.testing import Simulation

LOAD = ("pv", "permissions")
STOCK = Path("/etc/kamailio/kamailio.cfg")
STOCK_TABLES = Path("/usr/share/kamailio/db_sqlite")


def node(folder: Path | None = None, **given: int | str) -> Node:
    """A node that was started, with the folder of its files."""
    configuration = Configuration(load=list(LOAD), directory=folder or Path())
    for name, value in given.items():
        configuration.set_module("permissions", name, value)
    made = Node(configuration, clock=lambda: 1000.0, wall=lambda: 1e9)
    made.start()
    return made


def awaited(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that waits."""

    @wraps(test)
    def run(*args: Any, **given: Any) -> None:
        asyncio.run(test(*args, **given))

    return run


def server(**given: int | str) -> Server:
    return Server({"permissions": given}, load=LOAD)


# ---- look-ups


def plain(records: Sequence[Record], host: str, port: int, group: int | None) -> tuple[int, str | None] | None:
    """Group and tag of what is found by looking at one record after the other."""

    def fits(record: Record) -> bool:
        return record.port in (0, port) and group in (None, record.group)

    address = ip_address(host.strip("[]"))
    singles, networks = [], []
    for record in records:
        of = ip_address(record.host.strip("[]"))
        if record.mask in (0, of.max_prefixlen):
            if of == address and fits(record):
                singles.append(record)
        elif address in ip_network((of, record.mask), strict=False) and fits(record):
            networks.append(record)
    networks.sort(key=lambda record: record.group)
    found = [*reversed(singles), *networks]
    return (found[0].group, found[0].tag) if found else None


def test_look_ups_find_what_a_plain_search_finds() -> None:
    chance = random.Random(11)
    for _ in range(10):
        records = [Record(*row) for row in random_rows(120, chance)]  # type: ignore[arg-type]
        table = AddressTable(1000)
        assert all(table.add(record) for record in records)
        for _ in range(150):
            host = f"172.16.{chance.randint(0, 4)}.{chance.randint(0, 9)}"
            if chance.random() < 0.3:
                host = f"[fd00::{chance.randint(0, 4)}:{chance.randint(0, 4)}]"
            port, group = chance.choice((0, 5060, 5061, 9)), chance.choice((None, *range(19, 31)))
            found = table.find(host, port, group)
            assert (found and (found.group, found.tag)) == plain(records, host, port, group), (host, port, group)


class Counted(dict[Any, Entry]):
    """A dictionary that counts how often it is asked."""

    asked = 0

    def get(self, key: Any, default: Any = None) -> Any:
        Counted.asked += 1
        return super().get(key, default)


def test_the_number_of_entries_does_not_matter() -> None:
    def questions(entries: int) -> int:
        table = AddressTable(entries)
        for i in range(entries):
            table.add(Record(1, f"10.{i >> 8 & 255}.{i & 255}.0", 24 + i % 3))
        table._exact = Counted(table._exact)
        for by_length in table._prefixes.values():
            for shift, networks in by_length.items():
                by_length[shift] = Counted(networks)
        Counted.asked = 0
        assert table.find("10.0.1.1", 5060, 1) is not None
        return Counted.asked

    assert questions(20_000) == questions(20) == 2 + 2 * 3


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("010.000.0.001", "10.0.0.1"),
        ("[2001:DB8:0::1]", "2001:db8::1"),
        ("::", "::"),
        ("10.0.0.256", None),
        ("10.0.0", None),
        ("10.0.0.1.", None),
        ("10.0.0.0001", None),
        ("10.0.0.1/24", None),
        ("1..2.3", None),
        ("١.2.3.4", None),
        ("[10.0.0.1]", None),
        ("[::1", None),
        ("fe80::1%eth0", None),
        ("", None),
        (":" * 100, None),
    ],
)
def test_what_is_an_address(text: str, address: str | None) -> None:
    found = parse_ip(text)
    assert (None if found is None else str(found)) == address


# ---- start


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"address_file": "nothing"}, "address_file: .*No such file"),
        ({"address_file": "bad.list"}, "bad.list:2: expected a group and an address, not 'x 10.0.0.1'"),
        ({"address_file": "mask.list"}, "33 is no prefix length of 10.0.0.1: 0 to 32"),
        ({"peer_tag_avp": "$var(x)"}, r"'\$var\(x\)' is no AVP"),
        ({"peer_tag_avp": "$(avp(x)[*])"}, "is no AVP"),
        ({"peer_tag_avp": "tag"}, "peer_tag_avp"),
        ({"load_backends": 0}, "nothing is loaded"),
        ({"db_url": "nonsense://x"}, "db_url: databases of type 'nonsense'"),
        ({"address_table": "a; drop table b"}, "must be the name of a table"),
        ({"reload_delta": -1}, "reload_delta"),
    ],
)
def test_it_does_not_start(tmp_path: Path, given: dict[str, int | str], why: str) -> None:
    (tmp_path / "bad.list").write_text("1 10.0.0.1\nx 10.0.0.1\n")
    (tmp_path / "mask.list").write_text("1 10.0.0.1 33\n")
    with pytest.raises(ConfigError, match=why):
        node(tmp_path, **given)


@pytest.mark.parametrize(
    ("addresses", "trusted", "given", "why"),
    [
        ([(0, "10.0.0.1", 32, 0, None)], [], {}, "groups begin with 1"),
        ([(1, "10.0.0.1", 33, 0, None)], [], {}, "33 is no prefix length"),
        ([], [], {"address_table": "version"}, "table version has version 1, not 6"),
        ([], [], {"address_table": "nothing"}, "table nothing has version None"),
        ([], [], {"trusted_table": "nothing"}, "table nothing has version None"),
        ([], [], {"grp_col": "absent"}, "no such column"),
        ([], [("1.1.1.1", "foo", None, None, None, 0)], {"db_mode": 1}, "protocol 'foo', which is unknown"),
        ([], [("1.1.1.1", "any", "[", None, None, 0)], {"db_mode": 1}, "no regular expression: a bracket"),
    ],
)
@awaited
async def test_it_does_not_start_with_bad_tables(
    tmp_path: Path, addresses: Any, trusted: Any, given: dict[str, int | str], why: str
) -> None:
    pytest.importorskip("aiosqlite")
    database(tmp_path / "db", addresses, trusted)
    with pytest.raises(ConfigError, match=why):
        async with server(db_url=f"sqlite:///{tmp_path}/db", **given):
            pass


@awaited
async def test_only_what_load_backends_names_is_loaded(tmp_path: Path) -> None:
    database(tmp_path / "db", ADDRESSES, TRUSTED)
    url = f"sqlite:///{tmp_path}/db"
    async with server(db_url=url, load_backends=1, trusted_table="nothing", db_mode=1) as s:
        assert await s.call(
            "out += [KSR.permissions.allow_address(3, '10.0.0.1', 1), KSR.permissions.allow_trusted()]"
        ) == [1, -1]
        assert await s.call("out.append(KSR.permissions.allow_routing())") == [-1]
        with pytest.raises(RpcError, match="Reload failed"):
            await s.rpc("permissions.trustedReload")
    async with server(db_url=url, load_backends=14, address_table="nothing", db_mode=1) as s:
        assert await s.call(
            "out += [KSR.permissions.allow_address(3, '10.0.0.1', 1), KSR.permissions.allow_trusted()]"
        ) == [-1, 1]
        with pytest.raises(RpcError, match="No address table"):
            await s.rpc("permissions.addressDump")


# ---- reloading


@awaited
async def test_a_reload_that_fails_changes_nothing(tmp_path: Path) -> None:
    database(tmp_path / "db", ADDRESSES, TRUSTED)
    with contextlib.closing(sqlite3.connect(tmp_path / "db")) as c:
        async with server(db_url=f"sqlite:///{tmp_path}/db", db_mode=1, reload_delta=5) as s:
            before = [await s.rpc(f"permissions.{name}Dump") for name in ("address", "subnet", "domain", "trusted")]
            assert all(before)
            fill(
                c,
                [(1, "10.9.9.9", 32, 0, None), (1, "10.1.0.0", 33, 0, None)],
                [("1.1.1.1", "any", "[", None, None, 0)],
            )
            for name in ("address", "trusted"):
                s.offset += 5
                with pytest.raises(RpcError, match="Reload failed"):
                    await s.rpc(f"permissions.{name}Reload")
            after = [await s.rpc(f"permissions.{name}Dump") for name in ("address", "subnet", "domain", "trusted")]
            assert after == before
            fill(c, [(1, "10.9.9.9", 32, 0, None)], [])
            with pytest.raises(RpcError, match="ongoing reload"):
                await s.rpc("permissions.addressReload")
            s.offset += 5
            assert await s.rpc("permissions.addressReload") == "Reload OK"
            assert [d["item"]["ip"] for d in await s.rpc("permissions.addressDump")] == ["10.9.9.9"]
            assert await s.rpc("permissions.subnetDump") == []
            with pytest.raises(RpcError, match="ongoing reload"):  # it is one limit for both
                await s.rpc("permissions.trustedReload")
            s.offset += 5
            assert await s.rpc("permissions.trustedReload") == "Reload OK"
            assert await s.rpc("permissions.trustedDump") == []


@awaited
async def test_two_reloads_do_not_overlap(tmp_path: Path) -> None:
    database(tmp_path / "db", ADDRESSES, TRUSTED)
    async with server(db_url=f"sqlite:///{tmp_path}/db", reload_delta=0) as s:
        first = asyncio.ensure_future(s.rpc("permissions.addressReload"))
        await asyncio.sleep(0)
        with pytest.raises(RpcError, match="ongoing reload"):
            await s.rpc("permissions.addressReload")
        assert await first == "Reload OK"


@awaited
async def test_too_many_networks_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.list").write_text("".join(f"1 10.{i}.0.0 16\n" for i in range(5)) + "1 10.9.9.9\n1 10.0.0.0/8\n")
    with caplog.at_level(logging.WARNING, "kahea.permissions"):
        made: Any = node(tmp_path, address_file="a.list", max_subnets=3).module("permissions")
    assert len(made.addresses.networks) == 3
    assert len(made.addresses.addresses) == 1
    assert "2 networks are left out" in caplog.text
    assert "1 entries are neither addresses nor names, and fit as they are written: ['10.0.0.0/8']" in caplog.text


# ---- trusted peers in the database


@awaited
async def test_a_run_that_asks_the_database_holds_up_no_other(tmp_path: Path) -> None:
    database(tmp_path / "db", ADDRESSES, TRUSTED)
    async with server(db_url=f"sqlite:///{tmp_path}/db") as s:
        order: list[str] = []
        permissions: Any = s.node.module("permissions")
        ask = permissions.database.fetch
        free = asyncio.Event()

        async def slow(*given: Any) -> Any:
            await free.wait()
            return await ask(*given)

        permissions.database.fetch = slow

        async def call(code: str) -> None:
            order.extend(map(str, await s.call(code)))

        waiting = asyncio.ensure_future(call("out.append(KSR.permissions.allow_trusted())"))
        await asyncio.sleep(0)
        await call("out.append('other')")
        free.set()
        await waiting
        assert order == ["other", "1"]


@awaited
async def test_without_an_answer_nobody_is_trusted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    database(tmp_path / "db", ADDRESSES, TRUSTED)
    async with server(db_url=f"sqlite:///{tmp_path}/db") as s:
        assert await s.call("out.append(KSR.permissions.allow_trusted())") == [1]
        with contextlib.closing(sqlite3.connect(tmp_path / "db")) as c:
            c.executescript("drop table trusted")
        assert await s.call("out.append(KSR.permissions.allow_trusted())") == [-1]
        assert "no such table" in caplog.text
        # Nor where nothing may wait, as while a script is loaded.
        permissions: Any = s.node.module("permissions")
        caplog.clear()
        assert list(permissions._rules_of_source("127.0.0.1")) == []
        assert "can't wait" in caplog.text


@awaited
async def test_a_bad_row_trusts_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [
        ("127.0.0.1", proto, pattern, None, None, 0) for proto, pattern in (("foo", None), ("any", "["), ("none", None))
    ]
    database(tmp_path / "db", [], rows)
    async with server(db_url=f"sqlite:///{tmp_path}/db") as s:
        assert await s.call(
            "out += [KSR.permissions.allow_trusted(), KSR.x.modf('allow_trusted', '127.0.0.1', 'any')]"
        ) == [-1, -1]
    assert "protocol 'foo'" in caplog.text
    assert "no regular expression" in caplog.text


# ---- files of rules


@awaited
async def test_scripts_in_other_languages_name_files_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.deny").write_text('"alice" : "carol"')
    name = f"{tmp_path}/a"
    uris = f"out += [KSR.permissions.allow_uri('{name}', uri) for uri in ('sip:carol@x', 'sip:bob@x')]"
    register = f"out.append(KSR.permissions.allow_register('{name}'))"
    async with server() as s:
        assert await s.call(uris) == [-1, 1]
        assert await s.call(register, headers="Contact: <sip:carol@x>\r\n") == [1]
        # It was read once, and stays as it was read.
        (tmp_path / "a.deny").unlink()
        assert await s.call(uris) == [-1, 1]
        # A call by name is prepared as one in a cfg is, and so reads the files as they are.
        assert await s.call(f"out.append(KSR.x.modf('allow_routing', '{name}'))", uri="sip:carol@x") == [1]
        (tmp_path / "d.deny").mkdir()
        assert await s.call(f"out.append(KSR.permissions.allow_uri('{tmp_path}/d', 'x'))") == [-1]
        assert "Is a directory" in caplog.text


@awaited
async def test_scripts_name_so_many_files_at_most(tmp_path: Path) -> None:
    async with server() as s:
        code = f"for i in range({MAX_FILES}): out.append(KSR.permissions.allow_uri(f'{tmp_path}/{{i}}', 'x'))"
        found = await s.call(code)
        assert found == [1] * (MAX_FILES // 2 - 1) + [-1] * (MAX_FILES // 2 + 1)


def test_a_reply_has_no_targets(tmp_path: Path) -> None:
    (tmp_path / "permissions.deny").write_text("ALL : ALL")
    made: Any = node(tmp_path)
    reply = request().replace("INVITE sip:bob@example.com SIP/2.0", "SIP/2.0 200 OK")
    run = Run(made, parse(reply.replace("@CALLER", "127.0.0.1").encode()), CORE_ONREPLY_ROUTE)
    assert made.module("permissions").allow_routing(run) == -1


@pytest.mark.skipif(not STOCK.exists(), reason="Debian's kamailio is not installed")
@pytest.mark.parametrize("as_python", [False, True], ids=["cfg", "converted"])
def test_the_stock_cfg_lets_known_addresses_call(tmp_path: Path, as_python: bool) -> None:
    path = tmp_path / "db"
    database(path, [(1, "10.0.0.1", 32, 0, None), (2, "10.0.0.2", 32, 0, None)], [])
    with contextlib.closing(sqlite3.connect(path)) as c:
        c.executescript((STOCK_TABLES / "auth_db-create.sql").read_text())
    defines = {"WITH_AUTH": "", "WITH_IPAUTH": "", "DBURL": f'"sqlite:///{path}"'}
    script = STOCK
    if as_python:
        write(converted(STOCK, defines), tmp_path, "kamailio")
        script, defines = tmp_path / "kamailio.py", {}
    sim = Simulation(1)
    sim.node(script, "udp:10.0.0.9:5060", defines=defines)
    answers = []
    for name, host in (("alice", "10.0.0.1"), ("carol", "10.0.0.2")):
        caller = sim.ua(name, f"udp:{host}:5060", domain="10.0.0.9")
        answers.append(caller.request("MESSAGE", "sip:bob@10.0.0.9", body="hello").wait().status)
    assert answers == [404, 407]
