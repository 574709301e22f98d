"""presence and presence_xml: the same requests to Kamailio and to us, the same answers, NOTIFYs and rows."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from presence_play import (
    MODULES,
    PRESENCE,
    WINFO,
    Play,
    config,
    etag_of,
    layout,
    needs_presence,
    pidf,
    play,
    tag_of,
)
from processes import Server

ACTIVE = 'modparam("presence_xml", "force_active", 1)\nmodparam("presence", "subs_db_mode", 1)'


def published(p: Play) -> None:
    """A watcher, and publications that come, change and go."""
    tag = tag_of(p.send("SUBSCRIBE", f"{PRESENCE}Expires: 600\r\n", callid="watch"))
    p.rows()
    first = etag_of(p.send("PUBLISH", f"{PRESENCE}Expires: 500\r\n", body=pidf("a", after="<note>hm</note>")))
    p.rows()
    first = etag_of(p.send("PUBLISH", f"{PRESENCE}Expires: 400\r\nSIP-If-Match: {first}\r\n"))
    first = etag_of(p.send("PUBLISH", f"{PRESENCE}SIP-If-Match: {first}\r\n", body=pidf("a", "closed")))
    p.rows()
    p.send("PUBLISH", f"{PRESENCE}SIP-If-Match: a.1.2.3.4\r\n", body=pidf("a", "closed"))
    p.send("PUBLISH", f"{PRESENCE}SIP-If-Match: a.1.2.3.4\r\nExpires: 0\r\n")
    p.send("PUBLISH", f"{PRESENCE}Expires: 0\r\nSIP-If-Match: {first}\r\n")
    p.send("SUBSCRIBE", f"{PRESENCE}Expires: 300\r\n", callid="watch", to_tag=tag)
    p.send("SUBSCRIBE", f"{PRESENCE}Expires: 0\r\n", callid="watch", to_tag=tag)
    p.send("SUBSCRIBE", f"{PRESENCE}Expires: 0\r\n", callid="watch", to_tag=tag)
    p.rows()


def refused(p: Play) -> None:
    """What is refused, and how."""
    p.send("SUBSCRIBE", "Event: nonsense\r\n")
    p.send("SUBSCRIBE", "")
    p.send("SUBSCRIBE", "Event: presence;;\r\n")
    p.send("SUBSCRIBE", "Event: presence;what\r\n")
    p.send("SUBSCRIBE", f"{PRESENCE}Expires: 5\r\n")
    p.send("SUBSCRIBE", contact=None)
    p.send("SUBSCRIBE", callid="x", to_tag="unknown")
    p.send("PUBLISH", "Event: nonsense\r\n", body=pidf())
    p.send("PUBLISH", "", body=pidf())
    p.send("PUBLISH", "Event: presence;;\r\n", body=pidf())
    p.send("PUBLISH")
    p.send("PUBLISH", body="<presence>")
    p.send("PUBLISH", body="hello", content_type="text/plain")
    tag = tag_of(p.send("SUBSCRIBE", callid="y"))
    p.send("SUBSCRIBE", callid="y", to_tag=tag, cseq=1)
    p.send("SUBSCRIBE", callid="y", to_tag=tag, contact=None)
    p.send("SUBSCRIBE", callid="y", to_tag=tag, from_tag="other")
    p.rows()


def given(p: Play) -> None:
    """What parameters change."""
    tag = tag_of(p.send("SUBSCRIBE", f"{PRESENCE}Expires: 5\r\n", callid="given"))
    p.send("SUBSCRIBE", PRESENCE, callid="given", from_tag="another")
    p.rows()
    p.send("SUBSCRIBE", PRESENCE, callid="given", to_tag=tag)
    p.send("SUBSCRIBE", PRESENCE, callid="two", contact="<sip:two@@SINK>", sender="carol")
    document = pidf("a", more="<note>Ringing</note>")
    first = etag_of(p.send("PUBLISH", f"{PRESENCE}X-Sender: sip:two@@SINK\r\n", body=document))
    p.send("PUBLISH", f"{PRESENCE}X-Sender: nonsense\r\n", body=pidf("b"))
    p.send("PUBLISH", f"{PRESENCE}X-Priority: 7\r\n", body=pidf("c", more="<note>On the Phone</note>"))
    p.send("PUBLISH", f"{PRESENCE}X-Priority: 2147483647\r\n", body=pidf("d", more="<note>else</note>"))
    p.send("PUBLISH", f"{PRESENCE}Expires: 100\r\nSIP-If-Match: {first}\r\n")
    p.rows(but=["priority"])
    p.send("PUBLISH", f"{PRESENCE}Expires: 0\r\nSIP-If-Match: {first}\r\n")
    p.send("SUBSCRIBE", PRESENCE, callid="ALICE", uri="sip:BOB@example.com")


GIVEN = """
modparam("presence", "min_expires", 60)
modparam("presence", "min_expires_action", 2)
modparam("presence", "max_expires", 1000)
modparam("presence", "expires_offset", 7)
modparam("presence", "server_address", "sip:pres@srv.example.com:5099")
modparam("presence", "subs_respond_200", 0)
modparam("presence", "delete_same_subs", 1)
modparam("presence", "xavp_cfg", "pres")
modparam("presence", "retrieve_order", 1)
modparam("presence_xml", "default_expires", 500)
"""
PUBLISH = """
if ($hdr(X-Priority) != $null) $xavp(pres=>priority) = $(hdr(X-Priority){s.int});
if ($hdr(X-Sender) != $null) $var(r) = handle_publish("$hdr(X-Sender)");
else $var(r) = handle_publish();
"""
ROUTES = """
event_route[tm:local-request] {
    xlog("L_ERR", "code of $rm to $ru $subs(uri) $subs(callid) $subs(status) $subs(event) $subs(from_user)\n");
}
event_route[presence:notify-reply] {
    xlog("L_ERR", "code by $rm $notify_reply($rs) $rs $subs(pres_uri) $subs(watcher_username) $subs(event_id)\n");
}
"""


def dialogs(p: Play) -> None:
    """Where NOTIFYs go, and what ends a subscription."""
    routes = "Record-Route: <sip:@SINK;lr>\r\nRecord-Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>\r\n"
    tag = tag_of(
        p.send("SUBSCRIBE", PRESENCE + routes, callid="routed", contact='"A" <sip:alice@192.0.2.1;ob>;q=1', to="carol")
    )
    p.rows()
    p.send("SUBSCRIBE", PRESENCE, callid="routed", to_tag=tag, contact="<sip:alice@192.0.2.2>")
    p.send("SUBSCRIBE", f"{PRESENCE}Expires: 9999\r\n", callid="long", uri="sip:Dave@example.com:5070;x=y?h=z")
    p.send("SUBSCRIBE", f"{PRESENCE}Expires: abc\r\n", uri="sip:example.com")
    p.send("SUBSCRIBE", "o: PRESENCE\r\nX-Stateless: 1\r\n", uri="sip:eve@example.com")
    for answer in ("481 None", "404 None", "500 Error", "489 Bad", "202 Taken"):
        callid = answer.replace(" ", "")
        p.send("SUBSCRIBE", PRESENCE, callid=callid, uri="sip:frank@example.com", answer=answer)
    p.send("PUBLISH", PRESENCE, uri="sip:frank@example.com", body=pidf())
    p.rows()


def watched(p: Play) -> None:
    """Who watches the watchers."""
    tag = tag_of(p.send("SUBSCRIBE", WINFO, callid="info", sender="bob"))
    first = tag_of(p.send("SUBSCRIBE", PRESENCE, callid="w1"))
    p.send("SUBSCRIBE", PRESENCE, callid="w2", sender="carol")
    p.send("SUBSCRIBE", PRESENCE, callid="w1", to_tag=first)
    p.send("SUBSCRIBE", WINFO, callid="info", sender="bob", to_tag=tag)
    p.send("SUBSCRIBE", f"{PRESENCE}Expires: 0\r\n", callid="w1", to_tag=first)
    p.send("SUBSCRIBE", f"{PRESENCE}Expires: 0\r\n", callid="fetch")
    p.send("SUBSCRIBE", f"{WINFO}Expires: 0\r\n", callid="info", sender="bob", to_tag=tag)
    p.rows()


#: A user's rules, in which the first that names a watcher holds.
RULES = (
    '<?xml version="1.0"?><ruleset xmlns="urn:ietf:params:xml:ns:common-policy" '
    'xmlns:pr="urn:ietf:params:xml:ns:pres-rules">RULES</ruleset>'
)
RULE = (
    '<rule id="r"><conditions>{conditions}</conditions><actions><pr:sub-handling>{handling}</pr:sub-handling></actions>'
    "<transformations>{granted}</transformations></rule>"
)
ALICE = '<identity><one id="sip:alice@example.com"/></identity>'
ANYBODY = "<identity><many/></identity>"


def rules(p: Play, handling: str, conditions: str = ALICE, granted: str = "", user: str = "bob") -> None:
    """Give a user another set of rules."""
    rule = RULE.format(conditions=conditions, handling=handling, granted=granted) if handling else ""
    assert p.database is not None
    with sqlite3.connect(p.database) as connection:
        connection.execute("DELETE FROM xcap WHERE username = ?", (user,))
        connection.execute(
            "INSERT INTO xcap (username, domain, doc, doc_type, etag, source, doc_uri, port) "
            "VALUES (?, 'example.com', ?, 2, 'e', 0, ?, 0)",
            (user, RULES.replace("RULES", rule).encode(), f"rules of {user}"),
        )
    connection.close()


def status(p: Play, watcher: str = "sip:alice@example.com", presentity: str = "sip:bob@example.com") -> None:
    """What the script is told of a watcher."""
    p.send("OPTIONS", f"X-Watcher: {watcher}\r\nX-Presentity: {presentity}\r\n", uri="sip:status@example.com")


def refresh(p: Play, *words: str) -> None:
    """A command, and the NOTIFYs that it causes."""
    told = p.server.rpc(*words).partition(":")[0]
    p.note(f"{' '.join(words)}: {told}")


STATUS = """
if ($rU == "status") {
    pres_auth_status("$hdr(X-Watcher)", "$hdr(X-Presentity)");
    $var(s) = $rc;
    pres_has_subscribers("$hdr(X-Presentity)", "presence");
    sl_send_reply("200", "is $var(s) $rc");
    exit;
}
if ($rU == "refresh") {
    pres_update_watchers("sip:bob@example.com", "presence");
    $var(s) = $rc;
    pres_refresh_watchers("sip:bob@example.com", "presence", 1);
    $var(t) = $rc;
    pres_refresh_watchers("sip:bob@example.com", "nothing", 1);
    $var(u) = $rc;
    pres_refresh_watchers("sip:bob@example.com", "presence", 2, "file", "name");
    sl_send_reply("200", "is $var(s) $var(t) $var(u) $rc");
    exit;
}
if ($rU == "check") {
    pres_check_basic("sip:bob@example.com", "$hdr(X-Basic)");
    $var(s) = $rc;
    pres_check_activities("sip:bob@example.com", "$hdr(X-Activity)");
    sl_send_reply("200", "is $var(s) $rc");
    exit;
}
"""


def decided(p: Play) -> None:
    """Rules decide of watchers, and change."""
    p.send("SUBSCRIBE", WINFO, callid="info", sender="bob")
    status(p)
    p.send("SUBSCRIBE", callid="early")
    p.send("PUBLISH", body=pidf())
    for handling in ("allow", "confirm", "polite-block", "block"):
        rules(p, handling)
        status(p)
        refresh(p, "presence.refreshWatchers", "sip:bob@example.com", "presence", "0")
        if handling != "block":
            tag = tag_of(p.send("SUBSCRIBE", callid=handling))
            p.send("SUBSCRIBE", callid=handling, to_tag=tag)
            p.send("SUBSCRIBE", f"{PRESENCE}Expires: 0\r\n", callid=handling, to_tag=tag)
    rules(p, "block", user="dave")
    p.send("SUBSCRIBE", uri="sip:dave@example.com")
    rules(p, "allow")
    refresh(p, "presence.updateWatchers", "sip:bob@example.com", "presence")
    status(p)
    p.send("SUBSCRIBE", callid="late")
    p.send("OPTIONS", "", uri="sip:refresh@example.com")
    rules(p, "")
    refresh(p, "presence.updateWatchers", "sip:bob@example.com", "presence")
    for words in (["sip:bob@example.com", "presence"], ["sip:nobody@example.com", "presence", "0"],
                  ["sip:bob@example.com", "nothing", "1"],
                  ["sip:bob@example.com", "presence", "2"]):  # fmt: skip
        refresh(p, "presence.refreshWatchers", *words)
    refresh(p, "presence.cleanup")
    status(p, "nonsense")
    status(p, presentity="nonsense")


def shown(p: Play) -> None:
    """What of a document watchers are shown when they come."""
    document = pidf(
        more="<rpid:class>biz</rpid:class><contact>sip:bob@192.0.2.1</contact>",
        after='<tuple id="t2"><status><basic>closed</basic></status><contact>tel:+123</contact></tuple>'
        '<dm:person id="p"><rpid:activities><rpid:away/></rpid:activities><rpid:mood><rpid:sad/></rpid:mood>'
        "</dm:person>"
        '<dm:device id="d"><rpid:user-input>active</rpid:user-input><dm:deviceID>urn:d</dm:deviceID></dm:device>',
    )
    p.send("PUBLISH", body=document, uri="sip:carol@example.com")
    for number, granted in enumerate(
        [
            "",
            "<pr:provide-services><pr:all-services/></pr:provide-services>",
            "<pr:provide-services><pr:class>biz</pr:class></pr:provide-services>",
            "<pr:provide-services><pr:service-uri-scheme>tel</pr:service-uri-scheme></pr:provide-services>",
            "<pr:provide-services><pr:service-uri>sip:bob@192.0.2.1</pr:service-uri></pr:provide-services>",
            "<pr:provide-persons><pr:class>none</pr:class></pr:provide-persons>",
            "<pr:provide-devices><pr:deviceID>urn:d</pr:deviceID></pr:provide-devices>",
            "<pr:provide-mood>false</pr:provide-mood><pr:provide-activities>true</pr:provide-activities>",
            "<pr:provide-all-attributes/>",
        ]
    ):
        rules(p, "allow", ANYBODY, granted, user="carol")
        p.send("SUBSCRIBE", uri="sip:carol@example.com", sender=f"watcher{number}")


def checked(p: Play) -> None:
    """What a script asks of a user's presence."""

    def check(basic: str, activity: str) -> None:
        p.send("OPTIONS", f"X-Basic: {basic}\r\nX-Activity: {activity}\r\n", uri="sip:check@example.com")

    check("open", "away")
    activities = '<dm:person id="p"><rpid:activities><rpid:away/></rpid:activities></dm:person>'
    first = etag_of(p.send("PUBLISH", body=pidf("x")))
    check("open", "away")
    check("closed", "away")
    p.send("PUBLISH", f"{PRESENCE}SIP-If-Match: {first}\r\n", body=pidf("x", "closed", after=activities))
    check("open", "away")
    check("closed", "busy")


def all_of_it(p: Play) -> None:
    for scenario in (published, refused, dialogs, watched):
        scenario(p)
        p.seen.append(scenario.__name__)


@needs_presence
def test_both_answer_and_notify_alike(tmp_path: Path) -> None:
    params = f'{ACTIVE}\nmodparam("presence", "min_expires", 60)'
    for theirs, ours in play(tmp_path, config(params), all_of_it):
        assert ours == theirs


@needs_presence
def test_rules_decide_alike(tmp_path: Path) -> None:
    params = 'modparam("presence_xml", "integrated_xcap_server", 1)\nmodparam("presence", "subs_db_mode", 1)'

    def scenario(p: Play) -> None:
        for part in (decided, shown, checked):
            part(p)

    for theirs, ours in play(tmp_path, config(params, more=STATUS), scenario):
        assert ours == theirs


@needs_presence
def test_parameters_do_alike(tmp_path: Path) -> None:
    for theirs, ours in play(tmp_path, config(ACTIVE + GIVEN, publish=PUBLISH, routes=ROUTES), given):
        assert ours == theirs


@needs_presence
def test_the_database_alone_does_alike(tmp_path: Path) -> None:
    alone = """
modparam("presence_xml", "force_active", 1)
modparam("presence", "subs_db_mode", 3)
modparam("presence", "publ_cache", 0)
modparam("presence", "notifier_processes", 0)
"""
    for theirs, ours in play(tmp_path, config(alone), published, patience=0.1):
        assert ours == theirs


@needs_presence
@pytest.mark.parametrize("order", [("kahea", "kamailio"), ("kamailio", "kahea")])
def test_one_goes_on_where_the_other_ended(tmp_path: Path, order: tuple[str, str]) -> None:
    """Both take turns on a database: the second tells the watcher of the first, in the same dialog, and counts on."""
    database = layout(tmp_path, "shared")
    cfg = config(ACTIVE).replace("{folder}.sqlite", str(database))

    def moved(server: Server) -> None:
        """The phone is the same, at another port; and so is the server."""
        with sqlite3.connect(database) as connection:
            connection.execute(
                "UPDATE active_watchers SET contact = ?, socket_info = ?",
                (server.fill("sip:alice@@SINK"), server.fill("udp:@UDP")),
            )
        connection.close()

    told: list[str] = []
    tag = etag = ""
    for name in order:
        server = Server(name, tmp_path / name, cfg, MODULES, moved)
        try:
            p = Play(server, database)
            if not tag:
                tag = tag_of(p.send("SUBSCRIBE", callid="kept"))
            condition = f"SIP-If-Match: {etag}\r\n" if etag else ""
            etag = etag_of(p.send("PUBLISH", PRESENCE + condition, body=pidf()))
            p.send("PUBLISH", body=pidf(name))
            p.send("SUBSCRIBE", callid="kept", to_tag=tag, cseq=1_000 if name == order[0] else 2_000)
        finally:
            server.stop()
        told += [line for _, _, notifies in p.seen for notify in notifies for line in notify if "CSeq" in line]
    assert told == [f"CSeq: {number} NOTIFY" for number in range(2, 9)]
