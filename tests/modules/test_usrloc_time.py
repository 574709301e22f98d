"""What time does to locations: expiry and its event, keepalives; and the management commands."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from locating import register
from stored import Server
from twin import Kamailio, Pair, needs_kamailio, pair, request

from kahea.net.address import Address
from kahea.routing.generation import Generation
from kahea.routing.module import RpcError
from kahea.sip.message import parse

READ = '[KSR.pv.get("$ulc(exp=>%s)" % name) for name in ("aor", "addr", "count", "domain", "callid", "ruid")]'


def with_events(server: Server, seen: list[Any]) -> None:
    """Have the script's event route note what it is told."""

    def event(_run: object) -> int:
        seen.append(eval(READ, {"KSR": server.ksr}))
        return 1

    routes = server.node.routes
    server.node.use(
        Generation(
            lambda name: event if name == "expired" else None,
            request=routes.request,
            events=lambda name: event if name == "usrloc:contact-expired" else None,
        )
    )


@pytest.mark.parametrize("callback", ["", "expired"])
def test_contacts_end(callback: str) -> None:
    async def check() -> None:
        params = {
            "usrloc": {"timer_interval": 10},
            "registrar": {"min_expires": 1, "event_callback": callback},
        }
        async with Server(params) as server:
            await server.save("<sip:1@h>;expires=15")
            await server.save("<sip:2@h>;expires=40")
            seen: list[Any] = []
            with_events(server, seen)
            await server.later(12)
            assert len(server.locations.domains["location"].get(b"bob")) == 2
            await server.later(11)
            assert seen == [["bob", "sip:1@h", 1, "location", "call", seen[0][5]]]
            assert await server.lookup() == (1, "sip:2@h")
            await server.save("<sip:2@h>;expires=100")
            await server.later(30)
            assert await server.lookup() == (1, "sip:2@h")
            await server.later(100)
            assert not server.locations.domains["location"].records
            assert server.node.statistics.value("usrloc", "location_expires") == 2
            assert server.node.statistics.value("usrloc", "location_contacts") == 0
            assert server.node.statistics.value("usrloc", "registered_users") == 0

    asyncio.run(check())


def test_an_expired_contact_is_gone_before_the_timer() -> None:
    async def check() -> None:
        params = {"usrloc": {"timer_interval": 1000}, "registrar": {"min_expires": 1}}
        async with Server(params) as server:
            await server.save("<sip:1@h>;expires=5")
            server.offset += 6
            assert (await server.lookup())[0] == -1
            assert await server.call('out.append(KSR.registrar.registered_uri("location", "sip:bob@x"))') == [-1]
            assert "Contact:" not in (await server.save(None))[1]
            registrar = server.node.module("registrar")
            registrar.use_expired_contacts = 1
            registrar.changed("use_expired_contacts")
            assert (await server.lookup())[0] == 1

    asyncio.run(check())


def test_many_end_at_once() -> None:
    async def check() -> None:
        async with Server({"usrloc": {"timer_interval": 10}, "registrar": {"min_expires": 1}}) as server:
            for i in range(1000):
                await server.save(f"<sip:{i}@h>;expires=5", aor=f"user{i}@x", cseq=1)
            await server.later(30)
            assert not server.locations.domains["location"].records

    asyncio.run(check())


# ---- keepalives -------------------------------------------------


def keepalives(server: Server) -> list[str]:
    return [data.decode() for _, data in server.wire.sent if data.startswith(b"OPTIONS")]


def answer(server: Server, asked: str, status: str = "200 OK") -> None:
    """Answer a keepalive, as its contact would."""
    lines = [f"SIP/2.0 {status}"]
    lines += [line for line in asked.split("\r\n") if re.match("Via|From|To|Call-ID|CSeq", line)]
    lines += ["Content-Length: 0", "", ""]
    msg = parse("\r\n".join(lines).encode())
    source = Address.of("127.0.0.1", 9)
    at = server.wire.address
    msg.set_origin(source.ip_bytes, 9, at.ip_bytes, at.port, 1, source, server.wire, 0, 0.0, 1)
    server.node.take_response(msg)


def test_keepalives() -> None:
    async def check() -> None:
        params = {
            "usrloc": {
                "timer_interval": 10,
                "ka_mode": 1,
                "ka_timeout": 35,
                "ka_domain": "d",
                "ka_from": "sip:k@d",
            },
            "registrar": {"use_path": 1, "path_mode": 0, "received_avp": "$avp(r)"},
        }
        async with Server(params) as server:
            await server.save("<sip:1@127.0.0.1:9>", aor="one@x")
            await server.save("<sip:2@9.9.9.9;a=b>", "Path: <sip:p@127.0.0.1:9;lr>, <sip:q;lr>", aor="two@x")
            sent: dict[str, int] = {}
            for _ in range(12):
                server.wire.sent.clear()
                await server.later(11)
                for each in keepalives(server):
                    user = re.search("To: <sip:(\\w+)@d>", each)
                    assert user is not None
                    sent[user[1]] = sent.get(user[1], 0) + 1
                    if user[1] == "one":
                        assert "Route:" not in each
                        assert each.startswith("OPTIONS sip:1@127.0.0.1:9 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:15060;")
                        assert "\r\nFrom: <sip:k@d>;tag=uloc-" in each
                        answer(server, each)
                    else:
                        assert "\r\nRoute: <sip:p@127.0.0.1:9;lr>, <sip:q;lr>\r\n" in each
            # The one that does not answer is removed.
            assert await server.lookup("sip:one@x") == (1, "sip:1@127.0.0.1:9")
            assert (await server.lookup("sip:two@x"))[0] == -1
            assert sent["one"] > 9
            assert 2 <= sent["two"] <= 4
            shown = (await server.rpc("ul.lookup", "location", "one"))["Contacts"][0]["Contact"]
            assert shown["KA-Roundtrip"] >= 0
            assert shown["Last-Keepalive"] > shown["Last-Modified"]

    asyncio.run(check())


@pytest.mark.parametrize(
    ("more", "users"),
    [
        ({"ka_mode": 1}, {"plain", "natted", "stream"}),
        ({"ka_mode": 2}, {"natted"}),
        ({"ka_mode": 4}, {"plain", "natted"}),
        ({"ka_mode": 6}, {"natted"}),
        ({"ka_mode": 1, "ka_filter": 1}, set()),
    ],
)
def test_who_gets_keepalives(more: dict[str, int], users: set[str]) -> None:
    async def check() -> None:
        params = {"usrloc": {"timer_interval": 10, "nat_bflag": 3, "preload": "location", **more}}
        async with Server(params) as server:
            await server.save("<sip:1@127.0.0.1:9>", aor="plain@x")
            await server.save("<sip:2@127.0.0.1:9;transport=tcp>", aor="stream@x", wire=server.stream)
            code = 'KSR.setbflag(3)\nout.append(KSR.registrar.save("location", 0))'
            await server.run(code, register("natted@x", 1, "<sip:3@127.0.0.1:9>"))
            if "ka_filter" in more:
                server.locations.server_id = 7
            await server.later(40)
            asked = [data.decode() for wire in (server.wire, server.stream) for _, data in wire.sent]
            found = {
                m[1] for text in asked if text.startswith("OPTIONS") for m in [re.search("To: <sip:(\\w+)@", text)] if m
            }
            assert found == users

    asyncio.run(check())


def test_which_answers_count() -> None:
    async def check() -> None:
        params = {"usrloc": {"timer_interval": 10, "ka_mode": 1, "ka_reply_codes": "200, 404"}}
        async with Server(params) as server:
            await server.save("<sip:1@127.0.0.1:9>")
            contact = next(iter(server.locations.domains["location"]))
            for status, counts in (("500 No", False), ("404 Not Found", True)):
                server.wire.sent.clear()
                contact.last_keepalive = 0
                await server.later(30)
                answer(server, keepalives(server)[0], status)
                assert bool(contact.last_keepalive) == counts
            # Answers to nobody's keepalives do no harm.
            asked = keepalives(server)[0]
            for changed in (asked.replace("tag=uloc-", "tag=x-"), re.sub("tag=[^\r]*", "tag=y", asked)):
                answer(server, changed)

    asyncio.run(check())


def test_answers_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        params = {"usrloc": {"timer_interval": 10, "ka_mode": 1, "ka_loglevel": -1, "ka_logmsg": " to [$tu]"}}
        async with Server(params) as server:
            await server.save("<sip:1@127.0.0.1:9>")
            await server.later(30)
            answer(server, keepalives(server)[0])

    asyncio.run(check())
    assert re.search(
        r"keepalive roundtrip: \d+\.\d{6} sec - ruid \[uloc-[\w-]+\] to \[sip:bob@kamailio.org\]", caplog.text
    )


# ---- commands ---------------------------------------------------


def test_commands() -> None:
    async def check() -> None:
        async with Server({"usrloc": {"preload": "location", "use_domain": 1}}) as server:
            rpc = server.rpc
            await server.save("<sip:1@h>;q=0.5")
            await rpc(
                "ul.add",
                "location",
                "Carol@x",
                "sip:2@h",
                100,
                0.5,
                ".",
                0,
                4,
                5,
                "sip:9.9.9.9:1",
                "udp:127.0.0.1:15060",
            )
            await rpc("ul.add", "location", "dave@x", "sip:3@h", "0", "1.0", "<sip:p;lr>", "0", "0", "1")
            brief = await rpc("ul.dump", "brief")
            users = {entry["AoR"] for entry in brief["Domains"][0]["Domain"]["AoRs"]}
            assert users == {"bob@x", "carol@x", "dave@x"}
            assert brief["Domains"][0]["Domain"]["Stats"]["Records"] == 3
            full = await rpc("ul.dump")
            assert json.dumps(full)
            contact = (await rpc("ul.lookup", "location", "carol@x"))["Contacts"][0]["Contact"]
            assert (contact["Expires"], contact["Q"], contact["CFlags"], contact["Methods"]) == (
                100,
                0.5,
                4,
                5,
            )
            assert (contact["Received"], contact["Socket"]) == ("sip:9.9.9.9:1", "udp:127.0.0.1:15060")
            assert (await rpc("ul.lookup", "location", "dave@x"))["Contacts"][0]["Contact"]["Expires"] == "permanent"
            await rpc("ul.add", "location", "carol@x", "sip:2@h", 200, 0.7, ".", 0, 0, 1)
            contacts = (await rpc("ul.lookup", "location", "carol@x"))["Contacts"]
            assert [(c["Contact"]["Expires"], c["Contact"]["Q"]) for c in contacts] == [(200, 0.7)]
            await rpc("ul.rm_contact", "location", "carol@x", "sip:2@h")
            await rpc("ul.rm", "location", "dave@x")
            await rpc("ul.flush")
            for command, *args in (
                ("ul.lookup", "location", "carol@x"),
                ("ul.lookup", "none", "bob@x"),
                ("ul.rm_contact", "location", "bob@x", "sip:none"),
                ("ul.rm_contact", "location", "carol@x", "sip:none"),
                ("ul.db_users", "location"),
                ("ul.add", "location", "x@x", "sip:2@h", "soon", 0.5, ".", 0, 0, 0),
            ):
                with pytest.raises(RpcError):
                    await rpc(command, *args)

    asyncio.run(check())


RPC = 'modparam("jsonrpcs", "transport", 4)\nmodparam("jsonrpcs", "dgram_socket", "{socket}")\n'


def ask(path: Path, command: str, *params: Any) -> Any:
    """The answer of a running Kamailio to a command."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        own = path.with_name("own")
        own.unlink(missing_ok=True)
        s.bind(str(own))
        s.settimeout(2)
        s.sendto(json.dumps({"jsonrpc": "2.0", "method": command, "params": params, "id": 1}).encode(), str(path))
        return json.loads(s.recv(1 << 20))


@needs_kamailio
def test_a_dump_is_as_kamailios(tmp_path_factory: pytest.TempPathFactory) -> None:
    at = tmp_path_factory.mktemp("rpc") / "socket"
    params: dict[str, dict[str, int | str]] = {
        "usrloc": {"preload": "location", "nat_bflag": 6},
        "registrar": {"use_path": 1, "path_mode": 0, "received_avp": "$avp(r)"},
    }
    modules = ("usrloc", "registrar", "jsonrpcs")
    with pair(tmp_path_factory, params, RPC.format(socket=at), modules) as made:
        _register_some(made)
        usrloc = made.ours.node.module("usrloc")
        theirs = ask(at, "ul.dump")["result"]
        assert _blank(made, usrloc.dump()) == _blank(made, theirs)
        assert usrloc.dump("brief") == ask(at, "ul.dump", "brief")["result"]
        for aor in ("bob", "carol@example.com"):
            theirs = ask(at, "ul.lookup", "location", aor)["result"]
            assert _blank(made, usrloc.lookup("location", aor)) == _blank(made, theirs)
        for command, *args in (
            ("lookup", "location", "none"),
            ("lookup", "none", "bob"),
            ("db_users", "location"),
        ):
            error = ask(at, f"ul.{command}", *args)["error"]
            with pytest.raises(RpcError) as raised:
                getattr(usrloc, command)(*args)
            assert (raised.value.code, str(raised.value)) == (error["code"], error["message"])


def _register_some(made: Pair) -> None:
    save = 'out.append(KSR.registrar.save("location", %d))'
    path = "Path: <sip:p;lr>, <sip:q;lr>"
    made.both(save % 2, register("bob@example.com", 7, "<sip:1@h>;q=0.5", "Allow: INVITE, ACK", "User-Agent: x"))
    made.both("KSR.setbflag(6)\n" + save % 2, register("bob@example.com", 8, "<sip:2@h>", path))
    instance = '<sip:3@h>;+sip.instance="<urn:uuid:1>";reg-id=2'
    made.both('KSR.pv.sets("$avp(r)", "sip:9.9.9.9:1")\n' + save % 3, register("carol@example.com", 9, instance))
    for i in range(20):
        made.both(save % 2, register(f"user{i}@example.com", i + 1))


def _blank(made: Pair, answer: Any) -> Any:
    """Without what can't be equal."""
    shown = json.dumps(answer)
    for server in (made.ours, made.kamailio):
        shown = server.places.blank(shown)
    shown = re.sub(r'"Ruid": "[^"]*"', '"Ruid": "R"', shown)
    shown = re.sub(r'("(?:Last-Keepalive|Last-Modified|Expires)": )\d+', r"\g<1>0", shown)
    return json.loads(shown)


# ---- a database of both -----------------------------------------


@needs_kamailio
def test_kamailio_reads_what_we_wrote_and_the_other_way_round(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    if not list(Path("/usr/lib").glob("**/kamailio/modules/db_sqlite.so")):
        pytest.skip("needs Kamailio's db_sqlite")
    folder = tmp_path_factory.mktemp("shared")
    path = folder / "locations.db"
    usrloc = {"db_url": f"sqlite:///{path}", "db_mode": 1, "preload": "location", "xavp_contact": "ulattrs"}
    params = {"usrloc": usrloc, "registrar": {"use_path": 1, "path_mode": 0}}
    instance = '<sip:1@h>;q=0.5;+sip.instance="<urn:uuid:1>";reg-id=2'
    attribute = 'KSR.pv.sets("$xavp(ulattrs=>a)", "A1")\n'
    save = 'out.append(KSR.registrar.save("location", 0))'
    look = """
out.append(KSR.registrar.lookup("location"))
out += [KSR.pv.get(name) for name in ("$ru", "$du", "$xavp(ulattrs=>a)")]
out.append(KSR.registrar.reg_fetch_contacts("location", KSR.pv.get("$ou"), "p"))
for name in "addr q callid cseq cflags path regid instance methods user_agent ruid".split():
    out.append(KSR.pv.get("$ulc(p=>%s)" % name))
# Kamailio's dates are exact to a second.
out.append(round((KSR.pv.get("$ulc(p=>expires)") - KSR.pv.get("$ulc(p=>modified)")) / 10))
"""
    given = (instance, "Path: <sip:p;lr>", "Allow: INVITE", "User-Agent: x")

    async def ours(code: str, message: str) -> Any:
        async with Server(params) as server:
            return (await server.run(code, message)).out

    def theirs(name: str, code: str, message: str) -> Any:
        lines = "\n".join(
            f'modparam("{m}", "{k}", {json.dumps(v)})' for m, values in params.items() for k, v in values.items()
        )
        place = folder / name
        place.mkdir()
        kamailio = Kamailio(place, lines, ("db_sqlite", "usrloc", "registrar"))
        try:
            return kamailio.run(code, message).out
        finally:
            kamailio.stop()

    assert asyncio.run(ours(attribute + save, register("we@x", 5, *given))) == [1]
    assert theirs("save", attribute + save, register("they@x", 5, *given)) == [1]
    assert asyncio.run(ours(look, request(uri="sip:they@x")))[:2] == [1, "sip:1@h"]
    for user in ("we", "they"):
        here = asyncio.run(ours(look, request(uri=f"sip:{user}@x")))
        assert here == theirs(f"look{user}", look, request(uri=f"sip:{user}@x"))
    assert theirs("refresh", save, register("we@x", 6, instance)) == [2]
    assert asyncio.run(ours(save, register("they@x", 6, instance))) == [2]
    with sqlite3.connect(path) as connection:
        kinds = connection.execute(
            "select typeof(expires), typeof(q), typeof(methods), typeof(domain), cseq from location"
        ).fetchall()
    assert set(kinds) == {("real", "real", "null", "null", 6)}


# ---- connections ------------------------------------------------------------------------------


class Connections:
    """What a stream listener knows of its connections."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = set(numbers)

    def get(self, number: int) -> object | None:
        return number if number in self.numbers else None

    def close(self, number: int, reason: str) -> bool:
        assert reason
        self.numbers.discard(number)
        return True


def test_contacts_go_with_their_connection() -> None:
    async def check() -> None:
        async with Server({"usrloc": {"handle_lost_tcp": 1}}) as server:
            await server.save("<sip:1@h;transport=tcp>", wire=server.stream)
            await server.save("<sip:2@h>;q=0.1")
            seen: list[Any] = []
            peer = Address.of("127.0.0.1", 9)
            server.node.on_connection_closed(server.stream, 8, peer, "gone")
            assert server.locations.domains["location"].contacts == 2
            with_events(server, seen)
            server.node.on_connection_closed(server.stream, 7, peer, "gone")
            assert await server.lookup() == (1, "sip:2@h")
            assert [each[1] for each in seen] == ["sip:1@h;transport=tcp"]
            # One that came back over UDP stays.
            await server.save("<sip:3@h>", wire=server.stream)
            await server.save("<sip:3@h>")
            server.node.on_connection_closed(server.stream, 7, peer, "gone")
            assert "sip:3@h" in (await server.save(None))[1]
            assert not server.locations.domains["location"].by_connection

    asyncio.run(check())


def test_connections_go_with_their_contact() -> None:
    async def check() -> None:
        params = {"usrloc": {"close_expired_tcp": 1, "timer_interval": 10}, "registrar": {"min_expires": 1}}
        async with Server(params) as server:
            server.stream.table = Connections(6, 7)
            await server.save("<sip:1@h;transport=tcp>;expires=5", wire=server.stream)
            await server.later(25)
            assert server.stream.table.numbers == {6}

    asyncio.run(check())


def test_contacts_without_their_connection_are_not_found() -> None:
    async def check() -> None:
        async with Server({"registrar": {"lookup_filter_mode": 2}}) as server:
            server.stream.table = Connections(7)
            await server.save("<sip:1@h;transport=tcp>;q=0.9", wire=server.stream)
            await server.save("<sip:2@h>")
            assert await server.lookup() == (1, "sip:1@h;transport=tcp")
            server.stream.table.numbers.clear()
            assert await server.lookup() == (1, "sip:2@h")

    asyncio.run(check())
