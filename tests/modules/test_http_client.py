"""http_client beside Kamailio's: the same cfg asks the same server; what it asks, and what the script gets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cfgs
import pytest
from api_server import ApiServer, Asked

needs_kamailio = pytest.mark.skipif(cfgs.KAMAILIO is None, reason="needs a real Kamailio to compare with")

API_PORT, REFUSING = cfgs.PORT + 10, cfgs.PORT + 11
API = f"http://127.0.0.1:{API_PORT}"
#: Ours keeps connections unless told otherwise, and then tries anew where one breaks.
ALIKE = """modparam("http_client", "useragent", "test")
modparam("http_client", "keep_connections", 0)"""


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer(API_PORT) as server:
        yield server


@dataclass
class Both:
    """What came of one body in one server."""

    out: str | None
    asked: list[tuple[object, ...]]


def all_shown(asked: list[Asked]) -> list[tuple[object, ...]]:
    """Requests as they are compared. What broke without an answer is asked once more here, by GET."""
    found = [shown(a) for a in asked]
    return found[:1] if asked and asked[0].target == "/nothing" else found


def shown(asked: Asked) -> tuple[object, ...]:
    """A request as it is compared: its headers in any order, without what is random."""
    headers = sorted((k, re.sub(r'(cnonce|response)="[^"]*"', r'\1=""', v)) for k, v in asked.headers)
    headers = [(k, ", ".join(sorted(v.split(", "))) if v.startswith("Digest") else v) for k, v in headers]
    headers = [h for h in headers if h != ("Connection", "close")]
    return asked.method, asked.target, headers, asked.body


def compare(folder: Path, api: ApiServer, bodies: list[str], extra: str = "") -> list[tuple[str, Both, Both]]:
    """Each body with Kamailio's outcome and ours."""
    text = cfgs.cfg_text(bodies, extra, ("http_client", "statistics"))
    api.take()
    theirs, ours = [], []
    with cfgs.kamailio(folder, text) as kamailio:
        for number in range(len(bodies)):
            out = kamailio.run(cfgs.request(number)).out
            theirs.append(Both(out, all_shown(api.take())))

    async def run() -> None:
        node = cfgs.Ours(text)
        try:
            for number in range(len(bodies)):
                out = (await node.wait(cfgs.request(number))).out
                ours.append(Both(out, all_shown(api.take())))
        finally:
            await node.node.stop()

    asyncio.run(run())
    return list(zip(bodies, theirs, ours, strict=True))


def assert_same(outcomes: list[tuple[str, Both, Both]]) -> None:
    wrong = [f"{b}\n  kamailio: {k}\n  kahea:    {o}" for b, k, o in outcomes if k != o]
    assert not wrong, "\n".join(wrong)


def query(url: str, *more: str, name: str = "http_client_query") -> str:
    arguments = "".join(f'"{a}", ' for a in (url, *more))
    return f'$var(r) = "old"; {name}({arguments}"$var(r)"); $var(o) = "rc=" + $rc + " r=[" + $var(r) + "]";'


def connect(name: str, path: str, *more: str) -> str:
    return query(name, path, *more, name="http_connect")


PAGES = ["/ok", "/status/404", "/status/500", "/status/302", "/status/204", "/empty", "/newline", "/zero", "/bytes",
         "/garbage", "/half", "/nothing", "/nolength", "/http10", "/chunked", "/loop", "/nowhere", "/basic",
         "/longheader"]  # fmt: skip
URLS = [f"http://127.0.0.1:{REFUSING}/", "http://nosuch.invalid/", "ftp://127.0.0.1/", "nonsense.invalid", "", "http://",
        f"127.0.0.1:{API_PORT}/ok", f"HTTP://127.0.0.1:{API_PORT}/ok", API, API + "/a b", API + "/a?b=c#d",
        f"http://joe:secret@127.0.0.1:{API_PORT}/basic", API + "/café", API + "/%61?x=%2f+%20",
        API + "/a/./b/../c?x=/../y", API + "/..", API + "/a/.", API + "/.hidden/..x"]  # fmt: skip


@needs_kamailio
def test_queries(tmp_path: Path, api: ApiServer) -> None:
    """Any URL, with and without data and headers: pages good and bad."""
    bodies = [
        *(query(API + page) for page in PAGES),
        *(query(url) for url in URLS),
        query(API + "/echo", "a=b"),
        query(API + "/echo", ""),
        query(API + "/moved/302/echo", "x=1"),
        query(API + "/echo", "{1}", "Content-Type: application/json"),
        *(query(API + "/echo", "", line) for line in (r"X-A: 1\r\nX-B: 2", "no header", "User-Agent: mine", "X-Empty:",
                                                     "Host: other")),
        query(API + "/echo", "body", "X-A: b", name="http_client_get"),
        query(API + "/ok", "", "", name="http_client_get"),
        f'if (http_client_query("{API}/ok", "$var(r)")) {{ $var(o) = "true"; }}',
        f'$var(i) = http_client_query("{API}/ok", "$avp(r)"); $var(o) = $var(i) + $avp(r);',
        f'http_client_query("{API}/a?u=$ru&h=$(hdr(Subject){{s.escape.param}})", "$var(r)"); $var(o) = $rc;',
        "".join(f'$var(o) = $var(o) + "|" + $curlerror({n});' for n in (0, 1, 7, 28, 52, 63, 99, 200, -1)),
    ]  # fmt: skip
    assert_same(compare(tmp_path, api, bodies, ALIKE))


@needs_kamailio
def test_connections(tmp_path: Path, api: ApiServer) -> None:
    """Connections by name: paths, data, credentials, failover, redirects, limits."""
    host = f"127.0.0.1:{API_PORT}"
    dead = f"127.0.0.1:{REFUSING}"
    definitions = [
        f"api=>{API}/api", f"base=>{API}", f"slash=>{API}/", f"digest=>http://joe:secret@{host}/digest",
        f"basic=>http://joe:secret@{host}/basic", f"wrong=>http://joe:wrong@{host}/basic",
        f"dead=>http://{dead}/x;failover=base", f"five=>{API}/status;failover=base", f"small=>{API};maxdatasize=4",
        f"redir=>{API};httpredirect=1", f"ua=>{API};useragent=Robot", f"q=>{API}/q?x=1",
        f"slow=>{API};timeout=1;failover=q",
    ]  # fmt: skip
    extra = ALIKE + "".join(f'\nmodparam("http_client", "httpcon", "{d}")' for d in definitions)
    bodies = [
        *(connect(*c) for c in (
            ("api", "/x"), ("api", "x"), ("base", ""), ("slash", "/ok"), ("slash", "ok"), ("nosuch", "/x"),
            ("digest", ""), ("basic", ""), ("wrong", ""), ("dead", "/ok"), ("five", "/500"), ("small", "/ok"),
            ("base", "/status/404"), ("base", "/status/500"), ("redir", "/moved/302/ok"), ("redir", "/elsewhere"),
            ("redir", "/nowhere"), ("ua", "/ok"), ("base", "/garbage"), ("base", "/half"), ("q", "&y=2"),
            ("base", "/chunked"), ("slow", "/slow"),
            ("base", "/echo", "application/json", "{1}"), ("base", "/echo", "", "data"), ("base", "/echo", "a/b", ""),
            ("redir", "/moved/302/echo", "text/plain", "body"), ("redir", "/moved/307/echo", "text/plain", "body"),
            ("redir", "/moved/303/echo", "text/plain", "body"), ("base", "/echo", "text/plain", "a $rU b"),
        )),
        '$var(r) = "old"; http_connect("base", "/echo", $null, $null, "$var(r)"); $var(o) = $rc + $var(r);',
        '$var(x) = "v"; http_connect_raw("base", "/echo", "a/b", "a $$ru $ru b", "$var(r)"); $var(o) = $rc + $var(r);',
        '$var(x) = "v"; http_connect_raw("base", "/echo", "a/b", $var(x), "$var(r)"); $var(o) = $rc + $var(r);',
        'http_connect("redir", "/moved/302/ok", "$var(r)"); http_get_redirect("redir", "$var(r)"); $var(o) = $var(r);',
        '$var(r) = "old"; http_get_redirect("nope", "$var(r)"); $var(o) = $rc + $var(r);',
    ]  # fmt: skip
    assert_same(compare(tmp_path, api, bodies, extra))


@needs_kamailio
def test_a_file_of_connections(tmp_path: Path, api: ApiServer) -> None:
    path = tmp_path / "connections.cfg"
    path.write_text(
        f'[first]\nurl = {API}/file\nusername = joe\npassword = secret\nauthmethod = 1\nuseragent = "My agent"\n'
        f"maxdatasize = 4\nhttpredirect = yes\ntlsversion = TLSv1.2\nfailover = second\n\n[second]\nurl = {API}/two\n"
    )
    extra = f'{ALIKE}\nmodparam("http_client", "config_file", "{path}")'
    bodies = [connect("first", "/x"), connect("second", ""), connect("first", "/../status/500"), connect("third", "")]
    assert_same(compare(tmp_path, api, bodies, extra))


@needs_kamailio
def test_a_proxy(tmp_path: Path, api: ApiServer) -> None:
    """It is asked for the whole URL, whose name it resolves."""
    extra = (
        f'{ALIKE}\nmodparam("http_client", "httpproxy", "http://127.0.0.1")'
        f'\nmodparam("http_client", "httpproxyport", {API_PORT})'
        '\nmodparam("http_client", "httpcon", "c=>http://nosuch.invalid/base")'
    )
    bodies = [query("http://nosuch.invalid/ok?a=1"), connect("c", "/echo", "a/b", "data")]
    outcomes = compare(tmp_path, api, bodies, extra)
    for _, theirs, ours in outcomes:
        assert theirs.out == ours.out
        assert [a[:2] for a in theirs.asked] == [a[:2] for a in ours.asked]
    assert outcomes[0][2].asked[0][1] == "http://nosuch.invalid/ok?a=1"


def test_what_only_later_kamailios_have(api: ApiServer) -> None:
    """Any method, and headers of answers."""
    bodies = [
        f'http_client_request("put", "{API}/echo", "x", "X-A: 1", "$var(r)"); $var(o) = $rc + $var(r);',
        f'http_client_response_headers_set("1"); http_client_query("{API}/json", "$var(r)"); '
        '$var(o) = $httprhdr(content-type) + $httprhdr(nosuch); http_client_response_headers_set("0"); '
        "$var(o) = $var(o) + $httprhdr(content-type);",
        f'http_client_query("{API}/json", "$var(r)"); $var(o) = "none" + $httprhdr(content-type);',
    ]

    async def run() -> list[str | None]:
        node = cfgs.Ours(cfgs.cfg_text(bodies, "", ("http_client",)))
        try:
            return [(await node.wait(cfgs.request(number))).out for number in range(len(bodies))]
        finally:
            await node.node.stop()

    assert asyncio.run(run()) == ["200", "application/json", "none"]
    assert (api.asked[0].method, api.asked[0].body, api.asked[0].header("x-a")) == ("PUT", b"x", "1")


def test_management_sees_connections_and_no_password(api: ApiServer) -> None:
    extra = f'modparam("http_client", "httpcon", "c=>http://joe:secret@127.0.0.1:{API_PORT}/x;timeout=2;failover=d")'
    bodies = [query(API + "/ok"), query(f"http://127.0.0.1:{REFUSING}/")]

    async def run() -> tuple[list[dict[str, object]], dict[str, object]]:
        node = cfgs.Ours(cfgs.cfg_text(bodies, extra, ("http_client",)))
        module = node.node.module("http_client")
        assert module.rpc_state() == {"requests": 0}
        for number in range(2):
            await node.wait(cfgs.request(number))
        assert node.node.statistics.value("httpclient", "connok") == 1
        assert node.node.statistics.value("httpclient", "connfail") == 1
        state = module.rpc_state()
        await node.node.stop()
        return module.rpc_list(), state

    listed, state = asyncio.run(run())
    assert "secret" not in str(listed)
    assert listed[0] | {"PASSWORD": ""} == {
        "NAME": "c", "SCHEMA": "http", "URI": f"127.0.0.1:{API_PORT}/x", "USERNAME": "joe", "PASSWORD": "",
        "FAILOVER": "d", "TIMEOUT": 2,
    }  # fmt: skip
    assert state == {
        "pools": 1, "in_use": 0, "idle": 1, "waiting": 0, "under_way": 0, "requests": 2, "failed": 1,
        "errors": {"Couldn't connect to server": 1},
    }  # fmt: skip
