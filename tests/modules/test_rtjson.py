"""rtjson: the same messages as Kamailio's at the far ends, serially and in parallel, and what differs on purpose."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import KAMAILIO, PATIENCE, Server, compared, request
from textops_cases import PLAIN

from conftest import Bench
from kahea.modules.rtjson import MAX_DOCUMENT
from kahea.routing.run import BRANCH_ROUTE, Run, current
from kahea.testing import Simulation

Make = Callable[..., Bench]

CFG = """
listen=udp:127.0.0.2:@PORT
loadmodule "rr.so"
loadmodule "textops.so"
loadmodule "textopsx.so"
loadmodule "siputils.so"
loadmodule "tmx.so"
loadmodule "uac.so"
loadmodule "rtjson.so"
modparam("tm", "fr_timer", 3000)
request_route {
    if ($rU == "ping") { sl_send_reply("200", "OK"); exit; }
    if (is_method("ACK|CANCEL")) exit;
    record_route();
    rtjson_init_routes("$rb");
    $var(init) = $rc;
    rtjson_push_routes();
    append_hf("X-Pushed: $var(init) $rc $xavp(rtjson=>idx)\\r\\n");
    if ($rc < 0) {
        append_to_reply("X-Pushed: $var(init) $rc\\r\\n");
        sl_send_reply("488", "No routes");
        exit;
    }
    remove_body();
    t_on_branch("OUT");
    t_on_failure("NEXT");
    if (!t_relay()) sl_reply_error();
}
branch_route[OUT] {
    rtjson_update_branch();
    append_hf("X-Updated: $rc\\r\\n");
}
failure_route[NEXT] {
    if (rtjson_next_route()) {
        t_on_branch("OUT");
        t_on_failure("NEXT");
        t_relay();
    }
}
"""

FROM = {"display": "Alice", "uri": "sip:alice@a.example.org"}
TO = {"display": "Bob", "uri": "sip:bob@b.example.org"}
EVERYTHING = {
    "uri": "sip:bob@b.example.org:5060",
    "dst_uri": "sip:@SINK",
    "path": "<sip:@SINK2;lr>, <sip:192.0.2.2:5086;lr>",
    "socket": "udp:127.0.0.2:@PORT",
    "headers": {"from": FROM, "to": TO, "extra": "X-Hdr-A: abc\r\nX-Hdr-B: bcd\r\n"},
    "branch_flags": 8,
    "fr_timer": 2500,
    "fr_inv_timer": 30000,
}
ROUTES = [
    EVERYTHING,
    {
        "uri": "sip:second@b.example.org",
        "dst_uri": "sip:@SINK2",
        "headers": {"from": {"uri": "sip:f2@a"}, "extra": "X-Two: 2\r\n"},
    },
    {"dst_uri": "sip:@SINK"},
    {"uri": "sip:four@@SINK2", "headers": {"to": {"display": "T4"}}},
    {"uri": "sip:five@@SINK", "path": "<sip:@SINK2;lr>", "headers": {"from": {"display": "", "uri": "sip:e@e"}}},
]
ONE = {"uri": "sip:x@@SINK"}
DOCUMENTS: list[tuple[Any, int]] = [
    ({"version": "1.0", "routing": "serial", "routes": ROUTES, "other": [1]}, 5),
    ({"version": "1.0", "routing": "parallel", "routes": ROUTES}, 5),
    (
        {
            "routing": "parallel",
            "routes": [
                {"uri": "sip:a@@SINK"},
                {"uri": "sip:s@b", "dst_uri": "sip:@SINK2", "path": "<sip:@SINK2;lr>", "socket": "udp:127.0.0.2:@PORT"},
                {"path": "<sip:p;lr>"},
                "none",
            ],
        },
        4,
    ),
    ({"version": "2.0", "routing": "serial", "routes": [ONE]}, 1),
    ({"routing": "serial", "routes": [ONE | {"socket": "udp:192.0.2.1:5060"}]}, 1),
    ({"routing": "serial", "routes": [ONE | {"branch_flags": "3", "fr_timer": "a", "headers": {"from": "x"}}]}, 1),
    ({"routing": "serial", "routes": [ONE | {"headers": {"to": {"uri": ""}, "extra": 5}}]}, 1),
    ("{", 0),
    ("[1]", 0),
    ('"a"', 0),
    ({"routes": []}, 0),
    ({"routing": "serial", "routes": []}, 0),
    ({"routing": "serial"}, 0),
    ({"routes": [ONE]}, 0),
    ({"routing": "other", "routes": [ONE]}, 0),
    ({"routing": "serial", "routes": ONE}, 0),
]


def lines(message: str) -> list[str]:
    """A message without what each server makes up for itself."""
    text = re.sub(r"<B\d+>", "B", message)
    text = re.sub(r"(?<=;tag=)[0-9a-f]{12,}[^;>\r]*", "T", text)
    return text.split("\r\n")


def calls(server: Server, number: int, document: Any, count: int) -> list[Any]:
    """What the far ends get of a document, whose calls they refuse, and what the caller gets."""
    body = document if isinstance(document, str) else json.dumps(document)
    body = server.fill(body)
    server.caller.send(request("INVITE", "sip:orig@example.com", callid=f"doc{number}", body=body))
    seen: list[Any] = []
    mark = f"Call-ID: doc{number}\r\n"
    end = time.monotonic() + PATIENCE
    while len(seen) < count:
        if time.monotonic() > end:
            raise TimeoutError(f"{len(seen)} of {count} requests came: {seen}")
        for peer in (server.sink, server.sink2):
            try:
                got = peer.receive(0.02)
            except TimeoutError:
                continue
            if mark in got and got.startswith("INVITE"):
                seen.append((peer.word, lines(got)))
                peer.reply(got, "486 Busy")
    if isinstance(document, dict) and document.get("routing") == "parallel":
        seen.sort(key=lambda each: (each[0], each[1]))
    while True:
        got = server.caller.expect("SIP/2.0 4")
        if mark in got:
            return [*seen, lines(got)]


@pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")
def test_the_far_ends_get_what_they_get_from_kamailio(tmp_path: Path) -> None:
    def scenario(server: Server) -> list[list[Any]]:
        return [calls(server, n, document, count) for n, (document, count) in enumerate(DOCUMENTS)]

    theirs, ours = compared(tmp_path, CFG, [], scenario)
    for (document, _), want, have in zip(DOCUMENTS, theirs, ours, strict=True):
        assert have == want, document


# ---- what is decided here


def loaded(make: Make, document: object) -> Bench:
    """A bench whose request has read a document."""
    made = make("rtjson", "uac")
    made.take(PLAIN)
    text = document if isinstance(document, str) else json.dumps(document)
    made.outcome = made.call("rtjson.init_routes", text)  # type: ignore[attr-defined]
    return made


def test_flags_are_those_of_each_route(bench: Make) -> None:
    routes = [{"uri": f"sip:x{n}@y", "branch_flags": n} for n in (1, 2, 4)]
    made = loaded(bench, {"routing": "parallel", "routes": routes})
    assert made.call("rtjson.push_routes") == 1
    assert (made.msg.bflags, [branch.flags for branch in made.msg.branches]) == (1, [2, 4])
    assert made.call("rtjson.next_route") == -1


@pytest.mark.parametrize("uri", ["", "bad", "sip:x y", "sip:x\r\nX-Evil: 1", "sip:x>"])
@pytest.mark.parametrize("field", ["uri", "dst_uri"])
def test_a_route_that_leads_nowhere_is_refused(bench: Make, uri: str, field: str) -> None:
    """Kamailio takes it, and then can't make a transaction."""
    if field == "dst_uri" and not uri:
        return
    made = loaded(bench, {"routing": "serial", "routes": [{"uri": "sip:a@b", field: uri}]})
    before = made.msg.uri
    assert made.call("rtjson.push_routes") == -1
    assert made.msg.uri == before


def test_line_ends_make_no_headers_of_addresses(bench: Make) -> None:
    headers = {"from": {"display": 'A"\r\nX-Evil: 1', "uri": "sip:a@b"}, "extra": "X-A: 1\r\n\r\nX-B: 2"}
    made = loaded(bench, {"routing": "serial", "routes": [{"uri": "sip:a@b", "headers": headers}]})
    assert made.call("rtjson.push_routes") == 1
    assert made.run is not None
    current.run = Run(made.node, made.msg, BRANCH_ROUTE)
    assert made.call("rtjson.update_branch") == -1
    del headers["from"]
    made = loaded(bench, {"routing": "serial", "routes": [{"uri": "sip:a@b", "headers": headers}]})
    assert made.call("rtjson.push_routes") == 1
    current.run = Run(made.node, made.msg, BRANCH_ROUTE)
    made.call("rtjson.update_branch")
    built = made.msg.rebuild()
    assert b"X-Evil" not in built
    assert b"X-A: 1\r\nX-B: 2\r\n" in built


@pytest.mark.parametrize("document", ["[" * 100_000, "x" * (MAX_DOCUMENT + 1), '"\udcff"', '{"a":1} x', ""])
def test_documents_that_are_none(bench: Make, document: str) -> None:
    made = loaded(bench, document)
    assert made.outcome == -1  # type: ignore[attr-defined]
    assert made.call("rtjson.push_routes") == -1


SERIAL = """#!KAMAILIO
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "rtjson.so"
request_route {
    rtjson_init_routes('{"routing": "serial", "routes": [
        {"uri": "sip:one@10.0.0.1", "fr_timer": 700}, {"uri": "sip:two@10.0.0.2", "fr_timer": 1500}]}');
    rtjson_push_routes();
    t_on_branch("OUT");
    t_on_failure("NEXT");
    t_relay();
}
branch_route[OUT] { rtjson_update_branch(); }
failure_route[NEXT] {
    if (rtjson_next_route()) { t_on_branch("OUT"); t_on_failure("NEXT"); t_relay(); }
}
"""


def test_each_route_has_its_time(kahea: Simulation) -> None:
    """Nobody answers: the second is tried after 0.7 s, and the caller told after 1.5 s more."""
    kahea.node(SERIAL, "udp:10.0.0.9:5060")
    call = kahea.ua("alice").request("INVITE", "sip:x@10.0.0.9")
    kahea.run(0.65)
    assert [p for p in kahea.trace if b"sip:two" in p.data] == []
    kahea.run(0.1)
    assert [p for p in kahea.trace if b"sip:two" in p.data]
    kahea.run(1.35)
    assert call.status == 100
    kahea.run(0.2)
    assert call.status == 408
