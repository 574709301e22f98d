"""http_async_client: what is asked, where the answer goes on, and what becomes of the transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import cfgs
import pytest
from api_server import ApiServer

from kahea.testing import Simulation

ROUTES = """
route[REPLY] {
    $var(o) = "REPLY ok=" + $http_ok + " rs=" + $http_rs + " rr=" + $http_rr + " err=" + $http_err + " rb=" + $http_rb;
    route(END);
}
route[MORE] {
    $avp(got) = $http_rb;
    $http_req(method) = "PUT";
    http_async_query("http://127.0.0.1:@API/echo2", "SECOND");
}
route[SECOND] {
    $var(o) = "SECOND " + $avp(got) + $http_rs;
    route(END);
}
"""


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer(0) as server:
        yield server


def outcome(api: ApiServer, body: str, extra: str = "") -> cfgs.Outcome:
    async def run() -> cfgs.Outcome:
        text = cfgs.cfg_text([body.replace("@API", str(api.port))], extra, ("http_async_client",), ROUTES)
        node = cfgs.Ours(text.replace("@API", str(api.port)))
        try:
            return await node.wait(cfgs.request(0))
        finally:
            await node.node.stop()

    return asyncio.run(run())


def query(page: str, route: str = "REPLY", before: str = "") -> str:
    return (
        f't_newtran(); {before} http_async_query("http://127.0.0.1:@API{page}", "{route}"); $var(o) = "went on " + $rc;'
    )


def test_an_answer_goes_on_in_a_route(api: ApiServer) -> None:
    got = outcome(api, query("/json?a=$rU"))
    assert got.out == 'REPLY ok=1 rs=200 rr=Because err= rb={"to": "sip:bob@example.com", "n": 5}'
    assert got.caller[0].startswith("SIP/2.0 100 ")
    asked = api.take()[0]
    assert (asked.method, asked.target, asked.header("user-agent")) == ("GET", "/json?a=bob", "kahea (0.1.0)")


@pytest.mark.parametrize(
    ("page", "error"),
    [("/slow", "Timeout was reached"), ("/half", "Transferred a partial file"), ("/garbage", "Unsupported protocol"),
     ("/big/100000000", "Maximum file size exceeded")],
)  # fmt: skip
def test_a_failed_query_goes_on_too(api: ApiServer, page: str, error: str) -> None:
    got = outcome(api, query(page, before="$http_req(timeout) = 200;"))
    assert got.out == f"REPLY ok=0 rs= rr= err={error} rb="


def test_what_is_asked_for_is_sent_once(api: ApiServer) -> None:
    before = (
        '$http_req(all) = $null; $http_req(method) = "DELETE"; $http_req(hdr) = "X-Call: " + $ci; '
        '$http_req(hdr) = "X-Foo: bar"; $http_req(body) = "{1}"; $http_req(username) = "joe"; '
        '$http_req(password) = "secret"; $http_req(authmethod) = 1;'
    )
    outcome(api, query("/echo", "MORE", before))
    first, second = api.take()
    assert (first.method, first.body, first.header("x-call"), first.header("x-foo")) == (
        "DELETE",
        b"{1}",
        "call@x",
        "bar",
    )
    assert first.header("authorization") == "Basic am9lOnNlY3JldA=="
    assert (second.method, second.body, second.header("x-foo"), second.header("authorization")) == (
        "PUT",
        b"",
        None,
        None,
    )


def test_queries_follow_each_other_in_one_transaction(api: ApiServer) -> None:
    assert outcome(api, query("/echo", "MORE", '$http_req(body) = "one";')).out == "SECOND one200"


def test_queries_run_side_by_side_in_one_transaction(api: ApiServer) -> None:
    """The first answer finds the transaction still suspended for the second."""
    script = f"""
import KSR

def ksr_request_route(msg):
    KSR.tm.t_newtran()
    for page in ("a", "b"):
        KSR.http_async_client.query("http://127.0.0.1:{api.port}/" + page, "answered")
    return 1

def answered(msg):
    seen = (KSR.pv.get("$avp(seen)") or 0) + 1
    KSR.pv.seti("$avp(seen)", seen)
    if seen == 2:
        KSR.tm.t_reply(480, "Both")
    return 1
"""
    with Simulation(grace=5) as simulation:  # the API is slower than virtual time
        patient = {"http_async_client": {"connection_timeout": 20_000}}
        simulation.node(script, "udp:10.0.0.9:5060", modules=patient)
        call = simulation.ua("alice").invite("sip:bob@10.0.0.9")
        simulation.run_until(lambda: call.status >= 200)
        assert call.status == 480
    assert sorted(asked.target for asked in api.take()) == ["/a", "/b"]


def test_without_a_transaction_the_script_goes_on(api: ApiServer) -> None:
    assert outcome(api, query("/ok").replace("t_newtran();", "")).out == "went on 1"


def test_a_query_that_suspends_nothing(api: ApiServer) -> None:
    got = outcome(api, query("/ok", before="$http_req(suspend) = 0;") + " $var(o) = $var(o) + $http_req_id;")
    assert got.out == "went on 11"
    assert got.caller == []


def test_a_line_end_begins_no_header(api: ApiServer) -> None:
    """Values of a message that are put into a header."""
    before = r'$http_req(hdr) = "X-A: 1\r\nX-Evil: 2";'
    outcome(api, query("/ok", before=before))
    asked = api.take()[0]
    assert (asked.header("x-a"), asked.header("x-evil")) == ("1  X-Evil: 2", None)


def test_too_many_queries_are_refused(api: ApiServer) -> None:
    extra = 'modparam("http_async_client", "max_queries", 0)'
    assert outcome(api, query("/ok"), extra).out == "went on -1"
    assert outcome(api, query("/ok", "NOSUCH")).out == "went on -1"
