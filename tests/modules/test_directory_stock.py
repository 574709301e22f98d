"""Debian's kamailio.cfg with WITH_AUTH, WITH_ALIASDB, WITH_SPEEDDIAL and WITH_MULTIDOMAIN, in Kamailio and here.

On MariaDB the file is as Debian ships it; on SQLite the name of the database module alone is another.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from databases import Engine
from processes import KAMAILIO, Peer, Server

STOCK = Path("/etc/kamailio/kamailio.cfg")
TABLES = Path("/usr/share/kamailio")
DEFINES = ("WITH_MYSQL", "WITH_AUTH", "WITH_ALIASDB", "WITH_SPEEDDIAL", "WITH_MULTIDOMAIN")
pytestmark = pytest.mark.skipif(KAMAILIO is None or not STOCK.exists(), reason="needs Kamailio and its stock file")

DOMAINS = "insert into domain (domain) values ('a.test'), ('B.test')"
ROWS = """
insert into subscriber (username, domain, password) values ('alice', 'a.test', 'secret'), ('alice', 'b.test', 'other'),
  ('bob', 'a.test', 'bobs');
insert into dbaliases (alias_username, alias_domain, username, domain) values ('support', 'a.test', 'bob', 'a.test'),
  ('support', 'b.test', 'nobody', 'b.test'), ('out', 'a.test', 'carol', '@SINK2');
insert into speed_dial (username, domain, sd_username, sd_domain, new_uri) values
  ('alice', 'a.test', '12', 'a.test', 'sip:bob@a.test'), ('alice', 'a.test', '13', 'a.test', 'sip:support@a.test'),
  ('alice', 'a.test', '14', 'a.test', 'sip:dave@@SINK2'), ('alice', 'b.test', '12', 'b.test', 'sip:support@a.test'),
  ('alice', 'a.test', '123', 'a.test', 'sip:bob@a.test');
"""


class Stock(Server):
    """A server that runs the stock file, or a copy."""

    def __init__(self, name: str, folder: Path, cfg: Path, url: str) -> None:
        self._stock = cfg
        self._url = url
        super().__init__(name, folder, "", ())

    def _command(self) -> list[str]:
        defines = [word for name in (*DEFINES, f'DBURL="{self._url}"') for word in ("-A", name)]
        listen = ["-l", f"udp:127.0.0.1:{self.ports['@UDP']}", "-Y", "."]
        first = super()._command()
        cut = first.index("-f")
        return [*first[:cut], "-f", str(self._stock), *first[cut + 2 :], *listen, *defines]

    def rpc(self, *words: str) -> str:
        """What `kamcmd` prints for a command."""
        (self.folder / "ctl").unlink(missing_ok=True)
        (self.folder / "ctl").symlink_to(self.folder / "kamailio_ctl")
        return super().rpc(*words)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def _field(message: str, name: str) -> str:
    found = re.search(rf"\n{name}: (.*)\r", message)
    assert found is not None, message
    return found[1]


class Phone:
    """A subscriber at a peer's socket, who answers challenges."""

    def __init__(self, peer: Peer, user: str, domain: str, password: str) -> None:
        self.peer, self.user, self.domain, self.password = peer, user, domain, password
        self._serial = 0

    def _request(self, method: str, uri: str, credentials: str) -> str:
        self._serial += 1
        callid = f"{self.peer.word[1:]}-{self.user}-{self.domain}-{self._serial}"
        to = f"sip:{self.user}@{self.domain}" if method == "REGISTER" else uri
        return (
            f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {self.peer.word};branch=z9hG4bKcaller{callid}\r\n"
            f"From: <sip:{self.user}@{self.domain}>;tag=f{self.user}\r\nTo: <{to}>\r\nCall-ID: {callid}\r\n"
            f"CSeq: {self._serial} {method}\r\nContact: <sip:{self.user}@{self.peer.word}>\r\n"
            f"Max-Forwards: 70\r\n{credentials}Content-Length: 0\r\n\r\n"
        )

    def ask(self, method: str, uri: str, password: str = "") -> list[str]:
        """The answers to a request and, if it is challenged, to one with credentials; 100 left out."""
        seen = []
        credentials = ""
        for _ in range(2):
            sent = self._request(method, uri, credentials)
            self.peer.send(sent)
            answer = self._final(sent)
            seen.append(_plain(answer))
            if method == "INVITE":
                self._ack(sent, answer)
            found = re.search(r'(WWW|Proxy)-Authenticate: Digest realm="([^"]*)", nonce="([^"]*)"', answer)
            if found is None:
                break
            credentials = self._credentials(found, method, uri, password or self.password)
        return seen

    def _final(self, sent: str) -> str:
        while True:
            answer = self.peer.expect("SIP/2.0 ")
            if not answer.startswith("SIP/2.0 1") and _field(answer, "Call-ID") == _field(sent, "Call-ID"):
                return answer

    def _ack(self, sent: str, answer: str) -> None:
        ack = sent.replace("INVITE", "ACK").replace(_field(sent, "To"), _field(answer, "To"))
        self.peer.send(ack)

    def _credentials(self, found: re.Match[str], method: str, uri: str, password: str) -> str:
        kind, realm, nonce = found.groups()
        ha1, ha2 = _md5(f"{self.user}:{realm}:{password}"), _md5(f"{method}:{uri}")
        name = "Authorization" if kind == "WWW" else "Proxy-Authorization"
        return (
            f'{name}: Digest username="{self.user}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
            f'response="{_md5(f"{ha1}:{nonce}:{ha2}")}"\r\n'
        )


def _plain(message: str) -> str:
    """A message without what each server makes up."""
    message = re.sub(r'nonce="[^"]*"', 'nonce="N"', message)
    message = re.sub(r"(\nTo: [^\r]*;tag=)[0-9a-f]{16,}[0-9a-f.-]*", r"\1T", message)
    message = re.sub(r"branch=(z9hG4bK[^;\r]*|<B\d+>)", "branch=B", message)
    return re.sub(r"\r\n(Server|User-Agent): [^\r]*", "", message)


def called(phone: Phone, uri: str, *callees: Peer) -> list[str]:
    """A call's request as it reaches one of these, who answers with 486, and what the caller is told."""
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(phone.ask, "INVITE", uri)
        seen = []
        for callee in callees:
            invite = callee.expect("INVITE")
            callee.reply(invite, "486 Busy")
            callee.expect("ACK")
            seen.append(_plain(invite))
        return seen + told.result(10)


def flows(server: Server) -> list[Sequence[str]]:
    """What phones of two domains, and a stranger, get."""
    alice, bob = Phone(server.caller, "alice", "a.test", "secret"), Phone(server.sink, "bob", "a.test", "bobs")
    other = Phone(server.caller, "alice", "b.test", "other")
    stranger = Phone(server.caller, "eve", "c.test", "")
    return [
        alice.ask("REGISTER", "sip:a.test"),
        other.ask("REGISTER", "sip:b.test"),
        bob.ask("REGISTER", "sip:a.test"),
        alice.ask("REGISTER", "sip:a.test", password="wrong"),
        stranger.ask("REGISTER", "sip:c.test", password="x"),
        called(alice, "sip:bob@a.test", server.sink),
        called(alice, "sip:support@a.test", server.sink),
        called(alice, "sip:12@a.test", server.sink),
        called(alice, "sip:13@a.test", server.sink),
        called(alice, "sip:14@a.test", server.sink2),
        called(alice, "sip:out@a.test", server.sink2),
        called(other, "sip:12@b.test", server.sink),
        called(stranger, "sip:support@a.test", server.sink),
        other.ask("INVITE", "sip:support@b.test"),
        other.ask("INVITE", "sip:13@b.test"),
        alice.ask("INVITE", "sip:123@a.test"),
        alice.ask("INVITE", "sip:nobody@A.TEST"),
        alice.ask("INVITE", "sip:a.test"),
        alice.ask("OPTIONS", "sip:b.test"),
        alice.ask("MESSAGE", "sip:support@a.test", password="wrong"),
        stranger.ask("MESSAGE", "sip:x@d.test"),
        stranger.ask("MESSAGE", "sip:x@c.test"),
        [server.rpc("domain.dump")],
    ]


def after(server: Server) -> list[Sequence[str]]:
    """What they get once the domains are read again, of which c.test is one now."""
    stranger = Phone(server.caller, "eve", "c.test", "")
    return [
        [server.rpc("domain.reload")],
        stranger.ask("MESSAGE", "sip:x@c.test"),
        stranger.ask("OPTIONS", "sip:c.test"),
        [server.rpc("domain.dump")],
    ]


class Database:
    """An empty database of Kamailio's layout for one server."""

    def __init__(self, name: str, folder: Path, engine: Engine | None) -> None:
        self._engine = engine
        self._name = f"stock_{name}"
        self._file = folder / f"{name}.db"
        self.url = f"sqlite:///{self._file}"
        if engine is not None:
            self.url = engine.url.removesuffix("kamailio") + self._name
            engine.sql(f"create database {self._name}; grant all on {self._name}.* to kamailio@'127.0.0.1'")
        for table in ("standard", "auth_db", "alias_db", "speeddial", "domain"):
            self.run((TABLES / ("db_sqlite" if engine is None else "mysql") / f"{table}-create.sql").read_text())

    def run(self, statements: str) -> None:
        """Carry out statements."""
        if self._engine is not None:
            self._engine.sql(f"use {self._name}; {statements}")
            return
        with contextlib.closing(sqlite3.connect(self._file)) as db:
            db.executescript(statements)


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_phones_of_two_domains(tmp_path: Path, kind: str, request: pytest.FixtureRequest) -> None:
    engine: Engine | None = request.getfixturevalue("mariadb") if kind == "mariadb" else None
    cfg = STOCK
    if engine is None:
        cfg = tmp_path / "stock.cfg"
        cfg.write_text(STOCK.read_text().replace("db_mysql.so", "db_sqlite.so"))

    def played(name: str) -> list[Sequence[str]]:
        database = Database(name, tmp_path, engine)
        database.run(DOMAINS)
        server = Stock(name, tmp_path / name, cfg, database.url)
        try:
            database.run(server.fill(ROWS))
            seen = flows(server)
            database.run("insert into domain (domain) values ('c.test')")
            return seen + after(server)
        except TimeoutError as error:
            raise AssertionError(f"{name} fell silent: {error}\n{server.log[-3000:]}") from error
        finally:
            server.end()

    with ThreadPoolExecutor(2) as pool:
        theirs, ours = pool.map(played, ("kamailio", "kahea"))
    for want, have in zip(theirs, ours, strict=True):
        assert have == want
    assert sum(len(seen) for seen in ours) > 40
