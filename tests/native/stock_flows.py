"""Calls that reach what Debian's kamailio.cfg has with its WITH_* definitions: phones, requests, tables.

All phones have the password that the tables say, and one of them stands behind a NAT; where the definitions ask for
nothing of the kind, it does no harm.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from pathlib import Path

from kahea.testing import Simulation, Unexpected, UserAgent

STOCK = Path("/etc/kamailio/kamailio.cfg")
TABLES = Path("/usr/share/kamailio/db_sqlite")
SERVER = "10.0.0.9"
PASSWORD = "secret"
TRUSTED = "10.0.0.5"

#: Whose tables the definitions want.
_SCHEMAS = ("standard", "acc", "usrloc", "auth_db", "permissions", "alias_db", "speeddial", "domain", "presence")


def fill(database: Path) -> None:
    """Kamailio's tables, and what stands in them."""
    with contextlib.closing(sqlite3.connect(database)) as db:
        for name in _SCHEMAS:
            db.executescript((TABLES / f"{name}-create.sql").read_text())
        # The columns that the stock cfg's own comment asks for.
        for statement in re.findall(r"ALTER TABLE [^;]+;", STOCK.read_text()):
            db.execute(statement)
        for user in ("alice", "bob", "carol", "tess"):
            db.execute("INSERT INTO subscriber (username, domain, password) VALUES (?, ?, ?)", (user, SERVER, PASSWORD))
        db.execute("INSERT INTO address (grp, ip_addr, mask, port) VALUES (1, ?, 32, 0)", (TRUSTED,))
        db.execute(
            "INSERT INTO dbaliases (alias_username, alias_domain, username, domain) VALUES ('boss', ?, 'bob', ?)",
            (SERVER, SERVER),
        )
        db.execute(
            "INSERT INTO speed_dial (username, domain, sd_username, sd_domain, new_uri) VALUES (?, ?, ?, ?, ?)",
            ("alice", SERVER, "11", SERVER, f"sip:bob@{SERVER}"),
        )
        db.executemany("INSERT INTO domain (domain, did) VALUES (?, ?)", [(SERVER, SERVER), ("second.example", None)])
        db.commit()


def written(database: Path) -> list[tuple[object, ...]]:
    """What a run leaves in the tables, without what servers make up."""
    with contextlib.closing(sqlite3.connect(database)) as db:
        found: list[tuple[object, ...]] = []
        for table in ("acc", "missed_calls"):
            columns = "method, sip_code, sip_reason, src_user, src_domain, src_ip, dst_ouser, dst_user, dst_domain"
            found += db.execute(f"SELECT '{table}', {columns} FROM {table} ORDER BY id")
        found += db.execute("SELECT 'location', username, contact, received, flags FROM location ORDER BY contact")
        return found


def everything(sim: Simulation) -> None:
    """All of them."""
    alice = sim.ua("alice", "udp:10.0.0.1:5060", domain=SERVER, password=PASSWORD)
    bob = sim.ua("bob", "udp:10.0.0.2:5060", domain=SERVER, password=PASSWORD)
    bob.register()
    calls(sim, alice, bob)
    asking(sim, alice, f"sip:bob@{SERVER}")
    numbers(sim, alice, bob)
    behind_a_nat(sim, alice, bob)
    presence(sim, alice, bob)
    over_tls(sim, alice)
    over_http(sim)
    others(sim, bob)


def calls(sim: Simulation, alice: UserAgent, bob: UserAgent) -> None:
    """Calls that succeed, and that fail in every way that the cfg has a line for."""
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
    sim.run(1)
    call = alice.invite(to_bob)
    bob.ring()
    call.cancel()
    sim.run(1)

    alice.invite(to_bob)  # nobody answers
    sim.run(200)
    bob.received.clear()


def asking(sim: Simulation, alice: UserAgent, to_bob: str) -> None:
    """Requests outside of calls, each for another line of the script."""
    for method, uri, headers in (
        ("OPTIONS", f"sip:{SERVER}", []),
        ("OPTIONS", to_bob, []),
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


def numbers(sim: Simulation, alice: UserAgent, bob: UserAgent) -> None:
    """An alias, a short number, a domain that is ours by the table alone."""
    bob.received.clear()
    for uri in (f"sip:boss@{SERVER}", f"sip:11@{SERVER}", f"sip:12@{SERVER}", "sip:bob@second.example"):
        call = alice.invite(uri)
        with contextlib.suppress(Unexpected):
            bob.answer(within=1)
            call.wait(200)
            call.bye()
        sim.run(40)
        bob.received.clear()


def sdp(host: str) -> str:
    """A description."""
    return f"v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"


def behind_a_nat(sim: Simulation, alice: UserAgent, bob: UserAgent) -> None:
    """A phone behind a NAT is called, calls, and is pinged."""
    bob.received.clear()
    carol = sim.ua("carol", "udp:203.0.113.7:4321", domain=SERVER, password=PASSWORD, inside="192.168.1.5:5060")
    carol.register()
    for caller, callee in ((alice, carol), (carol, bob)):
        call = caller.invite(f"sip:{callee.name}@{SERVER}", body=sdp("192.168.1.5" if caller is carol else "10.0.0.1"))
        with contextlib.suppress(Unexpected):
            leg = callee.answer(within=1, body=sdp("192.168.1.5" if callee is carol else "10.0.0.2"))
            call.wait(200)
            again = leg.reinvite(body=sdp("192.168.1.5"))
            caller.reply(caller.expect("INVITE", 1), 200, body=sdp("10.0.0.1"))
            leg.acknowledge(again.wait(200))
            leg.bye()
        sim.run(40)
        callee.received.clear()
    carol.register(expires=0)


def over_tls(sim: Simulation, alice: UserAgent) -> None:
    """A phone that registers over TLS is called there, where the server listens for it."""
    if not any(listener.proto_text == "tls" for listener in sim.nodes[0].listeners):
        return
    tess = sim.ua("tess", "tls:10.0.0.8:5061", domain=SERVER, password=PASSWORD)
    tess.register()
    call = alice.invite(f"sip:tess@{SERVER}")
    leg = tess.answer()
    call.wait(200)
    leg.bye()


def over_http(sim: Simulation) -> None:
    """Management commands from here and from elsewhere, and another page."""
    command = '{"jsonrpc": "2.0", "method": "core.echo", "params": ["aloha"], "id": 1}'
    for host, path in (("127.0.0.1", "/RPC"), ("127.0.0.1", "/other"), ("10.0.0.44", "/RPC")):
        browser = sim.ua(f"browser{path}{host}", f"tcp:{host}:{40000 + len(sim.uas)}")
        head = f"POST {path} HTTP/1.1\r\nHost: {SERVER}\r\nContent-Type: application/json\r\n"
        browser.send(f"{head}Content-Length: {len(command)}\r\n\r\n{command}")
        sim.run(1)


def presence(sim: Simulation, alice: UserAgent, bob: UserAgent) -> None:
    """Bob says how he is, Alice watches."""
    watching = alice.request("SUBSCRIBE", f"sip:bob@{SERVER}", headers=[("Event", "presence"), ("Expires", "600")])
    alice.on("NOTIFY", lambda request: alice.reply(request, 200))
    sim.run(40)
    for note in ("here", "away"):
        body = (
            '<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:bob@10.0.0.9">'
            f'<tuple id="t"><status><basic>open</basic></status><note>{note}</note></tuple></presence>'
        )
        bob.request(
            "PUBLISH",
            f"sip:bob@{SERVER}",
            to=f"<sip:bob@{SERVER}>",
            headers=[("Event", "presence"), ("Expires", "600")],
            body=body,
            content_type="application/pidf+xml",
        )
        sim.run(40)
    answer = watching.final
    if answer is not None and answer.status < 300:
        alice.request(
            "SUBSCRIBE",
            f"sip:{SERVER}",
            to=answer["To"],
            from_=answer["From"],
            call_id=answer.call_id,
            cseq=answer.cseq + 1,
            headers=[("Event", "presence"), ("Expires", "0")],
        )
        sim.run(40)


def others(sim: Simulation, bob: UserAgent) -> None:
    """Phones without a password: at an address that is trusted, of another domain, one that floods."""
    bob.on("MESSAGE", lambda request: bob.reply(request, 200))
    for name, address, domain in (
        ("dave", f"udp:{TRUSTED}:5060", SERVER),
        ("eve", "udp:10.0.0.66:5060", SERVER),
        ("zoe", "udp:10.0.0.77:5060", "other.example"),
    ):
        phone = sim.ua(name, address, domain=domain)
        phone.register(f"sip:{SERVER}")
        for uri in (f"sip:bob@{SERVER}", "sip:carol@another.example"):
            phone.request("MESSAGE", uri, body="hello", content_type="text/plain")
            sim.run(40)
    mallory = sim.ua("mallory", "udp:10.0.0.88:5060", domain=SERVER)
    for _ in range(60):
        mallory.request("OPTIONS", f"sip:{SERVER}")
    sim.run(10)
