"""pike: when an address is blocked and when no more, as Kamailio 5.6.3 was seen to do it."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

import pytest
from cfgs import KAMAILIO, Ours, cfg_text, kamailio, request
from textops_cases import PLAIN

from conftest import Bench
from kahea.modules.pike import MAX_NODES, Tree
from kahea.routing.module import ConfigError, RpcError
from kahea.testing import Simulation

Make = Callable[..., Bench]


def hits(tree: Tree, address: str) -> int:
    """How many requests it takes to block an address."""
    packed = ip_address(address).packed
    return next(n for n in range(1, 1000) if tree.hit(packed, 0.0) != 1)


@pytest.mark.parametrize(
    ("limit", "first"),
    [(1, 5), (4, 8), (10, 14), (12, 17), (14, 19), (16, 22), (30, 39), (31, 40), (64, 82), (100, 127), (200, 252)],
)
def test_how_many_requests_it_takes(limit: int, first: int) -> None:
    """From an empty tree, and beside addresses that share three, two and one bytes."""
    tree = Tree(limit, 120)
    found = [hits(tree, each) for each in ("193.175.132.164", "193.175.132.142", "193.175.7.1", "193.1.1.1")]
    assert found == [first, limit + 1, limit + 2, limit + 3]
    assert hits(tree, "10.0.0.1") == first
    assert hits(tree, "2001:db8::1") == first + 12


@pytest.mark.skipif(KAMAILIO is None, reason="needs a real Kamailio to compare with")
def test_the_same_answers_as_kamailios(tmp_path_factory: pytest.TempPathFactory) -> None:
    extra = 'modparam("pike", "sampling_time_unit", 1000)\nmodparam("pike", "reqs_density_per_unit", 13)\n'
    ips = ["193.175.132.164"] * 30 + ["193.175.132.142", "193.1.1.1", "193.175.132.142"] * 25 + ["nonsense"]
    bodies = [f'pike_check_ip("{ip}"); $var(o) = $rc;' for ip in dict.fromkeys(ips)]
    numbers = {ip: number for number, ip in enumerate(dict.fromkeys(ips))}
    text = cfg_text(bodies, extra, ["pike"])
    ours = Ours(text)
    with kamailio(tmp_path_factory.mktemp("pike"), text) as theirs:
        for ip in ips:
            data = request(numbers[ip])
            assert ours.run(data).out == theirs.run(data).out


CFG = """#!KAMAILIO
loadmodule "sl.so"
loadmodule "kex.so"
loadmodule "pike.so"
modparam("pike", "sampling_time_unit", 2)
modparam("pike", "reqs_density_per_unit", 10)
modparam("pike", "remove_latency", 8)
request_route {
    if (pike_check_req()) { sl_send_reply("200", "Fine"); } else { sl_send_reply("503", "Too much"); }
}
"""


def test_an_address_is_blocked_until_it_sends_less(kahea: Simulation) -> None:
    node = kahea.node(CFG, "udp:10.0.0.9:5060")
    alice, bob = kahea.ua("alice"), kahea.ua("bob")

    def ask() -> int:
        return alice.options("sip:x@10.0.0.9").status

    assert [ask() for _ in range(16)] == [200] * 13 + [503] * 3
    assert bob.options("sip:x@10.0.0.9").status == 200
    top = node.node.registry.rpcs["pike.top"].call
    row = top()["list"][0]
    assert (row["ip_addr"], row["leaf_hits_prev"], row["leaf_hits_curr"]) == (alice.host, 0, 12)
    assert (row["expires"], row["status"]) == (8, "HOT")
    kahea.run(2)
    assert ask() == 503  # the time unit before was still too much
    kahea.run(2)
    assert ask() == 200
    assert top()["number_of_rows"] == 0
    assert top("ALL")["number_of_rows"] == 2
    assert node.node.statistics.value("pike", "blocked_ips") == 1
    kahea.run(10)
    assert node.module("pike").tree.size == 0


def test_below_the_limit_nobody_is_blocked(kahea: Simulation) -> None:
    kahea.node(CFG, "udp:10.0.0.9:5060")
    alice = kahea.ua("alice")
    for _ in range(8):
        assert [alice.options("sip:x@10.0.0.9").status for _ in range(9)] == [200] * 9
        kahea.run(2)


def test_the_tree_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kahea.modules.pike.MAX_NODES", 10)
    tree = Tree(4, 120)
    for n in range(100):
        assert tree.hit(bytes([n, 1, 1, 1]), 0.0) == 1
    assert tree.size == 10 < MAX_NODES


def test_rpc_refuses_other_filters(bench: Make) -> None:
    b = bench("pike")
    b.take(PLAIN)
    assert b.call("pike.pike_check_ip", "nonsense") == -1
    assert b.call("pike.pike_check_ip", "[2001:db8::1]") == 1
    for name in ("pike.top", "pike.list"):
        with pytest.raises(RpcError, match="HOT or WARM"):
            b.node.registry.rpcs[name].call("COLD")
        assert b.node.registry.rpcs[name].call("WARM")["list"] == []


@pytest.mark.parametrize("name", ["sampling_time_unit", "reqs_density_per_unit", "remove_latency"])
def test_parameters_must_be_positive(bench: Make, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        bench("pike", pike={name: 0})
