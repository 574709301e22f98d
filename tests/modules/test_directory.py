"""alias_db, speeddial and domain beside Kamailio's, on the same database: who is meant, and whose domain it is."""

from __future__ import annotations

import json
import random
import re
import sqlite3
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from directory_cases import FLAGS, RENAMED, Ask, asks, make_database
from processes import Server, compared, request, servers
from twin import needs_kamailio

MODULES = ("textops", "siputils", "corex", "db_sqlite", "alias_db", "speeddial", "domain")
PREFIXED = {
    "alias_db": {"use_domain": 1, "append_branches": 1, "domain_prefix": "sip."},
    "speeddial": {"use_domain": 1, "domain_prefix": "sip."},
    "domain": {"register_myself": 1},
}

SHOW = """
    $var(my) = 0;
    if (uri==myself) $var(my) = 1;
    if (from_uri==myself) $var(my) = $var(my) + 2;
    if (is_myself("$hdr(X-Given)")) $var(my) = $var(my) + 4;
    append_to_reply("X-Out: $var(rc) [$ru] [$du] my=$var(my) bf=$bf branches=$branch(count) $(branch(uri)[0])
 $(branch(dst_uri)[0]) $(branch(flags)[0]) $(branch(q)[0]) $(branch(uri)[1]) $(branch(uri)[-1]) avp=$(avp(o)[*])
 vn=$vn(o) did=$(avp(did)[*]) a=$(avp(a)[*]) b=$(avp(b)[*]) n=$(avp(n)[*]) 1=$(avp(s:1)[*])
 p=$(avp(p_did)[*]) $(avp(p_a)[*]) $(avp(p_n)[*]) i=$(avp(i:1)[*]) si=$(avp(p_i:1)[*]) ss=$(avp(p_s:a)[*])\\r\\n");
    sl_send_reply("200", "OK");
"""


def cfg(url: str, parameters: Mapping[str, Mapping[str, object]]) -> str:
    """A cfg that does what a request's X-Kind says, and answers with all that came of it."""
    given = [
        f'modparam("{module}", "{name}", {json.dumps(value)})'
        for module, values in parameters.items()
        for name, value in values.items()
    ]
    flagged = [
        f'if (X == "{f}") alias_db_lookup("$hdr(X-Table)", "{f}");' if kind == "lookup" else
        f'if (X == "{f}") alias_db_find("$hdr(X-Table)", "$hdr(X-Given)", "$vn(o)", "{f}");'
        for kind in ("lookup", "find") for f in FLAGS
    ]  # fmt: skip
    half = len(FLAGS)
    lookups, finds = (
        "\n        else ".join(lines).replace("X ==", "$hdr(X-Flags) ==") for lines in (flagged[:half], flagged[half:])
    )
    return f"""
loadmodule "jsonrpcs.so"
modparam("alias_db|speeddial|domain", "db_url", "{url}")
{chr(10).join(given)}
request_route {{
    if ($rU == "ping") {{ sl_send_reply("200", "OK"); exit; }}
    $vn(o) = $null;
    if ($hdr(X-P) == "branch") {{ $du = "sip:next@x9"; setbflag(3); append_branch("sip:earlier@x8"); }}
    switch ($hdr(X-Kind)) {{
    case "lookup": alias_db_lookup("$hdr(X-Table)"); $var(rc) = $rc; break;
    case "lookup_flags":
        {lookups}
        $var(rc) = $rc; break;
    case "find": alias_db_find("$hdr(X-Table)", "$hdr(X-Given)", "$avp(o)"); $var(rc) = $rc; break;
    case "find_flags":
        {finds}
        $var(rc) = $rc; break;
    case "dial": sd_lookup("$hdr(X-Table)"); $var(rc) = $rc; break;
    case "dial_for": sd_lookup("$hdr(X-Table)", "$hdr(X-Given)"); $var(rc) = $rc; break;
    case "from": is_from_local(); $var(rc) = $rc; break;
    case "host": is_uri_host_local(); $var(rc) = $rc; break;
    case "local": is_domain_local("$hdr(X-Given)"); $var(rc) = $rc; break;
    case "domain": lookup_domain("$hdr(X-Given)"); $var(rc) = $rc; break;
    case "prefixed": lookup_domain("$hdr(X-Given)", "$hdr(X-P)"); $var(rc) = $rc; break;
    }}
{SHOW.replace(chr(10) + " ", " ")}
}}
"""


def answer(server: Server, ask: Ask, number: int) -> str:
    """What a server made of a request."""
    server.caller.send(
        f"OPTIONS {ask.uri} SIP/2.0\r\nVia: SIP/2.0/UDP @CALLER;branch=z9hG4bKcaller{number}\r\n"
        f"From: <{ask.caller}>;tag=1\r\nTo: <sip:x@x>\r\nCall-ID: {number}\r\nCSeq: 1 OPTIONS\r\n"
        f"{ask.headers}Content-Length: 0\r\n\r\n"
    )
    try:
        while f"\r\nCall-ID: {number}\r\n" not in (got := server.caller.expect("SIP/2.0 ")):
            pass  # the end of a call, told again
    except TimeoutError:
        pytest.fail(f"{server.name} says nothing to {ask}:\n{server.log[-2000:]}")
    found = re.search(r"X-Out: (.*)\r\n", got)
    return found[1] if found else got.partition("\r\n")[0]


def differences(theirs: Server, ours: Server, cases: list[Ask]) -> list[str]:
    """The cases in which two servers differ, and what each says."""
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(lambda server: [answer(server, ask, i) for i, ask in enumerate(cases)], (theirs, ours))
        want, have = answers
    return [f"{ask}\n  {a}\n  {b}" for ask, a, b in zip(cases, want, have, strict=True) if a != b]


@needs_kamailio
@pytest.mark.parametrize(
    ("parameters", "tables"),
    [({}, ("dbaliases", "speed_dial")), (PREFIXED, ("dbaliases", "speed_dial")), (RENAMED, ("also", "short"))],
    ids=["default", "prefixed", "renamed"],
)
def test_as_kamailio_has_it(
    tmp_path: Path, parameters: Mapping[str, Mapping[str, object]], tables: tuple[str, str]
) -> None:
    chance = random.Random(repr(parameters))
    make_database(tmp_path / "db", chance)
    with servers(tmp_path, cfg(f"sqlite:///{tmp_path}/db", parameters), MODULES) as (theirs, ours):
        found = differences(theirs, ours, asks(chance, 900, *tables))
        assert not found, "\n".join([f"{len(found)} differ", *found[:25]])


KEMI = """
import KSR


def mod_init():
    return Script()


class Script:
    def child_init(self, rank):
        return 0

    def ksr_onsend_route(self, msg):
        return 1

    ksr_reply_route = ksr_onsend_route

    def show(self, *values):
        KSR.hdr.append_to_reply("X-Out: " + repr(values) + "\\r\\n")

    def ksr_request_route(self, msg):
        if KSR.pv.get("$rU") == "ping":
            KSR.sl.sl_send_reply(200, "OK")
            return 1
        if KSR.is_method("INVITE"):
            return self.call()
        a, s, d = KSR.alias_db, KSR.speeddial, KSR.domain
        given = KSR.pv.getw("$hdr(X-Given)")
        out = [d.is_from_local(), d.is_uri_host_local(), d.is_domain_local(given), KSR.is_myself(given)]
        out += [d.lookup_domain_prefix(given, "p_"), KSR.pv.get("$(avp(p_a)[*])"), KSR.pv.get("$avp(p_did)")]
        out += [d.lookup_domain(given), KSR.pv.get("$(avp(a)[*])"), KSR.pv.get("$avp(n)"), KSR.pv.get("$avp(did)")]
        uri = KSR.pv.get("$ru") or "sip:a@d1"
        for call, *arguments in (
            (a.lookup, "dbaliases"), (a.lookup, ""), (a.lookup_ex, "dbaliases", "d"), (a.lookup_ex, "dbaliases", "ru"),
            (a.lookup_ex, "dbaliases", ""), (s.lookup, "speed_dial"), (s.lookup, ""),
            (s.lookup_owner, "speed_dial", "sip:u1@x1"), (s.lookup_owner, "speed_dial", ""),
            (s.lookup_owner, "speed_dial", "bogus"), (s.lookup_owner, "", "sip:u1@x1"),
        ):
            KSR.seturi(uri)
            out += [call(*arguments), KSR.pv.get("$ru")]
        self.show(*out)
        KSR.sl.sl_send_reply(200, "OK")
        return 1

    def call(self):
        KSR.tm.t_on_branch("branch")
        KSR.tm.t_on_failure("failure")
        KSR.alias_db.lookup("dbaliases")
        KSR.tm.t_relay()
        return 1

    def branch(self, msg):
        d = KSR.domain
        KSR.hdr.append("X-Local: %d %d\\r\\n" % (d.is_uri_host_local(), d.is_domain_local(KSR.pv.get("$rd"))))
        return 1

    def failure(self, msg):
        if not KSR.tm.t_check_status("486"):
            return 1
        found = [KSR.domain.is_uri_host_local()]
        KSR.setdsturi(KSR.pv.get("$hdr(X-Sink)"))
        KSR.corex.append_branch_uri("sip:again@d1")
        found.append(KSR.domain.is_uri_host_local())
        KSR.hdr.append("X-Failed: %r\\r\\n" % found)
        KSR.tm.t_on_branch("branch")
        KSR.tm.t_relay()
        return 1
"""


def _database(server: Server) -> Path:
    return server.folder.with_suffix(".db")


def managed(server: Server) -> list[str]:
    """What management shows, and what changes when the tables are read again."""
    seen = [server.rpc("domain.dump"), server.rpc("domain.reload")]
    asked = (Ask("", "sip:a@d1", given="d1"), Ask("", "sip:a@new", given="new"))

    def ask() -> None:
        seen.extend(answer(server, each, len(seen) * 10 + i) for i, each in enumerate(asked))

    def change(statement: str) -> None:
        with sqlite3.connect(_database(server)) as db:
            db.execute(statement)

    ask()
    change("update domain set domain = 'new' where domain = 'd1'")
    ask()
    seen.append(server.rpc("domain.reload"))
    ask()
    for statement in (
        "insert into domain (domain) values ('')",
        "delete from domain where domain = ''",
        "insert into domain_attrs (did, name, type, value) values ('x', 'n', 0, 'nine')",
        "delete from domain_attrs where did = 'x'",
        "drop table domain_attrs",
    ):
        change(statement)
        seen.append(server.rpc("domain.reload"))
    ask()
    seen.append(server.rpc("domain.dump"))
    return seen


def called(server: Server) -> list[str]:
    """The messages of a call to an alias of two users, which a failure route sends on to another.

    To that one alone, since KEMI's `setdsturi` does not have the first tried again."""
    seen = []
    with sqlite3.connect(_database(server)) as db:
        rows = [(user, server.fill("@SINK")) for user in ("one", "other")]
        insert = "insert into dbaliases (alias_username, alias_domain, username, domain) values ('two', 'd1', ?, ?)"
        db.executemany(insert, rows)
    server.caller.send(request("INVITE", "sip:two@d1", "X-Sink: sip:@SINK\r\n"))
    for status, count in (("486 Busy", 2), ("404 Gone", 1)):
        for invite in sorted(server.sink.expect("INVITE") for _ in range(count)):
            server.sink.reply(invite, status)
            server.sink.expect("ACK")
            seen += [invite.partition(" SIP/2.0")[0], *re.findall(r"X-(?:Local|Failed): .*", invite)]
    return [*seen, server.caller.expect("SIP/2.0 4")[:12]]


@needs_kamailio
def test_by_kemi_and_management(tmp_path: Path) -> None:
    for name in ("kamailio", "kahea"):
        make_database(tmp_path / f"{name}.db", random.Random(7))
        with sqlite3.connect(tmp_path / f"{name}.db") as db:
            db.execute("insert into domain (domain) values ('127.0.0.1')")
    cfg = f"""
loadmodule "app_python3.so"
modparam("alias_db|speeddial|domain", "db_url", "sqlite:///{{folder}}.db")
modparam("alias_db", "append_branches", 1)
modparam("domain", "register_myself", 1)
modparam("app_python3", "load", "{tmp_path}/script.py")
cfgengine "python"
"""
    (tmp_path / "script.py").write_text(KEMI)
    asked = [ask for ask in asks(random.Random(8), 400) if ask.kind not in ("lookup_flags",)][60:]

    def scenario(server: Server) -> list[str]:
        return [*(answer(server, ask, i) for i, ask in enumerate(asked)), *called(server), *managed(server)]

    theirs, ours = compared(tmp_path, cfg, MODULES, scenario)
    assert ours == theirs
