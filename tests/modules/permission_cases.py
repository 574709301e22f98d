"""What the module permissions is asked, of Kamailio and of ours: tables, files, messages, and the cfg that asks."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path

from processes import Server

SQLITE = Path("/usr/share/kamailio/db_sqlite/permissions-create.sql")
MODULES = ("corex", "textops", "siputils", "db_sqlite", "permissions")

Row = tuple[object, ...]

_numbers = count(1)

#: group, address, mask, port, tag
ADDRESSES: list[Row] = [
    (1, "127.0.0.1", 32, 0, "any port"), (1, "127.0.0.1", 32, 5060, None), (2, "127.0.0.0", 8, 0, "loopback"),
    (2, "127.0.0.1", 32, 5061, "other"), (3, "10.0.0.1", 0, 0, "zero mask"), (4, "10.0.0.77", 24, 0, "host bits"),
    (4, "10.0.0.77", 31, 5060, "31"), (6, "2001:db8::1", 128, 0, "six"), (6, "2001:DB8:0:0::2", 32, 0, "upper"),
    (6, "[2001:db8::3]", 128, 5070, "brackets"), (6, "2001:db9::1", 0, 0, "six/0"), (6, "2001:dbb::", 64, 0, "six/64"),
    (7, "example.com", 32, 0, "name"), (7, "Example.ORG", 32, 5060, "case"), (7, "gw.example.net", 0, 0, None),
    (7, "gw.example.net", 99, 5060, "mask of a name"), (8, "gw.example.net", -4, 5060, "later"), (9, "", 32, 0,
    "empty"),
    (9, "010.001.001.001", 32, 0, "zeros"), (9, "10.3.3.3", 32, 70000, "port"), (10, " 10.4.4.4", 32, 0, "space"),
    (12, "0.0.0.0", 0, 0, "all?"), (13, "0.0.0.0", 1, 0, "low half"), (13, "::", 1, 0, "low half"),
    (14, "10.6.6.6", 32, 0, ""), (14, "10.6.7.0", 24, 0, ""), (14, "empty.example", 0, 0, ""),
    (15, "10.7.7.7", 32, 0, "first"), (15, "10.7.7.7", 32, 0, "second"), (15, "10.7.7.0", 24, 0, "net"),
    (16, "10.7.7.0", 24, 5060, "n1"), (16, "10.7.0.0", 16, 0, "n2"), (16, "10.7.0.0", 16, 0, "n3"),
    (16, "10.7.0.0", 15, 0, None), (11, "10.7.0.0", 12, 0, "lower group"), ("5x", "10.8.8.8", "x", "", 7),
]  # fmt: skip
#: Rows that keep the whole table from being loaded.
BAD_ADDRESSES: list[Row] = [
    (1, "10.1.0.0", 33, 0, "x"), (1, "10.2.0.0", -1, 0, "x"), (1, "2001:dba::1", 129, 0, "x"), (0, "10.8.8.8", 32, 0,
    "x"),
    (-1, "10.8.8.8", 32, 0, "x"), (None, "10.8.8.8", 32, 0, "x"), (1, None, 32, 0, "x"), (1, "10.8.8.8", None, 0, "x"),
    (1, "10.8.8.8", 32, None, "x"),
]  # fmt: skip
#: source, protocol, patterns of From and Request-URI, tag, priority
TRUSTED: list[Row] = [
    ("127.0.0.1", "tcp", None, None, "t4", 9), ("127.0.0.1", "none", None, None, "t5", 10),
    ("127.0.0.1", "any", "^sip:nobody", "^sip:bob", None, 7), ("127.0.0.1", "any", "^sip:carol", "^sip:bob", None, 6),
    ("127.0.0.1", "udp", "^sip:alice@", None, "t2", 5), ("127.0.0.1", "UDP", None, "^sip:bob@", "t3", 3),
    ("127.0.0.1", "any", "sip:(alice|carol)@", None, "plain", 4), ("10.1.1.1", "tls", "", "", "t6", 0),
    ("127.0.0.1", "any", "sip:\\(alice\\|zed\\)@", None, "groups", 4), ("127.0.0.1", "any", "z+e?d{1}", None, "signs",
    2),
    ("127.0.0.1", "any", "z\\+e\\?d\\{1\\}@", None, "quoted", 1), ("127.0.0.1", "any", "*z", None, "star", 1),
    ("127.0.0.1", "any", "\\(*z\\)", None, "star", 1), ("127.0.0.1", "any", "a^z", None, "caret", 1),
    ("127.0.0.1", "any", "SIP:ALICE", None, "case", 8), ("127.0.0.1", "any", "[[:alpha:]]*c[]a]rol", None, "set", 1),
    ("10.1.1.1", "ws", None, None, "t7", 0), ("10.1.1.1", "wss", None, None, "t8", 0),
    ("10.1.1.1", "sctp", None, None, "t9", 0), ("gw.example.com", "any", None, None, "t10", 0),
    ("::1", "any", None, None, "t11", 0), ("10.2.2.2", "any", None, None, "p1", 1), ("10.2.2.2", "any", None, None,
    "p5", 5),
    ("10.2.2.2", "any", None, None, "p9", 9), ("10.2.2.2", "any", None, None, None, 7), ("10.2.2.2", "any", None,
    None, "", 8),
]  # fmt: skip
#: As in the file of addresses, each between two good lines.
LINES = [
    "1 10.0.0.1 32 0 tag1", "1 10.0.0.1 24", "1 10.0.0.1 24 5060", "1 10.0.0.1 24 5060 t;a=b,c extra",
    "1\t10.0.0.1\t24\t5060\ttag", "  1   10.0.0.2   32   0  x  # comment", "# comment", "   # c", "1 10.0.0.1 # 24",
    "1 10.0.0.1 0 0", "1 10.0.0.1 33", "1 10.0.0.1 -1", "0 10.0.0.1", "1", "1 example.com",
    "1 example.com 240 5060 tag",
    "3 [1:5ee::900d:c0de]", "3 1:5ee::900d:c0de 64", "3 [1:5ee::900d:c0de] 129 1 t", "1 10.0.0.1 x", "1 10.0.0.1 32 x",
    "1 10.0.0.1 32 99999", "1 10.0.0.1#c", "1 10.0.0.1 32#c", "1 10.0.0.1 32 0 tag#c", "1 10.0.0.1/24",
    "1 10.0.0.1 32x",
    "1 10.0.0.1 32 5x tag", "1 10.0.0.1 32 0 t\r", "\r", "1 1.2.3", "1 1.2.3.4.5", "1 0x1.2.3.4", "1 ::", "1 1::2::3",
    "1 [::1", "1 fe80::1%eth0", "1 1:2:3:4:5:6:7:8", "1 1:2:3:4:5:6:7", "1 :1", "1 :::", "1 g::1", "",
]  # fmt: skip
#: Each is a file of rules that deny.
RULES = [
    "ALL : ALL", "ALL", "ALL :", "ALL:ALL", "  ALL  :  ALL  # c", "# x", '"alice" : ALL', "alice : ALL",
    '"ALICE" : ALL',
    '"alice","carol" : ALL', '"alice", "carol" : "bob"', 'ALL EXCEPT "alice" : ALL', 'ALL : ALL EXCEPT "bob"',
    'ALL EXCEPT "alice", "carol" : ALL EXCEPT "bob","joe"', '"a" EXCEPT "alice" : ALL', 'ALL , "q9" : ALL',
    'EXCEPT "x" : ALL', "ALL EXCEPT ALL : ALL", "ALL EXCEPT : ALL", '"alice" "carol" : ALL', '"(alice|carol)" : ALL',
    '"^sip:alice@example\\.com$" : ALL', '"alice" : "bob" : "joe"', '"sip:alice" : "sip:bob"', '"alice : ALL',
    '"" : ALL',
    'ALL : ""', "all : all", '"[" : ALL', '"[" : ALL\n"alice" : ALL', '"alice" :ALL # "x"', '"al#ice" : ALL',
    'ALL EXCEPT "alice" EXCEPT "carol" : ALL', '"alice",: ALL', ', "alice": ALL', '"alice"EXCEPT"carol":ALL',
    "ALL\t:\tALL", "ALL : ALL\r", 'ALL except "alice" : ALL', '"a+lice" : ALL', ": ALL", '"al{1}ice" : ALL',
    '"a,b" : ALL', '"alice"  EXCEPT  "x" : ALL', 'ALL\tEXCEPT "alice" : ALL', 'ALL EXCEPT "alice", ALL : ALL',
    "ALL : ALL EXCEPT", 'ALL : EXCEPT "x"', '"a" : ALL\nALL : "bob"', '"alice"x : ALL', 'ALL : ALL # "',
    '"alice" # : ALL',
    '"^sip:alice@example.com;x=y$" : ALL', 'ALL : "^sip:bob@x$"', 'ALL : "^sip:bob@x:5070;p=1$"',
    'ALL : "^sip:bob:pw@x"',
    'ALL : "^sip:x$"', 'ALL : "^sip:@x$"', 'ALL : "^sips:"', 'ALL : "^tel:"', 'ALL : "^$"', 'ALL : "."', 'ALL : "joe"',
    '"^sip:bob@example.com$" : ALL', '"^sip:bob@example.com;t=u$" : ALL', 'ALL : "^sip:bob@\\[::1\\]$"',
]  # fmt: skip
FROMS = (
    "<sip:alice@example.com>", "<sip:carol@example.com>", "<sip:ball@q9>", '"Alice" <sip:ALICE@example.com;x=y>;p=q',
    "<sip:a,b@q>", "sip:alice@example.com;x=y",
)  # fmt: skip
URIS = (
    "sip:bob@x",
    "sip:joe@x",
    "sip:bob@x:5070;p=1",
    "sip:bob:pw@x",
    "sip:x",
    "sips:bob@x",
    "tel:123",
    "sip:bob@[::1]",
)
CONTACTS = (
    "", "Contact: <sip:bob@x>", 'Contact: "J" <sip:bob@x:5070;p=1>;q=1', "Contact: *",
    "Contact: <sip:bob:pw@x>,<sip:joe@x>",
    "Contact: <sip:q@q>\r\nContact: <sip:joe@y>", "Contact: bad bad", "Contact: <tel:1>", "Contact: <sip:x>",
)  # fmt: skip

#: In a request, X-F says what to ask, and X-A to X-C for what.
ASKING = """
    case "addr": allow_address("$(hdr(X-A){s.int})", "$hdr(X-B)", "$(hdr(X-C){s.int})"); $var(rc) = $rc; break;
    case "group": allow_address_group("$hdr(X-A)", "$(hdr(X-B){s.int})"); $var(rc) = $rc; break;
    case "source": allow_source_address("$(hdr(X-A){s.int})"); $var(rc) = $rc; break;
    case "source1": allow_source_address(); $var(rc) = $rc; break;
    case "sourcegroup": allow_source_address_group(); $var(rc) = $rc; break;
    case "trusted": allow_trusted(); $var(rc) = $rc; break;
    case "trusted2": allow_trusted("$hdr(X-A)", "$hdr(X-B)"); $var(rc) = $rc; break;
    case "trusted3": allow_trusted("$hdr(X-A)", "$hdr(X-B)", "$hdr(X-C)"); $var(rc) = $rc; break;
"""
CFG = """
@PARAMS
request_route {
    $var(rc) = 0;
    $var(tags) = "";
    if ($hdr(X-Branch) != $null) append_branch("$hdr(X-Branch)");
    switch ($hdr(X-F)) {
@CASES
    }
    if ($avp(tag) != $null) $var(tags) = "+" + $(avp(tag)[*]);
    sl_send_reply("200", "rc=$var(rc) tags=$var(tags)");
}
"""


def params(**given: int | str) -> str:
    """Parameters of the module."""
    lines = [
        f'modparam("permissions", "{k}", {v if isinstance(v, int) else chr(34) + v + chr(34)})'
        for k, v in given.items()
    ]
    return "\n".join(lines)


def cfg(parameters: str, cases: str) -> str:
    """A cfg that answers with the return code and the tags."""
    return CFG.replace("@PARAMS", parameters).replace("@CASES", cases)


def database(path: Path, addresses: Iterable[Row], trusted: Iterable[Row]) -> None:
    """Kamailio's tables in a file, without its constraints."""
    with contextlib.closing(sqlite3.connect(path)) as c:
        c.executescript((SQLITE.parent / "standard-create.sql").read_text())
        c.executescript(SQLITE.read_text().replace(" NOT NULL", ""))
        fill(c, addresses, trusted)


def fill(c: sqlite3.Connection, addresses: Iterable[Row], trusted: Iterable[Row]) -> None:
    """Put rows in place of those that are there."""
    c.executescript("delete from address; delete from trusted;")
    c.executemany("insert into address (grp, ip_addr, mask, port, tag) values (?, ?, ?, ?, ?)", addresses)
    c.executemany(
        "insert into trusted (src_ip, proto, from_pattern, ruri_pattern, tag, priority) values (?, ?, ?, ?, ?, ?)",
        trusted,
    )
    c.commit()


def random_rows(many: int, chance: random.Random) -> list[Row]:
    """Addresses that lie close together, in no order."""
    rows: list[Row] = []
    for number in range(many):
        group, port = chance.randint(20, 29), chance.choice((0, 0, 0, 5060, 5061, 65535))
        if chance.random() < 0.25:
            host, mask = (
                f"fd00::{chance.randint(0, 3)}:{chance.randint(0, 3)}",
                chance.choice((0, 128, 127, 112, 96, 64, 1)),
            )
        else:
            host = f"172.16.{chance.randint(0, 3)}.{chance.randint(0, 7)}"
            mask = chance.choice((0, 32, 32, 31, 30, 29, 24, 23, 22, 17, 12, 1))
        rows.append((group, host, mask, port, f"r{number}" if chance.random() < 0.8 else None))
    return rows


def random_questions(many: int, chance: random.Random) -> list[tuple[str, ...]]:
    """Questions about such addresses."""
    out: list[tuple[str, ...]] = []
    for _ in range(many):
        host = f"172.16.{chance.randint(0, 4)}.{chance.randint(0, 9)}"
        if chance.random() < 0.25:
            host = chance.choice(("fd00::{}:{}", "FD00:0::{}:{}", "[fd00::{}:{}]")).format(
                chance.randint(0, 4), chance.randint(0, 4)
            )
        port = str(chance.choice((0, 5060, 5061, 5062, 65535)))
        out.append(
            ("group", host, port) if chance.random() < 0.3 else ("addr", str(chance.randint(19, 30)), host, port)
        )
    return out


def ask(server: Server, question: Sequence[str], *, method: str = "OPTIONS", uri: str = "sip:bob@example.com",
        sender: str = FROMS[0], to: str = "<sip:bob@example.com>", headers: str = "") -> str:  # fmt: skip
    """What the cfg answers to a question: the return code and the tags."""
    number = next(_numbers)
    lines = [
        f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/UDP @CALLER;branch=z9hG4bKcaller{number}",
        f"From: {sender}{'' if ';tag=' in sender else ';tag=f'}", f"To: {to}", f"Call-ID: q{number}",
        f"CSeq: 1 {method}",
        f"X-F: {question[0]}", *(f"X-{n}: {v}" for n, v in zip("ABC", question[1:], strict=False)), headers,
        "Content-Length: 0", "", "",
    ]  # fmt: skip
    server.caller.send("\r\n".join(line for i, line in enumerate(lines) if line or i >= len(lines) - 2))
    while f"\r\nCall-ID: q{number}\r\n" not in (answer := server.caller.receive()):
        pass
    return answer.split("\r\n")[0].removeprefix("SIP/2.0 200 ")
