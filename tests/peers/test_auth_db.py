"""Subscribers in a database: the same cfg in Kamailio and here, asked the same."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from peer_servers import HOST, ServerProcess, missing

CFG = """
debug=0
log_stderror=yes
children=1
auto_aliases=no
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "db_sqlite.so"
loadmodule "auth.so"
loadmodule "auth_db.so"
modparam("auth_db", "db_url", "sqlite:///@DB")
modparam("auth_db", "load_credentials", "$avp(number)=number;email")
@PARAMS
request_route {
    if (is_method("OPTIONS") && $rU == $null) {
        sl_send_reply("200", "Up");
        exit;
    }
    switch ($rU) {
    case "www": www_authenticate("a.com", "subscriber"); break;
    case "proxy": proxy_authorize("a.com", "subscriber"); break;
    case "other": www_authenticate("a.com", "subscriber", "OTHER"); break;
    case "check0": auth_check("a.com", "subscriber", "0"); break;
    case "check1": auth_check("a.com", "subscriber", "1"); break;
    case "check3": auth_check("a.com", "subscriber", "3"); break;
    case "is": is_subscriber("$hdr(X-Uri)", "subscriber", "0"); break;
    case "isd": is_subscriber("$hdr(X-Uri)", "subscriber", "1"); break;
    case "is2": is_subscriber("$hdr(X-Uri)", "subscriber", "2"); break;
    default: www_challenge("a.com", "1"); exit;
    }
    append_to_reply("X-Out: x$rc $avp(number) $avp(s:email)\\r\\n");
    sl_send_reply("299", "Done");
}
"""


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def make_database(path: Path) -> None:
    """Kamailio's table of subscribers, with some."""
    with sqlite3.connect(path) as db:
        db.executescript(
            """CREATE TABLE version (id INTEGER PRIMARY KEY, table_name VARCHAR(32), table_version INTEGER);
            INSERT INTO version (table_name, table_version) VALUES ('version', 1), ('subscriber', 7);
            CREATE TABLE subscriber (id INTEGER PRIMARY KEY, username VARCHAR(64), domain VARCHAR(64),
                password VARCHAR(64), ha1 VARCHAR(128), ha1b VARCHAR(128), number INTEGER, email VARCHAR(64));"""
        )
        for user, domain, password, number, email in (
            ("alice", "a.com", "secret", 7, "alice@example.org"),
            ("bob", "b.com", "other", None, ""),
            ("o'neil", "a.com", "quote", 9, "x"),
        ):
            db.execute(
                "INSERT INTO subscriber (username, domain, password, ha1, ha1b, number, email) VALUES (?,?,?,?,?,?,?)",
                (user, domain, password, md5(f"{user}:a.com:{password}"), md5(f"{user}@{domain}:a.com:{password}"),
                 number, email),
            )  # fmt: skip


class Asker:
    """A phone that asks one server, and keeps what it answers."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.said: list[str] = []

    def ask(self, user: str, method: str = "MESSAGE", headers: str = "", of: str = "alice", to: str = "alice") -> str:
        """The answer to one request, all of it."""
        with socket.socket(type=socket.SOCK_DGRAM) as s:
            s.bind((HOST, 0))
            s.settimeout(5)
            branch = os.urandom(6).hex()
            via = f"SIP/2.0/UDP {HOST}:{s.getsockname()[1]};branch=z9hG4bK{branch}"
            request = (
                f"{method} sip:{user}@{HOST}:{self.port} SIP/2.0\r\nVia: {via}\r\nFrom: <sip:{of}@a.com>;tag=1\r\n"
                f"To: <sip:{to}@a.com>\r\nCall-ID: {branch}\r\nCSeq: 1 {method}\r\n{headers}Content-Length: 0\r\n\r\n"
            )
            s.sendto(request.encode(), (HOST, self.port))
            answer = s.recv(65535).decode()
        found = re.search(r"X-Out: (.*)\r\n", answer)
        self.said.append(f"{user} {method} {of} {to}: {found[1] if found else answer.splitlines()[0]}")
        return answer

    def credentials(
        self, method: str = "MESSAGE", user: str = "alice", password: str = "secret", header: str = "Authorization"
    ) -> str:
        """Credentials by a fresh challenge."""
        found = re.search('nonce="([^"]*)"', self.ask("challenge"))
        assert found is not None
        response = md5(f"{md5(f'{user}:a.com:{password}')}:{found[1]}:{md5(f'{method}:sip:x')}")
        return (
            f'{header}: Digest username="{user}", realm="a.com", nonce="{found[1]}", uri="sip:x",'
            f' response="{response}"\r\n'
        )


def talk(asker: Asker) -> None:
    """Everything, right and wrong."""
    asker.ask("www")
    for user, password in (
        ("alice", "secret"), ("alice", "wrong"), ("alice@a.com", "secret"), ("bob", "other"), ("nobody", "x"),
        ("bob@b.com", "other"), ("alice@b.com", "secret"), ("o'neil", "quote"), ("' OR '1'='1", "x"),
    ):  # fmt: skip
        asker.ask("www", headers=asker.credentials(user=user, password=password))
        asker.ask("proxy", headers=asker.credentials(user=user, password=password, header="Proxy-Authorization"))
    asker.ask("other", headers=asker.credentials("OTHER"))
    for name in ("check0", "check1", "check3"):
        for method in ("REGISTER", "MESSAGE", "SUBSCRIBE", "PUBLISH", "CANCEL"):
            for header in ("Authorization", "Proxy-Authorization"):
                for of, to in (("alice", "alice"), ("alice", "zed"), ("zed", "alice")):
                    asker.ask(name, method, asker.credentials(method, header=header), of, to)
    for name in ("is", "isd", "is2"):
        for uri in ("sip:alice@a.com", "sip:alice@b.com", "sip:bob@b.com", "sip:a.com", "nonsense", "sip:o'neil@a.com"):
            asker.ask(name, headers=f"X-Uri: {uri}\r\n")


PARAMS = {
    "ha1": "",
    "plain": 'modparam("auth_db", "calculate_ha1", 1)\nmodparam("auth_db", "password_column", "password")',
    "domain": 'modparam("auth_db", "use_domain", 1)',
    "always loaded": 'modparam("auth_db", "force_generate_avps", 1)',
}


@pytest.fixture
def serve(tmp_path: Path) -> Callable[[str, str], list[str]]:
    def work(kind: str, params: str) -> list[str]:
        database = tmp_path / f"{kind}.sqlite"
        make_database(database)
        directory = tmp_path / kind
        directory.mkdir()
        cfg = directory / "test.cfg"
        cfg.write_text(CFG.replace("@DB", str(database)).replace("@PARAMS", params))
        with ServerProcess(kind, directory, cfg) as server:
            asker = Asker(server.port)
            talk(asker)
        return asker.said

    return work


@pytest.mark.skipif(bool(missing("kamailio")), reason=missing("kamailio"))
@pytest.mark.parametrize("params", PARAMS)
def test_subscribers_as_kamailio_has_them(serve: Callable[[str, str], list[str]], params: str) -> None:
    theirs, ours = serve("kamailio", PARAMS[params]), serve("kahea", PARAMS[params])
    assert ours == theirs
