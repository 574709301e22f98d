"""Databases of text files beside Kamailio's db_text: what a file means, what is found in it, what is written back."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from directory_cases import Ask, asks, make_database
from hypothesis import given
from hypothesis import strategies as st
from processes import Server, compared, request, servers
from stored import Server as Node
from test_directory import cfg, differences
from twin import needs_kamailio

from kahea.connectors.options import TEXT
from kahea.connectors.text_files import DIRECTORIES
from kahea.connectors.text_table import Column, read_table, write_table
from kahea.routing.module import ConfigError, RpcError

TABLES = {
    "version": "id(int,auto) table_name(string) table_version(int)",
    "dbaliases": "id(int,auto) alias_username(string) alias_domain(string) username(string) domain(string)",
    "speed_dial": "id(int,auto) username(string) domain(string) sd_username(string) sd_domain(string) new_uri(string)",
    "domain": "id(int,auto) domain(string) did(string,null)",
    "domain_attrs": "id(int,auto) did(string) name(string) type(int) value(string)",
}
#: Files that are tables, or nearly.
FILES = {
    "version": "id(int,auto) table_name(string) table_version(int) \n0:version:1\n0:location:9\n0:location_attrs:1\n",
    "plain": "id(int,auto) name(str) note(str,null)\n1:nick:a\\tgood\\: friend\n2:cole:colleague\n3:bob:\n",
    "empty": "s(string) i(int)\n",
    "unended": "s(string) i(int)\nfirst:1\nlast:2",
    "returns": "s(string) i(int)\r\nlast:1\r\n",
    "gap": "s(string) i(int)\na:1\n\nb:2\n",
    "short": "s(string) i(int)\na\n",
    "long": "s(string) i(int)\na:1:2\n",
    "ended": "s(string) i(int)\na:1:\n",
    "words": "s(string) i(int)\na:x\n",
    "spaces": "  s(string)   i(int)  \na:1\n",
    "spaced": "s(string) i(int)\n a : 1\n",
    "capitals": "S(STRING) I(INT)\na:1\n",
    "unknown": "s(foo)\na\n",
    "nothing": "",
    "blank": "\n",
    "comment": "# c\ns(string)\na\n",
    "others": "s(blob) t(time)\na:1\n",
    "numbered": "id(int,auto) s(string)\n5:y\n:x\n:z\n",
    "nulls": "s(string,null) i(int,null)\n:\n",
    "must": "s(string) i(int)\n:1\n",
    "must2": "s(string) i(int)\na:\n",
    "escapes": "s(string)\na\\\\b\\tc\\:d\n",
    "escaped": "s(string)\na\\xb\n",
    "plus": "i(int)\n+3\n",
    "minus": "i(int)\n-5\n",
    "auto": "s(string,auto)\na\n",
    "quoted": 's(string)\n"a"\n',
    "utf": "s(string)\né\n",
    "location": (
        "id(int,auto) ruid(string) username(string) domain(string,null) contact(string) received(string,null)"
        " path(string,null) expires(int) q(double) callid(string) cseq(int) last_modified(int) flags(int) cflags(int)"
        " user_agent(string) socket(string,null) methods(int,null) instance(string,null) reg_id(int) server_id(int)"
        " connection_id(int) keepalive(int) partition(int) \n"
    ),
}  # fmt: skip

CFG = """
modparam("sqlops", "sqlcon", "t=>text://{folder}.d")
modparam("usrloc", "db_url", "text://{folder}.d")
modparam("usrloc", "db_mode", 1)
modparam("usrloc", "preload", "location")
request_route {
    if ($rU == "ping") { sl_send_reply("200", "OK"); exit; }
    if (is_method("REGISTER")) { save("location"); exit; }
    sql_query("t", "$hdr(X-Q)", "r");
    $var(o) = "" + $rc + " " + $dbr(r=>rows) + ":";
    $var(i) = 0;
    while ($var(i) < $dbr(r=>rows)) {
        $var(j) = 0;
        while ($var(j) < $dbr(r=>cols)) {
            $var(o) = $var(o) + "[" + $(dbr(r=>[$var(i),$var(j)]){s.escape.param}) + "]";
            $var(j) = $var(j) + 1;
        }
        $var(i) = $var(i) + 1;
    }
    append_to_reply("X-Out: $var(o)\\r\\n");
    sl_send_reply("200", "OK");
}
"""


def fill(folder: Path, files: dict[str, str]) -> None:
    """Write a directory's files."""
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, newline="")


def as_text(database: Path) -> dict[str, str]:
    """The tables of a SQLite database as files, but for rows with an empty text, which db_text takes for NULL."""
    files = {}
    with sqlite3.connect(database) as db:
        for table, head in TABLES.items():
            columns = [word.partition("(")[0] for word in head.split()]
            lines = [head]
            for row in db.execute(f"select {', '.join(columns)} from {table}"):
                if "" not in row:
                    cells = ("" if cell is None else re.sub(r"([:\\])", r"\\\1", str(cell)) for cell in row)
                    lines.append(":".join(cells))
            files[table] = "\n".join(lines) + "\n"
    return files


@needs_kamailio
def test_found_as_in_kamailio(tmp_path: Path) -> None:
    make_database(tmp_path / "db", random.Random(3))
    for name in ("kamailio", "kahea"):
        fill(tmp_path / f"{name}.d", as_text(tmp_path / "db"))
    modules = ("textops", "siputils", "corex", "db_text", "alias_db", "speeddial", "domain")
    parameters = {"alias_db": {"use_domain": 1, "append_branches": 1}, "domain": {"register_myself": 1}}
    with servers(tmp_path, cfg("text://{folder}.d", parameters), modules) as (theirs, ours):
        cases = [ask for ask in asks(random.Random(4), 500) if not _of_a_schema(ask)]
        found = differences(theirs, ours, cases)
    assert not found, "\n".join([f"{len(found)} differ", *found[:25]])


def _of_a_schema(ask: Ask) -> bool:
    return "." in ask.table


def selected(server: Server, statement: str) -> str:
    """What a statement gives: the code, the number of rows, their fields."""
    server.caller.send(request("OPTIONS", "sip:x@y", f"X-Q: {statement}\r\n", callid=str(abs(hash(statement)))))
    found = re.search(r"X-Out: (.*)\r\n", server.caller.expect("SIP/2.0 200"))
    assert found is not None
    return unquote(found[1])


def contents(server: Server) -> list[str]:
    """What each file is taken for, and what is written back after registrations."""
    seen = [f"{name}: {selected(server, f'select * from {name}')}" for name in FILES if name != "location"]
    for cseq, (user, expires) in enumerate((("bob", 60), ("alice", 300), ("bob", 0), ("alice", 200)), 1):
        server.caller.send(
            f"REGISTER sip:a.test SIP/2.0\r\nVia: SIP/2.0/UDP @CALLER;branch=z9hG4bKcaller{cseq}\r\n"
            f"From: <sip:{user}@a.test>;tag=f\r\nTo: <sip:{user}@a.test>\r\nCall-ID: {user}\r\n"
            f"CSeq: {cseq} REGISTER\r\nContact: <sip:{user}@@CALLER;x=a>;q=0.5\r\nExpires: {expires}\r\n"
            f"User-Agent: it: \\ is\r\nContent-Length: 0\r\n\r\n"
        )
        seen.append(server.caller.expect("SIP/2.0 ").partition("\r\n")[0])
    seen.append(server.rpc("db_text.dump"))
    for name in FILES:
        text = server.folder.with_suffix(".d").joinpath(name).read_bytes().decode()
        if text != FILES[name]:
            seen.append(name + ": " + re.sub(r"(\d{10}|uloc-[0-9a-f-]+|(?<=1\\:)\d+)", "N", text))
    return seen


@needs_kamailio
def test_read_and_written_as_in_kamailio(tmp_path: Path) -> None:
    for name in ("kamailio", "kahea"):
        fill(tmp_path / f"{name}.d", FILES)
    theirs, ours = compared(tmp_path, CFG, ("textops", "db_text", "sqlops", "usrloc", "registrar"), contents)
    assert ours == theirs


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A directory with the tables, and the options as they were."""
    fill(tmp_path / "text", FILES)
    yield tmp_path / "text"
    TEXT.mode, TEXT.delimiter, TEXT.empty_text, TEXT.most_rows = 0, ":", False, 100_000
    assert not DIRECTORIES


def node(folder: Path, *load: str, **parameters: dict[str, Any]) -> Node:
    """A node that has the directory for `sqlops`, and for `db_text.query`."""
    url = f"text://{folder}"
    given = {"sqlops": {"sqlcon": [f"t=>{url}"]}, "db_text": {"default_connection": url}}
    given |= {name: given.get(name, {}) | more for name, more in parameters.items()}
    return Node(given, load=("sl", "tm", "pv", "db_text", "sqlops", *load))


INSERT = """KSR.sqlops.sql_query("t", "insert into gap values ('a:b', 3)", "r")"""
SELECT = 'KSR.sqlops.sql_query("t", "select s from gap", "r"); out += [KSR.sqlops.sql_num_rows("r")]'


def test_what_changed_is_written_back_at_the_end_and_by_command(folder: Path) -> None:
    async def check() -> None:
        async with node(folder) as server:
            copy = DIRECTORIES[folder].copy
            await server.call(INSERT)
            assert (folder / "gap").read_text() == FILES["gap"]
            assert await server.rpc("db_text.dump") == "Dump OK"
            assert (folder / "gap").read_text() == "s(string) i(int)\na:1\nb:2\na\\:b:3\n"
            found = await server.rpc("db_text.query", "select i, s from gap where i > 1")
            assert found == ["i:s", "2:b", "3:a:b", "total rows 2 / 2"]
            with pytest.raises(RpcError, match="no such table"):
                await server.rpc("db_text.query", "select * from words")
            await server.call('out.append(KSR.sqlops.sql_query("t", "delete from gap where i < 3", "r"))')
        assert (folder / "gap").read_text() == "s(string) i(int)\na\\:b:3\n"
        assert not copy.parent.exists()
        assert {each.name for each in folder.iterdir()} == set(FILES)
        assert [
            name for name, text in FILES.items() if name != "gap" and (folder / name).read_bytes() != text.encode()
        ] == []

    asyncio.run(check())


@pytest.mark.parametrize(("mode", "rows"), [(0, [2, 2]), (1, [2, 1])])
def test_files_that_changed_are_read_again_in_mode_1(folder: Path, mode: int, rows: list[int]) -> None:
    async def check() -> None:
        async with node(folder, db_text={"db_mode": mode}) as server:
            found = await server.call(SELECT)
            (folder / "gap").write_text("s(string) i(int)\nonly:1\n")
            assert found + await server.call(SELECT) == rows

    asyncio.run(check())


def test_options(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "piped").write_text("s(string)|x i(int)\n")
    (folder / "other").write_text("s(string) t(string)\na:b|\n")

    async def check() -> None:
        async with node(folder, db_text={"db_delim": "|", "emptystring": 1, "max_result_rows": 1}) as server:
            found = await server.rpc("db_text.query", "select s, t, t is null from other")
            assert found[1:] == ["a:b||0", "total rows 1 / 1"]

    asyncio.run(check())
    assert f"{folder}/piped:1: this is no table: 's(string)|x' is no column" in caplog.text


def test_a_long_file_is_no_table(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        async with node(folder, db_text={"max_result_rows": 2}) as server:
            assert await server.call(SELECT) == [2]

    asyncio.run(check())
    assert f"{folder}/plain:4: this is no table: there are more than 2 rows" in caplog.text


def test_tables_that_were_not_there_are_written_too(folder: Path) -> None:
    for name in ("location", "version"):
        (folder / name).unlink()

    async def check() -> None:
        usrloc = {"db_url": f"text://{folder}", "db_mode": 1, "preload": "location"}
        async with node(folder, "usrloc", "registrar", usrloc=usrloc) as server:
            assert (await server.save(aor="bob@x"))[0] > 0
        async with node(folder, "usrloc", "registrar", usrloc=usrloc) as server:
            assert await server.lookup("sip:bob@x") == (1, "sip:u@10.1.1.1")

    asyncio.run(check())
    assert "id(int,auto) table_name(string) table_version(int)\n" in (folder / "version").read_text()
    assert "location:9\n" in (folder / "version").read_text()
    head, row, end = (folder / "location").read_text().split("\n")
    assert "expires(int)" in head
    assert "q(double)" in head
    assert "sip\\:u@10.1.1.1" in row
    assert not end


def test_what_is_no_table_is_never_written_over(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad = FILES["location"] + "no row\n"
    (folder / "location").write_text(bad)
    (folder / "huge").write_text("i(int)\n99999999999999999999\n")

    async def check() -> None:
        usrloc = {"db_url": f"text://{folder}", "db_mode": 1, "preload": "location"}
        async with node(folder, "usrloc", "registrar", usrloc=usrloc) as server:
            assert (await server.save(aor="bob@x"))[0] > 0

    asyncio.run(check())
    assert (folder / "location").read_text() == bad
    assert (folder / "huge").read_text() == "i(int)\n99999999999999999999\n"
    assert f"{folder}/location stays as it is: it is no table" in caplog.text


def test_changes_that_can_not_be_written_are_kept(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        async with node(folder) as server:
            await server.call(INSERT)
            (folder / ".gap.new").mkdir()

    asyncio.run(check())
    found = re.search(r"could not be written: .*; it is in (.*)$", caplog.text, re.MULTILINE)
    assert found is not None
    with contextlib.closing(sqlite3.connect(found[1])) as db:
        assert db.execute("select count(*) from gap").fetchone() == (3,)
    shutil.rmtree(Path(found[1]).parent)


def test_what_can_not_be_used_is_refused(tmp_path: Path) -> None:
    async def start(url: str, **more: Any) -> None:
        async with Node({"sqlops": {"sqlcon": [f"t=>{url}"]}, "db_text": more}, load=("pv", "db_text", "sqlops")):
            pass

    with pytest.raises(ConfigError, match="No such file or directory"):
        asyncio.run(start(f"text://{tmp_path}/nowhere"))
    for name, value, why in (
        ("db_mode", 2, "between 0 and 1"),
        ("db_delim", "::", "one character"),
        ("max_result_rows", 0, "between 1 and"),
        ("default_connection", "nonsense", "not a database URL"),
    ):
        with pytest.raises(ConfigError, match=why):
            asyncio.run(start(f"text://{tmp_path}", **{name: value}))
    DIRECTORIES.clear()


@given(
    st.lists(
        st.tuples(st.text(min_size=1), st.integers(-(2**31), 2**31 - 1), st.none() | st.text(min_size=1)), max_size=5
    )
)
def test_what_is_written_reads_the_same(rows: list[tuple[str, int, str | None]]) -> None:
    columns = [Column("s", "string"), Column("i", "int"), Column("n", "str", "null")]
    text = write_table(columns, rows, ":")
    assert text.count("\n") == len(rows) + 1
    assert read_table(text, ":", empty_text=False) == (columns, [list(row) for row in rows])
