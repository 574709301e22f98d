"""Path headers against Kamailio, and the functions that 5.6 does not have."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from twin import FORWARD, FORWARD_TCP, Ours, Pair, needs_kamailio, pair, request

MODULES = ("path",)
CALLS = [
    "add_path()",
    'add_path_user("bob")',
    'add_path_user("")',
    'add_path_user_params("bob", "a=1;b=2")',
    'add_path_user_params("", "a=1")',
    'add_path_user_params("bob", "")',
    "add_path_received()",
    'add_path_received_user("bob")',
    'add_path_received_user_params("bob", "x")',
    'add_path_received_user_params("", "")',
]
VARIANTS: dict[str, dict[str, int | str]] = {
    "plain": {},
    "double": {"enable_r2": 1, "received_format": 1},
    "names": {"sockname_mode": 1, "received_name": "rcv"},
    "all": {"enable_r2": 1, "received_format": 1, "sockname_mode": 1},
}


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory, {"path": VARIANTS[request.param]}, modules=MODULES) as made:
        yield made


@needs_kamailio
def test_functions(variant: Pair) -> None:
    for call in CALLS:
        theirs, ours = variant.both(f"out.append(KSR.path.{call})" + FORWARD, request("REGISTER"))
        for outcome in (theirs, ours):
            outcome.sink = [re.sub(r"127.0.0.1~\d+~", "@CALLER~", text) for text in outcome.sink]
        assert ours == theirs
        assert ours.out == [1]
        assert "\nPath: <sip:" in ours.sink[0]


@needs_kamailio
@pytest.mark.parametrize("at", ["@UDP", "@SECOND", "@TCP"])
def test_listeners(variant: Pair, at: str) -> None:
    for onward in (FORWARD, FORWARD_TCP):
        code = "KSR.path.add_path_received()" + onward
        theirs, ours = variant.both(code, request("REGISTER"), at)
        # The connection's port is not the caller's.
        want, got = (_path_lines(o.sink[0]) for o in (theirs, ours))
        assert [w.split("received=")[0].split("rcv=")[0] for w in want] == [
            g.split("received=")[0].split("rcv=")[0] for g in got
        ]


def _path_lines(text: str) -> list[str]:
    return [line for line in text.split("\r\n") if line.startswith("Path")]


@needs_kamailio
def test_place(variant: Pair) -> None:
    twice = "KSR.path.add_path()\nKSR.path.add_path_user('x')"
    variant.same(twice + FORWARD, request("REGISTER"))
    for headers in ("Path: <sip:old;lr>\r\nX-A: b\r\n", "X-A: b\r\nPath: <sip:old;lr>, <sip:older;lr>\r\n"):
        variant.same(twice + FORWARD, request("REGISTER", headers=headers))


@needs_kamailio
def test_loose_route_follows_received(tmp_path_factory: pytest.TempPathFactory) -> None:
    code = 'out += [KSR.rr.loose_route(), KSR.pv.get("$du"), KSR.pv.get("$ru")]'
    params: dict[str, dict[str, int | str]] = {"path": {"use_received": 1}}
    with pair(tmp_path_factory, params, modules=MODULES) as made:
        for route in (
            "<sip:@UDP;lr;received=sip:9.8.7.6:5070>",
            "<sip:@UDP;lr;received=sip:9.8.7.6:5070%3Btransport%3Dtcp>",
            "<sip:@UDP;lr;received=sip:9.8.7.6:5070>, <sip:next;lr>",
            "<sip:@UDP;lr>, <sip:next;lr;received=sip:9.8.7.6:5070>",
            "<sip:other;lr;received=sip:9.8.7.6:5070>",
            "<sip:@UDP;lr;r2=on>, <sip:@SECOND;lr;r2=on;received=sip:9.8.7.6:5070>",
            "<sip:@UDP;lr;received=9.8.7.6~5070~2>",
            "<sip:@UDP;lr;received=nonsense>",
        ):
            for tag in ("x", ""):
                theirs, ours = made.both(code, request(headers=f"Route: {route}\r\n", to_tag=tag))
                assert ours.out == theirs.out, (route, tag)


ADVERTISED = [
    ('add_path_advertised_address("1.2.3.4:99")', "<sip:1.2.3.4:99;lr>"),
    ('add_path_advertised_address_user("1.2.3.4", "bob")', "<sip:bob@1.2.3.4;lr>"),
    ('add_path_advertised_address_user_params("1.2.3.4", "bob", "p")', "<sip:bob@1.2.3.4;lr;p>"),
    ('add_path_received_advertised_address("h")', "<sip:h;lr;received=sip:@CALLER>"),
    ('add_path_received_advertised_address_user("h", "u")', "<sip:u@h;lr;received=sip:@CALLER>"),
    (
        'add_path_received_advertised_address_user_params("h", "", "p=1")',
        "<sip:h;lr;received=sip:@CALLER;p=1>",
    ),
]


@pytest.fixture(scope="module")
def ours() -> Ours:
    return Ours(modules=MODULES)


@pytest.mark.parametrize(("call", "path"), ADVERTISED)
def test_advertised_address(ours: Ours, call: str, path: str) -> None:
    outcome = ours.run(f"out.append(KSR.path.{call})" + FORWARD, request("REGISTER"))
    assert outcome.out == [1]
    assert _path_lines(outcome.sink[0]) == [f"Path: {path}"]


def test_no_address_is_an_error(ours: Ours) -> None:
    assert ours.run('out.append(KSR.path.add_path_advertised_address(""))', request("REGISTER")).out == [-1]


def test_a_loop_of_paths_ends(ours: Ours) -> None:
    code = "out.append([KSR.path.add_path() for i in range(20)])"
    assert ours.run(code, request("REGISTER")).out == [[1] * 16 + [-1] * 4]
