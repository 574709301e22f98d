"""uac: accounts registered with other servers as by Kamailio, from its table and by its commands."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import count, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uac_accounts
from digests import judged
from processes import KAMAILIO, Server, compared, request
from uac_accounts import Row

from kahea.sip.digest import Credentials, ha1

pytestmark = pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")

SCHEMA = Path("/usr/share/kamailio/db_sqlite")
HA1 = "0123456789abcdef0123456789abcdef"
CFG = """
loadmodule "textops.so"
loadmodule "rr.so"
loadmodule "corex.so"
loadmodule "tmx.so"
loadmodule "db_sqlite.so"
loadmodule "uac.so"
modparam("uac", "restore_mode", "none")
modparam("uac", "reg_db_url", "sqlite:///{folder}/db")
modparam("uac", "reg_timer_interval", 1)
modparam("uac", "reg_contact_addr", "contact.example:5099")
modparam("uac", "reg_active", 0)
modparam("uac", "auth_realm_avp", "$avp(realm)")
modparam("uac", "auth_username_avp", "$avp(user)")
modparam("uac", "auth_password_avp", "$avp(pass)")
PARAMS
request_route {
    if ($rU == "ping") { sl_send_reply("200", "OK"); exit; }
    $var(dst) = "unset";
    switch ($rU) {
        case "lookup": uac_reg_lookup("$hdr(X-A)", "$ru"); break;
        case "lookup_var": uac_reg_lookup("$hdr(X-A)", "$var(dst)"); break;
        case "lookup_uri": uac_reg_lookup_uri("$hdr(X-A)", "$var(dst)"); break;
        case "status": uac_reg_status("$hdr(X-A)"); break;
        case "to0": uac_reg_request_to("$hdr(X-A)", "0"); break;
        case "to1": uac_reg_request_to("$hdr(X-A)", "1"); break;
        case "to2": uac_reg_request_to("$hdr(X-A)", "2"); break;
        case "to3": $var(m) = 3; uac_reg_request_to("$hdr(X-A)", "$var(m)"); break;
        case "enable": uac_reg_enable("$hdr(X-A)", "$hdr(X-B)"); break;
        case "disable": uac_reg_disable("$hdr(X-A)", "$hdr(X-B)"); break;
        case "refresh": uac_reg_refresh("$hdr(X-A)"); break;
    }
    $var(rc) = $rc;
    send_data("sip:@CALLER", "rc $var(rc) ru=$ru du=$du dst=$var(dst) $avp(realm) $avp(user) $avp(pass)");
}
"""


def row(uuid: str, **other: Any) -> Row:
    """An account at a server's sink, with these columns other than usual."""
    return uac_accounts.row(uuid, **{"realm": "r", "auth_proxy": "sip:@SINK", "expires": 100} | other)


class Table:
    """The table of accounts of each server."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def __call__(self, server: Server) -> None:
        """Make it."""
        with sqlite3.connect(server.folder / "db") as db:
            for name in ("standard", "uac"):
                db.executescript((SCHEMA / f"{name}-create.sql").read_text())
        for each in self._rows:
            add(server, each)


def add(server: Server, each: Row) -> None:
    """Write a row."""
    statement, values = uac_accounts.insert(each)
    execute(server, statement, *(server.fill(value) if isinstance(value, str) else value for value in values))


def execute(server: Server, statement: str, *values: object) -> None:
    """Change the table."""
    db = sqlite3.connect(server.folder / "db")
    with db:
        db.execute(statement, values)
    db.close()


class Reply(NamedTuple):
    """What a registrar says; `@C` in it is the account's Contact."""

    status: str
    headers: str = ""


def ok(seconds: int) -> Reply:
    return Reply("200 OK", f"Contact: @C;expires={seconds}\r\n")


def challenge(status: int = 401, what: str = 'realm="r", nonce="n", qop="auth"') -> Reply:
    return Reply(f"{status} Who", f"{'WWW' if status == 401 else 'Proxy'}-Authenticate: Digest {what}\r\n")


FOR_LONG = ok(500)
SOON = ok(5)
LISTED = "Contact: <sip:other@y>;expires=4, @C"

#: What the registrar says to each account, one after the other.
PLANS: dict[str, list[Reply]] = {
    "plain": [FOR_LONG],
    "again": [SOON, FOR_LONG],
    "timed": [ok(7), FOR_LONG],
    "auth": [challenge(), SOON, challenge(), FOR_LONG],
    "noqop": [challenge(401, 'realm="r", nonce="n", opaque="o", algorithm=MD5, stale=true'), FOR_LONG],
    "hashed": [challenge(), FOR_LONG],
    "proxy": [challenge(407), FOR_LONG],
    "both": [challenge(), challenge(407)],
    "wrong": [challenge(), challenge()],
    "stale": [challenge(), challenge(401, 'realm="r", nonce="m", stale=true, qop="auth"')],
    "two": [Reply("401 Who", challenge().headers + challenge(401, 'realm="x", nonce="m"').headers), FOR_LONG],
    "realm": [challenge(401, 'realm="x", nonce="n"')],
    "anyrealm": [challenge(401, 'realm="x", nonce="n"'), FOR_LONG],
    "nochallenge": [Reply("401 Who")],
    "basic": [Reply("401 Who", 'WWW-Authenticate: Basic realm="r"\r\n')],
    "forbidden": [Reply("403 No")],
    "failing": [Reply("500 No", "Retry-After: 1\r\n")],
    "moved": [Reply("302 Moved", "Contact: <sip:x@@SINK2>\r\n")],
    "brief": [Reply("423 Brief", "Min-Expires: 300\r\n"), FOR_LONG],
    "briefer": [Reply("423 Brief"), Reply("423 Brief"), FOR_LONG],
    "header": [Reply("200 OK", "Contact: @C\r\nExpires: 500\r\n")],
    "twice": [Reply("200 OK", "Contact: @C;expires=500\r\nExpires: 5\r\n")],
    "listed": [Reply("200 OK", LISTED + ";expires=500\r\n")],
    "elsewhere": [Reply("200 OK", 'Contact: "x" <sip:elsewhere@natted.example:1;transport=tcp>;expires=500\r\n')],
    "foreign": [Reply("200 OK", "Contact: <sip:x@contact.example:5099>;expires=500\r\n"), FOR_LONG],
    "zero": [ok(0), FOR_LONG],
    "uncontacted": [Reply("200 OK", "Expires: 500\r\n")],
    "late": [FOR_LONG],
    "own": [FOR_LONG],
    "sock": [FOR_LONG],
    "nosock": [FOR_LONG],
    "loose": [FOR_LONG],
    "c": [FOR_LONG],
    "d": [FOR_LONG],
}
OTHER: dict[str, Row] = {
    "hashed": {"auth_ha1": HA1.upper(), "auth_password": ""},
    "anyrealm": {"realm": ""},
    "late": {"reg_delay": 2},
    "own": {"contact_addr": "1.2.3.4:55;x=y", "expires": 30},
    "sock": {"socket": "udp:@UDP"},
    "nosock": {"socket": "udp:192.0.2.9:5060"},
    "loose": {"auth_proxy": "sip:@SINK;lr"},
    "c": {"l_username": "shared", "r_username": "rshared"},
    "d": {"l_username": "shared", "r_username": "rshared", "l_domain": "other.org", "r_domain": "other.org"},
}
#: Accounts that nothing is sent for.
SILENT = [
    row("disabled", flags=1),
    row("never", expires=0),
    *(row(f"no{name}", **{name: ""}) for name in ("l_username", "l_domain", "r_username", "r_domain")),
    row("noauth", auth_username=""),
    row("nopass", auth_password=""),
    row("noproxy", auth_proxy=""),
    row("shortha1", auth_ha1="abc"),
]


class Registrar:
    """The registrar at a server's sink: answers by plan, and keeps what it was sent, by account."""

    def __init__(self, server: Server, plans: dict[str, list[Reply]]) -> None:
        self.server = server
        self.plans = {name: list(plan) for name, plan in plans.items()}
        self.got: dict[str, list[str]] = defaultdict(list)
        self.times: dict[str, list[float]] = defaultdict(list)
        self._branches: set[str] = set()
        self._callids: dict[str, list[str]] = defaultdict(list)

    def serve(self, until: dict[str, int] | None = None, patience: float = 10.0) -> None:
        """Answer until each plan is done, or each account sent so many REGISTERs."""
        end = time.monotonic() + patience
        while any(self.plans.values()) if until is None else any(len(self.got[n]) < k for n, k in until.items()):
            if time.monotonic() > end:
                raise TimeoutError(f"left: {self.plans if until is None else until}, got {dict(self.got)}")
            self._take(self.server.sink.receive(end - time.monotonic() + 0.1))

    def quiet(self, seconds: float) -> None:
        """Take what comes within a time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                self._take(self.server.sink.receive(left))
            except TimeoutError:
                return

    def _take(self, message: str) -> None:
        branch = re.search(r"branch=([^\r;]+)", message)
        contact = re.search(r"Contact: (<sip:([^@]+)@.*>)\r\n", message)
        assert branch is not None, message
        assert contact is not None, message
        if branch[1] in self._branches:
            return
        self._branches.add(branch[1])
        name = contact[2]
        plan = self.plans.get(name, [])
        expires = re.search(r"\r\nExpires: (\d+)", message)
        assert expires is not None
        reply = plan.pop(0) if plan else Reply("200 OK", f"Contact: @C;expires={expires[1]}\r\n")
        self.server.sink.reply(message, reply.status, reply.headers.replace("@C", contact[1]))
        self.got[name].append(self._shown(message, name))
        self.times[name].append(time.monotonic())

    def _shown(self, message: str, name: str) -> str:
        """A REGISTER without what is made up; Call-IDs are numbered."""

        def secret(credentials: Credentials) -> bytes:
            if name == "hashed":
                return HA1.encode()
            return ha1(b"MD5", credentials.username, credentials.realm, b"pw")

        callid = re.search(r"Call-ID: (.*)\r", message)
        assert callid is not None
        known = self._callids[name]
        if callid[1] not in known:
            known.append(callid[1])
        message = judged(self.server, message, secret).replace(callid[1], f"callid{known.index(callid[1])}")
        return re.sub(r"(?<=branch=)<B\d+>|(?<=;tag=)[0-9a-f-]+", "X", message)


#: Numbers the questions, which must not look like repetitions of each other.
ASKED = count()


def ask(server: Server, what: str, a: str = "", b: str = "") -> str:
    """What a function of the script gave."""
    headers = f"X-A: {a}\r\nX-B: {b}\r\n"
    server.caller.send(request("OPTIONS", f"sip:{what}@example.com", headers, callid=f"ask{next(ASKED)}"))
    return server.caller.expect("rc")


def timeless(text: str) -> str:
    """An answer without times of the clock."""
    text = re.sub(r"(timer_expires|reg_init): \d{6,}", r"\1: TIME", text)
    return re.sub(r"(?<=diff_expires: )(-?\d+)", lambda found: "long" if int(found[1]) > 90 else "short", text)


def info(server: Server, name: str, attribute: str = "l_uuid") -> str:
    return timeless(server.rpc("uac.reg_info", attribute, name))


def lookups(server: Server) -> list[str]:
    """What each function finds."""
    found = []
    for name in ("plain", "lplain", "rplain", "aplain", "shared", "hashed", "lhashed", "disabled", "zz"):
        for function in ("lookup", "lookup_var", "to0", "to1", "to2", "to3", "status"):
            found.append(f"{function} {name}: {ask(server, function, name)}")
        found += [f"uri {name}: {ask(server, 'lookup_uri', f'sip:{name}@{at}.org')}" for at in ("local", "other", "x")]
        found += [f"{a} {name}: {info(server, name, a)}" for a in ("l_username", "r_username", "auth_username", "foo")]
    return found


ADDED = "added lu ld ru rd r au pw . sip:@SINK 500 0 0 udp:@UDP ."


def commands(server: Server, registrar: Registrar) -> list[str]:
    """Management and the script's functions, one after the other, and what they make of registrations."""
    out: list[str] = []

    def rpc(line: str) -> None:
        out.append(f"{line}: {timeless(server.rpc(*server.fill(line).split()))}")

    def sent(*names: str, times: int = 1) -> None:
        registrar.serve({name: len(registrar.got[name]) + times for name in names})
        registrar.quiet(0.05)
        for name in names:
            out.extend([*registrar.got[name][-times:], info(server, name), ask(server, "status", name)])

    for bad in ("", " l_uuid", " foo x", " l_uuid zz"):
        for command in ("info", "enable", "disable", "unregister"):
            rpc(f"uac.reg_{command}{bad}")
    registrar.plans["again"] = [challenge(), Reply("200 OK")]
    rpc("uac.reg_unregister l_uuid again")
    sent("again", times=2)
    # Kamailio asks for no more seconds from now on, so that enabling it again does nothing.
    out[-2] = re.sub("\texpires: (0|100)\n", "", out[-2])
    rpc("uac.reg_disable l_uuid plain")
    rpc("uac.reg_info l_uuid plain")
    rpc("uac.reg_enable l_uuid plain")
    rpc("uac.reg_enable l_username ldisabled")
    for a, b in (("l_uuid", "zz"), ("foo", "zz"), ("r_username", "rshared")):
        out += [ask(server, "disable", a, b), ask(server, "enable", a, b)]
    sent("plain", "disabled", "d")

    execute(server, "update uacreg set expires = 777 where l_uuid = 'plain'")
    add(server, row("fresh"))
    rpc("uac.reg_refresh")
    rpc("uac.reg_refresh zz")
    rpc("uac.reg_refresh plain")
    out += [ask(server, "refresh", "fresh"), ask(server, "refresh", "zz")]
    rpc("uac.reg_add")
    rpc("uac.reg_add a b c")
    rpc(ADDED)
    rpc("uac.reg_add " + ADDED.replace(" 500 ", " x "))
    rpc("uac.reg_add " + ADDED)
    rpc("uac.reg_add " + ADDED)
    rpc("uac.reg_add " + ADDED.replace("added", "other").replace("udp:@UDP .", "udp:@UDP here:1"))
    sent("plain", "fresh", "added", "other")
    execute(server, "delete from uacreg where l_uuid = 'fresh'")
    rpc("uac.reg_refresh fresh")
    rpc("uac.reg_info l_uuid fresh")
    rpc("uac.reg_remove")
    rpc("uac.reg_remove zz")
    rpc("uac.reg_remove added")
    rpc("uac.reg_info l_uuid added")

    rpc("uac.reg_active")
    rpc("uac.reg_active 0")
    rpc("uac.reg_reload")
    rpc("uac.reg_reload")
    rpc("uac.reg_info l_uuid plain")
    rpc("uac.reg_info l_uuid other")
    rpc("uac.reg_unregister l_uuid c")
    registrar.serve({"c": len(registrar.got["c"]) + 1})
    out.append(registrar.got["c"][-1])
    rpc("uac.reg_active 1")
    sent("plain")
    rpc("stats.get_statistics regtotal")
    return out


def test_accounts_are_registered_as_by_kamailio(tmp_path: Path) -> None:
    """Every answer of a registrar, each with an account of its own; then look-ups and commands."""
    rows = [*(row(name, **OTHER.get(name, {})) for name in PLANS), *SILENT]

    def scenario(server: Server) -> dict[str, Any]:
        registrar = Registrar(server, PLANS)
        out: dict[str, Any] = {
            "before": timeless(server.rpc("uac.reg_dump")),
            "active": server.rpc("uac.reg_active", "1"),
        }
        registrar.serve()
        registrar.quiet(1.2)
        out["seconds"] = [round(later - first) for first, later in pairwise(registrar.times["timed"])]
        out["sent"] = {name: list(got) for name, got in registrar.got.items()}
        out["after"] = timeless(server.rpc("uac.reg_dump"))
        out["status"] = {name: ask(server, "status", name) for name in [*PLANS, *(each["l_uuid"] for each in SILENT)]}
        out["lookups"] = lookups(server)
        out["commands"] = commands(server, registrar)
        return out

    theirs, ours = compared(tmp_path, CFG.replace("PARAMS", ""), [], scenario, Table(rows))
    assert ours["seconds"] == [3]
    assert_same(theirs, ours, PLANS)


def assert_same(theirs: dict[str, Any], ours: dict[str, Any], plans: dict[str, list[Reply]]) -> None:
    """Compare what was sent account by account, and the rest by part."""
    assert set(ours["sent"]) == set(plans)
    assert 'response="wrong"' not in str(ours)
    for name in plans:
        assert ours["sent"][name] == theirs["sent"][name], name
    for part in theirs:
        assert ours[part] == theirs[part], part


KEPT = """
modparam("uac", "reg_keep_callid", 1)
modparam("uac", "reg_retry_interval", 2)
modparam("uac", "reg_use_domain", 1)
modparam("uac", "default_socket", "udp:@UDP")
"""
KEPT_PLANS: dict[str, list[Reply]] = {
    "again": [SOON, SOON, FOR_LONG],
    "auth": [challenge(), SOON, challenge(), FOR_LONG],
    "failed": [SOON, Reply("403 No"), SOON, FOR_LONG],
    "wrong": [challenge(), challenge(), SOON, FOR_LONG],
    "brief": [SOON, Reply("423 Brief", "Min-Expires: 300\r\n"), FOR_LONG],
    "foreign": [SOON, Reply("200 OK", "Contact: <sip:x@y>;expires=500\r\n"), FOR_LONG],
    "c": [FOR_LONG],
    "d": [FOR_LONG],
}


def test_call_ids_are_kept_and_failures_tried_again_as_by_kamailio(tmp_path: Path) -> None:
    """And domains count in look-ups."""
    rows = [row(name, **OTHER.get(name, {})) for name in KEPT_PLANS]

    def scenario(server: Server) -> dict[str, Any]:
        registrar = Registrar(server, KEPT_PLANS)
        server.rpc("uac.reg_active", "1")
        registrar.serve()
        registrar.quiet(0.1)
        out: dict[str, Any] = {name: info(server, name) for name in KEPT_PLANS}
        for name in ("lagain", "shared", "again", "zz"):
            for at in ("local", "other", "x"):
                uri = f"sip:{name}@{at}.org"
                out[uri] = [ask(server, function, uri) for function in ("lookup_uri", "to0", "to1", "to2", "to3")]
            out[f"by {name}"] = [ask(server, function, name) for function in ("lookup_uri", "to0", "to1")]
        server.rpc("uac.reg_unregister", "l_uuid", "again")
        registrar.serve({"again": 4})
        out["sent"] = {name: list(got) for name, got in registrar.got.items()}
        return out

    theirs, ours = compared(tmp_path, CFG.replace("PARAMS", KEPT), [], scenario, Table(rows))
    assert_same(theirs, ours, KEPT_PLANS)


REGISTRAR = """
loadmodule "textops.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "rr.so"
modparam("usrloc", "preload", "location")
modparam("auth", "nonce_count", 1)
modparam("auth", "qop", "auth")
request_route {
    if ($rU == "ping") { sl_send_reply("200", "OK"); exit; }
    if (!pv_www_authenticate("remote.org", "pw", "0")) { www_challenge("remote.org", "1"); exit; }
    save("location");
}
"""


def test_a_real_registrar_takes_our_registers(tmp_path: Path) -> None:
    """Kamailio with its checks of nonces, their counts and passwords: who has the right one is there, and leaves."""
    with contextlib.ExitStack() as stack:
        registrar = Server("kamailio", tmp_path / "registrar", REGISTRAR, [])
        stack.callback(registrar.end)
        proxy = registrar.fill("sip:@UDP")
        table = Table([row("right", realm="", auth_proxy=proxy), row("wrong", auth_password="no", auth_proxy=proxy)])
        ours = Server("kahea", tmp_path / "ours", CFG.replace("PARAMS", ""), [], table)
        stack.callback(ours.end)

        def until(goal: Callable[[], bool]) -> None:
            end = time.monotonic() + 10
            while not goal():
                assert time.monotonic() < end, ours.log[-2000:]
                time.sleep(0.05)

        ours.rpc("uac.reg_active", "1")
        until(lambda: "flags: 20" in info(ours, "right"))
        until(lambda: "flags: 17" in info(ours, "wrong"))
        there = registrar.rpc("ul.dump")
        assert "Address: sip:right@contact.example:5099" in there
        assert "wrong" not in there
        ours.rpc("uac.reg_unregister", "l_uuid", "right")
        until(lambda: "flags: 17" in info(ours, "right"))
        assert "Address" not in registrar.rpc("ul.dump")
