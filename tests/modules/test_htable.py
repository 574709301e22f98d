"""htable: the same results as Kamailio's, items that end on the virtual clock, databases, events and commands."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cfgs import KAMAILIO, differences
from htable_calls import CALLS, KEMI
from textops_cases import PLAIN
from twin import needs_kamailio, pair, request

from conftest import Bench
from kahea.modules.htable.table import Table, parse_definition
from kahea.routing.module import ConfigError, RpcError
from kahea.testing import Simulation

Make = Callable[..., Bench]

PARAMS = """
modparam("htable", "htable", "a=>size=4;")
modparam("htable", "htable", "e=>size=4;autoexpire=100;")
modparam("htable", "htable", "i=>size=2;initval=7;")
modparam("htable", "htable", "u=>size=4;autoexpire=100;updateexpire=0;")
"""
FILL = '$sht(a=>p1)="one"; $sht(a=>p2)="two"; $sht(a=>q)="one"; $sht(a=>n)=3; $sht(a=>n1)=3; '


@pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")
def test_a_cfg_gets_the_same_as_from_kamailio(tmp_path: Path) -> None:
    bodies = [
        f'$var(k)="key"; $var(t)="a"; {call}; $var(z)=$rc; pv_evalx("$var(o)","$var(o)|$var(z)");'
        for call in CALLS.replace("FILL ", FILL).strip().split("\n")
    ]
    assert len(bodies) > 130
    assert not differences(tmp_path, bodies, extra=PARAMS, modules=["htable"])


@needs_kamailio
def test_scripts_in_python_get_the_same_as_from_kamailio(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All but sht_setxi, whose 1 is a 0 in Kamailio 5.6: there it ends a route of the native language."""
    calls = KEMI.strip().split("\n")
    code = "H = KSR.htable; P = KSR.pv\n" + "\n".join(f"out.append({call})" for call in calls)
    with pair(tmp_path_factory, None, PARAMS, ["htable"]) as both:
        ours = both.ours.node
        for line in PARAMS.strip().split("\n"):
            ours.registry.set_parameter("htable", "htable", line.split('"')[5])
        ours.module("htable").__dict__["_tables"] = None
        outcome = both.same(code, request("OPTIONS"))
    assert len(outcome.out) == len(calls) > 70


# ---- definitions


def test_definitions() -> None:
    found = parse_definition("t=>size=4;autoexpire=7200;dbtable=t2;cols='k,v1, v2';dbmode=1;initval=-3;updateexpire=0;")
    assert (found.name, found.size, found.autoexpire, found.dbtable) == ("t", 4, 7200, "t2")
    assert (found.cols, found.dbmode, found.initval, found.updateexpire) == (("k", "v1", "v2"), 1, -3, 0)
    assert [parse_definition(f"t=>size={n}").size for n in (1, 2, 31, 99)] == [3, 2, 31, 31]
    assert parse_definition("t=>").size == 3


@pytest.mark.parametrize(
    "given", ["a", "=>size=4", "a=>size=x", "a=>foo=1", "a=>size=4;cols='k'", "a=>size=4;;", "a=>initval=x", "a=>size"]
)
def test_definitions_that_are_none(bench: Make, given: str) -> None:
    with pytest.raises(ConfigError, match=r"htable\.htable"):
        bench("htable", htable={"htable": given})


@pytest.mark.parametrize(
    ("name", "value"),
    [("enable_dmq", 1), ("dmq_init_sync", 1), ("timer_interval", 0), ("fetch_rows", 0), ("db_url", "nowhere")],
)
def test_parameters_that_can_not_be(bench: Make, name: str, value: int | str) -> None:
    with pytest.raises(ConfigError, match=name):
        bench("htable", htable={name: value})


# ---- time


CFG = """#!KAMAILIO
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "cfgutils.so"
loadmodule "htable.so"
modparam("htable", "timer_interval", 5)
modparam("htable", "htable", "seen=>size=4;")
modparam("htable", "htable", "short=>size=4;autoexpire=8;")
event_route[htable:mod-init] { $sht(seen=>init) = 1; }
event_route[htable:expired:short] { $sht(seen=>$shtrecord(key)) = $shtrecord(value); }
request_route {
    switch ($rU) {
        case "set": $sht(short=>x) = "v"; $sht(short=>n) = 7; break;
        case "lock": sht_lock("seen=>k"); $var(n) = $sht(seen=>count); sleep(1); $sht(seen=>count) = $var(n) + 1;
            sht_unlock("seen=>k"); break;
    }
    sl_send_reply("200", "OK");
}
"""


def test_items_end_and_the_script_is_told(kahea: Simulation) -> None:
    node = kahea.node(CFG, "udp:10.0.0.9:5060")
    tables = node.module("htable").tables
    assert tables["seen"].get("init") == 1
    alice = kahea.ua("alice")
    assert alice.options("sip:set@10.0.0.9").status == 200
    kahea.run(7)
    assert tables["short"].get("x") == "v"
    kahea.run(1.5)
    # It has ended, and is there until the sweep after 10 s.
    assert tables["short"].get("x") is None
    assert "x" in tables["short"].items
    assert tables["seen"].get("x") is None
    kahea.run(2)
    assert not tables["short"].items
    assert (tables["seen"].get("x"), tables["seen"].get("n")) == ("v", 7)


def test_a_lock_makes_others_wait(kahea: Simulation) -> None:
    node = kahea.node(CFG, "udp:10.0.0.9:5060")
    tables = node.module("htable").tables
    tables["seen"].set("count", 0)
    asked = [kahea.ua(name).request("OPTIONS", "sip:lock@10.0.0.9") for name in ("alice", "bob", "carol")]
    for each in asked:
        assert each.wait().status == 200
    assert tables["seen"].get("count") == 3


PYTHON = """
import KSR
def ksr_request_route():
    return 1
def told(msg, event):
    KSR.htable.sht_sets("seen", event, KSR.pv.gete("$shtrecord(key)"))
    return 1
"""


def test_events_for_a_script_in_python(kahea: Simulation) -> None:
    params: dict[str, dict[str, Any]] = {
        "htable": {"event_callback": "told", "timer_interval": 1, "htable": "seen=>size=4;"},
    }
    node = kahea.node(PYTHON, "udp:10.0.0.9:5060", modules=params)
    table = node.module("htable").tables["seen"]
    assert table.get("htable:mod-init") == ""
    short = Table(parse_definition("short=>autoexpire=2;"), table._clock)
    node.module("htable").tables["short"] = short
    short.set("k", "v")
    node.node.call_later(0, node.module("htable")._sweep)
    kahea.run(4)
    assert table.get("htable:expired:short") == "k"


# ---- databases


def database(path: Path) -> sqlite3.Connection:
    """A database with rows of every kind; what comes of them was seen in Kamailio 5.6.3."""
    columns = "id INTEGER PRIMARY KEY, key_name, key_type INTEGER, value_type INTEGER, key_value, expires INTEGER"
    connection = sqlite3.connect(path)
    connection.executescript(f"CREATE TABLE t ({columns}); CREATE TABLE c (k, a, b INTEGER);")
    rows: list[tuple[str, int, int, str, int]] = [
        ("s", 0, 0, "text", 0),
        ("n", 0, 1, "42", 0),
        ("arr", 1, 0, "v1", 0),
        ("arr", 1, 0, "v2", 0),
        ("arr", 1, 1, "3", 0),
        ("ex", 0, 0, "later", 4_000_000_000),
        ("gone", 0, 0, "x", 1000),
        ("bad", 0, 1, "xx", 0),
    ]
    insert = "INSERT INTO t (key_name, key_type, value_type, key_value, expires) VALUES (?, ?, ?, ?, ?)"
    connection.executemany(insert, rows)
    connection.executemany("INSERT INTO c VALUES (?, ?, ?)", [("x", "one", 1), ("y", "two", 2)])
    connection.commit()
    return connection


def items(node: Any, table: str) -> dict[str, Any]:
    return {key: item.value for key, item in node.module("htable").tables[table].items.items()}


LOADED = {"s": "text", "n": 42, "arr[0]": "v1", "arr[1]": "v2", "arr[2]": 3, "arr::size": 3, "ex": "later", "bad": 0}
TABLES = """#!KAMAILIO
loadmodule "htable.so"
modparam("htable", "db_url", "sqlite:///{path}")
modparam("htable", "db_expires", 1)
modparam("htable", "htable", "ends=>size=4;autoexpire=300;dbtable=t;dbmode=1;")
modparam("htable", "htable", "stays=>size=4;dbtable=t;")
modparam("htable", "htable", "cols=>size=4;dbtable=c;cols='k,a,b';")
request_route {{ exit; }}
"""


def test_loading_and_storing(kahea: Simulation, tmp_path: Path) -> None:
    path = tmp_path / "tables.db"
    connection = database(path)
    node = kahea.node(TABLES.format(path=path), "udp:10.0.0.9:5060")
    assert items(node, "ends") == LOADED
    assert items(node, "stays") == LOADED | {"gone": "x"}
    assert items(node, "cols") == {"x": "one,1", "y": "two,2"}
    ends = node.module("htable").tables["ends"]
    assert ends.remaining("s") == 300
    assert ends.remaining("ex") > 1_000_000
    ends.items.clear()
    ends.set("new", "nv")
    ends.set("num", 5)
    now = int(kahea.wall)
    kahea.close()
    found = connection.execute("SELECT key_name, key_type, value_type, key_value, expires FROM t").fetchall()
    assert found == [("num", 0, 1, "5", now + 300), ("new", 0, 0, "nv", now + 300)]


def test_a_database_that_is_not_there(kahea: Simulation, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="htable ends: the database"):
        kahea.node(TABLES.format(path=tmp_path / "none" / "x.db"), "udp:10.0.0.9:5060")
    kahea.errors.clear()


# ---- commands


def test_rpc(bench: Make) -> None:
    b = bench("htable", htable={"htable": "a=>size=4;autoexpire=60;dbtable=x;"})
    call = {name.removeprefix("htable."): command.call for name, command in b.node.registry.rpcs.items()}
    assert call["sets"]("a", "k", "v") == call["seti"]("a", "n", "5") == "Ok. Key set to new value."
    assert call["setxs"]("a", "q", "s", 9) == call["setxi"]("a", "z", 1, "8") == "Ok. Key set to new value."
    assert call["setex"]("a", "k", 30) == call["setex"]("a", "none", 30) == "Ok"
    table = b.node.module("htable").tables["a"]
    assert [table.remaining(key) for key in ("k", "n", "q", "z")] == [30, 60, 9, 8]
    found = call["get"]("a", "n")["item"]
    assert (found["name"], found["value"], found["flags"]) == ("n", 5, 0)
    assert call["get"]("a", "k")["item"]["flags"] == 2
    b.node.module("htable").tables["a"].items["k"].ends = 0
    assert call["get"]("a", "k")["item"]["expire"] == "NEVER"
    assert call["dump"]("a")[0] == {"entry": 3, "size": 1, "slot": [{"name": "n", "value": 5, "type": "int"}]}
    assert call["stats"]() == [{"name": "a", "slots": 16, "all": 4, "min": 0, "max": 1}]
    (listed,) = call["listTables"]()
    assert (listed["name"], listed["size"], listed["expire"], listed["dbtable"]) == ("a", 16, 60, "x")
    assert call["delete"]("a", "k") == "Ok. Key deleted."
    assert call["flush"]("a") == "Ok. Htable flushed."
    assert call["dump"]("a") == []
    for command, arguments, text in (
        ("get", ("a", "none"), "Key name doesn't exist"),
        ("get", ("a",), "Not enough parameters"),
        ("get", ("nope", "x"), "No such htable"),
        ("delete", ("a", "none"), "Key not found"),
        ("seti", ("a", "x", "text"), "Not enough parameters"),
        ("flush", ("nope",), "No such htable"),
        ("dump", (), "No htable name given"),
        ("reload", ("a",), "No database htable"),
        ("store", ("a",), "No database htable"),
        ("dmqsync", (), "DMQ mode not enabled"),
        ("dmqresync", (), "DMQ mode not enabled"),
    ):
        with pytest.raises(RpcError, match=text):
            call[command](*arguments)


def test_reload_by_command(kahea: Simulation, tmp_path: Path) -> None:
    path = tmp_path / "tables.db"
    connection = database(path)
    node = kahea.node(TABLES.format(path=path), "udp:10.0.0.9:5060")
    connection.execute("DELETE FROM t WHERE key_name != 's'")
    connection.commit()
    done: list[str] = []
    commands = node.node.registry.rpcs
    reload = lambda: done.append(commands["htable.reload"].call("stays"))  # noqa: E731
    node.node.call_later(0, node.node.pool.run, reload)
    kahea.run(1)
    assert done == ["Ok. Htable reloaded."]
    assert items(node, "stays") == {"s": "text"}
    assert items(node, "ends") == LOADED


def test_counting_with_a_bad_expression(bench: Make) -> None:
    b = bench("htable", htable={"htable": "a=>size=4;"})
    b.take(PLAIN)
    assert b.call("pv.get", "$shtcn(a=>~~()") is None
    assert b.call("htable.sht_sets", "a", "k", "v") == 1
    assert [b.call("htable.sht_cn", "a", op, "k") for op in ("eq", "ne", "sw", "re", "xx")] == [1, 0, 1, 1, -1]
    assert b.call("htable.sht_cn", "nope", "eq", "k") == -1


# ---- bounds


def test_a_table_is_full(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, bench: Make) -> None:
    """Names and values come from messages: neither their number nor their length is without bound."""
    monkeypatch.setattr("kahea.modules.htable.table.MAX_ITEMS", 3)
    monkeypatch.setattr("kahea.modules.htable.table.MAX_CHARACTERS", 20)
    now = 1000
    table = Table(parse_definition("t=>size=4;autoexpire=10;"), lambda: now)
    assert [table.set(name, 1) for name in "abcd"] == [True, True, True, False]
    assert table.set("a", "x" * 17)
    assert not table.set("b", "y")
    assert "htable t is full" in caplog.text
    assert table.add("b", 1) == 2
    assert table.add("d", 1) is None
    assert table.set("a", "x" * 10)
    assert table.set("b", "y" * 7)
    assert table.remove("a")
    assert table.set("d", "z" * 10)
    now = 1011
    # What has ended makes room when its name is set again, or when it is swept.
    assert table.set("b", "y" * 8) is False
    assert sorted(name for name, _ in table.sweep()) == ["c", "d"]
    assert table.set("e", "x" * 19)
    assert not table.set("f", 1)
    b = bench("htable", htable={"htable": "a=>size=4"})
    b.take(PLAIN)
    assert [b.call("htable.sht_seti", "a", name, 1) for name in "abcd"] == [1, 1, 1, -1]
    with pytest.raises(RpcError, match="htable a is full"):
        b.node.registry.rpcs["htable.seti"].call("a", "d", 1)
