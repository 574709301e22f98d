"""presence and presence_xml: the same requests to Kamailio and to us, the same answers, NOTIFYs and rows."""

from __future__ import annotations

from pathlib import Path

from presence_play import PRESENCE, WINFO, Play, config, etag_of, needs_presence, pidf, play, tag_of

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


def all_of_it(p: Play) -> None:
    for scenario in (published, refused, dialogs, watched):
        scenario(p)
        p.seen.append(scenario.__name__)


@needs_presence
def test_both_answer_and_notify_alike(tmp_path: Path) -> None:
    params = f'{ACTIVE}\nmodparam("presence", "min_expires", 60)'
    for theirs, ours in play(tmp_path, config(params), all_of_it):
        assert ours == theirs
