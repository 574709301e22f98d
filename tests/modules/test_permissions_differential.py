"""The module permissions beside real Kamailio's, as processes with one cfg, and tables and files of their own."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from pathlib import Path

import pytest
from permission_cases import (
    ADDRESSES,
    ASKING,
    BAD_ADDRESSES,
    CONTACTS,
    FROMS,
    LINES,
    MODULES,
    RULES,
    SQLITE,
    TRUSTED,
    URIS,
    ask,
    cfg,
    database,
    fill,
    params,
    random_questions,
    random_rows,
)
from processes import KAMAILIO, Server, compared

pytestmark = pytest.mark.skipif(
    KAMAILIO is None or not SQLITE.exists(), reason="kamailio with its sqlite modules is not installed"
)

TABLES = {"db_url": "sqlite:///{folder}.db", "peer_tag_avp": "$avp(tag)", "reload_delta": 0}


def tables(folder: Path, addresses: list[tuple[object, ...]], trusted: list[tuple[object, ...]]) -> None:
    """A database for each of the two."""
    for name in ("kamailio", "kahea"):
        database(folder / f"{name}.db", addresses, trusted)


#: Commands for which Kamailio puts everything into one structure, where names come again and again.
ONE_STRUCTURE = ("domainDump", "trustedDump")


def rpc(server: Server, name: str, *words: str) -> list[str]:
    """What kamcmd prints for a command, by words."""
    printed = server.rpc(f"permissions.{name}", *words).split()
    return [word for word in printed if word not in "{}"] if name in ONE_STRUCTURE else printed


def same(theirs: dict[str, object], ours: dict[str, object], at_least: int) -> None:
    """Both have the same answers, and enough of them."""
    assert len(theirs) >= at_least
    different = [
        f"{asked}: {theirs[asked]} there, {ours[asked]} here" for asked in theirs if theirs[asked] != ours[asked]
    ]
    assert not different, "\n".join(different)


QUESTIONS = [
    ("source1",), ("sourcegroup",), *(("source", str(g)) for g in (0, 1, 2, 3, 99)),
    *(
        ("addr", str(group), str(host).strip(), port)
        for group, host, *_ in ADDRESSES for port in ("0", "5060", "5061", "70000", "-1")
    ),
    *(("group", str(host).strip(), port) for _, host, *_ in ADDRESSES for port in ("0", "5060", "70000")),
    ("addr", "4", "10.0.0.76", "5060"), ("addr", "4", "10.0.0.255", "1"), ("addr", "4", "10.0.1.0", "1"),
    ("addr", "6", "2001:db8:ffff::1", "1"), ("addr", "6", "2001:db8::3", "5070"), ("addr", "6", "2001:db9::2", "1"),
    ("addr", "7", "EXAMPLE.com", "1"), ("addr", "7", "example.com.", "1"), ("addr", "13", "200.1.1.1", "1"),
    ("addr", "16", "10.7.7.8", "5060"), ("addr", "16", "10.6.255.255", "1"), ("addr", "1", "sip:127.0.0.1", "0"),
    ("group", "10.7.7.8", "5060"), ("group", "10.7.7.8", "1"), ("group", "8000::", "1"),
]  # fmt: skip
PEERS = [
    ("trusted",),
    *(("trusted2", host, proto) for host in ("127.0.0.1", "10.1.1.1", "10.2.2.2") for proto in
      ("udp", "UDP", "any", "tcp", "tls", "ws", "wss", "sctp", "foo", "none", "")),
    *(("trusted2", host, "tcp") for host in ("gw.example.com", "::1", "[::1]", "0:0::1", "", "10.9.9.9")),
    *(("trusted3", "127.0.0.1", "udp", uri) for uri in
      ("sip:alice@x", "sip:zzed@x", "zz", "*z", "a^z", "zed", "z+e?d{1}", "", "<sip:alice@x>", "sip:(alice|carol)@",
      "xc]rol")),
]  # fmt: skip


def test_tables(tmp_path: Path) -> None:
    chance = random.Random(5)
    rows = ADDRESSES + random_rows(150, chance)
    questions = QUESTIONS + random_questions(400, chance)
    tables(tmp_path, rows, TRUSTED)

    def scenario(server: Server) -> dict[str, object]:
        out: dict[str, object] = {str(q): ask(server, q) for q in questions + PEERS}
        for sender in FROMS:
            for uri in ("sip:bob@x", "sip:joe@x"):
                out[f"trusted {sender} {uri}"] = ask(server, ("trusted",), sender=sender, uri=uri)
        for name in ("addressDump", "subnetDump", "domainDump", "trustedDump"):
            out[name] = rpc(server, name)
        with contextlib.closing(sqlite3.connect(f"{server.folder}.db")) as c:
            for row in BAD_ADDRESSES:
                fill(c, [*ADDRESSES[:3], row], TRUSTED)
                out[f"reload {row}"] = rpc(server, "addressReload"), len(rpc(server, "addressDump"))
            fill(c, ADDRESSES[:3], [("127.0.0.1", "foo", None, None, "x", 0)])
            out["reload bad peers"] = rpc(server, "trustedReload"), len(rpc(server, "trustedDump"))
            fill(c, ADDRESSES[:3], TRUSTED[:3])
            for name in ("addressReload", "trustedReload", "addressDump", "subnetDump", "domainDump", "trustedDump"):
                out[f"{name} again"] = rpc(server, name)
            fill(c, (), ())
            for name in ("addressReload", "trustedReload", "addressDump", "subnetDump", "domainDump", "trustedDump"):
                out[f"{name} empty"] = rpc(server, name)
        out["nothing"] = [ask(server, q) for q in QUESTIONS[:9] + PEERS[:9]]
        return out

    parameters = params(**TABLES, db_mode=1, max_subnets=140)
    theirs, ours = compared(tmp_path, cfg(parameters, ASKING), MODULES, scenario)
    same(theirs, ours, 700)


def test_peers_are_asked_for_in_the_database(tmp_path: Path) -> None:
    # A row that is switched off stays so in ours; Kamailio finds it when it is asked for any protocol.
    tables(tmp_path, ADDRESSES, [row for row in TRUSTED if row[1] != "none"])

    def scenario(server: Server) -> dict[str, object]:
        out: dict[str, object] = {str(q): ask(server, q) for q in PEERS}
        for sender in FROMS:
            out[f"trusted {sender}"] = ask(server, ("trusted",), sender=sender)
        for name in ("trustedDump", "trustedReload"):
            out[name] = rpc(server, name)
        return out

    theirs, ours = compared(tmp_path, cfg(params(**TABLES, peer_tag_mode=1), ASKING), MODULES, scenario)
    same(theirs, ours, 50)


def test_a_file_of_addresses(tmp_path: Path) -> None:
    for name in ("kamailio", "kahea"):
        (tmp_path / f"{name}.list").write_text("1 127.0.0.1 # the caller\n")
    parameters = params(address_file="{folder}.list", reload_delta=0)

    def scenario(server: Server) -> dict[str, object]:
        out: dict[str, object] = {str(q): ask(server, q) for q in (*QUESTIONS[:9], ("trusted",))}
        path = Path(f"{server.folder}.list")
        for line in LINES:
            path.write_text(f"7 7.7.7.7\n{line}\n8 8.8.8.8", newline="")
            answer = rpc(server, "addressReload")
            dumps = [rpc(server, name) for name in ("addressDump", "subnetDump")] if "OK" in answer else []
            out[line] = answer, dumps, rpc(server, "domainDump")
        path.unlink()
        for name in ("addressReload", "trustedReload", "trustedDump"):
            out[name] = rpc(server, name)
        return out

    theirs, ours = compared(tmp_path, cfg(parameters, ASKING), MODULES, scenario)
    same(theirs, ours, 50)


def test_without_any_table(tmp_path: Path) -> None:
    def scenario(server: Server) -> dict[str, object]:
        out: dict[str, object] = {str(q): ask(server, q) for q in (*QUESTIONS[:9], *PEERS[:3])}
        for name in ("addressDump", "subnetDump", "domainDump", "trustedDump", "addressReload", "trustedReload"):
            out[name] = rpc(server, name)
        return out

    theirs, ours = compared(tmp_path, cfg("", ASKING), MODULES, scenario)
    same(theirs, ours, 18)


#: Kamailio has room for 64 files.
HALF = len(RULES) // 2


@pytest.mark.parametrize(("all_branches", "rules_of"), [(1, RULES[:HALF]), (0, RULES[HALF:])], ids=["all", "first"])
def test_files_of_rules(tmp_path: Path, all_branches: int, rules_of: list[str]) -> None:
    cases = [
        f'    case "{kind}{i}": {call.format(f"{{folder}}.f{i}")}; $var(rc) = $rc; break;'
        for i in range(len(rules_of))
        for kind, call in (
            ("uri", 'allow_uri("{}", "$hdr(X-A)")'),
            ("routing", 'allow_routing("{}")'),
            ("register", 'allow_register("{}")'),
        )
    ]
    more = {
        "two": 'allow_routing("{folder}.nothing", "{folder}.all.deny")',
        "same": 'allow_routing("{folder}.same", "{folder}.same")',
        "default": "allow_routing()",
        "both": 'allow_routing("{folder}.both")',
        "bob": 'allow_routing("{folder}.bob")',
        "two registered": 'allow_register("{folder}.nothing", "{folder}.all.deny")',
        "null": 'allow_uri("{folder}.f0", "$avp(nothing)")',
        "number": 'allow_uri("{folder}.bob", "$Rp")',
    }
    # Of two files, Kamailio looks up the second by the number of the first: both must be the nth of their kind.
    cases = [f'    case "{name}": {call}; $var(rc) = $rc; break;' for name, call in more.items()] + cases
    for name in ("kamailio", "kahea"):
        for i, rules in enumerate(rules_of):
            (tmp_path / f"{name}.f{i}.deny").write_text(rules + "\n", newline="")
        for all_ in ("same", "all.deny"):
            (tmp_path / f"{name}.{all_}").write_text("ALL : ALL")
        (tmp_path / f"{name}.default.deny").write_text('"alice" : ALL')
        for what, (allow, deny) in {
            "both": ('"alice" : ALL', "ALL : ALL"),
            "bob": ('ALL : "bob"', "ALL : ALL"),
        }.items():
            (tmp_path / f"{name}.{what}.allow").write_text(allow)
            (tmp_path / f"{name}.{what}.deny").write_text(deny)

    def scenario(server: Server) -> dict[str, object]:
        out: dict[str, object] = {}
        for i, rules in enumerate(rules_of):
            for sender, uri in zip(
                FROMS, ("sip:bob@x", "sip:joe@x", "x", "sip:bob@x:5070;p=1", "", "sip:zed@q"), strict=True
            ):
                out[f"{rules!r} uri {sender} {uri}"] = ask(server, (f"uri{i}", uri), sender=sender)
            for uri in URIS:
                out[f"{rules!r} routing {uri}"] = ask(server, (f"routing{i}",), uri=uri)
            for contact in CONTACTS:
                question, to = (
                    (f"register{i}",),
                    "<sip:bob@example.com;t=u>" if "joe" in contact else "<sip:bob@example.com>",
                )
                out[f"{rules!r} {contact}"] = ask(server, question, method="REGISTER", headers=contact, to=to)
            for first, second in (("sip:q@q", "sip:joe@x"), ("sip:joe@x", "sip:q@q"), ("sip:q@q", "sip:bob@x:5070")):
                branch = f"X-Branch: {second}"
                out[f"{rules!r} {first} {second}"] = ask(server, (f"routing{i}",), uri=first, headers=branch)
        for name in more:
            for sender in FROMS:
                for branch in ("sip:joe@x", "sip:bob@y"):
                    given = ask(server, (name,), sender=sender, headers=f"X-Branch: {branch}\r\nContact: <sip:a@b>")
                    out[f"{name} {sender} {branch}"] = given
        for words in (
            ("f0", "sip:a", "sip:b"),
            ("f5", "sip:a", "sip:b"),
            ("both", "sip:alice@x", "q"),
            ("all.deny", "a", "b"),
        ):
            name, *rest = words
            for command in ("testUri", "allowUri"):
                out[f"{command} {words}"] = rpc(server, command, f"{server.folder}.{name}", *rest)
        out["testUri"] = rpc(server, "testUri", "f0"), rpc(server, "testUri")
        return out

    parameters = params(check_all_branches=all_branches, default_deny_file="{folder}.default.deny")
    theirs, ours = compared(tmp_path, cfg(parameters, "\n".join(cases)), MODULES, scenario)
    same(theirs, ours, 800)
