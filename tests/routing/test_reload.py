"""Reloading a script and going back, in every language, and what a reload says of settings."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from kahea.routing.module import ConfigError, RpcError
from kahea.routing.reload import KEPT
from kahea.testing import Simulation

CFG = """#!KAMAILIO
listen=udp:10.0.0.9:5060
{settings}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "registrar.so"
loadmodule "usrloc.so"
loadmodule "textops.so"
loadmodule "textopsx.so"
{parameters}
request_route {{
    t_on_reply("SAY");
    t_on_failure("SAY");
    if ($rm == "OPTIONS") {{
        sl_send_reply("200", "{answer}");
        exit;
    }}
    t_relay();
}}
onreply_route[SAY] {{
    append_hf("X-Route: {answer}\\r\\n");
}}
failure_route[SAY] {{
    t_reply("480", "{answer}");
}}
"""
PYTHON = """
import KSR

def ksr_request_route():
    KSR.sl.sl_send_reply(200, "{answer}")
"""


def cfg(answer: str, settings: str = "", parameters: str = "") -> str:
    return CFG.format(answer=answer, settings=settings, parameters=parameters)


def answer(simulation: Simulation) -> str:
    """What the node answers to OPTIONS now."""
    caller = simulation.ua(f"caller{simulation.now}")
    reply: str = caller.request("OPTIONS", "sip:10.0.0.9").wait().reason
    return reply


@pytest.fixture(autouse=True)
def _level() -> Iterator[None]:
    """What is logged by all as it was: `debug` changes it for the process."""
    yield
    logging.getLogger("kahea").setLevel(logging.NOTSET)


@pytest.fixture(params=["cfg", "py"])
def script(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """A script's path, and its text with a place for the answer."""
    text = CFG.replace("{settings}", "").replace("{parameters}", "") if request.param == "cfg" else PYTHON
    return tmp_path / f"script.{request.param}", text


def test_the_next_generation_answers(kahea: Simulation, script: tuple[Path, str]) -> None:
    path, text = script
    path.write_text(text.format(answer="one"))
    node = kahea.node(path, "udp:10.0.0.9:5060")
    assert answer(kahea) == "one"
    path.write_text(text.format(answer="two"))
    assert answer(kahea) == "one"
    node.reload()
    assert answer(kahea) == "two"
    node.rollback()
    assert answer(kahea) == "one"
    with pytest.raises(ConfigError, match="no generation before"):
        node.rollback()
    node.rollback(node.node.routes.number + 1)
    assert answer(kahea) == "two"


def test_a_broken_script_changes_nothing(kahea: Simulation, script: tuple[Path, str]) -> None:
    path, text = script
    path.write_text(text.format(answer="one"))
    node = kahea.node(path, "udp:10.0.0.9:5060")
    before = node.node.routes
    path.write_text(text.format(answer="two").replace("sl_send_reply(", "sl_send_replay((", 1))
    with pytest.raises(ConfigError):
        node.reload()
    path.unlink()
    with pytest.raises(ConfigError):
        node.reload()
    assert node.node.routes is before
    assert answer(kahea) == "one"


def test_transactions_keep_their_generation(kahea: Simulation, tmp_path: Path) -> None:
    path = tmp_path / "kamailio.cfg"
    path.write_text(cfg("one"))
    node = kahea.node(path)
    alice, bob = kahea.ua("alice"), kahea.ua("bob")
    call = alice.invite(bob.contact)
    invite = bob.expect("INVITE")
    path.write_text(cfg("two"))
    node.reload()
    later = alice.invite(bob.contact)
    other = bob.expect("INVITE")
    bob.reply(invite, 180)
    assert call.wait(180)["X-Route"] == "one"
    bob.reply(other, 180)
    assert later.wait(180)["X-Route"] == "two"
    bob.reply(invite, 486)
    assert call.wait().reason == "one"
    bob.reply(other, 486)
    assert later.wait().reason == "two"


def test_what_needs_a_restart_is_named(kahea: Simulation, tmp_path: Path) -> None:
    path = tmp_path / "kamailio.cfg"
    path.write_text(cfg("one", 'debug=1\nmy.text="a"', 'modparam("tm", "fr_timer", 30000)'))
    node = kahea.node(path)
    changed = cfg(
        "two",
        'debug=2\nmy.text="b"\nmy.more=5\nmax_branches=9\nlisten=udp:10.0.0.9:5070',
        'modparam("tm", "fr_timer", 20000)\nmodparam("registrar", "received_param", "x")\nloadmodule "maxfwd.so"',
    )
    path.write_text(changed)
    changes = node.reload()
    assert changes.restart == ["listeners", "max_branches", "module maxfwd (loaded)", "registrar.received_param"]
    assert sorted(changes.applied) == ["debug", "my.more", "my.text", "tm.fr_timer"]
    assert node.node.settings.debug == 2
    assert node.node.configuration.runtime.get("my", "text") == "b"
    assert node.node.layer.settings.fr_timer == 20.0
    again = node.reload()
    assert (again.applied, again.restart) == ([], changes.restart)
    node.rollback(node.node.routes.number - 2)
    assert node.node.settings.debug == 1
    assert node.node.layer.settings.fr_timer == 30.0


def test_what_was_taken_back_needs_no_restart(kahea: Simulation, tmp_path: Path) -> None:
    path = tmp_path / "kamailio.cfg"
    path.write_text(cfg("one"))
    node = kahea.node(path)
    started = node.node.layer.settings.fr_timer
    path.write_text(cfg("two", "max_branches=9", 'modparam("tm", "fr_timer", 20000)\nloadmodule "maxfwd.so"'))
    assert node.reload().restart == ["max_branches", "module maxfwd (loaded)"]
    assert node.node.layer.settings.fr_timer == 20.0
    path.write_text(cfg("three"))
    changes = node.reload()
    assert (changes.applied, changes.restart) == (["tm.fr_timer"], [])
    assert node.node.layer.settings.fr_timer == started


def test_what_a_command_set_stays(kahea: Simulation, tmp_path: Path) -> None:
    path = tmp_path / "kamailio.cfg"
    path.write_text(cfg("one", 'debug=1\nmy.text="a"'))
    node = kahea.node(path)
    runtime = node.node.configuration.runtime
    runtime.set("core", "debug", 3)
    runtime.set("my", "text", "set")
    assert node.reload().applied == []
    assert (node.node.settings.debug, runtime.get("my", "text")) == (3, "set")


def test_the_last_few_are_kept(kahea: Simulation, tmp_path: Path) -> None:
    path = tmp_path / "kamailio.cfg"
    path.write_text(cfg("0"))
    node = kahea.node(path)
    for n in range(1, KEPT + 3):
        path.write_text(cfg(str(n)))
        node.reload()
    reloader = node.node.reloader
    assert reloader is not None
    kept = [each.generation.number for each in reloader.generations()]
    assert len(kept) == KEPT
    assert kept[-1] == node.node.routes.number
    with pytest.raises(ConfigError, match="is not kept"):
        node.rollback(kept[0] - 1)


def test_commands(kahea: Simulation, tmp_path: Path) -> None:
    path = tmp_path / "kamailio.cfg"
    path.write_text(cfg("one"))
    node = kahea.node(path)
    commands = node.node.registry.rpcs
    path.write_text(cfg("two", "max_branches=9"))
    told = commands["kahea.reload"].call()
    assert told["needs_restart"] == ["max_branches"]
    assert answer(kahea) == "two"
    listed = commands["kahea.generations"].call()
    assert [each["running"] for each in listed] == [0, 1]
    assert listed[1]["hash"] == told["hash"] != listed[0]["hash"]
    commands["kahea.rollback"].call()
    assert answer(kahea) == "one"
    path.write_text("request_route {")
    with pytest.raises(RpcError, match=r"kamailio\.cfg:1"):
        commands["kahea.reload"].call()
