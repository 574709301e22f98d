"""A database of aliases, short numbers and domains, and requests that ask for them: for alias_db, speeddial, domain.

The rows and the requests are made by chance from few names, so that most questions have an answer, or nearly.
"""

from __future__ import annotations

import random
import sqlite3
from dataclasses import dataclass
from pathlib import Path

USERS = ("a", "b", "c", "A", "sip.a", "o'neil", "%61", "+49", "x;y=1", "a_b", "%", "*", "0", "11", "12")
HOSTS = ("d1", "d2", "D1", "sip.d1", "sip.", "10.0.0.1", "[::1]", "a-b.example", "d1.", "sip.sip.d1")
OWNERS = ("u1", "u2", "u3", "o'brien", "")
HOMES = ("x1", "x2", "X1", "sip.x1", "10.0.0.9", "x1:5070", "")
TARGETS = (
    "sip:one@x1", "two@x2", "SIP:three@x3", "sips:four@x4", "tel:+5", "", "sip:", "<sip:six@x6>", "si",
    "sip:p@x;lr?h=v", "sip:a@@b", "x",
)  # fmt: skip
FORMS = (
    "sip:{u}@{h}", "sip:{u}@{h}", "sip:{u}@{h}", "sips:{u}@{h}", "sip:{u}:pw@{h}:5070;transport=tcp", "sip:{h}",
    "tel:{u}", "sip:{u}@{h};user=phone", "sip:{u}@{h}?x=y",
)  # fmt: skip
ODD = ("", "bogus", "a@d1", "<sip:a@d1>", '"A" <sip:a@d1>', "sip:", "sip:@d1", "urn:a:b", "http://a@d1", "sip:a@")
TABLES = ("nowhere", "version", "dbaliases;", "speed_dial", "main.dbaliases", "domain")
FLAGS = ("d", "r", "u", "rd", "ru", "dr", "du", "ud", "D", "RU", "dd", "")

DOMAINS = (
    ("d1", None), ("D2", "did2"), ("d4", "did2"), ("Mixed.Example", None), ("10.0.0.1", None), ("[::1]", "v6"),
    ("::2", "v6b"), ("d6.", "dot"), ("d7:5060", "port"), ("*.d8", "star"), ("d9", "none"), ("o'd", None),
    ("Dup", "first"), ("dup", "second"), ("ü", "u"), ("x" * 60, "long"), ("9", None),
)  # fmt: skip
ATTRIBUTES = (
    ("d1", "a", 2, "x1"), ("d1", "n", 0, "42"), ("d1", "a", 2, "x2"), ("did2", "b", 2, "bb"), ("did2", "n", 0, "-7"),
    ("DID2", "b", 2, "other"), ("d1", "1", 2, "one"), ("first", "a", 2, "1st"), ("second", "a", 2, "2nd"),
    ("v6", "did", 2, "mine"), ("v6", "n", 0, ""), ("port", "n", 0, "+5"), ("Mixed.Example", "a", 2, ""),
    ("mixed.example", "b", 2, "lower"), ("orphan", "a", 2, "x"), ("u", "a", 2, "ü"), ("dot", "i:1", 2, "number"),
    ("star", "n", 0, "2147483647"), ("long", "s:a", 2, "typed"), ("none", "n", 0, "007"),
)  # fmt: skip

SCHEMA = """
create table version (id integer primary key, table_name varchar(32) not null, table_version integer default 0);
insert into version (table_name, table_version) values ('version', 1), ('domain', 2), ('domain_attrs', 1),
  ('served', 2), ('traits', 1);
create table dbaliases (id integer primary key, alias_username varchar(64) default '' not null,
  alias_domain varchar(64) default '' not null, username varchar(64) default '' not null,
  domain varchar(64) default '' not null);
create table speed_dial (id integer primary key, username varchar(64) default '' not null,
  domain varchar(64) default '' not null, sd_username varchar(64) default '' not null,
  sd_domain varchar(64) default '' not null, new_uri varchar(255) default '' not null);
create table domain (id integer primary key, domain varchar(64) not null, did varchar(64) default null);
create table domain_attrs (id integer primary key, did varchar(64) not null, name varchar(32) not null,
  type integer not null, value varchar(255) not null);
"""
#: The tables under the names that `RENAMED` gives them and their columns.
COPIES = """
create table served (fqdn varchar(64), number varchar(64));
insert into served select domain, did from domain order by id;
create table traits (number varchar(64), called varchar(32), kind integer, content varchar(255));
insert into traits select did, name, type, value from domain_attrs order by id;
create table also (au varchar(64), ad varchar(64), uu varchar(64), ud varchar(64));
insert into also select alias_username, alias_domain, username, domain from dbaliases order by id;
create table short (uu varchar(64), ud varchar(64), su varchar(64), sd varchar(64), target varchar(255));
insert into short select username, domain, sd_username, sd_domain, new_uri from speed_dial order by id;
"""
RENAMED = {
    "alias_db": {
        "alias_user_column": "au", "alias_domain_column": "ad", "user_column": "uu", "domain_column": "ud",
        "use_domain": 1,
    },
    "speeddial": {
        "user_column": "uu", "domain_column": "ud", "sd_user_column": "su", "sd_domain_column": "sd",
        "new_uri_column": "target", "use_domain": 2,
    },
    "domain": {
        "domain_table": "served", "domain_attrs_table": "traits", "did_col": "number", "domain_col": "fqdn",
        "name_col": "called", "type_col": "kind", "value_col": "content",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Ask:
    """One request: what it calls for, its URI, the URI in From, and more headers."""

    kind: str
    uri: str = "sip:a@d1"
    caller: str = "sip:u1@x1"
    table: str = ""
    given: str = ""
    flags: str = ""
    prefix: str = ""

    @property
    def headers(self) -> str:
        """All of it as lines of headers; those that are empty, too."""
        lines = {"Kind": self.kind, "Table": self.table, "Given": self.given, "Flags": self.flags, "P": self.prefix}
        return "".join(f"X-{name}: {value}\r\n" for name, value in lines.items())


def make_database(path: Path, chance: random.Random) -> None:
    """The tables, filled."""
    with sqlite3.connect(path) as db:
        db.executescript(SCHEMA)
        aliases = [
            (chance.choice(USERS), chance.choice(HOSTS), chance.choice(OWNERS), chance.choice(HOMES))
            for _ in range(180)
        ]
        aliases += [("many", "d1", f"m{i}", "x1") for i in range(9)] + [
            ("most", "d1", f"m{i}", "x1") for i in range(15)
        ]
        insert = "insert into dbaliases (alias_username, alias_domain, username, domain) values (?, ?, ?, ?)"
        db.executemany(insert, aliases)
        numbers = [
            (chance.choice(OWNERS), chance.choice(HOMES), chance.choice(USERS), chance.choice(HOSTS), target)
            for _ in range(20)
            for target in TARGETS
        ]
        insert = "insert into speed_dial (username, domain, sd_username, sd_domain, new_uri) values (?, ?, ?, ?, ?)"
        db.executemany(insert, numbers)
        db.executemany("insert into domain (domain, did) values (?, ?)", DOMAINS)
        db.executemany("insert into domain_attrs (did, name, type, value) values (?, ?, ?, ?)", ATTRIBUTES)
        db.executescript(COPIES)


def _uri(chance: random.Random, users: tuple[str, ...], hosts: tuple[str, ...]) -> str:
    return chance.choice(FORMS).format(u=chance.choice(users), h=chance.choice(hosts) or "d1")


def asks(chance: random.Random, count: int, aliases: str = "dbaliases", numbers: str = "speed_dial") -> list[Ask]:
    """Questions of every kind."""
    owners = tuple(filter(None, OWNERS))
    homes = tuple(home for home in HOMES if home and ":" not in home)
    made = [
        *(Ask(kind, "sip:many@d1", table=aliases, given="sip:many@d1") for kind in ("lookup", "find", "find_flags")),
        *(Ask(kind, "sip:most@d1", table=aliases, given="sip:most@d1") for kind in ("lookup", "find", "find_flags")),
        *(Ask("lookup_flags", table=aliases, flags=flags) for flags in FLAGS),
        *(Ask("find", table=aliases, given=uri) for uri in ODD),
        *(Ask("dial_for", table=numbers, given=uri) for uri in ODD),
        *(Ask(kind, table=table, given="sip:a@d1") for kind in ("lookup", "find", "dial") for table in ("", *TABLES)),
        Ask("lookup", "sip:a@d1", table=aliases, prefix="branch"),
        *(Ask("from", caller=uri) for uri in ("sip:a@d1", "sip:D1", "tel:1", "bogus", "sip:@d1", "sips:a@dup")),
        *(Ask("host", uri) for uri in ("sip:a@d1", "sip:[::1]", "urn:a:b", "tel:1", "sip:a@D2:99;x", "sip:a@none")),
    ]  # fmt: skip
    names = [name for name, _ in DOMAINS] + [
        "D1",
        "d1.",
        "sub.d1",
        "dUP",
        "mIXED.example",
        "",
        "Ü",
        "::1",
        "[::2]",
        "d7",
    ]
    made += [Ask(kind, f"sip:a@{name or 'd1'}", given=name, prefix=p) for name in names
             for kind, p in (("local", ""), ("domain", ""), ("prefixed", "p_"), ("prefixed", ""))]  # fmt: skip
    while len(made) < count:
        uri, caller = _uri(chance, USERS, HOSTS), _uri(chance, owners, homes)
        other = _uri(chance, *((USERS, HOSTS) if chance.random() < 0.7 else (owners, homes)))
        flags = chance.choice(FLAGS)
        kind = chance.choice(("lookup", "lookup_flags", "find", "find_flags", "dial", "dial", "dial_for"))
        if kind == "dial_for":
            other = _uri(chance, owners, homes)
        if kind == "lookup_flags" and "r" in flags.lower():
            uri = _uri(chance, owners, homes)
        made.append(Ask(kind, uri, caller, numbers if kind.startswith("dial") else aliases, other, flags))
    return made


__all__ = ["COPIES", "FLAGS", "RENAMED", "Ask", "asks", "make_database"]
