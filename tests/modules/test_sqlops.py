"""sqlops beside Kamailio's, on the same databases: the same results, value by value; natively and by KEMI."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from databases import Engine
from processes import KAMAILIO, Server, request, servers

needs_kamailio = pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")

#: What is shown of the result `r`: its size, then each value with its column, `i` for a number, `s` for text, `n` null.
SHOW = """
route[SHOW] {
    $var(o) = $var(o) + " rows=" + $dbr(r=>rows) + " cols=" + $dbr(r=>cols);
    $var(i) = 0;
    while ($var(i) < $dbr(r=>rows)) {
        $var(j) = 0;
        while ($var(j) < $dbr(r=>cols)) {
            $var(v) = $dbr(r=>[$var(i),$var(j)]);
            if ($dbr(r=>[$var(i),$var(j)]) == $null) $var(k) = "n";
            else if (is_int("$var(v)")) $var(k) = "i";
            else $var(k) = "s";
            $var(o) = $var(o) + " | " + $dbr(r=>colname[$var(j)]) + ":" + $var(k) + ":"
                + $(dbr(r=>[$var(i),$var(j)]){s.encode.hexa});
            $var(j) = $var(j) + 1;
        }
        $var(i) = $var(i) + 1;
    }
}
"""

CFG = """
modparam("sqlops", "sqlcon", "s=>sqlite:///{sqlite}")
modparam("sqlops", "sqlcon", "p=>{postgres}")
modparam("sqlops", "sqlcon", "m=>{mysql}")
modparam("sqlops", "sqlres", "zz")
request_route {{
    $var(o) = "";
    if ($rU == "ping") {{ sl_send_reply("200", "OK"); exit; }}
    $var(case) = "C" + $hdr(X-Case);
    route($var(case));
    append_to_reply("X-Out: $var(o)\\r\\n");
    sl_send_reply("200", "OK");
    exit;
}}
{routes}
"""


def query(connection: str, statement: str) -> str:
    """A body that asks and shows."""
    return f'sql_query("{connection}", "{statement}", "r"); $var(o) = "" + $rc; route(SHOW);'


#: Values of each type, in statements that all three databases understand, and in what each has of its own.
COMMON = (
    "select 1 as one, -5 as neg, 'text' as t, '' as empty, null as n, 'ü€😀' as u",
    "select 'a' as a union select 'b' order by 1",
    "select 1 as one from (select 1 as x) q where x = 0",
    "select * from nowhere",
    "selec",
    "",
)
OWN = {
    "s": (
        "select e, f, c, m from ty",
        "select a, b from ty",
        "select k from ty",
        "select j, g from ty",
    ),
    "p": (
        "select 7::int2, 2147483647::int4, 9999999999::int8, count(*)",
        "select true as y, false as n, 5::oid, 'c'::char(3), 'v'::varchar, 'n'::name",
        "select timestamp '2024-05-06 07:08:09' as ts, timestamptz '2024-05-06 07:08:09.5+00' as tz, time '01:02:03'",
        "select '1.2.3.4'::inet, interval '1 day 02:03:04', array[1,null,3], array['a b','c,d','x'], '{}'::json",
        "select '{\\\"a\\\": [1, 2]}'::jsonb as j, '3f2504e0-4f89-41d3-9a0c-0305e82c3301'::uuid, '(1,2)'::point",
        "select '\\\\x414243'::bytea as b, repeat('long', 300) as l",
    ),
    "m": (
        "select 7, 2147483647, 9999999999 as big, count(*), 18446744073709551615 - 9223372036854775808",
        "select timestamp('2024-05-06 07:08:09') as ts, date('2024-05-06') as d, time('01:02:03'), time('-11:02:03')",
        "select a, b, d, e, f, g, i, l, m, n, p, q, r, s, u from ty",
        "select 1.5, 1/3, cast(12.5 as decimal(6,2)), true, x'414243', year('2024-05-06'), repeat('long', 300)",
    ),
}
#: What Kamailio has no value for, or a wrong one, and we have: floating point numbers, 64 bits of SQLite, dates.
ONLY_HERE = {
    ("s", "select 1.5 as d, 9999999999 as b"): "1 rows=1 cols=2 | d:s:312e35 | b:i:39393939393939393939",
    ("p", "select 1.5::float8 as d, 12.50::numeric(6,2) as n"): "1 rows=1 cols=2 | d:s:312e35 | n:s:31322e3530",
    ("p", "select date '2024-05-06' as d"): "1 rows=1 cols=1 | d:s:323032342d30352d3036",
    ("m", "select 1.5e0 as d"): "1 rows=1 cols=1 | d:s:312e35",
    ("m", "select h, c from ty"): "1 rows=1 cols=2 | h:i:31373134393739323839 | c:i:34323934393637323935",
}

OTHER = (
    # How many rows statements touch, results that are dropped, freed, unknown, out of bounds.
    *(
        f'sql_query("{c}", "delete from touched"); $var(o) = "" + $rc;'
        f'sql_query("{c}", "insert into touched values (1), (2), (3)"); $var(o) = $var(o) + $rc;'
        f'sql_query("{c}", "update touched set a = 5 where a > 1"); $var(o) = $var(o) + $rc;'
        f'sql_query("{c}", "select a from touched"); $var(o) = $var(o) + $rc;'
        f'sql_query("{c}", "select a from touched where a = 5", "r"); $var(o) = $var(o) + $rc;'
        "$var(o) = $var(o) + $dbr(r=>[1,0]) + $dbr(r=>[2,0]) + $dbr(r=>[0,1]) + $dbr(r=>colname[1]) + $dbr(q=>rows);"
        'sql_result_free("r"); $var(o) = $var(o) + $rc + $dbr(r=>rows) + $dbr(r=>cols) + $dbr(r=>[0,0]);'
        'sql_result_free("zz"); $var(o) = $var(o) + $rc;'
        for c in "spm"
    ),
    *(
        f'sql_query("{c}", "update touched set a = 6 where a = 5"); $var(o) = "" + $sqlrows({c});'
        f'sql_query("{c}", "update touched set a = 6 where a = 99"); $var(o) = $var(o) + $sqlrows({c});'
        f'sql_query("{c}", "update touched set a = 6 where a = 6"); $var(o) = $var(o) + $sqlrows({c});'
        f'sql_query("{c}", "select a from touched", "r"); $var(o) = $var(o) + $sqlrows({c});'
        for c in "pm"
    ),
    # Rows as XAVPs.
    *(
        f"sql_xquery(\"{c}\", \"select 1 as a, 'two' as b, null as c union all select 3, 'four', 'x'\", \"ra\");"
        '$var(o) = "" + $rc + " " + $xavp(ra=>a) + $xavp(ra[0]=>b) + $xavp(ra[0]=>c) + $xavp(ra[1]=>a)'
        " + $xavp(ra[1]=>c) + $xavp(ra[2]=>a);"
        f'sql_xquery("{c}", "select 1 as a from touched where a = 99", "ra"); $var(o) = $var(o) + $rc + $xavp(ra=>a);'
        f'sql_xquery("{c}", "select 8 as a, 9 as a", "ra"); $var(o) = $var(o) + $rc + $xavp(ra=>a) + $xavp(ra[1]=>a);'
        f'sql_xquery("{c}", "selec", "ra"); $var(o) = $var(o) + $rc;'
        for c in "spm"
    ),
    # Columns to variables.
    *(
        f"sql_pvquery(\"{c}\", \"select 'c1', 2, null, 'sip:t@e.com' union all select 'd1', 3, 'n', 'sip:z@e.com'\","
        ' "$var(a);$avp(b),$avp(c);$ru"); $var(o) = "" + $rc + " " + $var(a) + $avp(b) + $(avp(b)[1]) + $avp(c)'
        " + $(avp(c)[1]) + $ru;"
        f'$var(a) = "before"; sql_pvquery("{c}", "select \'c1\', 2", "$var(a)"); $var(o) = $var(o) + $rc + $var(a);'
        f'sql_pvquery("{c}", "select \'c2\'", "$var(a);$var(b)"); $var(o) = $var(o) + $rc + $var(a);'
        f'sql_pvquery("{c}", "select null", "$var(a)"); $var(o) = $var(o) + $rc + $var(a);'
        f'sql_pvquery("{c}", "select \'c3\' from touched where a = 99", "$var(a)"); $var(o) = $var(o) + $rc + $var(a);'
        f'sql_pvquery("{c}", "selec", "$var(a)"); $var(o) = $var(o) + $rc;'
        for c in "spm"
    ),
    # Transformations. That of a text is compared with MySQL alone: see below.
    '$var(z) = 7; $avp(n) = $null; $var(e) = ""; $var(q) = "42";'
    "$var(o) = $(var(z){sql.val}) + $(avp(n){sql.val}) + $(var(e){sql.val}) + $(var(q){sql.val})"
    "+ $(var(z){sql.val.int}) + $(avp(n){sql.val.int}) + $(var(e){sql.val.int}) + $(var(q){sql.val.int})"
    "+ $(var(z){sql.val.str}) + $(avp(n){sql.val.str}) + $(var(q){sql.val.str});",
    'sql_query_async("m", "select 1"); $var(o) = "" + $rc;',
    # There is none to end.
    *(f'sql_query("{c}", "rollback"); $var(o) = "" + $rc;' for c in "spm"),
    # A transaction by its statements, as one process of Kamailio's does it on its one connection.
    *(
        f'sql_query("{c}", "begin"); $var(o) = "" + $rc; sql_query("{c}", "insert into touched values (77)");'
        f'sql_query("{c}", "rollback"); $var(o) = $var(o) + $rc;'
        f'sql_query("{c}", "select a from touched where a = 77", "r"); $var(o) = $var(o) + $rc;'
        f'sql_query("{c}", "begin"); sql_query("{c}", "insert into touched values (78)");'
        f'sql_query("{c}", "commit"); $var(o) = $var(o) + $rc;'
        f'sql_query("{c}", "select a from touched where a = 78", "r"); $var(o) = $var(o) + $rc;'
        f'sql_query("{c}", "delete from touched where a = 78");'
        for c in "spm"
    ),
)
TABLES = {
    "s": "create table ty (a timestamp, b datetime, c varchar(5), e int, f text, g blob, j boolean, k bigint, "
    "m tinyint)",
    "m": "create table ty (a tinyint, b smallint, c int unsigned, d bigint, e text, f blob, g datetime, h timestamp, "
    "i date, l decimal(10,3), m enum('x','y'), n set('x','y'), p year, q json, r char(5), s varbinary(5), u mediumint)",
}
ROWS = {
    "s": "insert into ty values (2460436.79732639, 2460436.5, 'abc', 7, 'tt', x'4142', 1, 5000000000, 3)",
    "m": "insert into ty values (1, 2, 4294967295, 5, 'te', 'bl', '2024-05-06 07:08:09', '2024-05-06 07:08:09', "
    "'2024-05-06', 3.125, 'x', 'x,y', 2024, '{}', 'ab', 'cd', 4)",
}


def ask(server: Server, case: int, headers: str = "") -> str:
    """What the body of a case collected."""
    server.caller.send(request("OPTIONS", "sip:x@example.com", f"X-Case: {case}\r\n{headers}", callid=f"c{case}"))
    answer = server.caller.expect("SIP/2.0 200")
    found = re.search(r"X-Out: (.*?)\r\n", answer)
    assert found is not None, answer
    return found[1]


@needs_kamailio
def test_the_same_results_as_kamailio(tmp_path: Path, postgres: Engine, mariadb: Engine) -> None:
    sqlite = tmp_path / "a.db"
    bodies = [query(c, statement) for c in "spm" for statement in (*COMMON, *OWN[c])]
    only_here = [query(*key) for key in ONLY_HERE]
    setup = [
        f'sql_query("{c}", "{statement}");'
        for c in "spm"
        for statement in ("create table touched (a int)", TABLES.get(c, ""), ROWS.get(c, ""))
        if statement
    ]
    bodies = ["".join(setup), *bodies, *OTHER, *only_here]
    routes = SHOW + "".join(f"route[C{i}] {{\n{body}\n}}\n" for i, body in enumerate(bodies))
    text = CFG.format(sqlite=sqlite, postgres=postgres.url, mysql=mariadb.url, routes=routes)
    modules = ("textops", "textopsx", "db_sqlite", "db_postgres", "db_mysql", "sqlops")

    def scenario(server: Server) -> list[str]:
        return [ask(server, case) for case in range(1, len(bodies))]

    with servers(tmp_path, text, modules) as (theirs, ours):
        ask(theirs, 0)
        want, have = scenario(theirs), scenario(ours)
    count = len(bodies) - 1 - len(only_here)
    different = [
        f"{body}\n  kamailio: {a}\n  kahea:    {b}"
        for body, a, b in zip(bodies[1 : count + 1], want, have, strict=False)
        if a != b
    ]
    assert not different, "\n".join(different)
    assert have[count:] == list(ONLY_HERE.values())
    assert all(a != b for a, b in zip(want[count:], have[count:], strict=True))


KEMI = """
import KSR


def mod_init():
    return Script()


class Script:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        if KSR.pv.get("$rU") == "ping":
            KSR.sl.sl_send_reply(200, "OK")
            return 1
        q = KSR.sqlops
        out = [q.sql_num_rows("x"), q.sql_num_columns("x"), q.sql_result_get("x", 0, 0)]
        text = "select 1 as a, 'x', null, '', 9999999999 union all select 2, 'y', 5, 'z', 1"
        out += [q.sql_query("m", text, "x"), q.sql_num_rows("x"), q.sql_num_columns("x")]
        for row in range(3):
            for column in range(5):
                for call in (q.sql_is_null, q.sql_result_get, q.sql_result_gete, q.sql_result_getz):
                    out.append(call("x", row, column))
        out += [q.sql_is_null("zz", 0, 0), q.sql_result_gete("zz", 0, 0), q.sql_result_getz("zz", 0, 0)]
        out += [q.sql_query("none", "select 1", "x"), q.sql_query("m", "select 1", ""), q.sql_query("m", "", "x")]
        out += [q.sql_query("m", "select 1 where 1=0", "x"), q.sql_num_rows("x"), q.sql_num_columns("x")]
        out += [q.sql_xquery("m", "select 1 as a", "xx"), KSR.pv.get("$xavp(xx=>a)")]
        out += [q.sql_xquery("none", "select 1 as a", "xx"), q.sql_pvquery("m", "select 1, 'b'", "$var(a);$var(b)")]
        out += [KSR.pv.get("$var(a)"), KSR.pv.get("$var(b)"), q.sql_pvquery("m", "select 1", "$nonsense")]
        out += [q.sql_pvquery("m", "select 1", ""), q.sql_pvquery("none", "select 1", "$rU")]
        out += [q.sql_query_async("none", "select 1"), q.sql_query_async("m", "select 1")]
        out += [q.sql_result_free("x"), q.sql_result_free("never")]
        for name in ("hdr(X-Q){sql.val}", "hdr(X-Q){sql.val.int}", "hdr(X-Q){sql.val.str}", "hdr(X-N){sql.val.str}"):
            out.append(KSR.pv.get("$(" + name + ")"))
        for length in (1000, 2100):
            KSR.pv.sets("$var(l)", "l" * length)
            out.append(len(KSR.pv.get("$(var(l){sql.val})") or ""))
        # Names of results are bounded.
        out.append([q.sql_query("m", "select 1", "r%d" % i) for i in range(40)][-1])
        KSR.hdr.append_to_reply("X-Out: " + repr(out) + "\\r\\n")
        KSR.sl.sl_send_reply(200, "OK")
        return 1
"""


@needs_kamailio
def test_the_same_by_kemi(tmp_path: Path, mariadb: Engine) -> None:
    script = tmp_path / "script.py"
    script.write_text(KEMI)
    cfg = f"""
loadmodule "app_python3.so"
modparam("sqlops", "sqlcon", "m=>{mariadb.url}")
modparam("app_python3", "load", "{script}")
cfgengine "python"
"""
    with servers(tmp_path, cfg, ("textops", "db_mysql", "sqlops")) as (theirs, ours):
        header = "X-Q: O'Brien \"x\\ y; drop\r\n"
        want, have = (ask(server, 1, header) for server in (theirs, ours))
    assert have == want
    assert "'9999999999'" in want
