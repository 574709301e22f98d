"""mqueue: the same results as Kamailio's, what is bounded, the database, and the commands."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from cfgs import KAMAILIO, differences
from processes import Server, compared, request
from textops_cases import PLAIN

from conftest import Bench
from kahea.modules import mqueue
from kahea.modules.mqueue import Definition, Queue, parse_definition
from kahea.routing.module import ConfigError
from kahea.testing import Simulation

Make = Callable[..., Bench]
needs_kamailio = pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")

PARAMS = """
modparam("mqueue", "mqueue", "name=a;size=2;")
modparam("mqueue", "mqueue", "name=b;addmode=1")
modparam("mqueue", "mqueue", "name=c;addmode=2;size=2")
modparam("mqueue", "mqueue_size", 3)
modparam("mqueue", "mqueue_name", "d")
"""
#: Calls in order, and `?queue` for what its variables hold.
CALLS = """
size a,size zz,fetch a,fetch zz,free a,free zz,?a
add a k1 v1,add a k2 v2,add a k3 v3,size a,fetch a,?a,fetch a,?a,fetch a,?a,free a,?a
add b k1 v1,add b k1 v2,size b,fetch b,?b
add c k1 v1,add c k2 v2,add c k1 v3,size c,fetch c,?c,fetch c,?c
add c k1 v1,add c k2 v2,add c k3 v3,size c,fetch c,?c
add zz k v,?zz
add a - v,add a k -,size a,fetch a,?a
add d 1 v,add d 2 v,add d 3 v,add d 4 v,size d
add d $var(none) $avp(q),add $var(none) v v
fetch $var(q),?$var(q),?d
"""


def body(calls: str) -> str:
    """A line of CALLS as code."""
    code = '$var(q) = "d";'
    for call in calls.split(","):
        name, *arguments = call.split()
        if name.startswith("?"):
            queue = name[1:]
            code += f'$var(o) = $var(o) + "|" + $mqk({queue}) + "=" + $mqv({queue}) + "#" + $mq_size({queue});'
            continue
        given = ", ".join('""' if each == "-" else f'"{each}"' for each in arguments)
        code += f'mq_{"pv_free" if name == "free" else name}({given}); $var(o) = $var(o) + "|" + $rc;'
    return code


@needs_kamailio
def test_a_cfg_gets_the_same_as_from_kamailio(tmp_path: Path) -> None:
    bodies = [body(line) for line in CALLS.strip().split("\n")]
    assert not differences(tmp_path, bodies, extra=PARAMS, modules=["mqueue"])


DATABASE = """
loadmodule "db_sqlite.so"
modparam("mqueue", "db_url", "sqlite:///{path}")
modparam("mqueue", "mqueue", "name=q1;dbmode=1;")
modparam("mqueue", "mqueue", "name=q2;dbmode=2")
modparam("mqueue", "mqueue", "name=q3;dbmode=3")
modparam("mqueue", "mqueue", "name=q4")
request_route {{
    if ($rU == "ping") {{ sl_send_reply("200", "OK"); exit; }}
    mq_add("q1", "n1", "w'1"); mq_add("q2", "n1", "w1"); mq_add("q3", "n1", "\\""); mq_add("q4", "n1", "w1");
    sl_send_reply("200", "OK");
}}
"""
COMMANDS = (
    "get_sizes", "get_size q1", "get_size zz", "get_size", "fetch q1", "fetch zz", "fetch q2", "fetch", "fetch q3",
    "fetch q3", "get_sizes",
)  # fmt: skip


def _database(path: Path) -> str:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE version (table_name TEXT, table_version INTEGER)")
        for name in ("q1", "q2", "q3"):
            db.execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT, val TEXT)")
            db.execute(f"INSERT INTO {name} (key, val) VALUES ('o1', 'p1'), ('o2', 'it''s')")
    return str(path)


def _rows(path: Path) -> list[list[tuple[str, str]]]:
    with sqlite3.connect(path) as db:
        return [db.execute(f"SELECT key, val FROM {name} ORDER BY id").fetchall() for name in ("q1", "q2", "q3")]


@needs_kamailio
def test_the_database_and_the_commands(tmp_path: Path) -> None:
    def scenario(server: Server) -> object:
        path = server.folder.with_suffix(".db")
        server.caller.send(request("OPTIONS", "sip:x@example.com", callid="second"))
        server.caller.expect("SIP/2.0 200")
        loaded, answers = _rows(path), [server.rpc(*f"mqueue.{line}".split()) for line in COMMANDS]
        server.stop()
        return loaded, answers, _rows(path)

    for name in ("kamailio", "kahea"):
        _database(tmp_path / f"{name}.db")
    theirs, ours = compared(tmp_path, DATABASE.format(path="{folder}.db"), ["mqueue"], scenario)
    assert ours == theirs


# ---- definitions, bounds


def test_definitions(bench: Make) -> None:
    assert parse_definition("name=q;size=10;dbmode=0;addmode=2;") == Definition("q", 10, 0, 2)
    made = bench("mqueue", mqueue={"mqueue_size": 5, "mqueue_addmode": 1, "mqueue_name": "x", "mqueue": "name=y"})
    assert [each.definition for each in made.node.module("mqueue").queues.values()] == [
        Definition("x", 5, 0, 1),
        Definition("y"),
    ]


@pytest.mark.parametrize(
    "given",
    [
        "",
        "size=3",
        "name=",
        "name=q;size=x",
        "name=q;size=-1",
        "name=q;dbmode=4",
        "name=q;dbmode=1",
        "name=q;addmode=3",
    ],
)
def test_definitions_that_are_none(bench: Make, given: str) -> None:
    with pytest.raises(ConfigError, match=r"mqueue\."):
        bench("mqueue", mqueue={"mqueue": given})


def test_a_queue_without_a_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqueue, "MAX_ITEMS", 3)
    monkeypatch.setattr(mqueue, "MAX_CHARACTERS", 100)
    queue = Queue(Definition("q"))
    for n in range(5):
        queue.add("k", str(n))
    assert [item.value for item in queue.items()] == ["2", "3", "4"]
    queue.add("k", "x" * 97)
    assert [len(item.value) for item in queue.items()] == [1, 97]


def test_scripts_in_python(bench: Make) -> None:
    """What KEMI has beside the variables; what one run took is not another's."""
    made = bench("mqueue", mqueue={"mqueue": "name=q"})
    made.take(PLAIN)
    assert made.call("mqueue.mq_add", "q", "k", "v") == 1
    assert [made.call(f"mqueue.mqk_{each}", "q") for each in ("get", "gete", "getw")] == [None, "", "<null>"]
    assert made.call("mqueue.mq_fetch", "q") == 1
    assert [made.call(f"mqueue.mq{each}_get", "q") for each in "kv"] == ["k", "v"]
    made.take(PLAIN)
    assert made.call("mqueue.mqv_getw", "q") == "<null>"
    assert made.call("mqueue.mq_size", "q") == -1


def test_a_database_that_is_not_there(kahea: Simulation, tmp_path: Path) -> None:
    cfg = (
        f'#!KAMAILIO\nloadmodule "mqueue.so"\nmodparam("mqueue", "db_url", "sqlite:///{tmp_path}/none/x.db")\n'
        'modparam("mqueue", "mqueue", "name=q;dbmode=1")\nrequest_route { exit; }\n'
    )
    with pytest.raises(ConfigError, match="queue q"):
        kahea.node(cfg, "udp:10.0.0.9:5060")
    kahea.errors.clear()
