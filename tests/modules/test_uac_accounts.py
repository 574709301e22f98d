"""uac: accounts registered with other servers on the virtual clock: when, how many at a time, and what goes wrong."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from databases import MariaDb, Postgres
from test_uac_auth import HEAD
from uac_accounts import Row, insert, row

from kahea.connectors.errors import DatabaseError
from kahea.modules.uac.account import COLUMNS, NUMBERS, Account, read_account
from kahea.modules.uac.registering import AT_A_TIME
from kahea.modules.uac.registration import MAX_EXPIRES, Registration, Registrations, granted, least_expires
from kahea.modules.uac.store import Store
from kahea.routing.module import ConfigError, RpcError
from kahea.sip.digest import ha1
from kahea.sip.errors import ParseError
from kahea.sip.message import Message, parse
from kahea.testing import Simulation, SipMessage, UserAgent
from kahea.testing.simulation import VirtualNode

TYPES = ("varchar(64) default ''", "integer default 0")
#: Kamailio's table, in the words that its three kinds of database share.
TABLES = f"""
create table version (id integer primary key, table_name varchar(32) not null, table_version integer not null);
insert into version (id, table_name, table_version) values (1, 'uacreg', 5);
create table uacreg (id integer primary key,
    {", ".join(f"{name} {TYPES[name in NUMBERS]} not null" for name in COLUMNS)})
"""


def account(uuid: str = "u", **other: Any) -> Account:
    return read_account(row(uuid, **other), "10.0.0.9")


class Setting:
    """A node with accounts, and their registrar."""

    def __init__(self, kahea: Simulation, path: Path, *rows: Row, script: str = "", **params: Any) -> None:
        self.kahea = kahea
        self.path = path / "uac.db"
        with sqlite3.connect(self.path) as db:
            db.executescript(TABLES)
        self.add(*rows)
        script = script or f'{HEAD}request_route {{ sl_send_reply("200", "OK"); }}\n'
        given = {
            "reg_db_url": f"sqlite:///{self.path}",
            "reg_contact_addr": "10.0.0.9",
            "restore_mode": "none",
        } | params
        self.far: UserAgent = kahea.ua("far", "udp:10.0.0.2:5060")
        listen = ("udp:10.0.0.9:5060", "udp:10.0.0.10:5070")
        self.node: VirtualNode = kahea.node(script, *listen, modules={"uac": given})

    def add(self, *rows: Row) -> None:
        """Write rows."""
        with sqlite3.connect(self.path) as db:
            for each in rows:
                db.execute(*insert(each))
        db.close()

    def expect(self, within: float = 4000.0) -> SipMessage:
        return self.far.expect("REGISTER", within)

    def accept(self, seconds: int = 3600) -> SipMessage:
        """Take a REGISTER, and grant it so many seconds."""
        got = self.expect()
        self.far.reply(got, 200, headers=[("Contact", f"{got.header('Contact')};expires={seconds}")])
        self.kahea.run(0.01)
        return got

    def info(self, uuid: str = "u") -> dict[str, Any]:
        found: dict[str, Any] = self.node.rpc("uac.reg_info", "l_uuid", uuid)
        return found

    def expect_errors(self, *parts: str) -> None:
        """What was logged as an error, and nothing else."""
        assert len(self.kahea.errors) == len(parts), self.kahea.errors
        for error, part in zip(self.kahea.errors, parts, strict=True):
            assert part in error
        self.kahea.errors.clear()


Make = Callable[..., Setting]


@pytest.fixture
def setting(kahea: Simulation, tmp_path: Path) -> Make:
    return lambda *rows, **more: Setting(kahea, tmp_path, *rows, **more)


def seconds(kahea: Simulation) -> int:
    """Whole seconds since the beginning."""
    return int(kahea.elapsed)


# ---- when


def test_a_registration_is_refreshed_before_the_last_look_that_would_do(kahea: Simulation, setting: Make) -> None:
    """Looks are 90 seconds apart; of 632 seconds that are granted the look at 540 is the first within 93 of the end."""
    made = setting(row("u"))
    times = []
    for _ in range(3):
        made.accept(632)
        times.append(seconds(kahea))
    assert times == [0, 540, 1080]


def test_the_first_waits_for_its_delay(kahea: Simulation, setting: Make) -> None:
    made = setting(row("u", reg_delay=100))
    made.accept()
    assert seconds(kahea) == 180


def test_a_random_delay_keeps_within_its_bound() -> None:
    made = Registrations(4, 10)
    delays = {made.add(account(str(number)), 1000).reg_delay for number in range(200)}
    assert delays == set(range(1, 11))
    assert made.add(account("own", reg_delay=77), 1000).reg_delay == 77


def test_only_one_is_under_way(kahea: Simulation, setting: Make) -> None:
    """Whoever does not answer is not sent another before the first has timed out (RFC 3261 §10.2)."""
    made = setting(row("u"), reg_timer_interval=1, reg_retry_interval=60)
    first = made.expect()
    made.far.expect_nothing("REGISTER", within=25)
    assert made.info()["flags"] == 2 + 16
    made.expect_errors()
    again = made.expect()
    assert 85 < kahea.elapsed < 95
    assert again.header("Call-ID") != first.header("Call-ID")
    made.expect_errors("registering u: no answer (408)")


def test_what_failed_stays_disabled_without_a_retry_interval(kahea: Simulation, setting: Make) -> None:
    made = setting(row("u"))
    made.far.reply(made.expect(), 403)
    made.far.expect_nothing("REGISTER", within=3600)
    assert made.info()["flags"] == 1 + 16
    made.expect_errors("registering u: 403 Forbidden")
    made.node.rpc("uac.reg_enable", "l_uuid", "u")
    made.accept()


def test_credentials_that_are_refused_are_not_sent_again(setting: Make) -> None:
    made = setting(row("u"))
    for _ in range(2):
        made.far.reply(made.expect(), 401, headers=[("WWW-Authenticate", 'Digest realm="r", nonce="n", stale=true')])
    made.far.expect_nothing("REGISTER", within=200)
    assert made.info()["flags"] == 1 + 16
    made.expect_errors("registering u: the credentials were refused by a 401")


def test_a_call_id_is_kept_until_a_failure(setting: Make) -> None:
    made = setting(row("u"), reg_keep_callid=1, reg_retry_interval=10)
    first, second, failing = made.accept(60), made.accept(60), made.expect()
    made.far.reply(failing, 500)
    fresh = made.accept()
    kept = [(got.header("Call-ID"), got.header("CSeq")) for got in (first, second, failing)]
    assert kept == [(first.header("Call-ID"), f"{number} REGISTER") for number in (10, 11, 12)]
    assert fresh.header("Call-ID") != first.header("Call-ID")
    assert fresh.header("CSeq") == "10 REGISTER"
    made.expect_errors("registering u: 500")


def test_nothing_is_sent_while_registrations_are_inactive(setting: Make) -> None:
    made = setting(row("u"), reg_active=0)
    made.far.expect_nothing("REGISTER", within=200)
    assert made.node.rpc("uac.reg_active", 1) == {"omode": 0, "nmode": 1}
    made.accept(60)
    assert made.node.rpc("uac.reg_active", 0) == {"omode": 1, "nmode": 0}
    made.far.expect_nothing("REGISTER", within=200)


def test_a_registration_is_in_force_while_it_is_refreshed(kahea: Simulation, setting: Make) -> None:
    made = setting(row("u"))
    module = made.node.module("uac")
    made.accept(600)
    made.expect()
    assert seconds(kahea) == 540
    assert module.registrations.named("u").status(module.now()) == 1
    kahea.run(61)
    assert module.registrations.named("u").status(module.now()) == -3
    made.expect_errors("registering u: no answer (408)")


def test_a_lifetime_that_is_not_said_is_what_was_asked_for(kahea: Simulation, setting: Make) -> None:
    """A registrar that says no more than yes is not asked again at every look."""
    made = setting(row("u", expires=600))
    got = made.expect()
    made.far.reply(got, 200, headers=[("Contact", got.header("Contact") or "")])
    made.accept()
    assert seconds(kahea) == 540


def test_who_was_unregistered_can_be_registered_again(kahea: Simulation, setting: Make) -> None:
    made = setting(row("u"))
    made.accept()
    made.node.rpc("uac.reg_unregister", "l_uuid", "u")
    leaving = made.expect()
    assert leaving.header("Expires") == "0"
    made.far.reply(leaving, 200)
    made.far.expect_nothing("REGISTER", within=200)
    assert made.info()["flags"] == 1 + 16
    made.node.rpc("uac.reg_enable", "l_uuid", "u")
    assert made.accept().header("Expires") == "3600"


@pytest.mark.parametrize(("status", "why"), [(403, "unregistering u: 403"), (0, "unregistering u: no answer")])
def test_unregistering_disables_whatever_comes_of_it(kahea: Simulation, setting: Make, status: int, why: str) -> None:
    made = setting(row("u"), reg_retry_interval=10)
    made.accept()
    made.node.rpc("uac.reg_unregister", "l_uuid", "u")
    leaving = made.expect()
    if status:
        made.far.reply(leaving, status)
    made.far.expect_nothing("REGISTER", within=200)
    assert made.info()["flags"] == 1 + 16
    made.expect_errors(why)


# ---- how many


def test_many_accounts_are_sent_a_few_at_a_time(kahea: Simulation, setting: Make) -> None:
    made = setting(*(row(f"u{number}") for number in range(150)))
    made.far.on(
        "REGISTER", lambda got: made.far.reply(got, 200, headers=[("Contact", f"{got.header('Contact')};expires=600")])
    )
    kahea.run(5)
    sent: dict[float, int] = {}
    for got in made.far.received:
        sent[got.time] = sent.get(got.time, 0) + 1
    assert sum(sent.values()) == 150
    assert max(sent.values()) <= AT_A_TIME
    assert made.node.node.statistics.value("uac", "regactive") == 150
    assert made.node.node.statistics.value("uac", "regdisabled") == 0
    kahea.finish()


def test_who_is_disabled_while_others_are_sent_is_not_sent(kahea: Simulation, setting: Make) -> None:
    made = setting(*(row(f"u{number}") for number in range(60)))
    module = made.node.module("uac")
    made.far.on("REGISTER", lambda _got: module.registrations.named("u59").disable(module.now()))
    kahea.run(0.3)
    assert len(made.far.received) == 59
    kahea.run(40)
    kahea.errors.clear()


# ---- what goes wrong


def test_a_database_that_is_down_is_asked_again(kahea: Simulation, setting: Make, tmp_path: Path) -> None:
    made = setting(row("u"), reg_db_url=f"sqlite:///{tmp_path}/later/uac.db")
    made.far.expect_nothing("REGISTER", within=80)
    made.expect_errors("database down", "can't be loaded")
    with pytest.raises(RpcError, match="Failed to reload"):
        made.node.rpc("uac.reg_reload")
    with pytest.raises(RpcError, match="Failed to refresh"):
        made.node.rpc("uac.reg_refresh", "u")
    kahea.errors.clear()
    (tmp_path / "later").mkdir()
    made.path.rename(tmp_path / "later" / "uac.db")
    made.accept()
    assert seconds(kahea) == 90
    kahea.errors.clear()


def test_a_table_of_another_version_is_not_read(kahea: Simulation, setting: Make) -> None:
    made = setting(row("u"))
    made.accept()
    with sqlite3.connect(made.path) as db:
        db.execute("update version set table_version = 4")
    db.close()
    made.node.rpc("uac.reg_reload")  # it was right when it was looked at
    store = Store(f"sqlite:///{made.path}", "uacreg", "version", "10.0.0.9")
    with pytest.raises(DatabaseError, match="has version 4, not 5"):
        kahea.await_(store.load())
    kahea.await_(store.close())


def test_replies_to_what_is_no_more_change_nothing(kahea: Simulation, setting: Make) -> None:
    made = setting(row("gone"), row("anew"), row("left"))
    got = {str(each.header("Contact")).partition("@")[0][5:]: each for each in (made.expect() for _ in range(3))}
    made.node.rpc("uac.reg_remove", "gone")
    made.node.rpc("uac.reg_refresh", "anew")
    made.node.rpc("uac.reg_unregister", "l_uuid", "left")
    made.far.reply(made.expect(), 200)
    for uuid, each in got.items():
        if uuid == "left":
            made.far.reply(each, 200, headers=[("Contact", f"{each.header('Contact')};expires=600")])
        else:
            made.far.reply(each, 401, headers=[("WWW-Authenticate", 'Digest realm="r", nonce="n"')])
    kahea.run(1)
    assert made.node.rpc("uac.reg_dump")[0]["l_uuid"] in ("anew", "left")
    assert made.info("anew")["flags"] == 0
    assert made.info("left")["flags"] == 1 + 16
    made.far.expect_nothing("REGISTER", within=10)


GARBAGE = [
    (200, [("Contact", "<sip:u@")]),
    (200, [("Contact", "<sip:u@10.0.0.9>;expires=" + "9" * 40), ("Expires", "x")]),
    (401, [("WWW-Authenticate", "Digest " + "a=b," * 2000)]),
    (401, [("WWW-Authenticate", "\udcff\udcfe")]),
    (407, [("Proxy-Authenticate", 'Digest realm="r", nonce="n", algorithm=NONE')]),
    (299, []),
    (699, []),
]


@pytest.mark.parametrize(("status", "headers"), GARBAGE)
def test_garbage_from_a_registrar_is_a_failure_like_any(
    kahea: Simulation, setting: Make, status: int, headers: list[tuple[str, str]]
) -> None:
    made = setting(row("u"), reg_retry_interval=10)
    made.far.reply(made.expect(), status, "What", headers=headers)
    kahea.run(1)
    assert made.info()["flags"] == 16
    assert len(kahea.errors) == 1
    kahea.errors.clear()
    made.accept()


def test_a_proxy_that_leads_nowhere_is_a_failure(kahea: Simulation, setting: Make) -> None:
    made = setting(row("u", auth_proxy="sip:nowhere.invalid"), row("ok"), reg_retry_interval=300)
    made.accept()
    kahea.run(30)
    assert made.info()["flags"] == 16
    made.expect_errors("registering u: ")


def reply(*lines: str, status: int = 200) -> Message:
    head = (
        f"SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n"
        "To: <sip:a@b>;tag=2\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n"
    )
    return parse((head + "".join(f"{line}\r\n" for line in lines) + "Content-Length: 0\r\n\r\n").encode())


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Contact: <sip:u@10.0.0.9>;expires=60"], 60),
        (["Contact: <sip:u@10.0.0.9>;expires=60", "Expires: 7"], 60),
        (["Contact: <sip:u@10.0.0.9>", "Expires: 7"], 7),
        (["Contact: <sip:u@10.0.0.9>"], 3600),
        (["Contact: <sip:u@10.0.0.9>;expires=-1"], 3600),
        (["Contact: <sip:u@10.0.0.9>;expires=9999999999"], MAX_EXPIRES),
        (["Contact: <sip:x@y>;expires=1, <sip:u@elsewhere>;expires=2"], 2),
        (["Contact: <sip:x@y>;expires=1"], None),
    ],
)
def test_what_a_reply_grants(lines: list[str], expected: int | None) -> None:
    assert granted(reply(*lines), account(), 3600) == expected


def test_a_reply_without_a_contact_grants_nothing() -> None:
    with pytest.raises(ParseError):
        granted(reply("Expires: 60"), account(), 3600)


def test_what_is_asked_for_is_bounded() -> None:
    registration = Registration(account(), 0, 0, expires=3600)
    registration.too_brief(least_expires(reply("Min-Expires: 9999999999", status=423)), 0)
    assert registration.expires == MAX_EXPIRES
    registration.too_brief(least_expires(reply(status=423)), 0)
    assert registration.expires == MAX_EXPIRES


BAD = [
    ({"r_username": "x>\r\nX-Evil: 1"}, "r_username"),
    ({"r_domain": "a b"}, "r_domain"),
    ({"l_uuid": 'a"b'}, "l_uuid"),
    ({"contact_addr": "h>;x"}, "contact_addr"),
    ({"auth_proxy": "garbage"}, "no URI"),
    ({"r_domain": "[::1"}, "no URI"),
    ({"realm": "a\nb"}, "realm"),
    ({"auth_username": "a\0b"}, "auth_username"),
    ({"auth_ha1": "123"}, "auth_ha1"),
    ({"expires": "soon"}, "expires is no number"),
]


@pytest.mark.parametrize(("columns", "why"), BAD)
def test_accounts_that_can_not_be(columns: Row, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        account(**columns)


def test_rows_that_are_no_accounts_are_left_out(kahea: Simulation, setting: Make) -> None:
    made = setting(row("bad", r_username="a b"), row("u"), row("null", l_domain=""))
    made.accept()
    assert [each["l_uuid"] for each in made.node.rpc("uac.reg_dump")] == ["u"]
    made.expect_errors("'bad' is left out", "'null' is left out")


# ---- scripts and commands


KEMI = """
import KSR as KSR

class Script:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        uac = KSR.uac
        out = [uac.uac_reg_lookup("u", "$var(a)"), KSR.pv.get("$var(a)"),
               uac.uac_reg_lookup_uri("sip:lu@x", "$var(b)"), KSR.pv.get("$var(b)"),
               uac.uac_reg_lookup("u", "nothing"), uac.uac_reg_status("u"), uac.uac_reg_request_to("u", 0),
               KSR.pv.get("$ru"), KSR.pv.get("$du"), KSR.pv.get("$avp(p)"), uac.uac_reg_refresh("u"),
               uac.uac_reg_disable("l_uuid", "u"), uac.uac_reg_enable("l_uuid", "zz"), uac.uac_reg_enable("x", "u")]
        KSR.hdr.append_to_reply("X-Out: " + "|".join(map(str, out)) + "\\r\\n")
        KSR.sl.sl_send_reply(200, "OK")
        return 1

def mod_init():
    return Script()
"""


def test_scripts_in_python_have_it_all(kahea: Simulation, setting: Make) -> None:
    made = setting(
        row("u"), script=KEMI, auth_realm_avp="$avp(r)", auth_username_avp="$avp(u)", auth_password_avp="$avp(p)"
    )
    made.accept()
    answer = kahea.ua("alice").options("sip:x@10.0.0.9")
    assert answer.header("X-Out") == ("1|sip:lu@local.org|1|u|-1|1|1|sip:ru@remote.org|sip:10.0.0.2|pw|1|1|-2|-3")
    kahea.errors.clear()


def test_the_listing_of_the_page_is_a_trunk(kahea: Simulation, setting: Make) -> None:
    page = Path(__file__).parents[2] / "docs" / "scripts.md"
    listing = (
        page.read_text().partition("## Registered with other servers")[2].partition("```\n")[2].partition("```")[0]
    )
    listing = re.sub(r"modparam\(\"uac\", \"reg_(db_url|contact_addr).*\n", "", listing)
    loads = "".join(f'loadmodule "{name}.so"\n' for name in ("usrloc", "registrar", "textops"))
    loads += 'modparam("usrloc", "preload", "location")\n'
    made = setting(row("trunk1", l_username="bob"), script=f"{HEAD}{loads}{listing}")
    made.accept()
    bob, alice = kahea.ua("bob", "udp:10.0.0.3:5060"), kahea.ua("alice")

    call = alice.invite("sip:12345@10.0.0.9")
    first = made.far.expect("INVITE")
    made.far.reply(first, 407, headers=[("Proxy-Authenticate", 'Digest realm="remote", nonce="n", qop="auth"')])
    again = made.far.expect("INVITE")
    assert again.uri == "sip:12345@remote.org"
    assert 'username="atrunk1"' in (again.header("Proxy-Authorization") or "")
    made.far.reply(again, 200)
    assert call.wait().status == 200

    made.node.rpc("ul.add", "location", "bob", bob.contact, 600, 1.0, "0", 0, 0, 0)
    incoming = made.far.invite("sip:trunk1@10.0.0.9")
    bob.reply(bob.expect("INVITE"), 200)
    assert incoming.wait().status == 200


def test_without_a_database_there_are_no_registrations(kahea: Simulation) -> None:
    node = kahea.node(KEMI, "udp:10.0.0.9:5060")
    answer = kahea.ua("alice").options("sip:x@10.0.0.9")
    assert answer.header("X-Out") == "-1|0|-1|0|-1|-1|-1|sip:x@10.0.0.9|None|None|-1|-2|-2|-3"
    kahea.errors.clear()
    for command in ("reg_dump", "reg_reload", "reg_info"):
        with pytest.raises(RpcError, match="reg_db_url"):
            node.rpc(f"uac.{command}")


@pytest.mark.parametrize("default", ["", "udp:10.0.0.10:5070"])
def test_the_listener_is_the_accounts_or_the_default(setting: Make, default: str) -> None:
    second, first = "udp:10.0.0.10:5070", "udp:10.0.0.9:5060"
    made = setting(row("own", socket=second), row("bad", socket="udp:1.2.3.4:5"), row("any"), default_socket=default)
    sources = {str(got.header("To"))[6:9]: got.source for got in (made.accept() for _ in range(3))}
    assert sources == {"own": second, "bad": default or first, "any": default or first}


def test_a_default_listener_that_there_is_not_fails_them_all(setting: Make) -> None:
    made = setting(row("u"), default_socket="udp:1.2.3.4:5")
    made.kahea.run(1)
    assert made.info()["flags"] == 1 + 16
    made.expect_errors('registering u: No local socket for "udp:1.2.3.4:5"')


def test_a_request_is_aimed_without_variables_for_the_login(kahea: Simulation, setting: Make) -> None:
    made = setting(row("u"), script=KEMI)
    made.accept()
    answer = kahea.ua("alice").options("sip:x@10.0.0.9")
    assert "|1|sip:ru@remote.org|sip:10.0.0.2|None|" in (answer.header("X-Out") or "")
    kahea.errors.clear()


def test_commands_name_what_they_refuse(kahea: Simulation, setting: Make) -> None:
    made = setting()
    columns = "added lu ld ru rd r au pw . sip:10.0.0.2 500 0 0 . ."
    made.node.rpc("uac.reg_add", *columns.split())
    assert made.info("added")["socket"] is None
    bad = columns.replace("added", "bad").replace("ru", "r>u").split()
    with pytest.raises(RpcError, match="r_username"):
        made.node.rpc("uac.reg_add", *bad)
    with pytest.raises(RpcError, match="Invalid Parameters"):
        made.node.rpc("uac.reg_add", *columns.replace("added", "b").replace(" 500 ", " -5 ").split())
    assert len(made.node.rpc("uac.reg_dump")) == 1


def test_accounts_are_reloaded_at_intervals_only(kahea: Simulation, setting: Make) -> None:
    made = setting(row("u"), reg_gc_interval=50)
    made.accept()
    made.add(row("more"))
    made.node.rpc("uac.reg_reload")
    with pytest.raises(RpcError, match="Failed to shift"):
        made.node.rpc("uac.reg_reload")
    kahea.errors.clear()
    kahea.run(50)
    made.node.rpc("uac.reg_reload")
    assert [each["l_uuid"] for each in made.node.rpc("uac.reg_dump")] == ["more", "u"]


@pytest.mark.parametrize("uuid", ["x' or '1'='1", "u'; drop table uacreg; --", "%", "u\0", "\udcff"])
def test_what_is_looked_up_is_no_sql(setting: Make, uuid: str) -> None:
    made = setting(row("u"))
    made.accept()
    with pytest.raises(RpcError):
        made.node.rpc("uac.reg_refresh", uuid)
    made.kahea.errors.clear()
    made.node.rpc("uac.reg_refresh", "u")
    assert len(made.node.rpc("uac.reg_dump")) == 1


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"reg_db_url": "sqlite:////x/y.db"}, "reg_contact_addr"),
        ({"reg_db_url": "oracle://x/y", "reg_contact_addr": "h"}, "reg_db_url"),
        ({"reg_timer_interval": 0}, "reg_timer_interval"),
        ({"reg_hash_size": 30}, "reg_hash_size"),
        ({"reg_retry_interval": -1}, "reg_retry_interval"),
    ],
)
def test_parameters_that_will_not_do(kahea: Simulation, params: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        kahea.node(KEMI, "udp:10.0.0.9:5060", modules={"uac": params})


REGISTRAR = """#!KAMAILIO
loadmodule "sl.so"
loadmodule "auth.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
modparam("auth", "algorithm", "SHA-256")
modparam("auth", "nonce_count", 1)
modparam("usrloc", "preload", "location")
request_route {
    if (!pv_www_authenticate("remote.org", "pw", "0")) { www_challenge("remote.org", "1"); exit; }
    save("location");
}
"""


def test_two_nodes_agree_on_sha_256(kahea: Simulation, setting: Make) -> None:
    registrar = kahea.node(REGISTRAR, "udp:10.0.0.8:5060")
    by_hash = ha1(b"SHA-256", b"ahash", b"remote.org", b"pw").decode()
    made = setting(
        row("plain", auth_proxy="sip:10.0.0.8"),
        row("hash", auth_proxy="sip:10.0.0.8", auth_password="", auth_ha1=by_hash),
        row("short", auth_proxy="sip:10.0.0.8", auth_password="", auth_ha1="ab" * 16),
    )
    kahea.run(1)
    contacts = str(registrar.rpc("ul.dump"))
    assert "sip:plain@10.0.0.9" in contacts
    assert "sip:hash@10.0.0.9" in contacts
    assert "sip:short@10.0.0.9" not in contacts
    made.expect_errors("registering short: the challenge can't be answered: the HA1 of")


# ---- other databases


@pytest.mark.parametrize("engine", ["postgres", "mariadb"])
def test_accounts_are_read_from_a_server_of_databases(request: pytest.FixtureRequest, engine: str) -> None:
    database: Postgres | MariaDb = request.getfixturevalue(engine)
    for statement in ("drop table if exists uacreg", "drop table if exists version", *TABLES.split(";")):
        database.sql(statement)
    for number, each in enumerate((row("u", auth_ha1="AB" * 16), row("bad", r_domain=""))):
        values = ",".join(f"'{value}'" if isinstance(value, str) else str(value) for value in each.values())
        database.sql(f"insert into uacreg (id,{','.join(each)}) values ({number},{values})")

    async def read() -> tuple[list[Account], Account | None, Account | None]:
        store = Store(database.url, "uacreg", "version", "10.0.0.9")
        try:
            return await store.load(), await store.fetch("u"), await store.fetch("bad")
        finally:
            await store.close()

    every, one, none = asyncio.run(read())
    assert every == [one] == [account("u", auth_ha1="ab" * 16)]
    assert none is None
    database.sql("drop table uacreg")
    database.sql("drop table version")
