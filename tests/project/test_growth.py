"""Months of calls leave nothing behind: those that succeed, all kinds that fail, and reloads, in any language.

Objects are counted at equal points of a virtual clock, and cycles too: what only the collector finds is found late.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.growth import CASES, PLAYS, Stage, phases

from kahea.routing.reload import KEPT
from kahea.routing.run import Run, wait
from kahea.testing import Simulation

COUNT = 60
RELOADS = 20
SCRIPTS = {
    "py": "import KSR\nclass A:\n def ksr_request_route(self, msg):\n  KSR.sl.sl_send_reply(200, 'N')\n"
    "def mod_init():\n return A()\n",
    "lua": "function ksr_request_route() KSR.sl.sl_send_reply(200, 'N') end\n",
    "js": "function ksr_request_route() { KSR.sl.sl_send_reply(200, 'N'); }\n",
    "sq": 'function ksr_request_route() { KSR.sl.sl_send_reply(200, "N"); }\n',
    "cfg": 'loadmodule "sl.so"\nrequest_route { route(A); }\nroute[A] { sl_send_reply("200", "N"); }\n',
}


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """The stages freeze what is there before them."""
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)
    gc.unfreeze()


@pytest.mark.parametrize("case", CASES)
def test_calls_leave_nothing(case: str) -> None:
    stage = Stage(case)
    found = {}
    for name in PLAYS:
        each = phases(stage, name, COUNT)
        next(each)
        before, left = next(each), next(each)
        assert (left.transactions, left.cycles) == (0, 0), name
        found[name] = +(left.objects - before.objects), left.blocks - before.blocks
    stage.close()
    assert {name: objects for name, (objects, _) in found.items() if objects} == {}
    # What is no container is not told by type. The counts take some blocks, and caches may take in an entry or two.
    assert {name: blocks for name, (_, blocks) in found.items() if blocks >= COUNT} == {}


def test_the_count_sees_what_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage("minimal")
    kept: list[object] = []
    probed = PLAYS["probed"][0]

    def leaking(stage: Stage) -> None:
        probed(stage)
        circle: list[object] = [len(kept)]
        circle.append(circle)
        kept.append([circle])

    monkeypatch.setitem(PLAYS, "probed", (leaking, 1000))
    each = phases(stage, "probed", COUNT)
    next(each)
    before, left = next(each), next(each)
    assert left.objects["list"] - before.objects["list"] == 2 * COUNT
    assert left.cycles == 0
    kept.clear()
    assert next(each).cycles >= COUNT
    stage.close()


@pytest.mark.parametrize("language", SCRIPTS)
def test_reloads_leave_nothing(language: str, tmp_path: Path) -> None:
    simulation = Simulation()
    script = tmp_path / f"script.{language}"
    text = SCRIPTS[language]
    if language == "cfg":
        text = "listen=udp:10.0.0.9:5060\n" + text
    script.write_text(text)
    node = simulation.node(script, "udp:10.0.0.9:5060")
    gc.collect()
    gc.freeze()
    generations = []
    counts = []
    for number in range(3 * RELOADS):
        script.write_text(text.replace("N", f"N{number}"))
        node.reload()
        routes = node.node.routes
        generations.append(weakref.ref(routes))
        del routes
        if number % RELOADS == RELOADS - 1:
            gc.collect()
            counts.append(len(gc.get_objects()))
    assert simulation.ua("alice").request("OPTIONS", "sip:10.0.0.9").wait().reason == f"N{number}"
    assert sum(each() is not None for each in generations) == KEPT
    # One reference for each generation, and its place in the lists of this test.
    assert counts[2] - counts[1] <= RELOADS + 5
    simulation.close()


def test_an_error_that_was_waited_for_makes_no_cycle(kahea: Simulation) -> None:
    """When a database is down, each call ends in one, whose traceback has the frames of the script."""
    node = kahea.node("def ksr_request_route():\n    pass\n")
    caught = []

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ConnectionError("down")

    def script() -> None:
        try:
            wait(fails())
        except ConnectionError as error:
            caught.append(str(error))

    def play() -> None:
        kahea.plan(0, node.node.pool.run, script)
        kahea.run(1)

    play()
    gc.collect()
    gc.disable()
    for _ in range(10):
        play()
    found = gc.collect()
    gc.enable()
    assert caught == ["down"] * 11
    assert found < 10


def test_what_is_to_go_into_a_reply_makes_no_cycle() -> None:
    stage = Stage("minimal")

    def reply(run: Run) -> None:
        stage.node.module("corex").via_reply_add_xavp_params(run, 1)
        stage.node.reply(run.msg, 200, "OK")

    stage.node.routes.request = reply
    play = phases(stage, "probed", COUNT)
    next(play)
    left = next(play)
    stage.close()
    assert left.cycles == 0
