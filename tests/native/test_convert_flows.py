"""A converted cfg puts the same messages on the wire as the cfg: both run the same calls on the virtual network."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from kahea.cli.convert import converted, write
from kahea.testing import Simulation, Unexpected, UserAgent

STOCK = Path("/etc/kamailio/kamailio.cfg")
SERVER = "10.0.0.9"

_MADE_UP = re.compile(rb"(;branch=z9hG4bK|;tag=)[0-9a-f]{4}[0-9a-z.]+")
_SL_ERROR = re.compile(rb"500 [^\r]*/SL\)")

#: What needs a database.
DATABASES = {"WITH_ACCDB", "WITH_USRLOCDB", "WITH_ALIASDB", "WITH_SPEEDDIAL", "WITH_MULTIDOMAIN"}
#: That these have something to find: who is asked for in `calls`, by another name.
ROWS = f"""
insert into domain (domain) values ('{SERVER}');
insert into dbaliases (alias_username, alias_domain, username, domain)
  values ('+3912345678', '{SERVER}', 'bob', '{SERVER}');
insert into speed_dial (username, domain, sd_username, sd_domain, new_uri)
  values ('alice', '{SERVER}', '12', '{SERVER}', 'sip:bob@{SERVER}');
"""
TABLES = Path("/usr/share/kamailio/db_sqlite")

needs_stock = pytest.mark.skipif(not STOCK.exists(), reason="Debian's kamailio is not installed")


def calls(sim: Simulation) -> None:
    """Registrations, calls that succeed and fail in every way that the stock cfg has a line for, and nonsense."""
    alice = sim.ua("alice", "udp:10.0.0.1:5060", domain=SERVER)
    bob = sim.ua("bob", "udp:10.0.0.2:5060", domain=SERVER)
    bob.register()
    to_bob = f"sip:bob@{SERVER}"

    call = alice.invite(to_bob)
    bob.ring().answer()
    call.wait(200)
    call.request("INFO")
    sim.run(1)
    call.bye()

    call = alice.invite(to_bob)
    bob.reject(486)
    call.wait("final")
    call = alice.invite(to_bob)
    bob.reject(302, headers=[("Contact", "<sip:carol@10.0.0.3>")])
    call.wait("final")
    call = alice.invite(to_bob)
    bob.reject(407, headers=[("Proxy-Authenticate", 'Digest realm="b", nonce="1"')])
    call.wait("final")
    call = alice.invite(to_bob)
    bob.ring()
    call.cancel()
    sim.run(1)

    alice.invite(to_bob)  # nobody answers
    sim.run(200)
    bob.received.clear()

    asking(sim, alice, to_bob)


def asking(sim: Simulation, alice: UserAgent, to_bob: str) -> None:
    """Requests outside of calls, each for another line of the script."""
    for method, uri, headers in (
        ("OPTIONS", f"sip:{SERVER}", []),
        ("OPTIONS", to_bob, []),
        ("MESSAGE", f"sip:12@{SERVER}", []),
        ("MESSAGE", f"sip:nobody@{SERVER}", []),
        ("INVITE", f"sip:nobody@{SERVER}", []),
        ("INVITE", f"sip:+3912345678@{SERVER}", []),
        ("INVITE", f"sip:003912345678@{SERVER}", []),
        ("INVITE", f"sip:{SERVER}", []),
        ("INVITE", "sip:carol@other.example", []),
        ("MESSAGE", to_bob, [("Max-Forwards", "0")]),
        ("MESSAGE", to_bob, [("User-Agent", "friendly-scanner")]),
        ("SUBSCRIBE", f"sip:nobody@{SERVER}", [("Event", "message-summary"), ("Expires", "60")]),
        ("PUBLISH", to_bob, [("Event", "presence")]),
        ("BYE", to_bob, [("To", f"<{to_bob}>;tag=gone")]),
        ("ACK", to_bob, [("To", f"<{to_bob}>;tag=gone")]),
        ("SUBSCRIBE", to_bob, [("To", f"<{to_bob}>;tag=gone"), ("Event", "presence")]),
    ):
        alice.request(method, uri, headers=headers)
        sim.run(40)


def counting(sim: Simulation) -> None:
    """More calls than one may begin; bodies and headers that the cfgs in `converted` look at."""
    alice = sim.ua("alice", "udp:10.0.0.1:5060", domain=SERVER)
    bob = sim.ua("bob", "udp:10.0.0.2:5060", domain=SERVER)
    bob.register()
    for number in ("1234", "01234", "001234", "0001234", "00000", "+1808", "special", "bob"):
        call = alice.invite(f"sip:{number}@{SERVER}")
        with contextlib.suppress(Unexpected):
            bob.ring(within=1).answer()
            call.wait(200)
            call.bye()
        sim.run(40)
    for body in ("42", "-7", "hello you", "ab", "a text of some length"):
        alice.request("MESSAGE", f"sip:{SERVER}", body=body)
        sim.run(40)
    alice.request("INVITE", f"sip:x@{SERVER}", headers=[("X-Test", "Gone Fishing")])
    sim.run(40)
    asking(sim, alice, f"sip:bob@{SERVER}")


def fill(database: Path) -> None:
    """Kamailio's tables."""
    with contextlib.closing(sqlite3.connect(database)) as db:
        for name in ("standard", "acc", "usrloc", "alias_db", "speeddial", "domain"):
            db.executescript((TABLES / f"{name}-create.sql").read_text())
        db.executescript(ROWS)


def wire(sim: Simulation) -> list[tuple[float, str, str, bytes]]:
    """What went over the wire, in order, without the tags and branches that each server makes up, and without the
    reason of sl_reply_error(), which knows none in KEMI (as in Kamailio)."""
    return [
        (p.sent_at, p.source.ip, p.destination.ip, _SL_ERROR.sub(b"500", _MADE_UP.sub(rb"\1", p.data)))
        for p in sim.trace
    ]


def played(
    script: Path, defines: dict[str, str], play: Callable[[Simulation], object] = calls
) -> list[tuple[float, str, str, bytes]]:
    sim = Simulation(1)
    sim.node(script, f"udp:{SERVER}:5060", f"tcp:{SERVER}:5060", defines=defines)
    play(sim)
    assert not [e for e in sim.errors if "Traceback" in e]
    return wire(sim)


@needs_stock
@pytest.mark.parametrize(
    "defines",
    [
        (),
        ("WITH_PSTN",),
        ("WITH_VOICEMAIL",),
        ("WITH_BLOCK3XX", "WITH_BLOCK401407"),
        ("WITH_PSTN", "WITH_VOICEMAIL", "WITH_JSONRPC", "WITH_BLOCK3XX", "WITH_BLOCK401407"),
        ("WITH_ANTIFLOOD", "WITH_MSGREBUILD"),
        ("WITH_ACCDB", "WITH_USRLOCDB"),
        ("WITH_ALIASDB", "WITH_SPEEDDIAL", "WITH_MULTIDOMAIN"),
    ],
    ids=" ".join,
)
def test_the_stock_cfg_and_its_conversion_send_the_same(tmp_path: Path, defines: tuple[str, ...]) -> None:
    given = dict.fromkeys(defines, "")
    database = tmp_path / "kamailio.db"
    if DATABASES & given.keys():
        given["DBURL"] = f'"sqlite:///{database}"'
    cfg = tmp_path / "kamailio.cfg"
    text = STOCK.read_text()
    cfg.write_text(
        text.replace('pstn.gw_ip = ""', 'pstn.gw_ip = "10.0.0.3"').replace('srv_ip = ""', 'srv_ip = "10.0.0.4"')
    )
    write(converted(cfg, given), tmp_path / "python", "kamailio")
    fill(database)
    native = played(cfg, given)
    database.unlink()
    fill(database)
    python = played(tmp_path / "python" / "kamailio.py", {})
    assert python == native
    assert len(native) > 100


@pytest.mark.parametrize("defines", [{}, {"WITH_STATS": ""}], ids=["plain", "defined"])
@pytest.mark.parametrize("cfg", sorted((Path(__file__).parent / "converted").glob("*.cfg")), ids=lambda path: path.stem)
def test_other_cfgs_and_their_conversions_send_the_same(tmp_path: Path, cfg: Path, defines: dict[str, str]) -> None:
    write(converted(cfg, defines), tmp_path, cfg.stem)
    native = played(cfg, defines, counting)
    assert played(tmp_path / f"{cfg.stem}.py", {}, counting) == native
    assert len(native) > 40
