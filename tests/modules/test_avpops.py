"""avpops: the same results as Kamailio's on AVPs and the request."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from cfgs import KAMAILIO, differences
from processes import Server, compared, request
from textops_cases import PLAIN

from conftest import Bench
from kahea.routing.module import ConfigError
from kahea.testing import Simulation

Make = Callable[..., Bench]

FILL = (
    '$avp(s:a) = "x1"; $avp(s:a) = "x2"; $avp(s:a) = "x3"; $avp(n) = 5; $avp(n) = 7; $avp(e) = ""; '
    '$avp(i:3) = "three"; $var(name) = "a"; $var(t) = "x3"; '
)
SHOW = (
    'pv_evalx("$var(o)", "rc=$var(r) a=$(avp(s:a)[*]) n=$(avp(n)[*]) b=$(avp(b)[*]) i3=$(avp(i:3)[*]) e=$(avp(e)[*])'
    ' ru=$ru du=$du br=$br");'
)
CALLS = r"""
avp_check("$avp(a)","eq/s:x3")
avp_check("$avp(a)","eq/s:x1")
avp_check("$avp(a)","eq/s:x1/g")
avp_check("$avp(a)","eq/X3/i")
avp_check("$avp(a)","eq/s:X3/I")
avp_check("$avp(n)","eq/i:7")
avp_check("$avp(n)","lt/i:6/g")
avp_check("$avp(n)","lt/i:6")
avp_check("$avp(n)","ge/i:0x7")
avp_check("$avp(n)","ne/i:7")
avp_check("$avp(n)","and/i:2")
avp_check("$avp(n)","or/i:0")
avp_check("$avp(n)","xor/i:7")
avp_check("$avp(a)","re/x[0-9]")
avp_check("$avp(a)","re/X3/i")
avp_check("$avp(a)","fm/x?")
avp_check("$avp(a)","fm/y*/g")
avp_check("$avp(none)","eq/s:x")
avp_check("$avp(n)","eq/s:7")
avp_check("$avp(a)","eq/i:3")
avp_check("$avp(a)","eq/$avp(a)")
avp_check("$avp(a)","eq/$avp(n)")
avp_check("$fd","eq/example.com/I")
avp_check("$ru","re/^sip:")
avp_check("$var(x)","eq/i:0")
avp_check("$avp(a)","gt/s:x2")
avp_check("$avp(a)","lt/s:x2")
avp_check("$avp(a)","lt/s:x2/g")
avp_copy("$avp(a)","$avp(b)")
avp_copy("$avp(a)","$avp(b)/g")
avp_copy("$avp(a)","$avp(b)/gd")
avp_copy("$avp(a)","$avp(b)/d")
avp_copy("$avp(n)","$avp(b)/s")
avp_copy("$avp(n)","$avp(b)/gs")
avp_copy("$avp(a)","$avp(b)/n")
avp_copy("$avp(none)","$avp(b)")
avp_copy("$avp(i:3)","$avp(b)/d")
avp_delete("$avp(a)")
avp_delete("$avp(a)/g")
avp_delete("$avp(none)")
avp_delete("a")
avp_delete("s")
avp_delete("i")
avp_delete("s/g")
avp_delete("i/g")
avp_delete("a/g")
is_avp_set("$avp(a)")
is_avp_set("$avp(a)/s")
is_avp_set("$avp(a)/n")
is_avp_set("$avp(n)/n")
is_avp_set("$avp(e)")
is_avp_set("$avp(e)/e")
is_avp_set("$avp(a)/e")
is_avp_set("$avp(none)")
is_avp_set("$avp(n)/e")
avp_op("$avp(n)","add/i:3")
avp_op("$avp(n)","add/i:3/g")
avp_op("$avp(n)","sub/i:10/d")
avp_op("$avp(n)","sub/i:10/gd")
avp_op("$avp(n)/$avp(b)","mul/i:3")
avp_op("$avp(n)/$avp(b)","mul/i:3/g")
avp_op("$avp(n)/$avp(b)","mul/i:3/d")
avp_op("$avp(n)/$avp(b)","mul/i:3/gd")
avp_op("$avp(n)","div/i:2")
avp_op("$avp(n)","div/i:0")
avp_op("$avp(n)","mod/i:4")
avp_op("$avp(n)","and/i:6")
avp_op("$avp(n)","or/i:8")
avp_op("$avp(n)","xor/i:1")
avp_op("$avp(n)","not/i:1")
avp_op("$avp(a)","add/i:1")
avp_op("$avp(none)","add/i:1")
avp_op("$avp(n)","add/$var(x)")
avp_op("$avp(n)","add/$fd")
avp_pushto("$ru","$avp(a)")
avp_pushto("$ru/username","$avp(a)")
avp_pushto("$ru/domain","$avp(a)")
avp_pushto("$ru/username","$avp(n)")
avp_pushto("$ru","$avp(none)")
avp_pushto("$du","$fu")
avp_pushto("$br","$fu")
avp_pushto("$br","$avp(a)/g")
avp_pushto("$ru","$fu")
avp_pushto("$ru/domain","$fd")
avp_pushto("$du","$avp(a)")
avp_subst("$avp(a)","/x/y/")
avp_subst("$avp(a)/$avp(b)","/x(.)/y\1z\0/")
avp_subst("$avp(a)/$avp(b)/g","/x/y/")
avp_subst("$avp(a)/$avp(b)/gd","/x/y/")
avp_subst("$avp(a)/$avp(b)/d","/x/y/")
avp_subst("$avp(a)","/X/y/i")
avp_subst("$avp(a)","/nomatch/y/")
avp_subst("$avp(a)/$avp(a)/g","/x1/Q/")
avp_subst("$avp(n)","/7/8/")
avp_subst("$avp(none)","/7/8/")
avp_subst("$avp(a)","/x/$fd/")
avp_subst_pv("$avp(a)","/x/$fd/")
avp_subst_pv("$avp(a)","$var(zz)")
avp_printf("$avp(b)","p $fU $rm")
avp_print()
avp_check("$avp($var(name))","eq/s:x1/g")
avp_check("$avp(a)","eq/$var(t)")
avp_check("$ru","eq/s:sip:bob@example.com;x=1")
avp_copy("$avp($var(name))","$avp(b)/g")
avp_copy("$avp(a)","$avp(a)")
avp_delete("$avp($var(name))/g")
avp_op("$avp(n)","div/i:-2")
avp_op("$avp(n)","mod/i:-4")
avp_op("$avp(n)","mul/i:2000000000")
avp_subst("$avp(a)/$avp(b)/g","/x[13]/y/")
avp_subst("$avp(a)/$avp(b)/gd","/x[13]/y/")
"""


@pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")
def test_a_cfg_gets_the_same_as_from_kamailio(tmp_path: Path) -> None:
    bodies = [f"{FILL}{call}; $var(r) = $rc; {SHOW}" for call in CALLS.strip().split("\n")]
    assert len(bodies) > 105
    assert not differences(tmp_path, bodies, modules=["avpops"])


# ---- databases


DATABASE = """
loadmodule "db_sqlite.so"
loadmodule "textops.so"
loadmodule "avpops.so"
modparam("avpops", "db_url", "sqlite:///{folder}.db")
modparam("avpops", "avp_table", "usr")
modparam("avpops", "use_domain", USE_DOMAIN)
modparam("avpops", "db_scheme", "first:table=sub;uuid_col=uuid;value_col=first")
modparam("avpops", "db_scheme", "age:username_col=username;value_col=age;value_type=integer;table=sub")
request_route {
    if ($rU == "ping") { sl_send_reply("200", "OK"); exit; }
    $var(uu) = "uu"; $avp(s:y) = "set"; $var(r) = 0;
    CALLS
    append_to_reply("X-Out: $var(r) x=$(avp(s:x)[*]) n=$(avp(num)[*]) 7=$(avp(i:7)[*]) 8=$(avp(i:8)[*]) y=$(avp(y)[*])"
        " 1=$(avp(i:1)[*]) 2=$(avp(i:2)[*])\\r\\n");
    sl_send_reply("200", "OK");
}
"""
ROWS = [
    ("", "alice", "example.com", "x", 0, "1"), ("", "alice", "example.com", "x", 0, "2"),
    ("", "alice", "example.com", "num", 1, "42"), ("", "alice", "example.com", "7", 2, "seven"),
    ("", "alice", "example.com", "8", 3, "88"), ("", "alice", "other.com", "x", 0, "od"),
    ("", "", "example.com", "x", 0, "domain"), ("uu", "", "", "x", 0, "it's"),
    ("", "bob", "example.com", "x", 0, "bob"),
]  # fmt: skip
LOADS = r"""
avp_db_load("$fu", "$avp(s:x)")
avp_db_load("$fu/username", "$avp(s:x)")
avp_db_load("$fu/domain", "$avp(s:x)")
avp_db_load("$fu/uri", "$avp(s:x)")
avp_db_load("$var(uu)", "$avp(s:x)")
avp_db_load("$var(uu)/uuid", "$avp(s:x)")
avp_db_load("uu", "$avp(s:x)")
avp_db_load("$fu", "s")
avp_db_load("$fu", "i")
avp_db_load("$fu", "a")
avp_db_load("$fu", "$avp(i:7)")
avp_db_load("$fu", "$avp(s:none)")
avp_db_load("$fu", "$avp(s:x)/other")
avp_db_load("$fu", "a/other")
avp_db_load("$var(uu)", "$avp(s:y)/$first")
avp_db_load("$fu", "$avp(s:y)/$age")
avp_db_load("$fU/username", "$avp(s:x)")
avp_db_load("$fu", "$avp(s:x)/nowhere")
avp_db_query("select value, type from usr where username='alice' and attribute='x' order by id")
avp_db_query("select value, type from usr where username='alice' order by id", "$avp(s:x);$avp(num)")
avp_db_query("select value from usr where username='nobody'")
avp_db_query("select bad from nowhere")
avp_db_query("select value from usr where username='$fU' and type=1", "$avp(y)")
avp_db_query("update usr set value='new' where username='bob'")
avp_db_query("select null, 1.5, 3", "$avp(s:x);$avp(num);$avp(y)")
avp_db_store("$fu", "$avp(s:y)")
avp_db_store("$fu", "$avp(s:none)")
avp_db_delete("$fu", "$avp(s:y)")
avp_db_delete("$fu", "$avp(i:7)")
avp_db_delete("$var(uu)", "a")
avp_db_load("$fu", "a")
"""


def database(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE version (table_name TEXT, table_version INTEGER)")
        columns = "uuid TEXT DEFAULT '', username TEXT DEFAULT '', domain TEXT DEFAULT '', attribute TEXT, type INTEGER"
        for table in ("usr", "other"):
            db.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY AUTOINCREMENT, {columns}, value TEXT)")
            db.executemany(
                f"INSERT INTO {table} (uuid, username, domain, attribute, type, value) VALUES (?, ?, ?, ?, ?, ?)", ROWS
            )
        db.execute("CREATE TABLE sub (uuid TEXT, username TEXT, domain TEXT, first TEXT, age INTEGER)")
        db.execute("INSERT INTO sub VALUES ('uu', 'alice', 'example.com', 'Al', 33)")


def rows(path: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as db:
        return db.execute("SELECT uuid, username, domain, attribute, type, value FROM usr ORDER BY id").fetchall()


@pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")
@pytest.mark.parametrize("use_domain", [0, 1])
def test_databases_are_kamailios(tmp_path: Path, use_domain: int) -> None:
    """All but the domain of what is stored without one, which Kamailio takes from an earlier call."""
    calls = LOADS.strip().split("\n")
    code = "".join(f'if ($rU == "c{n}") {{ {call}; $var(r) = $rc; }}\n    ' for n, call in enumerate(calls))
    cfg = DATABASE.replace("CALLS", code).replace("USE_DOMAIN", str(use_domain))

    def scenario(server: Server) -> object:
        found = []
        for n in range(len(calls)):
            server.caller.send(request("OPTIONS", f"sip:c{n}@example.com", callid=f"c{n}"))
            while f"Call-ID: c{n}\r\n" not in (got := server.caller.receive()):
                pass
            found.append(re.findall("X-Out: (.*)\r", got))
        return found, rows(server.folder.with_suffix(".db"))

    for name in ("kamailio", "kahea"):
        database(tmp_path / f"{name}.db")
    theirs, ours = compared(tmp_path, cfg, [], scenario)
    for call, want, have in zip(calls, theirs[0], ours[0], strict=True):  # type: ignore[index]
        assert have == want, call
    assert ours[1] == theirs[1]  # type: ignore[index]


# ---- what is decided here


def test_functions_of_scripts(bench: Make) -> None:
    made = bench("avpops")
    made.take(PLAIN)
    assert made.call("pvx.avp_sets", "a", "x1") == made.call("pvx.avp_seti", "n", 7) == 1
    assert made.call("avpops.avp_check", "$avp(a)", "eq/s:x1") == 1
    assert made.call("avpops.avp_check", "$avp(a)", "nonsense") == -1
    assert made.call("avpops.avp_copy", "$avp(a)", "$avp(b)/d") == 1
    assert made.call("avpops.avp_subst", "$avp(b)", "/x/y/") == 1
    assert made.call("avpops.is_avp_set", "$avp(b)/s") == 1
    assert made.call("avpops.avp_op", "$avp(n)/$avp(m)", "add/i:3") == 1
    assert made.call("avpops.avp_pushto", "$ru/username", "$avp(b)") == 1
    assert made.msg.uri.startswith(b"sip:y1@")
    assert made.call("avpops.avp_delete", "$avp(n)/g") == 1
    assert made.call("avpops.avp_db_load", "$fu", "a") == -1  # there is no database
    assert made.call("avpops.avp_subst_pv", "$avp(b)", "nothing") == -3


@pytest.mark.parametrize(
    "call",
    [
        'avp_check("a", "eq/s:x")', 'avp_check("$avp(a)", "xx/s:x")', 'avp_check("$avp(a)", "eq/s:")',
        'avp_check("$avp(a)", "eq/i:x")', 'avp_copy("$avp(a)", "$ru")', 'avp_copy("$avp(a)", "$avp(b)/x")',
        'avp_delete("a3")', 'avp_op("$avp(n)", "pow/i:2")', 'avp_pushto("$fu", "$avp(a)")', 'avp_subst("$avp(a)", "x")',
        'avp_db_load("$fu/x", "a")', 'avp_db_load("$fu", "a/$s")', 'avp_db_load("$fu", "a/b c")',
        'avp_db_store("$fu", "$avp(a)/$s")', 'is_avp_set("$avp(a)/x")',
    ],
)  # fmt: skip
def test_arguments_that_are_none(kahea: Simulation, call: str) -> None:
    cfg = f'#!KAMAILIO\nloadmodule "pv.so"\nloadmodule "avpops.so"\nrequest_route {{ {call}; }}\n'
    with pytest.raises(ConfigError, match=call.partition("(")[0]):
        kahea.node(cfg, "udp:10.0.0.9:5060")


@pytest.mark.parametrize(
    ("name", "value"),
    [("db_scheme", "x"), ("db_scheme", "x:table=t"), ("db_scheme", "x:table=t;value_col=a b"), ("db_url", "nowhere")],
)
def test_parameters_that_can_not_be(bench: Make, name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=r"avpops\."):
        bench("avpops", avpops={name: value, "avp_table": "t"})
