"""`kahea run --trace`: which messages, which lines, which values."""

from __future__ import annotations

import io

import pytest

from kahea.cli.tracing import Trace, parse_filter
from kahea.routing.module import ConfigError
from kahea.testing import Simulation
from kahea.testing.simulation import VirtualNode

CFG = """#!KAMAILIO
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "siputils.so"
loadmodule "textops.so"
request_route {
    $var(x) = $rU + "!";
    if (is_method("BYE") || $rU == "bob") {
        route(ANSWER);
    }
    exit;
}
route[ANSWER] {
    sl_send_reply("200", "OK $var(x)"); return;
}
"""


def traced(kahea: Simulation, wanted: str) -> tuple[VirtualNode, io.StringIO]:
    """A node whose script is traced, and what is printed."""
    out = io.StringIO()
    return kahea.node(CFG, watch=Trace(parse_filter(wanted), out).watch), out


def test_lines_with_values(kahea: Simulation) -> None:
    node, out = traced(kahea, "all")
    reply = kahea.ua("alice").request("OPTIONS", "sip:bob@10.0.0.9").wait()
    assert reply.reason == "OK bob!"
    head, *lines = out.getvalue().splitlines()
    assert head.startswith("OPTIONS from 10.0.1.1:5060, Call-ID ")
    assert [line.partition(":")[2].split(maxsplit=2)[:2] for line in lines] == [
        ["8", "request_route"],
        ["9", "request_route"],
        ["10", "request_route"],
        ["15", "route[ANSWER]"],
        ["15", "route[ANSWER]"],
        ["12", "request_route"],
    ]
    assert lines[0].endswith('$var(x) = $rU + "!";    # $rU="bob", $var(x)="bob!"')
    assert lines[1].endswith('{    # $rU="bob", is_method() -> -1')
    assert lines[3].endswith('# $var(x)="bob!", sl_send_reply() -> 1')
    assert lines[4].endswith("return")
    assert node.running


def test_only_what_is_asked_for(kahea: Simulation) -> None:
    _, out = traced(kahea, "method=MESSAGE,src=10.0.1.0/24")
    alice = kahea.ua("alice")
    alice.request("OPTIONS", "sip:bob@10.0.0.9").wait()
    assert out.getvalue() == ""
    alice.request("MESSAGE", "sip:bob@10.0.0.9").wait()
    assert out.getvalue().startswith("MESSAGE from")


@pytest.mark.parametrize("wanted", ["callid=alice-1", "src=10.0.1.1:5060", "src=10.0.1.1", ""])
def test_filters_that_hold(kahea: Simulation, wanted: str) -> None:
    _, out = traced(kahea, wanted)
    kahea.ua("alice").request("OPTIONS", "sip:bob@10.0.0.9").wait()
    assert out.getvalue()


@pytest.mark.parametrize("wanted", ["callid=nobody", "src=10.0.1.1:5061", "src=2001:db8::/32", "method=BYE"])
def test_filters_that_do_not(kahea: Simulation, wanted: str) -> None:
    _, out = traced(kahea, wanted)
    kahea.ua("alice").request("OPTIONS", "sip:bob@10.0.0.9").wait()
    assert not out.getvalue()


@pytest.mark.parametrize("wanted", ["method", "port=5", "src=nowhere", "src=10.0.0.1:x"])
def test_filters_that_are_none(wanted: str) -> None:
    with pytest.raises(ConfigError, match="--trace"):
        parse_filter(wanted)


def test_nothing_asks_where_nothing_is_traced(kahea: Simulation) -> None:
    node = kahea.node(CFG)
    route = node.node.routes.request
    assert "trace_step" not in route.__code__.co_names  # type: ignore[union-attr]
