"""kex: the log level at run time, unique ids, statistics."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
from textops_cases import PLAIN

from conftest import Bench
from kahea.routing.module import RpcError

Make = Callable[..., Bench]


@pytest.fixture(autouse=True)
def _level() -> Iterator[None]:
    yield
    logging.getLogger("kahea").setLevel(logging.NOTSET)


def test_setdebug_until_resetdebug(bench: Make) -> None:
    b = bench("kex")
    b.take(PLAIN)
    before = b.node.settings.debug
    assert b.call("kex.setdebug", 3) == 1
    assert b.call("kex.setdebug", 2) == 1
    assert b.node.settings.debug == 2
    assert logging.getLogger("kahea").level == logging.INFO
    assert b.call("kex.setdebug", -9) == 1
    assert logging.getLogger("kahea").level == logging.CRITICAL
    assert b.call("kex.resetdebug") == 1
    assert b.node.settings.debug == before
    assert logging.getLogger("kahea").level == logging.WARNING
    assert b.call("kex.resetdebug") == 1


def test_sruid_never_comes_twice(bench: Make) -> None:
    b = bench("kex")
    run = b.take(PLAIN)
    pv = b.node.variables.compile("$sruid")
    seen = [str(pv.get(run)) for _ in range(5)]
    assert len(set(seen)) == 5
    assert all(one.startswith("srid-") for one in seen)
    assert str(bench("kex").node.variables.compile("$sruid").get(run)) not in seen


def test_statistics_by_all_group_and_name(bench: Make) -> None:
    b = bench("kex")
    b.node.count("mine", "calls", 3)
    rpcs = b.node.registry.rpcs
    assert rpcs["stats.fetchn"].call("mine:") == {"mine.calls": 3}
    assert rpcs["stats.fetch"].call("mine.calls") == {"mine.calls": "3"}
    assert rpcs["stats.get_statistics"].call("calls") == ["mine:calls = 3"]
    assert "mine.calls" in rpcs["stats.fetchn"].call("all")
    assert rpcs["stats.fetchn"].call("nothing:") == {}
    assert rpcs["stats.fetchn"].call("nothing") == {}
    with pytest.raises(RpcError):
        rpcs["stats.fetchn"].call()


def test_statistics_count_from_zero_again(bench: Make) -> None:
    b = bench("kex")
    b.node.count("mine", "calls", 3)
    rpcs = b.node.registry.rpcs
    assert rpcs["stats.clear_statistics"].call("mine:") == ["mine:calls = 3"]
    assert rpcs["stats.fetchn"].call("mine:") == {"mine.calls": 0}
    b.node.count("mine", "calls", 2)
    assert rpcs["stats.fetchn"].call("mine:") == {"mine.calls": 2}
    assert rpcs["stats.reset_statistics"].call("all") is None
    assert rpcs["stats.fetchn"].call("calls") == {"mine.calls": 0}
