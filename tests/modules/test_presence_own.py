"""presence and presence_xml on a virtual clock: what time, restarts, several servers and hostile documents do."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from presence_play import pidf

from kahea.modules.presence import kept, publications, subscriptions, turns
from kahea.modules.presence.events import Decision, Document, parse_event
from kahea.modules.presence.subscription import ACTIVE, PENDING, TERMINATED
from kahea.modules.presence.turns import Busy, Turns
from kahea.modules.presence_xml.documents import read
from kahea.modules.presence_xml.pidf import merge, most_important
from kahea.modules.presence_xml.rules import XcapRules
from kahea.routing.module import ConfigError
from kahea.routing.run import Pool, wait
from kahea.sip.errors import ParseError
from kahea.testing import Simulation, UserAgent, VirtualNode
from kahea.testing.message import SipMessage

CFG = """#!KAMAILIO
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "presence.so"
loadmodule "presence_xml.so"
modparam("presence", "db_url", "DATABASE")
modparam("presence", "clean_period", 10)
modparam("presence", "db_update_period", 10)
modparam("presence_xml", "force_active", 1)
PARAMS
request_route {
    t_newtran();
    if ($rm == "PUBLISH") handle_publish();
    else if ($rm == "SUBSCRIBE") handle_subscribe();
    else sl_send_reply("404", "Nothing");
}
event_route[presence:notify-reply] {
    if ($subs(callid) == "unwanted") $xavp(pres=>delete_subscription) = 1;
    xlog("L_WARN", "$notify_reply($rs) to $subs(callid) of $subs(uri), $subs(expires) left\\n");
}
"""
BOB = "sip:bob@example.com"


class Server:
    """A server of presence, the phone `alice` that watches, and `bob`, who publishes."""

    def __init__(self, simulation: Simulation, url: str) -> None:
        self.simulation = simulation
        self.url = url
        self.alice = self.watcher("alice")
        self.bob = simulation.ua("bob", "udp:10.0.0.2:5060")
        self.notified: list[SipMessage] = []
        self._callids: dict[str, str] = {}
        self._cseq = 0

    def watcher(self, name: str) -> UserAgent:
        phone = self.simulation.ua(name, "udp:10.0.0.1:5060")
        phone.on("NOTIFY", lambda message: self._take(phone, message))
        return phone

    def _take(self, phone: UserAgent, message: SipMessage) -> None:
        self.notified.append(message)
        phone.reply(message, 200)

    def start(self, params: str = "", address: str = "udp:10.0.0.9:5060") -> VirtualNode:
        return self.simulation.node(CFG.replace("DATABASE", self.url).replace("PARAMS", params), address)

    def subscribe(
        self, *, tag: str = "", expires: int = 3600, callid: str = "watch", proxy: str = "", event: str = "presence"
    ) -> SipMessage:
        self._cseq += 1
        to = f"<{BOB}>;tag={tag}" if tag else f"<{BOB}>"
        self.alice.proxy = proxy
        reply = self.alice.request(
            "SUBSCRIBE", BOB, to=to, from_="<sip:alice@example.com>;tag=a", call_id=callid, cseq=self._cseq,
            headers=[("Event", event), ("Expires", str(expires))],
        ).wait()  # fmt: skip
        self.settle()
        return reply

    def publish(
        self, body: str = "", *, expires: int = 3600, etag: str = "", proxy: str = "", event: str = "presence"
    ) -> SipMessage:
        headers = [("Event", event), ("Expires", str(expires))] + ([("SIP-If-Match", etag)] if etag else [])
        self.bob.proxy = proxy
        exchange = self.bob.request(
            "PUBLISH", BOB, body=body, content_type="application/pidf+xml", headers=headers
        )  # fmt: skip
        reply = exchange.wait()
        self.settle()
        return reply

    def settle(self) -> None:
        """Let NOTIFYs be sent, and what nobody waits for be written."""
        self.simulation.settle()
        for node in self.simulation.nodes:
            store = node.node.module("presence").store
            if node.running:
                self.simulation.await_(store.group.flush())

    def told(self) -> list[tuple[int, str, str]]:
        """The NOTIFYs since asked before: number, state without seconds, and basic statuses."""
        found = [
            (
                int(message["CSeq"].split()[0]),
                message["Subscription-State"].partition(";expires")[0],
                " ".join(word for word in ("open", "closed") if f"<basic>{word}</basic>" in message.body),
            )
            for message in self.notified
        ]
        self.notified.clear()
        return found


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    with Simulation(grace=5.0) as simulation:
        yield lambda: Server(simulation, f"sqlite:///{tmp_path}/presence.db")


def rows(server: Server, table: str, columns: str = "*") -> list[Any]:
    with sqlite3.connect(server.url.removeprefix("sqlite:///")) as connection:
        found = connection.execute(f"SELECT {columns} FROM {table}").fetchall()
    connection.close()
    return found


def test_what_is_published_ends(served: Callable[..., Server]) -> None:
    server = served()
    server.start()
    server.subscribe()
    server.publish(pidf("a"), expires=30)
    server.publish(pidf("b", "closed"), expires=100)
    assert server.told() == [(2, "active", ""), (3, "active", "open"), (4, "active", "open closed")]
    server.simulation.run(45)
    assert server.told() == [(5, "active", "closed")]
    assert len(rows(server, "presentity")) == 1
    server.simulation.run(70)
    assert server.told() == [(6, "active", "")]
    assert rows(server, "presentity") == []


def test_what_has_ended_is_not_shown_before_it_is_removed(served: Callable[..., Server]) -> None:
    server = served()
    server.start('modparam("presence", "clean_period", 0)')
    server.publish(pidf("a"), expires=30)
    server.simulation.run(31)
    server.subscribe()
    assert server.told() == [(2, "active", "")]


@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_a_subscription_ends(served: Callable[..., Server], mode: int) -> None:
    server = served()
    server.start(f'modparam("presence", "subs_db_mode", {mode})')
    tag = server.subscribe(expires=25).to_tag
    server.simulation.run(15)
    server.subscribe(tag=tag, expires=30)
    server.simulation.run(20)
    assert server.told() == [(2, "active", ""), (3, "active", "")]
    server.simulation.run(30)
    assert server.told() == [(4, "terminated;reason=timeout", "")]
    assert server.subscribe(tag=tag).status == 481
    assert rows(server, "active_watchers") == []


@pytest.mark.parametrize("mode", [1, 2, 3])
@pytest.mark.parametrize("keeps", [False, True])
def test_a_watcher_who_is_silent_is_given_up(
    served: Callable[..., Server], caplog: pytest.LogCaptureFixture, mode: int, keeps: bool
) -> None:
    server = served()
    server.start(
        f'modparam("presence", "subs_db_mode", {mode})\nmodparam("presence", "timeout_rm_subs", {int(not keeps)})'
    )
    tag = server.subscribe().to_tag
    silent = server.simulation.ua("silent", "udp:10.0.0.3:5060")
    silent_reply = silent.request(
        "SUBSCRIBE", BOB, headers=[("Event", "presence")], from_="<sip:silent@example.com>;tag=s", call_id="silent"
    ).wait()
    silent.expect("NOTIFY")
    server.settle()
    server.simulation.run(33)
    server.settle()
    assert silent.repeats("NOTIFY") >= 7
    again = silent.request(
        "SUBSCRIBE", BOB, headers=[("Event", "presence")], from_="<sip:silent@example.com>;tag=s", call_id="silent",
        to=f"<{BOB}>;tag={silent_reply.to_tag}", cseq=2,
    ).wait()  # fmt: skip
    server.settle()
    assert again.status == (200 if keeps else 481)
    assert server.subscribe(tag=tag).status == 200
    assert "408 to silent of sip:bob@example.com, 3600 left" in caplog.text
    assert "200 to watch of sip:bob@example.com, 3600 left" in caplog.text


def test_a_script_ends_a_subscription(served: Callable[..., Server]) -> None:
    server = served()
    server.start('modparam("presence", "xavp_cfg", "pres")')
    kept = server.subscribe(callid="wanted").to_tag
    unwanted = server.subscribe(callid="unwanted").to_tag
    assert server.subscribe(callid="wanted", tag=kept).status == 200
    assert server.subscribe(callid="unwanted", tag=unwanted).status == 481


def test_who_watches_the_watchers_is_told_anew(served: Callable[..., Server]) -> None:
    server = served()
    node = server.start()
    server.subscribe(callid="one")
    server.subscribe(callid="info", event="presence.winfo")
    node.rpc("presence.refreshWatchers", BOB, "presence.winfo", 1)
    server.settle()
    first, second = (message.body for message in server.notified[-2:])
    assert 'version="1"' in first
    assert 'version="2"' in second
    assert first.replace('version="1"', 'version="2"') == second
    assert server.publish("<watcherinfo/>", event="presence.winfo").status == 415


@pytest.mark.parametrize("mode", [1, 2])
def test_subscriptions_outlive_the_server(served: Callable[..., Server], mode: int) -> None:
    server = served()
    params = f'modparam("presence", "subs_db_mode", {mode})'
    node = server.start(params)
    tag = server.subscribe().to_tag
    first = server.publish(pidf("a"))["SIP-ETag"]
    assert len(rows(server, "active_watchers")) == (1 if mode == 1 else 0)
    if mode == 2:
        server.simulation.run(11)
        assert rows(server, "active_watchers", "local_cseq, version") == [(2, 2)]
        server.publish(etag=first)
    node.stop()
    assert server.told()[-1][0] == (3 if mode == 1 else 4)
    server.start(params)
    server.publish(pidf("b", "closed"))
    numbers = [number for number, _, _ in server.told()]
    assert numbers == [4 if mode == 1 else 5]
    assert server.subscribe(tag=tag).status == 200


def test_two_servers_share_a_database(served: Callable[..., Server]) -> None:
    server = served()
    params = 'modparam("presence", "subs_db_mode", 3)\nmodparam("presence", "publ_cache", 0)'
    server.start(params)
    server.start(params, "udp:10.0.0.10:5060")
    tag = server.subscribe(expires=60).to_tag
    etag = server.publish(pidf("a"), proxy="udp:10.0.0.10:5060")["SIP-ETag"]
    assert server.publish(etag=etag)["SIP-ETag"] != etag
    assert server.publish(etag=etag, proxy="udp:10.0.0.10:5060").status == 412
    server.subscribe(tag=tag, expires=60, proxy="udp:10.0.0.10:5060")
    assert [number for number, _, _ in server.told()] == [2, 3, 4, 5]
    server.simulation.run(90)
    assert server.told() == [(6, "terminated;reason=timeout", "")]


def test_changes_at_one_time_are_told_in_order(served: Callable[..., Server]) -> None:
    server = served()
    server.start()
    server.subscribe()
    etag = server.publish(pidf("a"))["SIP-ETag"]
    server.told()
    exchanges = [
        server.bob.request(
            "PUBLISH", BOB, body=pidf("a", basic), content_type="application/pidf+xml",
            headers=[("Event", "presence"), ("SIP-If-Match", etag)],
        )
        for basic in ("closed", "open", "closed")
    ]  # fmt: skip
    assert sorted(exchange.wait().status for exchange in exchanges) == [200, 412, 412]
    exchanges = [
        server.bob.request(
            "PUBLISH", BOB, body=pidf(name), content_type="application/pidf+xml", headers=[("Event", "presence")]
        )
        for name in ("x", "y", "z")
    ]  # fmt: skip
    for exchange in exchanges:
        assert exchange.wait().status == 200
    server.simulation.settle()
    last = max(server.notified, key=lambda message: int(message["CSeq"].split()[0]))
    assert all(f'id="{name}"' in last.body for name in "axyz")


def test_there_are_only_so_many(served: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "MAX_WATCHERS", 2)
    monkeypatch.setattr(publications, "MAX_OF_ONE", 2)
    server = served()
    server.start('modparam("presence", "publ_cache", 2)')
    assert [server.subscribe(callid=str(n)).status for n in range(3)] == [200, 200, 503]
    assert [server.publish(pidf(str(n))).status for n in range(3)] == [200, 200, 503]
    server.simulation.errors.clear()


def test_a_database_that_fails_is_told_and_stops_nobody(served: Callable[..., Server]) -> None:
    server = served()
    server.start('modparam("presence", "subs_db_mode", 1)')
    with sqlite3.connect(server.url.removeprefix("sqlite:///")) as connection:
        connection.execute("DROP TABLE active_watchers")
        connection.execute("DROP TABLE presentity")
    connection.close()
    assert server.subscribe().status == 500
    assert server.publish(pidf()).status == 500
    assert server.bob.options(BOB).status == 404
    assert len(server.simulation.errors) >= 2
    server.simulation.errors.clear()


def test_who_can_not_be_told_the_state_is_no_subscriber(served: Callable[..., Server]) -> None:
    server = served()
    server.start('modparam("presence", "subs_db_mode", 1)\nmodparam("presence", "publ_cache", 0)')
    tag = server.subscribe(callid="before").to_tag
    with sqlite3.connect(server.url.removeprefix("sqlite:///")) as connection:
        connection.execute("ALTER TABLE presentity RENAME TO elsewhere")
    connection.close()
    assert server.subscribe(callid="new").status == 500
    assert server.subscribe(callid="before", tag=tag, expires=0).status == 500
    assert rows(server, "active_watchers", "callid") == [("before",)]
    with sqlite3.connect(server.url.removeprefix("sqlite:///")) as connection:
        connection.execute("ALTER TABLE elsewhere RENAME TO presentity")
    connection.close()
    assert server.subscribe(callid="before", tag=tag, expires=0).status == 200
    assert rows(server, "active_watchers") == []
    server.simulation.errors.clear()


def test_what_a_rule_hides_is_hidden_each_time(served: Callable[..., Server]) -> None:
    server = served()
    server.start(
        'modparam("presence_xml", "force_active", 0)\nmodparam("presence_xml", "integrated_xcap_server", 1)\n'
        f'modparam("presence_xml", "db_url", "{server.url}")'
    )
    document = (
        '<ruleset xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:pr="urn:ietf:params:xml:ns:pres-rules">'
        '<rule id="r"><conditions><identity><many/></identity></conditions>'
        "<actions><pr:sub-handling>allow</pr:sub-handling></actions><transformations><pr:provide-services><pr:class>biz"
        "</pr:class></pr:provide-services></transformations></rule></ruleset>"
    )
    with sqlite3.connect(server.url.removeprefix("sqlite:///")) as connection:
        connection.execute(
            "INSERT INTO xcap (username, domain, doc, doc_type, etag, source, doc_uri, port) "
            "VALUES ('bob', 'example.com', ?, 2, 'e', 0, 'rules', 0)",
            (document.encode(),),
        )
    connection.close()
    server.publish(pidf("home"))
    server.subscribe()
    server.publish(pidf("work", "closed", more="<rpid:class>biz</rpid:class>"))
    assert server.told() == [(2, "active", ""), (3, "active", "closed")]


KEMI = """
import KSR

def mod_init():
    return Script()

class Script:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        KSR.tm.t_newtran()
        handle = {"PUBLISH": KSR.presence.handle_publish, "SUBSCRIBE": KSR.presence.handle_subscribe}
        KSR.info(f"{KSR.pv.get('$rm')}: {handle[KSR.pv.get('$rm')]()} of {KSR.pv.get('$subs(uri)')}\\n")
        return 1
"""


def test_a_watcher_over_tcp_and_a_script_in_python(served: Callable[..., Server]) -> None:
    server = served()
    presence = {"db_url": server.url}
    server.simulation.node(
        KEMI, "udp:10.0.0.9:5060", "tcp:10.0.0.9:5060",
        modules={"presence": presence, "presence_xml": {"force_active": 1}},
    )  # fmt: skip
    watcher = server.simulation.ua("tina", "tcp:10.0.0.5:5060")
    assert watcher.request("SUBSCRIBE", BOB, headers=[("Event", "presence")]).wait().status == 200
    watcher.reply(watcher.expect("NOTIFY"), 200)
    server.publish(pidf())
    told = watcher.expect("NOTIFY")
    assert "<basic>open</basic>" in told.body
    assert told["Via"].startswith("SIP/2.0/TCP")
    assert "transport=tcp" in told["Contact"]
    watcher.reply(told, 200)


def test_turns_are_taken_in_order(served: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MAX_WAITING", 2)
    simulation = served().simulation
    found, taken = Turns(), []
    pool = Pool(10)

    def work(name: str) -> None:
        try:
            with found.of("bob"):
                wait(asyncio.sleep(1))
                taken.append(name)
                if name == "second":
                    raise ValueError(name)
        except (Busy, ValueError) as error:
            taken.append(type(error).__name__)

    async def all_of_them() -> None:
        for name in ("first", "second", "third", "fourth"):
            pool.run(work, name)
        await asyncio.sleep(10)

    simulation.await_(all_of_them())
    assert taken == ["Busy", "first", "second", "ValueError", "third"]
    assert not found._waiting


HOSTILE = [
    '<!DOCTYPE p [<!ENTITY a "aaaaaaaaaa">]><p>&a;</p>',
    '<!DOCTYPE p SYSTEM "file:///etc/passwd"><p/>',
    "<p>" * 100 + "</p>" * 100,
    "<p>" + "<q/>" * 5_000 + "</p>",
    '<?xml version="1.0" encoding="nonsense"?><p/>',
    "<p xmlns:x='y'><x:q><z:w/></x:q>",
    "\x00",
    "<p>&#0;</p>",
    "<p>&nbsp;</p>",
]


@pytest.mark.parametrize("body", HOSTILE)
def test_hostile_documents_are_refused(served: Callable[..., Server], body: str) -> None:
    server = served()
    server.start()
    assert server.publish(body).status == 415


def test_old_documents_are_left_out_of_what_is_too_long() -> None:
    long = [Document(pidf(str(n), more=f"<note>{'x' * 50_000}</note>").encode()) for n in range(4)]
    merged = merge(long)
    assert len(merged) < 131_072
    assert b'id="0"' in merged
    assert b'id="3"' not in merged
    assert merge([Document(b"no XML"), Document(pidf("a").encode())]).count(b"<tuple") == 1
    assert merge([]) == b""


def noted(tuple_id: str, note: str) -> Document:
    return Document(pidf(tuple_id, more=f"<note>{note}</note>").encode())


def test_one_document_is_chosen_by_what_it_says() -> None:
    words = ("Available", "Ringing", "On the Phone")
    documents = [noted("1", "Available"), noted("2", "Ringing"), noted("3", "else"), noted("4", "Ringing")]
    assert b'id="2"' in most_important(documents, "note", words)
    gone = [Document(noted("5", "On the Phone").body, removed=True), *documents]
    assert b"<basic>closed</basic>" in most_important(gone, "note", words)
    assert b'id="1"' in most_important(documents, "basic", ("closed",))
    assert most_important([], "note", words) == b""


def test_who_published_nothing_may_be_available(served: Callable[..., Server]) -> None:
    server = served()
    server.start('modparam("presence_xml", "force_dummy_presence", 1)')
    server.subscribe()
    assert server.notified[0].body.count('entity="sip:bob@example.com"') == 1
    server.publish(pidf("a", "closed"))
    assert [basic for _, _, basic in server.told()] == ["open", "closed"]


@given(st.binary(max_size=200) | st.text(alphabet="<>/&;p=' \"#x0!-[]?", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(ParseError):
        assert parse_event(data).name
    with contextlib.suppress(ValueError):
        read(data)
    merge([Document(data), Document(data, removed=True), Document(pidf().encode(), removed=True)])
    with contextlib.suppress(ValueError):
        found = XcapRules(data, "probation", 0.0)
        found.decide(ALICE, 0)
        found.view(pidf().encode(), ALICE)
        found.view(data, ALICE)


def rules(conditions: str, handling: str = "allow", **more: Any) -> XcapRules:
    document = (
        '<ruleset xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:pr="urn:ietf:params:xml:ns:pres-rules">'
        f"<rule id='r'><conditions>{conditions}</conditions><actions><pr:sub-handling>{handling}</pr:sub-handling>"
        "</actions></rule></ruleset>"
    )
    return XcapRules(document.encode(), "probation", more.get("now", 1_700_000_000.0), more.get("sphere"))


ALICE = "sip:alice@example.com"
ONE = f'<identity><one id="{ALICE}"/></identity>'
TIMES = "<validity><from>{}</from><until>{}</until></validity>"


@pytest.mark.parametrize(
    ("conditions", "allowed"),
    [
        (ONE, True),
        ('<identity><one id="sip:bob@example.com"/></identity>', False),
        (f'<identity><one id="sip:x@y"/><one id="{ALICE}"/></identity>', True),
        ("<identity><many/></identity>", True),
        ('<identity><many domain="example.com"/></identity>', True),
        ('<identity><many domain="example.org"/></identity>', False),
        (f'<identity><many><except id="{ALICE}"/></many></identity>', False),
        ('<identity><many><except domain="example.com"/></many></identity>', False),
        ('<identity><many><except id="sip:x@y"/></many></identity>', True),
        ("", False),
        (f"{ONE}<unknown/>", False),
        (ONE + TIMES.format("2020-01-01T00:00:00Z", "2030-01-01T00:00:00+01:00"), True),
        (ONE + TIMES.format("2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"), False),
        (ONE + TIMES.format("soon", "later"), False),
        (f'{ONE}<sphere value="work"/>', True),
    ],
)
def test_whom_a_rule_names(conditions: str, allowed: bool) -> None:
    decision = rules(conditions).decide(ALICE, PENDING)
    assert decision == (Decision(ACTIVE) if allowed else Decision(PENDING))


def test_what_rules_decide() -> None:
    assert rules(ONE, "block").decide(ALICE, ACTIVE) == Decision(TERMINATED, "rejected")
    assert rules(ONE, "polite-block").decide(ALICE, ACTIVE) == Decision(ACTIVE, "polite-block")
    assert rules(ONE, "nonsense").decide(ALICE, ACTIVE) == Decision(PENDING)
    assert rules(ONE).decide("sip:x@y", ACTIVE) == Decision(TERMINATED, "probation")
    in_sphere = f'{ONE}<sphere value="work"/>'
    assert rules(in_sphere, sphere="work").decide(ALICE, PENDING) == Decision(ACTIVE)
    assert rules(in_sphere, sphere="").decide(ALICE, PENDING) == Decision(PENDING)
    with pytest.raises(ValueError, match="no XML"):
        XcapRules(b"<", "probation", 0)


@pytest.mark.parametrize(
    ("module", "name", "value", "why"),
    [
        ("presence", "subs_db_mode", 4, "not between"),
        ("presence", "server_address", "\"nonsense\"", "no URI"),
        ("presence", "retrieve_order_by", "\"password\"", "none of"),
        ("presence", "enable_dmq", 1, "no replication"),
        ("presence", "presentity_table", "\"a b\"", "no name of a table"),
        ("presence_xml", "disable_bla", 0, "not supported yet"),
        ("presence_xml", "xcap_server", "\"x.example.org\"", "xcap_client"),
        ("presence_xml", "force_active", 0, "xcap_client"),
    ],
)  # fmt: skip
def test_what_can_not_be_done_is_said_at_the_start(
    served: Callable[..., Server], module: str, name: str, value: object, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        served().start(f'modparam("{module}", "{name}", {value})')


def populate(engine: Any, folder: Path) -> None:
    """Kamailio's own tables, empty."""
    for table in ("version", "presentity", "active_watchers", "watchers", "xcap", "pua"):
        engine.sql(f"DROP TABLE IF EXISTS {table}")
    for name in ("standard", "presence"):
        engine.sql((folder / f"{name}-create.sql").read_text())


SCRIPTS = {"postgres": "postgres", "mariadb": "mysql"}


@pytest.mark.parametrize("kind", SCRIPTS)
@pytest.mark.parametrize("mode", [1, 3])
def test_other_databases(kind: str, mode: int, request: pytest.FixtureRequest) -> None:
    folder = Path("/usr/share/kamailio") / SCRIPTS[kind]
    if not folder.exists():
        pytest.skip(f"needs Debian's kamailio-{SCRIPTS[kind]}-modules")
    engine: Any = request.getfixturevalue(kind)
    populate(engine, folder)
    with Simulation(grace=5.0) as simulation:
        server = Server(simulation, engine.url)
        node = server.start(f'modparam("presence", "subs_db_mode", {mode})')
        tag = server.subscribe().to_tag
        etag = server.publish(pidf("a"))["SIP-ETag"]
        etag = server.publish(pidf("a", "closed"), etag=etag)["SIP-ETag"]
        server.publish(pidf("b"))
        assert [number for number, _, _ in server.told()] == [2, 3, 4, 5]
        assert engine.sql("SELECT local_cseq, status, version FROM active_watchers").split() in (
            ["4", "1", "4"],
            ["4|1|4"],
        )
        server.publish(etag=etag, expires=0)
        server.subscribe(tag=tag, expires=0)
        assert server.told()[-1] == (7, "terminated;reason=timeout", "open")
        assert engine.sql("SELECT count(*) FROM active_watchers") == "0"
        assert engine.sql("SELECT count(*) FROM presentity") == "1"
        node.stop()


def test_a_database_that_is_killed_and_comes_back(request: pytest.FixtureRequest) -> None:
    folder = Path("/usr/share/kamailio/postgres")
    if not folder.exists():
        pytest.skip("needs Debian's kamailio-postgres-modules")
    engine: Any = request.getfixturevalue("postgres")
    populate(engine, folder)
    with Simulation(grace=5.0) as simulation:
        server = Server(simulation, engine.url)
        server.start('modparam("presence", "subs_db_mode", 2)')
        tag = server.subscribe().to_tag
        engine.kill()
        assert server.publish(pidf()).status == 500
        assert server.subscribe(callid="new").status == 500
        assert server.subscribe(tag=tag).status == 200
        simulation.run(11)
        engine.start()
        simulation.run(11)
        assert server.publish(pidf()).status == 200
        assert server.told()[-1] == (4, "active", "open")
        assert engine.sql("SELECT local_cseq FROM active_watchers") == "2"
        simulation.errors.clear()


class _Watched:
    """What `Memory` asks of a subscription."""

    presentity, event = "sip:alice@a.example", "presence"

    def __init__(self, number: int) -> None:
        self.dialog = (str(number), "", "")


def test_what_a_database_that_is_down_has_missed_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Subscriptions that come and go all the same: their rows stay until they have expired."""
    monkeypatch.setattr(kept, "MAX_DIRTY", 3)
    store: Any = None
    known = kept.KeptSubscriptions(store, through=False, folds=False)
    subscription: Any
    for number in range(10):
        subscription = _Watched(number)
        known.add(subscription)
        assert known.remove(subscription)
    assert list(known._dirty.values()) == [None, None, None]
    # Those that are there are written whatever their number, which has a bound of its own.
    for number in range(10, 15):
        known.add(_Watched(number))  # type: ignore[arg-type]
    assert len(known._dirty) == 8
