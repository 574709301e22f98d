"""Module `rr` against Kamailio: the Record-Routes it writes, and how it follows Routes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twin import FORWARD, FORWARD_TCP, Ours, Pair, needs_kamailio, pair, request

RR = "out.append(KSR.rr.record_route())"
ADVERTISED = "out.append(KSR.rr.record_route_advertised_address('192.0.2.1:5060'))"
PRESET = "out.append(KSR.rr.record_route_preset('192.0.2.1:5060', '192.0.2.2:5070;r2=on'))"
ONE = "out.append(KSR.rr.record_route_preset_one('192.0.2.1'))"
SECOND = "KSR.corex.set_send_socket_name('second')"
WAYS = [RR, ADVERTISED, PRESET, ONE, "out.append(KSR.rr.record_route_params(';x=y'))"]

RECORD = [
    *WAYS,
    f"{RR};{RR}",
    f"{PRESET};{RR}",
    f"out.append(KSR.rr.add_rr_param(';a=b'));{RR};out.append(KSR.rr.add_rr_param(';c=d'))",
    f"KSR.rr.add_rr_param(';a=b');{ADVERTISED};KSR.rr.add_rr_param(';c=d')",
    f"KSR.rr.add_rr_param(';a=b');{PRESET};KSR.rr.add_rr_param(';c=d')",
    "out.append(KSR.rr.add_rr_param(';a=b'))",
    f"{RR};KSR.rr.add_rr_param('a=b')",
    "out.append(KSR.rr.record_route_preset('192.0.2.1', ''))",
]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory) as made:
        yield made


@needs_kamailio
@pytest.mark.parametrize("forward", [FORWARD, FORWARD_TCP], ids=["udp", "tcp"])
@pytest.mark.parametrize("code", RECORD)
def test_record_route_says_what_kamailio_says(plain: Pair, code: str, forward: str) -> None:
    outcome = plain.same(code + forward, request(uri="sip:bob@192.0.2.9"))
    assert len(outcome.sink) == 1


@needs_kamailio
@pytest.mark.parametrize("code", WAYS)
@pytest.mark.parametrize("uri", ["sips:bob@192.0.2.9", "tel:+123", "sip:192.0.2.9;transport=tcp"])
def test_the_scheme_follows_the_request_uri(plain: Pair, code: str, uri: str) -> None:
    plain.same(code + FORWARD, request(uri=uri))


@needs_kamailio
@pytest.mark.parametrize("code", WAYS)
@pytest.mark.parametrize("forward", [FORWARD, FORWARD_TCP], ids=["udp", "tcp"])
def test_arrival_over_tcp(plain: Pair, code: str, forward: str) -> None:
    theirs, ours = plain.both(code + forward, request(), "@TCP")
    assert _record_routes(ours.sink) == _record_routes(theirs.sink)
    assert ours.out == theirs.out


@needs_kamailio
@pytest.mark.parametrize("code", WAYS)
def test_another_listener_of_the_same_protocol(plain: Pair, code: str) -> None:
    plain.same(f"{SECOND};{code}{FORWARD}", request())
    plain.same(f"{code};{SECOND}{FORWARD}", request())


@needs_kamailio
@pytest.mark.parametrize(
    "params",
    [
        {"enable_full_lr": 1, "add_username": 1, "append_fromtag": 0},
        {"enable_double_rr": 2},
        {"enable_double_rr": 0},
        {"sockname_mode": 1, "ignore_sips": 1, "add_username": 1, "custom_user_avp": "$avp(u)"},
    ],
    ids=["full-lr", "always-double", "never-double", "names"],
)
def test_parameters(tmp_path_factory: pytest.TempPathFactory, params: dict[str, int | str]) -> None:
    with pair(tmp_path_factory, {"rr": params}) as both:
        for code in (*WAYS, f"KSR.pv.sets('$avp(u)', 'uu');{RR}", f"{SECOND};{RR}"):
            for forward in (FORWARD, FORWARD_TCP):
                both.same(code + forward, request())
            both.same(code + FORWARD, request(uri="sips:192.0.2.9"))


LOOSE = """
out.append(KSR.rr.{call})
out.append([KSR.pv.get(x) for x in ("$ru", "$du", "$fs", "$fti", "$tti", "$rdir(id)", "$rdir(name)")])
out.append([KSR.rr.is_direction(x) for x in ("downstream", "upstream", "sideways")])
out.append([KSR.rr.check_route_param(x) for x in ("ftag=.*", "^;lr", "NAT=YES", "a(")])
out.append(KSR.rr.next_hop_route())
KSR.rr.record_route()
"""
ROUTES = [
    ("", []),
    ("t", []),
    ("", ["<sip:@UDP;lr>"]),
    ("t", ["<sip:@UDP;lr;ftag=ft>"]),
    ("t", ["<sip:@UDP;lr;ftag=t;nat=yes>"]),
    ("t", ["<sip:@UDP;nat=yes;lr>"]),
    ("", ["<sip:@UDP;lr;foo=1>", "<sip:192.0.2.3;lr>"]),
    ("t", ["<sip:@UDP;lr;ftag=ft;foo>, <sip:192.0.2.3:7;lr>;hp=1, <sip:192.0.2.4;lr>"]),
    ("t", ["<sip:@UDP;lr>,<sip:192.0.2.3:7;lr>", "<sip:192.0.2.4;lr>,<sip:192.0.2.5;lr>"]),
    ("t", ["<sip:192.0.2.3:7;lr;ftag=t>, <sip:192.0.2.4;lr>"]),
    ("t", ["<sip:@UDP;lr;ftag=ft>", "<sip:192.0.2.3:7>"]),
    ("t", ["<sip:@UDP;lr;ftag=ft>", "<sip:192.0.2.3:7>,<sip:192.0.2.4:7>"]),
    ("t", ["<sip:@UDP;lr;ftag=ft>", "<sip:192.0.2.3:7>", "<sip:192.0.2.4:7>"]),
    ("t", ["<sip:@UDP;lr>,<sip:192.0.2.3:7>,<sip:192.0.2.4:7>,<sip:192.0.2.5>"]),
    ("t", ["<sip:@UDP;r2=on;lr;ftag=ft>", "<sip:@SECOND;r2=on;lr;ftag=ft>"]),
    ("t", ["<sip:@UDP;r2=on;lr;ftag=ft>,<sip:@SECOND;r2=on;lr;ftag=ft>"]),
    ("t", ["<sip:@UDP;r2=on;lr;ftag=ft>,<sip:@SECOND;r2=on;lr;ftag=ft>,<sip:192.0.2.3;lr>"]),
    ("t", ["<sip:@UDP;r2=on;lr;ftag=ft>,<sip:@SECOND;r2=on;lr;ftag=ft>", "<sip:192.0.2.3;lr>"]),
    ("t", ["<sip:@UDP;r2=on;lr;ftag=ft>", "<sip:192.0.2.7;r2=on;lr;ftag=ft>, <sip:192.0.2.3;lr>"]),
    ("t", ["<sip:@UDP;r2=on;lr;ftag=ft>"]),
    ("", ["<sip:@UDP;r2=on;lr>", "<sip:@SECOND;r2=on;lr>"]),
    ("", ["<sip:@UDP;r2=on;lr>", "<sip:@SECOND;r2=on;lr>", "<sip:192.0.2.3;lr>"]),
    ("t", ["<sip:@UDP;r2=on;ftag=ft>", "<sip:@SECOND;r2=on;lr>"]),
    ("t", ["<sip:@UDP;lr;ftag=ft>", "<sip:@SECOND;lr>"]),
    ("t", ["<sip:@UDP;lr;ftag=ft>", "<sip:@SECOND;lr>", "<sip:192.0.2.3;lr>"]),
    ("", ["sip:@UDP;lr"]),
    ("", ["sip:@UDP;lr, sip:192.0.2.3"]),
    ("", ["<sip:@UDP>"]),
    ("", ["<sip:@UDP>", "<sip:192.0.2.3;lr>"]),
    ("", ["<sip:192.0.2.3>"]),
    ("", ["<sip:192.0.2.3>", "<sip:192.0.2.4>"]),
    ("", ["garbage"]),
    ("", ["<sip:@UDP;lr>, "]),
    ("", [""]),
    ("", ["<sip:alice@@UDP;lr>"]),
    ("", ['"X, <y>" <sip:@UDP;lr;x>;foo=bar']),
    ("", ["<sips:@UDP;lr>", "<sip:192.0.2.3;lr>"]),
    ("", ["<sip:@UDP;transport=tcp;lr>", "<sip:192.0.2.3;lr>"]),
    ("", ["<sip:@UDP;lr>", "<tel:+1>"]),
    ("", ["<sip:example.com;lr>", "<sip:192.0.2.3;lr>"]),
    ("t", ["<sip:twin.example.org:5070;lr>", "<sip:192.0.2.3;lr=on>"]),
    ("t", ["<sip:twin.example.org;lr>", "<sip:192.0.2.3;lr=on>"]),
    ("t", ["<sip:@UDP;lr;gr=x>", "<sip:192.0.2.3;lr>"]),
]
URIS = ["sip:bob@192.0.2.9", "sip:@UDP;lr;ftag=ft", "sip:bob@@UDP", "sip:@UDP;r2=on;lr", "sip:@UDP;gr=x"]


def _lines(routes: list[str]) -> str:
    return "".join(f"Route: {value}\r\n" for value in routes)


@needs_kamailio
@pytest.mark.parametrize("call", ["loose_route()", "loose_route_mode(1)", "loose_route_preloaded()"])
@pytest.mark.parametrize(("tag", "routes"), ROUTES)
def test_routes_are_followed_as_kamailio_does(plain: Pair, tag: str, routes: list[str], call: str) -> None:
    code = LOOSE.format(call=call) + FORWARD
    for uri in URIS if call == "loose_route()" else URIS[:2]:
        theirs, ours = plain.both(code, request(uri=uri, to_tag=tag, headers=_lines(routes)))
        # Kamailio leaves an empty header where it takes out a double Route in two steps.
        if routes != [""]:
            theirs.sink = [m.replace("\r\nRoute: \r\n", "\r\n") for m in theirs.sink]
        assert ours == theirs


@needs_kamailio
@pytest.mark.parametrize("setup", ["KSR.seturi('sip:new@192.0.2.8')", "KSR.setdsturi('sip:192.0.2.8')"])
@pytest.mark.parametrize("second", ["<sip:192.0.2.3>", "<sip:192.0.2.3;lr>"])
def test_what_was_set_before(plain: Pair, setup: str, second: str) -> None:
    headers = _lines(["<sip:@UDP;lr>", second])
    plain.same(f"{setup}{LOOSE.format(call='loose_route()')}{FORWARD}", request(to_tag="t", headers=headers))


@needs_kamailio
def test_questions_without_loose_route(plain: Pair) -> None:
    code = LOOSE.replace("out.append(KSR.rr.{call})", "") + FORWARD
    for tag, routes in ROUTES:
        for uri in URIS:
            plain.same(code, request(uri=uri, to_tag=tag, headers=_lines(routes)))


@needs_kamailio
def test_a_single_route_can_force_the_listener(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pair(tmp_path_factory, {"rr": {"force_send_socket": 1}}) as both:
        for routes in (["<sip:@SECOND;lr>"], ["<sip:@SECOND;lr>", "<sip:192.0.2.3;lr>"]):
            message = request(to_tag="t", headers=_lines(routes))
            both.same(LOOSE.format(call="loose_route()") + FORWARD, message)


BRANCH = """
def branch():
    {branch}
{before}
KSR.seturi("sip:a@@SINK")
KSR.corex.append_branch_uri("sip:b@@SINK")
KSR.tm.t_on_branch("branch")
out.append(KSR.tm.t_relay())
"""
USER = "KSR.pv.get('$rU')"


@needs_kamailio
@pytest.mark.parametrize("before", ["", "KSR.rr.record_route()", "KSR.rr.add_rr_param(';x=y')"])
@pytest.mark.parametrize("branch", [
    "pass",
    "out.append(KSR.rr.record_route())",
    f"out.append(KSR.rr.add_rr_param(';u=' + {USER}))",
    f"KSR.rr.record_route(); KSR.rr.add_rr_param(';u=' + {USER})",
    f"{USER} == 'a' and KSR.rr.add_rr_param(';only=a')",
    f"{USER} == 'a' and (KSR.rr.add_rr_param(';only=a'), KSR.set_drop())",
])  # fmt: skip
def test_branch_routes_concern_their_branch(plain: Pair, branch: str, before: str) -> None:
    number = sum(map(ord, branch + before))
    message = request().replace("z9hG4bKcaller", f"z9hG4bK{number}")
    theirs, ours = plain.both(BRANCH.format(branch=branch, before=before), message)
    if "add" in before and "record_route" in branch:
        # Kamailio uses up on the first branch what add_rr_param() left; here it is on every one.
        theirs.sink = [m.replace(";ftag=ft>", ";ftag=ft;x=y>").replace("ft;u=b", "ft;x=y;u=b") for m in theirs.sink]
    # Kamailio does not say on which branch its first message is.
    assert sorted(map(_essence, ours.sink)) == sorted(map(_essence, theirs.sink))
    assert ours.out == theirs.out


def _essence(message: str) -> list[str]:
    return [x for x in message.split("\r\n") if x.startswith(("INVITE", "Record-Route"))]


def _record_routes(messages: list[str]) -> list[str]:
    return [line for m in messages for line in m.split("\r\n") if line.startswith("Record-Route")]


def test_remove_record_route_leaves_nothing() -> None:
    """Kamailio 5.6.3 leaves the parameters behind as a broken line; a message must stay one."""
    ours = Ours()
    outcome = ours.run(f"{RR};out.append(KSR.rr.remove_record_route()){FORWARD}", request())
    assert outcome.out == [1, 1]
    assert "lr" not in outcome.sink[0]
    assert outcome.sink[0].startswith("INVITE sip:bob@example.com SIP/2.0\r\nVia: ")


def test_forwarding_twice_writes_record_route_once_in_each() -> None:
    ours = Ours()
    outcome = ours.run(f"{RR}{FORWARD}{FORWARD_TCP}", request())
    assert [len(_record_routes([m])) for m in outcome.sink] == [1, 2] or [
        len(_record_routes([m])) for m in outcome.sink
    ] == [2, 1]
